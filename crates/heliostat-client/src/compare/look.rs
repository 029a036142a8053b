//! One source, read and verified from the root.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use heliostat_trust::metadata::{Authority, RoleName, Signed, Targets};
use jiff::Timestamp;

use super::judge::Document;
use super::{Source, View};
use crate::failure::Failure;
use crate::mirrors::{Base, Mirror, Wanted};
use crate::tuf::{MetadataDirectory, Naming, Needed, Trusted, encoded};
use crate::{ClientError, Limits, Transport, disk};

/// A source whose state has verified, down to the role that delegates to bins.
pub(super) struct Look {
    reader: Reader,
    shown: String,
    trusted: Trusted,
    /// Roots, timestamp, snapshot, `targets` and `bins`.
    pub(super) heads: Vec<Document>,
    /// Who signs each bin.
    authorities: BTreeMap<String, Authority>,
}

/// Reads metadata files.
struct Reader {
    source: Reading,
    limits: MetadataDirectory,
    roots_max: u64,
}

enum Reading {
    Mirror(Box<Mirror>),
    Directory(std::path::PathBuf),
}

/// However old a state is, it was signed.
const WHENEVER: Timestamp = Timestamp::UNIX_EPOCH;

impl Look {
    /// Reads and verifies what a source shows.
    pub(super) async fn begin(
        root: &[u8],
        source: &Source,
        transport: &Transport,
        limits: &Limits,
    ) -> Result<Self, ClientError> {
        let pinned = |source| ClientError::PinnedRoot {
            name: "--root".to_owned(),
            source,
        };
        let mut look = Self {
            shown: match source {
                Source::Mirror(url) => heliostat_upstream::redacted(url),
                Source::Directory(path) => path.display().to_string(),
            },
            reader: Reader::new(source, transport, limits)?,
            trusted: Trusted::from_root(root, Naming::Ours).map_err(pinned)?,
            heads: Vec::new(),
            authorities: BTreeMap::new(),
        };
        look.roots().await?;
        let bytes = look.wanted("timestamp", None).await?;
        let taken = look.trusted.update_timestamp(&bytes, WHENEVER).map(|_| ());
        look.take("timestamp", look.trusted.timestamp_version(), bytes, taken)?;
        let version = look.trusted.snapshot_pin().map(|pin| pin.version);
        let bytes = look.wanted("snapshot", version).await?;
        let taken = look.trusted.update_snapshot(&bytes, WHENEVER);
        look.take("snapshot", version, bytes, taken)?;
        let version = look.pins().get("targets").copied();
        let bytes = look.wanted("targets", version).await?;
        let taken = look.trusted.update_targets(&bytes, WHENEVER);
        look.take("targets", version, bytes, taken)?;
        look.delegations().await?;
        Ok(look)
    }

    /// What it showed.
    pub(super) fn view(&self) -> View {
        View {
            source: self.shown.clone(),
            root: self.trusted.root_version(),
            timestamp: self.trusted.timestamp_version().unwrap_or_default(),
            snapshot: self.trusted.snapshot_version().unwrap_or_default(),
        }
    }

    /// The version of every role that its snapshot pins.
    pub(super) fn pins(&self) -> BTreeMap<String, u64> {
        let pins = self.trusted.pins().into_iter();
        pins.flat_map(|pins| pins.versions())
            .map(|(role, version)| (role.to_owned(), version))
            .collect()
    }

    /// The bins that are delegated to, each at its version.
    pub(super) fn bins(&self) -> Vec<(String, u64)> {
        let pins = self.pins().into_iter();
        pins.filter(|(role, _)| self.authorities.contains_key(role))
            .collect()
    }

    /// The keys that sign an online role under its newest root, as text; none for roles that people sign, whose
    /// versions never begin again.
    pub(super) fn keys_of(&self, role: &str) -> String {
        let online = ["timestamp", "snapshot"].contains(&role);
        let role = self.trusted.set().root().role(role).filter(|_| online);
        let mut keys = role.map(|role| role.keyids.clone()).unwrap_or_default();
        keys.sort();
        keys.join(" ")
    }

    /// A bin's file, verified; `None` where a saved state has not looked at it.
    pub(super) async fn bin(&self, role: &str, version: u64) -> Result<Option<Bytes>, ClientError> {
        let Some(bytes) = self.reader.read(&self.shown, role, Some(version)).await? else {
            return match self.reader.source {
                Reading::Mirror(_) => Err(self.missing(role)),
                Reading::Directory(_) => Ok(None),
            };
        };
        let refused = |reason: String| self.refused(role, &reason);
        let file = Signed::<Targets>::read(&bytes).map_err(|error| refused(error.to_string()))?;
        // A saved state keeps the newest version that it has seen of a bin, which may be an older one.
        if file.value.version.get() != version || file.value.role.as_str() != role {
            return match self.reader.source {
                Reading::Mirror(_) => Err(refused("it is another role or version".to_owned())),
                Reading::Directory(_) => Ok(None),
            };
        }
        let authority = self.authorities.get(role);
        let authority = authority.ok_or_else(|| refused("nobody delegates to it".to_owned()))?;
        authority
            .check(role, &file.canonical, &file.signatures)
            .map_err(|error| refused(error.to_string()))?;
        Ok(Some(bytes))
    }

    async fn roots(&mut self) -> Result<(), ClientError> {
        let first = self.trusted.root_version();
        for version in first + 1..=first.saturating_add(self.reader.roots_max) {
            let read = self.reader.read(&self.shown, "root", Some(version)).await?;
            let Some(bytes) = read else { break };
            let taken = self.trusted.update_root(&bytes);
            self.take("root", Some(version), bytes, taken)?;
        }
        Ok(())
    }

    async fn delegations(&mut self) -> Result<(), ClientError> {
        let bins = RoleName::bins();
        let Some(version) = self.pins().get(bins.as_str()).copied() else {
            return Ok(());
        };
        let bytes = self.wanted(bins.as_str(), Some(version)).await?;
        let needed = Needed {
            role: bins.to_string(),
            delegator: "targets".to_owned(),
            version,
            length_bytes: None,
        };
        let taken = self.trusted.update_delegated(&bytes, &needed, WHENEVER);
        let file = Signed::<Targets>::read(&bytes);
        self.take(bins.as_str(), Some(version), bytes, taken)?;
        let file = file.map_err(|error| self.refused(bins.as_str(), &error.to_string()))?;
        let delegations = file.value.delegations.into_iter();
        self.authorities = delegations
            .map(|bin| (bin.name.to_string(), bin.authority))
            .collect();
        Ok(())
    }

    async fn wanted(&self, role: &str, version: Option<u64>) -> Result<Bytes, ClientError> {
        let read = self.reader.read(&self.shown, role, version).await?;
        read.ok_or_else(|| self.missing(role))
    }

    /// Takes note of a document that was accepted.
    fn take(
        &mut self,
        role: &str,
        version: Option<u64>,
        bytes: Bytes,
        taken: Result<(), sigstore_tuf::Error>,
    ) -> Result<(), ClientError> {
        taken.map_err(|error| self.refused(role, &error.to_string()))?;
        self.heads.push(Document {
            source: self.shown.clone(),
            role: role.to_owned(),
            version: version.unwrap_or_default(),
            bytes,
        });
        Ok(())
    }

    fn missing(&self, role: &str) -> ClientError {
        ClientError::NotGiven {
            what: format!("the role `{role}`"),
            answers: vec![(self.shown.clone(), Failure::Missing { status: 404 })],
        }
    }

    fn refused(&self, role: &str, reason: &str) -> ClientError {
        ClientError::Refused {
            what: format!("the role `{role}` of {}", self.shown),
            reason: reason.to_owned(),
        }
    }
}

impl Reader {
    fn new(source: &Source, transport: &Transport, limits: &Limits) -> Result<Self, ClientError> {
        let (source, directory) = match source {
            Source::Mirror(url) => {
                let mirror = Mirror::new(url, transport, limits).prepared()?;
                (Reading::Mirror(Box::new(mirror)), Path::new("").to_owned())
            }
            Source::Directory(path) => {
                let tuf = path.join("tuf");
                (Reading::Directory(tuf.clone()), tuf)
            }
        };
        Ok(Self {
            source,
            limits: MetadataDirectory::new(directory, limits),
            roots_max: limits.root_rotations_max,
        })
    }

    /// The file of a role; `None` where the source says that it has none.
    async fn read(
        &self,
        shown: &str,
        role: &str,
        version: Option<u64>,
    ) -> Result<Option<Bytes>, ClientError> {
        let limit_bytes = self.limits.limit(role);
        let name = encoded(role);
        let path = version.map_or_else(
            || format!("{name}.json"),
            |version| format!("{version}.{name}.json"),
        );
        let mirror = match &self.source {
            Reading::Mirror(mirror) => mirror,
            Reading::Directory(tuf) => {
                // A tree has every version by its number, a proxy's state the newest of each role, and its roots.
                let places = match role {
                    "root" => vec![path.clone(), format!("roots/{path}")],
                    _ => vec![path.clone(), format!("{name}.json")],
                };
                for place in places {
                    if let Some(bytes) = disk::read(&tuf.join(place), limit_bytes)? {
                        return Ok(Some(bytes.into()));
                    }
                }
                return Ok(None);
            }
        };
        let wanted = Wanted {
            base: Base::Metadata,
            path: &path,
            limit_bytes,
        };
        match mirror
            .get(wanted, self.limits.limits())
            .await
            .map_err(Failure::of)
        {
            Ok(plain) => Ok(Some(plain.body)),
            Err(Failure::Missing { .. }) => Ok(None),
            Err(failure) => Err(ClientError::NotGiven {
                what: format!("`{path}`"),
                answers: vec![(shown.to_owned(), failure)],
            }),
        }
    }
}
