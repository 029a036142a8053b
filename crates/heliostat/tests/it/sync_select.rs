//! What `sync` takes: names, patterns, filters, pages only; what is remembered, replaced and removed; previews.

use std::collections::BTreeSet;

use heliostat_testkit::pypi::{FakePyPi, Kind};
use heliostat_testkit::tree::{Expect, Held};
use heliostat_testkit::universe::{Release, Universe, Yank};

use crate::sync_world::{digests, small};
use crate::world::{QUICK, World, assert_says, heliostat};

fn kept(world: &World, project: &str) -> Vec<String> {
    world.assert_consistent();
    world.listed(project)
}

/// One project with something for each filter.
fn varied() -> World {
    let mut universe = Universe::new();
    universe.add_project(
        "tool",
        &[
            Release::new("1.0")
                .wheel()
                .sdist()
                .uploaded_at("2020-01-01T00:00:00.000000Z"),
            Release::new("1.5").wheel().sdist().yanked(Yank::Yes),
            Release::new("2.0")
                .wheel_tagged("cp39-cp39-manylinux_2_17_x86_64")
                .wheel_tagged("cp312-cp312-manylinux_2_17_x86_64")
                .wheel_tagged("cp312-cp312-win_amd64")
                .wheel_tagged("cp312-cp312-macosx_11_0_arm64")
                .wheel_tagged("cp312-cp312-musllinux_1_2_x86_64")
                .sdist(),
            Release::new("2.1").wheel().payload_bytes(50_000),
            Release::new("3.0rc1").wheel().sdist(),
        ],
    );
    universe.add_project("other", &[Release::simple("1.0"), Release::simple("2.0")]);
    World::new(universe)
}

fn versions(files: &[String]) -> BTreeSet<String> {
    files
        .iter()
        .map(|file| file.split('-').nth(1).unwrap().replace(".tar.gz", ""))
        .collect()
}

#[track_caller]
fn assert_versions(world: &World, project: &str, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(versions(&kept(world, project)), expected);
}

#[test]
fn the_upstream_that_was_named_is_the_one_of_later_calls() {
    let world = World::new(small());
    world.sync(&["alpha"]).assert_code(0);
    // Were another upstream asked, it would be reached over TLS: nothing of this may leave the machine.
    let quiet = |command| {
        let command = world.heliostat.command(command).args(QUICK);
        command.env("HTTPS_PROXY", "http://127.0.0.1:9")
    };
    world.pypi.clear_log();
    let run = quiet("sync").args(["beta", "--log", "info"]).run();
    run.assert_code(0);
    assert_says(&run.stderr, &[&world.pypi.index_url()]);
    world.assert_holds(&["alpha", "beta"]);
    assert!(world.pypi.count(Kind::Page) > 0);
    let preview = quiet("sync").args(["gamma-core", "--dry-run"]).run();
    preview.assert_code(0);
    std::fs::remove_file(world.path_in_tree(&world.listed("beta")[0])).unwrap();
    quiet("verify").arg("--repair").run().assert_code(0);
    world.assert_holds(&["alpha", "beta"]);
    world.assert_consistent();
    // Another one that is named takes its place.
    let world = world.moved_to(FakePyPi::serve(small()));
    world.sync(&[]).assert_code(0);
    world.pypi.clear_log();
    let quiet = world.heliostat.command("sync").args(QUICK);
    let quiet = quiet.env("HTTPS_PROXY", "http://127.0.0.1:9");
    quiet.arg("gamma-core").run().assert_code(0);
    assert!(world.pypi.count(Kind::Page) > 0);
}

#[test]
fn names_patterns_and_exclusions() {
    let world = World::new(small());
    world
        .sync(&["Alpha", "*eta", "--exclude", "b*"])
        .assert_code(0);
    world.assert_holds(&["alpha", "zeta"]);
    // What is typed later is added; the rest is remembered.
    world.sync(&["gamma_core"]).assert_code(0);
    world.assert_holds(&["alpha", "gamma-core", "zeta"]);
    // A project that starts to match is taken without a word.
    world
        .pypi
        .edit(|universe| universe.add_project("theta", &[Release::simple("1")]));
    world.sync(&[]).assert_code(0);
    world.assert_holds(&["alpha", "gamma-core", "theta", "zeta"]);
    world.sync(&["delta", "--only"]).assert_code(0);
    world.assert_holds(&["delta"]);
    world.assert_consistent();
    world
        .sync(&["--all", "--exclude", "*eta", "--exclude", "epsilon"])
        .assert_code(0);
    world.assert_holds(&["alpha", "delta", "gamma-core"]);
    world.assert_consistent();
}

#[test]
fn nothing_selected_is_a_usage_error() {
    let world = World::new(small());
    let run = world.sync(&[]);
    run.assert_code(2);
    assert_says(&run.stderr, &["nothing is selected", "--all"]);
    assert!(!world.heliostat.data().exists(), "nothing was made");
    assert_eq!(world.pypi.count_all(), 0);
    for wrong in [
        &["a[b"][..],
        &["a==1 b"],
        &["-r", "/nonexistent/requirements.txt"],
        &["--platform", "nowhere", "alpha"],
    ] {
        world.sync(wrong).assert_code(2);
    }
    assert_eq!(world.pypi.count_all(), 0);
}

#[test]
fn words_with_versions_take_those_versions() {
    let world = varied();
    world.sync(&["tool>=1.5,<2.1", "other==2.0"]).assert_code(0);
    assert_versions(&world, "tool", &["1.5", "2.0"]);
    assert_versions(&world, "other", &["2.0"]);
}

#[test]
fn filters_choose_files() {
    for (filters, expected) in [
        (&["--versions", ">=2"][..], &["2.0", "2.1", "3.0rc1"][..]),
        (&["--versions", "tool<2"], &["1.0", "1.5"]),
        (&["--latest", "1", "--no-prereleases"], &["2.1"]),
        (&["--no-prereleases"], &["1.0", "1.5", "2.0", "2.1"]),
        (&["--no-yanked"], &["1.0", "2.0", "2.1", "3.0rc1"]),
        (&["--older-than", "1500"], &["1.0"]),
        (
            &["--max-file-size", "10k"],
            &["1.0", "1.5", "2.0", "3.0rc1"],
        ),
    ] {
        let world = varied();
        let arguments = [&["tool"], filters].concat();
        world.sync(&arguments).assert_code(0);
        assert_versions(&world, "tool", expected);
        // Filters are remembered.
        world.pypi.clear_log();
        world.sync(&[]).assert_code(0);
        assert_versions(&world, "tool", expected);
        assert_eq!(world.pypi.count(Kind::File), 0, "{filters:?}");
    }
}

#[test]
fn platforms_are_read_as_tags() {
    let world = varied();
    let arguments = [
        "tool",
        "--python",
        "3.12",
        "--platform",
        "win_amd64",
        "--wheels-only",
    ];
    world.sync(&arguments).assert_code(0);
    let expected = [
        "tool-1.0-py3-none-any.whl",
        "tool-1.5-py3-none-any.whl",
        "tool-2.0-cp312-cp312-win_amd64.whl",
        "tool-2.1-py3-none-any.whl",
        "tool-3.0rc1-py3-none-any.whl",
    ];
    assert_eq!(kept(&world, "tool"), expected);
    let world = varied();
    world
        .sync(&[
            "tool==2.0",
            "--exclude-platform",
            "windows",
            "--exclude-platform",
            "musllinux",
        ])
        .assert_code(0);
    let expected = [
        "tool-2.0-cp312-cp312-macosx_11_0_arm64.whl",
        "tool-2.0-cp312-cp312-manylinux_2_17_x86_64.whl",
        "tool-2.0-cp39-cp39-manylinux_2_17_x86_64.whl",
        "tool-2.0.tar.gz",
    ];
    assert_eq!(kept(&world, "tool"), expected);
}

#[test]
fn a_narrower_filter_removes_and_a_wider_one_fetches_only_what_is_missing() {
    let world = varied();
    world.sync(&["tool", "other"]).assert_code(0);
    world.pypi.clear_log();
    world.sync(&["--latest", "1"]).assert_code(0);
    assert_versions(&world, "other", &["2.0"]);
    assert_eq!(world.pypi.count(Kind::File), 0);
    world.sync(&["--latest", "2"]).assert_code(0);
    assert_versions(&world, "other", &["1.0", "2.0"]);
    assert!(world.files_fetched().contains("other-1.0.tar.gz"));
    assert!(!world.files_fetched().contains("other-2.0.tar.gz"));
}

#[test]
fn a_dry_run_prints_the_plan_and_changes_nothing() {
    let world = World::new(small());
    let first = world.sync(&["--all", "--dry-run"]);
    first.assert_code(0);
    assert_says(
        &first.stdout,
        &[
            "alpha (new): fetch 3",
            "zeta (new): fetch 2",
            "would refresh 6 projects",
            "would fetch",
        ],
    );
    assert_eq!(world.pypi.count(Kind::File), 0);
    assert_eq!(world.projects().len(), 0);
    // It was not remembered either.
    world.sync(&[]).assert_code(2);

    world.sync(&["--all"]).assert_code(0);
    world
        .pypi
        .add_release("alpha", &Release::new("9.0").wheel());
    world.pypi.delete_project("beta");
    std::fs::remove_file(world.path_in_tree("zeta-3.0.tar.gz")).unwrap();
    std::fs::remove_file(world.heliostat.web().join("simple/delta/index.html")).unwrap();
    let before = state(&world);
    let run = world.sync(&["--dry-run"]);
    run.assert_code(0);
    assert_says(
        &run.stdout,
        &[
            "alpha (changed upstream): fetch 1",
            "beta (gone upstream): remove",
            "delta (damaged here): ",
            "zeta (damaged here): ",
        ],
    );
    let run = world.sync(&["--only", "gamma-core", "--dry-run"]);
    assert_says(&run.stdout, &["alpha (no longer selected): remove"]);
    assert_eq!(state(&world), before);
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn a_dry_run_as_json_is_one_plan() {
    let world = World::new(small());
    let run = world.sync(&["alpha", "--dry-run", "--json"]);
    run.assert_code(0);
    let last: serde_json::Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "plan");
    assert_eq!(last["plan"]["files"], 3);
    let universe = world.pypi.universe();
    let files = &universe.project("alpha").unwrap().files;
    let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    assert_eq!(last["plan"]["size_bytes"], bytes);
}

/// Everything in the data directory but what a database reader touches.
fn state(world: &World) -> Vec<(String, String)> {
    digests(world.heliostat.data())
        .into_iter()
        .map(|(path, digest)| (path.display().to_string(), digest))
        .filter(|(path, _)| !path.ends_with("-shm"))
        .collect()
}

#[test]
fn pages_only_are_the_pages_of_a_full_mirror() {
    let world = World::new(small());
    world.sync(&["--all", "--no-files"]).assert_code(0);
    assert_eq!(
        world.pypi.count(Kind::File) + world.pypi.count(Kind::Metadata),
        0
    );
    let full = heliostat(&world.place("full"));
    full.sync(&world.pypi.index_url(), &["--all"])
        .assert_code(0);
    assert_eq!(
        digests(&world.heliostat.web().join("simple")),
        digests(&full.web().join("simple"))
    );
    let some = Expect {
        files: Held::Some,
        ..Expect::default()
    };
    world.assert_in_step_as(&some);
    world.pypi.add_release("alpha", &Release::simple("7.0"));
    // A bare sync goes on as it was told: it must not fill a disk with files unasked.
    world.sync(&[]).assert_code(0);
    world.assert_in_step_as(&some);
    let pages = digests(&world.heliostat.web().join("simple"));
    world.pypi.clear_log();
    world.sync(&["--no-files=false"]).assert_code(0);
    world.assert_in_step();
    assert_eq!(digests(&world.heliostat.web().join("simple")), pages);
    // Files that are held stay, and go with their pages.
    world.sync(&["--no-files"]).assert_code(0);
    world.assert_in_step();
    world.pypi.delete_project("zeta");
    world.sync(&["--no-files"]).assert_code(0);
    world.assert_in_step();
}
