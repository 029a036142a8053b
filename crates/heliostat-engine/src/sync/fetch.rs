//! Fetches what the plan wants of one project: its page, then the files that are missing. Nothing here commits; what
//! was fetched goes to the one committer.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, stream};
use heliostat_pypi::filter::FileFilter;
use heliostat_pypi::page::{CoreMetadata, PageFile, ProjectPage};
use heliostat_pypi::select::Wanted;
use heliostat_pypi::{ProjectName, Serial};
use heliostat_store::{
    Admission, Change, Keeper, LedgerEntry, Part, ProjectRecord, Put, VerifiedBlob,
};
use heliostat_upstream::{Answer, Caches, FetchedPage, Validators};
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep};

use super::plan::{Refresh, RefreshReason};
use super::{Files, Work};
use crate::context::Context;
use crate::error::EngineError;
use crate::events::{Event, ProjectOutcome};
use crate::learned::carry_over;
use crate::ledger::{WithSerial as _, failure};
use crate::take::{TakeError, take_file};
use crate::take_parts::{PartTaken, take_metadata, take_provenance};

/// Blobs that a project may have waiting before they are committed, so that an interrupted large project keeps what
/// it has and a run's open temporaries stay bounded.
const BLOBS_WAITING_MAX: usize = 256;
/// Bytes of blobs that a project may have waiting before they are committed.
const BYTES_WAITING_MAX: u64 = 1 << 30;
/// How often a page older than the list promised is asked for again within one run.
const STALE_TRIES: u32 = 3;

/// What is wanted of every project in a run.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) context: Context,
    pub(super) filter: FileFilter,
    pub(super) files: Files,
    /// Files of one project under way at once.
    pub(super) jobs: usize,
    /// Seconds since 1970, one value for the whole run.
    pub(super) now: i64,
    /// The upstream's root, redacted, as records name it.
    pub(super) root: String,
    /// The waiting time before a stale page is asked for again; doubles.
    pub(super) stale_pause: Duration,
    /// Projects that may still be removed in this run because their page is gone.
    pub(super) removals_left: AtomicU64,
}

/// What the page request came to.
enum PageNow {
    Page {
        page: Box<ProjectPage>,
        validators: Validators,
        outcome: ProjectOutcome,
    },
    Gone,
}

/// A file with the parts of it that are not on disk.
struct Missing {
    entry: PageFile,
    parts: Vec<Part>,
}

/// What was found out about one missing file.
struct FileDone {
    entry: PageFile,
    blobs: Vec<(Part, VerifiedBlob)>,
    /// The file cannot be listed, or a part of it cannot be advertised; why.
    problem: Option<String>,
    listed: bool,
}

impl Fetcher {
    /// Fetches one project and hands what it got to the committer. Failures of the project are work too: they go
    /// into the ledger. An error is one of the whole run.
    pub(super) async fn fetch(
        &self,
        refresh: &Refresh,
        wanted: &Wanted,
        older: &[LedgerEntry],
        work: &mpsc::Sender<Work>,
    ) -> Result<(), EngineError> {
        let name = refresh.name.clone();
        let record = self
            .context
            .on_disk({
                let name = name.clone();
                move |store| store.project(&name)
            })
            .await?;
        let fail = |item: &str, reason: String| {
            failure(older, &name, item, reason, self.now).with_serial(refresh.wanted_serial)
        };
        let now = match self.page(refresh, record.as_ref()).await {
            Ok(now) => now,
            // Its page names files that are gone: what can be had is taken, and the rest is dropped from the page.
            Err(reason) if refresh.reason == RefreshReason::Damaged && record.is_some() => {
                tracing::warn!(project = %name, reason, "a damaged project's page cannot be asked for");
                match &record {
                    Some(record) => PageNow::Page {
                        page: Box::new(record.page.clone()),
                        validators: Validators::default(),
                        outcome: ProjectOutcome::Failed,
                    },
                    None => return Ok(()),
                }
            }
            Err(reason) => return send(work, Work::failed(fail("", reason))).await,
        };
        match now {
            PageNow::Gone
                if record
                    .as_ref()
                    .is_some_and(|record| record.keeper.is_synced()) =>
            {
                self.gone(name.clone(), fail("", GONE_LISTED.to_owned()), work)
                    .await
            }
            PageNow::Gone => send(work, Work::failed(fail("", GONE.to_owned()))).await,
            PageNow::Page {
                page,
                validators,
                outcome,
            } => {
                let project = Project {
                    fetcher: self,
                    refresh,
                    record,
                    validators,
                    outcome,
                };
                project.take(*page, wanted, older, work).await
            }
        }
    }

    /// The newest page, never older than what the list promised or what we hold.
    async fn page(
        &self,
        refresh: &Refresh,
        record: Option<&ProjectRecord>,
    ) -> Result<PageNow, String> {
        let known = record.filter(|record| record.upstream == self.root);
        let floor = refresh
            .wanted_serial
            .max(known.and_then(|record| record.page.serial));
        let mut caches = Caches::Allow;
        let mut pause = self.stale_pause;
        let mut stale = String::new();
        for attempt in 0..=STALE_TRIES {
            if attempt > 0 {
                sleep(pause).await;
                pause *= 2;
            }
            let validators = match (known, caches) {
                (Some(record), Caches::Allow) => upstream_validators(record),
                _ => Validators::default(),
            };
            match self
                .context
                .upstream
                .page(&refresh.name, &validators, caches)
                .await
            {
                Err(error) => return Err(error.to_string()),
                Ok(Answer::Gone) => {
                    // The list still names it: a cache on the way may be wrong once.
                    if refresh.wanted_serial.is_none() || caches == Caches::Bypass {
                        return Ok(PageNow::Gone);
                    }
                }
                Ok(Answer::Unchanged) => {
                    let record =
                        known.ok_or("the upstream answered 304 to an unconditional request")?;
                    match refresh.wanted_serial {
                        Some(wanted)
                            if record.page.serial.is_some_and(|serial| serial < wanted) =>
                        {
                            stale = stale_reason(record.page.serial, Some(wanted));
                        }
                        _ => {
                            return Ok(PageNow::Page {
                                page: Box::new(record.page.clone()),
                                validators,
                                outcome: ProjectOutcome::Unchanged,
                            });
                        }
                    }
                }
                Ok(Answer::Fresh(fetched)) => {
                    let serial = fetched.read.page.serial;
                    if serial.is_some() && serial < floor {
                        stale = stale_reason(serial, floor);
                    } else if let Some(reason) = emptied(&fetched.read.page, record) {
                        stale = reason;
                    } else {
                        return Ok(self.accepted(fetched, record));
                    }
                }
            }
            caches = Caches::Bypass;
        }
        Err(stale)
    }

    /// The page of a project we hold is gone: it goes too, and the ledger keeps the name while somebody names it. When
    /// more pages are gone than a run may remove, the upstream is more likely broken than right.
    async fn gone(
        &self,
        name: ProjectName,
        entry: LedgerEntry,
        work: &mpsc::Sender<Work>,
    ) -> Result<(), EngineError> {
        let allowed = self
            .removals_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok();
        if allowed {
            return send(work, Work::gone(name, entry)).await;
        }
        let reason = format!(
            "{}; it is kept, because more are gone than one run may remove",
            entry.reason
        );
        send(work, Work::failed(LedgerEntry { reason, ..entry })).await
    }

    fn accepted(&self, fetched: FetchedPage, record: Option<&ProjectRecord>) -> PageNow {
        let mut page = fetched.read.page;
        if let Some(first) = fetched.read.rejected.first() {
            self.context.events.tell(Event::Rejected {
                project: page.name.clone(),
                count: fetched.read.rejected.len() as u64,
                first: format!("{}: {}", first.item, first.reason),
            });
        }
        if let Some(record) = record {
            carry_over(&mut page, &record.page);
        }
        PageNow::Page {
            page: Box::new(page),
            validators: fetched.validators,
            outcome: ProjectOutcome::Updated,
        }
    }
}

const GONE: &str = "the upstream has no such project";
const GONE_LISTED: &str =
    "the upstream has no page for it any more, though its list may still name it";

fn stale_reason(found: Option<Serial>, wanted: Option<Serial>) -> String {
    let text = |serial: Option<Serial>| {
        serial.map_or_else(|| "no serial".to_owned(), |serial| serial.to_string())
    };
    format!(
        "the upstream's page is stale: it is at {}, and {} was promised",
        text(found),
        text(wanted)
    )
}

/// A page that lost every file without a newer serial is a broken answer, not a deletion.
fn emptied(page: &ProjectPage, record: Option<&ProjectRecord>) -> Option<String> {
    let record = record?;
    let lost = page.files.is_empty() && !record.page.files.is_empty();
    let told = page.serial > record.page.serial || !page.status.is_active();
    (lost && !told).then(|| {
        format!(
            "the upstream's page lost all {} files without a newer serial",
            record.page.files.len()
        )
    })
}

fn upstream_validators(record: &ProjectRecord) -> Validators {
    Validators {
        etag: record.validators.etag.clone(),
        last_modified: record.validators.last_modified.clone(),
    }
}

/// One project whose page is known, while its files are taken.
struct Project<'a> {
    fetcher: &'a Fetcher,
    refresh: &'a Refresh,
    record: Option<ProjectRecord>,
    validators: Validators,
    outcome: ProjectOutcome,
}

impl Project<'_> {
    async fn take(
        self,
        mut page: ProjectPage,
        wanted: &Wanted,
        older: &[LedgerEntry],
        work: &mpsc::Sender<Work>,
    ) -> Result<(), EngineError> {
        let fetcher = self.fetcher;
        let decisions = fetcher.filter.apply(&page, wanted, fetcher.now);
        let mut hidden: BTreeSet<String> = page
            .files
            .iter()
            .zip(&decisions)
            .filter(|(_, decision)| !decision.is_kept())
            .map(|(file, _)| file.filename().to_owned())
            .collect();
        let mut failures = Vec::new();
        let missing = match fetcher.files {
            Files::PagesOnly => Vec::new(),
            Files::Take => self.missing(&page, &hidden).await?,
        };
        if !missing.is_empty() {
            let size_bytes = missing
                .iter()
                .filter_map(|missing| missing.entry.size_bytes)
                .sum();
            let files = missing.len() as u64;
            fetcher.context.events.tell(Event::Wanted {
                project: page.name.clone(),
                files,
                size_bytes,
            });
        }
        let mut pending: BTreeSet<String> = missing
            .iter()
            .map(|missing| missing.entry.filename().to_owned())
            .collect();
        let index: HashMap<String, usize> = page
            .files
            .iter()
            .enumerate()
            .map(|(at, file)| (file.filename().to_owned(), at))
            .collect();
        let mut waiting = Waiting::default();
        let mut taken = stream::iter(missing)
            .map(|missing| fetcher.take_missing(&self.refresh.name, missing))
            .buffer_unordered(fetcher.jobs);
        while let Some(done) = taken.next().await {
            let done = done?;
            let name = done.entry.filename().to_owned();
            pending.remove(&name);
            if let Some(reason) = done.problem {
                let entry = failure(older, &page.name, &name, reason, fetcher.now);
                failures.push(entry.with_serial(self.refresh.wanted_serial.or(page.serial)));
            }
            if !done.listed {
                hidden.insert(name.clone());
            }
            waiting.add(&done.entry, done.blobs);
            if let Some(at) = index.get(&name) {
                page.files[*at] = done.entry;
            }
            if waiting.is_full() && !pending.is_empty() {
                let hidden = hidden.union(&pending).cloned().collect();
                let put = self.put(&page, hidden, Completeness::Partial, Vec::new());
                send(work, Work::put(put, waiting.drain(), None)).await?;
            }
        }
        drop(taken);
        self.finish(page, hidden, waiting, failures, work).await
    }

    async fn finish(
        &self,
        page: ProjectPage,
        hidden: BTreeSet<String>,
        mut waiting: Waiting,
        failures: Vec<LedgerEntry>,
        work: &mpsc::Sender<Work>,
    ) -> Result<(), EngineError> {
        // Nothing could be taken and nothing was there before: an empty page would only say something untrue.
        if !failures.is_empty() && self.record.is_none() && page.files.len() == hidden.len() {
            for entry in failures {
                send(work, Work::failed(entry)).await?;
            }
            return Ok(());
        }
        let completeness = if failures.is_empty() {
            Completeness::Whole
        } else {
            Completeness::Partial
        };
        let outcome = if failures.is_empty() {
            self.outcome
        } else {
            ProjectOutcome::Failed
        };
        let put = self.put(&page, hidden, completeness, failures);
        let same = waiting.blobs.is_empty()
            && self.refresh.reason != RefreshReason::Failed
            && self.refresh.reason != RefreshReason::Damaged
            && self
                .record
                .as_ref()
                .is_some_and(|record| is_same_state(record, &put.record));
        if same {
            let touch = Change::Touch {
                name: page.name.clone(),
                confirmed_at: self.fetcher.now,
                validators: put.record.validators.clone(),
            };
            return send(
                work,
                Work::change(touch, page.name, ProjectOutcome::Unchanged),
            )
            .await;
        }
        send(
            work,
            Work::put(put, waiting.drain(), Some(outcome_of(outcome))),
        )
        .await
    }

    fn put(
        &self,
        page: &ProjectPage,
        hidden: BTreeSet<String>,
        completeness: Completeness,
        failures: Vec<LedgerEntry>,
    ) -> Put {
        let before = self
            .record
            .as_ref()
            .filter(|record| record.keeper.is_synced());
        let published_serial = match completeness {
            Completeness::Whole => page.serial.max(self.refresh.wanted_serial),
            // Never more than we hold: what was true of the whole project before stays what is claimed.
            Completeness::Partial => before.and_then(|record| record.published_serial),
        };
        let keeper = match self.fetcher.files {
            Files::Take => Keeper::Mirror,
            Files::PagesOnly => Keeper::PagesOnly,
        };
        let validators = match completeness {
            Completeness::Whole => self.validators.clone(),
            // An incomplete project must be looked at again whatever the upstream's caches say.
            Completeness::Partial => Validators::default(),
        };
        let record = ProjectRecord {
            page: page.clone(),
            hidden,
            keeper,
            published_serial,
            validators: heliostat_store::Validators {
                etag: validators.etag,
                last_modified: validators.last_modified,
            },
            confirmed_at: self.fetcher.now,
            upstream: self.fetcher.root.clone(),
        };
        Put {
            record,
            blobs: Vec::new(),
            failures,
        }
    }

    /// The listed files with a part that is not on disk.
    async fn missing(
        &self,
        page: &ProjectPage,
        hidden: &BTreeSet<String>,
    ) -> Result<Vec<Missing>, EngineError> {
        let name = page.name.clone();
        let held = self
            .fetcher
            .context
            .on_disk(move |store| store.project_files(&name))
            .await?;
        let held: HashMap<_, _> = held.into_iter().map(|row| (row.path, row.held)).collect();
        let mut missing = Vec::new();
        for file in page
            .files
            .iter()
            .filter(|file| !hidden.contains(file.filename()))
        {
            let parts = held.get(&file.path).map(Vec::as_slice).unwrap_or_default();
            // A file whose digest changed upstream keeps its path only where the path does not come from the digest.
            let replaced = self.record.as_ref().is_some_and(|record| {
                record.page.files.iter().any(|old| {
                    old.path == file.path && old.sha256.is_some() && old.sha256 != file.sha256
                })
            });
            let lacks = |part| replaced || !parts.contains(&part);
            let mut wanted = Vec::new();
            if lacks(Part::File) {
                wanted.push(Part::File);
            }
            let may_have_metadata = file.core_metadata != CoreMetadata::Absent
                || (file.is_wheel() && lacks(Part::File));
            if may_have_metadata && lacks(Part::Metadata) {
                wanted.push(Part::Metadata);
            }
            if file.provenance.is_some() && lacks(Part::Provenance) {
                wanted.push(Part::Provenance);
            }
            if !wanted.is_empty() {
                missing.push(Missing {
                    entry: file.clone(),
                    parts: wanted,
                });
            }
        }
        Ok(missing)
    }
}

impl Fetcher {
    /// Takes the missing parts of one file. What cannot be had is in the answer; an error is one of the whole run.
    async fn take_missing(
        &self,
        project: &ProjectName,
        missing: Missing,
    ) -> Result<FileDone, EngineError> {
        let Missing { mut entry, parts } = missing;
        let mut blobs = Vec::new();
        let mut problem = None;
        if parts.contains(&Part::File) {
            match take_file(&self.context, &entry, |_| Ok(())).await {
                Ok(blob) => {
                    entry.sha256 = Some(blob.sha256());
                    entry.size_bytes = Some(blob.size_bytes());
                    let (project, size_bytes) = (project.clone(), blob.size_bytes());
                    self.context.events.tell(Event::File {
                        project,
                        file: entry.filename().to_owned(),
                        size_bytes,
                    });
                    blobs.push((Part::File, blob));
                }
                Err(error) => return unlisted(entry, error),
            }
        }
        if parts.contains(&Part::Metadata) {
            let wheel = match blobs.first() {
                Some((_, blob)) => Some(blob.open()?),
                None => self
                    .context
                    .store
                    .open_file(&entry.path, Part::File)?
                    .map(|open| open.file),
            };
            match take_metadata(&self.context, project, &entry, wheel).await {
                Ok(PartTaken::Blob(blob, digest)) => {
                    entry.core_metadata = CoreMetadata::Sha256(digest);
                    blobs.push((Part::Metadata, blob));
                }
                Ok(PartTaken::None) => entry.core_metadata = CoreMetadata::Absent,
                Ok(PartTaken::Blemish(reason)) => {
                    entry.core_metadata = CoreMetadata::Absent;
                    problem = Some(reason);
                }
                Err(error) => return unlisted(entry, error),
            }
        }
        if parts.contains(&Part::Provenance) {
            match take_provenance(&self.context, &entry).await {
                Ok(PartTaken::Blob(blob, _)) => blobs.push((Part::Provenance, blob)),
                Ok(PartTaken::None) => {}
                Ok(PartTaken::Blemish(reason)) => {
                    entry.provenance = None;
                    problem = problem.or(Some(reason));
                }
                Err(error) => return unlisted(entry, error),
            }
        }
        Ok(FileDone {
            entry,
            blobs,
            problem,
            listed: true,
        })
    }
}

/// A file that cannot be listed now. Trouble with our own disk is the whole run's.
fn unlisted(entry: PageFile, error: TakeError) -> Result<FileDone, EngineError> {
    match error {
        TakeError::Store(error) => Err(EngineError::Store(error)),
        TakeError::Engine(error) => Err(*error),
        error => Ok(FileDone {
            entry,
            blobs: Vec::new(),
            problem: Some(error.to_string()),
            listed: false,
        }),
    }
}

#[derive(Clone, Copy)]
enum Completeness {
    Whole,
    Partial,
}

/// Blobs taken and not yet handed to the committer.
#[derive(Default)]
struct Waiting {
    blobs: Vec<Admission>,
    size_bytes: u64,
}

impl Waiting {
    fn add(&mut self, entry: &PageFile, blobs: Vec<(Part, VerifiedBlob)>) {
        for (part, blob) in blobs {
            self.size_bytes += blob.size_bytes();
            self.blobs.push(Admission {
                path: entry.path.clone(),
                part,
                blob,
            });
        }
    }

    fn is_full(&self) -> bool {
        self.blobs.len() >= BLOBS_WAITING_MAX || self.size_bytes >= BYTES_WAITING_MAX
    }

    fn drain(&mut self) -> Vec<Admission> {
        self.size_bytes = 0;
        std::mem::take(&mut self.blobs)
    }
}

fn is_same_state(old: &ProjectRecord, new: &ProjectRecord) -> bool {
    old.page == new.page
        && old.hidden == new.hidden
        && old.keeper == new.keeper
        && old.published_serial == new.published_serial
        && old.upstream == new.upstream
}

const fn outcome_of(outcome: ProjectOutcome) -> ProjectOutcome {
    match outcome {
        ProjectOutcome::Unchanged => ProjectOutcome::Updated,
        other => other,
    }
}

async fn send(work: &mpsc::Sender<Work>, item: Work) -> Result<(), EngineError> {
    work.send(item)
        .await
        .map_err(|_| EngineError::Worker("the committer stopped".to_owned()))
}
