//! What each mirror answered, as lines of JSON in a bounded file: `heliostat proxy why` reads them.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{ClientError, disk};

/// One answer of one mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When, in seconds since 1970.
    pub at: i64,
    /// What was asked for, below the mirror's address.
    pub path: String,
    /// The mirror's address.
    pub mirror: String,
    /// What it did, in words.
    pub answer: String,
    /// How long a good answer took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

/// The journal's writing end.
#[derive(Debug)]
pub(super) struct Journal {
    directory: Option<PathBuf>,
    bytes_max: u64,
    /// Bytes in the present file, as far as we know.
    written: Mutex<u64>,
}

impl Journal {
    /// A journal in `directory`; without one nothing is written.
    pub(super) fn new(directory: Option<PathBuf>, bytes_max: u64) -> Self {
        let known = directory
            .as_deref()
            .and_then(|directory| present(directory).metadata().ok())
            .map_or(0, |metadata| metadata.len());
        Self {
            directory,
            bytes_max,
            written: Mutex::new(known),
        }
    }

    /// Writes an entry. A journal that cannot be written is worth a word in the log, no more.
    pub(super) fn write(&self, entry: &JournalEntry) {
        let Some(directory) = &self.directory else {
            return;
        };
        let Ok(mut line) = serde_json::to_string(entry) else {
            return;
        };
        line.push('\n');
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = if *written + line.len() as u64 > self.bytes_max / 2 {
            *written = 0;
            turn_over(directory)
        } else {
            Ok(())
        };
        let outcome = outcome.and_then(|()| disk::append(&present(directory), &line));
        *written += line.len() as u64;
        drop(written);
        if let Err(error) = outcome {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the journal of mirrors' answers cannot be written"
            );
        }
    }
}

/// The entries about paths that `of` accepts, the oldest first.
pub(crate) fn read(
    directory: &Path,
    bytes_max: u64,
    of: impl Fn(&str) -> bool,
) -> Result<Vec<JournalEntry>, ClientError> {
    let mut entries = Vec::new();
    for path in [former(directory), present(directory)] {
        let bytes = disk::read(&path, bytes_max)?.unwrap_or_default();
        // A line that was cut by a crash is not an entry.
        let lines = bytes.split(|byte| *byte == b'\n');
        let read = lines.filter_map(|line| serde_json::from_slice::<JournalEntry>(line).ok());
        entries.extend(read.filter(|entry| of(&entry.path)));
    }
    Ok(entries)
}

fn present(directory: &Path) -> PathBuf {
    directory.join("journal.jsonl")
}

fn former(directory: &Path) -> PathBuf {
    directory.join("journal.1.jsonl")
}

fn turn_over(directory: &Path) -> Result<(), ClientError> {
    if let Some(bytes) = disk::read(&present(directory), u64::MAX)? {
        disk::replace(&former(directory), &bytes)?;
    }
    disk::remove(&present(directory))
}
