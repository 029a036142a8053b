//! Bundles: one file that carries a mirror, or what changed of it, to where no network goes. Format 1, as specified in
//! docs/format.md.
//!
//! Owns the bytes: the manifest's lines, and the archive (tar in zstd) that holds the manifest first and then what the
//! manifest says, in its order. Works on whatever reads and writes, opens nothing, and holds one line in memory at a
//! time, so that a bundle of everything costs no more than one of a project. Nothing that is read here is trusted; what
//! the bytes of a page, a file or TUF metadata are worth is the caller's business.
//!
//! It stands in this crate, although the format is heliostat's own, because this is where bytes from outside are parsed
//! without any I/O, and where every parser is fuzzed.

mod archive;
mod contents;
mod manifest;
mod pack;
mod walk;

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::page::PAGE_FILES_MAX;
use crate::{ProjectName, RelPath, Serial, Sha256};

pub use archive::{Archive, Entry};
pub use contents::{Content, Contents, PartKind, contents};
pub use manifest::{ManifestReader, ManifestWriter};
pub use pack::Packer;
pub use walk::BundleReader;

/// The version of the format that is written here, and the newest that is read.
pub const BUNDLE_FORMAT: u32 = 1;

/// The name of a bundle's first entry.
pub const MANIFEST_NAME: &str = "manifest.jsonl";

/// One line of a manifest. The order: one header, trust files sorted by path, projects and removals together sorted by
/// name, one end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// What this is.
    Header(Header),
    /// A file of the tree that proves others: TUF metadata and the targets that are not pages.
    Trust(Item),
    /// A project that the state it builds on has and this one has not.
    Removed(ProjectName),
    /// A project.
    Project(Project),
    /// Nothing follows.
    End(End),
}

/// What a bundle is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// The format: [`BUNDLE_FORMAT`].
    #[serde(rename = "heliostat-bundle")]
    pub format: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// How much of the upstream it speaks for.
    pub coverage: Coverage,
    /// Whether it is of all that the mirror holds, or some of that was asked for.
    #[serde(default, skip_serializing_if = "Extent::is_whole")]
    pub extent: Extent,
    /// Projects that belong to what the mirror holds and are not in it, so that their absence says nothing: they failed,
    /// are not held whole, or were not signed. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<ProjectName>,
    /// What was asked for, as typed, where that is not everything; shortened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selection: Vec<String>,
    /// The upstream's Simple API root, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// The serial that the root list claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The state whose content is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Base>,
}

/// How much of the upstream a bundle speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// All projects: one that is not in it does not exist.
    Complete,
    /// Those that were selected; of others it says nothing.
    Selection,
}

/// The state that a bundle builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Base {
    /// The sha256 of its manifest.
    pub manifest: Sha256,
    /// When that was made.
    pub made_at: Timestamp,
}

/// One project as it is to be on the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// Whether every file that its page lists is part of it.
    #[serde(default, skip_serializing_if = "Extent::is_whole")]
    pub extent: Extent,
    /// The upstream's Simple API root, where it is not the header's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Its page, `simple/<project>/index.v1_json`.
    pub page: Item,
    /// Its files, with their metadata and provenance, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Item>,
}

/// How many of a page's files, or of a mirror's projects, are part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// All of them.
    #[default]
    Whole,
    /// Those that were selected.
    Some,
}

/// A file of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Item {
    /// Where, relative to the tree.
    pub path: RelPath,
    /// The digest of its bytes.
    pub sha256: Sha256,
    /// How many they are.
    #[serde(rename = "size")]
    pub size_bytes: u64,
    /// Where they are to be had.
    #[serde(default, rename = "in", skip_serializing_if = "Place::is_bundle")]
    pub place: Place,
}

/// Where an item's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In this bundle.
    #[default]
    Bundle,
    /// In the state that this bundle builds on.
    Base,
}

/// What a manifest's last line counts, so that one that was cut off is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct End {
    /// Lines of projects.
    pub projects: u64,
    /// Lines of removals.
    pub removed: u64,
    /// Items with their bytes in this bundle.
    pub entries: u64,
    /// Their bytes.
    #[serde(rename = "size")]
    pub size_bytes: u64,
    /// Items with their bytes in the state that it builds on.
    pub in_base: u64,
    /// The sha256 of all lines before this one. Manifests that were made before there was this have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Sha256>,
}

/// What is read of a bundle at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleLimits {
    /// One line of the manifest, in bytes.
    pub line_bytes_max: usize,
    /// Lines of trust.
    pub trust_files_max: u64,
    /// All files of trust together, in bytes: an import holds them in memory until they are verified. PyPI's 8,192 bins
    /// have about 140 MB.
    pub trust_bytes_max: u64,
    /// Lines of projects and removals.
    pub projects_max: u64,
    /// Parts of one project.
    pub parts_max: usize,
    /// A page, in bytes.
    pub page_bytes_max: u64,
    /// A metadata or provenance document, or a file of trust, in bytes.
    pub document_bytes_max: u64,
    /// A file, in bytes.
    pub file_bytes_max: u64,
    /// How many times larger what comes out may be than what went in, beyond `slack_bytes`.
    pub ratio_max: u64,
    /// What may come out whatever went in, in bytes.
    pub slack_bytes: u64,
    /// The largest window that decompression may ask for, as a power of two.
    pub window_log_max: u32,
}

/// Why a bundle cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The disk, while reading it.
    #[error("could not read the bundle")]
    Read(#[source] io::Error),
    /// The disk, while writing it.
    #[error("could not write the bundle")]
    Write(#[source] io::Error),
    /// It is something else.
    #[error("this is not a bundle: {0}")]
    NotABundle(String),
    /// It was made by a newer heliostat.
    #[error("the bundle has format {found}; this heliostat knows formats up to {BUNDLE_FORMAT}")]
    Newer {
        /// Its format.
        found: u32,
    },
    /// The compressed bytes are damaged or cut off.
    #[error("the bundle is damaged: {0}")]
    Damaged(String),
    /// More comes out of it than any real bundle holds.
    #[error("the bundle unpacks to more than {ratio_max} times its size")]
    TooDense {
        /// The limit.
        ratio_max: u64,
    },
    /// A line of its manifest.
    #[error("line {line} of the manifest is refused: {reason}")]
    Manifest {
        /// Which one, counted from 1.
        line: u64,
        /// Why.
        reason: String,
    },
    /// An entry of its archive.
    #[error("the entry `{path}` is refused: {reason}")]
    Entry {
        /// Its path, shortened and escaped for display.
        path: String,
        /// Why.
        reason: String,
    },
    /// What it says of a project.
    #[error("what the bundle says of `{project}` is refused: {reason}")]
    Project {
        /// The project.
        project: ProjectName,
        /// Why.
        reason: String,
    },
}

impl Default for BundleLimits {
    fn default() -> Self {
        Self {
            line_bytes_max: 128 << 20,
            trust_files_max: 200_000,
            trust_bytes_max: 512_000_000,
            projects_max: 10_000_000,
            parts_max: 3 * PAGE_FILES_MAX,
            page_bytes_max: 64_000_000,
            document_bytes_max: 32_000_000,
            file_bytes_max: 64_000_000_000,
            ratio_max: 1_000,
            slack_bytes: 64 << 20,
            window_log_max: 27,
        }
    }
}

impl BundleError {
    /// Whether it is the disk's fault and not the bundle's.
    pub const fn is_io(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Write(_))
    }

    /// An entry's fault; the path may be anything.
    pub fn entry(path: &str, reason: impl Into<String>) -> Self {
        Self::Entry {
            path: shown(path),
            reason: reason.into(),
        }
    }

    /// A project's fault.
    pub fn project(project: &ProjectName, reason: impl Into<String>) -> Self {
        Self::Project {
            project: project.clone(),
            reason: reason.into(),
        }
    }
}

impl Item {
    /// A file of the tree whose bytes are in the bundle.
    pub const fn new(path: RelPath, sha256: Sha256, size_bytes: u64) -> Self {
        Self {
            path,
            sha256,
            size_bytes,
            place: Place::Bundle,
        }
    }

    /// Whether this is the same file with the same bytes.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.path, self.sha256, self.size_bytes) == (&other.path, other.sha256, other.size_bytes)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
impl Extent {
    const fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
impl Place {
    const fn is_bundle(&self) -> bool {
        matches!(self, Self::Bundle)
    }
}

impl End {
    /// Counts a line in.
    pub(crate) fn count(&mut self, line: &Line) {
        let items: &mut dyn Iterator<Item = &Item> = match line {
            Line::Header(_) | Line::End(_) => return,
            Line::Removed(_) => {
                self.removed += 1;
                return;
            }
            Line::Trust(item) => &mut std::iter::once(item),
            Line::Project(project) => {
                self.projects += 1;
                &mut std::iter::once(&project.page).chain(&project.parts)
            }
        };
        for item in items {
            match item.place {
                Place::Bundle => {
                    self.entries += 1;
                    self.size_bytes = self.size_bytes.saturating_add(item.size_bytes);
                }
                Place::Base => self.in_base += 1,
            }
        }
    }
}

/// Text from outside as it may be shown: shortened, and with what is not plain text escaped.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(200) {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests;
