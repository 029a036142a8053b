//! `sync` stopped in every way: one at a time, Ctrl-C, kill -9 at any moment and at every step of a commit. Readers
//! never see anything wrong, and the next run ends exactly where an undisturbed one would.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use heliostat_testkit::process::{Finished, Invocation};
use heliostat_testkit::pypi::{Fault, Kind, Rule};
use heliostat_testkit::universe::Release;

use crate::sync_world::{many, small};
use crate::world::{World, assert_says};

fn command(world: &World, arguments: &[&str]) -> Invocation {
    world
        .heliostat
        .command("sync")
        .args(["--upstream", &world.pypi.index_url(), "--jobs", "3"])
        .args(arguments)
}

/// Waits until the upstream has answered so many requests; a run that ends before is none of our business.
fn wait_for_requests(world: &World, count: u64, running: &mut heliostat_testkit::process::Running) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while world.pypi.count_all() < count && running.is_running() {
        assert!(
            Instant::now() < deadline,
            "{} requests",
            world.pypi.count_all()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_second_sync_is_refused_with_who_has_the_lock() {
    let world = World::new(small());
    world
        .pypi
        .misbehave(Rule::new(Fault::Hang).on(Kind::Page).project("alpha"));
    let mut first = command(&world, &["--all"]).start();
    wait_for_requests(&world, 2, &mut first);
    let second = world.sync(&["beta"]);
    second.assert_code(3);
    let holder = format!("process {}", first.id());
    assert_says(
        &second.stderr,
        &["locked by", &holder, "heliostat sync", "hint"],
    );
    // Looking is no sync.
    assert_eq!(world.heliostat.command("status").run().code(), Some(0));
    first.kill();
    // The kernel let go of the lock; nobody has to clean up.
    world.pypi.behave();
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn an_interrupted_sync_stops_cleanly_says_what_is_left_and_goes_on() {
    let world = World::new(many(30));
    world.pypi.misbehave(
        Rule::new(Fault::Hang)
            .on(Kind::File)
            .path("project_00010-1.0.tar.gz"),
    );
    let mut running = command(&world, &["--all"]).start();
    wait_for_requests(&world, 100, &mut running);
    running.interrupt();
    let run = running.wait();

    run.assert_code(1);
    assert_says(&run.stderr, &["stopping cleanly"]);
    assert_says(&run.stdout, &["left; the next run goes on from here"]);
    world.assert_consistent();
    let done = world.projects();
    assert!(done.len() < 30);
    assert_eq!(world.status()["runs"][0]["complete"], false);
    world.pypi.behave();
    world.pypi.clear_log();
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
    let asked: BTreeSet<String> = world
        .pypi
        .requests_of(Kind::Page)
        .into_iter()
        .filter_map(|request| request.project)
        .collect();
    assert_eq!(
        asked.intersection(&done).count(),
        0,
        "what was done is not asked for again"
    );
}

#[test]
fn a_first_sync_killed_at_any_moment_is_finished_by_the_next() {
    for requests in [1, 4, 13, 29, 52, 80] {
        let world = World::new(many(12));
        let mut running = command(&world, &["--all"]).start();
        wait_for_requests(&world, requests, &mut running);
        running.kill();
        world.assert_safe_for_clients();
        world.sync(&["--all"]).assert_code(0);
        world.assert_in_step();
    }
}

#[test]
fn an_update_killed_again_and_again_ends_right() {
    let world = World::new(many(12));
    world.sync(&["--all"]).assert_code(0);
    for round in 0..6_u64 {
        let release = Release::simple(&format!("{}.0", 10 + round)).payload_bytes(2000);
        world
            .pypi
            .edit(|universe| universe.release_in_every(2, &release));
        world
            .pypi
            .delete_release("project-00001", &format!("{}", round % 2 + 1));
        world.pypi.clear_log();
        let mut running = command(&world, &[]).start();
        wait_for_requests(&world, 2 + round * 4, &mut running);
        running.kill();
        world.assert_safe_for_clients();
    }
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
}

/// A mirror that is to take, change and drop something, killed at one step.
fn killed_at(step: &str) -> (World, Finished) {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    world
        .pypi
        .add_release("alpha", &Release::simple("9.0").provenance());
    world
        .pypi
        .add_release("gamma-core", &Release::simple("9.0"));
    world
        .pypi
        .edit(|universe| universe.add_project("new", &[Release::simple("1.0")]));
    world.pypi.delete_release("zeta", "3.0");
    world.pypi.delete_project("delta");
    world.pypi.yank("beta", "1.0", "");
    let run = command(&world, &[]).env("HELIOSTAT_KILL_AT", step).run();
    (world, run)
}

#[test]
fn a_sync_killed_at_any_step_of_a_commit_is_finished_by_the_next() {
    if !cfg!(feature = "kill-points") {
        eprintln!("SKIPPED: built without the feature `kill-points`");
        return;
    }
    for step in heliostat_store::KILL_POINTS {
        for times in [1, 3] {
            let (world, run) = killed_at(&format!("{step}:{times}"));
            let killed = run.status.signal() == Some(6);
            assert!(
                killed || (times > 1 && run.code() == Some(0)),
                "{step}:{times}: {run}"
            );
            world.assert_safe_for_clients();
            let next = world.sync(&[]);
            next.assert_code(0);
            world.assert_in_step();
            assert_eq!(world.ledger(), BTreeSet::new(), "{step}:{times}: {next}");
        }
    }
}

#[test]
fn a_first_sync_killed_at_any_step_of_a_commit_is_finished_by_the_next() {
    if !cfg!(feature = "kill-points") {
        eprintln!("SKIPPED: built without the feature `kill-points`");
        return;
    }
    for step in heliostat_store::KILL_POINTS {
        let world = World::new(small());
        let run = command(&world, &["--all"])
            .env("HELIOSTAT_KILL_AT", step)
            .run();
        let unreached = ["one-unlinked", "all-unlinked", "swept"];
        assert!(
            run.status.signal() == Some(6) || (unreached.contains(step) && run.code() == Some(0)),
            "{step}: {run}"
        );
        world.assert_safe_for_clients();
        world.sync(&["--all"]).assert_code(0);
        world.assert_in_step();
    }
}
