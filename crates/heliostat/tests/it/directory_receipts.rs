//! `directory probe` and the receipts that mirrors sign: verified, compared, and proof where two contradict each other.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use heliostat_pypi::Sha256;
use heliostat_testkit::front::{Front, FrontTwist, Wrong};
use heliostat_trust::TrustError;
use heliostat_trust::keys::{Passphrase, SigningKey};
use heliostat_trust::receipt::{Receipt, StatedSnapshot, Statement};
use serde_json::{Value, json};

use crate::directory_fleet::{Fleet, assert_found, gates};
use crate::notary_world;
use crate::sync_world::small;
use crate::world::{assert_says, bare, until};

const PATH: &str = ".well-known/heliostat-mirror.json";

/// A fleet whose mirror carries a signed tree.
fn signed() -> Fleet {
    let fleet = Fleet::new(small());
    notary_world::begin(&fleet.world.heliostat, 4);
    fleet
}

fn about(tree: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(tree.join(PATH)).unwrap()).unwrap()
}

fn receipt(document: &Value) -> Receipt {
    serde_json::from_value(document.clone()).unwrap()
}

/// What a mirror says that lies with its own key: this commit, this snapshot, of these bytes.
fn say(fleet: &Fleet, tree: &Path, (generation, version, bytes): (u64, u64, &str)) {
    let key = fleet.world.heliostat.data().join("state/keys/receipt.key");
    let key = std::fs::read_to_string(key).unwrap();
    let none = || Err::<Passphrase, TrustError>(TrustError::PassphraseMissing);
    let key = SigningKey::from_file(&key, none).unwrap();
    let snapshot = StatedSnapshot {
        version,
        sha256: Sha256::of(bytes.as_bytes()),
    };
    let mut about = about(tree);
    about["state"]["generation"] = json!(generation);
    about["state"]["snapshot"] = json!({"version": version, "sha256": snapshot.sha256.to_hex()});
    let serial = about["state"]["serial"].as_u64();
    let statement = Statement::new(None, generation, serial, Some(snapshot));
    about["receipt"] = json!(statement.sign(&key));
    std::fs::write(tree.join(PATH), about.to_string()).unwrap();
}

/// Whoever has the proof can verify it: both signed, by one key, and never both honest.
fn assert_transferable(proof: &Value) {
    let [one, other] = [0, 1].map(|index| receipt(&proof["receipts"][index]["signed"]));
    assert_eq!(one.key, other.key);
    let (one, other) = (one.verify().unwrap(), other.verify().unwrap());
    assert!(one.contradicts(&other).is_some(), "{one:?} {other:?}");
}

#[test]
fn a_mirror_signs_what_it_says_with_a_key_of_its_own() {
    let fleet = signed();
    let front = fleet.mirror("campus");
    let key = fleet.world.heliostat.data().join("state/keys/receipt.key");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let about = about(&fleet.tree());
    let statement = receipt(&about["receipt"]).verify().unwrap();
    assert_eq!(json!(statement.generation), about["state"]["generation"]);
    let snapshot = statement.snapshot.unwrap();
    assert_eq!(
        json!(snapshot.version),
        about["state"]["snapshot"]["version"]
    );
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!(code, Some(0), "{sample:#}");
    assert_eq!(sample["receipt"]["signed"]["key"], about["receipt"]["key"]);
    // Written down once, compared ever after.
    let (sample, _) = fleet.sample(&["--class", "m"]);
    assert_eq!(sample["receipt"].get("signed"), None);
    let statement = "\"serial\\\":1006";
    for (old, new, part) in [
        (statement, "\"serial\\\":1007", "not that of the key"),
        (
            "\"serial\": 1006",
            "\"serial\": 1007",
            "another state than is shown",
        ),
    ] {
        let twist = FrontTwist::Replace(old.to_owned(), new.to_owned());
        front.spoil([Wrong::new(PATH, twist)]);
        let (sample, code) = fleet.sample(&["--class", "m"]);
        assert_eq!(
            (code, gates(&sample)),
            (Some(4), vec!["receipts"]),
            "{sample:#}"
        );
        assert_found(&sample, ("receipt", "fault"), part);
        let body = fleet.proof(&sample, "receipts");
        assert!(body["body_base64"].as_str().unwrap().len() > 100);
    }
}

#[test]
fn two_signed_receipts_that_contradict_each_other_prove_it_to_everybody() {
    let fleet = signed();
    let tree = fleet.frozen("liar");
    let front = fleet.mirror("campus");
    front.move_to(&tree);
    say(&fleet, &tree, (10, 5, "one"));
    assert_eq!(fleet.sample(&["--class", "m"]).1, Some(0));
    say(&fleet, &tree, (11, 6, "two"));
    assert_eq!(fleet.sample(&["--class", "m"]).1, Some(0));
    say(&fleet, &tree, (12, 6, "another"));
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!((code, gates(&sample)), (Some(4), vec!["receipts"]));
    assert_found(
        &sample,
        ("receipt", "fault"),
        "two things of the snapshot 6",
    );
    assert_transferable(&fleet.proof(&sample, "receipts"));
    say(&fleet, &tree, (13, 4, "back"));
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!((code, gates(&sample)), (Some(4), vec!["receipts"]));
    assert_found(&sample, ("receipt", "fault"), "went back");
    assert_transferable(&fleet.proof(&sample, "receipts"));
}

#[test]
fn two_addresses_whose_receipts_contradict_each_other_are_proved_too() {
    let mut fleet = signed();
    let (one, other) = (fleet.frozen("one"), fleet.frozen("other"));
    say(&fleet, &one, (10, 5, "one"));
    say(&fleet, &other, (10, 5, "other"));
    let good = fleet.mirror("campus");
    good.move_to(one);
    let second = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let _front = Front::at((second.into(), good.port()), other, &fleet.authority);
    fleet.resolve_to(&[std::net::Ipv4Addr::LOCALHOST.into(), second.into()]);
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!(
        (code, gates(&sample)),
        (Some(4), vec!["receipts"]),
        "{sample:#}"
    );
    assert_found(
        &sample,
        ("equivocation", "fault"),
        "two things of the snapshot",
    );
    assert_transferable(&fleet.proof(&sample, "receipts"));
}

#[test]
fn what_two_vantages_were_told_is_held_together_when_it_is_merged() {
    let fleet = signed();
    let (one, other) = (fleet.frozen("one"), fleet.frozen("other"));
    say(&fleet, &one, (10, 5, "one"));
    say(&fleet, &other, (11, 5, "other"));
    let front = fleet.mirror("campus");
    front.move_to(&one);
    let far = fleet.world.place("far");
    notary_world::copy(&fleet.list(), &far);
    let look = |list: &Path, vantage: &str| {
        let words = ["--class", "m", "--vantage", vantage];
        fleet.command_in(list, "probe", &words).run().assert_code(0);
    };
    let merge = || {
        let words = ["directory", "merge", "--from", "far", "--registry"];
        bare().args(words).arg(fleet.list()).arg(&far).run()
    };
    look(&fleet.list(), "here");
    look(&far, "far");
    // Both were told the same.
    merge().assert_code(0);
    // Of two rounds of one second, the first counts.
    let at = fleet.history()[0]["at"].as_i64().unwrap();
    until("the next second", || {
        jiff::Timestamp::now().as_second() > at
    });
    // Told another thing, nobody sees it who looks from one place.
    std::fs::remove_dir_all(far.join("history")).unwrap();
    front.move_to(&other);
    look(&far, "far");
    let merged = merge();
    merged.assert_code(4);
    assert_says(&merged.stderr, &["two vantages", "evidence"]);
    let rounds = fleet.history();
    let mut samples = rounds
        .iter()
        .flat_map(|round| round["samples"].as_array().unwrap());
    let charged = samples
        .find(|sample| sample["gates"] == json!(["receipts"]))
        .unwrap();
    assert_eq!(charged["vantage"], "far");
    assert_found(
        charged,
        ("equivocation", "fault"),
        "two things of the snapshot 5",
    );
    assert_transferable(&fleet.proof(charged, "receipts"));
    let words = ["directory", "show", "campus", "--json", "--registry"];
    let shown = bare().args(words).arg(fleet.list()).run().json();
    assert_eq!(shown["standings"][0]["state"], "quarantined");
    // The same again is known.
    let again = merge();
    again.assert_code(0);
    assert_says(&again.stderr, &["0 rounds added", "1 known"]);
}

#[test]
fn the_key_that_the_list_has_is_the_one_that_counts() {
    let fleet = signed();
    let front = Front::serve(fleet.tree(), &fleet.authority);
    let key = about(&fleet.tree())["receipt"]["key"]
        .as_str()
        .unwrap()
        .to_owned();
    fleet.enlist(
        "campus",
        front.port(),
        &format!("receipt-key = \"{key}\"\n"),
    );
    assert_eq!(fleet.sample(&["--class", "m"]).1, Some(0));
    fleet.enlist(
        "campus",
        front.port(),
        &format!("receipt-key = \"{}\"\n", "0".repeat(64)),
    );
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!((code, gates(&sample)), (Some(4), vec!["receipts"]));
    assert_found(
        &sample,
        ("receipt", "fault"),
        "another key than the list has",
    );
    let unsigned = fleet.frozen("unsigned");
    let mut plain = about(&unsigned);
    plain.as_object_mut().unwrap().remove("receipt");
    std::fs::write(unsigned.join(PATH), plain.to_string()).unwrap();
    front.move_to(unsigned);
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!((code, gates(&sample)), (Some(1), vec![]), "{sample:#}");
    assert_found(&sample, ("receipt", "warning"), "signs no receipt");
    fleet.enlist("campus", front.port(), "receipt-key = \"mine\"\n");
    fleet.probe(&["--class", "m"]).assert_code(2);
}
