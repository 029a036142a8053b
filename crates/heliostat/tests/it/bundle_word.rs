//! What is believed of a bundle and of who calls: signed words before unsigned ones, days and moments as they were
//! meant, and nobody's files taken for our own.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::bundle_proof::Signed;
use crate::bundle_world::{Gap, Piece};
use crate::notary_world::begin;
use crate::sync_world::small;
use crate::world::{World, assert_says};

/// A bundle whose header says something else.
fn with_header(gap: &Gap, from: &str, to: &str, edit: impl FnOnce(&mut serde_json::Value)) {
    let mut pieces = gap.pieces(from);
    let mut lines = pieces[0].lines();
    edit(&mut lines[0]["header"]);
    pieces[0] = Piece::of_lines(&lines);
    gap.assemble(to, &pieces);
}

fn status(gap: &Gap) -> serde_json::Value {
    gap.far.command("status").arg("--json").run().json()
}

#[test]
fn what_is_signed_goes_before_what_the_header_says() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("all.bundle", &[]).assert_code(0);
    with_header(gap, "all.bundle", "claims.bundle", |header| {
        header["serial"] = json!(4_000_000_000_u64);
        header["made-at"] = json!("2099-01-01T00:00:00Z");
        header["upstream"] = json!("http://elsewhere.example/simple/");
    });
    let before = Timestamp::now();
    let import = signed.import("claims.bundle", &["--json"]);
    import.assert_code(0);
    let near = gap.near.heliostat.command("status").arg("--json").run();
    assert_eq!(status(gap)["serial"], near.json()["serial"]);
    let done = import.stdout.lines().last().unwrap();
    let done: serde_json::Value = serde_json::from_str(done).unwrap();
    let made_at = done["report"]["made_at"].as_i64().unwrap();
    assert!(made_at <= before.as_second(), "{import}");
    let again = gap.far.command("export").arg("--manifest-only").arg("-o");
    let manifest = gap.near.place("far.jsonl");
    again.arg(&manifest).run().assert_code(0);
    let manifest = std::fs::read_to_string(manifest).unwrap();
    assert!(!manifest.contains("elsewhere.example"));
    // Without a root it is what the bundle says, and is told as that; but nothing is from the future.
    let far = crate::world::heliostat(&gap.near.place("unproved"));
    let import = far.command("import").arg(gap.near.place("claims.bundle"));
    let import = import.run();
    import.assert_code(0);
    assert_says(&import.stdout, &["the bundle says that it was made at 20"]);
    assert!(!import.stdout.contains("2099"), "{import}");
}

#[test]
fn a_day_is_a_day_and_a_moment_a_moment() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("all.bundle", &[]).assert_code(0);
    let import = |as_of: &str| signed.import("all.bundle", &["--dry-run", "--as-of", as_of]);
    let now = Timestamp::now();
    let day = now.to_string()[..10].to_owned();
    import(&day).assert_code(0);
    import(&now.to_string()).assert_code(0);
    for wrong in [
        format!("{day} 09:25:20"),
        format!("{day}T09:25:20"),
        format!("{day}T09Z"),
    ] {
        let refused = import(&wrong);
        refused.assert_code(2);
        assert_says(&refused.stderr, &["2026-11-25T12:00:00Z"]);
    }
    // What was signed later was not there yet.
    let earlier = now - SignedDuration::from_mins(10);
    let days_ago = (now - SignedDuration::from_hours(48)).to_string()[..10].to_owned();
    for early in [earlier.to_string(), days_ago] {
        let refused = import(&early);
        refused.assert_code(4);
        assert_says(&refused.stderr, &["it was signed at", "--as-of"]);
    }
}

#[test]
fn what_is_newer_here_stays_and_the_rest_is_proved() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("first.bundle", &[]).assert_code(0);
    signed.move_on();
    gap.carry("second.bundle", &[]);
    let alpha = gap.far.web().join("simple/alpha/index.v1_json");
    let newer = std::fs::read(&alpha).unwrap();
    let import = signed.import("first.bundle", &[]);
    import.assert_code(1);
    assert_says(
        &import.stdout,
        &[
            "1 project newer here",
            "left as they are",
            "6 of the 6 pages",
        ],
    );
    assert_eq!(std::fs::read(&alpha).unwrap(), newer);
    assert!(gap.far.web().join("tuf/timestamp.json").exists());
    signed.import("second.bundle", &["--prune"]).assert_code(0);
    signed.verify().assert_code(0);
    // What it carries it does not sign.
    let init = gap.far.command("trust init").run();
    init.assert_code(2);
    assert_says(&init.stderr, &["new `--data`", "import or sync"]);
}

#[test]
fn nor_does_it_matter_where_the_mirror_signs_itself() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("first.bundle", &[]).assert_code(0);
    signed.move_on();
    begin(&gap.far, 1);
    gap.carry("second.bundle", &[]);
    let import = signed.import("first.bundle", &[]);
    import.assert_code(0);
    assert_says(
        &import.stdout,
        &["1 project newer here", "left as they are"],
    );
}

#[test]
fn exports_to_one_place_do_not_hurt_each_other_nor_anybody_s_files() {
    let signed = Signed::new();
    let gap = &signed.gap;
    let output = gap.near.place("all.bundle");
    for mine in ["all.bundle.manifest", "all.bundle.partial"] {
        std::fs::write(gap.near.place(mine), "mine").unwrap();
    }
    let other = World::new(small());
    other.sync(&["--all"]).assert_code(0);
    let mut exports = Vec::new();
    for _ in 0..4 {
        for data in [&gap.near.heliostat, &other.heliostat] {
            let export = data.command("export").arg("-o").arg(&output);
            exports.push(export.start());
        }
    }
    for export in exports {
        let export = export.wait();
        // Where nobody signs, one export at a time has the lock.
        assert!(matches!(export.status.code(), Some(0 | 3)), "{export}");
        if export.status.code() == Some(3) {
            assert_says(&export.stderr, &["heliostat export"]);
        }
    }
    gap.import("all.bundle", &["--dry-run"]).assert_code(0);
    for mine in ["all.bundle.manifest", "all.bundle.partial"] {
        let mine = std::fs::read_to_string(gap.near.place(mine)).unwrap();
        assert_eq!(mine, "mine");
    }
    let left = std::fs::read_dir(gap.near.place("")).unwrap();
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().unwrap().starts_with("all.bundle")
    });
    assert_eq!(left.count(), 3);
}
