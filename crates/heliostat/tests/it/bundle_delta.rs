//! What changed since, held against a root where the receiving mirror kept nothing of the notary's before.

use serde_json::json;

use crate::bundle_proof::Signed;
use crate::notary_world::begin;
use crate::sync_world::digests;
use crate::world::assert_says;

/// A notary who went on, a whole bundle from before, and what changed since.
fn moved_on() -> Signed {
    let signed = Signed::new();
    signed.gap.export("first.bundle", &[]).assert_code(0);
    signed.move_on();
    export_delta(&signed, "delta.bundle");
    signed
}

#[track_caller]
fn export_delta(signed: &Signed, name: &str) {
    let first = signed.gap.near.place("first.bundle");
    let since = ["--since", first.to_str().unwrap()];
    signed.gap.export(name, &since).assert_code(0);
}

#[test]
fn a_delta_is_proved_where_the_mirror_signs_itself() {
    let signed = moved_on();
    begin(&signed.gap.far, 1);
    signed.import("first.bundle", &[]).assert_code(0);
    let import = signed.import("delta.bundle", &[]);
    import.assert_code(0);
    assert_says(&import.stdout, &["5 of the 5 pages", "1 removed"]);
    // What changed is what travels: no file that was there.
    let pieces = signed.gap.pieces("delta.bundle");
    assert!(!pieces.iter().any(|piece| piece.name.contains("zeta")));
}

#[test]
fn a_delta_is_proved_after_a_bundle_that_was_not() {
    let signed = moved_on();
    signed.gap.import("first.bundle", &[]).assert_code(0);
    signed.import("delta.bundle", &[]).assert_code(0);
    signed.verify().assert_code(0);
    // Nothing was signed in between: the state that it builds on is the one that it proves.
    let signed = Signed::new();
    signed.gap.export("first.bundle", &[]).assert_code(0);
    export_delta(&signed, "same.bundle");
    signed.gap.import("first.bundle", &[]).assert_code(0);
    let import = signed.import("same.bundle", &[]);
    import.assert_code(0);
    assert_says(&import.stdout, &["0 projects updated", "6 of the 6 pages"]);
    signed.verify().assert_code(0);
}

/// As heliostat made them before: metadata that did not change is left out.
#[test]
fn a_delta_without_its_metadata_says_what_lacks() {
    let signed = moved_on();
    let gap = &signed.gap;
    let left_out = ["tuf/1.root.json", "tuf/1.targets.json"];
    let mut pieces = gap.pieces("delta.bundle");
    let mut lines = pieces[0].lines();
    for line in &mut lines {
        if let Some(item) = line.get_mut("trust")
            && left_out.iter().any(|path| item["path"] == *path)
        {
            item["in"] = json!("base");
        }
    }
    let left = |piece: &&crate::bundle_world::Piece| left_out.contains(&piece.name.as_str());
    let (count, size) = pieces
        .iter()
        .filter(left)
        .fold((0, 0), |(count, size), piece| {
            (count + 1, size + piece.bytes.len())
        });
    assert_eq!(count, 2);
    let end = &mut lines.last_mut().unwrap()["end"];
    for (key, change) in [
        ("entries", -count),
        ("size", -i64::try_from(size).unwrap()),
        ("in-base", count),
    ] {
        end[key] = json!(end[key].as_i64().unwrap() + change);
    }
    pieces.retain(|piece| !left(&piece));
    pieces[0] = crate::bundle_world::Piece::of_lines(&lines);
    gap.assemble("old.bundle", &pieces);
    gap.import("first.bundle", &[]).assert_code(0);
    let before = digests(&gap.far.web());
    let import = signed.import("old.bundle", &[]);
    import.assert_code(3);
    for path in left_out {
        assert_says(&import.stdout, &[&format!("lacks {path}")]);
    }
    assert_says(&import.stderr, &["builds on 2 things", "--since"]);
    assert_eq!(digests(&gap.far.web()), before);
    // Where the state before was proved, it is here.
    signed.import("first.bundle", &[]).assert_code(0);
    signed.import("old.bundle", &[]).assert_code(0);
    signed.verify().assert_code(0);
}
