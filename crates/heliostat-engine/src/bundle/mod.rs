//! Bundles: a mirror, or what changed of it, in one file, for where no network goes.
//!
//! `plan` writes the manifest, `pack` the bundle that it describes; `import` reads one twice, first to check all of it,
//! then to take it, through the store's one committer. The format is `heliostat_pypi::bundle`'s; the files are opened by
//! the program. All calls block.

mod check;
mod header;
mod import;
mod leaving;
mod pack;
mod plan;
mod proof;
mod signed;
mod take;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use heliostat_pypi::bundle::{Base, Coverage, End, ManifestReader};
use heliostat_pypi::bundle::{BundleError, BundleLimits, BundleReader};
use heliostat_pypi::select::Selection;
use heliostat_pypi::{ProjectName, RelPath, Serial, Sha256, Specifiers};
use heliostat_store::Store;
use serde::Serialize;

use crate::error::EngineError;
use crate::publish::{Notary, Published};
use crate::sync::DeleteLimit;

pub use import::import;
pub use pack::pack;
pub use plan::plan;
pub use proof::{Against, Claim, Proof, Signatures};

/// The source under which projects that came by bundle stay selected.
pub(crate) const SOURCE: &str = "bundle";

/// A bundle that is being gone through.
type Bundle = BundleReader<Box<dyn Read>>;

/// Opens a file from its beginning, as often as it is asked to.
pub type Open<'a> = &'a dyn Fn() -> io::Result<Box<dyn Read>>;

/// What is to be exported.
#[derive(Debug, Clone, Default)]
pub struct ExportRequest {
    /// Which projects and versions of what is mirrored; all of it where nothing is said.
    pub selection: Option<Selection>,
    /// Versions of these that may go along, whatever selects them.
    pub constraints: BTreeMap<ProjectName, Specifiers>,
    /// The same as it was typed, for whoever reads the manifest.
    pub words: Vec<String>,
    /// Seconds since 1970.
    pub now: i64,
}

/// What an export comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportPlan {
    /// The manifest's sha256, by which later bundles name this state.
    pub manifest: Sha256,
    /// The manifest's length.
    pub manifest_bytes: u64,
    /// Seconds since 1970.
    pub made_at: i64,
    /// How much of the upstream it speaks for.
    pub coverage: Coverage,
    /// The serial that the root list claims, below what failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The state that it builds on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Base>,
    /// What it holds.
    #[serde(flatten)]
    pub end: End,
    /// Projects that are held otherwise than whole (on demand, or pages only) and are left out.
    pub left_out: u64,
    /// Projects that are not part of what was signed last and are left out.
    pub unsigned: u64,
    /// Projects that stand in the ledger: the mirror is behind with them.
    pub behind: u64,
    /// What was signed, where somebody signs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedExport>,
}

/// The signed state that an export carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignedExport {
    /// Pages that it names.
    pub pages: u64,
    /// The timestamp, which by now may be another one in the tree.
    #[serde(skip)]
    pub timestamp: Vec<u8>,
}

/// How an import goes about it.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Seconds since 1970.
    pub now: i64,
    /// What it must be proved against; without it nothing is proved.
    pub against: Option<Against>,
    /// What happens to projects that earlier bundles brought and this one, which is whole, has not.
    pub others: Others,
    /// How many projects may be removed.
    pub delete_limit: DeleteLimit,
    /// Who signs what came, where the mirror signs with keys of its own.
    pub notary: Option<Arc<Notary>>,
    /// Whether anything is changed.
    pub mode: Mode,
}

/// What happens to what earlier bundles brought and this one does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// It stays.
    #[default]
    Keep,
    /// It goes.
    Remove,
}

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The bundle is checked and taken.
    #[default]
    Take,
    /// The bundle is checked.
    CheckOnly,
}

/// Something that the bundle builds on and the mirror has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// Whose it is; nobody's for what proves others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// What.
    pub path: RelPath,
}

/// What an import came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The manifest's sha256.
    pub manifest: Sha256,
    /// When what it holds was signed, in seconds since 1970; without a root, when the bundle says that it was made.
    pub made_at: i64,
    /// How much of the upstream it speaks for.
    pub coverage: Coverage,
    /// What was asked for when it was made, where that was not everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub selection: Vec<String>,
    /// What its manifest promises: counts, bytes and the digest of the list. All of it was there.
    pub promised: End,
    /// The serial that the root list claims now.
    pub serial: Option<Serial>,
    /// Projects that are new or changed; where nothing is changed, those that would be.
    pub updated: u64,
    /// Projects that are held as the bundle has them.
    pub unchanged: u64,
    /// Projects that were removed.
    pub removed: u64,
    /// Projects that are newer here than in the bundle, and were left alone.
    pub newer: u64,
    /// Projects that earlier bundles brought and this one, which is whole, has not.
    pub not_in_it: u64,
    /// Projects that were to be removed and stay, because they are more than one run may remove.
    pub held_back: u64,
    /// Files taken.
    pub files: u64,
    /// Bytes taken.
    pub size_bytes: u64,
    /// What the committer refused, one line each.
    pub refused: Vec<String>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// What was proved; nothing without a root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// What was signed with the mirror's own keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
}

/// Opens the manifest of a bundle, or one that stands alone.
fn manifest(open: Open<'_>) -> Result<ManifestReader<Box<dyn io::BufRead>>, EngineError> {
    let source = open().map_err(BundleError::Read)?;
    Ok(ManifestReader::of(source, BundleLimits::default())?)
}

/// A small file of the tree, whole; `None` where it is not there.
fn read_public(store: &Store, path: &RelPath, limit: u64) -> Result<Option<Vec<u8>>, EngineError> {
    let Some(open) = store.open_public(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    open.file
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(BundleError::Read)?;
    if bytes.len() as u64 > limit {
        return Err(
            BundleError::entry(path.as_str(), format!("it has more than {limit} bytes")).into(),
        );
    }
    Ok(Some(bytes))
}
