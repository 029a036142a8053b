//! `directory add`, `remove`, `show`, `import`, `export`, `run` and `merge`: who is on the list, and what is seen of them
//! over time and from several places.

use std::path::Path;
use std::time::Duration;

use heliostat_testkit::front::{Front, FrontTwist, Wrong};
use heliostat_testkit::process::Finished;
use serde_json::{Value, json};

use crate::directory_fleet::{Fleet, HOST};
use crate::sync_world::small;
use crate::world::{assert_says, bare, until};

fn verb(fleet: &Fleet, words: &[&str]) -> Finished {
    bare()
        .arg("directory")
        .args(words)
        .arg("--registry")
        .arg(fleet.list())
        .run()
}

fn add(fleet: &Fleet, front: &Front, words: &[&str]) -> Finished {
    let base = format!("https://{HOST}:{}/", front.port());
    let words = [&[base.as_str()], words].concat();
    fleet.command("add", &words).run()
}

/// The challenge that a refusal names, put where it belongs.
fn consent(fleet: &Fleet, refused: &Finished) {
    let (_, rest) = refused.stderr.split_once("put the line `").unwrap();
    let challenge = rest.split('`').next().unwrap();
    let folder = fleet.tree().join(".well-known");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("heliostat-directory.txt"), challenge).unwrap();
}

#[test]
fn an_entry_holds_a_mirror_to_the_key_it_signs_with_for_this_address_alone() {
    let fleet = Fleet::new(small());
    let front = Front::serve(fleet.tree(), &fleet.authority);
    let words = ["--operator", "Campus", "--country", "CH"];
    let named = |url: &str| fleet.world.sync(&["--public-url", url]).assert_code(0);
    // As in a tree that was copied from there.
    named("https://elsewhere.example/");
    let refused = add(&fleet, &front, &words);
    assert!(!refused.stderr.contains("names no key"), "{refused}");
    // Who runs something else cannot give it an option of ours.
    let foreign = [&words[..], &["--layout", "bandersnatch", "--dry-run"]].concat();
    let advised = add(&fleet, &front, &foreign);
    advised.assert_code(1);
    assert_says(&advised.stderr, &["put the line `"]);
    assert!(!advised.stderr.contains("--public-url"), "{advised}");
    consent(&fleet, &refused);
    let advised = add(&fleet, &front, &foreign);
    advised.assert_code(0);
    assert_says(&advised.stderr, &["names no key"]);
    assert!(!advised.stderr.contains("--public-url"), "{advised}");
    let copied = add(&fleet, &front, &[&words[..], &["--dry-run"]].concat());
    copied.assert_code(0);
    assert!(!copied.stdout.contains("receipt-key"), "{}", copied.stdout);
    assert_says(
        &copied.stderr,
        &[
            "names no key",
            "`https://elsewhere.example/`",
            "--public-url",
        ],
    );
    named(&format!("https://{HOST}:{}/", front.port()));
    let about = std::fs::read(fleet.tree().join(".well-known/heliostat-mirror.json")).unwrap();
    let about: Value = serde_json::from_slice(&about).unwrap();
    let own = add(&fleet, &front, &[&words[..], &["--dry-run"]].concat());
    own.assert_code(0);
    let key = about["receipt"]["key"].as_str().unwrap();
    assert_says(&own.stdout, &[&format!("receipt-key = \"{key}\"")]);
}

#[test]
fn a_copied_description_does_not_say_who_runs_the_copy() {
    let fleet = Fleet::new(small());
    let front = Front::serve(fleet.tree(), &fleet.authority);
    let named = |url: &str| {
        let words = ["--operator", "The original", "--public-url", url];
        fleet.world.sync(&words).assert_code(0);
    };
    named("https://elsewhere.example/");
    let words = ["--id", "campus", "--country", "CH"];
    let refused = add(&fleet, &front, &words);
    refused.assert_code(1);
    consent(&fleet, &refused);
    let copied = add(&fleet, &front, &words);
    copied.assert_code(2);
    let parts = [
        "`The original`",
        "`https://elsewhere.example/`",
        "`--operator`",
    ];
    assert_says(&copied.stderr, &parts);
    assert!(!fleet.list().join("mirrors.d/campus.toml").exists());
    named(&format!("https://{HOST}:{}/", front.port()));
    let own = add(&fleet, &front, &words);
    own.assert_code(0);
    let text = std::fs::read_to_string(fleet.list().join("mirrors.d/campus.toml")).unwrap();
    assert_says(&text, &["name = \"The original\""]);
}

#[test]
fn a_mirror_is_listed_once_its_audit_passes_and_its_operator_consents() {
    let fleet = Fleet::new(small());
    let front = Front::serve(fleet.tree(), &fleet.authority);
    let words = ["--id", "campus", "--operator", "Campus", "--country", "CH"];
    let refused = add(&fleet, &front, &words);
    refused.assert_code(1);
    assert_says(
        &refused.stderr,
        &["not listed", "wants to be listed", "--public-url"],
    );
    let entry = fleet.list().join("mirrors.d/campus.toml");
    assert!(!entry.exists());
    consent(&fleet, &refused);
    let dry = add(&fleet, &front, &[&words[..], &["--dry-run"]].concat());
    dry.assert_code(0);
    let proposed: toml::Table = toml::from_str(&dry.stdout).unwrap();
    assert_eq!(proposed["id"].as_str(), Some("campus"));
    assert!(proposed.contains_key("admitted"), "{}", dry.stdout);
    assert_says(&dry.stderr, &["campus", "alive", "intact"]);
    assert!(!entry.exists());
    front.spoil([Wrong::new("/packages/", FrontTwist::FlipLastByte)]);
    let evidence = fleet.list().join("evidence");
    let only_told = add(&fleet, &front, &[&words[..], &["--dry-run"]].concat());
    only_told.assert_code(4);
    assert!(!evidence.exists());
    assert!(!only_told.stderr.contains("stands in"), "{only_told}");
    let tampered = add(&fleet, &front, &words);
    tampered.assert_code(4);
    assert_says(&tampered.stderr, &["gate `integrity`"]);
    assert!(!entry.exists());
    let (_, named) = tampered.stderr.split_once("stands in `").unwrap();
    let named = Path::new(named.split('`').next().unwrap());
    assert_eq!(named.parent(), Some(evidence.as_path()));
    let proof = std::fs::read(named).unwrap();
    assert_eq!(
        named.file_stem().unwrap().to_str().unwrap(),
        heliostat_testkit::fixture::sha256_hex(&proof)
    );
    let proof: Value = serde_json::from_slice(&proof).unwrap();
    assert_eq!(proof["endpoint"], "campus");
    front.spoil([]);
    let added = add(&fleet, &front, &words);
    added.assert_code(0);
    assert_says(
        &added.stderr,
        &["mirrors.d/campus.toml`", "reports/campus.json`"],
    );
    // A signed word that names no address may be another mirror's, in a tree that was copied from there.
    let text = std::fs::read_to_string(&entry).unwrap();
    assert!(!text.contains("receipt-key"), "{text}");
    let listed = verb(&fleet, &["list"]);
    listed.assert_code(0);
    assert_says(&listed.stdout, &["campus", "CH"]);
    let report = std::fs::read(fleet.list().join("reports/campus.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_says(report["control"].as_str().unwrap(), &["challenge"]);
    assert_eq!(report["round"]["samples"][0]["gates"], json!([]));
    add(&fleet, &front, &words).assert_code(2);
    fleet.probe(&["--class", "m"]).assert_code(0);
    let shown = verb(&fleet, &["show", "campus"]);
    shown.assert_code(0);
    assert_says(
        &shown.stdout,
        &["name = \"Campus\"", "probation", "lag 0 s"],
    );
    let shown = verb(&fleet, &["show", "campus", "--json"]).json();
    assert_eq!(shown["standings"][0]["state"], "probation");
}

#[test]
fn an_audit_counts_only_where_the_control_sites_answer_and_claims_none_that_was_not_asked() {
    let fleet = Fleet::new(small());
    let front = Front::serve(fleet.tree(), &fleet.authority);
    let words = ["--id", "campus", "--operator", "Campus"];
    consent(&fleet, &add(&fleet, &front, &words));
    let files = || {
        let folders = ["mirrors.d", "reports", "evidence"].map(|name| fleet.list().join(name));
        let inside = folders
            .iter()
            .filter_map(|path| std::fs::read_dir(path).ok());
        inside.flatten().count()
    };
    let closed = heliostat_testkit::process::free_port();
    let dead = format!("http://127.0.0.1:{closed}/");
    let blind = add(
        &fleet,
        &front,
        &[&words[..], &["--control", &dead]].concat(),
    );
    blind.assert_code(3);
    assert_says(&blind.stderr, &["does not count", &dead, "does not answer"]);
    assert_eq!(files(), 0);
    let report = |id: &str| {
        let path = fleet.list().join(format!("reports/{id}.json"));
        let report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        report["round"].clone()
    };
    add(&fleet, &front, &words).assert_code(0);
    let round = report("campus");
    assert_eq!(round["samples"][0]["outcome"], "alive");
    assert_eq!(round.get("control"), None);
    std::fs::remove_file(fleet.list().join("mirrors.d/campus.toml")).unwrap();
    let alive = fleet.world.pypi.index_url();
    add(
        &fleet,
        &front,
        &[&words[..], &["--control", &alive]].concat(),
    )
    .assert_code(0);
    assert_eq!(report("campus")["control"], "alive");
}

#[test]
fn a_name_under_somebody_elses_domain_is_not_even_audited() {
    let fleet = Fleet::new(small());
    let refused = fleet.command("add", &["https://b.pypi.python.org/"]).run();
    refused.assert_code(2);
    assert_says(&refused.stderr, &["PEP 449"]);
}

#[test]
fn a_mirror_leaves_with_notice_and_the_file_keeps_what_else_it_says() {
    let fleet = Fleet::new(small());
    let _front = fleet.mirror("campus");
    let path = fleet.list().join("mirrors.d/campus.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("# who they are\n{text}")).unwrap();
    let left = verb(&fleet, &["remove", "campus", "--reason", "asked \"to\" go"]);
    left.assert_code(0);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_says(
        &text,
        &["# who they are", "retires = ", "asked", "[[endpoints]]"],
    );
    verb(&fleet, &["remove", "campus", "--reason", "again"]).assert_code(2);
    fleet.probe(&["--class", "m"]).assert_code(0);
    let state = |fleet: &Fleet| {
        verb(fleet, &["show", "campus", "--json"]).json()["standings"][0]["state"].clone()
    };
    assert_eq!(state(&fleet), "probation");
    let lines = text.lines().filter(|line| !line.starts_with("retires"));
    let lines: Vec<&str> = lines.collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    verb(&fleet, &["remove", "campus", "--now", "--reason", "gone"]).assert_code(0);
    // At once is before the next round: nobody may be sent there in the meantime.
    assert_eq!(state(&fleet), "retired");
    let published = fleet.world.place("published");
    verb(&fleet, &["publish", published.to_str().unwrap()]).assert_code(0);
    let status = std::fs::read_to_string(published.join("v1/status.json")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["endpoints"][0]["state"], "retired", "{status}");
    fleet.probe(&["--class", "m"]).assert_code(0);
    assert_eq!(state(&fleet), "retired");
    verb(&fleet, &["remove", "nobody", "--reason", "x"]).assert_code(2);
}

#[test]
fn other_lists_are_read_and_ours_is_written_for_others() {
    let fleet = Fleet::new(small());
    let csv = fleet.world.place("list.csv");
    let text = "id,base,operator,country\ncampus,https://m.example.edu/pypi/,\"Campus, the one\",CH\n\
                official,https://mirror.pypi.python.org/,PSF,US\nplain,http://plain.example/,P,DE\n";
    std::fs::write(&csv, text).unwrap();
    let file = csv.to_str().unwrap();
    let dry = verb(&fleet, &["import", "csv", file, "--dry-run"]);
    dry.assert_code(1);
    assert_says(&dry.stdout, &["campus", "https://m.example.edu/pypi/"]);
    assert_says(
        &dry.stderr,
        &["official", "PEP 449", "plain", "without TLS"],
    );
    assert!(!fleet.list().join("mirrors.d/campus.toml").exists());
    verb(&fleet, &["import", "csv", file]).assert_code(1);
    let again = verb(&fleet, &["import", "csv", file]);
    assert_says(&again.stderr, &["on the list already", "0 candidates"]);
    let exported = verb(&fleet, &["export"]);
    exported.assert_code(0);
    assert_eq!(
        exported.stdout,
        "id,base,operator,country,simple\ncampus,https://m.example.edu/pypi/,\"Campus, the one\",CH,simple/\n"
    );
    let json = verb(&fleet, &["export", "--format", "json"]).json();
    assert_eq!(json[0]["operator"]["name"], "Campus, the one");
    std::fs::write(&csv, "a,b\n").unwrap();
    let wrong = verb(&fleet, &["import", "csv", file]);
    wrong.assert_code(2);
    assert_says(&wrong.stderr, &["no heading", "base"]);
}

#[test]
fn rounds_follow_each_other_until_told_to_stop_and_what_fails_comes_back_by_itself() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    let running = fleet
        .command("run", &["--every", "1", "--reference-every", "1"])
        .start();
    until("three rounds", || fleet.history().len() >= 3);
    front.spoil([Wrong::new("/simple/", FrontTwist::Status(500))]);
    let last = |fleet: &Fleet| fleet.history().last().unwrap()["samples"][0]["outcome"].clone();
    until("a failure", || last(&fleet) == "failed");
    front.spoil([]);
    until("a recovery", || last(&fleet) == "alive");
    running.terminate().assert_code(0);
    let rounds = fleet.history();
    assert_eq!(rounds[0]["samples"][0]["class"], "daily");
    assert_eq!(rounds[1]["samples"][0]["class"], "minutes");
    let ended = fleet
        .command("run", &["--every", "1", "--rounds", "1"])
        .run();
    ended.assert_code(0);
    assert_eq!(fleet.history().len(), rounds.len() + 1);
}

#[test]
fn what_another_vantage_saw_is_joined_once_with_its_evidence() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    fleet.probe(&["--class", "m"]).assert_code(0);
    let far = fleet.world.place("far");
    copy_list(&fleet.list(), &far);
    std::fs::remove_dir_all(far.join("history")).unwrap();
    let right = fleet.world.file("alpha-2.0-py3-none-any.whl").sha256;
    let twist = FrontTwist::Replace(right, "0".repeat(64));
    front.spoil([Wrong::new("/simple/alpha/", twist)]);
    let far_words = far.display().to_string();
    let tampered = fleet
        .command_in(&far, "probe", &["--class", "m", "--vantage", "far"])
        .patience(Duration::from_mins(1))
        .run();
    tampered.assert_code(4);
    let forged = verb(&fleet, &["merge", &far_words, "--from", "elsewhere"]);
    forged.assert_code(2);
    assert_says(&forged.stderr, &["far", "elsewhere", "nothing was taken"]);
    let merged = verb(&fleet, &["merge", &far_words, "--from", "far"]);
    merged.assert_code(0);
    assert_says(&merged.stderr, &["1 joined"]);
    let rounds = fleet.history();
    assert_eq!(rounds.len(), 1);
    assert_eq!(rounds[0]["samples"].as_array().unwrap().len(), 2);
    assert_eq!(
        std::fs::read_dir(fleet.list().join("evidence"))
            .unwrap()
            .count(),
        1
    );
    let again = verb(&fleet, &["merge", &far_words]);
    assert_says(&again.stderr, &["0 joined", "1 known"]);
    // Tampered with for one vantage only, it is out for all.
    let shown = verb(&fleet, &["show", "campus", "--json"]).json();
    assert_eq!(shown["standings"][0]["state"], "quarantined");
    let proof = std::fs::read_dir(far.join("evidence"))
        .unwrap()
        .next()
        .unwrap();
    std::fs::write(proof.unwrap().path(), "{}").unwrap();
    let false_proof = verb(&fleet, &["merge", &far_words]);
    false_proof.assert_code(2);
    assert_says(&false_proof.stderr, &["proves nothing"]);
}

fn copy_list(from: &Path, to: &Path) {
    for folder in ["", "mirrors.d", "history"] {
        std::fs::create_dir_all(to.join(folder)).unwrap();
        for entry in std::fs::read_dir(from.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
}
