//! What was measured of mirrors, which a list names, and what the user decided about them, as files in the client's
//! directory: so that a restart forgets nothing, and `heliostat mirrors` can tell and decide while a proxy runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use url::Url;

use super::rank::{Measured, Prior};
use crate::{ClientError, disk};

/// The largest of these files, in bytes: 20,000 mirrors take 8 MB.
const BYTES_MAX: u64 = 32_000_000;
/// What was measured longer ago than this says nothing any more: seven days.
const REMEMBERED_SECONDS: i64 = 7 * 86_400;

/// What a mirror is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carries {
    /// Everything: the signed tree and its files.
    #[default]
    SignedTree,
    /// Files only, each of which a signed page tells the digest of.
    Files,
}

/// A mirror that may be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its address.
    pub url: Url,
    /// Its id on the list; `None` for one that the user gave.
    pub id: Option<String>,
    /// Who runs it, as the list says.
    pub operator: Option<String>,
    /// What it is asked for.
    #[serde(default)]
    pub carries: Carries,
    /// What the list expects of it.
    #[serde(default)]
    pub prior: Prior,
}

/// The mirrors that a client knows, as it last knew them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Those that the user gave.
    pub(crate) given: Vec<Url>,
    /// Those of the list that are allowed.
    pub(crate) listed: Vec<Candidate>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Ratings {
    /// When it was written, in seconds since 1970.
    pub(crate) at: i64,
    /// Makes this client differ from others.
    pub(crate) client_seed: u64,
    /// By address.
    pub(crate) mirrors: BTreeMap<String, Rating>,
}

/// What was measured of one mirror.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Rating {
    pub(crate) measured: Measured,
    pub(crate) timestamp: u64,
}

/// What the user decided about mirrors, each by its address or its id on the list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choices {
    /// Asked before others, while they work.
    #[serde(default)]
    pub pinned: BTreeSet<String>,
    /// Never asked.
    #[serde(default)]
    pub banned: BTreeSet<String>,
}

impl Choices {
    /// What was decided so far.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a file that is none of ours, [`ClientError::Disk`].
    pub fn read(directory: &Path) -> Result<Self, ClientError> {
        let path = path(directory);
        let Some(bytes) = disk::read(&path, BYTES_MAX)? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Refused {
            what: format!("`{}`", path.display()),
            reason: format!("it is not what `heliostat mirrors` writes ({error}); remove it"),
        })
    }

    /// Keeps what was decided; a running proxy obeys it within a second.
    ///
    /// # Errors
    /// [`ClientError::Disk`].
    pub fn keep(&self, directory: &Path) -> Result<(), ClientError> {
        let bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        disk::replace(&path(directory), &bytes)
    }

    /// Whether a mirror is named by these words.
    pub(crate) fn names(words: &BTreeSet<String>, mirror: &str) -> bool {
        let bare = |text: &str| text.trim_end_matches('/').to_owned();
        words.iter().any(|word| bare(word) == bare(mirror))
    }
}

/// When the user last decided anything.
pub(crate) fn decided_at(directory: &Path) -> Option<SystemTime> {
    path(directory)
        .metadata()
        .and_then(|metadata| metadata.modified())
        .ok()
}

fn path(directory: &Path) -> PathBuf {
    directory.join("choices.json")
}

impl Known {
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, ClientError> {
        let bytes = disk::read(&directory.join("mirrors.json"), BYTES_MAX)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(crate) fn keep(&self, directory: &Path) -> Result<(), ClientError> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        disk::replace_soon(&directory.join("mirrors.json"), &bytes)
    }
}

impl Ratings {
    /// What was measured within a week; nothing where that cannot be read.
    pub(crate) fn read(directory: &Path, now: i64) -> Result<Option<Self>, ClientError> {
        let bytes = disk::read(&directory.join("ratings.json"), BYTES_MAX)?;
        let read = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(read.map(|mut ratings| {
            if !(0..=REMEMBERED_SECONDS).contains(&now.saturating_sub(ratings.at)) {
                ratings.mirrors.clear();
            }
            ratings
        }))
    }

    pub(crate) fn keep(&self, directory: &Path) -> Result<(), ClientError> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        disk::replace_soon(&directory.join("ratings.json"), &bytes)
    }
}
