//! `heliostat trust compare`: mirrors, trees and a proxy's state side by side, of a notary that says one thing and of one
//! that does not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::Finished;
use heliostat_testkit::universe::{Release, Universe};
use heliostat_trust::metadata::Extent;

use crate::http::{JSON, get_with};
use crate::signed_world::SignedWorld;
use crate::world::assert_says;

fn world() -> SignedWorld {
    let mut universe = Universe::new();
    universe.add_project("alpha", &[Release::simple("1.0")]);
    SignedWorld::new(universe, 4)
}

fn compare(signed: &SignedWorld, places: &[&str]) -> Finished {
    crate::world::bare()
        .args(["trust", "compare", "--root"])
        .arg(signed.notary.root_file())
        .arg("--proof")
        .arg(proof(signed))
        .args(places)
        .run()
}

fn proof(signed: &SignedWorld) -> PathBuf {
    signed.world.place("proof")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The tree signs its first version again, with another statement in every role below the root.
fn equivocate(signed: &mut SignedWorld) {
    // Expiries are written to the second.
    std::thread::sleep(Duration::from_millis(1_100));
    signed.notary.extent = Extent::Partial;
    signed.notary.sign_the_first_version_again();
}

#[test]
fn one_notary_says_one_thing_at_one_time_and_more_later() {
    let mut signed = world();
    let first = signed.copy_tree("first");
    let mirror = TreeMirror::serve(&first);
    let proxy = signed.proxy(&[&mirror]);
    let page = get_with(&format!("{}/simple/alpha/", proxy.url), &[JSON]);
    assert_eq!(page.status, 200);
    proxy.stop().assert_code(0);
    let state = signed.client_state();
    let tree = signed.tree();
    let same = compare(&signed, &[&mirror.url(), text(&tree), text(&state)]);
    same.assert_code(0);
    assert_says(&same.stdout, &[&mirror.url(), text(&state), "timestamp 1"]);
    assert_says(&same.stderr, &["4 bins", "0 contradictions"]);
    signed.notary.sign();
    let later = compare(&signed, &[text(&tree), &mirror.url(), text(&state)]);
    later.assert_code(0);
    assert_says(&later.stdout, &["timestamp 2", "timestamp 1"]);
    assert!(!proof(&signed).exists());
}

#[test]
fn a_notary_that_says_two_things_is_found_out_with_the_proof() {
    let mut signed = world();
    let first = signed.copy_tree("first");
    let mirror = TreeMirror::serve(&first);
    let proxy = signed.proxy(&[&mirror]);
    let page = get_with(&format!("{}/simple/alpha/", proxy.url), &[JSON]);
    assert_eq!(page.status, 200);
    proxy.stop().assert_code(0);
    equivocate(&mut signed);
    let tree = signed.tree();
    let found = compare(&signed, &[&mirror.url(), text(&tree)]);
    found.assert_code(4);
    assert_says(
        &found.stdout,
        &[
            "EQUIVOCATION: 2 different documents of `timestamp` have version 1",
            "of `snapshot` have version 1",
            "of `bin-4-",
            &mirror.url(),
            text(&tree),
        ],
    );
    let kept: Vec<Vec<u8>> = std::fs::read_dir(proof(&signed))
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    for tree in [&first, &tree] {
        let timestamp = std::fs::read(tree.join("tuf/timestamp.json")).unwrap();
        assert!(kept.contains(&timestamp), "{}", tree.display());
    }
    // What a proxy saw and what a mirror shows now.
    let state = signed.client_state();
    compare(&signed, &[text(&state), text(&tree)]).assert_code(4);
    // The proxy itself stays with what it saw first, and keeps the proof as well.
    mirror.move_to(&tree);
    let proxy = signed.proxy(&[&mirror]);
    let refused = get_with(&format!("{}/simple/alpha/", proxy.url), &[JSON]);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(
        refused.text(),
        &["split view", &mirror.url(), "trust compare"],
    );
    assert_says(refused.text(), &["says two different things: "]);
    proxy.stop().assert_code(0);
    let evidence = std::fs::read_dir(state.join("evidence/proof")).unwrap();
    assert_eq!(evidence.count(), 2);
}

#[test]
fn a_bin_that_says_two_things_under_one_snapshot_is_found() {
    let mut signed = world();
    let (first, mixed) = (signed.copy_tree("first"), signed.copy_tree("mixed"));
    equivocate(&mut signed);
    for entry in std::fs::read_dir(signed.tree().join("tuf")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("1.bin-") {
            std::fs::copy(&path, mixed.join("tuf").join(name)).unwrap();
        }
    }
    let found = compare(&signed, &[text(&first), text(&mixed)]);
    found.assert_code(4);
    assert_says(&found.stdout, &["of `bin-4-"]);
    assert!(!found.stdout.contains("`timestamp`"), "{found}");
}

#[test]
fn what_nobody_signed_and_what_is_not_there_is_told_apart() {
    let signed = world();
    let first = signed.copy_tree("first");
    let forged = first.join("tuf/timestamp.json");
    let text_of = std::fs::read_to_string(&forged).unwrap();
    std::fs::write(&forged, text_of.replace("\"version\":1", "\"version\":2")).unwrap();
    let tree = signed.tree();
    let refused = compare(&signed, &[text(&tree), text(&first)]);
    refused.assert_code(4);
    assert_says(&refused.stderr, &["timestamp", text(&first)]);
    let nowhere = signed.world.place("nowhere");
    compare(&signed, &[text(&tree), text(&nowhere)]).assert_code(2);
    let mut gone = TreeMirror::serve(&tree);
    gone.kill();
    let away = compare(&signed, &[text(&tree), &gone.url()]);
    away.assert_code(3);
    assert_says(&away.stderr, &[&gone.url()]);
}
