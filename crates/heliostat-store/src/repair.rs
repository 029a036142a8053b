//! What `verify` asks for: documents as they should be, written again, and files removed that nothing answers for.

use heliostat_pypi::page::{Format, render_legacy, render_page};
use heliostat_pypi::{ProjectName, RelPath, TreePath};

use crate::disk::{self, Unsynced};
use crate::error::StoreError;
use crate::layout::{self, PageKind};
use crate::pages::{LEGACY_FILES_BASE, published};
use crate::record::{Part, ProjectRecord};
use crate::store::Store;

/// One of a project's documents as the tree should have it; `None` where it should have none.
pub fn document(record: &ProjectRecord, kind: PageKind) -> Option<Vec<u8>> {
    let page = published(record);
    match kind {
        PageKind::Json => Some(render_page(&page, Format::Json)),
        PageKind::Html => Some(render_page(&page, Format::Html)),
        PageKind::Legacy => render_legacy(&page, None, LEGACY_FILES_BASE, None),
    }
}

/// Where a project's documents stand, relative to the tree, and what each of them is; the JSON page comes first.
pub fn document_places(name: &ProjectName) -> [(PageKind, String); 4] {
    let place = |kind| (kind, layout::page(name, kind));
    [
        place(PageKind::Json),
        place(PageKind::Html),
        (PageKind::Html, layout::page_index(name)),
        place(PageKind::Legacy),
    ]
}

impl Store {
    /// Writes a project's documents again from its record, leaving alone those that are right; tells whether the
    /// catalog has the project.
    pub fn republish(&self, name: &ProjectName) -> Result<bool, StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        drop(self.redo()?);
        let Some(record) = self.inner.catalog.project(name)? else {
            return Ok(false);
        };
        let mut unsynced = Unsynced::default();
        // Its digest is that of the record, which has not changed.
        self.pages()?.publish(&record, &mut unsynced)?;
        unsynced.sync(&self.inner.web)?;
        Ok(true)
    }

    /// Removes a file of the tree that the catalog does not answer for, and directories that this empties; tells
    /// whether it was there. A file that the catalog does answer for is an error and stays.
    pub fn remove_unlisted(&self, path: &RelPath) -> Result<bool, StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        drop(self.redo()?);
        if self.answers_for(path)? {
            return Err(StoreError::StillListed(path.clone()));
        }
        let place = self.inner.layout.in_web(path.as_str());
        let removed = disk::remove_file(&place)?;
        if let (Some(directory), Some((top, _))) = (place.parent(), path.as_str().split_once('/')) {
            disk::remove_empty_directories(directory, &self.inner.layout.in_web(top));
        }
        Ok(removed)
    }

    /// Whether the catalog wants a file where it is. What is none of its business it is careful with.
    pub fn answers_for(&self, path: &RelPath) -> Result<bool, StoreError> {
        let segments: Vec<&str> = path.as_str().split('/').collect();
        match segments[..] {
            ["packages", ..] => {
                let text = path.as_str();
                let is = |text: &str, part| -> Result<bool, StoreError> {
                    let Ok(path) = text.parse::<TreePath>() else {
                        return Ok(false);
                    };
                    let (held, doomed) = self.inner.catalog.held_or_doomed(&path)?;
                    Ok([held, doomed]
                        .into_iter()
                        .flatten()
                        .any(|held| held.part(part).is_some()))
                };
                let metadata = text.strip_suffix(".metadata");
                Ok(is(text, Part::File)?
                    || metadata.map_or(Ok(false), |file| is(file, Part::Metadata))?)
            }
            ["simple" | "pypi", name, _, ..] => match name.parse::<ProjectName>() {
                Ok(project) if project.as_str() == name => {
                    Ok(self.project_state(&project)?.is_some()
                        || self.inner.catalog.is_retired(path.as_str())?)
                }
                _ => Ok(false),
            },
            ["integrity", name, _, filename, "provenance"] => {
                let Ok(project) = name.parse::<ProjectName>() else {
                    return Ok(false);
                };
                let files = self.project_files(&project)?;
                Ok(files.iter().any(|file| {
                    file.path.filename() == filename
                        && file.held.contains(&Part::Provenance)
                        && layout::part(&project, &file.path, Part::Provenance).as_deref()
                            == Some(path.as_str())
                }))
            }
            _ => Ok(true),
        }
    }
}
