//! The walk: root chain, timestamp, snapshot, targets, and delegated roles as a search comes to them.
//!
//! Every file goes through the state machine before it is kept, and is kept before anything follows from it.

use bytes::Bytes;
use jiff::Timestamp;
use sigstore_tuf::{Error, TargetFile};

use super::directory::{MetadataDirectory, encoded};
use super::refusal::{chain, refusal_of};
use super::trusted::{Naming, Needed, Step, Trusted};
use crate::error::Answers;
use crate::failure::{Attack, Failure, Refusal};
use crate::mirrors::{Base, Heard, MirrorId, Mirrors, Round, Wanted};
use crate::{ClientError, Limits};

/// What a walk works with, at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk<'a> {
    pub(crate) mirrors: &'a Mirrors,
    pub(crate) directory: &'a MetadataDirectory,
    pub(crate) limits: &'a Limits,
    pub(crate) naming: Naming,
    pub(crate) now: Timestamp,
}

/// What a refresh learnt about the mirrors, beside the state itself.
#[derive(Debug, Default)]
pub(crate) struct Refreshed {
    /// Mirrors that did not confirm the newest timestamp, each with what it did instead.
    pub(crate) doubtful: Answers,
}

impl Walk<'_> {
    /// What is trusted on the word of `pinned` and of what lies in the directory, without a request. Whatever there
    /// does not verify is as good as not there.
    pub(crate) fn open(&self, pinned: &[u8], name: &str) -> Result<Trusted, ClientError> {
        let unusable = |source| ClientError::PinnedRoot {
            name: name.to_owned(),
            source,
        };
        let mut trusted = Trusted::from_root(pinned, self.naming).map_err(unusable)?;
        self.directory
            .keep_root_unless_held(trusted.root_version(), pinned)?;
        while let Some(bytes) = self.directory.root(trusted.root_version() + 1)? {
            if trusted.update_root(&bytes).is_err() {
                break;
            }
        }
        self.seed(&mut trusted)?;
        Ok(trusted)
    }

    /// Brings the top-level roles up to date (specification, sections 5.3 to 5.6).
    pub(crate) async fn refresh(&self, trusted: &mut Trusted) -> Result<Refreshed, ClientError> {
        if self.refresh_root(trusted).await? {
            self.seed(trusted)?;
        }
        let in_force = trusted.set().check_root_expired(self.now);
        in_force.map_err(|error| refused("the newest root", &error))?;
        let doubtful = self.refresh_timestamp(trusted).await?;
        self.refresh_snapshot(trusted).await?;
        self.refresh_targets(trusted).await?;
        Ok(Refreshed { doubtful })
    }

    /// What the signed state says about a target; `None` where no trusted role names it. Fetches delegated roles as
    /// the search comes to them.
    pub(crate) async fn target(
        &self,
        trusted: &mut Trusted,
        path: &str,
    ) -> Result<Option<TargetFile>, ClientError> {
        loop {
            let step = trusted.resolve(path, self.limits.delegations_max, self.now);
            match step.map_err(|error| refused(&format!("`{path}`"), &error))? {
                Step::Found(found) => return Ok(Some(found)),
                Step::Absent => return Ok(None),
                Step::Need(needed) => {
                    let consistent = trusted.set().root().consistent_snapshot;
                    self.load(consistent, &needed, |body| {
                        trusted.update_delegated(body, &needed, self.now)
                    })
                    .await?;
                }
            }
        }
    }

    /// Fetches a delegated role for `take` to verify, or has it from the directory where `take` accepts what is there.
    pub(crate) async fn load(
        &self,
        consistent: bool,
        needed: &Needed,
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), ClientError> {
        if let Some(bytes) = self.directory.role(&needed.role)?
            && take(&bytes).is_ok()
        {
            return Ok(());
        }
        let wanted = (needed.role.as_str(), needed.version, needed.length_bytes);
        let bytes = self.fetch_role(consistent, wanted, take).await?;
        self.directory.keep_role(&needed.role, &bytes)
    }

    /// Takes every further root. Tells whether there was one.
    async fn refresh_root(&self, trusted: &mut Trusted) -> Result<bool, ClientError> {
        let first = trusted.root_version();
        for next in first + 1..=first.saturating_add(self.limits.root_rotations_max) {
            let path = format!("{next}.root.json");
            let mut taken = None;
            let round = self
                .mirrors
                .everywhere(
                    wanted(&path, self.limits.root_bytes_max),
                    |_, body| match trusted.update_root(body) {
                        Ok(()) => {
                            taken = Some(body.clone());
                            Ok(Heard::Settled)
                        }
                        Err(error) => Err(Refusal {
                            attack: Attack::WrongRoot,
                            ..refusal_of(&error, body)
                        }),
                    },
                )
                .await;
            let Some(bytes) = taken else {
                let nobody_has_one = round
                    .failures
                    .iter()
                    .any(|(_, failure)| matches!(failure, Failure::Missing { .. }));
                return if nobody_has_one {
                    Ok(first < trusted.root_version())
                } else {
                    Err(not_given(&path, round.failures))
                };
            };
            self.directory.keep_root(next, &bytes)?;
        }
        Err(ClientError::Refused {
            what: "the chain of roots".to_owned(),
            reason: format!(
                "it has more than {} new roots at once",
                self.limits.root_rotations_max
            ),
        })
    }

    /// Asks all mirrors for their timestamp and takes the newest that is valid. Gives what the others did.
    async fn refresh_timestamp(&self, trusted: &mut Trusted) -> Result<Answers, ClientError> {
        let mut taken: Option<Bytes> = None;
        let mut seen: Vec<(MirrorId, u64)> = Vec::new();
        let former = self.former_root(trusted);
        let path = "timestamp.json";
        let Round { useful, failures } = self
            .mirrors
            .everywhere(wanted(path, self.limits.timestamp_bytes_max), |id, body| {
                let outcome = trusted.update_timestamp(body, self.now);
                let version = trusted.timestamp_version().unwrap_or_default();
                match outcome {
                    Ok(true) => taken = Some(body.clone()),
                    Ok(false) => {}
                    Err(error) => {
                        if let Error::Rollback { new, .. } = &error {
                            seen.push((id, *new));
                        }
                        return Err(judge_timestamp(&error, body, former.as_ref()));
                    }
                }
                seen.push((id, version));
                Ok(Heard::Useful)
            })
            .await;
        for (id, version) in seen {
            self.mirrors.saw_timestamp(id, version);
        }
        if let Some(bytes) = taken {
            self.directory.keep_role("timestamp", &bytes)?;
        }
        if useful == 0 {
            return Err(not_given(path, failures));
        }
        Ok(failures)
    }

    fn former_root(&self, trusted: &Trusted) -> Option<Trusted> {
        let former = trusted.root_version().checked_sub(1)?;
        let bytes = self.directory.root(former).ok().flatten()?;
        Trusted::from_root(&bytes, self.naming).ok()
    }

    async fn refresh_snapshot(&self, trusted: &mut Trusted) -> Result<(), ClientError> {
        let pin = trusted
            .set()
            .timestamp()
            .and_then(|timestamp| timestamp.snapshot_meta());
        let Some((version, length_bytes)) = pin.map(|pin| (pin.version, pin.length)) else {
            return Err(ClientError::Refused {
                what: "the timestamp".to_owned(),
                reason: "it names no snapshot".to_owned(),
            });
        };
        let in_force = trusted.snapshot_version() == Some(version)
            && trusted.set().check_snapshot_expired(self.now).is_ok();
        if !in_force {
            let bytes = self
                .fetch_role(
                    trusted.set().root().consistent_snapshot,
                    ("snapshot", version, length_bytes),
                    |body| trusted.update_snapshot(body, self.now),
                )
                .await?;
            self.directory.keep_role("snapshot", &bytes)?;
        }
        self.directory.raise_floor()
    }

    async fn refresh_targets(&self, trusted: &mut Trusted) -> Result<(), ClientError> {
        if trusted.check_in_force(self.now).is_ok() {
            return Ok(());
        }
        let snapshot = trusted.set().snapshot();
        let pin = snapshot.and_then(|snapshot| snapshot.meta.get("targets.json"));
        let Some((version, length_bytes)) = pin.map(|pin| (pin.version, pin.length)) else {
            return Err(ClientError::Refused {
                what: "the snapshot".to_owned(),
                reason: "it names no targets role".to_owned(),
            });
        };
        let bytes = self
            .fetch_role(
                trusted.set().root().consistent_snapshot,
                ("targets", version, length_bytes),
                |body| trusted.update_targets(body, self.now),
            )
            .await?;
        self.directory.keep_role("targets", &bytes)
    }

    /// Fetches a role's file that the state machine takes.
    async fn fetch_role(
        &self,
        consistent: bool,
        (role, version, length_bytes): (&str, u64, Option<u64>),
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Bytes, ClientError> {
        let name = encoded(role);
        let path = if consistent {
            format!("{version}.{name}.json")
        } else {
            format!("{name}.json")
        };
        let limit = self.directory.limit(role);
        let limit_bytes = length_bytes.map_or(limit, |length| length.min(limit));
        self.mirrors
            .anywhere(wanted(&path, limit_bytes), |body| {
                take(body)
                    .map(|()| body.clone())
                    .map_err(|error| refusal_of(&error, body))
            })
            .await
    }

    /// Raises the rollback floors from what was trusted before, also where it has expired since, and takes over what
    /// is still in force. What the root in force does not sign any more counts for nothing: that is how an attacker's
    /// fast-forward is undone.
    fn seed(&self, trusted: &mut Trusted) -> Result<(), ClientError> {
        let whenever = Timestamp::UNIX_EPOCH;
        let note = |what, outcome: Result<(), Error>| {
            if let Err(error) = outcome {
                tracing::debug!(what, error = chain(&error), "kept metadata is not used");
            }
        };
        if let Some((timestamp, snapshot)) = self.directory.floor()? {
            let floor = trusted.update_timestamp(&timestamp, whenever);
            note(
                "floor",
                floor.and_then(|_| trusted.update_snapshot(&snapshot, whenever)),
            );
        }
        if let Some(bytes) = self.directory.role("timestamp")? {
            let outcome = trusted.update_timestamp(&bytes, whenever);
            note("timestamp", outcome.map(|_| ()));
        }
        if let Some(bytes) = self.directory.role("snapshot")? {
            note("snapshot", trusted.update_snapshot(&bytes, whenever));
        }
        if let Some(bytes) = self.directory.role("targets")? {
            note("targets", trusted.update_targets(&bytes, self.now));
        }
        Ok(())
    }
}

const fn wanted(path: &str, limit_bytes: u64) -> Wanted<'_> {
    Wanted {
        base: Base::Metadata,
        path,
        limit_bytes,
    }
}

/// A mirror that has not heard of the newest root yet still shows a timestamp of the keys before: it is behind,
/// and has not lied.
fn judge_timestamp(error: &Error, body: &[u8], former: Option<&Trusted>) -> Refusal {
    let refusal = refusal_of(error, body);
    let was_signed = refusal.attack == Attack::Forged
        && former.is_some_and(|former| {
            let mut former = former.clone();
            former.update_timestamp(body, Timestamp::UNIX_EPOCH).is_ok()
        });
    if was_signed {
        return Refusal {
            attack: Attack::Rollback,
            detail: "its timestamp is signed with keys that the newest root has replaced"
                .to_owned(),
            ..refusal
        };
    }
    refusal
}

fn not_given(path: &str, answers: Answers) -> ClientError {
    ClientError::NotGiven {
        what: format!("a usable `{path}`"),
        answers,
    }
}

fn refused(what: &str, error: &Error) -> ClientError {
    ClientError::Refused {
        what: what.to_owned(),
        reason: chain(error),
    }
}
