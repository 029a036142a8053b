//! The parts that roles are made of.

use std::fmt;
use std::str::FromStr;

use heliostat_pypi::Sha256;
use jiff::{SignedDuration, Timestamp as Instant};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::error::TrustError;
use crate::keys::shown;

/// A version of one role's metadata: from 1, growing by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// The first version.
    pub const FIRST: Self = Self(1);

    /// A version that was read; 0 is none.
    pub const fn new(number: u64) -> Option<Self> {
        match number {
            0 => None,
            number => Some(Self(number)),
        }
    }

    /// The one after. At 2⁶⁴ - 1, which only a thief of keys would write, it stays; new keys let a role begin anew.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// As a number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When metadata ends to be valid, in whole seconds UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expiry(Instant);

impl Expiry {
    /// At a time; parts of a second are cut off.
    pub fn at(time: Instant) -> Self {
        Self(Instant::from_second(time.as_second()).expect("a second of a time that is one"))
    }

    /// So long after `now`.
    ///
    /// # Errors
    /// [`TrustError::Expiry`] beyond the calendar.
    pub fn after(now: Instant, life: SignedDuration) -> Result<Self, TrustError> {
        now.checked_add(life)
            .map(Self::at)
            .map_err(|_beyond| TrustError::Expiry(format!("{now} and {life:#}")))
    }

    /// The time itself. Metadata is valid up to and including it.
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// How long metadata stays valid; negative once it has expired.
    pub fn left(self, now: Instant) -> SignedDuration {
        self.0.duration_since(now)
    }
}

impl FromStr for Expiry {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let time: Instant = text
            .parse()
            .map_err(|_not_a_time| TrustError::Expiry(shown(text)))?;
        Ok(Self::at(time))
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The name of a role of delegated targets; also of its file, so it is kept to letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RoleName(String);

impl RoleName {
    const MAX_CHARS: usize = 100;

    /// The top-level targets role.
    pub fn targets() -> Self {
        Self("targets".to_owned())
    }

    /// The role that delegates to the bins.
    pub fn bins() -> Self {
        Self("bins".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the file of a version, as consistent snapshots have it: `3.bins.json`.
    pub fn file(&self, version: Version) -> String {
        format!("{version}.{}.json", self.0)
    }
}

impl FromStr for RoleName {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let reserved = matches!(text, "root" | "snapshot" | "timestamp");
        let fine = text.bytes().all(plain)
            && text
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_alphanumeric())
            && text.len() <= Self::MAX_CHARS;
        if fine && !reserved {
            Ok(Self(text.to_owned()))
        } else {
            Err(TrustError::RoleName(shown(text)))
        }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a target is: its digest and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetFile {
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
    /// How many there are.
    pub size_bytes: u64,
}

impl TargetFile {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: Sha256::of(bytes),
            size_bytes: bytes.len() as u64,
        }
    }
}

impl Serialize for TargetFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("hashes", &Hashes::from(self.sha256))?;
        map.serialize_entry("length", &self.size_bytes)?;
        map.end()
    }
}

/// What snapshot and timestamp say of a metadata file: its version and, where it is worth the bytes, what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// The version.
    pub version: Version,
    /// Digest and length of the file.
    pub file: Option<TargetFile>,
}

impl Pin {
    /// By version only: enough for metadata that is signed itself.
    pub const fn version(version: Version) -> Self {
        Self {
            version,
            file: None,
        }
    }

    /// By version, digest and length.
    pub fn exact(version: Version, file: &[u8]) -> Self {
        Self {
            version,
            file: Some(TargetFile::of(file)),
        }
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(file) = &self.file {
            map.serialize_entry("hashes", &Hashes::from(file.sha256))?;
            map.serialize_entry("length", &file.size_bytes)?;
        }
        map.serialize_entry("version", &self.version)?;
        map.end()
    }
}

#[derive(Serialize)]
struct Hashes {
    sha256: Sha256,
}

impl From<Sha256> for Hashes {
    fn from(sha256: Sha256) -> Self {
        Self { sha256 }
    }
}
