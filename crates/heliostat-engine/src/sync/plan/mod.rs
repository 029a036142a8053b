//! Decides what a sync does: which projects to refresh, drop and keep, and why. Pure: the catalog, the upstream's
//! list and the selection come in as values, a `Plan` comes out.

use std::collections::{BTreeMap, BTreeSet};

use heliostat_pypi::select::Selection;
use heliostat_pypi::{ProjectName, Serial};
use heliostat_store::{LedgerEntry, ProjectState};
use serde::Serialize;

/// Tries after which a failing project waits for its `next_try_at` instead of being tried in every run. A run that looks
/// at every page does not wait.
const EAGER_TRIES: u32 = 8;

/// What the upstream's root list told.
#[derive(Debug, Clone)]
pub enum Listed {
    /// Not asked for: the selection names its projects, and each page is asked for conditionally.
    NotAsked,
    /// 304: nothing changed since the last completed sync with this selection.
    Unchanged,
    /// The list, sorted by name.
    Projects(Vec<(ProjectName, Option<Serial>)>),
}

/// What planning looks at.
#[derive(Debug)]
pub struct PlanInput<'a> {
    /// What the upstream lists.
    pub listed: &'a Listed,
    /// What is wanted.
    pub selection: &'a Selection,
    /// What we hold, sorted by name.
    pub held: &'a [ProjectState],
    /// What failed before.
    pub ledger: &'a [LedgerEntry],
    /// Projects of which something is missing on disk.
    pub damaged: &'a BTreeSet<ProjectName>,
    /// Whether the selection or the filters differ from those of the last completed sync.
    pub wishes: WishesSince,
    /// Seconds since 1970.
    pub now: i64,
}

/// Whether what is wanted differs from what the last completed sync wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WishesSince {
    /// The same: pages at the listed serial need no look.
    Same,
    /// Changed: every page is looked at again, because its files may be chosen differently.
    Changed,
}

/// What a sync will do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Plan {
    /// Projects whose page is to be asked for.
    pub refresh: Vec<Refresh>,
    /// Projects to be removed.
    pub drop: Vec<Drop>,
    /// Projects held that need nothing.
    pub keep: u64,
    /// Failed before and waiting for their next try.
    pub waiting: u64,
}

/// One project to refresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refresh {
    /// The project.
    pub name: ProjectName,
    /// Why.
    pub reason: RefreshReason,
    /// The serial that the list promises.
    pub wanted_serial: Option<Serial>,
}

/// Why a project is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshReason {
    /// Not held yet.
    New,
    /// The list has another serial than our page.
    Changed,
    /// The upstream gives no serials, or the list was not asked for.
    Unknown,
    /// It failed before.
    Failed,
    /// Something of it is missing on disk.
    Damaged,
    /// The selection or the filters changed.
    Wishes,
}

impl RefreshReason {
    /// The reason, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed upstream",
            Self::Unknown => "no serial to compare",
            Self::Failed => "failed before",
            Self::Damaged => "damaged here",
            Self::Wishes => "to be looked at again",
        }
    }
}

/// One project to remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drop {
    /// The project.
    pub name: ProjectName,
    /// Why.
    pub reason: DropReason,
}

/// Why a project is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// The upstream no longer lists it.
    GoneUpstream,
    /// It is no longer selected.
    NotSelected,
}

impl Drop {
    /// The name and the reason, for people.
    pub fn project_line(&self) -> String {
        let reason = match self.reason {
            DropReason::GoneUpstream => "gone upstream",
            DropReason::NotSelected => "no longer selected",
        };
        format!("{} ({reason})", self.name)
    }
}

/// How many removals one run may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteLimit {
    /// At most a fifth of what is held, and always two, because the upstream dropped them; at most half, and always
    /// ten, because the selection changed.
    Default,
    /// At most this many altogether.
    AtMost(u64),
}

impl DeleteLimit {
    /// How many projects may be removed because the upstream dropped them.
    pub fn gone_max(self, held: usize) -> u64 {
        match self {
            Self::AtMost(limit) => limit,
            Self::Default => (held as u64 / 5).max(2),
        }
    }

    /// Whether these removals may be made without a person.
    pub fn allows(self, drops: &[Drop], held: usize) -> bool {
        let count = |reason| drops.iter().filter(|drop| drop.reason == reason).count();
        match self {
            Self::AtMost(limit) => drops.len() as u64 <= limit,
            Self::Default => {
                count(DropReason::GoneUpstream) as u64 <= self.gone_max(held)
                    && count(DropReason::NotSelected) <= (held / 2).max(10)
            }
        }
    }
}

/// Decides. Only projects that `sync` answers for are ever dropped; on-demand ones are taken over when selected.
///
/// What is listed and what is held are both sorted by name, and gone through side by side: with 900,000 of each, every
/// map of them would cost more time and memory than all the rest.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let mut planner = Planner {
        input,
        failed: failed_projects(input.ledger),
        named: input.selection.names_given(),
        plan: Plan::default(),
    };
    match input.listed {
        Listed::Projects(projects) => planner.against_list(projects),
        Listed::NotAsked => planner.by_name(),
        Listed::Unchanged => planner.unchanged(),
    }
    planner.plan
}

struct Planner<'a> {
    input: &'a PlanInput<'a>,
    failed: BTreeMap<&'a ProjectName, (&'a LedgerEntry, Option<Serial>)>,
    named: BTreeSet<&'a ProjectName>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn against_list(&mut self, projects: &'a [(ProjectName, Option<Serial>)]) {
        let selection = self.input.selection;
        let wanted = projects
            .iter()
            .filter(|(name, _)| selection.wants(name).is_some())
            .map(|(name, serial)| (name, *serial));
        self.side_by_side(wanted);
        // A name that was asked for and never listed is a failure that must be told again, not forgotten.
        let is_listed = |name: &ProjectName| {
            projects
                .binary_search_by(|(listed, _)| listed.cmp(name))
                .is_ok()
        };
        let unlisted: Vec<&ProjectName> = (self.named.iter().copied())
            .filter(|name| self.held(name).is_none())
            .filter(|name| !is_listed(name) || selection.wants(name).is_none())
            .collect();
        for name in unlisted {
            self.consider(name, None, None);
        }
    }

    fn by_name(&mut self) {
        let named = self.named.clone();
        self.side_by_side(named.into_iter().map(|name| (name, None)));
    }

    /// Nothing changed upstream: only what failed or was damaged needs a look.
    fn unchanged(&mut self) {
        let names: BTreeSet<&ProjectName> = self
            .failed
            .keys()
            .copied()
            .chain(self.input.damaged)
            .collect();
        for name in names {
            if self.input.selection.wants(name).is_some() {
                self.consider(name, None, self.held(name));
            }
        }
        let looked_at = self.plan.refresh.len() as u64;
        let held = synced(self.input.held).count() as u64;
        self.plan.keep = held.saturating_sub(looked_at);
    }

    /// Considers everything that is wanted, and drops what is held beside it.
    fn side_by_side(&mut self, wanted: impl Iterator<Item = (&'a ProjectName, Option<Serial>)>) {
        let mut held = synced(self.input.held).peekable();
        for (name, serial) in wanted {
            while let Some(state) = held.next_if(|state| state.name < *name) {
                self.drop(state);
            }
            let state = held.next_if(|state| state.name == *name);
            self.consider(name, serial, state);
        }
        for state in held {
            self.drop(state);
        }
    }

    fn consider(
        &mut self,
        name: &ProjectName,
        listed_serial: Option<Serial>,
        held: Option<&ProjectState>,
    ) {
        let failure = self.failed.get(name);
        let is_waiting = failure.is_some_and(|(entry, _)| {
            entry.tries >= EAGER_TRIES
                && entry.next_try_at > self.input.now
                && self.input.wishes == WishesSince::Same
        });
        if is_waiting && !self.named.contains(name) {
            self.plan.waiting += 1;
            return;
        }
        let reason = match (held, failure, listed_serial) {
            (_, Some(_), _) => RefreshReason::Failed,
            (Some(_), None, _) if self.input.damaged.contains(name) => RefreshReason::Damaged,
            (None, None, _) => RefreshReason::New,
            (Some(_), None, None) => RefreshReason::Unknown,
            (Some(state), None, Some(serial)) if state.published_serial != Some(serial) => {
                RefreshReason::Changed
            }
            (Some(_), None, Some(_)) if self.input.wishes == WishesSince::Changed => {
                RefreshReason::Wishes
            }
            (Some(_), None, Some(_)) => {
                self.plan.keep += 1;
                return;
            }
        };
        let wanted_serial = listed_serial.or_else(|| failure.and_then(|(_, serial)| *serial));
        self.plan.refresh.push(Refresh {
            name: name.clone(),
            reason,
            wanted_serial,
        });
    }

    fn drop(&mut self, state: &ProjectState) {
        let reason = match self.input.selection.wants(&state.name) {
            None => DropReason::NotSelected,
            Some(_) => DropReason::GoneUpstream,
        };
        self.plan.drop.push(Drop {
            name: state.name.clone(),
            reason,
        });
    }

    fn held(&self, name: &ProjectName) -> Option<&'a ProjectState> {
        let held = self.input.held;
        let place = held.binary_search_by(|state| state.name.cmp(name)).ok()?;
        held.get(place).filter(|state| state.keeper.is_synced())
    }
}

/// What `sync` answers for.
fn synced(held: &[ProjectState]) -> impl Iterator<Item = &ProjectState> {
    held.iter().filter(|state| state.keeper.is_synced())
}

/// One entry for each failing project: the page's own, else the first file's, and the highest serial promised.
fn failed_projects(
    ledger: &[LedgerEntry],
) -> BTreeMap<&ProjectName, (&LedgerEntry, Option<Serial>)> {
    let mut failed: BTreeMap<&ProjectName, (&LedgerEntry, Option<Serial>)> = BTreeMap::new();
    for entry in ledger {
        let slot = failed.entry(&entry.project).or_insert((entry, None));
        slot.1 = slot.1.max(entry.wanted_serial);
    }
    failed
}

#[cfg(test)]
mod cases;
