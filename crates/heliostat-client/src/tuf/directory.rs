//! The trusted metadata on disk: one file for each role, byte for byte as it was served, and what is needed to check
//! all of it again from the first root.
//!
//! `root.json`, `timestamp.json`, `snapshot.json`, `targets.json` and `<role>.json` are the newest that were trusted;
//! `roots/N.root.json` is the chain of roots; `floor/` holds the last timestamp and snapshot that belong together,
//! so that a crash between writing the two does not lose the versions of delegated roles.

use std::path::{Path, PathBuf};

use crate::disk;
use crate::{ClientError, Limits};

/// A timestamp and the snapshot that it pins.
type Pair = (Vec<u8>, Vec<u8>);

/// A directory of trusted metadata.
#[derive(Debug, Clone)]
pub(crate) struct MetadataDirectory {
    path: PathBuf,
    limits: Limits,
}

impl MetadataDirectory {
    /// The directory at `path`; nothing is read or made.
    pub(crate) fn new(path: PathBuf, limits: &Limits) -> Self {
        Self {
            path,
            limits: limits.clone(),
        }
    }

    /// The place below `directory` of the notary whose root of this version these bytes are. Two notaries on one machine
    /// must not undo each other's memory of what was seen: whose chain of roots has another root of that version is
    /// another notary, and has a place of its own.
    pub(crate) fn of_notary(
        directory: &Path,
        (version, root): (u64, &[u8]),
        limits: &Limits,
    ) -> Result<Self, ClientError> {
        const FIRST: &str = "tuf";
        let mut places = vec![Self::new(directory.join(FIRST), limits)];
        for name in disk::directories(directory)? {
            if name.starts_with("tuf-") {
                places.push(Self::new(directory.join(name), limits));
            }
        }
        for place in &places {
            if place.root(version)?.as_deref() == Some(root) {
                return Ok(place.clone());
            }
        }
        let first = places.swap_remove(0);
        if first.root(version)?.is_none() {
            return Ok(first);
        }
        let digest = heliostat_pypi::Sha256::of(root).to_hex();
        Ok(Self::new(
            directory.join(format!("{FIRST}-{}", &digest[..16])),
            limits,
        ))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The newest trusted file of a role; bytes on disk prove nothing and are checked like any other.
    pub(crate) fn role(&self, role: &str) -> Result<Option<Vec<u8>>, ClientError> {
        disk::read(&self.role_path(role), self.limit(role))
    }

    /// Keeps a role's file that has just been trusted. What keeps anybody from being led back, root, timestamp and
    /// snapshot, is on the disk when this returns; every other role is verified when it is read, and had again where a
    /// power cut took it.
    pub(crate) fn keep_role(&self, role: &str, bytes: &[u8]) -> Result<(), ClientError> {
        match role {
            "root" | "timestamp" | "snapshot" => disk::replace(&self.role_path(role), bytes),
            _ => disk::replace_soon(&self.role_path(role), bytes),
        }
    }

    /// A root of the chain.
    pub(crate) fn root(&self, version: u64) -> Result<Option<Vec<u8>>, ClientError> {
        disk::read(&self.root_path(version), self.limits.root_bytes_max)
    }

    /// Keeps the root that trust begins with. A chain of roots that goes on from another one is left for itself: it
    /// does not verify from here, and is overwritten as roots come in.
    pub(crate) fn keep_root_unless_held(
        &self,
        version: u64,
        bytes: &[u8],
    ) -> Result<(), ClientError> {
        if self.root(version)?.as_deref() == Some(bytes) {
            return Ok(());
        }
        disk::replace(&self.root_path(version), bytes)
    }

    /// Keeps a root that has just been trusted, in the chain and as the newest.
    pub(crate) fn keep_root(&self, version: u64, bytes: &[u8]) -> Result<(), ClientError> {
        disk::replace(&self.root_path(version), bytes)?;
        self.keep_role("root", bytes)
    }

    /// The last timestamp and snapshot that belong together.
    pub(crate) fn floor(&self) -> Result<Option<Pair>, ClientError> {
        let read = |role| {
            disk::read(
                &self.path.join("floor").join(format!("{role}.json")),
                self.limit(role),
            )
        };
        Ok(read("timestamp")?.zip(read("snapshot")?))
    }

    /// Keeps the timestamp and the snapshot on disk, which belong together now, as the floor.
    pub(crate) fn raise_floor(&self) -> Result<(), ClientError> {
        for role in ["timestamp", "snapshot"] {
            if let Some(bytes) = self.role(role)? {
                let place = self.path.join("floor").join(format!("{role}.json"));
                if disk::read(&place, self.limit(role))?.as_ref() != Some(&bytes) {
                    disk::replace(&place, &bytes)?;
                }
            }
        }
        Ok(())
    }

    /// When this timestamp was first seen, which is now if it was not seen before.
    pub(crate) fn first_seen(&self, version: u64, now: i64) -> Result<i64, ClientError> {
        let path = self.path.join("seen");
        let held = disk::read(&path, 64)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&held);
        let known = text.split_once(' ').and_then(|(of, at)| {
            (of.parse() == Ok(version)).then(|| at.trim().parse::<i64>().ok())?
        });
        if let Some(at) = known {
            return Ok(at.min(now));
        }
        disk::replace(&path, format!("{version} {now}\n").as_bytes())?;
        Ok(now)
    }

    fn role_path(&self, role: &str) -> PathBuf {
        self.path.join(format!("{}.json", encoded(role)))
    }

    fn root_path(&self, version: u64) -> PathBuf {
        self.path.join("roots").join(format!("{version}.root.json"))
    }

    /// Every bound.
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The largest file of a role.
    pub(crate) fn limit(&self, role: &str) -> u64 {
        match role {
            "root" => self.limits.root_bytes_max,
            "timestamp" => self.limits.timestamp_bytes_max,
            "snapshot" => self.limits.snapshot_bytes_max,
            _ => self.limits.targets_bytes_max,
        }
    }
}

/// A role's name as it stands in addresses and file names: everything but RFC 3986's unreserved characters is
/// escaped, so that no name of a role is a path.
pub(crate) fn encoded(role: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(role.len());
    for byte in role.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _infallible = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_notaries_have_places_of_their_own() {
        let scratch = tempfile::tempdir().unwrap();
        let limits = Limits::default();
        let of = |version, root: &str| {
            let root = (version, root.as_bytes());
            MetadataDirectory::of_notary(scratch.path(), root, &limits).unwrap()
        };
        let first = of(1, "one");
        assert_eq!(first.path(), scratch.path().join("tuf"));
        first.keep_root(1, b"one").unwrap();
        let second = of(1, "two");
        assert_ne!(second.path(), first.path());
        second.keep_root(1, b"two").unwrap();
        second.keep_root(2, b"two, later").unwrap();
        assert_eq!(of(1, "one").path(), first.path());
        assert_eq!(of(1, "two").path(), second.path());
        // Whoever pins a later root of the chain goes on in its place.
        assert_eq!(of(2, "two, later").path(), second.path());
        assert_eq!(of(2, "one, later").path(), first.path());
        let third = of(1, "three");
        assert!(third.path() != first.path() && third.path() != second.path());
    }
}
