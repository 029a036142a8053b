//! What a snapshot pins, as a table: it is held for as long as a state is, next to the one that comes after it, and the
//! state machine's is several times as large. Pure.

use std::fmt;

use heliostat_pypi::Sha256;
use heliostat_trust::metadata::EXTENSION_FIELD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use sigstore_tuf::{Error, Root, Snapshot};

use super::signed::{self, Pin, Verified};

const ROLE: &str = "snapshot";

/// A snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Pins {
    pub(crate) version: u64,
    expires: Timestamp,
    /// What the notary says about the tree, where it says something.
    extension: Option<Value>,
    /// Files of metadata by name, in order.
    files: Box<[(Box<str>, Pin)]>,
    /// The digest of what was signed, where that is known.
    statement: Option<Sha256>,
}

impl Pins {
    /// Verifies the snapshot of a tree of ours that a timestamp pins: specification, section 5.5. `before` is the one
    /// that was trusted so far. That no object says a name twice was looked at before.
    pub(super) fn verify(
        bytes: &[u8],
        (root, pin): (&Root, &Pin),
        before: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        signed::check_pinned(bytes, ROLE, pin)?;
        let keys = root.role(ROLE);
        let keys = keys.ok_or_else(|| Error::UnknownRole(ROLE.to_owned()))?;
        let authority = signed::authority(ROLE, &root.keys, (&keys.keyids, keys.threshold))?;
        let Verified { said, signed } =
            signed::verify::<Said, Snapshot>(bytes, (ROLE, &authority), |said| {
                signed::check_kind(ROLE, (&said.kind, &said.spec_version))
            })?;
        signed::check_version(ROLE, said.version, pin)?;
        let pins = Self {
            statement: Some(Sha256::of(&signed)),
            ..Self::from(said)
        };
        if let Some(before) = before {
            pins.check_goes_on_from(before)?;
        }
        pins.check_in_force(now)?;
        Ok(pins)
    }

    /// What it says about the file of a role.
    pub(crate) fn get(&self, role: &str) -> Option<&Pin> {
        let file = format!("{role}.json");
        let at = self.files.binary_search_by(|(name, _)| (**name).cmp(&file));
        at.ok().map(|at| &self.files[at].1)
    }

    /// The roles that it pins, each at its version.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&str, u64)> {
        let roles = self.files.iter();
        roles.filter_map(|(name, pin)| Some((name.strip_suffix(".json")?, pin.version)))
    }

    /// What the notary says in it about the tree.
    pub(crate) const fn extension(&self) -> Option<&Value> {
        self.extension.as_ref()
    }

    /// Whether both say the same, as far as that is known.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.statement == other.statement
    }

    /// Whether it may be used at `now`.
    pub(crate) fn check_in_force(&self, now: Timestamp) -> Result<(), Error> {
        signed::check_expiry(ROLE, self.expires, now)
    }

    /// Nothing that was pinned before may be gone or older (section 5.5.5). Both are in order.
    fn check_goes_on_from(&self, before: &Self) -> Result<(), Error> {
        let mut newer = self.files.iter().peekable();
        for (name, old) in &before.files {
            while newer.next_if(|(other, _)| other < name).is_some() {}
            match newer.peek() {
                Some((other, new)) if other == name => {
                    if new.version < old.version {
                        return Err(Error::Rollback {
                            role: format!("{name} (via snapshot)"),
                            trusted: old.version,
                            new: new.version,
                        });
                    }
                }
                _ => {
                    return Err(Error::IntegrityMismatch(format!(
                        "snapshot removes {name}, which the trusted snapshot pins"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// As the state machine holds it, which has verified it.
impl From<&Snapshot> for Pins {
    fn from(snapshot: &Snapshot) -> Self {
        Self::from(Said::from(snapshot.clone()))
    }
}

impl From<Said> for Pins {
    fn from(said: Said) -> Self {
        Self {
            version: said.version,
            expires: said.expires,
            extension: said.extension,
            files: said.meta.0.into(),
            statement: None,
        }
    }
}

/// The signed part of a snapshot, as far as it means something here.
#[derive(Deserialize)]
struct Said {
    #[serde(rename = "_type")]
    kind: String,
    spec_version: String,
    version: u64,
    expires: Timestamp,
    meta: Files,
    #[serde(rename = "x-heliostat", default)]
    extension: Option<Value>,
}

impl From<Snapshot> for Said {
    fn from(mut snapshot: Snapshot) -> Self {
        let files = snapshot.meta.iter();
        Self {
            extension: snapshot.extra.remove(EXTENSION_FIELD),
            kind: snapshot.type_,
            spec_version: snapshot.spec_version,
            version: snapshot.version,
            expires: snapshot.expires,
            meta: Files(
                files
                    .map(|(name, file)| (name.as_str().into(), file.into()))
                    .collect(),
            ),
        }
    }
}

/// The object `meta`, in the order of its names.
struct Files(Vec<(Box<str>, Pin)>);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FilesVisitor)
    }
}

struct FilesVisitor;

impl<'de> Visitor<'de> for FilesVisitor {
    type Value = Files;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("files of metadata by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Files, A::Error> {
        let mut files = Vec::new();
        while let Some(file) = entries.next_entry::<Box<str>, Pin>()? {
            files.push(file);
        }
        // As it is written in most cases: looking is all that it takes.
        if !files.is_sorted_by(|(one, _), (other, _)| one < other) {
            files.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        }
        let twice = files.windows(2).find(|pair| pair[0].0 == pair[1].0);
        if let Some([(name, _), _]) = twice {
            return Err(A::Error::custom(format_args!(
                "`{name}` stands there twice"
            )));
        }
        Ok(Files(files))
    }
}

#[cfg(test)]
mod tests;
