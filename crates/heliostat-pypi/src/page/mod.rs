//! Simple API documents: the model, reading what upstreams write, writing what we publish.
//!
//! Owns the page model. Reading is lenient where real indexes are sloppy and strict about what could hurt; writing
//! is byte-deterministic. Does not fetch, store or choose: which files a page lists is the caller's decision.

mod bind;
mod read;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{FileName, FileNameError, ProjectName, RelPath, Serial, Sha256, TreePath, Version};

pub use bind::{BindError, CANONICAL_PAGE_VERSION, Unsignable, check_signable, read_signed};
pub use read::{
    LIST_PROJECTS_MAX, ListRead, MediaType, PAGE_FILES_MAX, PAGE_VERSIONS_MAX, PageError, PageRead,
    REASON_BYTES_MAX, REQUIRES_PYTHON_BYTES_MAX, Rejected, URL_BYTES_MAX, VERSION_BYTES_MAX,
    read_list, read_page,
};
pub use write::{Format, legacy_sources, render_legacy, render_list, render_page, render_passing};

/// One project's page, as read from an upstream or as we publish it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectPage {
    /// The normalised project name.
    pub name: ProjectName,
    /// PyPI's change counter for this project, where the upstream tells it (`_last-serial`, `X-PyPI-Last-Serial`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// PEP 792 status marker.
    #[serde(default, skip_serializing_if = "ProjectStatus::is_active")]
    pub status: ProjectStatus,
    /// Every version the upstream lists (PEP 700), also those without files. Empty where the upstream does not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// The files.
    pub files: Vec<PageFile>,
}

/// One file of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageFile {
    /// Where it lives in our tree. Fixed when the file is first seen, also when its digest is learned later.
    pub path: TreePath,
    /// Its absolute address upstream, without fragment.
    pub url: String,
    /// The file's sha256, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// Digests of other algorithms as the upstream gave them: lower-case algorithm to lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other_hashes: BTreeMap<String, String>,
    /// Size in bytes, where known (PEP 700).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// `yyyy-mm-ddThh:mm:ss[.ffffff]Z` (PEP 700), kept as the upstream spelt it once it has been checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_time: Option<String>,
    /// The `Requires-Python` specifier, unescaped, as the upstream spelt it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_python: Option<String>,
    /// Whether `<file>.metadata` is offered (PEP 658, PEP 714).
    #[serde(default, skip_serializing_if = "CoreMetadata::is_absent")]
    pub core_metadata: CoreMetadata,
    /// PEP 592.
    #[serde(default, skip_serializing_if = "Yanked::is_no")]
    pub yanked: Yanked,
    /// Absolute address of the provenance object upstream (PEP 740).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<String>,
    /// The sha256 of the provenance document as we or the upstream hold it, so that nobody on the way can strip or
    /// change it. Not PyPI's; heliostat's own key `_provenance-sha256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance_sha256: Option<Sha256>,
    /// Whether a detached signature is offered; the key is omitted where the upstream does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpg_sig: Option<bool>,
}

/// Whether a file's core metadata is offered beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CoreMetadata {
    /// Not offered.
    #[default]
    Absent,
    /// Offered without a digest (`true`).
    Offered,
    /// Offered with its sha256.
    Sha256(Sha256),
}

/// PEP 592's yank marker.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Yanked {
    /// Not yanked.
    #[default]
    No,
    /// Yanked without a reason.
    Yes,
    /// Yanked with a reason, never empty.
    Because(String),
}

/// PEP 792's status of a project, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProjectStatus {
    /// The marker. Unknown markers are kept as text.
    pub kind: StatusKind,
    /// Why, in the index's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// PEP 792's markers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusKind {
    /// The default.
    #[default]
    Active,
    /// Expects no further releases.
    Archived,
    /// Unsafe: its files are not offered.
    Quarantined,
    /// Superseded.
    Deprecated,
    /// A marker we do not know, kept as it came.
    Other(String),
}

impl CoreMetadata {
    /// Whether nothing is offered.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl Yanked {
    /// Whether the file is not yanked.
    pub const fn is_no(&self) -> bool {
        matches!(self, Self::No)
    }
}

impl ProjectStatus {
    /// Whether this is the default that pages need not mention.
    pub fn is_active(&self) -> bool {
        self.kind == StatusKind::Active && self.reason.is_none()
    }
}

impl PageFile {
    /// The file's name.
    pub fn filename(&self) -> &str {
        self.path.filename()
    }

    /// Whether the file is a wheel.
    pub fn is_wheel(&self) -> bool {
        // Tags and installers know the lower-case suffix only, whatever the file system thinks.
        self.filename().as_bytes().ends_with(b".whl")
    }

    /// What the file's name says, read with the project in hand.
    pub fn parsed(&self, project: &ProjectName) -> Result<FileName, FileNameError> {
        FileName::parse(self.filename(), project)
    }

    /// The file's version as its name spells it, where it tells.
    pub fn version(&self, project: &ProjectName) -> Option<Version> {
        self.parsed(project).ok()?.version().cloned()
    }

    /// Where the file's provenance object stands in the tree, PyPI's own shape:
    /// `integrity/<project>/<version>/<file>/provenance`. `None` where the name tells no version.
    pub fn provenance_path(&self, project: &ProjectName) -> Option<RelPath> {
        self.provenance_path_at(project, &self.version(project)?)
    }

    fn provenance_path_at(&self, project: &ProjectName, version: &Version) -> Option<RelPath> {
        format!(
            "integrity/{project}/{version}/{}/provenance",
            self.filename()
        )
        .parse()
        .ok()
    }
}
