//! `heliostat trust verify URL`: a running mirror is looked at whole, nothing of it is believed, and every problem is told.

use std::path::{Path, PathBuf};

use heliostat_testkit::clients::{Nginx, or_skip};
use heliostat_testkit::mirror::{Mutation, TreeMirror, Twist};
use heliostat_testkit::process::Finished;
use heliostat_testkit::universe::{Release, Universe};
use serde_json::Value;

use crate::notary_world::{begin, copy, root};
use crate::sync_world::small;
use crate::world::{World, assert_says, bare, until};

/// A signed tree that nobody changes any more.
fn signed(universe: Universe) -> World {
    let world = World::new(universe);
    begin(&world.heliostat, 16);
    world.sync(&["--all"]).assert_code(0);
    world
}

fn verify(root: &Path, place: &str, arguments: &[&str]) -> Finished {
    bare()
        .args(["trust", "verify", "--json", "--tries", "1", "--root"])
        .arg(root)
        .args(arguments)
        .arg(place)
        .run()
}

/// The last line: what was seen.
fn report(finished: &Finished) -> Value {
    serde_json::from_str(finished.stdout.lines().last().unwrap()).unwrap()
}

/// Kinds and paths of what was found.
fn findings(finished: &Finished) -> Vec<(String, String)> {
    let lines = finished.stdout.lines();
    let values = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    values
        .filter(|value| value.get("kind").is_some())
        .map(|value| (text(&value, "kind"), text(&value, "path")))
        .collect()
}

#[test]
fn a_mirror_that_is_away_is_named_and_no_option_that_was_not_given() {
    let world = signed(small());
    let away = verify(&root(&world.heliostat), "http://127.0.0.1:9/", &[]);
    away.assert_code(3);
    assert_says(
        &away.stderr,
        &["cannot check the mirror `http://127.0.0.1:9/`", "hint: "],
    );
    assert!(!away.stderr.contains("--upstream"), "{away}");
}

#[test]
fn a_running_mirror_is_found_to_be_what_its_directory_is() {
    let world = signed(small());
    let root = root(&world.heliostat);
    let on_disk = verify(&root, world.heliostat.web().to_str().unwrap(), &[]);
    on_disk.assert_code(0);
    let serving = world.heliostat.serve(["--offline"]);
    let nginx = or_skip(Nginx::serve(&world.heliostat.web(), ""));
    let plain = TreeMirror::serve(world.heliostat.web());
    let nginx_url = nginx.as_ref().map(Nginx::url);
    for url in [Some(serving.url.clone()), nginx_url, Some(plain.url())] {
        let Some(url) = url else { continue };
        let whole = verify(&root, &url, &["--files", "all"]);
        whole.assert_code(0);
        assert_eq!(report(&whole), report(&on_disk), "{url}");
        let none = verify(&root, &url, &["--files", "none"]);
        none.assert_code(0);
        assert_eq!(
            (&report(&none)["files"], &report(&none)["findings"]),
            (&0.into(), &0.into())
        );
    }
    let before = plain.requests().len();
    verify(&root, &plain.url(), &["--sample", "2"]).assert_code(0);
    let asked = plain.requests()[before..].to_vec();
    let files = asked
        .iter()
        .filter(|path| path.contains("/packages/") && !path.ends_with(".metadata"));
    assert_eq!(files.count(), 2, "{asked:?}");
    // The same choice for a directory.
    let sample = verify(
        &root,
        world.heliostat.web().to_str().unwrap(),
        &["--files", "sample", "--sample", "1"],
    );
    sample.assert_code(0);
    assert!(report(&sample)["files"].as_u64() < report(&on_disk)["files"].as_u64());
}

/// What is wrong, the exit code, and what is told of which path.
type Row = (&'static str, Twist, i32, &'static str, &'static str);

fn told(rows: impl IntoIterator<Item = Row>) {
    let world = signed(small());
    let root = root(&world.heliostat);
    let mirror = TreeMirror::serve(world.heliostat.web());
    for (path, twist, code, kind, about) in rows {
        mirror.mutate([Mutation::new(path, twist.clone())]);
        let finished = verify(&root, &mirror.url(), &["--files", "all"]);
        let what = format!("{path} {twist:?}");
        assert_eq!(finished.code(), Some(code), "{what}: {finished:?}");
        let found = findings(&finished);
        let is_told = found
            .iter()
            .any(|(found, path)| found == kind && path.contains(about));
        assert!(is_told, "{what}: {found:?}");
        assert_eq!(report(&finished)["findings"], found.len(), "{what}");
    }
    mirror.mutate([]);
    verify(&root, &mirror.url(), &["--files", "all"]).assert_code(0);
}

#[test]
fn whatever_a_mirror_does_with_metadata_is_told() {
    let timestamp = "tuf/timestamp.json";
    told([
        (timestamp, Twist::FlipLastByte, 4, "wrong", timestamp),
        (timestamp, Twist::Endless, 4, "wrong", timestamp),
        (timestamp, Twist::Status(404), 1, "missing", timestamp),
        (".snapshot.", Twist::FlipLastByte, 4, "wrong", ".snapshot."),
        ("bin-16-", Twist::Status(404), 1, "missing", "bin-16-"),
        ("bin-16-", Twist::Endless, 4, "wrong", "bin-16-"),
    ]);
}

#[test]
fn whatever_a_mirror_does_with_pages_and_files_is_told() {
    let replace = |from: &str, to: &str| Twist::Replace(from.to_owned(), to.to_owned());
    let listed = replace("\"projects\":[", "\"projects\":[{\"name\":\"evil\"},");
    let longer = replace("\"files\":[", "\"files\":[ ");
    let plain = "alpha/index.v1_json";
    let wheel = "zeta-3.0-py3-none-any.whl";
    told([
        (plain, Twist::FlipLastByte, 1, "differs", plain),
        (".index.v1_json", longer, 4, "wrong", ".index.v1_json"),
        (
            "simple/index.v1_json",
            listed,
            1,
            "unsigned",
            "simple/evil/",
        ),
        (wheel, Twist::FlipLastByte, 4, "wrong", wheel),
        (wheel, Twist::Longer(10), 4, "wrong", wheel),
        (wheel, Twist::Endless, 4, "wrong", wheel),
        (wheel, Twist::Status(404), 1, "missing", wheel),
        (wheel, Twist::Status(503), 1, "unanswered", wheel),
    ]);
}

#[test]
fn a_mirror_that_is_down_is_not_a_mirror_that_lies() {
    let mut universe = Universe::new();
    for index in 0..20 {
        universe.add_project(&format!("p{index}"), &[Release::new("1.0").wheel()]);
    }
    let world = signed(universe);
    let root = root(&world.heliostat);
    let mut mirror = TreeMirror::serve(world.heliostat.web());
    for twist in [Twist::Status(503), Twist::Reset, Twist::Status(403)] {
        mirror.mutate([Mutation::new("/", twist)]);
        let down = verify(&root, &mirror.url(), &[]);
        down.assert_code(3);
        assert_says(&down.stderr, &[&mirror.url()]);
    }
    // It falls silent in the middle: what was seen is told, and the rest is not asked for.
    mirror.mutate([Mutation::new("/packages/", Twist::Status(503))]);
    let broken = verify(&root, &mirror.url(), &["--files", "all"]);
    broken.assert_code(3);
    assert_eq!(findings(&broken).len(), 16, "{broken:?}");
    mirror.kill();
    verify(&root, &mirror.url(), &[]).assert_code(3);
    verify(&root, "http://", &[]).assert_code(2);
}

#[test]
fn a_mirror_may_go_on_while_it_is_looked_at() {
    let world = signed(small());
    let root_file = world.place("root.json");
    std::fs::copy(root(&world.heliostat), &root_file).unwrap();
    let before = world.place("before");
    copy(&world.heliostat.web(), &before);
    world.pypi.add_release("alpha", &Release::simple("6.0"));
    world.pypi.delete_project("delta");
    world.sync(&[]).assert_code(0);
    let after: PathBuf = world.heliostat.web();
    let mirror = TreeMirror::serve(&before);
    mirror.delay(std::time::Duration::from_millis(30));
    let arguments = ["--jobs", "1", "--files", "none"];
    let finished = std::thread::scope(|scope| {
        let check = scope.spawn(|| verify(&root_file, &mirror.url(), &arguments));
        until("the snapshot is read", || {
            mirror
                .requests()
                .iter()
                .any(|path| path.contains("snapshot"))
        });
        mirror.move_to(&after);
        check.join().unwrap()
    });
    finished.assert_code(0);
    // The same pages without the newer state that explains them.
    std::fs::copy(
        before.join("tuf/timestamp.json"),
        after.join("tuf/timestamp.json"),
    )
    .unwrap();
    let stale = verify(&root_file, &mirror.url(), &arguments);
    stale.assert_code(1);
    let found = findings(&stale);
    for project in ["alpha", "delta"] {
        let differs = (
            "differs".to_owned(),
            format!("simple/{project}/index.v1_json"),
        );
        assert!(found.contains(&differs), "{found:?}");
    }
}
