//! Takes the files of one project whose page is known: what is missing, at once and bounded, with an intermediate
//! commit whenever much is waiting.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt as _, stream};
use heliostat_pypi::TreePath;
use heliostat_pypi::page::{CoreMetadata, PageFile, ProjectPage};
use heliostat_pypi::select::Wanted;
use heliostat_store::{
    Admission, Change, Keeper, LedgerEntry, Part, ProjectRecord, Put, VerifiedBlob, Weight,
};
use heliostat_trust::attest::AttestationPolicy;
use heliostat_upstream::Validators;
use tokio::sync::mpsc;

use super::fetch::{Fetcher, send};
use super::missing::Missing;
use super::plan::{Refresh, RefreshReason};
use super::{Depth, Files, Work};
use crate::error::EngineError;
use crate::events::{Event, ProjectOutcome};
use crate::ledger::{WithSerial as _, failure, warning};
use crate::validators;

/// Bytes of blobs that a project may have waiting before they are committed.
const BYTES_WAITING_MAX: u64 = 1 << 30;
/// Blobs that a project may have waiting before they are committed, so that an interrupted large project keeps what
/// it has and a run's open temporaries stay bounded.
const BLOBS_WAITING_MAX: usize = 256;
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
    /// What is listed and does not hold.
    doubts: Vec<LedgerEntry>,
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
        progress.doubts = self.doubts_that_stay(&missing);
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
            } else if let Some(reason) = done.doubt {
                let entry = warning(self.older, &self.page.name, &name, &reason, fetcher.now);
                progress.doubts.push(entry);
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

    /// What was doubted before of files that are not looked at now, and are listed with provenance as they were.
    fn doubts_that_stay(&self, missing: &[Missing]) -> Vec<LedgerEntry> {
        if self.fetcher.context.attestations.policy() == AttestationPolicy::Ignore {
            return Vec::new();
        }
        let is_looked_at = |item: &str| {
            missing.iter().any(|missing| {
                missing.entry.filename() == item && missing.parts.contains(&Part::Provenance)
            })
        };
        let has_provenance = |item: &str| {
            let mut files = self.page.files.iter();
            files.any(|file| file.filename() == item && file.provenance.is_some())
        };
        self.older
            .iter()
            .filter(|entry| entry.weight == Weight::Warning)
            .filter(|entry| has_provenance(&entry.item) && !is_looked_at(&entry.item))
            .cloned()
            .collect()
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
            mut doubts,
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
        doubts.retain(|doubt| !hidden.contains(&doubt.item));
        let put = self.put(hidden, completeness, [failures, doubts].concat());
        let is_same = waiting.blobs.is_empty()
            && put.failures.iter().eq(self.older)
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

    /// Whether provenance that is held may be another at the upstream.
    ///
    /// The page's word for it is its address, and its digest where the upstream tells that. A document that changed in
    /// its place is found by looking at everything again: a request for each file whenever a project gets a release
    /// would be thousands a day, for what PyPI has no way to do yet.
    fn asks_again(&self, before: &PageFile, now: &PageFile) -> bool {
        let is_same_upstream =
            (self.record.as_ref()).is_some_and(|record| record.upstream == self.fetcher.root);
        now.provenance.is_some()
            && (self.fetcher.depth == Depth::EveryPage
                || before.provenance_sha256 != now.provenance_sha256
                || (is_same_upstream && before.provenance != now.provenance))
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
        let files_before: HashMap<&TreePath, &PageFile> = (self.record.iter())
            .flat_map(|record| &record.page.files)
            .map(|old| (&old.path, old))
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
            let before = files_before.get(&file.path).copied();
            let replaced = before
                .and_then(|before| before.sha256)
                .is_some_and(|before| Some(before) != file.sha256);
            // So with metadata, of which the page alone says what it is.
            let is_other_metadata = before.is_some_and(|before| {
                matches!(
                    (before.core_metadata, file.core_metadata),
                    (CoreMetadata::Sha256(before), CoreMetadata::Sha256(now)) if before != now
                )
            });
            let lacks = |part| {
                replaced || !parts.contains(&part) || (part == Part::Metadata && is_other_metadata)
            };
            let mut wanted = Vec::new();
            if lacks(Part::File) {
                wanted.push(Part::File);
            }
            let may_have_metadata = file.core_metadata != CoreMetadata::Absent
                || (file.is_wheel() && lacks(Part::File));
            if may_have_metadata && lacks(Part::Metadata) {
                wanted.push(Part::Metadata);
            }
            let mut provenance_held = None;
            if file.provenance.is_some() && lacks(Part::Provenance) {
                wanted.push(Part::Provenance);
            } else if let Some(before) = before
                && self.asks_again(before, file)
            {
                wanted.push(Part::Provenance);
                provenance_held = before.provenance_sha256;
            }
            if !wanted.is_empty() {
                missing.push(Missing {
                    entry: file.clone(),
                    parts: wanted,
                    provenance_held,
                });
            }
        }
        Ok(missing)
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
