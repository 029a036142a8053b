//! `sync` and an upstream whose caches lie about what is there: stale pages, old lists, and answers that say that
//! everything is gone.

use std::collections::BTreeSet;

use heliostat_testkit::pypi::{Fault, Kind, Rule};
use heliostat_testkit::universe::{BenchSet, Release};

use crate::sync_world::{asked, many, small};
use crate::world::{World, assert_says};

fn twenty() -> World {
    let world = World::new(many(20));
    world.sync(&["--all"]).assert_code(0);
    world.pypi.clear_log();
    world
}

#[test]
fn a_stale_page_is_asked_for_again_past_the_caches() {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    world.pypi.add_release("alpha", &Release::simple("5.0"));
    world
        .pypi
        .misbehave(Rule::new(Fault::Stale).on(Kind::Page).unless_no_cache());
    world.pypi.clear_log();
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
    assert_eq!(asked(&world.pypi)[&Kind::Page], 2);
}

#[test]
fn a_page_that_stays_stale_waits_in_the_ledger_and_blocks_nobody() {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    let before = world.listed("alpha");
    world.pypi.add_release("alpha", &Release::simple("5.0"));
    world.pypi.add_release("zeta", &Release::simple("5.0"));
    world
        .pypi
        .edit(|universe| universe.add_project("new", &[Release::simple("1.0")]));
    world
        .pypi
        .misbehave(Rule::new(Fault::Stale).on(Kind::Page).project("alpha"));
    let run = world.sync(&[]);
    run.assert_code(1);
    assert_says(&run.stdout, &["alpha: the upstream's page is stale"]);
    world.assert_honest(&run);
    assert_eq!(world.listed("alpha"), before);
    assert!(world.listed("zeta").contains(&"zeta-5.0.tar.gz".to_owned()));
    assert!(world.projects().contains("new"));
    let entry = ("alpha".to_owned(), String::new());
    assert_eq!(world.ledger(), BTreeSet::from([entry]));
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn a_new_project_whose_page_is_not_there_yet_is_not_taken_for_an_empty_one() {
    let world = World::new(small());
    world
        .pypi
        .misbehave(Rule::new(Fault::Stale).on(Kind::Page).project("zeta"));
    let run = world.sync(&["--all"]);
    run.assert_code(1);
    world.assert_honest(&run);
    assert!(!world.projects().contains("zeta"));
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn an_old_list_is_asked_for_again_past_the_caches() {
    let world = twenty();
    world
        .pypi
        .add_release(&BenchSet::name(3), &Release::simple("9"));
    world.pypi.misbehave(
        Rule::new(Fault::SerialOffset(-50))
            .on(Kind::List)
            .unless_no_cache(),
    );
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
    assert_eq!(world.pypi.count(Kind::List), 2);
}

#[test]
fn a_list_older_than_the_last_one_removes_nothing_unless_told_to() {
    let world = twenty();
    world.pypi.delete_project(&BenchSet::name(0));
    world
        .pypi
        .misbehave(Rule::new(Fault::SerialOffset(-50)).on(Kind::List));
    let run = world.sync(&[]);
    run.assert_code(1);
    assert_says(
        &run.stdout,
        &["kept 1 project that were to be removed", "--max-delete 1"],
    );
    assert_eq!(world.projects().len(), 20);
    world.assert_consistent();
    world.sync(&["--max-delete", "1"]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn an_empty_list_removes_nothing() {
    let world = twenty();
    world
        .pypi
        .add_release(&BenchSet::name(3), &Release::simple("9"));
    let body = r#"{"meta":{"api-version":"1.1","_last-serial":99999},"projects":[]}"#;
    let rule = Fault::Replace(
        "application/vnd.pypi.simple.v1+json".to_owned(),
        body.to_owned(),
    );
    world.pypi.misbehave(Rule::new(rule).on(Kind::List));
    let run = world.sync(&[]);
    run.assert_code(1);
    assert_says(&run.stdout, &["kept 20 projects that were to be removed"]);
    assert_eq!(world.projects().len(), 20);
    world.assert_consistent();
    assert!(world.claimed_serial() < Some(99999));
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn a_list_that_is_gone_or_nonsense_ends_the_run_and_harms_nothing() {
    let world = twenty();
    let before = world.tree();
    let faults = [
        Fault::Status(404),
        Fault::Status(503),
        Fault::Replace(
            "text/html".to_owned(),
            "<html>Please log in</html>".to_owned(),
        ),
        Fault::Replace(
            "application/vnd.pypi.simple.v1+json".to_owned(),
            "{\"meta\":".to_owned(),
        ),
        Fault::RedirectLoop,
        Fault::Reset,
    ];
    for fault in faults {
        world.pypi.behave();
        world
            .pypi
            .misbehave(Rule::new(fault.clone()).on(Kind::List));
        let run = world.sync(&["--recheck"]);
        assert!(matches!(run.code(), Some(1 | 3)), "{fault:?}: {run}");
        assert!(!run.stderr.is_empty());
        assert_eq!(world.tree(), before, "{fault:?}");
    }
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn a_404_for_every_page_removes_nothing() {
    let world = twenty();
    world
        .pypi
        .misbehave(Rule::new(Fault::Status(404)).on(Kind::Page));
    let run = world.sync(&["--recheck"]);
    run.assert_code(1);
    assert_eq!(world.projects().len(), 20, "{run}");
    assert_eq!(world.ledger().len(), 20);
    world.assert_consistent();
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn an_upstream_that_cannot_be_reached_ends_the_run_with_3() {
    let world = twenty();
    let before = world.tree();
    world.pypi.stop();
    let run = world.sync(&[]);
    run.assert_code(3);
    assert_says(&run.stderr, &["cannot connect", "hint"]);
    assert_eq!(world.tree(), before);
    world.pypi.start();
    world.assert_heals();
}

#[test]
fn a_page_behind_a_login_is_not_taken_for_an_empty_project() {
    let world = World::new(small());
    let portal = Fault::Replace(
        "text/html".to_owned(),
        "<html><body>Please log in</body></html>".to_owned(),
    );
    world.pypi.misbehave(Rule::new(portal).on(Kind::Page));
    let run = world.sync(&["--all"]);
    run.assert_code(1);
    world.assert_honest(&run);
    assert_eq!(world.projects().len(), 0);
    world.pypi.behave();
    world.assert_heals();
}
