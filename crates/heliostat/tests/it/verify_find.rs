//! `heliostat verify`: every kind of damage is found, told in words, and left alone without `--repair`.

use std::path::{Path, PathBuf};

use heliostat_testkit::process::Finished;
use heliostat_testkit::universe::{Release, Universe};

use crate::world::{World, assert_says};

const WHEEL: &str = "alpha-1.0-py3-none-any.whl";

fn world() -> World {
    let mut universe = Universe::new();
    universe.add_project(
        "alpha",
        &[Release::simple("1.0").payload_bytes(100_000).provenance()],
    );
    universe.add_project("beta", &[Release::simple("1.0")]);
    let world = World::new(universe);
    world.sync(&["--all"]).assert_code(0);
    world.pypi.clear_log();
    world
}

fn web(world: &World, path: &str) -> PathBuf {
    world.heliostat.web().join(path)
}

fn metadata_path(world: &World) -> PathBuf {
    let mut path = world.path_in_tree(WHEEL).into_os_string();
    path.push(".metadata");
    path.into()
}

/// Replaces a file as careless hands do, with another inode.
fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _was_there = std::fs::remove_file(path);
    std::fs::write(path, bytes).unwrap();
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    put(path, &bytes);
}

/// Verifies; expects exactly these problems, each a path and a word, and no request.
#[track_caller]
fn assert_found(world: &World, problems: &[(&str, &str)]) -> Finished {
    let finished = world.verify(&[]);
    finished.assert_code(1);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), problems.len() + 1, "{finished}");
    for (path, word) in problems {
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(&format!("{path}: ")) && line.contains(word)),
            "{path}: {word}\n{finished}"
        );
    }
    let found = if problems.len() == 1 {
        "1 problem found".to_owned()
    } else {
        format!("{} problems found", problems.len())
    };
    assert_says(lines[problems.len()], &[&found, "0 made good"]);
    assert_eq!(world.pypi.count_all(), 0, "looking asks nobody");
    finished
}

#[test]
fn a_right_mirror_has_no_problems() {
    let world = world();
    let finished = world.verify(&[]);
    finished.assert_code(0);
    assert_says(&finished.stdout, &["2 projects, ", "0 problems found"]);
    assert_eq!(world.pypi.count_all(), 0);
}

#[test]
fn a_flipped_byte_is_found_with_what_was_expected_and_what_is_there() {
    let world = world();
    let place = world.path_in_tree(WHEEL);
    flip(&place);
    let file = world.file(WHEEL);
    let finished = assert_found(&world, &[(&file.path(), "corrupt")]);
    assert_says(
        &finished.stdout,
        &[&format!("expected sha256 {}", file.sha256), "found sha256 "],
    );
    assert!(place.is_file(), "nothing is removed by looking");
}

#[test]
fn a_truncated_and_a_missing_file_are_found() {
    let world = world();
    let wheel = world.path_in_tree(WHEEL);
    let bytes = std::fs::read(&wheel).unwrap();
    put(&wheel, &bytes[..1000]);
    let sdist = world.path_in_tree("beta-1.0.tar.gz");
    std::fs::remove_file(&sdist).unwrap();
    assert_found(
        &world,
        &[
            (&world.file(WHEEL).path(), "corrupt"),
            (&world.file("beta-1.0.tar.gz").path(), "missing"),
        ],
    );
}

#[test]
fn wrong_and_missing_metadata_are_found() {
    let world = world();
    let path = format!("{}.metadata", world.file(WHEEL).path());
    flip(&metadata_path(&world));
    assert_found(&world, &[(&path, "corrupt")]);
    std::fs::remove_file(metadata_path(&world)).unwrap();
    assert_found(&world, &[(&path, "missing")]);
}

#[test]
fn missing_provenance_is_found() {
    let world = world();
    let place = web(&world, &format!("integrity/alpha/1.0/{WHEEL}/provenance"));
    std::fs::remove_file(&place).unwrap();
    let finished = world.verify(&[]);
    finished.assert_code(1);
    assert_says(
        &finished.stdout,
        &["provenance", "missing", "1 problem found"],
    );
}

#[test]
fn lost_and_altered_pages_are_found() {
    let world = world();
    std::fs::remove_file(web(&world, "simple/alpha/index.v1_json")).unwrap();
    put(
        &web(&world, "simple/alpha/index.html"),
        b"<html>gone</html>",
    );
    put(&web(&world, "simple/beta/index.v1_html"), b"");
    put(&web(&world, "pypi/beta/json"), b"{}");
    assert_found(
        &world,
        &[
            ("simple/alpha/index.v1_json", "page missing"),
            ("simple/alpha/index.html", "page differs from the catalog"),
            ("simple/beta/index.v1_html", "page differs from the catalog"),
            ("pypi/beta/json", "page differs from the catalog"),
        ],
    );
}

#[test]
fn a_lost_and_an_altered_root_list_are_found() {
    let world = world();
    std::fs::remove_file(web(&world, "simple/index.v1_json")).unwrap();
    put(&web(&world, "simple/index.v1_html"), b"<html></html>");
    assert_found(
        &world,
        &[
            ("simple/index.v1_json", "root list differs"),
            ("simple/index.v1_html", "root list differs"),
        ],
    );
}

#[test]
fn orphans_and_pages_of_unknown_projects_are_found_and_left() {
    let world = world();
    let orphan = format!("packages/00/11/{}/orphan-1.0.tar.gz", "2".repeat(60));
    put(&web(&world, &orphan), b"who knows");
    put(&web(&world, "simple/unknown/index.html"), b"<html></html>");
    put(&web(&world, "simple/unknown/index.v1_json"), b"{}");
    put(&web(&world, "packages/stray.txt"), b"");
    assert_found(
        &world,
        &[
            (&orphan, "orphan: no page lists it"),
            ("packages/stray.txt", "orphan"),
            (
                "simple/unknown/index.html",
                "page of a project that the catalog does not have",
            ),
            ("simple/unknown/index.v1_json", "page of a project"),
        ],
    );
    let finished = world.verify(&["--repair"]);
    // Nothing proves them wrong, so a person decides.
    finished.assert_code(1);
    assert!(web(&world, &orphan).is_file());
    assert!(web(&world, "simple/unknown/index.html").is_file());
}

#[test]
fn damage_is_told_as_json_lines() {
    let world = world();
    flip(&world.path_in_tree(WHEEL));
    std::fs::remove_file(web(&world, "simple/beta/index.v1_json")).unwrap();
    let finished = world.verify(&["--json"]);
    finished.assert_code(1);
    let lines: Vec<serde_json::Value> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let problems: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "problem")
        .collect();
    assert_eq!(problems.len(), 2, "{finished}");
    let corrupt = &problems[0]["problem"];
    assert_eq!(corrupt["kind"], "corrupt");
    assert_eq!(corrupt["project"], "alpha");
    assert_eq!(corrupt["path"], world.file(WHEEL).path());
    assert_eq!(corrupt["repaired"], "no");
    assert_eq!(problems[1]["problem"]["kind"], "page-missing");
    let report = &lines.last().unwrap()["report"];
    assert_eq!(lines.last().unwrap()["event"], "done");
    assert_eq!(report["problems"], 2);
    assert_eq!(report["repaired"], 0);
    assert_eq!(report["stopped"], false);
}

#[test]
fn only_the_named_projects_are_looked_at() {
    let world = world();
    flip(&world.path_in_tree(WHEEL));
    world.verify(&["beta"]).assert_code(0);
    let finished = world.verify(&["Alpha"]);
    finished.assert_code(1);
    assert_says(&finished.stdout, &["1 project, "]);
    let unknown = world.verify(&["nobody"]);
    assert_ne!(
        unknown.code(),
        Some(0),
        "a typo is not a clean bill: {unknown}"
    );
    assert_says(&unknown.stderr, &["nobody"]);
    world.verify(&["no/body"]).assert_code(2);
}

#[test]
fn what_was_taken_on_demand_is_verified_too() {
    let mut universe = Universe::new();
    universe.add_project("alpha", &[Release::simple("1.0")]);
    let world = World::new(universe);
    let serving = world.serve(&[]);
    let wheel = world.file(WHEEL);
    assert!(crate::http::get(&format!("{}/{}", serving.url, wheel.path())).whole);
    serving.stop().assert_code(0);
    // Files that nobody asked for are not missing.
    world.verify(&[]).assert_code(0);
    flip(&world.path_in_tree(WHEEL));
    world.pypi.clear_log();
    assert_found(&world, &[(&wheel.path(), "corrupt")]);
    world.verify(&["--repair"]).assert_code(0);
    world.verify(&[]).assert_code(0);
    world.assert_sound();
}

#[test]
fn a_mirror_that_is_not_there_is_a_wrong_use() {
    let world = World::new(Universe::new());
    let finished = world.verify(&[]);
    finished.assert_code(2);
    assert_says(&finished.stderr, &["there is no mirror at", "--data"]);
    assert!(!world.heliostat.data().exists());
}

#[test]
fn what_is_no_file_or_cannot_be_read_is_told_and_never_waited_for() {
    let world = world();
    let pipe = |path: &Path| {
        let _was_there = std::fs::remove_file(path);
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let wheel = world.path_in_tree(WHEEL);
    pipe(&wheel);
    pipe(&web(&world, "simple/beta/index.html"));
    pipe(&web(&world, "packages/pipe"));
    let metadata = metadata_path(&world);
    std::fs::remove_file(&metadata).unwrap();
    std::os::unix::fs::symlink(metadata.file_name().unwrap(), &metadata).unwrap();
    let wheel = world.file(WHEEL).path();
    let beside = format!("{wheel}.metadata");
    let stray = web(&world, "packages/pipe").display().to_string();
    assert_found(
        &world,
        &[
            (&wheel, "is no regular file"),
            (&beside, "could not open"),
            ("simple/beta/index.html", "page missing"),
            (&stray, "orphan"),
        ],
    );
    std::fs::remove_file(web(&world, "packages/pipe")).unwrap();
    let repair = world.verify(&["--repair"]);
    assert_says(&repair.stdout, &["3 made good"]);
    world.verify(&[]).assert_code(0);
    world.assert_mirrors();
}
