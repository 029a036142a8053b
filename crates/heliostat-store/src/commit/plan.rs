//! Turns changes into a batch: one task for each project, checked against the catalog. What cannot be done is refused
//! alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use heliostat_pypi::page::{CoreMetadata, PageFile};
use heliostat_pypi::{ProjectName, TreePath};

use super::work::{Arrival, Batch, LedgerChange, Notes, Target, Task, Touch, Work};
use super::{Admission, Blobs, Change, CommitPolicy, Learned, Put, Refusal};
use crate::catalog::{BodyEncoder, Columns};
use crate::error::StoreError;
use crate::intake::{Expected, VerifiedBlob};
use crate::layout;
use crate::record::{Keeper, Part, ProjectRecord, Validators};
use crate::store::Store;

/// Plans a batch. The caller holds the commit lock, so the catalog stays as it is until the batch is carried out.
pub(crate) fn plan(
    store: &Store,
    changes: Vec<Change>,
    policy: &CommitPolicy,
) -> Result<Batch, StoreError> {
    let mut planner = Planner {
        store,
        drafts: BTreeMap::new(),
        notes: Notes {
            now: policy.now,
            due_at: policy.now.saturating_add(policy.grace_seconds.into()),
            ..Notes::default()
        },
        refused: Vec::new(),
    };
    for change in changes {
        planner.take(change)?;
    }
    planner.finish()
}

struct Planner<'a> {
    store: &'a Store,
    drafts: BTreeMap<ProjectName, Draft>,
    notes: Notes,
    refused: Vec<Refusal>,
}

/// A task that may still grow.
#[derive(Debug, Default)]
struct Draft {
    target: DraftTarget,
    arrivals: Vec<Admission>,
    evicted: Vec<TreePath>,
}

#[derive(Debug, Default)]
enum DraftTarget {
    #[default]
    Keep,
    Put(Box<ProjectRecord>),
    Drop,
}

impl Planner<'_> {
    fn take(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Put(put) => self.put(*put),
            Change::Blobs(blobs) => self.blobs(blobs),
            Change::Touch {
                name,
                confirmed_at,
                validators,
            } => self.touch(name, confirmed_at, validators),
            Change::DropOnDemand { name } if self.is_synced(&name)? => {
                self.refuse(Some(name.clone()), String::new(), StoreError::Synced(name));
                Ok(())
            }
            Change::Drop { name } | Change::DropOnDemand { name } => self.drop_project(name),
            Change::Evict { path } => self.evict(path),
            Change::Failed(entry) => {
                self.notes.ledger.push(LedgerChange::Add(entry));
                Ok(())
            }
            Change::Settled { project } => {
                self.notes.ledger.push(LedgerChange::Settle(project));
                Ok(())
            }
        }
    }

    fn put(&mut self, put: Put) -> Result<(), StoreError> {
        let Put {
            mut record,
            blobs,
            failures,
        } = put;
        let name = record.page.name.clone();
        // Looked at under the commit lock: whoever took the page on demand could not know what a sync was about to do.
        if record.keeper == Keeper::OnDemand && self.is_synced(&name)? {
            self.refuse(Some(name.clone()), String::new(), StoreError::Synced(name));
            return Ok(());
        }
        let admissions = self.admit(&mut record, blobs);
        if record.keeper == Keeper::Mirror
            && let Some(error) = self.first_not_held(&record, &admissions)?
        {
            self.refuse(Some(name), String::new(), error);
            return Ok(());
        }
        self.notes.ledger.push(LedgerChange::Settle(name.clone()));
        self.notes
            .ledger
            .extend(failures.into_iter().map(LedgerChange::Add));
        self.notes.touches.retain(|touch| touch.name != name);
        let mut draft = self.drafts.remove(&name).unwrap_or_default();
        // What an earlier change of this batch brought and this page does not want is let go of: this page is the newer
        // word on what is wanted.
        let index = index_listed(&record);
        draft.arrivals.retain(|earlier| {
            let entry = index
                .get(&earlier.path)
                .map(|index| &mut record.page.files[*index]);
            entry.is_some_and(|entry| check(&name, entry, earlier).is_ok())
        });
        draft.arrivals.extend(admissions);
        if record.keeper == Keeper::Mirror {
            draft.evicted.clear();
        }
        draft.target = DraftTarget::Put(Box::new(record));
        self.drafts.insert(name, draft);
        Ok(())
    }

    fn blobs(&mut self, change: Blobs) -> Result<(), StoreError> {
        let Blobs {
            project,
            blobs,
            learned,
        } = change;
        let Some(old) = self.current(&project)? else {
            self.refuse(
                Some(project.clone()),
                String::new(),
                StoreError::UnknownProject(project),
            );
            return Ok(());
        };
        let mut record = old.clone();
        apply_learned(&mut record, &learned);
        let admissions = self.admit(&mut record, blobs);
        let draft = self.drafts.entry(project).or_default();
        draft
            .evicted
            .retain(|path| admissions.iter().all(|admission| admission.path != *path));
        draft.arrivals.extend(admissions);
        if record != old {
            draft.target = DraftTarget::Put(Box::new(record));
        }
        Ok(())
    }

    fn touch(
        &mut self,
        name: ProjectName,
        confirmed_at: i64,
        validators: Validators,
    ) -> Result<(), StoreError> {
        if let Some(DraftTarget::Put(record)) =
            self.drafts.get_mut(&name).map(|draft| &mut draft.target)
        {
            record.confirmed_at = confirmed_at;
            record.validators = validators;
        } else if self.is_known(&name)? {
            self.notes.touches.push(Touch {
                name,
                confirmed_at,
                validators,
            });
        } else {
            self.refuse(
                Some(name.clone()),
                String::new(),
                StoreError::UnknownProject(name),
            );
        }
        Ok(())
    }

    fn drop_project(&mut self, name: ProjectName) -> Result<(), StoreError> {
        self.notes.ledger.push(LedgerChange::Settle(name.clone()));
        if self.is_known(&name)? || self.drafts.contains_key(&name) {
            self.drafts.insert(
                name,
                Draft {
                    target: DraftTarget::Drop,
                    ..Draft::default()
                },
            );
        }
        Ok(())
    }

    fn evict(&mut self, path: TreePath) -> Result<(), StoreError> {
        let row = self.store.inner.catalog.file(&path)?;
        let Some(row) = row else {
            self.evict_arrival(path);
            return Ok(());
        };
        let will_be_mirrored = self.drafts.values().any(|draft| match &draft.target {
            DraftTarget::Put(record) => {
                record.keeper == Keeper::Mirror && record.listed().any(|file| file.path == path)
            }
            _ => false,
        });
        let is_mirrored = self
            .store
            .inner
            .catalog
            .mirrors_of(&path)?
            .iter()
            .any(|name| {
                let target = self.drafts.get(name).map(|draft| &draft.target);
                matches!(target, None | Some(DraftTarget::Keep))
            });
        if will_be_mirrored || is_mirrored {
            self.refuse(
                Some(row.project),
                path.filename().to_owned(),
                StoreError::NotEvictable(path),
            );
            return Ok(());
        }
        let draft = self.drafts.entry(row.project).or_default();
        draft.arrivals.retain(|admission| admission.path != path);
        draft.evicted.push(path);
        Ok(())
    }

    /// A file that the catalog does not list yet: one that this very batch lists is not taken in at all.
    fn evict_arrival(&mut self, path: TreePath) {
        let lister = self
            .drafts
            .values_mut()
            .find_map(|draft| match &draft.target {
                DraftTarget::Put(record) if record.listed().any(|file| file.path == path) => {
                    Some((record.page.name.clone(), record.keeper, &mut draft.arrivals))
                }
                _ => None,
            });
        let filename = path.filename().to_owned();
        match lister {
            None => self.refuse(None, filename, StoreError::Unlisted(path)),
            Some((name, Keeper::Mirror, _)) => {
                self.refuse(Some(name), filename, StoreError::NotEvictable(path));
            }
            Some((_, _, arrivals)) => arrivals.retain(|admission| admission.path != path),
        }
    }

    /// Keeps the admissions that fit the record, and fills in what they tell.
    fn admit(&mut self, record: &mut ProjectRecord, admissions: Vec<Admission>) -> Vec<Admission> {
        let index = index_listed(record);
        let mut kept = Vec::with_capacity(admissions.len());
        for admission in admissions {
            let name = record.page.name.clone();
            let checked = match index.get(&admission.path) {
                Some(&index) => check(&name, &mut record.page.files[index], &admission),
                None => Err(StoreError::Unlisted(admission.path.clone())),
            };
            match checked {
                Ok(()) => kept.push(admission),
                Err(error) => self.refuse(Some(name), admission.path.filename().to_owned(), error),
            }
        }
        kept
    }

    /// The first part that a mirrored project's page would name although it is not held (invariant 2).
    fn first_not_held(
        &self,
        record: &ProjectRecord,
        admissions: &[Admission],
    ) -> Result<Option<StoreError>, StoreError> {
        let name = &record.page.name;
        let arriving: HashSet<(&TreePath, Part)> = admissions
            .iter()
            .chain(
                self.drafts
                    .get(name)
                    .into_iter()
                    .flat_map(|draft| &draft.arrivals),
            )
            .map(|admission| (&admission.path, admission.part))
            .collect();
        let needed = record.listed().flat_map(|file| {
            let metadata =
                (!file.core_metadata.is_absent()).then_some((&file.path, Part::Metadata));
            [Some((&file.path, Part::File)), metadata]
                .into_iter()
                .flatten()
        });
        let needed: Vec<_> = needed.filter(|needed| !arriving.contains(needed)).collect();
        if needed.is_empty() {
            return Ok(None);
        }
        let missing = self.store.inner.catalog.not_held(needed.into_iter())?;
        // What waits to be unlinked and is still there will be taken back.
        let first = missing.into_iter().find(|(path, part, doomed)| {
            doomed.part(*part).is_none() || !self.store.is_on_disk(name, path, *part)
        });
        Ok(first.map(|(path, part, _)| StoreError::NotHeld {
            project: name.clone(),
            path: path.clone(),
            part,
        }))
    }

    /// The record as it will be after the changes so far.
    fn current(&self, name: &ProjectName) -> Result<Option<ProjectRecord>, StoreError> {
        match self.drafts.get(name).map(|draft| &draft.target) {
            Some(DraftTarget::Put(record)) => Ok(Some((**record).clone())),
            Some(DraftTarget::Drop) => Ok(None),
            Some(DraftTarget::Keep) | None => self.store.inner.catalog.project(name),
        }
    }

    /// Whether a sync answers for the project, after the changes so far.
    fn is_synced(&self, name: &ProjectName) -> Result<bool, StoreError> {
        match self.drafts.get(name).map(|draft| &draft.target) {
            Some(DraftTarget::Put(record)) => Ok(record.keeper.is_synced()),
            Some(DraftTarget::Drop) => Ok(false),
            Some(DraftTarget::Keep) | None => {
                let state = self.store.inner.catalog.project_state(name)?;
                Ok(state.is_some_and(|state| state.keeper.is_synced()))
            }
        }
    }

    fn is_known(&self, name: &ProjectName) -> Result<bool, StoreError> {
        Ok(self.store.inner.catalog.project_state(name)?.is_some())
    }

    fn refuse(&mut self, project: Option<ProjectName>, item: String, error: StoreError) {
        self.refused.push(Refusal {
            project,
            item,
            error,
        });
    }

    fn finish(self) -> Result<Batch, StoreError> {
        let Self {
            drafts,
            notes,
            refused,
            store,
        } = self;
        let mut tasks = Vec::with_capacity(drafts.len());
        let mut encoder = BodyEncoder::new();
        for (name, draft) in drafts {
            let (target, after) = match draft.target {
                DraftTarget::Keep => (Target::Keep, None),
                DraftTarget::Drop => (Target::Drop, None),
                DraftTarget::Put(record) => {
                    let body = encoder
                        .encode(&record)
                        .map_err(|fault| store.inner.catalog.complete("encode", fault))?;
                    (Target::Put(Columns::of(&record)), Some((*record, body)))
                }
            };
            let (arrivals, blobs) = draft.arrivals.into_iter().map(split).unzip();
            let work = Work {
                name,
                target,
                arrivals,
                evicted: draft.evicted,
            };
            tasks.push(Task { work, after, blobs });
        }
        Ok(Batch {
            notes,
            tasks,
            refused,
        })
    }
}

/// Where each listed file stands in the record's page.
fn index_listed(record: &ProjectRecord) -> HashMap<TreePath, usize> {
    let files = record.page.files.iter().enumerate();
    files
        .filter(|(_, file)| !record.hidden.contains(file.filename()))
        .map(|(index, file)| (file.path.clone(), index))
        .collect()
}

fn split(admission: Admission) -> (Arrival, VerifiedBlob) {
    let Admission { path, part, blob } = admission;
    let arrival = Arrival {
        temporary: blob.temporary().relative(),
        path,
        part,
        size_bytes: blob.size_bytes(),
        is_linked: blob.is_linked(),
    };
    (arrival, blob)
}

/// Checks a blob against its entry, and fills in what the entry lacks.
fn check(
    name: &ProjectName,
    entry: &mut PageFile,
    admission: &Admission,
) -> Result<(), StoreError> {
    let blob = &admission.blob;
    match admission.part {
        Part::File => {
            let expected = Expected {
                sha256: entry.sha256,
                size_bytes: entry.size_bytes,
            };
            expected.check(blob.sha256(), blob.size_bytes())?;
            entry.sha256 = Some(blob.sha256());
            entry.size_bytes = Some(blob.size_bytes());
        }
        Part::Metadata => {
            if let CoreMetadata::Sha256(sha256) = entry.core_metadata {
                let expected = Expected {
                    sha256: Some(sha256),
                    size_bytes: None,
                };
                expected.check(blob.sha256(), blob.size_bytes())?;
            }
        }
        Part::Provenance => {
            if layout::part(name, &admission.path, Part::Provenance).is_none() {
                return Err(StoreError::NoProvenancePlace(admission.path.clone()));
            }
            // The document may have grown since it was taken last: the page tells what is held now.
            entry.provenance_sha256 = Some(blob.sha256());
        }
    }
    Ok(())
}

fn apply_learned(record: &mut ProjectRecord, learned: &[Learned]) {
    for lesson in learned {
        for file in record
            .page
            .files
            .iter_mut()
            .filter(|file| file.path == lesson.path)
        {
            file.sha256 = file.sha256.or(lesson.sha256);
            file.size_bytes = file.size_bytes.or(lesson.size_bytes);
            file.core_metadata = lesson.core_metadata.unwrap_or(file.core_metadata);
        }
    }
}
