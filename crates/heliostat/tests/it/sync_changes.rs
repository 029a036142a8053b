//! `sync` follows an upstream that behaves: what it asks for, and that every kind of change arrives.

use std::collections::{BTreeMap, BTreeSet};

use heliostat_testkit::fixture::WheelSpec;
use heliostat_testkit::pypi::Kind;
use heliostat_testkit::universe::{BenchSet, Quarantine, Release};

use crate::sync_world::{asked, many, needed, small};
use crate::world::{World, assert_says};

fn synced() -> World {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
    world.pypi.clear_log();
    world
}

#[track_caller]
fn follows(world: &World) {
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn a_first_sync_asks_for_everything_once() {
    let world = World::new(small());
    let run = world.sync(&["--all"]);
    run.assert_code(0);
    world.assert_in_step();
    assert_eq!(asked(&world.pypi), needed(&world.pypi.universe()));
    assert_says(&run.stdout, &["6 projects updated", "serial 1006"]);
    assert_eq!(world.claimed_serial(), Some(world.pypi.universe().serial()));
}

#[test]
fn a_sync_with_nothing_new_asks_for_the_list_once_and_conditionally() {
    let world = synced();
    let before = world.tree();
    let stamp = world.heliostat.web().join("last-modified");
    std::fs::write(&stamp, "20200101T00:00:00\n").unwrap();
    let run = world.sync(&[]);
    run.assert_code(0);
    // The tree is as fresh as this run, and says so (PEP 381).
    assert_ne!(
        std::fs::read_to_string(&stamp).unwrap(),
        "20200101T00:00:00\n"
    );
    let requests = world.pypi.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!((requests[0].kind, requests[0].status), (Kind::List, 304));
    assert_eq!(world.tree(), before);
    assert_says(&run.stdout, &["0 projects updated, 6 unchanged, 0 removed"]);
}

#[test]
fn named_projects_are_asked_for_without_the_list() {
    let world = World::new(small());
    world.sync(&["alpha", "beta"]).assert_code(0);
    world.assert_holds(&["alpha", "beta"]);
    assert_eq!(world.pypi.count(Kind::List), 0);
    world.pypi.clear_log();
    world.sync(&[]).assert_code(0);
    let answers: Vec<_> = world
        .pypi
        .requests()
        .into_iter()
        .map(|request| (request.kind, request.status))
        .collect();
    assert_eq!(answers, [(Kind::Page, 304), (Kind::Page, 304)]);
}

#[test]
fn only_what_changed_is_asked_for() {
    let set = BenchSet {
        projects: 100,
        wheels: 1,
        sdists: 1,
        file_bytes: 1500,
    };
    let world = World::new(set.universe());
    world.sync(&["--all"]).assert_code(0);
    world.pypi.clear_log();
    let release = Release::new("9.0").wheel();
    let changed = world
        .pypi
        .edit(|universe| universe.release_in_every(50, &release));
    assert_eq!(changed, 2);
    follows(&world);
    let expected = [(Kind::List, 1), (Kind::Page, 2), (Kind::File, 2)];
    assert_eq!(asked(&world.pypi), BTreeMap::from(expected));
}

#[test]
fn what_is_deleted_upstream_goes() {
    let world = synced();
    world.pypi.delete_project("beta");
    world.pypi.delete_file("alpha", "alpha-1.0.tar.gz");
    world.pypi.delete_release("gamma-core", "1.1");
    world.pypi.delete_file("delta", "delta-0.9.tar.gz");
    follows(&world);
    world.assert_holds(&["alpha", "delta", "epsilon", "gamma-core", "zeta"]);
    assert_eq!(world.pypi.count(Kind::File), 0);
}

#[test]
fn a_project_that_loses_its_last_file_stays_as_a_page() {
    let world = synced();
    world.pypi.delete_release("zeta", "3.0");
    follows(&world);
    assert_eq!(world.listed("zeta"), Vec::<String>::new());
}

#[test]
fn a_file_replaced_under_its_name_is_taken_again() {
    let world = synced();
    let name = "zeta-3.0-py3-none-any.whl";
    world.pypi.delete_file("zeta", name);
    let other = WheelSpec {
        payload_bytes: 333,
        ..WheelSpec::new("zeta", "3.0")
    };
    assert_eq!(other.filename(), name);
    world.pypi.add_file("zeta", "3.0", other.build());
    follows(&world);
    assert_eq!(world.files_fetched(), BTreeSet::from([name.to_owned()]));
}

#[test]
fn yanks_come_and_go_without_a_file_being_fetched() {
    let world = synced();
    world.pypi.yank("alpha", "1.0", "wrong \"licence\"");
    world.pypi.yank("zeta", "3.0", "");
    world.pypi.unyank("epsilon", "1.0");
    follows(&world);
    assert_eq!(world.pypi.count(Kind::File), 0);
    world.pypi.unyank("alpha", "1.0");
    follows(&world);
}

#[test]
fn status_markers_are_carried_with_their_reasons() {
    let world = synced();
    world
        .pypi
        .set_status("alpha", "archived", Some("no longer cared for"));
    world.pypi.set_status("beta", "deprecated", None);
    follows(&world);
    let page = std::fs::read_to_string(world.heliostat.web().join("simple/alpha/index.v1_json"));
    assert_says(&page.unwrap(), &["archived", "no longer cared for"]);
    world.pypi.set_status("alpha", "active", None);
    follows(&world);
}

#[test]
fn a_quarantined_page_loses_its_files_and_gets_them_back() {
    let world = synced();
    world.pypi.quarantine("zeta", Quarantine::Status);
    follows(&world);
    assert_eq!(world.page("zeta").status.as_deref(), Some("quarantined"));
    world.pypi.restore("zeta");
    follows(&world);
    assert_eq!(world.listed("zeta").len(), 2);
}

#[test]
fn an_unlisted_project_goes_and_comes_back() {
    let world = synced();
    world.pypi.quarantine("zeta", Quarantine::Unlisted);
    follows(&world);
    world.assert_holds(&["alpha", "beta", "delta", "epsilon", "gamma-core"]);
    world.pypi.restore("zeta");
    follows(&world);
    assert_eq!(world.projects().len(), 6);
}

#[test]
fn a_listed_project_without_a_page_goes_and_is_told_until_it_comes_back() {
    let world = synced();
    world.pypi.quarantine("zeta", Quarantine::PageGone);
    world.pypi.add_release("alpha", &Release::simple("4.0"));
    for _ in 0..2 {
        let run = world.sync(&[]);
        run.assert_code(1);
        assert_says(&run.stdout, &["zeta: the upstream has no"]);
        world.assert_in_step();
        let entry = ("zeta".to_owned(), String::new());
        assert_eq!(world.ledger(), BTreeSet::from([entry]));
        assert!(
            world.claimed_serial() < Some(world.pypi.universe().project("zeta").unwrap().serial)
        );
    }
    world.pypi.restore("zeta");
    world.pypi.add_release("zeta", &Release::simple("4.0"));
    world.assert_heals();
}

#[test]
fn a_renamed_project_is_followed_by_the_list_and_told_by_name() {
    let world = synced();
    world.pypi.rename("beta", "omega");
    let run = world.sync(&[]);
    run.assert_code(0);
    world.assert_consistent();
    assert!(world.projects().contains("omega") && !world.projects().contains("beta"));
    // Its files still bear the old name. A page that hands out another project's files is not to be had from us.
    assert_eq!(world.listed("omega"), Vec::<String>::new());
    assert_says(&run.stderr, &["`omega`: 2 entries left out", "beta-1.0"]);

    let named = World::new(small());
    named.sync(&["beta"]).assert_code(0);
    named.pypi.rename("beta", "omega");
    let run = named.sync(&[]);
    run.assert_code(1);
    named.assert_consistent();
    assert!(
        named.ledger().contains(&("beta".to_owned(), String::new())),
        "{run}"
    );
}

#[test]
fn serials_committed_out_of_order_are_not_missed() {
    let world = synced();
    let early = world
        .pypi
        .edit(heliostat_testkit::universe::Universe::reserve_serial);
    world.pypi.add_release("beta", &Release::simple("2.0"));
    follows(&world);
    assert!(world.claimed_serial() > Some(early));
    world.pypi.edit(|universe| universe.commit_next_with(early));
    world.pypi.add_release("zeta", &Release::simple("3.1"));
    follows(&world);
    assert!(world.listed("zeta").contains(&"zeta-3.1.tar.gz".to_owned()));
}

#[test]
fn a_project_whose_serial_went_back_is_followed() {
    let world = synced();
    world.pypi.edit(|universe| universe.commit_next_with(900));
    world.pypi.delete_file("alpha", "alpha-1.0.tar.gz");
    assert_eq!(world.pypi.universe().project("alpha").unwrap().serial, 900);
    follows(&world);
    assert_eq!(world.page("alpha").serial, Some(900));
}

#[test]
fn a_project_named_but_unknown_is_told_and_stops_nobody() {
    let world = World::new(small());
    let run = world.sync(&["nosuch", "alpha"]);
    run.assert_code(1);
    assert_says(&run.stdout, &["nosuch: the upstream has no such project"]);
    world.assert_holds(&["alpha"]);
    world.assert_consistent();
    world
        .pypi
        .edit(|universe| universe.add_project("nosuch", &[Release::simple("1")]));
    world.sync(&[]).assert_code(0);
    world.assert_holds(&["alpha", "nosuch"]);
    assert_eq!(world.ledger(), BTreeSet::new());
}

#[test]
fn a_name_that_is_unknown_is_told_also_beside_everything_and_patterns() {
    for beside in ["--all", "al*"] {
        let world = World::new(small());
        let run = world.sync(&[beside, "nosuch"]);
        run.assert_code(1);
        assert_says(&run.stdout, &["nosuch: the upstream has no such project"]);
        assert!(world.projects().contains("alpha"));
        // Told again while it is asked for, also when nothing changed upstream.
        world.sync(&[]).assert_code(1);
        world
            .pypi
            .edit(|universe| universe.add_project("nosuch", &[Release::simple("1")]));
        world.sync(&[]).assert_code(0);
        assert!(world.projects().contains("nosuch"));
        assert_eq!(world.ledger(), BTreeSet::new());
    }
}

#[test]
fn a_pattern_that_selects_nothing_is_told() {
    let world = World::new(small());
    let run = world.sync(&["al*", "misspelt-*"]);
    run.assert_code(0);
    assert_says(
        &run.stderr,
        &[
            "no project of the upstream matches this pattern",
            "misspelt-*",
        ],
    );
    assert!(!run.stderr.contains("al*"), "{}", run.stderr);
    assert!(world.projects().contains("alpha"));
}

#[test]
fn too_many_deletions_stop_for_a_person() {
    let world = World::new(many(20));
    world.sync(&["--all"]).assert_code(0);
    for index in 0..10 {
        world.pypi.delete_project(&BenchSet::name(index));
    }
    world
        .pypi
        .add_release(&BenchSet::name(19), &Release::simple("9"));
    let run = world.sync(&[]);
    run.assert_code(1);
    assert_says(
        &run.stdout,
        &[
            "kept 10 projects that were to be removed",
            "--max-delete 10",
        ],
    );
    assert_eq!(world.projects().len(), 20);
    world.assert_consistent();
    assert!(
        world
            .listed(&BenchSet::name(19))
            .contains(&"project_00019-9.tar.gz".to_owned())
    );
    world.sync(&["--max-delete", "9"]).assert_code(1);
    assert_eq!(world.projects().len(), 20);
    world.sync(&["--max-delete", "10"]).assert_code(0);
    world.assert_in_step();
}
