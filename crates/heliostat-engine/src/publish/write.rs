//! Carries a publication out: bins, snapshot, timestamp, each on the disk before the next.

use std::collections::BTreeMap;

use heliostat_pypi::Sha256;
use heliostat_store::{MetadataFile, MetadataStep, Places, Publication, RoleState, Store};
use heliostat_trust::bins::Bin;
use heliostat_trust::metadata::{
    Authority, Coverage, Expiry, Metadata, Pin, RoleName, Root, Snapshot, TargetFile, Targets,
    Timestamp, Version,
};
use jiff::{SignedDuration, Timestamp as Instant};

use super::offline::Offline;
use super::plan::{Depth, Plan};
use super::waiting::Waiting;
use super::{Notary, Published};
use crate::error::EngineError;

/// Bins made and written at a time, so that signing all of them takes no memory to speak of.
const BINS_AT_ONCE: usize = 256;

pub(super) struct Job<'a> {
    pub(super) store: &'a Store,
    pub(super) notary: &'a Notary,
    pub(super) offline: &'a Offline,
    pub(super) roles: &'a [RoleState],
    /// What people signed and clients see with this publication for the first time.
    pub(super) shows: Option<&'a Shows>,
    pub(super) claim: Option<&'a Coverage>,
    pub(super) now: i64,
}

/// What waited until now, and the root that it follows.
pub(super) struct Shows {
    pub(super) waiting: Waiting,
    pub(super) before: Root,
    /// Whether clients that do not know the new root yet can go on with what is signed under it: its timestamp and its
    /// snapshot carry the signatures of the keys before too.
    pub(super) bridges: bool,
}

/// What has been signed so far.
#[derive(Default)]
struct Done {
    publication: Publication,
    pins: BTreeMap<RoleName, Pin>,
    /// The versions of what is still to be signed, in the order in which it will be.
    versions: std::vec::IntoIter<u64>,
}

impl Done {
    fn next_version(&mut self) -> Result<Version, EngineError> {
        version_of(self.versions.next().unwrap_or(0))
    }
}

/// A bin to be signed.
type Filled = (Bin, Content);

/// What stands above the bins.
struct Top {
    /// Where it is a new one.
    snapshot: Option<MetadataFile>,
    pin: Pin,
    timestamp: MetadataFile,
    version: Version,
}

impl Job<'_> {
    /// Signs and writes. A version is given out once everything that is to have one now has been signed, and before any
    /// of it is written: a signature that fails uses none up, and no two files ever share one.
    pub(super) fn carry_out(&self, plan: &Plan, generation: u64) -> Result<Published, EngineError> {
        let filled = plan.bins.iter().map(|bin| (*bin, Content::Targets));
        let emptied = plan.emptied.iter().map(|bin| (*bin, Content::Nothing));
        let mut bins = filled.chain(emptied).peekable();
        let mut done = Done {
            pins: self.live_pins()?,
            ..Done::default()
        };
        let top = loop {
            let now: Vec<Filled> = bins.by_ref().take(BINS_AT_ONCE).collect();
            let mut names: Vec<String> =
                now.iter().map(|(bin, _)| bin.role().to_string()).collect();
            let is_last = bins.peek().is_none();
            if is_last {
                let snapshot = (plan.depth == Depth::Snapshot).then(|| "snapshot".to_owned());
                names.extend(snapshot);
                names.push("timestamp".to_owned());
            }
            done.versions = self.store.next_versions(&names)?.into_iter();
            let files = self.bins(&now, &mut done)?;
            let top = is_last.then(|| self.top(plan, &mut done)).transpose()?;
            self.store.reserve_versions(&names)?;
            self.store.write_metadata(MetadataStep::Bins, &files)?;
            if let Some(top) = top {
                break top;
            }
        };
        let (snapshot, timestamp) = (top.pin.version.get(), top.version.get());
        self.write_top(top, &mut done)?;
        done.publication.generation = generation;
        done.publication.keep_until = (self.now).saturating_add(self.notary.lives.keep.as_secs());
        self.store.note_published(&done.publication)?;
        Ok(Published {
            bins: plan.bins.len() as u64,
            snapshot,
            timestamp,
            swept: 0,
        })
    }

    fn bins(&self, bins: &[Filled], done: &mut Done) -> Result<Vec<MetadataFile>, EngineError> {
        let mut files = Vec::with_capacity(bins.len());
        for (bin, content) in bins {
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
            files.push(self.sign(role.as_str(), &[&self.offline.online], &value, done)?);
            done.pins.insert(role, Pin::version(version));
        }
        Ok(files)
    }

    fn top(&self, plan: &Plan, done: &mut Done) -> Result<Top, EngineError> {
        let (snapshot, pin) = if plan.depth == Depth::Snapshot {
            let (file, pin) = self.snapshot(done)?;
            (Some(file), pin)
        } else {
            (None, self.live_snapshot()?)
        };
        let (timestamp, version) = self.timestamp(pin, done)?;
        Ok(Top {
            snapshot,
            pin,
            timestamp,
            version,
        })
    }

    /// Writes the snapshot, then what makes it count. A new root and the timestamp under it go in one step: whoever
    /// comes between the two renames, and whoever had asked for the root just before and asks for the timestamp just
    /// after, is refused once, unless the timestamp carries the signatures of both; then it goes first, and nobody is.
    fn write_top(&self, top: Top, done: &mut Done) -> Result<(), EngineError> {
        if let Some(snapshot) = top.snapshot {
            self.store
                .write_metadata(MetadataStep::Snapshot, &[snapshot])?;
        }
        let mut last = vec![top.timestamp];
        if let Some(shows) = self.shows {
            let at = usize::from(shows.bridges);
            last.splice(at..at, shows.waiting.root_files());
            done.publication.roles.extend(shows.waiting.roles.clone());
            (done.publication.replaced).extend(shows.waiting.replaced(self.roles));
        }
        Ok(self.store.write_metadata(MetadataStep::Timestamp, &last)?)
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

    fn snapshot(&self, done: &mut Done) -> Result<(MetadataFile, Pin), EngineError> {
        let version = done.next_version()?;
        let value = Snapshot {
            version,
            expires: self.expires(self.notary.lives.snapshot)?,
            roles: done.pins.clone(),
            coverage: self.claim.cloned(),
        };
        let authorities = self.authorities(|root| &root.snapshot);
        let file = self.sign("snapshot", &authorities, &value, done)?;
        let pin = Pin::exact(version, &file.bytes);
        Ok((file, pin))
    }

    fn timestamp(
        &self,
        snapshot: Pin,
        done: &mut Done,
    ) -> Result<(MetadataFile, Version), EngineError> {
        let version = done.next_version()?;
        let value = Timestamp {
            version,
            expires: self.expires(self.notary.lives.timestamp)?,
            snapshot,
            signed_at: Instant::from_second(self.now).ok(),
        };
        let authorities = self.authorities(|root| &root.timestamp);
        let mut file = self.sign("timestamp", &authorities, &value, done)?;
        "timestamp.json".clone_into(&mut file.name);
        Ok((file, version))
    }

    /// Who signs a role of the root: those of today, and those before where both are to be believed.
    fn authorities(&self, of: fn(&Root) -> &Authority) -> Vec<&Authority> {
        let before = self.shows.filter(|shows| shows.bridges);
        [&self.offline.root.value]
            .into_iter()
            .chain(before.map(|shows| &shows.before))
            .map(of)
            .collect()
    }

    /// Signs a role's new version and notes it, and what it replaces.
    fn sign<T: Metadata>(
        &self,
        role: &str,
        authorities: &[&Authority],
        value: &T,
        done: &mut Done,
    ) -> Result<MetadataFile, EngineError> {
        let bytes = self.notary.sign(role, authorities, value.unsigned())?;
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
