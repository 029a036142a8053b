//! Carries a batch out, step by step, and does so again from the redo log after a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use heliostat_pypi::{ProjectName, TreePath};

use super::work::{Batch, LedgerChange, Target, Task};
use super::{Committed, Refusal};
use crate::catalog::{Applier, Before, CatalogFault, SignedAs};
use crate::disk::{self, Unsynced};
use crate::error::StoreError;
use crate::kill::kill_point;
use crate::layout;
use crate::pages::{Copies, Pages};
use crate::record::Part;
use crate::store::Store;

/// Threads for one step of a batch, at most.
const THREADS_MAX: usize = 4;
/// Fewer tasks than this are not worth a thread.
const TASKS_A_THREAD_MIN: usize = 8;

/// What finishing an unfinished batch came to.
#[derive(Debug, Default)]
pub(crate) struct Redone {
    /// Projects whose unfinished commit was finished.
    pub(crate) projects: u64,
    /// Projects whose unfinished commit could not be finished and was undone.
    pub(crate) refused: Vec<Refusal>,
}

/// Tasks that met trouble of their own while they were carried out; they are undone, the others are not affected.
#[derive(Debug, Default)]
struct Abandoned {
    names: BTreeSet<ProjectName>,
    refusals: Vec<Refusal>,
}

/// What one step of a batch came to, in one thread or in all of them.
#[derive(Debug, Default)]
struct Share {
    abandoned: Abandoned,
    unsynced: Unsynced,
    /// What the signed pages are, by project.
    signed: BTreeMap<ProjectName, SignedAs>,
}

impl Store {
    /// Carries out a planned batch, from its first step. The caller holds the commit lock.
    pub(crate) fn execute(&self, mut batch: Batch) -> Result<Committed, StoreError> {
        let inner = &self.inner;
        if batch.is_empty() {
            let generation = inner.catalog.counter("generation")?;
            return Ok(Committed {
                generation,
                refused: batch.refused,
                ..Committed::default()
            });
        }
        if !batch.tasks.is_empty() {
            self.make_durable(&batch)?;
            kill_point("blobs-durable");
            let lines = batch
                .to_lines()
                .map_err(|fault| inner.catalog.complete("write the redo log", fault))?;
            inner.catalog.log_intents(&lines)?;
            kill_point("intent-written");
            for blob in batch.tasks.iter_mut().flat_map(|task| task.blobs.drain(..)) {
                blob.hand_over();
            }
        }
        let mut committed = self.carry_out(&mut batch)?;
        let now = batch.notes.now;
        committed.swept = self.sweep(now, &mut committed.refused)?;
        Ok(committed)
    }

    /// Finishes what an earlier commit began and could not finish. The caller holds the commit lock.
    pub(crate) fn redo(&self) -> Result<Redone, StoreError> {
        let lines = self.inner.catalog.intents()?;
        if lines.is_empty() {
            return Ok(Redone::default());
        }
        let mut batch = Batch::from_lines(lines)
            .map_err(|fault| self.inner.catalog.complete("redo a commit", fault))?;
        let committed = self.carry_out(&mut batch)?;
        let projects = batch.tasks.len() as u64;
        tracing::info!(projects, "finished a commit that had been interrupted");
        for refusal in &committed.refused {
            tracing::warn!(
                project = refusal.project.as_ref().map(tracing::field::display),
                error = &refusal.error as &dyn std::error::Error,
                "undid an interrupted commit that cannot be finished"
            );
        }
        Ok(Redone {
            projects,
            refused: committed.refused,
        })
    }

    /// Everything from the renames on; may be repeated.
    fn carry_out(&self, batch: &mut Batch) -> Result<Committed, StoreError> {
        let inner = &self.inner;
        let renamed = side_by_side(&batch.tasks, |task, share| {
            let moved = self.rename_arrivals(task, &mut share.unsynced);
            share.abandoned.unless_batch_ends(task, moved)
        })?;
        renamed.unsynced.sync(&inner.web)?;
        kill_point("all-renamed");
        let mut abandoned = renamed.abandoned;
        let pages = self.pages()?;
        let written = side_by_side(&batch.tasks, |task, share| {
            if abandoned.names.contains(&task.work.name) {
                return Ok(());
            }
            self.write_pages(task, &pages, share)
        })?;
        abandoned.absorb(written.abandoned);
        let signed = written.signed;
        written.unsynced.sync(&inner.web)?;
        kill_point("all-pages");
        let generation = self.apply(batch, &abandoned, &signed)?;
        kill_point("catalog-written");
        let mut committed = Committed {
            generation,
            ..Committed::default()
        };
        for task in batch
            .tasks
            .iter()
            .filter(|task| !abandoned.names.contains(&task.work.name))
        {
            committed.projects += u64::from(!matches!(task.work.target, Target::Keep));
            committed.admitted += task.work.arrivals.len() as u64;
            committed.admitted_bytes += task
                .work
                .arrivals
                .iter()
                .map(|arrival| arrival.size_bytes)
                .sum::<u64>();
        }
        committed.refused = std::mem::take(&mut batch.refused);
        committed.refused.append(&mut abandoned.refusals);
        Ok(committed)
    }

    /// Replaces or withdraws a task's documents; what cannot be done is undone and noted.
    fn write_pages(
        &self,
        task: &Task,
        pages: &Pages<'_>,
        share: &mut Share,
    ) -> Result<(), StoreError> {
        let name = &task.work.name;
        let written = match (&task.work.target, &task.after) {
            (Target::Put(_), Some((record, _))) => {
                pages.publish(record, &mut share.unsynced).map(|page| {
                    share.signed.extend(page.map(|page| (name.clone(), page)));
                })
            }
            (Target::Drop, _) => pages.withdraw(name, &mut share.unsynced),
            _ => Ok(()),
        };
        if written.is_err() {
            self.restore_pages(task, pages, &mut share.unsynced)?;
        }
        share.abandoned.unless_batch_ends(task, written)
    }

    /// Puts back what was replaced before a task met its trouble, in the same order and so as far as that came. What
    /// cannot be put back was not replaced.
    fn restore_pages(
        &self,
        task: &Task,
        pages: &Pages<'_>,
        unsynced: &mut Unsynced,
    ) -> Result<(), StoreError> {
        let restored = match self.record_before(task)? {
            Before::Record(record) => pages.publish(&record, unsynced).map(drop),
            Before::Nothing => pages.withdraw(&task.work.name, unsynced),
            Before::Damaged => Ok(()),
        };
        drop(restored);
        Ok(())
    }

    /// Writes documents as this store does: with signed copies where somebody signs.
    pub(crate) fn pages(&self) -> Result<Pages<'_>, StoreError> {
        let copies = self.copies()?;
        Ok(Pages::new(&self.inner.layout, &self.inner.incoming).with(copies))
    }

    /// Whether this store makes signed copies of pages.
    pub(crate) fn copies(&self) -> Result<Copies, StoreError> {
        Ok(self
            .notary()?
            .map_or(Copies::None, |notary| Copies::of(notary.origin)))
    }

    fn make_durable(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut unsynced = Unsynced::default();
        for blob in batch.tasks.iter().flat_map(|task| &task.blobs) {
            let path = blob.temporary().path();
            unsynced.add_file(path);
            let mut directory = path.parent();
            // The owner's directory may be new as well.
            for _ in 0..2 {
                if let Some(path) = directory {
                    unsynced.add_directory(path);
                    directory = path.parent();
                }
            }
        }
        unsynced.sync(&self.inner.web)
    }

    fn rename_arrivals(&self, task: &Task, unsynced: &mut Unsynced) -> Result<(), StoreError> {
        for arrival in &task.work.arrivals {
            let from = self.inner.incoming.root().join(&arrival.temporary);
            let Some(to) = self.place(&task.work.name, &arrival.path, arrival.part) else {
                continue;
            };
            // A file comes first into a directory that is its own, so renaming would fail once for every one.
            if let (Part::File, Some(directory)) = (arrival.part, to.parent()) {
                disk::create_directory(directory, unsynced)?;
            }
            match disk::move_into_place(&from, &to, unsynced) {
                // Renaming one name of a file to another name of the same file does nothing, and a file that was
                // adopted where it stands is such a pair.
                Ok(()) if arrival.is_linked => drop(disk::remove_file(&from)?),
                Ok(()) => {}
                // It was moved before the kill.
                Err(_) if !from.exists() && has_size(&to, arrival.size_bytes) => {}
                Err(error) => return Err(error),
            }
            kill_point("one-renamed");
        }
        Ok(())
    }

    /// Applies the batch in one transaction; returns the new generation.
    fn apply(
        &self,
        batch: &Batch,
        abandoned: &Abandoned,
        signed: &BTreeMap<ProjectName, SignedAs>,
    ) -> Result<u64, StoreError> {
        let on_disk = |name: &ProjectName, path: &_, part| self.is_on_disk(name, path, part);
        self.inner.catalog.write("commit a batch", |transaction| {
            let mut applier =
                Applier::new(transaction, batch.notes.now, batch.notes.due_at, &on_disk)?;
            for task in &batch.tasks {
                if abandoned.names.contains(&task.work.name) {
                    self.undo(&mut applier, task)?;
                } else {
                    let before = self.record_before(task)?;
                    apply_task(&mut applier, task, &before)?;
                    match (&task.work.target, signed.get(&task.work.name)) {
                        (Target::Put(_), Some(page)) => {
                            applier.sign_as(&task.work.name, Some(page))?;
                        }
                        (Target::Drop, _) => applier.sign_as(&task.work.name, None)?,
                        _ => {}
                    }
                }
            }
            for touch in &batch.notes.touches {
                applier.touch(&touch.name, touch.confirmed_at, &touch.validators)?;
            }
            for change in &batch.notes.ledger {
                match change {
                    LedgerChange::Settle(name) if abandoned.names.contains(name) => {}
                    LedgerChange::Settle(name) => applier.settle(name)?,
                    LedgerChange::Add(entry) => applier.fail(entry)?,
                }
            }
            applier.finish()
        })
    }

    /// What came for a task that could not be finished is unlinked again, unless something lists it.
    fn undo(&self, applier: &mut Applier<'_>, task: &Task) -> Result<(), CatalogFault> {
        for arrival in &task.work.arrivals {
            disk::remove_file(&self.inner.incoming.root().join(&arrival.temporary))?;
            applier.strand(
                &task.work.name,
                &arrival.path,
                arrival.part,
                arrival.size_bytes,
            )?;
        }
        Ok(())
    }

    /// The record before the batch, as far as the task needs it: readers still see it while the transaction runs.
    fn record_before(&self, task: &Task) -> Result<Before, StoreError> {
        if matches!(task.work.target, Target::Keep) {
            return Ok(Before::Nothing);
        }
        match self.inner.catalog.project(&task.work.name) {
            Ok(Some(record)) => Ok(Before::Record(Box::new(record))),
            Ok(None) => Ok(Before::Nothing),
            Err(StoreError::RecordDamaged { .. }) => Ok(Before::Damaged),
            Err(error) => Err(error),
        }
    }

    /// Where a part of a file belongs.
    pub(crate) fn place(&self, name: &ProjectName, path: &TreePath, part: Part) -> Option<PathBuf> {
        layout::part(name, path, part).map(|relative| self.inner.layout.in_web(&relative))
    }

    /// Whether a part of a file is really there.
    pub(crate) fn is_on_disk(&self, name: &ProjectName, path: &TreePath, part: Part) -> bool {
        self.place(name, path, part).is_some_and(|place| {
            fs::symlink_metadata(place).is_ok_and(|metadata| metadata.is_file())
        })
    }
}

/// Does one step of a batch for every task, in a few threads where there are many: most of the time goes to the kernel,
/// which makes names in different directories at once. Tasks are of different projects, so their order does not matter;
/// the step has ended for all of them when this returns.
fn side_by_side(
    tasks: &[Task],
    step: impl Fn(&Task, &mut Share) -> Result<(), StoreError> + Sync,
) -> Result<Share, StoreError> {
    let run = |tasks: &[Task]| {
        let mut share = Share::default();
        for task in tasks {
            step(task, &mut share)?;
        }
        Ok(share)
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = processors
        .min(THREADS_MAX)
        .min(tasks.len() / TASKS_A_THREAD_MIN);
    if threads < 2 {
        return run(tasks);
    }
    let shares: Vec<Result<Share, StoreError>> = thread::scope(|scope| {
        let run = &run;
        let workers: Vec<_> = tasks
            .chunks(tasks.len().div_ceil(threads))
            .map(|part| scope.spawn(move || run(part)))
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let mut whole = Share::default();
    for share in shares {
        let share = share?;
        whole.abandoned.absorb(share.abandoned);
        whole.unsynced.absorb(share.unsynced);
        whole.signed.extend(share.signed);
    }
    Ok(whole)
}

impl Abandoned {
    fn absorb(&mut self, other: Self) {
        self.names.extend(other.names);
        self.refusals.extend(other.refusals);
    }

    /// Notes trouble that is the task's own; trouble that everybody would meet ends the batch.
    fn unless_batch_ends(
        &mut self,
        task: &Task,
        outcome: Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if error.ends_batch() => Err(error),
            Err(error) => {
                let project = task.work.name.clone();
                self.names.insert(project.clone());
                self.refusals.push(Refusal {
                    project: Some(project),
                    item: String::new(),
                    error,
                });
                Ok(())
            }
        }
    }
}

fn apply_task(applier: &mut Applier<'_>, task: &Task, before: &Before) -> Result<(), CatalogFault> {
    let name = &task.work.name;
    match (&task.work.target, &task.after) {
        (Target::Put(_), Some((record, body))) => applier.put(before, record, body)?,
        (Target::Drop, _) => applier.drop_project(name, before)?,
        _ => {}
    }
    for arrival in &task.work.arrivals {
        applier.arrive(name, &arrival.path, arrival.part, arrival.size_bytes)?;
    }
    for path in &task.work.evicted {
        applier.evict(name, path)?;
    }
    Ok(())
}

fn has_size(path: &Path, size_bytes: u64) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == size_bytes)
}
