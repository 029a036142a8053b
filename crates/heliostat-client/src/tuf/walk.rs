//! The walk: root chain, timestamp, snapshot, targets, and delegated roles as a search comes to them.
//!
//! Every file goes through the state machine before it is kept. Of several timestamps the newest is taken that leads
//! to a whole state; what leads nowhere leaves no trace in what is trusted.

use bytes::Bytes;
use heliostat_pypi::Sha256;
use jiff::Timestamp;
use sigstore_tuf::{Error, TargetFile};

use super::directory::{MetadataDirectory, encoded};
use super::refusal::{chain, refusal_of};
use super::shown::{Shown, ShownTimestamps, Split};
use super::signed::Pin;
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

/// The file that everything begins with.
pub(crate) const TIMESTAMP: &str = "timestamp.json";

/// Files that have verified, on their way to the disk.
struct Keeping<'a> {
    directory: &'a MetadataDirectory,
    naming: Naming,
    waiting: Vec<(&'static str, Bytes)>,
}

impl Keeping<'_> {
    /// Takes a file that has verified.
    fn take(&mut self, role: &'static str, bytes: Bytes) -> Result<(), ClientError> {
        match self.naming {
            Naming::Any => self.directory.keep_role(role, &bytes),
            Naming::Ours => {
                self.waiting.push((role, bytes));
                Ok(())
            }
        }
    }

    /// Timestamp and snapshot belong together now.
    fn pair(&self) -> Result<(), ClientError> {
        match self.naming {
            Naming::Any => self.directory.raise_floor(),
            Naming::Ours => Ok(()),
        }
    }

    /// All of them have verified.
    fn settle(self) -> Result<(), ClientError> {
        for (role, bytes) in &self.waiting {
            self.directory.keep_role(role, bytes)?;
        }
        match self.naming {
            Naming::Any => Ok(()),
            Naming::Ours => self.directory.raise_floor(),
        }
    }
}

/// What a refresh learnt about the mirrors, beside the state itself.
#[derive(Debug, Default)]
pub(crate) struct Refreshed {
    /// Mirrors that did not confirm the newest timestamp, each with what it did instead.
    pub(crate) doubtful: Answers,
    /// The others, each with the version of its timestamp.
    pub(crate) confirmed: Vec<(String, u64)>,
}

impl Walk<'_> {
    /// What is trusted on the word of `pinned` and of what lies in the directory, without a request. Whatever there
    /// does not verify is as good as not there.
    pub(crate) fn open(&self, pinned: &[u8], name: &str) -> Result<Trusted, ClientError> {
        let unusable = |source| ClientError::PinnedRoot {
            name: name.to_owned(),
            source,
        };
        let trusted = Trusted::from_root(pinned, self.naming).map_err(unusable)?;
        self.open_from(trusted, pinned)
    }

    /// The same where `pinned` has been read already.
    pub(crate) fn open_from(
        &self,
        mut trusted: Trusted,
        pinned: &[u8],
    ) -> Result<Trusted, ClientError> {
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
        let (timestamps, refreshed) = self.ask_timestamps(trusted).await?;
        let mut newest_failed = None;
        for mut shown in timestamps {
            let outcome = self.go_on_with(&mut shown).await;
            if outcome.is_ok() || self.naming == Naming::Any {
                *trusted = shown.trusted;
            }
            match outcome {
                Ok(()) if newest_failed.is_none() => return Ok(refreshed),
                Ok(()) => {
                    tracing::warn!(
                        timestamp = shown.version,
                        newer = newest_failed.as_ref().map(tracing::field::display),
                        "a newer timestamp, signed by the notary's key, leads to no state that can be trusted; the \
                         newest that does is used. If it goes on, the online key may be stolen"
                    );
                    return Ok(refreshed);
                }
                Err(error @ ClientError::Disk { .. }) => return Err(error),
                Err(error) if self.naming == Naming::Any => return Err(error),
                Err(error) => {
                    newest_failed.get_or_insert(error);
                }
            }
        }
        Err(newest_failed.unwrap_or_else(|| not_given(TIMESTAMP, refreshed.doubtful)))
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

    /// Asks all mirrors for their timestamp. Gives those that verify, the newest first, and what the other mirrors did.
    async fn ask_timestamps(
        &self,
        trusted: &Trusted,
    ) -> Result<(Vec<Shown>, Refreshed), ClientError> {
        let mut shown = ShownTimestamps::new(self.naming);
        if let Some(held) = self.directory.role("timestamp")? {
            shown.hold(held.into(), trusted.clone());
        }
        let mut seen: Vec<(MirrorId, u64)> = Vec::new();
        let mut confirming: Vec<(MirrorId, u64)> = Vec::new();
        let former = self.former_root(trusted);
        let Round { failures, .. } = self
            .mirrors
            .everywhere(
                wanted(TIMESTAMP, self.limits.timestamp_bytes_max),
                |id, body| {
                    let mut with_it = trusted.clone();
                    if let Err(error) = with_it.update_timestamp(body, self.now) {
                        if let Error::Rollback { new, .. } = &error {
                            seen.push((id, *new));
                        }
                        return Err(judge_timestamp(&error, body, former.as_ref()));
                    }
                    let version = with_it.timestamp_version().unwrap_or_default();
                    seen.push((id, version));
                    match shown.add(id, body, with_it) {
                        None => {
                            confirming.push((id, version));
                            Ok(Heard::Useful)
                        }
                        Some(split) => Err(self.tell_split(&split)),
                    }
                },
            )
            .await;
        for (id, version) in seen {
            self.mirrors.saw_timestamp(id, version);
        }
        let (shown, split) = shown.in_order();
        let mut failures: Answers = match self.naming {
            Naming::Any => failures,
            Naming::Ours => (failures.into_iter())
                .map(|(mirror, failure)| (mirror, failure.of_the_first()))
                .collect(),
        };
        for (id, split) in split {
            confirming.retain(|(confirming, _)| *confirming != id);
            let failure = Failure::Refused(self.tell_split(&split));
            self.mirrors.note(id, TIMESTAMP, Err(&failure));
            failures.push((self.mirrors.mirror(id).shown().to_owned(), failure));
        }
        if shown.is_empty() {
            return Err(not_given(TIMESTAMP, failures));
        }
        let named = |(id, version)| (self.mirrors.mirror(id).shown().to_owned(), version);
        let refreshed = Refreshed {
            doubtful: failures,
            confirmed: confirming.into_iter().map(named).collect(),
        };
        Ok((shown, refreshed))
    }

    /// Keeps the proof of a split view. The mirrors are not to blame: they carry what somebody signed.
    fn tell_split(&self, split: &Split) -> Refusal {
        self.mirrors
            .keep_proof("timestamp", split.version, &split.documents);
        Refusal {
            attack: Attack::SplitView,
            detail: format!(
                "the notary's key has signed two different timestamps of version {}; `heliostat trust compare` tells more",
                split.version
            ),
            found: Some(Sha256::of(&split.documents[1])),
        }
    }

    /// Brings the roles below a timestamp up to date. For a tree of ours nothing is kept, and so nothing is trusted
    /// from now on, before all of them have verified; any other repository is taken as the specification has it, step
    /// by step.
    async fn go_on_with(&self, shown: &mut Shown) -> Result<(), ClientError> {
        let mut keeping = Keeping {
            directory: self.directory,
            naming: self.naming,
            waiting: Vec::new(),
        };
        if !shown.held {
            keeping.take("timestamp", shown.body.clone())?;
        }
        self.refresh_snapshot(&mut shown.trusted, &mut keeping)
            .await?;
        self.refresh_targets(&mut shown.trusted, &mut keeping)
            .await?;
        keeping.settle()
    }

    fn former_root(&self, trusted: &Trusted) -> Option<Trusted> {
        let former = trusted.root_version().checked_sub(1)?;
        let bytes = self.directory.root(former).ok().flatten()?;
        Trusted::from_root(&bytes, self.naming).ok()
    }

    async fn refresh_snapshot(
        &self,
        trusted: &mut Trusted,
        keeping: &mut Keeping<'_>,
    ) -> Result<(), ClientError> {
        let Some(pin) = trusted.snapshot_pin() else {
            return Err(ClientError::Refused {
                what: "the timestamp".to_owned(),
                reason: "it names no snapshot".to_owned(),
            });
        };
        let held = trusted.pins();
        let before = held.filter(|held| held.version == pin.version).cloned();
        let in_force = (before.as_ref()).is_some_and(|held| held.check_in_force(self.now).is_ok())
            && self.is_pinned_as_held(&pin)?;
        if !in_force {
            let bytes = self
                .fetch_role(
                    trusted.set().root().consistent_snapshot,
                    ("snapshot", pin.version, pin.length_bytes),
                    |body| trusted.update_snapshot(body, self.now),
                )
                .await?;
            let is_split = before
                .zip(trusted.pins())
                .is_some_and(|(before, now)| !now.says_the_same(&before));
            if self.naming == Naming::Ours && is_split {
                self.mirrors
                    .keep_proof("snapshot", pin.version, std::slice::from_ref(&bytes));
                return Err(ClientError::SignedState {
                    what: "the snapshot".to_owned(),
                    attack: Attack::SplitView,
                    shown: Vec::new(),
                    reason: format!(
                        "the notary's key has signed two different snapshots of version {}",
                        pin.version
                    ),
                });
            }
            keeping.take("snapshot", bytes)?;
        }
        keeping.pair()
    }

    async fn refresh_targets(
        &self,
        trusted: &mut Trusted,
        keeping: &mut Keeping<'_>,
    ) -> Result<(), ClientError> {
        if trusted.check_in_force(self.now).is_ok() {
            return Ok(());
        }
        let pin = trusted.pins().and_then(|pins| pins.get("targets"));
        let Some((version, length_bytes)) = pin.map(|pin| (pin.version, pin.length_bytes)) else {
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
        keeping.take("targets", bytes)
    }

    /// Whether the snapshot kept is the very one that the timestamp pins, where it pins more than a version.
    fn is_pinned_as_held(&self, pin: &Pin) -> Result<bool, ClientError> {
        let hashes = pin.hashes.as_ref();
        let Some(pinned) = hashes.and_then(|hashes| hashes.get("sha256")) else {
            return Ok(true);
        };
        if self.naming == Naming::Any {
            return Ok(true);
        }
        let held = self.directory.role("snapshot")?;
        Ok(held.is_some_and(|held| Sha256::of(&held).to_hex() == *pinned))
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
        // The newest files are mostly those of the floor, and then need not be read twice.
        let mut taken = None;
        if let Some((timestamp, snapshot)) = self.directory.floor()? {
            let floor = trusted.update_timestamp(&timestamp, whenever);
            let floor = floor.and_then(|_| trusted.update_snapshot(&snapshot, whenever));
            taken = floor.is_ok().then(|| {
                let digest = |bytes: &[u8]| Sha256::of(bytes);
                (digest(&timestamp), digest(&snapshot))
            });
            note("floor", floor);
        }
        let is_taken = |which: fn((Sha256, Sha256)) -> Sha256, bytes: &[u8]| {
            taken.is_some_and(|taken| which(taken) == Sha256::of(bytes))
        };
        let mut is_newer = false;
        if let Some(bytes) = self.directory.role("timestamp")?
            && !is_taken(|(timestamp, _)| timestamp, &bytes)
        {
            is_newer = true;
            let outcome = trusted.update_timestamp(&bytes, whenever);
            note("timestamp", outcome.map(|_| ()));
        }
        if let Some(bytes) = self.directory.role("snapshot")?
            && (is_newer || !is_taken(|(_, snapshot)| snapshot, &bytes))
        {
            note("snapshot", trusted.update_snapshot(&bytes, whenever));
        }
        if let Some(bytes) = self.directory.role("targets")? {
            note("targets", trusted.update_targets(&bytes, self.now));
        }
        Ok(())
    }
}

/// The version of a timestamp that verifies against what is trusted; one that was seen before will do.
pub(crate) fn judged_timestamp(
    trusted: &Trusted,
    body: &[u8],
    now: Timestamp,
) -> Result<u64, Refusal> {
    let mut with_it = trusted.clone();
    match with_it.update_timestamp(body, now) {
        Ok(_) => Ok(with_it.timestamp_version().unwrap_or_default()),
        Err(error) => Err(refusal_of(&error, body)),
    }
}

pub(crate) const fn wanted(path: &str, limit_bytes: u64) -> Wanted<'_> {
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

/// What is kept, or was taken before, is refused by what is known now.
pub(crate) fn refused(what: &str, error: &Error) -> ClientError {
    let refusal = refusal_of(error, b"");
    let what = what.to_owned();
    if refusal.attack.is_of_signed() {
        return ClientError::SignedState {
            what,
            attack: refusal.attack,
            reason: refusal.detail,
            shown: Vec::new(),
        };
    }
    ClientError::Refused {
        what,
        reason: refusal.to_string(),
    }
}
