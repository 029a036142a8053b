//! The committer of a sync: the one place where fetched work becomes visible, in batches, in the store's order.

use std::collections::BTreeSet;

use heliostat_pypi::ProjectName;
use heliostat_store::{Change, CommitPolicy, LedgerEntry, Part, Refusal, Weight};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, timeout_at};

use super::Work;
use crate::context::Context;
use crate::error::EngineError;
use crate::events::{Event, ProjectOutcome};
use crate::ledger::{failure, reason_of};
use crate::publish::{Publisher, Retries, Urge};

/// Projects committed at once: enough to share the price of making them durable, few enough to be visible soon.
const BATCH_PROJECTS_MAX: usize = 128;

/// How long a batch waits for more projects. Making a batch durable costs about the same for one project as for many.
const GATHER_MAX: Duration = Duration::from_millis(200);

/// How often the root list is published while a run goes on.
const PUBLISH_INTERVAL: Duration = Duration::from_mins(5);

/// What was committed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) updated: u64,
    pub(super) unchanged: u64,
    pub(super) dropped: u64,
    pub(super) failed: u64,
    pub(super) files: u64,
    pub(super) size_bytes: u64,
}

/// Takes work off the queue until it closes.
#[derive(Debug)]
pub(super) struct Committer {
    context: Context,
    grace_seconds: u32,
    tally: Tally,
}

impl Committer {
    pub(super) fn new(context: Context, grace_seconds: u32) -> Self {
        Self {
            context,
            grace_seconds,
            tally: Tally::default(),
        }
    }

    /// Commits until the queue is closed. An error here is the whole run's: the disk or the catalog.
    pub(super) async fn run(
        mut self,
        mut queue: mpsc::Receiver<Work>,
    ) -> Result<Tally, EngineError> {
        let mut batch = Vec::with_capacity(BATCH_PROJECTS_MAX);
        let (mut published, mut signed) = (Instant::now(), Instant::now());
        let desk = Publisher::of(&self.context);
        let mut retries = Retries::default();
        let mut sign_after = desk
            .as_ref()
            .map_or(Duration::MAX, |desk| desk.notary.publish_every);
        while queue.recv_many(&mut batch, BATCH_PROJECTS_MAX).await > 0 {
            gather(&mut queue, &mut batch).await;
            self.commit(std::mem::take(&mut batch)).await?;
            if let Some(desk) = &desk
                && signed.elapsed() >= sign_after
            {
                // Without a signature the run goes on; that it lacks one is told at its end.
                sign_after = match desk.publish(Urge::WhenDue).await {
                    Err(error @ EngineError::Sign { .. }) => retries.failed(&error),
                    published => {
                        published?;
                        retries.worked();
                        Duration::ZERO
                    }
                };
                sign_after = sign_after.max(desk.notary.publish_every);
                signed = Instant::now();
            }
            if published.elapsed() >= PUBLISH_INTERVAL {
                // A first sync may take days; what it has so far can be found meanwhile. The claim stays what it was.
                let serial = super::previous_serial(&self.context).await?;
                super::publish(&self.context, serial).await?;
                published = Instant::now();
            }
        }
        Ok(self.tally)
    }

    async fn commit(&mut self, batch: Vec<Work>) -> Result<(), EngineError> {
        let now = self.context.clock.now();
        let policy = CommitPolicy {
            now,
            grace_seconds: self.grace_seconds,
        };
        let mut told = Vec::new();
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut changes = Vec::with_capacity(batch.len());
        for work in batch {
            for change in &work.changes {
                self.note(change, &mut told);
            }
            outcomes.extend(work.outcome.map(|outcome| (work.project, outcome)));
            changes.extend(work.changes);
        }
        let committed = self
            .context
            .on_disk(move |store| store.commit(changes, &policy))
            .await?;
        let refused = self.tell_refused(committed.refused, now, &mut told).await?;
        for (project, outcome) in outcomes {
            let outcome = if refused.contains(&project) {
                ProjectOutcome::Failed
            } else {
                outcome
            };
            self.count(outcome);
            told.push(Event::Project { project, outcome });
        }
        for event in told {
            self.context.events.tell(event);
        }
        Ok(())
    }

    fn note(&mut self, change: &Change, told: &mut Vec<Event>) {
        match change {
            Change::Put(put) => {
                for admission in put
                    .blobs
                    .iter()
                    .filter(|admission| admission.part == Part::File)
                {
                    self.tally.files += 1;
                    self.tally.size_bytes += admission.blob.size_bytes();
                }
                told.extend(put.failures.iter().map(ledger_event));
            }
            Change::Failed(entry) => told.push(ledger_event(entry)),
            _ => {}
        }
    }

    /// What the store refused stands in the ledger like any other failure.
    async fn tell_refused(
        &self,
        refused: Vec<Refusal>,
        now: i64,
        told: &mut Vec<Event>,
    ) -> Result<BTreeSet<ProjectName>, EngineError> {
        if refused.is_empty() {
            return Ok(BTreeSet::new());
        }
        let older = self.context.on_disk(heliostat_store::Store::ledger).await?;
        let entries: Vec<LedgerEntry> = refused
            .into_iter()
            .filter_map(|refusal| {
                let reason = reason_of(&refusal.error);
                let Some(project) = refusal.project else {
                    tracing::warn!(item = refusal.item, reason, "left undone");
                    return None;
                };
                Some(failure(&older, &project, &refusal.item, &reason, now))
            })
            .collect();
        told.extend(entries.iter().map(ledger_event));
        let projects = entries.iter().map(|entry| entry.project.clone()).collect();
        let changes = entries.into_iter().map(Change::Failed).collect();
        let policy = CommitPolicy {
            now,
            grace_seconds: self.grace_seconds,
        };
        let _nothing_to_refuse = self
            .context
            .on_disk(move |store| store.commit(changes, &policy))
            .await?;
        Ok(projects)
    }

    const fn count(&mut self, outcome: ProjectOutcome) {
        match outcome {
            ProjectOutcome::Updated => self.tally.updated += 1,
            ProjectOutcome::Unchanged => self.tally.unchanged += 1,
            ProjectOutcome::Dropped => self.tally.dropped += 1,
            ProjectOutcome::Failed => self.tally.failed += 1,
        }
    }
}

/// Waits a little for more, as long as more can come.
async fn gather(queue: &mut mpsc::Receiver<Work>, batch: &mut Vec<Work>) {
    let until = Instant::now() + GATHER_MAX;
    while let room @ 1.. = BATCH_PROJECTS_MAX.saturating_sub(batch.len()) {
        match timeout_at(until, queue.recv_many(batch, room)).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

fn ledger_event(entry: &LedgerEntry) -> Event {
    let (project, item) = (entry.project.clone(), entry.item.clone());
    let reason = entry.reason.clone();
    match entry.weight {
        Weight::Failure => Event::Failed {
            project,
            item,
            reason,
            tries: entry.tries,
        },
        Weight::Warning => Event::Warned {
            project,
            item,
            reason,
        },
    }
}
