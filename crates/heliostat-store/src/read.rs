//! The read side: opening what stands in the tree, and asking the catalog. Nothing here changes anything.

use std::io::Read as _;
use std::ops::ControlFlow;

use heliostat_pypi::{ProjectName, RelPath, TreePath};
use serde::de::DeserializeOwned;

use crate::catalog::{Root, Run, Totals};
use crate::disk::{self, OpenFile, Stamp};
use crate::error::StoreError;
use crate::layout::{self, PageKind, RootKind};
use crate::record::{FileRow, LedgerEntry, Part, ProjectRecord, ProjectState, Weight};
use crate::store::Store;

/// A project with its record, or with the reason why that cannot be read.
pub type NamedRecord = (ProjectName, Result<ProjectRecord, StoreError>);

/// Records read at a time when all of them are gone through, so that no reading transaction lasts long.
const RECORDS_AT_ONCE: usize = 256;

/// Where the root list's serial and time are noted.
pub(crate) const ROOT_NOTE: &str = "root";

impl Store {
    /// Opens one of a project's documents.
    pub fn open_page(
        &self,
        name: &ProjectName,
        kind: PageKind,
    ) -> Result<Option<OpenFile>, StoreError> {
        self.open_relative(&layout::page(name, kind))
    }

    /// One of a project's documents, whole. Of a longer one than `limit_bytes` comes one byte more than that, so that it
    /// is not taken for its own beginning.
    pub fn page_bytes(
        &self,
        name: &ProjectName,
        kind: PageKind,
        limit_bytes: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.bytes_of(&layout::page(name, kind), limit_bytes)
    }

    /// What identifies the present state of one of a project's documents, from one cheap call.
    pub fn page_stamp(
        &self,
        name: &ProjectName,
        kind: PageKind,
    ) -> Result<Option<Stamp>, StoreError> {
        self.stamp_relative(&layout::page(name, kind))
    }

    /// Opens a file or its metadata. Provenance documents have their own call, because a path does not tell their
    /// project.
    pub fn open_file(&self, path: &TreePath, part: Part) -> Result<Option<OpenFile>, StoreError> {
        match part {
            Part::File => self.open_relative(&path.to_string()),
            Part::Metadata => self.open_relative(&format!("{path}.metadata")),
            Part::Provenance => match self.file(path)? {
                Some(row) => layout::part(&row.project, path, part)
                    .map_or(Ok(None), |path| self.open_relative(&path)),
                None => Ok(None),
            },
        }
    }

    /// Opens a provenance document (PEP 740) by what its address says.
    pub fn open_provenance(
        &self,
        project: &ProjectName,
        version: &str,
        filename: &str,
    ) -> Result<Option<OpenFile>, StoreError> {
        match layout::provenance(project, version, filename).parse::<RelPath>() {
            Ok(path) => self.open_relative(path.as_str()),
            Err(_) => Ok(None),
        }
    }

    /// Opens the root list.
    pub fn open_root(&self, kind: RootKind) -> Result<Option<OpenFile>, StoreError> {
        self.open_relative(layout::root(kind))
    }

    /// What identifies the present state of the root list.
    pub fn root_stamp(&self, kind: RootKind) -> Result<Option<Stamp>, StoreError> {
        self.stamp_relative(layout::root(kind))
    }

    /// Opens anything public.
    pub fn open_public(&self, path: &RelPath) -> Result<Option<OpenFile>, StoreError> {
        self.open_relative(path.as_str())
    }

    /// What identifies the present state of anything public.
    pub fn public_stamp(&self, path: &RelPath) -> Result<Option<Stamp>, StoreError> {
        self.stamp_relative(path.as_str())
    }

    /// All we know of a project.
    pub fn project(&self, name: &ProjectName) -> Result<Option<ProjectRecord>, StoreError> {
        self.inner.catalog.project(name)
    }

    /// The narrow row of a project.
    pub fn project_state(&self, name: &ProjectName) -> Result<Option<ProjectState>, StoreError> {
        self.inner.catalog.project_state(name)
    }

    /// The narrow rows of all projects, sorted by name.
    pub fn project_states(&self) -> Result<Vec<ProjectState>, StoreError> {
        self.inner.catalog.project_states()
    }

    /// Goes through all records in name order, or those after a name. Not one consistent state: projects committed
    /// meanwhile are seen as they are when their turn comes.
    pub fn for_each_project(
        &self,
        after: Option<&ProjectName>,
        mut each: impl FnMut(&ProjectName, Result<ProjectRecord, StoreError>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut after = after.cloned();
        loop {
            let records = self
                .inner
                .catalog
                .projects_after(after.as_ref(), RECORDS_AT_ONCE)?;
            let Some((last, _)) = records.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (name, record) in records {
                if each(&name, record).is_break() {
                    return Ok(());
                }
            }
        }
    }

    /// Up to `limit` records after a name, in name order. A damaged record is an element, not the end.
    pub fn projects_after(
        &self,
        after: Option<&ProjectName>,
        limit: usize,
    ) -> Result<Vec<NamedRecord>, StoreError> {
        self.inner.catalog.projects_after(after, limit)
    }

    /// A file's row, where a page lists the file.
    pub fn file(&self, path: &TreePath) -> Result<Option<FileRow>, StoreError> {
        self.inner.catalog.file(path)
    }

    /// The rows of all files that a project's page lists, in the page's order.
    pub fn project_files(&self, name: &ProjectName) -> Result<Vec<FileRow>, StoreError> {
        self.inner.catalog.project_files(name)
    }

    /// Everything that failed and has not been made good, sorted by project and item.
    pub fn ledger(&self) -> Result<Vec<LedgerEntry>, StoreError> {
        self.inner.catalog.ledger(Weight::Failure)
    }

    /// Everything that is held and doubted, sorted by project and item.
    pub fn warnings(&self) -> Result<Vec<LedgerEntry>, StoreError> {
        self.inner.catalog.ledger(Weight::Warning)
    }

    /// Everything that failed, or is doubted, of one project.
    pub fn ledger_of(&self, name: &ProjectName) -> Result<Vec<LedgerEntry>, StoreError> {
        let catalog = &self.inner.catalog;
        let mut entries = catalog.ledger_of(name, Weight::Failure)?;
        entries.extend(catalog.ledger_of(name, Weight::Warning)?);
        Ok(entries)
    }

    /// The running counts.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        self.inner.catalog.totals()
    }

    /// Grows with every commit of any process.
    pub fn generation(&self) -> Result<u64, StoreError> {
        self.inner.catalog.counter("generation")
    }

    /// The root list as last published, if it ever was.
    pub fn root(&self) -> Result<Option<Root>, StoreError> {
        self.meta(ROOT_NOTE)
    }

    /// A value noted under a key with `set_meta`. One that is of another shape by now counts as damaged.
    pub fn meta<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let Some(text) = self.inner.catalog.meta(key)? else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| StoreError::RecordDamaged {
                project: format!("(the note {key})"),
                source: error.into(),
            })
    }

    /// The last finished runs, newest first.
    pub fn runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        self.inner.catalog.runs(limit)
    }

    /// Bytes of the files taken on demand, with what stands beside them.
    pub fn on_demand_bytes(&self) -> Result<u64, StoreError> {
        self.inner.catalog.on_demand_bytes()
    }

    /// On-demand files to evict, least recently used first, until they add up to `bytes`. Files of projects in the
    /// `pinned` list are left out.
    pub fn eviction_candidates(
        &self,
        bytes: u64,
        pinned: &[ProjectName],
    ) -> Result<Vec<FileRow>, StoreError> {
        self.inner.catalog.least_used(bytes, |project| {
            pinned.iter().any(|name| name.as_str() == project)
        })
    }

    /// A document of the tree, whole, or one byte more of it than `limit_bytes`.
    pub(crate) fn bytes_of(
        &self,
        relative: &str,
        limit_bytes: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(document) = self.open_relative(relative)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        document
            .file
            .take(limit_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| StoreError::io("read", self.inner.layout.in_web(relative), error))?;
        Ok(Some(bytes))
    }

    fn open_relative(&self, relative: &str) -> Result<Option<OpenFile>, StoreError> {
        disk::open_below(&self.inner.web, relative)
            .map_err(|error| StoreError::io("open", self.inner.layout.in_web(relative), error))
    }

    fn stamp_relative(&self, relative: &str) -> Result<Option<Stamp>, StoreError> {
        disk::stamp_below(&self.inner.web, relative)
            .map_err(|error| StoreError::io("look at", self.inner.layout.in_web(relative), error))
    }
}
