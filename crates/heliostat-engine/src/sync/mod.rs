//! Brings the mirror in step with its upstream: list, plan, bounded fetching, one committer, publish.

mod commit;
mod fetch;
mod missing;
mod plan;
mod prepare;
mod preview;
mod project;
mod wishes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use heliostat_pypi::select::{Selection, Wanted};
use heliostat_pypi::{ProjectName, Serial};
use heliostat_store::{Change, LedgerEntry, Put, RootKind};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

pub use plan::{
    DeleteLimit, Drop, DropReason, Listed, Plan, PlanInput, Refresh, RefreshReason, WishesSince,
    plan,
};
pub use preview::Preview;
pub use wishes::{
    Others, Wishes, WishesGiven, name_root, name_upstream, named_root, named_upstream,
};

use crate::context::Context;
use crate::error::EngineError;
use crate::events::{Event, ProjectOutcome};
use crate::ledger::claimable;
use crate::publish::{Publisher, Urge};
use commit::{Committer, Tally};
use fetch::Fetcher;
pub(crate) use fetch::says_gone;
use prepare::{Applied, Course, LIST_KEY, Look, Prepared, prepare};

/// Items on their way to the committer.
const WORK_QUEUE: usize = 256;

/// What a sync is asked to do.
#[derive(Debug, Clone)]
pub struct SyncRequest {
    /// What is wanted, after this call.
    pub wishes: Wishes,
    /// Removals allowed.
    pub delete_limit: DeleteLimit,
    /// Projects under way at once, and files of one project.
    pub jobs: usize,
    /// How long files of removed releases stay.
    pub grace_seconds: u32,
    /// Whether pages at the listed serial are looked at again.
    pub depth: Depth,
    /// The pause before a stale page is asked for again; doubles.
    pub stale_pause: Duration,
}

/// Whether files are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Files {
    /// Every listed file is held.
    #[default]
    Take,
    /// Pages only; files redirect to the upstream.
    PagesOnly,
}

/// How far a run trusts serials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// A page at the listed serial needs no look.
    Serials,
    /// Every page is looked at again, and all provenance that is held is asked for again.
    EveryPage,
}

/// What a sync came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyncReport {
    /// New or changed pages committed.
    pub updated: u64,
    /// Pages found unchanged, and projects that needed no look.
    pub unchanged: u64,
    /// Projects removed.
    pub dropped: u64,
    /// Projects that failed in this run.
    pub failed: u64,
    /// Failed before and not tried in this run.
    pub waiting: u64,
    /// Projects left undone because the run was stopped.
    pub left: u64,
    /// Removals that were not made because they were too many.
    pub held_back: u64,
    /// Files committed.
    pub files: u64,
    /// Bytes committed.
    pub size_bytes: u64,
    /// The serial our root list claims.
    pub serial: Option<Serial>,
    /// Everything in the ledger that is not held and should be.
    pub failures: Vec<LedgerEntry>,
    /// Everything in the ledger that is held and doubted.
    pub warnings: Vec<LedgerEntry>,
}

impl SyncReport {
    /// Whether everything asked for is done.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.left == 0 && self.held_back == 0
    }
}

/// Something for the committer: changes of one project that belong together.
#[derive(Debug)]
struct Work {
    project: ProjectName,
    changes: Vec<Change>,
    /// `None` for an intermediate commit.
    outcome: Option<ProjectOutcome>,
}

impl Work {
    fn change(change: Change, project: ProjectName, outcome: ProjectOutcome) -> Self {
        Self {
            project,
            changes: vec![change],
            outcome: Some(outcome),
        }
    }

    fn put(
        mut put: Put,
        blobs: Vec<heliostat_store::Admission>,
        outcome: Option<ProjectOutcome>,
    ) -> Self {
        put.blobs = blobs;
        let project = put.record.page.name.clone();
        Self {
            project,
            changes: vec![Change::Put(Box::new(put))],
            outcome,
        }
    }

    /// A change that nobody is told of.
    fn quiet(change: Change, project: ProjectName) -> Self {
        Self {
            project,
            changes: vec![change],
            outcome: None,
        }
    }

    fn failed(entry: LedgerEntry) -> Self {
        let project = entry.project.clone();
        Self::change(Change::Failed(entry), project, ProjectOutcome::Failed)
    }

    /// The upstream answers 404 for a project we hold: it goes, and the ledger keeps it while somebody names it.
    fn gone(project: ProjectName, entry: LedgerEntry) -> Self {
        let changes = vec![
            Change::Drop {
                name: project.clone(),
            },
            Change::Failed(entry),
        ];
        Self {
            project,
            changes,
            outcome: Some(ProjectOutcome::Failed),
        }
    }
}

/// Runs a sync. The caller holds the sync lock. Stopping through `cancel` is clean: what is complete is committed.
pub async fn sync(
    context: &Context,
    request: &SyncRequest,
    cancel: &CancellationToken,
) -> Result<SyncReport, EngineError> {
    let wishes = request.wishes.clone();
    context.on_disk(move |store| wishes.save(store)).await?;
    let preparing = prepare(context, request, Look::AndForget);
    let mut prepared =
        (cancel.run_until_cancelled(preparing).await).ok_or(EngineError::Stopped)??;
    let held_back = if prepared.may_drop(request.delete_limit) {
        0
    } else {
        std::mem::take(&mut prepared.plan.drop).len() as u64
    };
    if !prepared.applied.holds() {
        claim(context, None, None).await?;
    }
    prepared.applied.begin(context).await?;
    let (tally, left) = carry_out(context, request, &prepared, cancel).await?;
    let ledger = context.on_disk(heliostat_store::Store::ledger).await?;
    let listed = match &prepared.list {
        Some(list) => list.serial,
        None => newest_serial(context).await?,
    };
    let complete = left == 0 && held_back == 0;
    let serial = if complete {
        claimable(listed, &ledger)
    } else {
        previous_serial(context).await?
    };
    if complete {
        let held = absence_means_something(context, serial, &ledger)
            .await?
            .then(|| prepared.selection.clone());
        claim(context, held, serial).await?;
    }
    if let Some(publisher) = Publisher::of(context) {
        publisher.publish(Urge::WhenDue).await?;
    }
    publish(context, serial).await?;
    if complete && ledger.is_empty() {
        let now = context.clock.now();
        context.on_disk(move |store| store.stamp(now)).await?;
    }
    if complete {
        prepared.applied.finish(context).await?;
    }
    if complete && let Some(list) = prepared.list {
        context
            .on_disk(move |store| store.set_meta(LIST_KEY, &list))
            .await?;
    }
    Ok(SyncReport {
        updated: tally.updated,
        unchanged: tally.unchanged + prepared.plan.keep,
        dropped: tally.dropped,
        failed: tally.failed,
        waiting: prepared.plan.waiting,
        left,
        held_back,
        files: tally.files,
        size_bytes: tally.size_bytes,
        serial,
        failures: ledger,
        warnings: context.on_disk(heliostat_store::Store::warnings).await?,
    })
}

/// Tells what a sync would do, and changes nothing.
pub async fn preview(
    context: &Context,
    request: &SyncRequest,
    cancel: &CancellationToken,
) -> Result<Preview, EngineError> {
    let preparing = prepare(context, request, Look::Only);
    let prepared = (cancel.run_until_cancelled(preparing).await).ok_or(EngineError::Stopped)??;
    preview::preview(context, request, prepared, cancel).await
}

/// Fetches projects again of which something is missing on disk, with what was wanted last. What cannot be had is
/// dropped from its page and stands in the ledger.
pub(crate) async fn refetch(
    context: &Context,
    names: Vec<ProjectName>,
    jobs: usize,
) -> Result<(), EngineError> {
    let (wishes, ledger) = context
        .on_disk(|store| {
            let ledger = [store.ledger()?, store.warnings()?].concat();
            Ok((Wishes::load(store)?, ledger))
        })
        .await?;
    let refresh = names
        .into_iter()
        .map(|name| Refresh {
            name,
            reason: RefreshReason::Damaged,
            wanted_serial: None,
        })
        .collect();
    let prepared = Prepared {
        plan: Plan {
            refresh,
            ..Plan::default()
        },
        selection: wishes.selection(),
        ledger,
        list: None,
        course: Course::Forward,
        applied: Applied::default(),
        forget: Vec::new(),
        held: 0,
    };
    let request = SyncRequest {
        wishes,
        delete_limit: DeleteLimit::AtMost(0),
        jobs,
        grace_seconds: 0,
        depth: Depth::Serials,
        stale_pause: Duration::ZERO,
    };
    let _tally = carry_out(context, &request, &prepared, &CancellationToken::new()).await?;
    Ok(())
}

async fn carry_out(
    context: &Context,
    request: &SyncRequest,
    prepared: &Prepared,
    cancel: &CancellationToken,
) -> Result<(Tally, u64), EngineError> {
    let (sender, receiver) = mpsc::channel(WORK_QUEUE);
    let committer = Committer::new(context.clone(), request.grace_seconds);
    let fetching = fetch_all(context, request, prepared, cancel, sender);
    let (carried, tally) = tokio::join!(fetching, committer.run(receiver));
    let tally = tally?;
    let started = carried?;
    let undone = (prepared.plan.refresh.len() as u64 + prepared.plan.drop.len() as u64)
        .saturating_sub(started);
    Ok((tally, undone))
}

/// Feeds the committer; answers how many projects were carried through.
async fn fetch_all(
    context: &Context,
    request: &SyncRequest,
    prepared: &Prepared,
    cancel: &CancellationToken,
    work: mpsc::Sender<Work>,
) -> Result<u64, EngineError> {
    let mut done = 0;
    for drop in &prepared.plan.drop {
        if cancel.is_cancelled() {
            return Ok(done);
        }
        let item = Work::change(
            Change::Drop {
                name: drop.name.clone(),
            },
            drop.name.clone(),
            ProjectOutcome::Dropped,
        );
        fetch::send(&work, item).await?;
        done += 1;
    }
    for project in &prepared.forget {
        let settled = Change::Settled {
            project: project.clone(),
        };
        fetch::send(&work, Work::quiet(settled, project.clone())).await?;
    }
    let fetcher = Arc::new(Fetcher {
        context: context.clone(),
        filter: request.wishes.filter.clone(),
        files: request.wishes.files,
        jobs: request.jobs,
        now: context.clock.now(),
        root: context.upstream.root().to_string(),
        stale_pause: request.stale_pause,
        depth: request.depth,
        gone: Mutex::default(),
    });
    let gone_max = request
        .delete_limit
        .gone_max(prepared.held)
        .saturating_sub(done);
    let mut ledger: BTreeMap<&ProjectName, Vec<LedgerEntry>> = BTreeMap::new();
    for entry in &prepared.ledger {
        ledger
            .entry(&entry.project)
            .or_default()
            .push(entry.clone());
    }
    let mut waiting = prepared.plan.refresh.iter();
    // Tasks, so that projects are fetched on every processor; dropping the set ends them.
    let mut running = JoinSet::new();
    loop {
        while running.len() < request.jobs
            && let Some(refresh) = waiting.next()
        {
            let wanted = prepared
                .selection
                .wants(&refresh.name)
                .unwrap_or(Wanted::AllVersions);
            let older = ledger.remove(&refresh.name).unwrap_or_default();
            let (fetcher, work, refresh) = (Arc::clone(&fetcher), work.clone(), refresh.clone());
            running.spawn(async move { fetcher.fetch(&refresh, &wanted, &older, &work).await });
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                running.shutdown().await;
                return Ok(done.saturating_sub(fetcher.gone_count()));
            }
            next = running.join_next() => match next {
                None => break,
                Some(ended) => ended.map_err(|error| EngineError::Worker(error.to_string()))??,
            }
        }
        done += 1;
    }
    fetcher.let_go(gone_max, &work).await?;
    Ok(done)
}

/// What a mirror of named projects is at, where no list was asked for that tells: every page was confirmed just now.
async fn newest_serial(context: &Context) -> Result<Option<Serial>, EngineError> {
    let states = context
        .on_disk(heliostat_store::Store::project_states)
        .await?;
    let synced = states.iter().filter(|state| state.keeper.is_synced());
    Ok(synced.filter_map(|state| state.published_serial).max())
}

/// Notes what the tree claims to hold, for the next snapshot that is signed.
async fn claim(
    context: &Context,
    held: Option<Selection>,
    serial: Option<Serial>,
) -> Result<(), EngineError> {
    let root = context.upstream.root().to_string();
    context
        .on_disk(move |store| crate::publish::claim(store, held.as_ref(), &root, serial))
        .await
}

/// Whether the absence of a selected project means that the upstream has none. With a serial it means so as of that
/// serial, which is never newer than what failed; without one, every page must have come.
async fn absence_means_something(
    context: &Context,
    serial: Option<Serial>,
    ledger: &[LedgerEntry],
) -> Result<bool, EngineError> {
    if serial.is_some() {
        return Ok(true);
    }
    let failed: Vec<ProjectName> = ledger
        .iter()
        .filter(|entry| entry.item.is_empty())
        .map(|entry| entry.project.clone())
        .collect();
    context
        .on_disk(move |store| {
            for name in &failed {
                if store.project_state(name)?.is_none() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
}

async fn previous_serial(context: &Context) -> Result<Option<Serial>, EngineError> {
    let root = context.on_disk(heliostat_store::Store::root).await?;
    Ok(root.and_then(|root| root.serial))
}

/// Publishes the root list where it would say something new, or is not there.
async fn publish(context: &Context, serial: Option<Serial>) -> Result<(), EngineError> {
    let now = context.clock.now();
    let published = context
        .on_disk(move |store| {
            let same = store.root()?.is_some_and(|root| root.serial == serial);
            let is_there = store.root_stamp(RootKind::Json)?.is_some()
                && store.root_stamp(RootKind::Html)?.is_some();
            if same && is_there && !store.is_root_behind()? {
                return Ok(false);
            }
            store.publish_root(serial, now).map(|()| true)
        })
        .await?;
    if published {
        context.events.tell(Event::Published { serial });
    }
    Ok(())
}
