//! Finds, cheaply, what is missing on disk or of the wrong size: one look at each file and no reading. What has the
//! right size and wrong bytes is found by hashing, which is verifying's work.

use heliostat_pypi::{ProjectName, TreePath};

use crate::catalog::{Applier, CheckPlace};
use crate::disk;
use crate::error::StoreError;
use crate::layout::{self, PageKind};
use crate::record::Part;
use crate::repair::document;
use crate::store::Store;

/// What one step of looking found.
#[derive(Debug, Default)]
pub struct CheckStep {
    /// What is missing or of the wrong size.
    pub lost: Vec<Lost>,
    /// Where to go on; `None` at the end.
    pub next: Option<CheckPlace>,
}

/// Parts of a file that the catalog holds to be on disk, and that are not, or not right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Whose file it is.
    pub project: ProjectName,
    /// The file.
    pub path: TreePath,
    /// Which parts of it.
    pub parts: Vec<Part>,
}

impl Store {
    /// Looks at up to `limit` files after a place.
    pub fn quick_check_files(
        &self,
        after: Option<&CheckPlace>,
        limit: usize,
    ) -> Result<CheckStep, StoreError> {
        let start = CheckPlace::default();
        let rows = self
            .inner
            .catalog
            .held_after(after.unwrap_or(&start), limit)?;
        let mut step = CheckStep::default();
        if rows.len() == limit {
            step.next = rows.last().map(|row| CheckPlace {
                id: row.path.id().to_vec(),
                name: row.path.filename().to_owned(),
            });
        }
        for row in rows {
            let parts: Vec<Part> = Part::ALL
                .into_iter()
                .filter(|part| {
                    row.held
                        .part(*part)
                        .is_some_and(|size| !self.has_size(&row.project, &row.path, *part, size))
                })
                .collect();
            if !parts.is_empty() {
                step.lost.push(Lost {
                    project: row.project,
                    path: row.path,
                    parts,
                });
            }
        }
        Ok(step)
    }

    /// The projects among these that lack a document in the tree.
    pub fn without_pages(&self, names: &[ProjectName]) -> Vec<ProjectName> {
        let is_there = |document: String| self.inner.layout.in_web(&document).is_file();
        let lacks = |name: &&ProjectName| {
            let has_pages = is_there(layout::page(name, PageKind::Json))
                && is_there(layout::page(name, PageKind::Html))
                && is_there(layout::page_index(name));
            // A project without releases has no legacy document, which only its record tells.
            let needs_legacy = || match self.project(name) {
                Ok(record) => {
                    record.is_some_and(|record| document(&record, PageKind::Legacy).is_some())
                }
                Err(_) => true,
            };
            !has_pages || (!is_there(layout::page(name, PageKind::Legacy)) && needs_legacy())
        };
        names.iter().filter(lacks).cloned().collect()
    }

    /// Forgets parts that are missing or wrong, and removes wrong bytes, so that they are taken again.
    pub fn forget_lost(&self, lost: &[Lost], now: i64) -> Result<(), StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        drop(self.redo()?);
        for one in lost {
            for part in &one.parts {
                if let Some(place) = self.place(&one.project, &one.path, *part) {
                    disk::remove_file(&place)?;
                    self.remove_emptied(&place);
                }
            }
        }
        let on_disk = |name: &ProjectName, path: &TreePath, part| self.is_on_disk(name, path, part);
        self.inner
            .catalog
            .write("forget what is lost", |transaction| {
                let mut applier = Applier::new(transaction, now, now, &on_disk)?;
                for one in lost {
                    applier.lose(&one.path, &one.parts)?;
                }
                applier.finish()
            })?;
        Ok(())
    }

    /// Removes the directories that losing a file has emptied.
    fn remove_emptied(&self, place: &std::path::Path) {
        for root in layout::ROOTS {
            let root = self.inner.layout.in_web(root);
            if let Some(directory) = place.parent().filter(|path| path.starts_with(&root)) {
                disk::remove_empty_directories(directory, &root);
            }
        }
    }

    fn has_size(
        &self,
        project: &ProjectName,
        path: &TreePath,
        part: Part,
        size_bytes: u64,
    ) -> bool {
        let metadata = self
            .place(project, path, part)
            .and_then(|place| std::fs::symlink_metadata(place).ok());
        metadata.is_some_and(|metadata| metadata.is_file() && metadata.len() == size_bytes)
    }
}
