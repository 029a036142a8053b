//! Whole plans, written as one line each.

use std::collections::BTreeSet;

use heliostat_store::Keeper;

use super::*;
use crate::ledger::{WithSerial as _, failure};

/// A world in one line each: what is listed and held, as `name@serial`.
struct World {
    listed: Listed,
    selection: Selection,
    held: Vec<ProjectState>,
    ledger: Vec<LedgerEntry>,
    damaged: BTreeSet<ProjectName>,
    wishes: WishesSince,
}

impl World {
    fn new(listed: &[(&str, u64)], held: &[(&str, u64)]) -> Self {
        let projects = listed
            .iter()
            .map(|(name, serial)| (name.parse().unwrap(), Some(Serial(*serial))))
            .collect();
        Self {
            listed: Listed::Projects(projects),
            selection: Selection::everything(),
            held: held
                .iter()
                .map(|(name, serial)| state(name, *serial, Keeper::Mirror))
                .collect(),
            ledger: Vec::new(),
            damaged: BTreeSet::new(),
            wishes: WishesSince::Same,
        }
    }

    /// The plan as text: `+name(reason)` to refresh, `-name(reason)` to drop, then the numbers kept and waiting.
    fn plan(&self) -> String {
        let plan = plan(&PlanInput {
            listed: &self.listed,
            selection: &self.selection,
            held: &self.held,
            ledger: &self.ledger,
            damaged: &self.damaged,
            wishes: self.wishes,
            now: 1_000,
        });
        let refresh = plan
            .refresh
            .iter()
            .map(|one| format!("+{}({:?})", one.name, one.reason));
        let drop = plan
            .drop
            .iter()
            .map(|one| format!("-{}({:?})", one.name, one.reason));
        let words: Vec<String> = refresh.chain(drop).collect();
        format!(
            "{} keep {} wait {}",
            words.join(" "),
            plan.keep,
            plan.waiting
        )
        .trim()
        .to_owned()
    }
}

fn state(name: &str, serial: u64, keeper: Keeper) -> ProjectState {
    ProjectState {
        name: name.parse().unwrap(),
        published_serial: Some(Serial(serial)),
        keeper,
    }
}

fn names(names: &[&str]) -> Selection {
    Selection {
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        ..Selection::default()
    }
}

#[test]
fn each_project_is_compared_by_its_own_serial() {
    // `b` went back: serials are not committed in order upstream, so another serial is a change, not a larger one.
    let world = World::new(
        &[("a", 5), ("b", 3), ("c", 7), ("d", 1)],
        &[("a", 5), ("b", 4), ("c", 6), ("e", 2)],
    );
    assert_eq!(
        world.plan(),
        "+b(Changed) +c(Changed) +d(New) -e(GoneUpstream) keep 1 wait 0"
    );
}

#[test]
fn what_is_held_before_between_and_after_what_is_listed_goes() {
    let mut world = World::new(
        &[("c", 1), ("f", 1)],
        &[("a", 1), ("b", 1), ("c", 1), ("d", 1), ("g", 1), ("h", 1)],
    );
    world.held[1].keeper = Keeper::OnDemand;
    world.held[5].keeper = Keeper::PagesOnly;
    assert_eq!(
        world.plan(),
        "+f(New) -a(GoneUpstream) -d(GoneUpstream) -g(GoneUpstream) -h(GoneUpstream) keep 1 wait 0"
    );
}

#[test]
fn what_is_no_longer_selected_goes_and_what_is_on_demand_stays() {
    let mut world = World::new(&[("a", 1), ("b", 1), ("c", 1)], &[("a", 1), ("b", 1)]);
    world.selection = names(&["a"]);
    assert_eq!(world.plan(), "-b(NotSelected) keep 1 wait 0");
    world.held[1].keeper = Keeper::OnDemand;
    assert_eq!(world.plan(), "keep 1 wait 0");
}

#[test]
fn an_on_demand_project_is_taken_over_when_it_is_selected() {
    let mut world = World::new(&[("a", 1)], &[]);
    world.held = vec![state("a", 1, Keeper::OnDemand)];
    assert_eq!(world.plan(), "+a(New) keep 0 wait 0");
}

#[test]
fn an_unchanged_list_leaves_only_what_failed_or_is_damaged() {
    let mut world = World::new(&[], &[("a", 1), ("b", 1), ("c", 1)]);
    world.listed = Listed::Unchanged;
    assert_eq!(world.plan(), "keep 3 wait 0");
    world.damaged.insert("b".parse().unwrap());
    world
        .ledger
        .push(failure(&[], &"c".parse().unwrap(), "", "x", 0));
    assert_eq!(world.plan(), "+b(Damaged) +c(Failed) keep 1 wait 0");
}

#[test]
fn without_a_list_every_named_project_is_asked_for() {
    let mut world = World::new(&[], &[("a", 1)]);
    world.listed = Listed::NotAsked;
    world.selection = names(&["a", "b"]);
    assert_eq!(world.plan(), "+a(Unknown) +b(New) keep 0 wait 0");
}

#[test]
fn a_name_that_was_asked_for_and_is_not_listed_is_told_in_every_run() {
    let mut world = World::new(&[("a", 1)], &[("a", 1)]);
    world.selection = names(&["a", "missing"]);
    assert_eq!(world.plan(), "+missing(New) keep 1 wait 0");
}

#[test]
fn changed_wishes_look_at_every_page_again() {
    let mut world = World::new(&[("a", 1)], &[("a", 1)]);
    world.wishes = WishesSince::Changed;
    assert_eq!(world.plan(), "+a(Wishes) keep 0 wait 0");
}

#[test]
fn what_failed_is_tried_in_every_run_until_it_failed_often_and_then_waits() {
    let mut world = World::new(&[("a", 5)], &[("a", 4)]);
    let mut entry = failure(&[], &"a".parse().unwrap(), "", "x", 0).with_serial(Some(Serial(5)));
    entry.next_try_at = 2_000;
    world.ledger = vec![LedgerEntry {
        tries: EAGER_TRIES - 1,
        ..entry.clone()
    }];
    assert_eq!(world.plan(), "+a(Failed) keep 0 wait 0");
    world.ledger = vec![LedgerEntry {
        tries: EAGER_TRIES,
        ..entry.clone()
    }];
    assert_eq!(world.plan(), "keep 0 wait 1");
    world.ledger = vec![LedgerEntry {
        tries: EAGER_TRIES,
        next_try_at: 999,
        ..entry
    }];
    assert_eq!(world.plan(), "+a(Failed) keep 0 wait 0");
}

#[test]
fn removals_beyond_the_limit_need_a_person() {
    let drops = |gone: usize, unselected: usize| -> Vec<Drop> {
        let one = |index: usize, reason| Drop {
            name: format!("p{index}").parse().unwrap(),
            reason,
        };
        (0..gone)
            .map(|index| one(index, DropReason::GoneUpstream))
            .chain((0..unselected).map(|index| one(index, DropReason::NotSelected)))
            .collect()
    };
    for (limit, gone, unselected, held, allowed) in [
        (DeleteLimit::Default, 2, 0, 2, true),
        (DeleteLimit::Default, 3, 0, 10, false),
        (DeleteLimit::Default, 20, 0, 100, true),
        (DeleteLimit::Default, 21, 0, 100, false),
        (DeleteLimit::Default, 0, 50, 100, true),
        (DeleteLimit::Default, 0, 51, 100, false),
        (DeleteLimit::AtMost(0), 1, 0, 100, false),
        (DeleteLimit::AtMost(5), 3, 2, 5, true),
    ] {
        assert_eq!(
            limit.allows(&drops(gone, unselected), held),
            allowed,
            "{limit:?} {gone} {unselected} of {held}"
        );
    }
}
