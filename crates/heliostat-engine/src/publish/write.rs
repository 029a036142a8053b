//! Carries a publication out: bins, snapshot, timestamp, each on the disk before the next.

use std::collections::BTreeMap;

use heliostat_pypi::Sha256;
use heliostat_store::{MetadataFile, MetadataStep, Places, Publication, RoleState, Store};
use heliostat_trust::bins::Bin;
use heliostat_trust::metadata::{
    Authority, Coverage, Expiry, Metadata, Pin, RoleName, Snapshot, TargetFile, Targets, Timestamp,
    Version,
};
use jiff::{SignedDuration, Timestamp as Instant};

use super::offline::Offline;
use super::plan::{Depth, Plan};
use super::{Notary, Published};
use crate::error::EngineError;

/// Bins made and written at a time, so that signing all of them takes no memory to speak of.
const BINS_AT_ONCE: usize = 256;

pub(super) struct Job<'a> {
    pub(super) store: &'a Store,
    pub(super) notary: &'a Notary,
    pub(super) offline: &'a Offline,
    pub(super) roles: &'a [RoleState],
    pub(super) claim: Option<&'a Coverage>,
    pub(super) now: i64,
}

/// What has been written so far.
#[derive(Default)]
struct Done {
    publication: Publication,
    pins: BTreeMap<RoleName, Pin>,
    /// The versions of what is still to be written, in the order in which it will be.
    versions: std::vec::IntoIter<u64>,
}

impl Done {
    fn next_version(&mut self) -> Result<Version, EngineError> {
        version_of(self.versions.next().unwrap_or(0))
    }
}

impl Job<'_> {
    pub(super) fn carry_out(&self, plan: &Plan, generation: u64) -> Result<Published, EngineError> {
        let mut done = Done {
            pins: self.live_pins()?,
            versions: self.reserve(plan)?,
            ..Done::default()
        };
        self.bins(&plan.bins, Content::Targets, &mut done)?;
        self.bins(&plan.emptied, Content::Nothing, &mut done)?;
        let snapshot = if plan.depth == Depth::Snapshot {
            self.snapshot(&mut done)?
        } else {
            self.live_snapshot()?
        };
        let timestamp = self.timestamp(snapshot, &mut done)?;
        done.publication.generation = generation;
        done.publication.keep_until = (self.now).saturating_add(self.notary.lives.keep.as_secs());
        self.store.note_published(&done.publication)?;
        Ok(Published {
            bins: plan.bins.len() as u64,
            snapshot: snapshot.version.get(),
            timestamp: timestamp.get(),
            swept: 0,
        })
    }

    fn bins(&self, bins: &[Bin], content: Content, done: &mut Done) -> Result<(), EngineError> {
        for bins in bins.chunks(BINS_AT_ONCE) {
            let mut files = Vec::with_capacity(bins.len());
            for bin in bins {
                let version = done.next_version()?;
                let value = Targets {
                    role: bin.role(),
                    version,
                    expires: self.expires(self.notary.lives.bin)?,
                    targets: match content {
                        Content::Targets => self.targets(*bin)?,
                        Content::Nothing => BTreeMap::new(),
                    },
                    delegations: Vec::new(),
                };
                let role = bin.role();
                let file = self.sign(role.as_str(), &self.offline.online, &value, done)?;
                done.pins.insert(role, Pin::version(version));
                files.push(file);
            }
            self.store.write_metadata(MetadataStep::Bins, &files)?;
        }
        Ok(())
    }

    fn targets(&self, bin: Bin) -> Result<BTreeMap<String, TargetFile>, EngineError> {
        let targets = self.store.targets(places(bin))?;
        Ok(targets
            .into_iter()
            .map(|target| {
                let file = TargetFile {
                    sha256: target.sha256,
                    size_bytes: target.size_bytes,
                };
                (format!("simple/{}/index.v1_json", target.project), file)
            })
            .collect())
    }

    fn snapshot(&self, done: &mut Done) -> Result<Pin, EngineError> {
        let version = done.next_version()?;
        let value = Snapshot {
            version,
            expires: self.expires(self.notary.lives.snapshot)?,
            roles: done.pins.clone(),
            coverage: self.claim.cloned(),
        };
        let file = self.sign("snapshot", &self.offline.root.value.snapshot, &value, done)?;
        let pin = Pin::exact(version, &file.bytes);
        self.store.write_metadata(MetadataStep::Snapshot, &[file])?;
        Ok(pin)
    }

    fn timestamp(&self, snapshot: Pin, done: &mut Done) -> Result<Version, EngineError> {
        let version = done.next_version()?;
        let value = Timestamp {
            version,
            expires: self.expires(self.notary.lives.timestamp)?,
            snapshot,
            signed_at: Instant::from_second(self.now).ok(),
        };
        let authority = &self.offline.root.value.timestamp;
        let mut file = self.sign("timestamp", authority, &value, done)?;
        "timestamp.json".clone_into(&mut file.name);
        self.store
            .write_metadata(MetadataStep::Timestamp, &[file])?;
        Ok(version)
    }

    /// Signs a role's new version and notes it, and what it replaces.
    fn sign<T: Metadata>(
        &self,
        role: &str,
        authority: &Authority,
        value: &T,
        done: &mut Done,
    ) -> Result<MetadataFile, EngineError> {
        let bytes = self.notary.sign(role, authority, value.unsigned())?;
        let version = value.version().get();
        if let Some(old) = self.live(role)
            && role != "timestamp"
        {
            done.publication
                .replaced
                .push(format!("{}.{role}.json", old.version));
        }
        done.publication.roles.push(RoleState {
            name: role.to_owned(),
            version,
            signed_at: self.now,
            expires_at: value.expires().instant().as_second(),
            size_bytes: bytes.len() as u64,
            sha256: Sha256::of(&bytes),
        });
        Ok(MetadataFile {
            name: format!("{version}.{role}.json"),
            bytes,
        })
    }

    /// The targets roles that the live snapshot names, and those that people signed.
    fn live_pins(&self) -> Result<BTreeMap<RoleName, Pin>, EngineError> {
        let mut pins = BTreeMap::new();
        for role in self.roles {
            if role.name.starts_with("bin-") {
                let version = version_of(role.version)?;
                pins.insert(role.name.parse()?, Pin::version(version));
            }
        }
        let offline = self.offline;
        pins.insert(
            RoleName::targets(),
            Pin::version(offline.targets.value.version),
        );
        pins.insert(RoleName::bins(), Pin::version(offline.bins_version));
        Ok(pins)
    }

    fn live_snapshot(&self) -> Result<Pin, EngineError> {
        let Some(role) = self.live("snapshot") else {
            return Err(EngineError::Metadata {
                file: "tuf/N.snapshot.json".to_owned(),
                reason: "there is none yet".to_owned(),
            });
        };
        Ok(Pin {
            version: version_of(role.version)?,
            file: Some(TargetFile {
                sha256: role.sha256,
                size_bytes: role.size_bytes,
            }),
        })
    }

    fn live(&self, name: &str) -> Option<&RoleState> {
        // Sorted by name, as the catalog tells them.
        self.roles
            .binary_search_by(|role| role.name.as_str().cmp(name))
            .ok()
            .map(|index| &self.roles[index])
    }

    /// Gives out the versions of everything that will be written, in that order and at once: each time is a wait for
    /// the disk.
    fn reserve(&self, plan: &Plan) -> Result<std::vec::IntoIter<u64>, EngineError> {
        let bins = plan.bins.iter().chain(&plan.emptied);
        let mut names: Vec<String> = bins.map(|bin| bin.role().to_string()).collect();
        if plan.depth == Depth::Snapshot {
            names.push("snapshot".to_owned());
        }
        names.push("timestamp".to_owned());
        Ok(self.store.reserve_versions(&names)?.into_iter())
    }

    fn expires(&self, life: SignedDuration) -> Result<Expiry, EngineError> {
        let now = Instant::from_second(self.now).unwrap_or(Instant::UNIX_EPOCH);
        Ok(Expiry::after(now, life)?)
    }
}

/// What is put into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Targets,
    Nothing,
}

fn version_of(number: u64) -> Result<Version, EngineError> {
    Version::new(number).ok_or_else(|| EngineError::Metadata {
        file: "the catalog's table of roles".to_owned(),
        reason: "a version is 0".to_owned(),
    })
}

/// The places that a bin covers.
fn places(bin: Bin) -> Places {
    let bits = bin.count().get().trailing_zeros();
    if bits == 0 {
        return Places {
            first: 0,
            last: u32::MAX,
        };
    }
    let first = bin.index() << (32 - bits);
    Places {
        first,
        last: first | (u32::MAX >> bits),
    }
}
