//! What a mirror did wrong, kept as files: so that a liar stays out after a restart, and its operator can be told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ClientError, disk};

/// One lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exhibit {
    /// When, in seconds since 1970.
    pub(super) at: i64,
    /// The mirror's address.
    pub(super) mirror: String,
    /// What it was asked for, below its address.
    pub(super) path: String,
    /// What its answer amounts to.
    pub(super) attack: String,
    /// What was expected, and what was found instead.
    pub(super) expected: String,
    /// The sha256 of what came, where it came whole.
    pub(super) found_sha256: Option<String>,
    /// Until when it is not asked.
    pub(super) dropped_until: i64,
}

/// The directory of exhibits.
#[derive(Debug)]
pub(super) struct Evidence {
    directory: Option<PathBuf>,
    files_max: usize,
}

/// The largest exhibit, in bytes.
const EXHIBIT_BYTES_MAX: u64 = 64 << 10;

impl Evidence {
    /// Evidence in `evidence/` under a directory; without one nothing is kept.
    pub(super) fn new(directory: Option<PathBuf>, files_max: usize) -> Self {
        Self {
            directory: directory.map(|directory| directory.join("evidence")),
            files_max,
        }
    }

    /// The mirrors that lied: address, until when they are not asked, what they did.
    pub(super) fn dropped(&self) -> Result<Vec<(String, i64, String)>, ClientError> {
        let Some(directory) = &self.directory else {
            return Ok(Vec::new());
        };
        let mut dropped = Vec::new();
        for (path, _) in disk::files(directory)? {
            let bytes = disk::read(&path, EXHIBIT_BYTES_MAX)?.unwrap_or_default();
            if let Ok(exhibit) = serde_json::from_slice::<Exhibit>(&bytes) {
                let why = format!("{}: {}", exhibit.attack, exhibit.expected);
                dropped.push((exhibit.mirror, exhibit.dropped_until, why));
            }
        }
        Ok(dropped)
    }

    /// Keeps a signed document as it came: `proof/<version>.<role>.<start of its sha256>.json`.
    pub(super) fn keep_document(&self, role: &str, version: u64, document: &[u8]) {
        let Some(directory) = self
            .directory
            .as_ref()
            .map(|directory| directory.join("proof"))
        else {
            return;
        };
        let digest = heliostat_pypi::Sha256::of(document).to_hex();
        let path = directory.join(format!("{version}.{role}.{}.json", &digest[..12]));
        let room = disk::files(&directory).is_ok_and(|files| files.len() < self.files_max);
        // What is there already says the same.
        if room && let Err(error) = disk::replace(&path, document) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the proof against a notary cannot be kept"
            );
        }
    }

    /// Keeps an exhibit, and no more than so many of them.
    pub(super) fn keep(&self, exhibit: &Exhibit) {
        let Some(directory) = &self.directory else {
            return;
        };
        let outcome = serde_json::to_vec_pretty(exhibit).map(|bytes| {
            let digest = heliostat_pypi::Sha256::of(&bytes).to_hex();
            let name = format!("{}-{}.json", exhibit.at, &digest[..12]);
            disk::replace(&directory.join(name), &bytes)?;
            let files = disk::files(directory)?;
            let surplus = files.len().saturating_sub(self.files_max);
            files
                .iter()
                .take(surplus)
                .try_for_each(|(path, _)| disk::remove(path))
        });
        if let Ok(Err(error)) = outcome {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the evidence against a mirror cannot be kept"
            );
        }
    }
}
