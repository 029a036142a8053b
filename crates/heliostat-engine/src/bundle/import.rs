//! Takes a bundle over: checks all of it, then what it builds on, then the room; only then changes anything.

use heliostat_pypi::Serial;
use heliostat_pypi::bundle::{
    BundleError, BundleLimits, BundleReader, Coverage, Extent, Header, Line,
};
use heliostat_pypi::select::Selection;
use heliostat_store::Store;
use tokio_util::sync::CancellationToken;

use super::check::{Checked, Checker};
use super::leaving::{self, Leaving};
use super::proof::{self, Against, Carried, Proof};
use super::take::{Taken, Taker};
use super::{Bundle, ImportOptions, ImportReport, Lack, Mode, Open, SOURCE};
use crate::error::EngineError;
use crate::events::{Event, Events, Stage};
use crate::publish::{Published, Urge, publish_now};
use crate::sync::Wishes;

/// Room that is left on the disk, in bytes: for the catalog and what it writes while it commits.
const SPARE_BYTES: u64 = 64 << 20;

/// Where the state of a bundle is from.
#[derive(Debug)]
pub(super) struct Origin {
    /// When it was made, in seconds since 1970.
    pub(super) made_at: i64,
    /// The serial that it claims.
    pub(super) serial: Option<Serial>,
    /// The upstream of projects that name no other.
    pub(super) upstream: Option<String>,
}

/// Imports a bundle. `tell` hears of everything that the bundle builds on and the mirror has not; then nothing is
/// changed. The caller holds the sync lock.
pub fn import(
    store: &Store,
    open: Open<'_>,
    options: &ImportOptions,
    (events, cancel): (&Events, &CancellationToken),
    mut tell: impl FnMut(&Lack),
) -> Result<ImportReport, EngineError> {
    let stage = |stage, projects, size_bytes| {
        events.tell(Event::Stage {
            stage,
            projects,
            size_bytes,
        });
    };
    stage(Stage::Checking, 0, 0);
    let mut bundle = reader(open)?;
    leaving::may_prune(options, bundle.header())?;
    let against = options.against.as_ref();
    let checked = Checker::new(store, events, against, &mut tell).check(&mut bundle, cancel)?;
    is_there_all(store, &checked)?;
    let header = bundle.header().clone();
    let origin = Origin::of(&header, checked.carried.as_ref(), options.now);
    let leaving = Leaving::decide(store, options, (&checked, &header), open)?;
    let mut report = ImportReport::of(&bundle, (&checked, &leaving), origin.made_at);
    if let Some(against) = against {
        let promise = (against, header.coverage);
        report.proof = prove(store, promise, (&checked, &leaving), tell)?;
    }
    if options.mode == Mode::CheckOnly {
        return Ok(report);
    }
    let Checked { end, carried, .. } = checked;
    stage(
        Stage::Taking,
        end.projects + end.removed,
        checked.wanted_bytes,
    );
    if carried.is_some() {
        proof::begin(store, options.now)?;
    }
    select(store, open, &leaving)?;
    let taker = || Taker::new(store, events, (options.now, &origin));
    report.add(taker().take(&mut reader(open)?, &leaving, cancel)?);
    if !leaving.absent.is_empty() && !report.stopped {
        leaving.forget(store)?;
        let removed = taker().remove_all(leaving.absent)?;
        report.removed += removed.removed;
        report.refused.extend(removed.refused);
    }
    if let Some(carried) = carried.filter(|_| report.is_complete()) {
        proof::settle(store, &carried, options.now)?;
    }
    report.published = sign(store, options, events)?;
    report.serial = publish(store, &report, origin.serial, events)?;
    Ok(report)
}

impl Origin {
    /// What is signed, where anything is, goes before what the bundle says of itself. Nothing comes from the future.
    fn of(header: &Header, carried: Option<&Carried>, now: i64) -> Self {
        let signed = carried.map(|carried| (carried, &carried.proven.report.coverage));
        let made_at = signed.and_then(|(carried, _)| carried.signed_at);
        Self {
            made_at: made_at
                .unwrap_or_else(|| header.made_at.as_second())
                .min(now),
            serial: match signed {
                Some((_, coverage)) => coverage.as_ref().and_then(|coverage| coverage.serial),
                None => header.serial,
            },
            upstream: match signed {
                Some((_, Some(coverage))) => Some(coverage.upstream.clone()),
                _ => header.upstream.clone(),
            },
        }
    }
}

/// Everything that the bundle builds on must be here, and room for what it brings.
fn is_there_all(store: &Store, checked: &Checked) -> Result<(), EngineError> {
    let &Checked {
        lacks,
        wanted_bytes,
        ..
    } = checked;
    if lacks > 0 {
        return Err(EngineError::BundleLacks { lacks });
    }
    let free_bytes = store.disk_free_bytes()?;
    if wanted_bytes.saturating_add(SPARE_BYTES) > free_bytes {
        return Err(EngineError::NoRoom {
            wanted_bytes,
            free_bytes,
        });
    }
    Ok(())
}

/// Signs what came, where the mirror signs with keys of its own.
fn sign(
    store: &Store,
    options: &ImportOptions,
    events: &Events,
) -> Result<Option<Published>, EngineError> {
    let Some(notary) = &options.notary else {
        return Ok(None);
    };
    let published = publish_now(store, notary, options.now, Urge::WhenDue)?;
    if let Some(published) = published {
        events.tell(Event::Signed { published });
    }
    Ok(published)
}

/// Holds the bundle as a whole against what is signed, and what the mirror holds beyond it.
fn prove(
    store: &Store,
    (against, promise): (&Against, Coverage),
    (checked, leaving): (&Checked, &Leaving),
    tell: impl FnMut(&Lack),
) -> Result<Option<Proof>, EngineError> {
    let Some(carried) = &checked.carried else {
        return Ok(None);
    };
    let proven = &carried.proven;
    let (pages, settled) = (&proven.pages, &checked.settled);
    proof::keeps_promise(pages, promise, (checked.end.projects, settled))?;
    let unsigned = if proof::signs_itself(store)? {
        0
    } else {
        proof::look_beyond(store, pages, (checked, leaving), tell)?
    };
    let counts = (checked.end.projects, checked.files, unsigned);
    proof::proof((store, against), proven, counts).map(Some)
}

fn reader(open: Open<'_>) -> Result<Bundle, EngineError> {
    let first = open().map_err(BundleError::Read)?;
    let second = open().map_err(BundleError::Read)?;
    Ok(BundleReader::open(first, second, BundleLimits::default())?)
}

/// Remembers what the bundle brings as selected, so that a later sync does not take it for something nobody wants.
/// Before anything is committed: what is wished for and not there yet does no harm.
fn select(store: &Store, open: Open<'_>, leaving: &Leaving) -> Result<(), EngineError> {
    let mut wishes = Wishes::load(store)?;
    let mut brought = wishes.sources.remove(SOURCE).unwrap_or_default();
    let mut lines = super::manifest(open)?;
    while let Some(line) = lines.next_line()? {
        match line {
            Line::Project(project) if project.extent == Extent::Whole => {
                brought.resolved.remove(&project.name);
                brought.names.insert(project.name);
            }
            Line::Project(project) => {
                brought.names.remove(&project.name);
                let files = project.parts.iter().filter_map(|item| {
                    let path = item.path.as_str();
                    let is_file = path.starts_with("packages/");
                    let name = path.rsplit('/').next().unwrap_or(path);
                    (is_file && !name.ends_with(".metadata")).then(|| name.to_owned())
                });
                brought.add_resolved(&project.name, files);
            }
            Line::Removed(name) if leaving.goes(&name) => {
                brought.names.remove(&name);
                brought.resolved.remove(&name);
            }
            _ => {}
        }
    }
    if brought != Selection::default() {
        wishes.sources.insert(SOURCE.to_owned(), brought);
    }
    Ok(wishes.save(store)?)
}

/// Publishes the root list. What it claims grows only with a bundle that was taken whole.
fn publish(
    store: &Store,
    report: &ImportReport,
    serial: Option<Serial>,
    events: &Events,
) -> Result<Option<Serial>, EngineError> {
    let root = store.root()?;
    let before = root.and_then(|root| root.serial);
    let is_whole = report.is_complete();
    let serial = if is_whole { serial.max(before) } else { before };
    if root.is_none() || serial != before || store.is_root_behind()? {
        // The tree is as fresh as the bundle, not as its import.
        store.publish_root(serial, report.made_at)?;
        crate::about::describe(store)?;
        events.tell(Event::Published { serial });
    }
    Ok(serial)
}

impl ImportReport {
    /// What is known before anything is taken.
    fn of(bundle: &Bundle, (checked, leaving): (&Checked, &Leaving), made_at: i64) -> Self {
        let header = bundle.header();
        Self {
            manifest: bundle.manifest(),
            made_at,
            coverage: header.coverage,
            selection: header.selection.clone(),
            promised: checked.end,
            serial: None,
            updated: checked.updated,
            unchanged: checked.unchanged,
            removed: if leaving.held_back > 0 {
                0
            } else {
                checked.removed + leaving.absent.len() as u64
            },
            newer: checked.newer.len() as u64,
            not_in_it: leaving.not_in_it,
            held_back: leaving.held_back,
            files: 0,
            size_bytes: checked.wanted_bytes,
            refused: Vec::new(),
            stopped: false,
            proof: None,
            published: None,
        }
    }

    fn add(&mut self, taken: Taken) {
        self.updated = taken.updated;
        self.unchanged = taken.unchanged;
        self.removed = taken.removed;
        self.newer = taken.newer;
        self.files = taken.files;
        self.size_bytes = taken.size_bytes;
        self.refused = taken.refused;
        self.stopped = taken.stopped;
    }

    /// Whether everything in the bundle is there now.
    pub fn is_complete(&self) -> bool {
        self.refused.is_empty() && !self.stopped && self.held_back == 0
    }

    /// Whether it speaks for the whole upstream.
    pub fn is_of_everything(&self) -> bool {
        self.coverage == Coverage::Complete
    }
}
