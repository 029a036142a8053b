//! What the catalog knows of a project and its files. Values only; reading and writing them is `catalog`'s work.

use std::collections::BTreeSet;
use std::fmt;

use heliostat_pypi::page::{PageFile, ProjectPage};
use heliostat_pypi::{ProjectName, Serial, TreePath};
use serde::{Deserialize, Serialize};

/// All we know of one project: the upstream's page whole, and what of it our page lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectRecord {
    /// Everything the upstream lists, with what we learned ourselves (digests, sizes) filled in.
    pub page: ProjectPage,
    /// File names our page leaves out: filtered, or not yet held by a mirrored project.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hidden: BTreeSet<String>,
    /// Who answers for this project.
    pub keeper: Keeper,
    /// The serial our page claims: never more than we hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_serial: Option<Serial>,
    /// For the next conditional request.
    #[serde(default)]
    pub validators: Validators,
    /// When the upstream last confirmed this page, in seconds since 1970.
    pub confirmed_at: i64,
    /// The upstream's Simple API root, without credentials.
    pub upstream: String,
}

/// Who answers for a project's page and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeper {
    /// `sync`: every listed file is held.
    Mirror,
    /// `sync --no-files`: pages are held, files redirect to the upstream.
    PagesOnly,
    /// `serve`: the page as upstream, files taken when asked for.
    OnDemand,
}

/// What made the last answer conditional.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag` as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified` as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// The narrow row of a project: what planning needs for 900,000 of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectState {
    /// The project.
    pub name: ProjectName,
    /// The serial our page claims.
    pub published_serial: Option<Serial>,
    /// Who answers for it.
    pub keeper: Keeper,
}

/// The three things that can stand for one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The file itself.
    File,
    /// `<file>.metadata`
    Metadata,
    /// `integrity/<project>/<version>/<file>/provenance`
    Provenance,
}

/// What the catalog knows of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its path.
    pub path: TreePath,
    /// Whose it is.
    pub project: ProjectName,
    /// Which parts are on disk.
    pub held: Vec<Part>,
    /// Bytes on disk of the file itself, 0 where not held.
    pub size_bytes: u64,
    /// Bytes on disk of all its parts.
    pub bytes_held: u64,
    /// When it was last asked for, in seconds since 1970; 0 where that is not kept (only on-demand files are evicted).
    pub used_at: i64,
}

impl ProjectRecord {
    /// The files that our page lists.
    pub fn listed(&self) -> impl Iterator<Item = &PageFile> {
        self.page
            .files
            .iter()
            .filter(|file| !self.hidden.contains(file.filename()))
    }
}

impl Keeper {
    /// Whether `sync` answers for the project.
    pub const fn is_synced(self) -> bool {
        matches!(self, Self::Mirror | Self::PagesOnly)
    }
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::File, Self::Metadata, Self::Provenance];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "the file",
            Self::Metadata => "the metadata of",
            Self::Provenance => "the provenance of",
        })
    }
}

/// One failure that stands until it is made good, or one doubt about something that was taken all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The project.
    pub project: ProjectName,
    /// The file, or empty for the page.
    pub item: String,
    /// Why, one line.
    pub reason: String,
    /// Runs that failed so far.
    pub tries: u32,
    /// Seconds since 1970.
    pub first_failed_at: i64,
    /// Seconds since 1970.
    pub next_try_at: i64,
    /// The serial the list promised, where it did.
    pub wanted_serial: Option<Serial>,
    /// How much it weighs.
    #[serde(default)]
    pub weight: Weight,
}

/// How much an entry of the ledger weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Something is not held that should be. It is tried again, and no serial is claimed past it.
    #[default]
    Failure,
    /// It is held, and something about it is to be told. Nothing waits for it.
    Warning,
}
