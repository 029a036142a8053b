//! Decides what is exported and writes it down as a manifest: the whole state, and of each thing whether its bytes go
//! along or are on the other side already.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, Write};

use heliostat_pypi::bundle::{
    BundleError, BundleLimits, Coverage, Extent, Item, Line, ManifestReader, ManifestWriter, Place,
    Project,
};
use heliostat_pypi::page::{PageFile, ProjectPage, read_signed};
use heliostat_pypi::select::{NamePattern, Selection, Want, Wanted};
use heliostat_pypi::{FileName, ProjectName, RelPath, Sha256, Specifiers};
use heliostat_store::{Keeper, PageKind, ProjectRecord, Store, StoreError};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::header::header;
use super::signed::{SignedState, copy_path};
use super::{ExportPlan, ExportRequest, Open, SignedExport};
use crate::error::EngineError;
use crate::events::{Event, Events, Stage};

/// Projects read from the catalog at a time.
const PROJECTS_AT_ONCE: usize = 256;

/// Writes the manifest of an export. `since` opens the bundle or manifest whose content the other side has. Changes
/// nothing. Of a signed tree it is the state that was signed last; of others, the caller holds the sync lock, so that
/// what is planned stays.
pub fn plan<W: Write>(
    store: &Store,
    request: &ExportRequest,
    since: Option<Open<'_>>,
    out: W,
    (events, cancel): (&Events, &CancellationToken),
) -> Result<ExportPlan, EngineError> {
    let made_at = Timestamp::from_second(request.now).unwrap_or(Timestamp::UNIX_EPOCH);
    let signed = SignedState::read(store)?;
    let (header, lacking) = header(store, request, (made_at, signed.as_ref()), since)?;
    events.tell(Event::Stage {
        stage: Stage::Planning,
        projects: store.totals()?.projects,
        size_bytes: 0,
    });
    let older = match since {
        Some(open) => Older::new(Some(super::manifest(open)?))?,
        None => Older::new(None)?,
    };
    let mut planner = Planner {
        store,
        selection: request.selection.as_ref(),
        constraints: &request.constraints,
        upstream: header.upstream.clone(),
        older,
        writer: ManifestWriter::start(out, header.clone())?,
        signed: signed.as_ref(),
        left_out: 0,
        unsigned: 0,
        lacking,
        idle: request
            .selection
            .iter()
            .flat_map(|it| it.patterns.clone())
            .collect(),
    };
    planner.trust()?;
    let mut after = None;
    loop {
        let records = store.projects_after(after.as_ref(), PROJECTS_AT_ONCE)?;
        let Some((last, _)) = records.last() else {
            break;
        };
        after = Some(last.clone());
        for (name, record) in records {
            if cancel.is_cancelled() {
                return Err(EngineError::Stopped);
            }
            planner.project(&name, record)?;
        }
    }
    planner.check_named()?;
    planner.removed_before(None)?;
    planner.check_complete(header.coverage)?;
    let ledger = store.ledger()?;
    let mut behind: Vec<_> = ledger.iter().map(|entry| &entry.project).collect();
    behind.dedup();
    let (end, manifest, manifest_bytes) = planner.writer.finish()?;
    Ok(ExportPlan {
        manifest,
        manifest_bytes,
        made_at: made_at.as_second(),
        coverage: header.coverage,
        serial: header.serial,
        since: header.since,
        end,
        left_out: planner.left_out,
        unsigned: planner.unsigned,
        behind: behind.len() as u64,
        signed: signed.map(|state| SignedExport {
            pages: state.pages.len() as u64,
            timestamp: state.timestamp,
        }),
    })
}

/// Goes through the catalog and the older manifest side by side; both are sorted by name.
struct Planner<'a, W: Write> {
    store: &'a Store,
    selection: Option<&'a Selection>,
    constraints: &'a BTreeMap<ProjectName, Specifiers>,
    upstream: Option<String>,
    older: Older,
    writer: ManifestWriter<W>,
    signed: Option<&'a SignedState>,
    left_out: u64,
    unsigned: u64,
    /// Projects that exist, whether or not they are in it.
    lacking: BTreeSet<ProjectName>,
    /// Patterns of the call that have selected nothing so far.
    idle: Vec<NamePattern>,
}

impl<W: Write> Planner<'_, W> {
    fn project(
        &mut self,
        name: &ProjectName,
        record: Result<ProjectRecord, StoreError>,
    ) -> Result<(), EngineError> {
        let Some(wanted) = self.wanted(name) else {
            return Ok(());
        };
        let record = record?;
        if record.keeper != Keeper::Mirror {
            if self.is_named(name) {
                return Err(EngineError::NotMirrored {
                    project: name.clone(),
                    reason: "only its page, or what was asked for, is held",
                });
            }
            self.left_out += 1;
            return Ok(());
        }
        let Some(page) = self.page(name, &record)? else {
            self.unsigned += 1;
            return Ok(());
        };
        self.removed_before(Some(name))?;
        let allowed = self.constraints.get(name);
        let described = describe(self.store, &record, (&wanted, allowed), &page);
        let Some(mut project) = described.map_err(EngineError::not_as_held)? else {
            if allowed.is_some() && !self.is_named(name) {
                // The other side may have it: it is not gone.
                self.older.take(name)?;
                self.left_out += 1;
                return Ok(());
            }
            return Err(EngineError::NotMirrored {
                project: name.clone(),
                reason: "no file of the versions that are asked for is held",
            });
        };
        if self.upstream.as_ref() == project.upstream.as_ref() {
            project.upstream = None;
        }
        if let Some(older) = self.older.take(name)? {
            let items: HashMap<&RelPath, &Item> = std::iter::once(&older.page)
                .chain(&older.parts)
                .map(|item| (&item.path, item))
                .collect();
            for item in std::iter::once(&mut project.page).chain(&mut project.parts) {
                if items.get(&item.path).is_some_and(|old| old.is_same(item)) {
                    item.place = Place::Base;
                }
            }
        }
        self.idle.retain(|pattern| !pattern.matches(name));
        Ok(self.writer.write(&Line::Project(project))?)
    }

    /// Writes the lines of what proves the pages. All of it goes along each time: it is small beside the files, and the
    /// other side need not have kept it, as where it signs with keys of its own or took the state before unproved.
    fn trust(&mut self) -> Result<(), EngineError> {
        for item in self.signed.iter().flat_map(|state| &state.items) {
            self.writer.write(&Line::Trust(item.clone()))?;
        }
        Ok(())
    }

    /// The page that goes along: the one that was signed, or as it stands where nobody signs. `None` where it is not
    /// part of what was signed.
    fn page(
        &self,
        name: &ProjectName,
        record: &ProjectRecord,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let standing = heliostat_store::document(record, PageKind::Json).unwrap_or_default();
        let Some(state) = self.signed else {
            return Ok(Some(standing));
        };
        let Some(&(sha256, size_bytes)) = state.pages.get(name) else {
            if self.is_named(name) {
                return Err(EngineError::NotMirrored {
                    project: name.clone(),
                    reason: "its page is not part of what was signed last",
                });
            }
            return Ok(None);
        };
        if Sha256::of(&standing) == sha256 {
            return Ok(Some(standing));
        }
        // The tree has moved on, or lists less than what was signed; the signed copy stays.
        let gone = || BundleError::project(name, "the signed copy of its page is not in the tree");
        let path = copy_path(name, sha256).ok_or_else(gone)?;
        let copy = super::read_public(self.store, &path, size_bytes)?;
        let copy = copy.filter(|copy| Sha256::of(copy) == sha256);
        Ok(Some(copy.ok_or_else(|| EngineError::NotAsHeld(gone()))?))
    }

    /// What claims to be everything must have every page that was signed.
    fn check_complete(&self, coverage: Coverage) -> Result<(), EngineError> {
        let (Some(state), Coverage::Complete) = (self.signed, coverage) else {
            return Ok(());
        };
        let signed = state.pages.len() as u64;
        let written = self.writer.counted().projects;
        if written == signed {
            return Ok(());
        }
        let reason = format!(
            "{signed} pages were signed, and {written} of them are held: try again once the sync that runs is through"
        );
        Err(EngineError::NotAsHeld(BundleError::entry("simple", reason)))
    }

    fn wanted(&self, name: &ProjectName) -> Option<Wanted> {
        match self.selection {
            Some(selection) => selection.wants(name),
            None => Some(Wanted::AllVersions),
        }
    }

    /// Whether the call names the project, and not only a pattern that it matches.
    fn is_named(&self, name: &ProjectName) -> bool {
        self.selection.is_some_and(|selection| {
            selection.names.contains(name)
                || selection.required.contains_key(name)
                || selection.locked.contains_key(name)
        })
    }

    /// Every project that the call names must have been met, and every pattern must have selected one.
    fn check_named(&self) -> Result<(), EngineError> {
        let Some(selection) = self.selection else {
            return Ok(());
        };
        if let Some(pattern) = self.idle.first() {
            return Err(EngineError::NothingMatches {
                pattern: pattern.to_string(),
            });
        }
        let named = selection.names.iter();
        let named = named
            .chain(selection.required.keys())
            .chain(selection.locked.keys());
        for name in named {
            if selection.wants(name).is_some() && self.store.project_state(name)?.is_none() {
                return Err(EngineError::NotMirrored {
                    project: name.clone(),
                    reason: "the mirror does not have it",
                });
            }
        }
        Ok(())
    }

    /// Notes what the older state has before `name`, or at all, and this one has not.
    fn removed_before(&mut self, name: Option<&ProjectName>) -> Result<(), EngineError> {
        while let Some(gone) = self.older.next_before(name)? {
            let is_signed = self
                .signed
                .is_some_and(|state| state.pages.contains_key(&gone.name));
            let exists = is_signed || self.lacking.contains(&gone.name);
            if self.wanted(&gone.name).is_some() && !exists {
                self.writer.write(&Line::Removed(gone.name))?;
            }
        }
        Ok(())
    }
}

/// A project with this page, with all bytes to go along; `None` where it has files and none of them is asked for.
fn describe(
    store: &Store,
    record: &ProjectRecord,
    (wanted, allowed): (&Wanted, Option<&Specifiers>),
    bytes: &[u8],
) -> Result<Option<Project>, EngineError> {
    let name = &record.page.name;
    let page =
        read_signed(name, bytes).map_err(|error| BundleError::project(name, error.to_string()))?;
    let mut parts = Vec::new();
    let mut files = 0;
    for file in &page.files {
        let parsed = file.parsed(name).ok();
        let version = parsed.as_ref().and_then(FileName::version);
        let is_allowed = allowed.is_none_or(|allowed| version.is_some_and(|it| allowed.admit(it)));
        let is_wanted = is_allowed && wanted.want(file.filename(), parsed.as_ref()) != Want::No;
        // What was signed may list files that this mirror has left out.
        if !is_wanted || record.hidden.contains(file.filename()) {
            continue;
        }
        files += 1;
        add_parts(store, &page, file, &mut parts)?;
    }
    if files == 0 && !page.files.is_empty() {
        return Ok(None);
    }
    parts.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(Some(Project {
        name: name.clone(),
        extent: if files == page.files.len() {
            Extent::Whole
        } else {
            Extent::Some
        },
        upstream: Some(record.upstream.clone()),
        page: Item::new(
            rel_path(name, format!("simple/{name}/index.v1_json"))?,
            Sha256::of(bytes),
            bytes.len() as u64,
        ),
        parts,
    }))
}

fn add_parts(
    store: &Store,
    page: &ProjectPage,
    file: &PageFile,
    parts: &mut Vec<Item>,
) -> Result<(), EngineError> {
    let name = &page.name;
    let path = rel_path(name, file.path.to_string())?;
    let (Some(sha256), Some(size_bytes)) = (file.sha256, file.size_bytes) else {
        // A signed page tells both.
        return Err(BundleError::project(name, "a file has no digest").into());
    };
    parts.push(Item::new(path, sha256, size_bytes));
    if !file.core_metadata.is_absent() {
        let path = rel_path(name, format!("{}.metadata", file.path))?;
        let item = document(store, path.clone())?;
        parts.push(item.ok_or_else(|| missing(name, &path))?);
    }
    if let Some(path) = file
        .provenance_path(name)
        .filter(|_| file.provenance.is_some())
    {
        match document(store, path.clone())? {
            Some(item) => parts.push(item),
            None if file.provenance_sha256.is_some() => return Err(missing(name, &path)),
            None => {}
        }
    }
    Ok(())
}

/// A small document of the tree as it is there.
fn document(store: &Store, path: RelPath) -> Result<Option<Item>, EngineError> {
    let limit = BundleLimits::default().document_bytes_max;
    let bytes = super::read_public(store, &path, limit)?;
    Ok(bytes.map(|bytes| Item::new(path, Sha256::of(&bytes), bytes.len() as u64)))
}

fn missing(project: &ProjectName, path: &RelPath) -> EngineError {
    BundleError::project(project, format!("`{}` is not in the tree", path.as_str())).into()
}

fn rel_path(project: &ProjectName, text: String) -> Result<RelPath, EngineError> {
    let path = RelPath::try_from(text)
        .map_err(|error| BundleError::project(project, error.to_string()))?;
    Ok(path)
}

/// The older state, read along.
struct Older {
    reader: Option<ManifestReader<Box<dyn BufRead>>>,
    next: Option<Box<Project>>,
}

impl Older {
    fn new(reader: Option<ManifestReader<Box<dyn BufRead>>>) -> Result<Self, EngineError> {
        let mut older = Self { reader, next: None };
        older.advance()?;
        Ok(older)
    }

    fn advance(&mut self) -> Result<Option<Box<Project>>, EngineError> {
        let mut next = None;
        if let Some(reader) = &mut self.reader {
            while let Some(line) = reader.next_line()? {
                if let Line::Project(project) = line {
                    next = Some(Box::new(project));
                    break;
                }
            }
        }
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// The next project that stands before `name`, or any.
    fn next_before(
        &mut self,
        name: Option<&ProjectName>,
    ) -> Result<Option<Box<Project>>, EngineError> {
        let is_before = self
            .next
            .as_ref()
            .is_some_and(|next| name.is_none_or(|name| next.name < *name));
        if is_before { self.advance() } else { Ok(None) }
    }

    /// The older state of this very project; those before it must have been taken.
    fn take(&mut self, name: &ProjectName) -> Result<Option<Box<Project>>, EngineError> {
        if self.next.as_ref().is_some_and(|next| next.name == *name) {
            self.advance()
        } else {
            Ok(None)
        }
    }
}
