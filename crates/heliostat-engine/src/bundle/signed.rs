//! The signed state that an export carries: one snapshot with all metadata that clients need, and the pages it names.
//!
//! Metadata files but the timestamp never change under their names, and what a snapshot names stays for two days after
//! it was replaced, so that a state that was read once can be packed while others sync and sign.

use heliostat_pypi::bundle::{BundleError, Item};
use heliostat_pypi::{ProjectName, RelPath, Sha256};
use heliostat_store::Store;
use heliostat_trust::attest::TRUSTED_ROOT_TARGET;
use heliostat_trust::check::{Check, Limits};
use heliostat_trust::metadata::{Extent, TargetFile};
use jiff::Timestamp;

use crate::carry::{self, SignedPages};
use crate::error::EngineError;
use crate::publish::trusted_root_path;
use crate::trusted_root::{consistent, held_copy};

/// The only metadata file that changes under its name.
pub(super) const TIMESTAMP: &str = "tuf/timestamp.json";

/// What is signed at one moment.
#[derive(Debug)]
pub(super) struct SignedState {
    /// The metadata files and the targets that are no pages, sorted by path.
    pub(super) items: Vec<Item>,
    /// Digest and size of every signed page.
    pub(super) pages: SignedPages,
    /// The timestamp as it was read.
    pub(super) timestamp: Vec<u8>,
    /// Whether it claims that what it does not name does not exist.
    pub(super) is_complete: bool,
}

impl SignedState {
    /// Reads the state that the tree's timestamp names; `None` where nobody has signed it. It must fit together; how old
    /// it is, is for whoever imports it to judge.
    pub(super) fn read(store: &Store) -> Result<Option<Self>, EngineError> {
        let limits = Limits::default();
        let Some(first) = first_root(store)? else {
            return Ok(None);
        };
        let Some(root) = store.read_metadata(&first, limits.root_bytes)? else {
            return Ok(None);
        };
        let mut state = Self {
            items: vec![item(&first, &root)?],
            pages: SignedPages::new(),
            timestamp: Vec::new(),
            is_complete: false,
        };
        let mut check = Check::begin(&root, Timestamp::UNIX_EPOCH, limits)?;
        while let Some(wanted) = check.wanted() {
            let bytes = store.read_metadata(&wanted.file, wanted.max_bytes)?;
            check.take(bytes.as_deref());
            if let Some(bytes) = bytes {
                state.items.push(item(&wanted.file, &bytes)?);
                if state.items.last().map(|item| item.path.as_str()) == Some(TIMESTAMP) {
                    state.timestamp = bytes;
                }
            }
            for (path, page) in check.take_targets() {
                if let Some(name) = carry::project_of(&path) {
                    state.pages.insert(name, (page.sha256, page.size_bytes));
                } else if path == TRUSTED_ROOT_TARGET {
                    state.items.push(trusted_root(store, &page)?);
                }
            }
        }
        if state.timestamp.is_empty() {
            // Signing was switched on and nothing has been signed yet.
            return Ok(None);
        }
        let report = check.finish();
        if let Some(reason) = carry::wrong(&report) {
            return Err(EngineError::NotAsHeld(BundleError::entry("tuf", reason)));
        }
        let coverage = report.coverage.map(|coverage| coverage.extent);
        state.is_complete = coverage == Some(Extent::Complete);
        state
            .items
            .sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Some(state))
    }
}

/// Where the signed copy of a page stands.
pub(super) fn copy_path(project: &ProjectName, sha256: Sha256) -> Option<RelPath> {
    format!("simple/{project}/{sha256}.index.v1_json")
        .parse()
        .ok()
}

/// Where the signed copy of a target that is no page stands; `None` for metadata files, which have no copies.
pub(super) fn target_path(item: &Item) -> Option<RelPath> {
    let is_target = item.path.as_str() == TRUSTED_ROOT_TARGET;
    is_target
        .then(|| consistent(item.sha256).parse().ok())
        .flatten()
}

/// Sigstore's trusted root, as `targets` names it.
fn trusted_root(store: &Store, file: &TargetFile) -> Result<Item, EngineError> {
    let path = trusted_root_path()?;
    if held_copy(store, file)?.is_none() {
        let reason = "its signed copy is not in the tree";
        return Err(EngineError::NotAsHeld(BundleError::entry(
            TRUSTED_ROOT_TARGET,
            reason,
        )));
    }
    Ok(Item::new(path, file.sha256, file.size_bytes))
}

/// The first root that the tree has.
fn first_root(store: &Store) -> Result<Option<String>, EngineError> {
    let versions = store.metadata_names()?.into_iter().filter_map(|name| {
        let version = name.strip_suffix(".root.json")?;
        version.parse::<u64>().ok()
    });
    Ok(versions.min().map(|version| format!("{version}.root.json")))
}

fn item(file: &str, bytes: &[u8]) -> Result<Item, EngineError> {
    let path = format!("tuf/{file}");
    let path = RelPath::try_from(path.clone())
        .map_err(|error| BundleError::entry(&path, error.to_string()))?;
    Ok(Item::new(path, Sha256::of(bytes), bytes.len() as u64))
}
