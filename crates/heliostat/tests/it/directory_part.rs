//! `directory probe` of mirrors that hold a part: how fresh they are is proved by what they hold.

use std::fmt::Write as _;

use heliostat_testkit::front::Front;
use heliostat_testkit::universe::Release;
use serde_json::{Value, json};

use crate::directory_fleet::{Fleet, assert_found, said};
use crate::sync_world::small;
use crate::world::{assert_says, bare};

/// A mirror of what was selected with these words.
fn part(words: &[&str]) -> (Fleet, Front) {
    let fleet = Fleet::new(small());
    fleet.world.sync(words).assert_code(0);
    let front = Front::serve(fleet.tree(), &fleet.authority);
    fleet.enlist("part", front.port(), "coverage = \"subset\"\n");
    (fleet, front)
}

fn released(fleet: &Fleet, project: &str) -> Value {
    let pypi = &fleet.world.pypi;
    pypi.add_release(project, &Release::new("7.0").wheel().sdist());
    json!(pypi.universe().serial())
}

#[test]
fn a_part_is_as_fresh_as_the_newest_change_that_it_shows_of_its_projects() {
    let (fleet, front) = part(&["alpha", "gamma-core", "--only"]);
    let own = released(&fleet, "alpha");
    let other = released(&fleet, "beta");
    assert_ne!(own, other);
    fleet.world.sync(&[]).assert_code(0);
    for class in ["m", "h", "d"] {
        let (sample, code) = fleet.sample(&["--class", class]);
        assert_eq!(
            (code, &sample["lag-seconds"]),
            (Some(0), &json!(0)),
            "{class}: {sample:#}"
        );
        assert_eq!(sample["serial-proved"], own, "{class}");
        assert_eq!(sample["present"]["ok"], sample["present"]["n"]);
    }
    // One that stopped has the age of what it lacks of its own.
    let old = fleet.frozen("old");
    front.move_to(&old);
    assert_ne!(released(&fleet, "gamma-core"), own);
    let universe = fleet.world.pypi.universe();
    let uploaded = &universe
        .project("gamma-core")
        .unwrap()
        .files
        .last()
        .unwrap()
        .upload_time;
    let uploaded: jiff::Timestamp = uploaded.parse().unwrap();
    let (sample, _) = fleet.sample(&["--class", "m"]);
    let age = jiff::Timestamp::now().as_second() - uploaded.as_second();
    let lag = sample["lag-seconds"].as_i64().unwrap();
    assert!((age - lag).abs() < 120, "{age} {lag}");
    assert_eq!(sample["serial-proved"], own);
    assert_found(&sample, ("serial", "note"), "of `gamma-core`");
    assert!(said(&sample, "sample-index").is_empty(), "{sample:#}");
}

#[test]
fn files_that_a_part_leaves_out_do_not_make_it_late() {
    let (fleet, _front) = part(&["--all", "--wheels-only"]);
    let newest = released(&fleet, "gamma-core");
    fleet.world.sync(&[]).assert_code(0);
    let (sample, code) = fleet.sample(&["--class", "h"]);
    assert_eq!(
        (code, &sample["lag-seconds"]),
        (Some(0), &json!(0)),
        "{sample:#}"
    );
    assert_eq!(sample["serial-proved"], newest);
}

#[test]
fn a_part_becomes_active() {
    let (fleet, _front) = part(&["alpha", "gamma-core", "--only"]);
    let (sample, code) = fleet.sample(&["--class", "h"]);
    assert_eq!(code, Some(0), "{sample:#}");
    let mut rounds = String::new();
    for index in 0..10 * 288 {
        let at = 1_793_500_000_i64 + 300 * index;
        let round = json!({"at": at, "control": "alive", "samples": [&sample]});
        writeln!(rounds, "{round}").unwrap();
    }
    let file = fleet.world.place("rounds.jsonl");
    std::fs::write(&file, rounds).unwrap();
    let scored = bare()
        .args(["directory", "score", "--explain", "part-main", "--replay"])
        .arg(file)
        .arg("--registry")
        .arg(fleet.list())
        .run();
    scored.assert_code(0);
    assert_says(
        &scored.stdout,
        &[
            "probation -> active",
            "the oldest change it lacks is 0 s old",
        ],
    );
}
