//! Takes the files of one project whose page is known: what is missing, at once and bounded, with an intermediate
//! commit whenever much is waiting.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt as _, stream};
use heliostat_pypi::page::{CoreMetadata, PageFile, ProjectPage};
use heliostat_pypi::select::Wanted;
use heliostat_pypi::{ProjectName, Sha256, TreePath};
use heliostat_store::{
    Admission, Change, Keeper, LedgerEntry, Part, ProjectRecord, Put, VerifiedBlob,
};
use heliostat_upstream::Validators;
use tokio::sync::mpsc;

use super::fetch::{Fetcher, send};
use super::plan::{Refresh, RefreshReason};
use super::{Files, Work};
use crate::error::EngineError;
use crate::events::{Event, ProjectOutcome};
use crate::ledger::{WithSerial as _, failure};
use crate::take::{TakeError, expected, take_file};
use crate::take_parts::{PartTaken, take_metadata, take_provenance};
use crate::validators;

/// Bytes of blobs that a project may have waiting before they are committed.
const BYTES_WAITING_MAX: u64 = 1 << 30;
/// Blobs that a project may have waiting before they are committed, so that an interrupted large project keeps what
/// it has and a run's open temporaries stay bounded.
const BLOBS_WAITING_MAX: usize = 256;
/// What was found out about one missing file.
struct FileDone {
    entry: PageFile,
    blobs: Vec<(Part, VerifiedBlob)>,
    /// The file cannot be listed, or a part of it cannot be advertised; why.
    problem: Option<String>,
    listed: bool,
}

/// A file with the parts of it that are not on disk.
struct Missing {
    entry: PageFile,
    parts: Vec<Part>,
}

/// One project whose page is known, while its files are taken.
pub(super) struct Project<'a> {
    pub(super) fetcher: &'a Fetcher,
    pub(super) refresh: &'a Refresh,
    pub(super) record: Option<ProjectRecord>,
    pub(super) validators: Validators,
    pub(super) outcome: ProjectOutcome,
    pub(super) page: ProjectPage,
    pub(super) older: &'a [LedgerEntry],
    pub(super) work: &'a mpsc::Sender<Work>,
}

/// What came of the files so far.
#[derive(Default)]
struct Progress {
    /// File names that our page leaves out.
    hidden: BTreeSet<String>,
    failures: Vec<LedgerEntry>,
    waiting: Waiting,
}

impl Project<'_> {
    /// Takes what is missing of what is wanted, and hands the project to the committer.
    pub(super) async fn take(mut self, wanted: &Wanted) -> Result<(), EngineError> {
        let fetcher = self.fetcher;
        let decisions = fetcher.filter.apply(&self.page, wanted, fetcher.now);
        let mut progress = Progress::default();
        for (file, decision) in self.page.files.iter().zip(&decisions) {
            if !decision.is_kept() {
                progress.hidden.insert(file.filename().to_owned());
            }
        }
        let mut missing = self.missing(&progress.hidden).await?;
        if fetcher.files == Files::PagesOnly {
            // A page says which provenance its files have: without that document it is not the page of a full mirror.
            for file in &mut missing {
                file.parts.retain(|part| *part == Part::Provenance);
            }
            missing.retain(|file| !file.parts.is_empty());
        }
        self.tell_wanted(&missing);
        let mut pending: BTreeSet<String> = (missing.iter())
            .map(|missing| missing.entry.filename().to_owned())
            .collect();
        let index: HashMap<String, usize> = (self.page.files.iter().enumerate())
            .map(|(at, file)| (file.filename().to_owned(), at))
            .collect();
        let mut taken = stream::iter(missing)
            .map(|missing| fetcher.take_missing(&self.refresh.name, missing))
            .buffer_unordered(fetcher.jobs);
        while let Some(done) = taken.next().await {
            let done = done?;
            let name = done.entry.filename().to_owned();
            pending.remove(&name);
            if let Some(reason) = done.problem {
                let entry = failure(self.older, &self.page.name, &name, &reason, fetcher.now);
                let wanted_serial = self.refresh.wanted_serial.or(self.page.serial);
                progress.failures.push(entry.with_serial(wanted_serial));
            }
            if !done.listed {
                progress.hidden.insert(name.clone());
            }
            progress.waiting.add(&done.entry, done.blobs);
            if let Some(at) = index.get(&name) {
                self.page.files[*at] = done.entry;
            }
            if progress.waiting.is_full() && !pending.is_empty() {
                let hidden = progress.hidden.union(&pending).cloned().collect();
                let put = self.put(hidden, Completeness::Partial, Vec::new());
                send(self.work, Work::put(put, progress.waiting.drain(), None)).await?;
            }
        }
        drop(taken);
        self.finish(progress).await
    }

    fn tell_wanted(&self, missing: &[Missing]) {
        if missing.is_empty() {
            return;
        }
        let files = missing
            .iter()
            .filter(|missing| missing.parts.contains(&Part::File));
        self.fetcher.context.events.tell(Event::Wanted {
            project: self.page.name.clone(),
            files: files.clone().count() as u64,
            size_bytes: files.filter_map(|missing| missing.entry.size_bytes).sum(),
        });
    }

    async fn finish(self, progress: Progress) -> Result<(), EngineError> {
        let Progress {
            hidden,
            failures,
            mut waiting,
        } = progress;
        // Nothing could be taken and nothing was there before: an empty page would only say something untrue.
        if !failures.is_empty() && self.record.is_none() && self.page.files.len() == hidden.len() {
            for entry in failures {
                send(self.work, Work::failed(entry)).await?;
            }
            return Ok(());
        }
        let (completeness, outcome) = if failures.is_empty() {
            (Completeness::Whole, outcome_of(self.outcome))
        } else {
            (Completeness::Partial, ProjectOutcome::Failed)
        };
        let put = self.put(hidden, completeness, failures);
        let is_same = waiting.blobs.is_empty()
            && !matches!(
                self.refresh.reason,
                RefreshReason::Failed | RefreshReason::Damaged
            )
            && self
                .record
                .as_ref()
                .is_some_and(|record| is_same_state(record, &put.record));
        let item = if is_same {
            let name = self.page.name.clone();
            let touch = Change::Touch {
                name: name.clone(),
                confirmed_at: self.fetcher.now,
                validators: put.record.validators,
            };
            Work::change(touch, name, ProjectOutcome::Unchanged)
        } else {
            Work::put(put, waiting.drain(), Some(outcome))
        };
        send(self.work, item).await
    }

    fn put(
        &self,
        hidden: BTreeSet<String>,
        completeness: Completeness,
        failures: Vec<LedgerEntry>,
    ) -> Put {
        let before = self
            .record
            .as_ref()
            .filter(|record| record.keeper.is_synced());
        let published_serial = match completeness {
            Completeness::Whole => self.page.serial.max(self.refresh.wanted_serial),
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
            page: self.page.clone(),
            hidden,
            keeper,
            published_serial,
            validators: validators::remembered(validators),
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
    async fn missing(&self, hidden: &BTreeSet<String>) -> Result<Vec<Missing>, EngineError> {
        let held = match &self.record {
            Some(_) => {
                let name = self.page.name.clone();
                let context = &self.fetcher.context;
                context
                    .on_disk(move |store| store.project_files(&name))
                    .await?
            }
            None => Vec::new(),
        };
        let held: HashMap<_, _> = held.into_iter().map(|row| (row.path, row.held)).collect();
        let digests_before: HashMap<&TreePath, Option<Sha256>> = (self.record.iter())
            .flat_map(|record| &record.page.files)
            .map(|old| (&old.path, old.sha256))
            .collect();
        let mut missing = Vec::new();
        for file in self
            .page
            .files
            .iter()
            .filter(|file| !hidden.contains(file.filename()))
        {
            let parts = held.get(&file.path).map(Vec::as_slice).unwrap_or_default();
            // A file whose digest changed upstream keeps its path only where the path does not come from the digest.
            let before = digests_before.get(&file.path).copied().flatten();
            let replaced = before.is_some_and(|before| Some(before) != file.sha256);
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
    /// A file: one that was taken already to look into it, else from the upstream.
    async fn file(&self, entry: &PageFile) -> Result<VerifiedBlob, TakeError> {
        match (self.context.store).unshelve(&entry.path, &expected(entry)) {
            Some(blob) => Ok(blob),
            None => take_file(&self.context, entry, |_| Ok(())).await,
        }
    }

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
            match self.file(&entry).await {
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
                Ok(PartTaken::Blob(blob, digest)) => {
                    entry.provenance_sha256 = Some(digest);
                    blobs.push((Part::Provenance, blob));
                }
                Ok(PartTaken::None) => {}
                Ok(PartTaken::Blemish(reason)) => {
                    entry.provenance = None;
                    entry.provenance_sha256 = None;
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
