//! Bundles of several notaries, and of one who rotated: what was proved of one stays what nothing may be older than.

use crate::bundle_proof::Signed;
use crate::bundle_world::Gap;
use crate::notary_world::begin;
use crate::signed_world::Notary;
use crate::sync_world::small;
use crate::world::{World, assert_says};

/// The words with which the bundles of another notary are refused.
const ANOTHER: [&str; 3] = ["another notary", "another `--data`", "nothing was changed"];

/// A notary who went on, and another one, each with bundles beside the first one's mirror.
fn two_notaries() -> (Signed, Signed) {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("first.bundle", &[]).assert_code(0);
    signed.move_on();
    gap.export("second.bundle", &[]).assert_code(0);
    let other = Signed::new();
    other.gap.export("other.bundle", &[]).assert_code(0);
    let from = other.gap.near.place("other.bundle");
    std::fs::copy(from, gap.near.place("other.bundle")).unwrap();
    (signed, other)
}

/// Imports the other notary's bundle with their root, which must be refused, and then the first one's older one.
#[track_caller]
fn refuse_the_other(signed: &Signed, other: &Signed) {
    let gap = &signed.gap;
    let before = gap.far_state();
    let import = gap.import("other.bundle", &["--root", other.root.to_str().unwrap()]);
    import.assert_code(4);
    assert_says(&import.stderr, &ANOTHER);
    assert_eq!(gap.far_state(), before);
    signed.refuse("first.bundle", &["timestamp.json"]);
    signed.import("second.bundle", &[]).assert_code(0);
}

#[test]
fn another_notary_s_bundle_does_not_make_an_older_one_good_again() {
    let (signed, other) = two_notaries();
    signed.import("second.bundle", &[]).assert_code(0);
    refuse_the_other(&signed, &other);
}

#[test]
fn nor_does_it_where_the_mirror_signs_with_keys_of_its_own() {
    let (signed, other) = two_notaries();
    begin(&signed.gap.far, 1);
    signed.import("second.bundle", &[]).assert_code(0);
    refuse_the_other(&signed, &other);
}

/// A whole mirror and the notary who signs it.
fn near() -> (Notary, Signed) {
    let near = World::new(small());
    near.sync(&["--all"]).assert_code(0);
    let notary = Notary::new(near.heliostat.web(), 4);
    let signed = Signed {
        root: notary.root_file(),
        gap: Gap::with(near),
    };
    (notary, signed)
}

/// A notary who changes the online key between two bundles, and goes on.
fn rotated(begin_far: impl FnOnce(&Gap)) {
    let (mut notary, signed) = near();
    let gap = &signed.gap;
    let export = |name: &str| gap.export(name, &[]).assert_code(0);
    export("one.bundle");
    notary.rotate(7);
    export("two.bundle");
    notary.sign();
    export("three.bundle");
    begin_far(gap);
    let second = gap.near.heliostat.web().join("tuf/2.root.json");
    let by_second = |name: &str| gap.import(name, &["--root", second.to_str().unwrap()]);
    signed.import("one.bundle", &[]).assert_code(0);
    // From the root that was trusted first, and from the one that it led to.
    signed.import("two.bundle", &[]).assert_code(0);
    by_second("two.bundle").assert_code(0);
    by_second("three.bundle").assert_code(0);
    signed.import("three.bundle", &[]).assert_code(0);
    // What was proved stands across the roots, from whichever of them one begins.
    signed.refuse("two.bundle", &["timestamp.json"]);
    signed.refuse("one.bundle", &["timestamp.json"]);
    by_second("two.bundle").assert_code(4);
    by_second("one.bundle").assert_code(4);
}

#[test]
fn a_rotated_root_is_the_same_notary_s() {
    rotated(|_| {});
}

#[test]
fn a_rotated_root_is_the_same_notary_s_where_the_mirror_signs_itself() {
    rotated(|gap| begin(&gap.far, 1));
}

#[test]
fn a_later_root_is_taken_where_the_bundle_leads_to_it() {
    let (mut notary, signed) = near();
    let gap = &signed.gap;
    gap.export("one.bundle", &[]).assert_code(0);
    signed.import("one.bundle", &[]).assert_code(0);
    notary.rotate(7);
    notary.rotate(8);
    gap.export("three.bundle", &[]).assert_code(0);
    let third = gap.near.heliostat.web().join("tuf/3.root.json");
    let import = |name: &str| gap.import(name, &["--root", third.to_str().unwrap()]);
    signed.edited("three.bundle", "gap.bundle", |pieces| {
        pieces.retain(|piece| piece.name != "tuf/2.root.json");
    });
    let refused = import("gap.bundle");
    refused.assert_code(4);
    assert_says(&refused.stderr, &ANOTHER);
    import("three.bundle").assert_code(0);
}
