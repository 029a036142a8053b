//! `sync` stopped in every way: one at a time, Ctrl-C, kill -9 at any moment and at every step of a commit. Readers
//! never see anything wrong, and the next run ends exactly where an undisturbed one would.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use heliostat_testkit::clients::{Skip, or_skip};
use heliostat_testkit::process::{Invocation, Running};
use heliostat_testkit::pypi::{Fault, Kind, Rule};
use heliostat_testkit::universe::Release;

use crate::notary_world::begin;
use crate::sync_world::{many, needed, small};
use crate::world::{World, assert_says};

fn command(world: &World, arguments: &[&str]) -> Invocation {
    world
        .heliostat
        .command("sync")
        .args(["--upstream", &world.pypi.index_url(), "--jobs", "3"])
        .args(arguments)
}

/// Waits until the upstream has answered so many requests; a run that ends before is none of our business.
fn wait_for_requests(world: &World, count: u64, running: &mut Running) {
    let deadline = Instant::now() + Duration::from_mins(1);
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
fn a_second_interrupt_ends_at_once_what_the_first_would_wait_for() {
    let world = World::new(many(30));
    world
        .pypi
        .misbehave(Rule::new(Fault::Hang).on(Kind::List).first(1));
    let mut running = command(&world, &["--all", "--read-timeout", "1"]).start();
    wait_for_requests(&world, 1, &mut running);
    // Somebody else commits for as long as this lasts, so that a clean stop would have to wait.
    let others = std::fs::File::open(world.heliostat.data().join("state/commit.lock")).unwrap();
    others.lock().unwrap();
    let needed: u64 = needed(&world.pypi.universe()).values().sum();
    wait_for_requests(&world, needed + 1, &mut running);
    running.interrupt();
    running.wait_for_stderr("stopping cleanly");
    assert!(running.is_running(), "it waits for its turn to commit");
    running.interrupt();
    let run = running.wait();
    run.assert_code(1);
    assert_says(&run.stderr, &["stopped at once"]);
    assert!(!run.stdout.contains("taken"), "nothing is claimed: {run}");
    drop(others);
    world.assert_safe_for_clients();
    assert_eq!(world.projects(), BTreeSet::new());
    world.pypi.behave();
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn an_interrupted_sync_removes_nothing_before_it_has_seen_everything() {
    let world = World::new(many(20));
    world.sync(&["--all"]).assert_code(0);
    for index in 0..3 {
        let project = format!("project-{index:05}");
        world.pypi.misbehave(
            Rule::new(Fault::Status(404))
                .on(Kind::Page)
                .project(&project),
        );
    }
    let hang = Rule::new(Fault::Hang)
        .on(Kind::Page)
        .project("project-00019");
    world.pypi.misbehave(hang);
    world.pypi.clear_log();
    let mut running = command(&world, &["--recheck"]).start();
    // The list, every page, and a second look at the three that are gone.
    wait_for_requests(&world, 24, &mut running);
    running.interrupt();
    let run = running.wait();
    run.assert_code(1);
    assert_eq!(world.projects().len(), 20, "{run}");
    world.assert_consistent();
    assert_says(&run.stdout, &["left; the next run goes on from here"]);
    world.pypi.behave();
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn a_sync_that_is_terminated_before_it_has_begun_stops_at_once() {
    let world = World::new(small());
    world.pypi.misbehave(Rule::new(Fault::Hang).on(Kind::List));
    for arguments in [&["--all"][..], &["--all", "--dry-run"]] {
        world.pypi.clear_log();
        let mut running = command(&world, arguments).start();
        wait_for_requests(&world, 1, &mut running);
        let run = running.terminate();
        run.assert_code(1);
        assert_says(
            &run.stderr,
            &["stopping cleanly", "stopped before anything was changed"],
        );
    }
    world.pypi.behave();
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
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

/// Bins of the signed mirrors that are killed: some change and some do not.
const BINS: u64 = 4;

/// Steps that a mirror comes to only after two days, when it is signed for the first time with pages there, or when people
/// have signed something.
const UNREACHED: [&str; 3] = ["one-retired", "targets-indexed", "offline-written"];

/// Kills an update that takes, changes and drops something, at each step when it comes for the n-th time.
fn killed_at_each_step(times: u32) {
    let mut world = World::new(small());
    begin(&world.heliostat, BINS);
    world.sync(&["--all"]).assert_code(0);
    let before = world.heliostat.data().to_owned();
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
    for step in heliostat_store::KILL_POINTS {
        let copy = world.place(step);
        let copied = Invocation::new("cp")
            .arg("-r")
            .arg(&before)
            .arg(&copy)
            .run();
        copied.assert_code(0);
        world = world.kept_in(&copy);
        let run = command(&world, &[])
            .env("HELIOSTAT_KILL_AT", format!("{step}:{times}"))
            .run();
        let killed = run.status.signal() == Some(6);
        let may_be_unreached = times > 1 || UNREACHED.contains(step);
        assert!(
            killed || (may_be_unreached && run.code() == Some(0)),
            "{step}: {run}"
        );
        world.assert_safe_for_clients();
        let next = world.sync(&[]);
        next.assert_code(0);
        world.assert_in_step();
        assert_eq!(world.ledger(), BTreeSet::new(), "{step}: {next}");
    }
}

#[test]
fn an_update_killed_at_any_step_of_a_commit_is_finished_by_the_next() {
    if has_kill_points() {
        killed_at_each_step(1);
    }
}

#[test]
fn an_update_killed_at_any_step_for_the_third_time_is_finished_by_the_next() {
    if has_kill_points() {
        killed_at_each_step(3);
    }
}

/// Whether the program can be killed at a step; says so aloud where it cannot.
fn has_kill_points() -> bool {
    let built = cfg!(feature = "kill-points").then_some(());
    or_skip(built.ok_or_else(|| Skip("built without the feature `kill-points`".to_owned())))
        .is_some()
}

#[test]
fn a_first_sync_killed_at_any_step_of_a_commit_is_finished_by_the_next() {
    if !has_kill_points() {
        return;
    }
    let mut world = World::new(small());
    for step in heliostat_store::KILL_POINTS {
        let data = world.place(step);
        world = world.kept_in(&data);
        begin(&world.heliostat, BINS);
        let run = command(&world, &["--all"])
            .env("HELIOSTAT_KILL_AT", step)
            .run();
        let nothing_goes = ["one-unlinked", "all-unlinked", "swept"];
        let may_be_unreached = nothing_goes.contains(step) || UNREACHED.contains(step);
        assert!(
            run.status.signal() == Some(6) || (may_be_unreached && run.code() == Some(0)),
            "{step}: {run}"
        );
        world.assert_safe_for_clients();
        world.sync(&["--all"]).assert_code(0);
        world.assert_in_step();
    }
}
