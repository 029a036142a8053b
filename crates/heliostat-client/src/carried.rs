//! What one tree carries of a notary's signed state, verified over bytes that the caller had from it: for whoever looks
//! at a mirror instead of taking from it, with connections of their own.
//!
//! Pure. A state is verified whatever its age: that a mirror is late is no lie, and is told apart.

use bytes::Bytes;
use heliostat_pypi::{ProjectName, Sha256};
use jiff::Timestamp;

use crate::Limits;
use crate::tuf::{Naming, Step, Trusted, encoded, refusal_of};

/// However old a state is, it was signed.
const WHENEVER: Timestamp = Timestamp::UNIX_EPOCH;

/// The signed state that one tree carries, as far as its files were given.
#[derive(Debug, Clone)]
pub struct Carried {
    trusted: Trusted,
    /// The newest state that is known, of which roles that both name need not be had again.
    newest: Trusted,
    limits: Limits,
    /// Version and end of the timestamp that the tree has.
    timestamp: Option<(u64, Timestamp)>,
    documents: Vec<(String, Bytes)>,
}

/// A file of metadata that the tree must give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedFile {
    /// Where it is, below the tree's root.
    pub path: String,
    /// The largest that it may be.
    pub limit_bytes: u64,
}

/// What the state that a tree carries says of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CarriedPage {
    /// The digest of its page.
    Signed(Sha256),
    /// Nothing.
    Absent,
    /// Nothing before this file was given.
    Need(CarriedFile),
}

impl Carried {
    /// Nothing of a tree yet. `newest` is a whole state, whose root everything is checked against.
    pub(crate) fn new(newest: Trusted, limits: &Limits) -> Result<Self, sigstore_tuf::Error> {
        Ok(Self {
            trusted: Trusted::from_root(newest.set().root_bytes(), Naming::Ours)?,
            newest,
            limits: limits.clone(),
            timestamp: None,
            documents: Vec::new(),
        })
    }

    /// The version of its timestamp and the end of that, once it was given.
    pub const fn timestamp(&self) -> Option<(u64, Timestamp)> {
        self.timestamp
    }

    /// The version of the snapshot that its timestamp names, and of the newest one that is known.
    pub fn snapshots(&self) -> (Option<u64>, Option<u64>) {
        (
            pinned_snapshot(&self.trusted),
            self.newest.snapshot_version(),
        )
    }

    /// The files that were given and have verified, by their path; none where the state is the newest that is known.
    pub fn documents(&self) -> &[(String, Bytes)] {
        &self.documents
    }

    /// Where everything begins.
    pub fn timestamp_file(&self) -> CarriedFile {
        CarriedFile {
            path: "tuf/timestamp.json".to_owned(),
            limit_bytes: self.limits.timestamp_bytes_max,
        }
    }

    /// What it says of a project's page, or the file that it takes to know.
    ///
    /// # Errors
    /// What is wrong with the state, in words.
    pub fn page(&mut self, project: &ProjectName) -> Result<CarriedPage, String> {
        if let Some(file) = self.wanted() {
            return Ok(CarriedPage::Need(file));
        }
        let path = format!("simple/{project}/index.v1_json");
        let step = self
            .trusted
            .resolve(&path, self.limits.delegations_max, WHENEVER)
            .map_err(|error| refusal_of(&error, b"").to_string())?;
        match step {
            Step::Need(needed) => Ok(CarriedPage::Need(self.role(&needed.role, needed.version))),
            Step::Absent => Ok(CarriedPage::Absent),
            Step::Found(target) => {
                let digest = target.hashes.get("sha256").and_then(|hex| hex.parse().ok());
                digest
                    .map(CarriedPage::Signed)
                    .ok_or_else(|| format!("it signs no sha256 for `{path}`"))
            }
        }
    }

    /// Takes the file that [`Self::page`] asked for last, for the same project.
    ///
    /// # Errors
    /// Why it is refused, in words.
    pub fn take(&mut self, project: &ProjectName, body: &Bytes) -> Result<(), String> {
        let refused = |error: &sigstore_tuf::Error| refusal_of(error, body).to_string();
        let CarriedPage::Need(file) = self.page(project)? else {
            return Ok(());
        };
        if self.timestamp.is_none() {
            let taken = self.trusted.update_timestamp(body, WHENEVER);
            taken.map_err(|error| refused(&error))?;
            let timestamp = self.trusted.set().timestamp();
            self.timestamp = timestamp.map(|timestamp| (timestamp.version, timestamp.expires));
            self.documents.push((file.path, body.clone()));
            self.take_newest();
            return Ok(());
        }
        let taken = if self.trusted.pins().is_none() {
            self.trusted.update_snapshot(body, WHENEVER)
        } else if !self.trusted.is_complete() {
            let taken = self.trusted.update_targets(body, WHENEVER);
            self.trusted.take_over(&self.newest);
            taken
        } else {
            let path = format!("simple/{project}/index.v1_json");
            let step = self
                .trusted
                .resolve(&path, self.limits.delegations_max, WHENEVER);
            match step {
                Ok(Step::Need(needed)) => self.trusted.update_delegated(body, &needed, WHENEVER),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            }
        };
        taken.map_err(|error| refused(&error))?;
        self.documents.push((file.path, body.clone()));
        Ok(())
    }

    /// Where both pin the same snapshot, all of it is known already.
    fn take_newest(&mut self) {
        if self.newest.is_complete() && self.trusted.snapshot_pin() == self.newest.snapshot_pin() {
            self.trusted = self.newest.clone();
            self.documents.clear();
        }
    }

    /// The next file of the top-level roles.
    fn wanted(&self) -> Option<CarriedFile> {
        if self.timestamp.is_none() {
            return Some(self.timestamp_file());
        }
        let Some(pins) = self.trusted.pins() else {
            let version = pinned_snapshot(&self.trusted).unwrap_or_default();
            return Some(self.role("snapshot", version));
        };
        if self.trusted.is_complete() {
            return None;
        }
        let pin = pins.get("targets");
        Some(self.role("targets", pin.map_or(0, |pin| pin.version)))
    }

    fn role(&self, role: &str, version: u64) -> CarriedFile {
        CarriedFile {
            path: format!("tuf/{version}.{}.json", encoded(role)),
            limit_bytes: match role {
                "snapshot" => self.limits.snapshot_bytes_max,
                _ => self.limits.targets_bytes_max,
            },
        }
    }
}

fn pinned_snapshot(trusted: &Trusted) -> Option<u64> {
    trusted.snapshot_pin().map(|pin| pin.version)
}
