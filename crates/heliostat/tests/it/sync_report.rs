//! What `sync` says: JSON lines, the ledger, the summary, and what `status` makes of it.

use heliostat_testkit::pypi::{Fault, Kind, Rule};
use heliostat_testkit::universe::Release;
use serde_json::Value;

use crate::sync_world::small;
use crate::world::{World, assert_says};

fn events(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["event"] == kind)
        .collect()
}

#[test]
fn json_events_are_lines_and_the_last_is_the_report() {
    let world = World::new(small());
    world.pypi.misbehave(
        Rule::new(Fault::Status(403))
            .on(Kind::File)
            .path("zeta-3.0.tar.gz"),
    );
    let run = world.sync(&["--all", "--json"]);
    run.assert_code(1);
    let events = events(&run.stdout);
    assert_eq!(events[0]["event"], "listed");
    assert_eq!(of_kind(&events, "listed")[0]["projects"], 6);
    assert_eq!(of_kind(&events, "planned")[0]["refresh"], 6);
    let projects = of_kind(&events, "project");
    assert_eq!(projects.len(), 6);
    let zeta = projects
        .iter()
        .find(|event| event["project"] == "zeta")
        .unwrap();
    assert_eq!(zeta["outcome"], "failed");
    let failed = of_kind(&events, "failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["item"], "zeta-3.0.tar.gz");
    let done = events.last().unwrap();
    assert_eq!(done["event"], "done");
    assert_eq!(done["report"]["updated"], 5);
    assert_eq!(done["report"]["failed"], 1);
    let files = of_kind(&events, "file").len();
    assert_eq!(done["report"]["files"], files);
    assert_eq!(done["report"]["failures"].as_array().unwrap().len(), 1);
}

#[test]
fn the_ledger_counts_tries_and_remembers_the_first_failure() {
    let world = World::new(small());
    world
        .pypi
        .misbehave(Rule::new(Fault::Status(403)).on(Kind::Page).project("beta"));
    for tries in 1..=3 {
        world.sync(&["--all"]).assert_code(1);
        let status = world.status();
        let entry = &status["failures"][0];
        assert_eq!(entry["project"], "beta");
        assert_eq!(entry["tries"], tries);
        assert_says(entry["reason"].as_str().unwrap(), &["403"]);
        assert!(entry["next_try_at"].as_i64() > entry["first_failed_at"].as_i64());
    }
    let status = world.heliostat.command("status").run();
    status.assert_code(1);
    assert_says(
        &status.stdout,
        &["failures     1", "beta: ", "403", "3 tries", "incomplete"],
    );
    world.pypi.behave();
    world.sync(&[]).assert_code(0);
    let status = world.heliostat.command("status").run();
    status.assert_code(0);
    assert_says(
        &status.stdout,
        &[
            "projects     6",
            "failures     0",
            "in step with the upstream",
            "(complete)",
        ],
    );
}

#[test]
fn a_failure_of_what_is_no_longer_wanted_is_forgotten() {
    let world = World::new(small());
    world
        .pypi
        .misbehave(Rule::new(Fault::Status(403)).on(Kind::Page).project("beta"));
    world.sync(&["alpha", "beta"]).assert_code(1);
    world.sync(&["alpha", "--only"]).assert_code(0);
    assert_eq!(world.ledger().len(), 0);
    world.pypi.behave();
    let all = World::new(small());
    all.pypi
        .misbehave(Rule::new(Fault::Status(403)).on(Kind::Page).project("beta"));
    all.sync(&["--all"]).assert_code(1);
    all.pypi.delete_project("beta");
    all.sync(&[]).assert_code(0);
    assert_eq!(all.ledger().len(), 0);
    all.assert_in_step();
}

#[test]
fn history_and_freshness_follow_the_runs() {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    let status = world.status();
    assert_eq!(status["projects"], 6);
    assert_eq!(status["behind_seconds"], 0);
    assert_eq!(status["serial"], 1006);
    let held: usize = world
        .pypi
        .universe()
        .projects()
        .map(|(_, project)| project.offered().len())
        .sum();
    assert_eq!(status["files"], held);
    assert!(status["disk_free_bytes"].as_u64() > Some(0));
    world.pypi.add_release("alpha", &Release::simple("9.9"));
    world.sync(&[]).assert_code(0);
    let runs = world.status()["runs"].clone();
    assert_eq!(runs.as_array().unwrap().len(), 2);
    assert_eq!(
        (&runs[1]["updated"], &runs[1]["files"]),
        (&1.into(), &2.into())
    );
}

#[test]
fn talk_goes_to_stderr_and_data_to_stdout() {
    let world = World::new(small());
    let run = world.sync(&["--all", "--json"]);
    assert!(!run.stderr.contains("{\"event\""));
    let run = world.sync(&["--recheck"]);
    assert_says(
        &run.stderr,
        &["the upstream lists 6 projects", "6 to refresh"],
    );
    assert_eq!(run.stdout.lines().count(), 2, "{run}");
    assert!(!run.stderr.contains('\u{1b}') && !run.stdout.contains('\u{1b}'));
}

#[test]
fn what_keeps_failing_is_tried_less_often_and_always_told() {
    let world = World::new(small());
    let rule = Rule::new(Fault::Status(403)).on(Kind::Page).project("beta");
    world.pypi.misbehave(rule);
    for _ in 0..8 {
        world.sync(&["--all"]).assert_code(1);
    }
    world.pypi.behave();
    world.pypi.clear_log();
    let waiting = world.sync(&[]);
    waiting.assert_code(1);
    assert_says(&waiting.stderr, &["1 waiting"]);
    assert_says(&waiting.stdout, &["beta: ", "403"]);
    assert_eq!(world.pypi.count(Kind::Page), 0);
    // Whoever knows that it is well again need not wait.
    world.sync(&["--recheck"]).assert_code(0);
    world.assert_in_step();
    assert_eq!(world.ledger().len(), 0);
}
