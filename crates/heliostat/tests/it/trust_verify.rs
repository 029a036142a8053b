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
    let (plain, html) = ("alpha/index.v1_json", "alpha/index.v1_html");
    let evil = replace("../../packages/", "https://evil.invalid/packages/");
    let other = replace("\"sha256\":\"", "\"sha256\":\"0");
    let list = replace("alpha", "evil");
    let wheel = "zeta-3.0-py3-none-any.whl";
    told([
        (plain, Twist::FlipLastByte, 4, "differs", plain),
        (plain, Twist::Status(404), 1, "missing", plain),
        (html, Twist::FlipLastByte, 4, "differs", html),
        ("alpha/index.html", evil, 4, "differs", "alpha/index.html"),
        ("pypi/alpha/json", other, 4, "differs", "pypi/alpha/json"),
        ("simple/index.html", list, 4, "differs", "simple/index.html"),
        (".index.v1_json", longer, 4, "wrong", ".index.v1_json"),
        (
            "simple/index.v1_json",
            listed,
            4,
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

/// What is done to a tree, the exit code, and what is told of which path.
type Harm = (&'static str, fn(&Path), i32, &'static str);

fn write(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "evil").unwrap();
}

fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

fn pipe(path: &Path) {
    let _was_there = std::fs::remove_file(path);
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// What nobody can open, whoever they are.
fn circle(path: &Path) {
    std::fs::remove_file(path).unwrap();
    std::os::unix::fs::symlink(path.file_name().unwrap(), path).unwrap();
}

#[test]
fn whatever_lies_in_a_tree_and_is_not_signed_is_told_and_nothing_ends_the_check() {
    let world = signed(small());
    let root = root(&world.heliostat);
    let tree = world.place("carried");
    copy(&world.heliostat.web(), &tree);
    verify(&root, tree.to_str().unwrap(), &[]).assert_code(0);
    let wheel = world.path_in_tree("zeta-3.0-py3-none-any.whl");
    let wheel = wheel.strip_prefix(world.heliostat.web()).unwrap();
    let wheel: &'static str = wheel.to_str().unwrap().to_owned().leak();
    let beside: &'static str = format!("{wheel}.exe").leak();
    let rows: [Harm; 22] = [
        ("simple/alpha/index.v1_json", write, 4, "differs"),
        ("simple/alpha/index.v1_json", remove, 1, "missing"),
        ("simple/alpha/index.v1_html", write, 4, "differs"),
        ("simple/alpha/index.html", write, 4, "differs"),
        ("simple/alpha/index.html", pipe, 1, "unanswered"),
        ("simple/alpha/else.html", write, 4, "unsigned"),
        ("simple/evil/index.html", write, 4, "unsigned"),
        ("simple/evil/index.v1_json", write, 4, "unsigned"),
        ("simple/Alpha/index.html", write, 4, "unsigned"),
        ("simple/index.v1_html", write, 4, "differs"),
        ("simple/index.html", write, 4, "differs"),
        ("simple/index.v1_json", write, 4, "differs"),
        ("pypi/alpha/json", write, 4, "differs"),
        ("pypi/evil/json", write, 4, "unsigned"),
        ("integrity/a/1/b/provenance", write, 1, "stray"),
        (beside, write, 1, "stray"),
        ("packages/evil.whl", write, 1, "stray"),
        (wheel, pipe, 1, "unanswered"),
        (wheel, circle, 1, "unanswered"),
        ("tuf/9.root.json", write, 1, "odd"),
        ("tuf/9.evil.json", write, 1, "odd"),
        ("tuf/pipe", pipe, 1, "unanswered"),
    ];
    for (path, harm, code, kind) in rows {
        let kept = std::fs::read(tree.join(path)).ok();
        harm(&tree.join(path));
        let finished = verify(&root, tree.to_str().unwrap(), &[]);
        assert_eq!(finished.code(), Some(code), "{path}: {finished:?}");
        let found = findings(&finished);
        assert_eq!(found, [(kind.to_owned(), path.to_owned())], "{path}");
        let _gone = std::fs::remove_file(tree.join(path));
        if let Some(kept) = kept {
            std::fs::write(tree.join(path), kept).unwrap();
        }
    }
    // Every one of several is told, also after one that cannot be opened.
    let copies = |project: &str| {
        let directory = tree.join("simple").join(project);
        let names = std::fs::read_dir(directory).unwrap();
        let copy = |path: &PathBuf| path.to_str().unwrap().ends_with(".index.v1_json");
        names.map(|name| name.unwrap().path()).find(copy).unwrap()
    };
    circle(&copies("alpha"));
    write(&copies("beta"));
    remove(&copies("delta"));
    let finished = verify(&root, tree.to_str().unwrap(), &[]);
    finished.assert_code(4);
    let kinds: Vec<_> = findings(&finished)
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(kinds, ["unanswered", "wrong", "missing", "unanswered"]);
    assert_eq!(report(&finished)["integrity"], 1);
}

#[test]
fn a_page_that_nobody_signed_counts_as_bytes_that_nobody_signed() {
    let world = signed(small());
    write(&world.heliostat.web().join("simple/evil/index.v1_json"));
    write(&world.heliostat.web().join("packages/evil"));
    let verify = bare().args(["trust", "verify", "--root"]);
    let verify = verify.arg(root(&world.heliostat));
    let told = verify.arg(world.heliostat.web()).run();
    told.assert_code(4);
    let counts =
        "2 findings, 1 of them bytes that nobody signed, 1 files that nothing signed names";
    assert_says(&told.stderr, &[counts]);
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
    stale.assert_code(4);
    let found = findings(&stale);
    for (kind, project) in [("differs", "alpha"), ("missing", "delta")] {
        let told = (kind.to_owned(), format!("simple/{project}/index.v1_json"));
        assert!(found.contains(&told), "{found:?}");
    }
}
