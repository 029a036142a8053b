//! What is wanted, remembered between runs: the selection by its sources, the filters, whether files are taken, from
//! which upstream, and which notary vouches for it.

use std::collections::BTreeMap;

use heliostat_pypi::Sha256;
use heliostat_pypi::filter::FileFilter;
use heliostat_pypi::select::Selection;
use heliostat_store::{Store, StoreError};
use heliostat_upstream::bare;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Files;

const KEY: &str = "wishes";
const UPSTREAM_KEY: &str = "upstream-named";
const ROOT_KEY: &str = "upstream-root";

/// What is wanted. Each source of the selection (what was typed, a requirements file, the configuration) is kept
/// apart, so that giving one of them again replaces just what it said before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Wishes {
    /// Source to what it selects.
    pub sources: BTreeMap<String, Selection>,
    /// Which files of the selected projects.
    #[serde(default)]
    pub filter: FileFilter,
    /// Whether files are taken.
    #[serde(default)]
    pub files: Files,
}

/// What one call says about the wishes.
#[derive(Debug, Clone, Default)]
pub struct WishesGiven {
    /// Sources named in this call, each to replace what it said before.
    pub replaced: BTreeMap<String, Selection>,
    /// A selection that is added to what its source said before.
    pub added: BTreeMap<String, Selection>,
    /// What happens to sources that this call does not name.
    pub others: Others,
    /// The filters, where this call gives any.
    pub filter: Option<FileFilter>,
    /// Whether files are taken, where this call says so.
    pub files: Option<Files>,
}

/// What happens to what earlier calls wished and this one does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// It stays.
    #[default]
    Keep,
    /// It is forgotten, filters included.
    Forget,
}

/// The upstream that was named last, without credentials. A mirror of one index must not go on with another because
/// nobody named it again.
pub fn named_upstream(store: &Store) -> Result<Option<Url>, StoreError> {
    let text = store.meta::<String>(UPSTREAM_KEY)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Remembers the upstream that a call named. Credentials are not kept: they stand in a netrc file or are named again.
pub fn name_upstream(store: &Store, upstream: &Url) -> Result<(), StoreError> {
    store.set_meta(UPSTREAM_KEY, &bare(upstream).to_string())
}

/// The notary's root against which an earlier call verified the upstream. What was verified once must not go on
/// unverified because nobody named the root again.
pub fn named_root(store: &Store) -> Result<Option<Vec<u8>>, StoreError> {
    let text = store.meta::<Option<String>>(ROOT_KEY)?.flatten();
    Ok(text.map(String::into_bytes))
}

/// Remembers the root that a call named, or that nothing is verified from now on.
pub fn name_root(store: &Store, root: Option<&str>) -> Result<(), StoreError> {
    store.set_meta(ROOT_KEY, &root)
}

impl Wishes {
    /// What was wanted last.
    pub fn load(store: &Store) -> Result<Self, StoreError> {
        Ok(store.meta::<Self>(KEY)?.unwrap_or_default())
    }

    /// Remembers what is wanted.
    pub fn save(&self, store: &Store) -> Result<(), StoreError> {
        store.set_meta(KEY, self)
    }

    /// What is wanted after a call said `given`.
    #[must_use]
    pub fn after(&self, given: WishesGiven) -> Self {
        let Self {
            mut sources,
            filter,
            files,
        } = match given.others {
            Others::Keep => self.clone(),
            Others::Forget => Self::default(),
        };
        for (source, selection) in given.replaced {
            if selection == Selection::default() {
                sources.remove(&source);
            } else {
                sources.insert(source, selection);
            }
        }
        for (source, selection) in given.added {
            sources.entry(source).or_default().merge(selection);
        }
        Self {
            sources,
            filter: given.filter.unwrap_or(filter),
            files: given.files.unwrap_or(files),
        }
    }

    /// Everything selected, as one.
    pub fn selection(&self) -> Selection {
        let mut whole = Selection::default();
        for selection in self.sources.values() {
            whole.merge(selection.clone());
        }
        whole
    }

    /// Tells one set of wishes from another.
    pub(super) fn fingerprint(&self) -> String {
        Sha256::of(serde_json::to_string(self).unwrap_or_default().as_bytes()).to_hex()
    }
}
