//! `directory probe`: what makes a round count, and what proves that a mirror is dishonest.

use heliostat_testkit::fixture::sha256_hex;
use heliostat_testkit::front::{Front, FrontTwist, Wrong};
use heliostat_testkit::universe::Release;
use serde_json::{Value, json};

use crate::directory_fleet::{Fleet, assert_found, gates, said};
use crate::sync_world::small;
use crate::world::assert_says;

const DAY: i64 = 86_400;

#[test]
fn a_page_with_a_wrong_digest_is_proved_by_its_bytes() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    let right = fleet.world.file("alpha-2.0-py3-none-any.whl").sha256;
    let wrong = "0".repeat(64);
    let twist = FrontTwist::Replace(right.clone(), wrong.clone());
    front.spoil([Wrong::new("/simple/alpha/", twist)]);
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!(code, Some(4), "{sample:#}");
    assert_eq!(gates(&sample), ["integrity"]);
    assert_found(
        &sample,
        ("sample-index", "fault"),
        "alpha-2.0-py3-none-any.whl",
    );
    let finding = sample["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["gate"] == "integrity")
        .unwrap();
    let digest = finding["evidence"].as_str().unwrap();
    let bytes = std::fs::read(fleet.list().join(format!("evidence/{digest}.json"))).unwrap();
    assert_eq!(sha256_hex(&bytes), digest);
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(document["expected"]["sha256"], right);
    assert_eq!(document["expected"]["found-sha256"], wrong);
    assert_eq!(document["endpoint"], "campus-main");
    assert!(document["body_base64"].as_str().unwrap().len() > 100);
}

#[test]
fn what_was_deleted_or_yanked_must_be_so_after_a_day() {
    let fleet = Fleet::new(small());
    let old = fleet.frozen("old");
    let front = fleet.mirror("campus");
    front.move_to(&old);
    let pypi = &fleet.world.pypi;
    pypi.yank("beta", "1.0", "broken");
    let (sample, _) = fleet.sample(&["--class", "h"]);
    assert_found(&sample, ("deletions", "warning"), "is yanked");
    assert_eq!(gates(&sample), [""; 0]);
    let aged = |mut sample: Value| {
        for finding in sample["findings"].as_array_mut().unwrap() {
            finding["since"] = json!(jiff::Timestamp::now().as_second() - DAY - 60);
        }
        sample
    };
    fleet.remember(300, &[aged(sample)]);
    let (sample, code) = fleet.sample(&["--class", "h"]);
    assert_eq!(
        (code, gates(&sample)),
        (Some(1), vec!["deletions"]),
        "{sample:#}"
    );
    let proof = fleet.proof(&sample, "deletions");
    assert_says(proof["url"].as_str().unwrap(), &["/simple/beta/"]);
    assert_eq!(proof["expected"]["filename"], "beta-1.0-py3-none-any.whl");
    pypi.unyank("beta", "1.0");
    pypi.delete_file("alpha", "alpha-2.0-py3-none-any.whl");
    let (sample, _) = fleet.sample(&["--class", "h"]);
    assert_found(&sample, ("deletions", "fault"), "not there upstream");
    front.move_to(fleet.tree());
    fleet.world.sync(&["--all"]).assert_code(0);
    let (sample, code) = fleet.sample(&["--class", "h"]);
    assert_eq!(
        (code, said(&sample, "deletions").len()),
        (Some(0), 0),
        "{sample:#}"
    );
}

#[test]
fn what_a_cache_still_serves_though_no_page_names_it_closes_the_gate_after_a_day() {
    let fleet = Fleet::new(small());
    let filename = "alpha-2.0-py3-none-any.whl";
    let file = fleet.world.file(filename);
    let front = fleet.mirror("campus");
    assert_eq!(fleet.sample(&["--class", "h"]).1, Some(0));
    fleet.world.pypi.delete_file("alpha", filename);
    fleet.world.sync(&["--all"]).assert_code(0);
    // The cache before the mirror has the file; the mirror's own page is clean.
    let cache = fleet.frozen("cache");
    let cached = cache.join(file.path());
    std::fs::create_dir_all(cached.parent().unwrap()).unwrap();
    std::fs::write(&cached, &file.bytes).unwrap();
    front.move_to(&cache);
    // This round sees that upstream has it no more, and the next asks for it.
    assert_eq!(fleet.sample(&["--class", "h"]).1, Some(0));
    let (sample, code) = fleet.sample(&["--class", "h"]);
    assert_eq!((code, gates(&sample)), (Some(1), vec![]), "{sample:#}");
    assert_found(&sample, ("deletions", "warning"), "still serves");
    let memory = fleet.list().join("reference/remembered.json");
    let mut remembered: Value = serde_json::from_slice(&std::fs::read(&memory).unwrap()).unwrap();
    for one in remembered["withdrawn"].as_array_mut().unwrap() {
        one["since"] = json!(one["since"].as_i64().unwrap() - DAY - 60);
    }
    std::fs::write(&memory, remembered.to_string()).unwrap();
    let (sample, code) = fleet.sample(&["--class", "h"]);
    assert_eq!((code, gates(&sample)), (Some(1), vec!["deletions"]));
    assert_found(&sample, ("deletions", "fault"), "more than a day ago");
    let proof = fleet.proof(&sample, "deletions");
    assert_eq!(proof["body_sha256"], file.sha256);
    assert_eq!(proof["expected"]["filename"], filename);
    // A page for people that says it is gone is not the file, and what is brought back may be served.
    std::fs::write(&cached, "<html>gone</html>").unwrap();
    assert_eq!(fleet.sample(&["--class", "h"]).1, Some(0));
    std::fs::write(&cached, &file.bytes).unwrap();
    std::fs::write(&memory, "no JSON").unwrap();
    let anew = fleet.probe(&["--class", "h"]);
    anew.assert_code(0);
    assert_says(&anew.stderr, &["remembered.json", "begun anew"]);
}

#[test]
fn a_round_in_which_nearly_all_fail_or_the_control_does_is_written_down_and_moves_nobody() {
    let fleet = Fleet::new(small());
    let mut fronts: Vec<_> = (0..5)
        .map(|index| fleet.mirror(&format!("m{index}")))
        .collect();
    fronts.iter_mut().skip(1).for_each(Front::kill);
    let ill = fleet.probe(&["--class", "m"]);
    ill.assert_code(3);
    assert_says(&ill.stderr, &["does not count", "nearly all"]);
    let rounds = fleet.history();
    assert_eq!(rounds[0]["samples"].as_array().unwrap().len(), 5);
    let control = format!(
        "http://127.0.0.1:{}/",
        heliostat_testkit::process::free_port()
    );
    let alone = fleet.probe(&["m0", "--class", "m", "--control", &control]);
    alone.assert_code(3);
    assert_says(&alone.stderr, &["does not count", "control"]);
    assert_eq!(fleet.history()[1]["control"], "failed");
    // Without a reference nobody can be judged.
    let blind = fleet
        .command("probe", &["m0", "--class", "m", "--upstream", &control])
        .run();
    blind.assert_code(3);
    assert_says(&blind.stderr, &["no list of projects", "does not count"]);
    let well = fleet.probe(&[
        "m0",
        "--class",
        "m",
        "--control",
        &fleet.world.pypi.index_url(),
    ]);
    well.assert_code(0);
}

#[test]
fn nobody_is_looked_at_less_politely_than_promised() {
    let mut universe = small();
    for index in 0..40 {
        universe.add_project(&format!("more-{index}"), &[Release::simple("1.0")]);
    }
    let fleet = Fleet::new(universe);
    let front = fleet.mirror("campus");
    fleet.probe(&["--class", "m"]).assert_code(0);
    let asked = front.requests().len();
    assert!(asked <= 16, "{asked}: {:?}", front.requests());
    fleet.probe(&["--class", "h"]).assert_code(0);
    let hourly = front.requests().len() - asked;
    assert!((40..=90).contains(&hourly), "{hourly}");
}

#[test]
fn a_receipt_that_goes_back_or_says_two_things_closes_a_gate() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    let path = fleet.tree().join(".well-known/heliostat-mirror.json");
    let says = |version: u64, digit: &str| {
        let mut about: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        about["state"]["snapshot"] = json!({"version": version, "sha256": digit.repeat(64)});
        about.as_object_mut().unwrap().remove("receipt");
        std::fs::write(&path, about.to_string()).unwrap();
        fleet.sample(&["--class", "m"])
    };
    assert_eq!(says(5, "a").1, Some(0));
    assert_eq!(says(6, "b").1, Some(0));
    let (sample, code) = says(6, "c");
    assert_eq!((code, gates(&sample)), (Some(4), vec!["receipts"]));
    assert_found(&sample, ("receipt", "fault"), "two things");
    let (sample, code) = says(4, "d");
    assert_eq!((code, gates(&sample)), (Some(4), vec!["receipts"]));
    assert_found(&sample, ("receipt", "fault"), "went back");
    drop(front);
}

#[test]
fn two_addresses_that_say_different_things_of_one_snapshot_close_a_gate() {
    let mut fleet = Fleet::new(small());
    let tree = |version: u64, name: &str| {
        let tree = fleet.frozen(name);
        let path = tree.join(".well-known/heliostat-mirror.json");
        let mut about: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        about["state"]["snapshot"] = json!({"version": version, "sha256": name.repeat(64)});
        about.as_object_mut().unwrap().remove("receipt");
        std::fs::write(&path, about.to_string()).unwrap();
        tree
    };
    let (one, other, older) = (tree(5, "a"), tree(5, "b"), tree(4, "c"));
    let second = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let good = fleet.mirror("campus");
    good.move_to(one);
    let skewed = Front::at((second.into(), good.port()), older, &fleet.authority);
    fleet.resolve_to(&[std::net::Ipv4Addr::LOCALHOST.into(), second.into()]);
    // One that is behind the other is no liar.
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!((code, gates(&sample)), (Some(0), vec![]), "{sample:#}");
    skewed.move_to(other);
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!(
        (code, gates(&sample)),
        (Some(4), vec!["receipts"]),
        "{sample:#}"
    );
    assert_found(
        &sample,
        ("equivocation", "fault"),
        "two things of snapshot 5",
    );
    let finding = &sample["findings"][0];
    let digest = finding["evidence"].as_str().unwrap();
    let proof = std::fs::read(fleet.list().join(format!("evidence/{digest}.json"))).unwrap();
    let proof: Value = serde_json::from_slice(&proof).unwrap();
    assert_eq!(proof["receipts"][1]["snapshot-sha256"], "b".repeat(64));
}

#[test]
fn two_addresses_that_give_two_pages_of_one_serial_are_proved_by_both() {
    let mut fleet = Fleet::new(small());
    let second = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let good = fleet.mirror("campus");
    let other = Front::at((second.into(), good.port()), fleet.tree(), &fleet.authority);
    fleet.resolve_to(&[std::net::Ipv4Addr::LOCALHOST.into(), second.into()]);
    assert_eq!(fleet.sample(&["--class", "m"]).1, Some(0));
    let twist = FrontTwist::Replace(">=3".to_owned(), ">=2".to_owned());
    other.spoil([Wrong::new("/simple/", twist)]);
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!(
        (code, gates(&sample)),
        (Some(4), vec!["integrity"]),
        "{sample:#}"
    );
    assert_found(&sample, ("equivocation", "fault"), "different pages of");
    let answers = &fleet.proof(&sample, "integrity")["answers"];
    assert_eq!(answers[0]["by"], "127.0.0.1");
    assert_eq!(answers[1]["by"], "127.0.0.2");
    assert_ne!(answers[0]["body_sha256"], answers[1]["body_sha256"]);
}

#[test]
fn a_mirror_that_asks_for_a_pause_gets_it() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    front.spoil([Wrong::new("/simple/", FrontTwist::Busy(600))]);
    let (sample, code) = fleet.sample(&["--class", "h"]);
    assert_eq!((code, &sample["outcome"]), (Some(1), &json!("failed")));
    assert_found(&sample, ("alive", "fault"), "asks for a pause");
    assert_eq!(front.requests().len(), 1);
    front.spoil([]);
    let paused = fleet.probe(&["--class", "h"]);
    paused.assert_code(1);
    assert_says(&paused.stderr, &["1 endpoint asked for a pause"]);
    assert_eq!(front.requests().len(), 1);
    let mut over = sample;
    over["pause-until"] = json!(1);
    fleet.remember(300, &[over]);
    assert_eq!(fleet.sample(&["--class", "m"]).1, Some(0));
}
