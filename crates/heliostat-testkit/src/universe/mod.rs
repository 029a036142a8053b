//! What an index holds: projects, releases, files, serials, and how they change.
//!
//! Owns the model and its changes; every change bumps the serial. Knows nothing of HTTP: `pypi` serves it and
//! `tree` compares with it.

mod bench;
mod change;
mod release;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::fixture::normalise;

pub use bench::BenchSet;
pub use change::Quarantine;
pub use release::Release;

/// Everything an index holds. Names are given in any spelling and kept by their normalised form.
#[derive(Debug, Clone, Default)]
pub struct Universe {
    projects: BTreeMap<String, Project>,
    /// `packages/aa/bb/<60 hex>/<file>` to the file there.
    stored: HashMap<String, Arc<StoredFile>>,
    /// Old name to new name.
    renamed: BTreeMap<String, String>,
    serial: u64,
    /// Serials that were handed out before, to be used by the next changes.
    reserved: Vec<u64>,
    /// Grows with every change, also when serials are committed out of order: what caches are keyed by.
    revision: u64,
    bulk_names: usize,
}

/// One project.
#[derive(Debug, Clone)]
pub struct Project {
    /// The name as its owner spells it.
    pub display_name: String,
    /// The serial of its last change.
    pub serial: u64,
    /// PEP 792: `active`, `archived`, `quarantined`, `deprecated`.
    pub status: String,
    /// PEP 792.
    pub status_reason: Option<String>,
    /// How much of it the index shows.
    pub presence: Presence,
    /// Every version, in the order they were added.
    pub versions: Vec<String>,
    /// Every file, in the order they were added.
    pub files: Vec<Arc<StoredFile>>,
    pub(crate) revision: u64,
    pub(crate) previous: Option<Arc<Self>>,
}

/// How much of a project the index shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// Listed, with its page and files.
    #[default]
    Whole,
    /// Listed, with a page that offers no files (PEP 792's quarantine).
    WithoutFiles,
    /// Listed, but its page answers 404.
    PageGone,
    /// Not listed, and its page answers 404.
    Unlisted,
}

/// One file.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// Its name.
    pub filename: String,
    /// The version it belongs to.
    pub version: String,
    /// The whole file.
    pub bytes: Bytes,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// Lower-case hexadecimal; PyPI's path is made from it.
    pub blake2b_256: String,
    /// `yyyy-mm-ddThh:mm:ss.ffffffZ`
    pub upload_time: String,
    /// The `Requires-Python` specifier.
    pub requires_python: Option<String>,
    /// PEP 592.
    pub yanked: Yank,
    /// The bytes of `<file>.metadata`, offered or not.
    pub metadata: Option<Bytes>,
    /// Whether and how it is offered.
    pub metadata_offer: MetadataOffer,
    /// The PEP 740 provenance object.
    pub provenance: Option<Bytes>,
}

/// PEP 592's marker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Yank {
    /// Not yanked.
    #[default]
    No,
    /// Yanked without a reason.
    Yes,
    /// Yanked with a reason.
    Because(String),
}

/// How a file's metadata is offered (PEP 658, PEP 714).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataOffer {
    /// With its sha256.
    #[default]
    Hashed,
    /// As `true`.
    Unhashed,
    /// Not at all, although a wheel has it inside.
    Absent,
}

impl Universe {
    /// An empty index at serial 1000.
    pub fn new() -> Self {
        Self {
            serial: 1000,
            ..Self::default()
        }
    }

    /// The largest serial given to any change.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// One project, whether it is shown or not.
    pub fn project(&self, name: &str) -> Option<&Project> {
        self.projects.get(&normalise(name))
    }

    /// Every project by normalised name, whether it is shown or not. Names from [`Universe::bulk_names`] are not among them.
    pub fn projects(&self) -> impl Iterator<Item = (&str, &Project)> {
        self.projects
            .iter()
            .map(|(name, project)| (name.as_str(), project))
    }

    /// The file at `packages/aa/bb/<60 hex>/<file>`.
    pub fn stored(&self, path: &str) -> Option<&Arc<StoredFile>> {
        self.stored.get(path)
    }

    /// The file with this name, wherever it lies. Looks at every file.
    pub fn stored_by_filename(&self, filename: &str) -> Option<&Arc<StoredFile>> {
        self.stored.values().find(|file| file.filename == filename)
    }

    /// Where a project that was renamed went.
    pub fn renamed(&self, name: &str) -> Option<&str> {
        self.renamed.get(name).map(String::as_str)
    }

    /// Number of names that stand in the root list without having files; see [`Universe::add_bulk_names`].
    pub fn bulk_names(&self) -> usize {
        self.bulk_names
    }

    /// The name of bulk project number `index`.
    pub fn bulk_name(index: usize) -> String {
        format!("bulk-{index:07}")
    }

    pub(crate) fn is_bulk_name(&self, name: &str) -> bool {
        name.strip_prefix("bulk-")
            .filter(|digits| digits.len() == 7)
            .and_then(|digits| digits.parse::<usize>().ok())
            .is_some_and(|index| index < self.bulk_names)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }
}

impl Project {
    /// Whether the root list names it.
    pub fn is_listed(&self) -> bool {
        self.presence != Presence::Unlisted
    }

    /// Whether its page answers 200.
    pub fn has_page(&self) -> bool {
        matches!(self.presence, Presence::Whole | Presence::WithoutFiles)
    }

    /// The files its page offers.
    pub fn offered(&self) -> &[Arc<StoredFile>] {
        if self.presence == Presence::Whole {
            &self.files
        } else {
            &[]
        }
    }

    /// One file by name.
    pub fn file(&self, filename: &str) -> Option<&Arc<StoredFile>> {
        self.files.iter().find(|file| file.filename == filename)
    }
}

impl StoredFile {
    /// `packages/aa/bb/<60 hex>/<file>`, PyPI's own shape.
    pub fn path(&self) -> String {
        let digits = &self.blake2b_256;
        format!(
            "packages/{}/{}/{}/{}",
            &digits[..2],
            &digits[2..4],
            &digits[4..],
            self.filename
        )
    }

    /// The metadata bytes, where they are offered.
    pub fn offered_metadata(&self) -> Option<&Bytes> {
        self.metadata
            .as_ref()
            .filter(|_| self.metadata_offer != MetadataOffer::Absent)
    }

    /// Whether it is a wheel.
    pub fn is_wheel(&self) -> bool {
        is_wheel_name(&self.filename)
    }
}

/// Wheels are told by their suffix in exactly this spelling (PEP 427).
fn is_wheel_name(filename: &str) -> bool {
    std::path::Path::new(filename).extension() == Some("whl".as_ref())
}

#[cfg(test)]
mod tests;
