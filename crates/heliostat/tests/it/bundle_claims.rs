//! What a bundle may claim, what may be removed by it, and that nothing is left out without a word.

use std::path::Path;

use heliostat_testkit::process::Finished;
use heliostat_testkit::pypi::{Fault, Rule};
use heliostat_testkit::universe::{Release, Universe};
use serde_json::Value;

use crate::bundle_proof::Signed;
use crate::bundle_world::Gap;
use crate::notary_world::{begin, root};
use crate::sync_world::small;
use crate::world::{World, assert_says, bare};

/// So many projects more than the small world has.
fn large(count: usize) -> Universe {
    let mut universe = small();
    for number in 0..count {
        universe.add_project(&format!("more-{number}"), &[Release::simple("1.0")]);
    }
    universe
}

/// Syncs everything but one project, which fails.
fn without(universe: Universe, name: &str) -> World {
    let world = World::new(universe);
    world
        .pypi
        .misbehave(Rule::new(Fault::Status(403)).project(name));
    world.sync(&["--all"]).assert_code(1);
    world
}

fn header(gap: &Gap, bundle: &str) -> Value {
    gap.pieces(bundle)[0].lines().remove(0)["header"].clone()
}

fn is_far(gap: &Gap, name: &str) -> bool {
    gap.far.web().join("simple").join(name).exists()
}

/// A world's bundle beside the one of a gap.
#[track_caller]
fn export_of(world: &World, gap: &Gap, name: &str, arguments: &[&str]) -> Finished {
    let export = world.heliostat.command("export").args(arguments);
    export.arg("-o").arg(gap.near.place(name)).run()
}

#[test]
fn what_failed_is_not_everything_and_is_not_removed_elsewhere() {
    let gap = Gap::new(small());
    gap.carry("whole.bundle", &[]);
    assert_eq!(header(&gap, "whole.bundle")["coverage"], "complete");
    let again = without(small(), "zeta");
    let export = export_of(&again, &gap, "less.bundle", &[]);
    export.assert_code(1);
    assert_says(&export.stdout, &["1 project", "is not everything"]);
    assert!(!export.stdout.contains("everything the upstream has"));
    let told = header(&gap, "less.bundle");
    assert_eq!(told["coverage"], "selection");
    assert_eq!(told["lacking"], serde_json::json!(["zeta"]));
    let import = gap.import("less.bundle", &["--prune"]);
    import.assert_code(0);
    assert!(is_far(&gap, "zeta"), "{import}");
    // Nor is it told as removed since a bundle that had it; upstreams of tests differ in their port alone.
    let manifest = gap.pieces("whole.bundle")[0].clone();
    let mut lines = manifest.lines();
    lines[0]["header"]["upstream"] = told["upstream"].clone();
    let manifest = crate::bundle_world::Piece::of_lines(&lines);
    let since = gap.near.place("since.jsonl");
    std::fs::write(&since, manifest.bytes).unwrap();
    let since = ["--since", since.to_str().unwrap()];
    export_of(&again, &gap, "delta.bundle", &since).assert_code(1);
    gap.import("delta.bundle", &[]).assert_code(0);
    assert!(is_far(&gap, "zeta"));
}

/// What the upstream has taken away is gone, also where somebody named it and hears of it until they do no more.
#[test]
fn what_the_upstream_deleted_is_removed_elsewhere() {
    let near = World::new(small());
    near.sync(&["zeta", "beta", "alpha"]).assert_code(0);
    let gap = Gap::with(near);
    gap.carry("first.bundle", &[]);
    gap.near.pypi.delete_project("zeta");
    gap.near.sync(&[]).assert_code(1);
    gap.export("second.bundle", &[]).assert_code(1);
    gap.import("second.bundle", &["--prune"]).assert_code(0);
    assert!(!is_far(&gap, "zeta"));
}

#[test]
fn a_run_that_failed_in_part_is_not_everything() {
    let gap = Gap::with(World::new(small()));
    gap.near.sync(&["beta"]).assert_code(0);
    gap.near
        .pypi
        .misbehave(Rule::new(Fault::Status(403)).project("zeta"));
    gap.near.sync(&["--all"]).assert_code(1);
    gap.export("some.bundle", &[]).assert_code(1);
    assert_eq!(header(&gap, "some.bundle")["coverage"], "selection");
    gap.near.pypi.behave();
    gap.near.sync(&["--recheck"]).assert_code(0);
    gap.export("all.bundle", &[]).assert_code(0);
}

#[test]
fn a_bundle_of_a_part_prunes_nothing() {
    let gap = Gap::new(small());
    gap.carry("whole.bundle", &[]);
    gap.export("part.bundle", &["al*"]).assert_code(0);
    let since = gap.near.place("whole.bundle");
    let since = ["--since", since.to_str().unwrap()];
    gap.export("delta.bundle", &since).assert_code(0);
    let before = gap.far_state();
    for (bundle, why) in [
        ("part.bundle", "a part that was asked for"),
        ("delta.bundle", "made with `--since`"),
    ] {
        let import = gap.import(bundle, &["--prune"]);
        import.assert_code(2);
        assert_says(&import.stderr, &["--prune", why, "nothing was changed"]);
    }
    assert_eq!(gap.far_state(), before);
    let import = gap.import("part.bundle", &[]);
    import.assert_code(0);
    assert!(!import.stdout.contains("--prune"), "{import}");
}

#[test]
fn what_selects_nothing_is_an_error_that_names_it() {
    let gap = Gap::new(small());
    let nothing = gap.near.place("nothing.txt");
    std::fs::write(&nothing, "# nothing\n").unwrap();
    let nothing = nothing.to_str().unwrap();
    for (words, told) in [
        (vec!["tqlz*"], "tqlz*"),
        (vec!["alpha", "tqlz*"], "tqlz*"),
        (vec!["-r", nothing], "nothing.txt"),
        (vec!["alpha", "-r", nothing], "nothing.txt"),
    ] {
        let export = gap.export("none.bundle", &words);
        export.assert_code(2);
        assert_says(&export.stderr, &[told]);
        assert!(!gap.near.place("none.bundle").exists(), "{words:?}");
    }
}

#[test]
fn more_than_a_run_may_remove_stays_until_somebody_says_so() {
    let gap = Gap::new(large(6));
    gap.carry("first.bundle", &[]);
    for number in 0..4 {
        gap.near.pypi.delete_project(&format!("more-{number}"));
    }
    gap.near.sync(&["--max-delete", "4"]).assert_code(0);
    let since = gap.near.place("first.bundle");
    let since = ["--since", since.to_str().unwrap()];
    gap.export("whole.bundle", &[]).assert_code(0);
    gap.export("delta.bundle", &since).assert_code(0);
    for (bundle, arguments) in [("whole.bundle", &["--prune"][..]), ("delta.bundle", &[])] {
        let before = gap.far_state();
        let import = gap.import(bundle, arguments);
        import.assert_code(1);
        assert_says(&import.stdout, &["kept 4 projects", "--max-delete 4"]);
        assert_eq!(gap.far_state(), before, "{bundle}");
    }
    // What is kept is kept as selected, and goes when somebody says so.
    gap.import("delta.bundle", &["--max-delete", "4"])
        .assert_code(0);
    gap.assert_same();
}

#[test]
fn a_base_of_another_upstream_is_refused() {
    let gap = Gap::new(small());
    let other = Gap::new(small());
    other.export("other.bundle", &[]).assert_code(0);
    let since = other.near.place("other.bundle");
    let export = gap.export("delta.bundle", &["--since", since.to_str().unwrap()]);
    export.assert_code(2);
    assert_says(&export.stderr, &["--since", "nothing here is from there"]);
    assert!(!gap.near.place("delta.bundle").exists());
}

fn verify(root: &Path, web: &Path) -> Finished {
    let verify = bare().args(["trust", "verify", "--json", "--root"]);
    verify.arg(root).arg(web).run()
}

/// What came is signed at once, so that it can be handed on.
#[test]
fn a_mirror_that_signs_itself_exports_what_it_imported() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.export("all.bundle", &[]).assert_code(0);
    begin(&gap.far, 1);
    let import = signed.import("all.bundle", &[]);
    import.assert_code(0);
    assert_says(&import.stdout, &["signed with the mirror's own keys"]);
    verify(&root(&gap.far), &gap.far.web()).assert_code(0);
    let onward = gap.near.place("onward.bundle");
    let export = gap.far.command("export").arg("-o").arg(&onward).run();
    export.assert_code(0);
    assert_says(&export.stdout, &["6 projects", "names 6 pages"]);
    // Looking needs no keys.
    std::fs::rename(gap.far.data().join("state/keys"), gap.near.place("keys")).unwrap();
    signed.import("all.bundle", &["--dry-run"]).assert_code(0);
    signed.import("all.bundle", &[]).assert_code(3);
}

#[test]
fn what_is_not_signed_yet_is_left_out_with_a_word() {
    let signed = Signed::new();
    let gap = &signed.gap;
    gap.carry("first.bundle", &[]);
    let timestamp = gap.near.heliostat.web().join("tuf/timestamp.json");
    let before = std::fs::read(&timestamp).unwrap();
    gap.near
        .pypi
        .edit(|universe| universe.add_project("fresh", &[Release::simple("1.0")]));
    gap.near.sync(&[]).assert_code(0);
    gap.export("second.bundle", &[]).assert_code(0);
    std::fs::write(&timestamp, before).unwrap();
    let export = gap.export("less.bundle", &[]);
    export.assert_code(1);
    assert_says(&export.stdout, &["1 project left out", "heliostat sync"]);
    assert_eq!(header(gap, "less.bundle")["coverage"], "selection");
    // It is there, and so it does not go where it came before.
    gap.import("second.bundle", &[]).assert_code(0);
    gap.import("less.bundle", &["--prune"]).assert_code(0);
    let since = gap.near.place("second.bundle");
    let since = ["--since", since.to_str().unwrap()];
    gap.export("delta.bundle", &since).assert_code(1);
    gap.import("delta.bundle", &[]).assert_code(0);
    assert!(is_far(gap, "fresh"));
}
