//! A mirror carried over an air gap: whole, in parts, and what changed since; served offline to real clients.

use heliostat_testkit::clients::{Pip, Uv, or_skip};
use heliostat_testkit::process::Invocation;
use heliostat_testkit::pypi::FakePyPi;
use heliostat_testkit::universe::{Release, Universe};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;

use crate::bundle_world::Gap;
use crate::sync_world::{assert_no_litter, small};
use crate::world::{World, assert_says, heliostat};

fn universe() -> Universe {
    let mut universe = small();
    universe.add_project("app", &[Release::simple("1.0").requires_dist("beta>=1")]);
    universe
}

#[test]
fn a_whole_mirror_arrives_byte_for_byte_and_serves_pip_and_uv() {
    let gap = Gap::new(universe());
    let import = gap.carry("all.bundle", &[]);
    assert_says(&import.stdout, &["7 projects updated", "serial"]);
    gap.assert_same();
    assert_no_litter(gap.far.data());
    let status = gap.far.command("status").run();
    status.assert_code(0);
    assert_says(&status.stdout, &["last import", "complete", "as a bundle"]);
    let status = gap.far.command("status").arg("--json").run().json();
    assert_eq!(status["runs"][0]["kind"], "import");
    assert_eq!(status["runs"][0]["updated"], 7);
    gap.near.pypi.stop();
    let offline = gap.far.serve(["--offline"]);
    let index = offline.index_url();
    let init =
        |place: &std::path::Path| std::fs::read_to_string(place.join("app/__init__.py")).unwrap();
    if let Some(pip) = or_skip(Pip::newest()) {
        let place = gap.near.place("pip");
        pip.install(&index, &["app"], &place).assert_code(0);
        assert_eq!(init(&place), "__version__ = \"1.0\"\n");
    }
    if let Some(uv) = or_skip(Uv::find()) {
        let place = gap.near.place("uv");
        uv.pip_install(&index, &["app"], &place).assert_code(0);
        assert_eq!(init(&place), "__version__ = \"1.0\"\n");
    }
    offline.stop().assert_code(0);
    // Once more changes nothing.
    let before = gap.far_state();
    let again = gap.import("all.bundle", &[]);
    again.assert_code(0);
    assert_says(
        &again.stdout,
        &["0 projects updated, 7 unchanged", "0 B taken"],
    );
    assert_eq!(gap.far_state(), before);
}

#[test]
fn what_changed_since_a_bundle_is_small_and_complete() {
    let gap = Gap::new(universe());
    gap.carry("first.bundle", &[]);
    change(&gap.near.pypi);
    gap.near.sync(&[]).assert_code(0);
    let export = gap.export(
        "delta.bundle",
        &["--since", gap.near.place("first.bundle").to_str().unwrap()],
    );
    export.assert_code(0);
    let names: BTreeSet<String> = gap
        .pieces("delta.bundle")
        .into_iter()
        .map(|piece| piece.name)
        .filter(|name| name.starts_with("packages/") && !name.ends_with(".metadata"))
        .map(|name| name.rsplit('/').next().unwrap().to_owned())
        .collect();
    let new = [
        "alpha-9.0-py3-none-any.whl",
        "alpha-9.0.tar.gz",
        "fresh-1.0-py3-none-any.whl",
        "fresh-1.0.tar.gz",
    ];
    assert_eq!(names, new.map(str::to_owned).into(), "{export}");
    // Looking changes nothing.
    let before = gap.far_state();
    let look = gap.import("delta.bundle", &["--dry-run"]);
    look.assert_code(0);
    assert_says(&look.stdout, &["would be updated", "1 would be removed"]);
    assert_eq!(gap.far_state(), before);
    let import = gap.import("delta.bundle", &[]);
    import.assert_code(0);
    assert_says(&import.stdout, &["1 removed"]);
    gap.assert_same();
}

/// Something new, something changed, something gone.
fn change(pypi: &FakePyPi) {
    pypi.add_release("alpha", &Release::simple("9.0"));
    pypi.edit(|universe| universe.add_project("fresh", &[Release::simple("1.0")]));
    pypi.delete_release("gamma-core", "1.0");
    pypi.delete_project("delta");
    pypi.yank("beta", "1.0", "wrong");
}

#[test]
fn the_other_side_can_tell_what_it_has() {
    let gap = Gap::new(universe());
    gap.carry("first.bundle", &[]);
    change(&gap.near.pypi);
    gap.near.sync(&[]).assert_code(0);
    let manifest = gap.near.place("far.jsonl");
    let told = gap.far.command("export").arg("--manifest-only");
    told.arg("-o").arg(&manifest).run().assert_code(0);
    gap.carry("delta.bundle", &["--since", manifest.to_str().unwrap()]);
    gap.assert_same();
}

#[test]
fn a_delta_without_its_base_says_exactly_what_lacks_and_changes_nothing() {
    let gap = Gap::new(universe());
    gap.carry("first.bundle", &["epsilon"]);
    let first = gap.near.place("first-of-all.bundle");
    gap.export("first-of-all.bundle", &[]).assert_code(0);
    change(&gap.near.pypi);
    gap.near.sync(&[]).assert_code(0);
    gap.export("delta.bundle", &["--since", first.to_str().unwrap()])
        .assert_code(0);
    let before = gap.far_state();
    let import = gap.import("delta.bundle", &[]);
    import.assert_code(3);
    assert_says(
        &import.stdout,
        &[
            "lacks simple/app/index.v1_json",
            "lacks simple/zeta/index.v1_json",
        ],
    );
    assert!(!import.stdout.contains("epsilon"), "{import}");
    // Every file that it builds on is listed, with its metadata.
    let lines = gap.pieces("delta.bundle")[0].lines();
    let projects = lines.iter().filter_map(|line| line.get("project"));
    let items = projects.flat_map(|project| {
        let parts = project["parts"].as_array().cloned().unwrap_or_default();
        std::iter::once(project["page"].clone()).chain(parts)
    });
    let in_base = items.filter(|item| item["in"] == "base");
    let paths = in_base.map(|item| item["path"].as_str().unwrap().to_owned());
    let expected: BTreeSet<String> = paths.filter(|path| !path.contains("epsilon")).collect();
    let listed = import.stdout.lines();
    let listed = listed.filter_map(|line| line.strip_prefix("lacks "));
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    assert_eq!(listed, expected);
    assert_says(&import.stderr, &["builds on", "--since", "--manifest-only"]);
    assert_eq!(gap.far_state(), before);
}

#[test]
fn a_selection_by_name_pattern_and_version_carries_just_that() {
    let gap = Gap::new(universe());
    let requirements = gap.near.place("requirements.txt");
    std::fs::write(&requirements, "gamma.core==1.1\n").unwrap();
    gap.carry(
        "some.bundle",
        &["ze*", "alpha", "-r", requirements.to_str().unwrap()],
    );
    let far = World::with(FakePyPi::serve(Universe::new())).kept_in(gap.far.data());
    far.assert_holds(&["alpha", "gamma-core", "zeta"]);
    assert_eq!(far.listed("alpha").len(), 3);
    let listed = far.listed("gamma-core");
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(
        listed.iter().all(|name| name.contains("-1.1-")),
        "{listed:?}"
    );
    // Another version of the same project joins what is there.
    gap.carry("more.bundle", &["gamma-core==1.0"]);
    assert_eq!(far.listed("gamma-core").len(), 4);
    // A project that is not there is no silent gap.
    let export = gap.export("none.bundle", &["nothing-like-it"]);
    export.assert_code(2);
    assert_says(&export.stderr, &["nothing-like-it", "heliostat sync"]);
    assert!(!gap.near.place("none.bundle").exists());
    gap.export("none.bundle", &["alpha==77"]).assert_code(2);
}

/// Names, patterns, versions and the whole mirror all keep to a constraints file.
#[test]
fn constraints_hold_for_whatever_is_exported() {
    let gap = Gap::new(universe());
    let constraints = gap.near.place("constraints.txt");
    let constrained = |name: &str, text: &str, words: &[&str]| {
        std::fs::write(&constraints, text).unwrap();
        let all = [words, &["-c", constraints.to_str().unwrap()]].concat();
        gap.export(name, &all)
    };
    let carried = |name: &str| -> BTreeSet<String> {
        (gap.pieces(name).into_iter())
            .map(|piece| piece.name)
            .filter(|name| name.starts_with("packages/") && !name.ends_with(".metadata"))
            .map(|name| name.rsplit('/').next().unwrap().to_owned())
            .collect()
    };
    gap.export("all.bundle", &[]).assert_code(0);
    let all = carried("all.bundle");
    let is_old = |name: &&String| name.starts_with("gamma_core-1.0");
    let old: BTreeSet<String> = all.iter().filter(is_old).cloned().collect();
    assert!(!old.is_empty(), "{all:?}");
    for words in [["gamma-core"], ["gam*"], ["gamma-core>=1.0"]] {
        let text = "gamma.core<1.1\nzeta<1\n";
        constrained("some.bundle", text, &words).assert_code(0);
        assert_eq!(carried("some.bundle"), old, "{words:?}");
    }
    // The whole mirror: others go along whole, and what no allowed version is held of stays behind.
    let export = constrained("most.bundle", "gamma-core<1.1\nzeta<0.1\n", &[]);
    export.assert_code(0);
    assert_says(&export.stdout, &["1 project left out"]);
    assert!(!export.stdout.contains("everything the upstream has"));
    let others = |name: &&String| !name.starts_with("gamma_core-") && !name.starts_with("zeta-");
    let expected: BTreeSet<String> = all.iter().filter(others).chain(&old).cloned().collect();
    assert_eq!(carried("most.bundle"), expected);
    gap.import("most.bundle", &[]).assert_code(0);
    // It is not told as gone to who has it.
    gap.import("all.bundle", &[]).assert_code(0);
    let since = gap.near.place("all.bundle");
    let since = ["--since", since.to_str().unwrap()];
    constrained("delta.bundle", "zeta<0.1\n", &since).assert_code(0);
    let import = gap.import("delta.bundle", &[]);
    import.assert_code(0);
    gap.assert_same();
    // Who names it is told.
    let export = constrained("none.bundle", "zeta<0.1\n", &["zeta"]);
    export.assert_code(2);
    assert_says(&export.stderr, &["zeta", "no file of the versions"]);
}

#[test]
fn a_bundle_is_not_replaced_by_what_builds_on_it() {
    let gap = Gap::new(universe());
    gap.export("all.bundle", &[]).assert_code(0);
    let place = gap.near.place("all.bundle");
    let whole = std::fs::read(&place).unwrap();
    std::os::unix::fs::symlink(&place, gap.near.place("link.bundle")).unwrap();
    for (since, output) in [
        ("all.bundle", "all.bundle"),
        ("link.bundle", "all.bundle"),
        ("all.bundle", "link.bundle"),
    ] {
        let since = gap.near.place(since);
        let export = gap.export(output, &["--since", since.to_str().unwrap()]);
        export.assert_code(2);
        assert_says(&export.stderr, &["would be overwritten", "--since"]);
        assert_eq!(std::fs::read(&place).unwrap(), whole);
    }
    // What is on its way lies beside the output, and does not fall on it either.
    for beside in ["next.bundle.manifest", "next.bundle.partial"] {
        let since = gap.near.place(beside);
        std::fs::copy(&place, &since).unwrap();
        let export = gap.export("next.bundle", &["--since", since.to_str().unwrap()]);
        export.assert_code(0);
        assert_eq!(std::fs::read(&since).unwrap(), whole);
    }
}

#[test]
fn a_newer_page_is_not_replaced_by_an_older_bundle() {
    let gap = Gap::new(universe());
    gap.export("old.bundle", &[]).assert_code(0);
    change(&gap.near.pypi);
    gap.near.sync(&[]).assert_code(0);
    gap.carry("new.bundle", &[]);
    let before = gap.far_state();
    let import = gap.import("old.bundle", &[]);
    import.assert_code(0);
    assert_says(&import.stdout, &["newer here than in the bundle"]);
    let after = gap.far_state();
    for (path, digest) in &before {
        if path.starts_with("simple/alpha") || path.starts_with("simple/beta") {
            assert!(after.contains(&(path.clone(), digest.clone())), "{path:?}");
        }
    }
}

#[test]
fn what_earlier_bundles_brought_is_pruned_on_demand_only() {
    let gap = Gap::new(universe());
    gap.carry("first.bundle", &[]);
    gap.near.pypi.delete_project("delta");
    gap.near.sync(&["--max-delete", "5"]).assert_code(0);
    let import = gap.carry("second.bundle", &[]);
    assert_says(
        &import.stdout,
        &["1 project that earlier bundles brought", "--prune"],
    );
    assert!(gap.far.web().join("simple/delta").exists());
    gap.import("second.bundle", &["--prune"]).assert_code(0);
    gap.assert_same();
}

#[test]
fn an_import_killed_at_any_step_of_a_commit_is_finished_by_the_next() {
    if !cfg!(feature = "kill-points") {
        return;
    }
    let gap = Gap::new(universe());
    gap.export("first.bundle", &[]).assert_code(0);
    change(&gap.near.pypi);
    gap.near.sync(&[]).assert_code(0);
    let first = gap.near.place("first.bundle");
    gap.export("delta.bundle", &["--since", first.to_str().unwrap()])
        .assert_code(0);
    let base = heliostat(&gap.near.place("base"));
    base.command("import").arg(&first).run().assert_code(0);
    let mut killed = 0;
    for step in heliostat_store::KILL_POINTS {
        let data = gap.near.place(step);
        let copy = Invocation::new("cp").arg("-r").arg(base.data()).arg(&data);
        copy.run().assert_code(0);
        let gap = Gap {
            near: World::with(FakePyPi::serve(Universe::new())),
            far: heliostat(&data),
        };
        let delta = first.with_file_name("delta.bundle");
        let run = gap.far.command("import").arg(&delta);
        let run = run.env("HELIOSTAT_KILL_AT", step).run();
        killed += usize::from(run.status.signal() == Some(6));
        let far = gap.near.kept_in(&data);
        far.assert_safe_for_clients();
        let next = far.heliostat.command("import").arg(&delta).run();
        next.assert_code(0);
        far.assert_consistent();
        far.assert_holds(&[
            "alpha",
            "app",
            "beta",
            "epsilon",
            "fresh",
            "gamma-core",
            "zeta",
        ]);
    }
    assert!(killed >= 12, "{killed} steps were met");
}

#[test]
fn a_damaged_tree_makes_no_bundle() {
    let gap = Gap::new(universe());
    let wheel = gap.near.path_in_tree("zeta-3.0-py3-none-any.whl");
    let mut bytes = std::fs::read(&wheel).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&wheel, bytes).unwrap();
    let export = gap.export("all.bundle", &[]);
    export.assert_code(4);
    assert_says(&export.stderr, &["zeta-3.0", "heliostat verify --repair"]);
    let beside: Vec<_> = std::fs::read_dir(gap.near.place("")).unwrap().collect();
    assert_eq!(
        beside.len(),
        1,
        "nothing but the data directory: {beside:?}"
    );
}
