//! What was verified of a list, as a folder of the published shape: it is taken from there like from any other place,
//! and proves nothing by being there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::METADATA;
use crate::{ClientError, disk};

/// A timestamp, in bytes.
pub(super) const TIMESTAMP_BYTES_MAX: u64 = 16_384;
/// A snapshot of a list, in bytes: it names three roles.
const SNAPSHOT_BYTES_MAX: u64 = 64 << 10;

/// A timestamp, and the snapshot that was kept with it.
pub(super) type Floor = (Vec<u8>, Option<Vec<u8>>);

/// The folder.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// A folder, which need not be there yet.
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of it.
    pub(super) fn read(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ClientError> {
        disk::read(&self.folder.join(path), bytes_max)
    }

    /// The last timestamp that was seen, and its snapshot.
    pub(super) fn floor(&self) -> Result<Option<Floor>, ClientError> {
        let timestamp = self.read(&format!("{METADATA}/timestamp.json"), TIMESTAMP_BYTES_MAX)?;
        let Some(timestamp) = timestamp else {
            return Ok(None);
        };
        let mut snapshots = Vec::new();
        for (path, _) in disk::files(&self.folder.join(METADATA))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(version) = name.strip_suffix(".snapshot.json")
                && let Ok(version) = version.parse::<u64>()
            {
                snapshots.push((version, path.clone()));
            }
        }
        let newest = snapshots.into_iter().max();
        let snapshot = newest
            .map(|(_, path)| disk::read(&path, SNAPSHOT_BYTES_MAX))
            .transpose()?;
        Ok(Some((timestamp, snapshot.flatten())))
    }

    /// Keeps these files and no others; roots stay. All but the timestamp have their version or digest in their name,
    /// so that a crash in the middle leaves the former list whole.
    pub(super) fn replace(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<(), ClientError> {
        let is_timestamp = |path: &String| path.ends_with("/timestamp.json");
        let (last, first): (Vec<_>, Vec<_>) =
            files.iter().partition(|(path, _)| is_timestamp(path));
        for (path, bytes) in first.into_iter().chain(last) {
            if self.read(path, bytes.len() as u64 + 1)?.as_ref() != Some(bytes) {
                disk::replace(&self.folder.join(path), bytes)?;
            }
        }
        for folder in [METADATA, "v1"] {
            for (path, _) in disk::files(&self.folder.join(folder))? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let is_kept =
                    files.contains_key(&format!("{folder}/{name}")) || name.ends_with(".root.json");
                if !is_kept {
                    disk::remove(&path)?;
                }
            }
        }
        Ok(())
    }
}
