//! Everything a run needs to know before it asks for the first page: the upstream's list, what is held, what failed,
//! what is missing on disk, and the plan made of them.

use std::collections::BTreeSet;

use heliostat_pypi::select::{NamePattern, Selection};
use heliostat_pypi::{ProjectName, Serial};
use heliostat_store::{Change, CheckPlace, CommitPolicy, LedgerEntry, Lost, ProjectState};
use heliostat_upstream::{Answer, Caches, FetchedList, Validators};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};

use super::plan::{self, DeleteLimit, DropReason, Listed, Plan, PlanInput, WishesSince, plan};
use super::{Depth, SyncRequest};
use crate::context::Context;
use crate::error::EngineError;
use crate::events::Event;
use crate::ledger::failure;

/// Explicitly named projects above which one request for the root list is politer than one for each page.
const NAMED_WITHOUT_LIST_MAX: usize = 500;
/// How long a run looks for missing files before it plans. What it does not reach, the next run goes on with.
const CHECK_BUDGET: Duration = Duration::from_millis(500);
/// Files looked at in one step of that.
const CHECK_STEP_FILES: usize = 4_096;
pub(super) const LIST_KEY: &str = "upstream-list";
const CHECK_KEY: &str = "check-cursor";
const APPLIED_KEY: &str = "wishes-applied";

/// What the last completed sync saw of the upstream's list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ListState {
    pub(super) root: String,
    pub(super) validators: Validators,
    pub(super) serial: Option<Serial>,
    pub(super) fingerprint: String,
}

/// Everything known before the first page is asked for.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    pub(super) selection: Selection,
    pub(super) ledger: Vec<LedgerEntry>,
    pub(super) list: Option<ListState>,
    /// How the list compares with the one before.
    pub(super) course: Course,
    pub(super) applied: Applied,
    /// Projects whose failures concern nobody any more.
    pub(super) forget: Vec<ProjectName>,
    pub(super) held: usize,
}

/// Under which wishes, and from which upstream, the pages we hold were taken. A run that is cut off leaves it as it
/// was begun, so that the next one need not look again at what is done.
#[derive(Debug, Default)]
pub(super) struct Applied {
    mark: String,
    /// What the catalog says: `None` while pages of different wishes lie side by side.
    noted: Option<String>,
    holds_nothing: bool,
}

impl Applied {
    async fn load(
        context: &Context,
        mark: String,
        holds_nothing: bool,
    ) -> Result<Self, EngineError> {
        let noted = context
            .on_disk(|store| store.meta::<Option<String>>(APPLIED_KEY))
            .await?
            .flatten();
        Ok(Self {
            mark,
            noted,
            holds_nothing,
        })
    }

    /// Whether everything held was taken as it is wanted now.
    pub(super) fn holds(&self) -> bool {
        self.holds_nothing || self.noted.as_ref() == Some(&self.mark)
    }

    /// Before the first change of a run.
    pub(super) async fn begin(&self, context: &Context) -> Result<(), EngineError> {
        self.note(context, self.holds().then(|| self.mark.clone()))
            .await
    }

    /// After a run that left nothing undone.
    pub(super) async fn finish(&self, context: &Context) -> Result<(), EngineError> {
        if self.holds() {
            return Ok(());
        }
        self.note(context, Some(self.mark.clone())).await
    }

    async fn note(&self, context: &Context, value: Option<String>) -> Result<(), EngineError> {
        if value == self.noted && value.is_some() {
            return Ok(());
        }
        context
            .on_disk(move |store| store.set_meta(APPLIED_KEY, &value))
            .await
    }
}

impl Prepared {
    /// Whether the removals that are planned may be made without a person.
    pub(super) fn may_drop(&self, limit: DeleteLimit) -> bool {
        let gone = |drop: &&plan::Drop| drop.reason == DropReason::GoneUpstream;
        let by_an_old_list = self.course == Course::Back
            && limit == DeleteLimit::Default
            && self.plan.drop.iter().any(|drop| gone(&drop));
        !by_an_old_list && limit.allows(&self.plan.drop, self.held)
    }
}

/// How the upstream's list compares with the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// It is as new or newer, or nobody can tell.
    Forward,
    /// It is older, past all caches: a backup was restored, or an old copy answers. What it lacks may be there still.
    Back,
}

/// Reads everything and plans.
pub(super) async fn prepare(
    context: &Context,
    request: &SyncRequest,
    look: Look,
) -> Result<Prepared, EngineError> {
    let selection = request.wishes.selection();
    let held = context
        .on_disk(heliostat_store::Store::project_states)
        .await?;
    if selection.is_empty() && held.iter().all(|state| !state.keeper.is_synced()) {
        return Err(EngineError::NothingSelected);
    }
    let ledger = context.on_disk(heliostat_store::Store::ledger).await?;
    let damaged = find_damage(context, &held, look).await?;
    let fingerprint = request.wishes.fingerprint();
    let before = context
        .on_disk(|store| store.meta::<ListState>(LIST_KEY))
        .await?;
    let root = context.upstream.root().to_string();
    let same_upstream = before.as_ref().filter(|state| state.root == root);
    let synced = held.iter().filter(|state| state.keeper.is_synced()).count();
    let applied = Applied::load(context, format!("{fingerprint} {root}"), synced == 0).await?;
    let wishes = if applied.holds() && request.depth == Depth::Serials {
        WishesSince::Same
    } else {
        WishesSince::Changed
    };
    let (listed, list) = if needs_list(&selection) {
        let validators = match same_upstream {
            Some(state) if wishes == WishesSince::Same && state.fingerprint == fingerprint => {
                state.validators.clone()
            }
            _ => Validators::default(),
        };
        read_list(context, &validators, same_upstream, fingerprint).await?
    } else {
        (Listed::NotAsked, None)
    };
    for pattern in idle_patterns(&selection, &listed) {
        tracing::warn!(pattern, "no project of the upstream matches this pattern");
    }
    let serial_of = |state: Option<&ListState>| state.and_then(|state| state.serial);
    let course = match (serial_of(list.as_ref()), serial_of(same_upstream)) {
        (Some(now), Some(before)) if now < before => Course::Back,
        _ => Course::Forward,
    };
    let input = PlanInput {
        listed: &listed,
        selection: &selection,
        held: &held,
        ledger: &ledger,
        damaged: &damaged,
        wishes,
        now: context.clock.now(),
    };
    let plan = plan(&input);
    context.events.tell(Event::Planned {
        refresh: plan.refresh.len() as u64,
        drop: plan.drop.len() as u64,
        keep: plan.keep,
        waiting: plan.waiting,
    });
    let warnings = context.on_disk(heliostat_store::Store::warnings).await?;
    Ok(Prepared {
        forget: forgettable(&input),
        plan,
        selection,
        ledger: [ledger, warnings].concat(),
        list,
        course,
        applied,
        held: synced,
    })
}

/// Patterns that select nothing of a list that was read, which are most likely misspelt. Pure.
fn idle_patterns<'s>(selection: &'s Selection, listed: &Listed) -> Vec<&'s str> {
    let Listed::Projects(projects) = listed else {
        return Vec::new();
    };
    let is_idle = |pattern: &&NamePattern| !projects.iter().any(|(name, _)| pattern.matches(name));
    let idle = selection.patterns.iter().filter(is_idle);
    idle.map(NamePattern::as_str).collect()
}

/// Failures of what is no longer wanted, or what the upstream no longer lists and nobody names. Pure.
fn forgettable(input: &PlanInput<'_>) -> Vec<ProjectName> {
    let given = input.selection.names_given();
    let is_gone = |name: &ProjectName| match input.listed {
        Listed::Projects(projects) => {
            (projects.binary_search_by(|(listed, _)| listed.cmp(name))).is_err()
                && !given.contains(name)
        }
        Listed::NotAsked | Listed::Unchanged => false,
    };
    let mut names: Vec<ProjectName> = (input.ledger.iter().map(|entry| &entry.project))
        .filter(|name| input.selection.wants(name).is_none() || is_gone(name))
        .cloned()
        .collect();
    names.dedup();
    names
}

fn needs_list(selection: &Selection) -> bool {
    selection
        .named()
        .is_none_or(|named| named.count() > NAMED_WITHOUT_LIST_MAX)
}

async fn read_list(
    context: &Context,
    validators: &Validators,
    before: Option<&ListState>,
    fingerprint: String,
) -> Result<(Listed, Option<ListState>), EngineError> {
    let root = context.upstream.root().to_string();
    match newest_list(context, validators, before).await? {
        Answer::Gone => Err(EngineError::NoList { root }),
        Answer::Unchanged => {
            context.events.tell(Event::Listed {
                projects: None,
                serial: None,
                rejected: 0,
            });
            Ok((Listed::Unchanged, before.cloned()))
        }
        Answer::Fresh(list) => {
            context.events.tell(Event::Listed {
                projects: Some(list.projects.len() as u64),
                serial: list.serial,
                rejected: list.rejected.len() as u64,
            });
            let state = ListState {
                root,
                validators: list.validators,
                serial: list.serial,
                fingerprint,
            };
            Ok((Listed::Projects(list.projects), Some(state)))
        }
    }
}

/// The list, asked for past all caches when it is older than the one before.
async fn newest_list(
    context: &Context,
    validators: &Validators,
    before: Option<&ListState>,
) -> Result<Answer<FetchedList>, EngineError> {
    let answer = context.upstream.list(validators, Caches::Allow).await?;
    let seen = before.and_then(|state| state.serial);
    match answer {
        Answer::Fresh(list) if list.serial.is_some() && list.serial < seen => Ok(context
            .upstream
            .list(&Validators::default(), Caches::Bypass)
            .await?),
        answer => Ok(answer),
    }
}

/// Whether a run may note what it finds missing on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing is changed.
    Only,
    /// What is lost is forgotten, so that it is taken again.
    AndForget,
}

/// Where looking for damage goes on in the next run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct CheckCursor {
    pages: Option<ProjectName>,
    files: Option<CheckPlace>,
}

/// Looks for pages and files that are missing or of the wrong size, for a bounded time, in turn over everything held.
async fn find_damage(
    context: &Context,
    held: &[ProjectState],
    look: Look,
) -> Result<BTreeSet<ProjectName>, EngineError> {
    let started = Instant::now();
    let mut cursor = context
        .on_disk(|store| store.meta::<CheckCursor>(CHECK_KEY))
        .await?
        .unwrap_or_default();
    let mut damaged = BTreeSet::new();
    let names: Vec<ProjectName> = held
        .iter()
        .filter(|state| state.keeper.is_synced())
        .filter(|state| {
            cursor
                .pages
                .as_ref()
                .is_none_or(|after| state.name > *after)
        })
        .map(|state| state.name.clone())
        .collect();
    cursor.pages = None;
    for chunk in names.chunks(CHECK_STEP_FILES) {
        if started.elapsed() >= CHECK_BUDGET / 2 {
            break;
        }
        let chunk = chunk.to_vec();
        cursor.pages = chunk.last().cloned();
        let without = context
            .on_disk(move |store| Ok(store.without_pages(&chunk)))
            .await?;
        damaged.extend(without);
    }
    if cursor.pages.as_ref() == names.last() {
        cursor.pages = None;
    }
    loop {
        let after = cursor.files.take();
        let step = context
            .on_disk(move |store| store.quick_check_files(after.as_ref(), CHECK_STEP_FILES))
            .await?;
        let names: BTreeSet<ProjectName> =
            step.lost.iter().map(|lost| lost.project.clone()).collect();
        if look == Look::AndForget {
            forget(context, step.lost, &names).await?;
        }
        damaged.extend(names);
        cursor.files = step.next;
        if cursor.files.is_none() || started.elapsed() >= CHECK_BUDGET {
            break;
        }
    }
    if look == Look::AndForget {
        context
            .on_disk(move |store| store.set_meta(CHECK_KEY, &cursor))
            .await?;
    }
    Ok(damaged)
}

/// Forgets what is lost, so that it is taken again. The ledger comes first: once the catalog no longer holds a file,
/// looking does not find it missing, and a run that is cut off must leave the next one a trace.
async fn forget(
    context: &Context,
    lost: Vec<Lost>,
    names: &BTreeSet<ProjectName>,
) -> Result<(), EngineError> {
    if lost.is_empty() {
        return Ok(());
    }
    let now = context.clock.now();
    let policy = CommitPolicy {
        now,
        grace_seconds: 0,
    };
    let changes: Vec<Change> = names
        .iter()
        .map(|name| {
            Change::Failed(failure(
                &[],
                name,
                "",
                "something of it is missing on disk",
                now,
            ))
        })
        .collect();
    context
        .on_disk(move |store| {
            drop(store.commit(changes, &policy)?);
            store.forget_lost(&lost, now)
        })
        .await
}
