//! The four kinds of metadata as values, and how each is written.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp as Instant;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::canonical::canonical;
use super::{
    Authority, Coverage, Expiry, Pin, RoleName, SPEC_VERSION, TargetFile, Unsigned, Version,
};
use crate::error::TrustError;
use crate::keys::PublicKey;

/// What every kind of metadata has. Sealed: TUF has four kinds.
pub trait Metadata: Serialize + Sized + sealed::Readable {
    /// TUF's `_type`.
    const TYPE: &'static str;

    /// Its version.
    fn version(&self) -> Version;

    /// When it ends to be valid.
    fn expires(&self) -> Expiry;

    /// Its canonical bytes, ready to be signed.
    fn unsigned(&self) -> Unsigned {
        let canonical = canonical(self);
        // The two differ in how they write control characters, and in nothing else.
        let json = (canonical.iter())
            .any(u8::is_ascii_control)
            .then(|| serde_json::to_vec(self).expect("strings and integers"));
        Unsigned::new(canonical, json)
    }
}

pub(crate) mod sealed {
    use crate::error::TrustError;

    /// Can be read back from what `sigstore-tuf` parsed.
    pub trait Readable: Sized {
        /// The parsed form.
        type Parsed: sigstore_tuf::Role;

        /// As a value of ours.
        fn from_parsed(parsed: &Self::Parsed) -> Result<Self, TrustError>;
    }
}

/// Who may sign what: the anchor of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its version; each is signed by the one before.
    pub version: Version,
    /// When a newer one must have come.
    pub expires: Expiry,
    /// Who signs the next root.
    pub root: Authority,
    /// Who says which roles there are: people, offline.
    pub targets: Authority,
    /// Who says what is current: the notary's online key.
    pub snapshot: Authority,
    /// Who says that it still is: the notary's online key.
    pub timestamp: Authority,
}

/// What is there, and who else may say so: the top-level role, `bins`, and each bin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// Its own name, which is signed with it. TUF does not say of which role a file is, so that a mirror could serve
    /// one bin's file as another's of the same version, and every target of that would seem not to exist.
    pub role: RoleName,
    /// Its version.
    pub version: Version,
    /// When a newer one must have come.
    pub expires: Expiry,
    /// Paths below the tree, and what they are.
    pub targets: BTreeMap<String, TargetFile>,
    /// Roles that may say more, in the order in which they are asked.
    pub delegations: Vec<Delegation>,
}

/// One role that a targets role delegates to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The role's name.
    pub name: RoleName,
    /// Who signs it.
    pub authority: Authority,
    /// For which paths.
    pub scope: Scope,
    /// Whether roles further down the list are not asked about these paths.
    pub terminating: bool,
}

/// For which target paths a delegation holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Shell patterns; `*` stays within one segment.
    Paths(Vec<String>),
    /// Starts of the SHA-256 of the path, in hexadecimal.
    HashPrefixes(Vec<String>),
}

/// Which version of every targets role belongs to one state of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its version.
    pub version: Version,
    /// When a newer one must have come.
    pub expires: Expiry,
    /// Every role with its version. A role that was named once is never left out again (specification 5.5.4).
    pub roles: BTreeMap<RoleName, Pin>,
    /// What the tree claims to hold.
    pub coverage: Option<Coverage>,
}

/// Which snapshot is current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// Its version.
    pub version: Version,
    /// When a newer one must have come.
    pub expires: Expiry,
    /// The snapshot.
    pub snapshot: Pin,
    /// When this was signed, to the second. TUF has only an expiry, which does not tell a client that wants to be more
    /// careful than the notary how old a state is.
    pub signed_at: Option<Instant>,
}

impl Snapshot {
    /// With every role that an earlier snapshot named and this one does not, at its last version: clients refuse a
    /// snapshot that leaves out a role they know (specification 5.5.4). After a re-binning these are the old bins.
    #[must_use]
    pub fn carrying_on(mut self, earlier: &Self) -> Self {
        for (name, pin) in &earlier.roles {
            let pin = Pin::version(pin.version);
            self.roles.entry(name.clone()).or_insert(pin);
        }
        self
    }
}

impl Root {
    /// The four roles by name, in the order in which they are written.
    pub fn roles(&self) -> [(&'static str, &Authority); 4] {
        [
            ("root", &self.root),
            ("snapshot", &self.snapshot),
            ("targets", &self.targets),
            ("timestamp", &self.timestamp),
        ]
    }

    /// The name of its file: `3.root.json`.
    pub fn file(&self) -> String {
        format!("{}.root.json", self.version)
    }
}

impl Metadata for Root {
    const TYPE: &'static str = "root";

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> Expiry {
        self.expires
    }
}

impl Serialize for Root {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let roles: BTreeMap<_, _> = self
            .roles()
            .map(|(name, authority)| (name, authority.role_keys()))
            .into();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_type", Self::TYPE)?;
        map.serialize_entry("consistent_snapshot", &true)?;
        map.serialize_entry("expires", &self.expires)?;
        map.serialize_entry("keys", &keys(self.roles().map(|(_, authority)| authority)))?;
        map.serialize_entry("roles", &roles)?;
        map.serialize_entry("spec_version", SPEC_VERSION)?;
        map.serialize_entry("version", &self.version)?;
        serialize_labels(&mut map, self.roles().map(|(_, authority)| authority))?;
        map.end()
    }
}

impl Targets {
    /// The name of its file: `3.bins.json`.
    pub fn file(&self) -> String {
        self.role.file(self.version)
    }

    /// Refuses two delegations of one name, which clients tell apart by nothing.
    ///
    /// # Errors
    /// [`TrustError::RoleName`].
    pub fn check_names(&self) -> Result<(), TrustError> {
        let mut seen = BTreeSet::new();
        self.delegations
            .iter()
            .find(|delegation| !seen.insert(&delegation.name))
            .map_or(Ok(()), |twice| {
                Err(TrustError::RoleName(twice.name.to_string()))
            })
    }
}

impl Metadata for Targets {
    const TYPE: &'static str = "targets";

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> Expiry {
        self.expires
    }
}

impl Serialize for Targets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Delegations<'a> {
            keys: BTreeMap<String, PublicKey>,
            roles: &'a [Delegation],
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_type", Self::TYPE)?;
        if !self.delegations.is_empty() {
            let delegations = Delegations {
                keys: keys(self.delegations.iter().map(|one| &one.authority)),
                roles: &self.delegations,
            };
            map.serialize_entry("delegations", &delegations)?;
        }
        map.serialize_entry("expires", &self.expires)?;
        map.serialize_entry("spec_version", SPEC_VERSION)?;
        map.serialize_entry("targets", &self.targets)?;
        map.serialize_entry("version", &self.version)?;
        serialize_labels(&mut map, self.delegations.iter().map(|one| &one.authority))?;
        map.serialize_entry(super::ROLE_FIELD, &self.role)?;
        map.end()
    }
}

impl Serialize for Delegation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("keyids", &self.authority.key_ids())?;
        map.serialize_entry("name", &self.name)?;
        match &self.scope {
            Scope::Paths(patterns) => map.serialize_entry("paths", patterns)?,
            Scope::HashPrefixes(prefixes) => {
                map.serialize_entry("path_hash_prefixes", prefixes)?;
            }
        }
        map.serialize_entry("terminating", &self.terminating)?;
        map.serialize_entry("threshold", &self.authority.threshold())?;
        map.end()
    }
}

impl Metadata for Snapshot {
    const TYPE: &'static str = "snapshot";

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> Expiry {
        self.expires
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // By file name, as the names sort: `bin-1.json` comes before `bin-1-0.json`, `bin-1` after.
        let files: BTreeMap<String, &Pin> = self
            .roles
            .iter()
            .map(|(name, pin)| (format!("{name}.json"), pin))
            .collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_type", Self::TYPE)?;
        map.serialize_entry("expires", &self.expires)?;
        map.serialize_entry("meta", &files)?;
        map.serialize_entry("spec_version", SPEC_VERSION)?;
        map.serialize_entry("version", &self.version)?;
        if let Some(coverage) = &self.coverage {
            map.serialize_entry(super::EXTENSION_FIELD, coverage)?;
        }
        map.end()
    }
}

impl Metadata for Timestamp {
    const TYPE: &'static str = "timestamp";

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> Expiry {
        self.expires
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_type", Self::TYPE)?;
        map.serialize_entry("expires", &self.expires)?;
        map.serialize_entry("meta", &BTreeMap::from([("snapshot.json", &self.snapshot)]))?;
        map.serialize_entry("spec_version", SPEC_VERSION)?;
        map.serialize_entry("version", &self.version)?;
        if let Some(signed_at) = self.signed_at {
            map.serialize_entry(super::EXTENSION_FIELD, &Signing::at(signed_at))?;
        }
        map.end()
    }
}

impl Timestamp {
    /// When a verified timestamp was signed, from its field `x-heliostat`. Nothing where there is none, or it is of a
    /// later format.
    pub fn signed_at(extension: &serde_json::Value) -> Option<Instant> {
        let signing: Signing = serde::Deserialize::deserialize(extension).ok()?;
        (signing.format == Signing::FORMAT).then(|| whole_seconds(signing.signed))
    }
}

/// The field `x-heliostat` of the timestamp.
#[derive(Serialize, serde::Deserialize)]
struct Signing {
    format: u64,
    signed: Instant,
}

impl Signing {
    const FORMAT: u64 = 1;

    fn at(time: Instant) -> Self {
        Self {
            format: Self::FORMAT,
            signed: whole_seconds(time),
        }
    }
}

fn whole_seconds(time: Instant) -> Instant {
    Instant::from_second(time.as_second()).expect("a second of a time that is one")
}

/// Every key of some authorities, each once, by id, without its label.
fn keys<'a>(authorities: impl IntoIterator<Item = &'a Authority>) -> BTreeMap<String, PublicKey> {
    authorities
        .into_iter()
        .flat_map(Authority::keys)
        .map(|key| (key.id().to_string(), key.clone().without_label()))
        .collect()
}

/// The labels of these keys, where one has any.
fn serialize_labels<'a, M: SerializeMap>(
    map: &mut M,
    authorities: impl IntoIterator<Item = &'a Authority>,
) -> Result<(), M::Error> {
    let keys = authorities.into_iter().flat_map(Authority::keys);
    let labels: BTreeMap<String, &str> = keys
        .filter_map(|key| Some((key.id().to_string(), key.label()?)))
        .collect();
    if labels.is_empty() {
        return Ok(());
    }
    map.serialize_entry(super::LABELS_FIELD, &labels)
}
