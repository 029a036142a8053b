//! The first pass of an import: the whole bundle is read and checked, and held against what the mirror has. Changes
//! nothing, so that a bundle that is refused leaves everything as it was.

use std::collections::{BTreeSet, HashMap};

use heliostat_pypi::bundle::{
    BundleError, Content, Contents, Item, Line, PartKind, Place, Project, contents,
};
use heliostat_pypi::page::{CoreMetadata, ProjectPage, read_signed};
use heliostat_pypi::{ProjectName, RelPath, Sha256};
use heliostat_store::{Keeper, PageKind, Part, ProjectRecord, Store, document};
use tokio_util::sync::CancellationToken;

use super::proof::{self, Against, Carried, Prover};
use super::{Bundle, Lack};
use crate::error::EngineError;
use crate::events::{Event, Events};

/// What the first pass found.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Projects that are new or changed.
    pub(super) updated: u64,
    /// Projects held as they are in the bundle.
    pub(super) unchanged: u64,
    /// Projects that are newer here.
    pub(super) newer: BTreeSet<ProjectName>,
    /// Projects to be removed that are held.
    pub(super) removed: u64,
    /// Bytes that are going to be written.
    pub(super) wanted_bytes: u64,
    /// Things that the bundle builds on and that are not here.
    pub(super) lacks: u64,
    /// What the manifest counts.
    pub(super) end: heliostat_pypi::bundle::End,
    /// Projects that stand as the bundle has them, once it is taken.
    pub(super) settled: BTreeSet<ProjectName>,
    /// Projects that go with it.
    pub(super) leaving: BTreeSet<ProjectName>,
    /// Files of its pages that it has or that what it builds on has.
    pub(super) files: u64,
    /// What is signed, where the bundle was held against a root.
    pub(super) carried: Option<Carried>,
}

/// What is held of a project, against what the bundle has.
#[derive(Debug)]
pub(super) struct Held {
    record: Option<ProjectRecord>,
    parts: Vec<(RelPath, Vec<Part>)>,
}

/// Where a project stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The bundle has something new.
    Older,
    /// It is held as the bundle has it.
    Same,
    /// It is newer here.
    Newer,
}

/// The first pass.
pub(super) struct Checker<'a, F> {
    store: &'a Store,
    events: &'a Events,
    /// Hears of everything that the bundle builds on and the mirror has not.
    tell: F,
    /// Collects metadata until there is no more of it.
    prover: Option<Prover<'a>>,
    checked: Checked,
}

impl<'a, F: FnMut(&Lack)> Checker<'a, F> {
    pub(super) fn new(
        store: &'a Store,
        events: &'a Events,
        against: Option<&'a Against>,
        tell: F,
    ) -> Self {
        Self {
            store,
            events,
            tell,
            prover: against.map(Prover::new),
            checked: Checked::default(),
        }
    }

    /// Goes through the whole bundle.
    pub(super) fn check(
        mut self,
        bundle: &mut Bundle,
        cancel: &CancellationToken,
    ) -> Result<Checked, EngineError> {
        while let Some(line) = bundle.next_line()? {
            if cancel.is_cancelled() {
                return Err(EngineError::Stopped);
            }
            if !matches!(line, Line::Trust(_)) {
                self.prove()?;
            }
            match line {
                Line::Trust(item) => self.trust(bundle, &item)?,
                Line::Removed(name) => self.removed(name)?,
                Line::Project(project) => self.project(bundle, &project)?,
                Line::Header(_) | Line::End(_) => {}
            }
        }
        self.prove()?;
        self.checked.end = bundle.counted();
        Ok(self.checked)
    }

    /// Verifies the metadata, of which no more comes, unless that was done. Where some of it is to be had nowhere, that
    /// is what is told, and no signature that does not hold for want of it.
    fn prove(&mut self) -> Result<(), EngineError> {
        if let Some(prover) = self.prover.take()
            && self.checked.lacks == 0
        {
            self.checked.carried = Some(prover.prove(self.store)?);
        }
        Ok(())
    }

    fn removed(&mut self, name: ProjectName) -> Result<(), EngineError> {
        if let Some(carried) = &self.checked.carried {
            proof::is_gone(&carried.proven.pages, &name)?;
        }
        let is_held = self.store.project_state(&name)?.is_some();
        self.checked.removed += u64::from(is_held);
        self.checked.leaving.insert(name);
        Ok(())
    }

    fn trust(&mut self, bundle: &mut Bundle, item: &Item) -> Result<(), EngineError> {
        let bytes = match item.place {
            Place::Bundle => Some(bundle.document(item)?),
            // Of use only where it is held against a root.
            Place::Base if self.prover.is_none() => return Ok(()),
            Place::Base => super::read_public(self.store, &item.path, item.size_bytes)
                .ok()
                .flatten()
                .filter(|bytes| Sha256::of(bytes) == item.sha256),
        };
        match (bytes, &mut self.prover) {
            (Some(bytes), Some(prover)) => prover.keep(item, bytes),
            (Some(_), None) => {}
            (None, _) => self.lacks(None, &item.path),
        }
        Ok(())
    }

    fn project(&mut self, bundle: &mut Bundle, project: &Project) -> Result<(), EngineError> {
        if let Some(carried) = &self.checked.carried {
            proof::page_is_signed(&carried.proven.pages, project)?;
        }
        let held = Held::of(self.store, project)?;
        let Some(page) = page(bundle, project, &held)? else {
            self.lacks(Some(project), &project.page.path);
            let items = held.items();
            for item in &project.parts {
                match item.place {
                    Place::Bundle => bundle.bytes(item, |_| Ok::<(), EngineError>(()))?,
                    Place::Base if items.get(item.path.as_str()) == Some(&item.sha256) => {}
                    Place::Base => self.lacks(Some(project), &item.path),
                }
            }
            return Ok(());
        };
        let contents = contents(project, &page)?;
        let standing = held.standing(project, &page, &contents);
        for content in &contents.parts {
            let is_held = held.has(content);
            self.checked.files += u64::from(content.kind == PartKind::File);
            let item = &content.item;
            match item.place {
                Place::Bundle => {
                    if standing == Standing::Older && !is_held {
                        self.checked.wanted_bytes += item.size_bytes;
                    }
                    let events = self.events;
                    bundle.bytes(item, |chunk| {
                        let count = chunk.len() as u64;
                        events.tell(Event::Bytes { count });
                        Ok::<(), EngineError>(())
                    })?;
                }
                Place::Base if is_held || standing == Standing::Newer => {}
                Place::Base => self.lacks(Some(project), &item.path),
            }
        }
        match standing {
            Standing::Older => self.checked.updated += 1,
            Standing::Same => self.checked.unchanged += 1,
            Standing::Newer => {
                self.checked.newer.insert(project.name.clone());
                return Ok(());
            }
        }
        self.checked.settled.insert(project.name.clone());
        Ok(())
    }

    fn lacks(&mut self, project: Option<&Project>, path: &RelPath) {
        self.checked.lacks += 1;
        (self.tell)(&Lack {
            project: project.map(|project| project.name.clone()),
            path: path.clone(),
        });
    }
}

/// A project's page, from the bundle or from what is held; `None` where it should be held and is not.
pub(super) fn page(
    bundle: &mut Bundle,
    project: &Project,
    held: &Held,
) -> Result<Option<ProjectPage>, EngineError> {
    let refuse = |reason: String| BundleError::project(&project.name, reason);
    let bytes = match project.page.place {
        Place::Bundle => bundle.document(&project.page)?,
        Place::Base => match held.page(project.page.sha256) {
            Some(bytes) => bytes,
            None => return Ok(None),
        },
    };
    let page = read_signed(&project.name, &bytes).map_err(|error| refuse(error.to_string()))?;
    if heliostat_pypi::page::render_page(&page, heliostat_pypi::page::Format::Json) != bytes {
        return Err(refuse("its page is not a canonical page".to_owned()).into());
    }
    Ok(Some(page))
}

impl Held {
    pub(super) fn of(store: &Store, project: &Project) -> Result<Self, EngineError> {
        let record = store.project(&project.name)?;
        let mut parts = Vec::new();
        for row in store.project_files(&project.name)? {
            if let Ok(path) = row.path.to_string().parse() {
                parts.push((path, row.held));
            }
        }
        parts.sort();
        Ok(Self { record, parts })
    }

    /// What is known of the project.
    pub(super) const fn record(&self) -> Option<&ProjectRecord> {
        self.record.as_ref()
    }

    /// Whether the very bytes of a part are held.
    pub(super) fn has(&self, content: &Content) -> bool {
        let Some(record) = &self.record else {
            return false;
        };
        let path = &content.path;
        let Some(file) = record.listed().find(|file| file.path == *path) else {
            return false;
        };
        let Item { sha256, .. } = content.item;
        let (part, is_same) = match content.kind {
            PartKind::File => (Part::File, file.sha256 == Some(sha256)),
            PartKind::Metadata => (
                Part::Metadata,
                file.core_metadata == CoreMetadata::Sha256(sha256),
            ),
            PartKind::Provenance => (Part::Provenance, file.provenance_sha256 == Some(sha256)),
        };
        let path = path.to_string();
        let row = self
            .parts
            .binary_search_by(|(held, _)| held.as_str().cmp(&path));
        is_same && row.is_ok_and(|row| self.parts[row].1.contains(&part))
    }

    /// Everything that is held, with its digest, as far as it is known without the page that a bundle builds on.
    fn items(&self) -> HashMap<String, Sha256> {
        let mut items = HashMap::new();
        let Some(record) = &self.record else {
            return items;
        };
        for file in record.listed() {
            let path = file.path.to_string();
            let row = self
                .parts
                .binary_search_by(|(held, _)| held.as_str().cmp(&path));
            let parts = row
                .map(|row| self.parts[row].1.as_slice())
                .unwrap_or_default();
            for part in parts {
                let (path, sha256) = match part {
                    Part::File => (Some(path.clone()), file.sha256),
                    Part::Metadata => (
                        Some(format!("{path}.metadata")),
                        match file.core_metadata {
                            CoreMetadata::Sha256(sha256) => Some(sha256),
                            _ => None,
                        },
                    ),
                    Part::Provenance => (
                        file.provenance_path(&record.page.name)
                            .map(|path| path.as_str().to_owned()),
                        file.provenance_sha256,
                    ),
                };
                if let (Some(path), Some(sha256)) = (path, sha256) {
                    items.insert(path, sha256);
                }
            }
        }
        items
    }

    pub(super) fn standing(
        &self,
        project: &Project,
        page: &ProjectPage,
        contents: &Contents,
    ) -> Standing {
        let Some(record) = self.record() else {
            return Standing::Older;
        };
        if record.keeper != Keeper::Mirror {
            return Standing::Older;
        }
        if let (Some(ours), Some(theirs)) = (record.published_serial, page.serial)
            && ours > theirs
        {
            return Standing::Newer;
        }
        let has_all = contents.parts.iter().all(|content| self.has(content));
        if has_all && self.page(project.page.sha256).is_some() {
            Standing::Same
        } else {
            Standing::Older
        }
    }

    /// The page with this digest, where it can be written from what is known: as it stands in the tree, or with the files
    /// that were left out of it.
    fn page(&self, sha256: Sha256) -> Option<Vec<u8>> {
        let record = self.record()?;
        let is_it = |bytes: &Vec<u8>| Sha256::of(bytes) == sha256;
        document(record, PageKind::Json).filter(is_it).or_else(|| {
            let whole = ProjectRecord {
                hidden: std::collections::BTreeSet::new(),
                ..record.clone()
            };
            document(&whole, PageKind::Json).filter(is_it)
        })
    }
}
