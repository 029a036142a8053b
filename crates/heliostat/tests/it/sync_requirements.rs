//! Requirements and lock files as sources of a selection: what they take, and what happens when they change.

use std::path::PathBuf;

use heliostat_testkit::fixture::sha256_hex;
use heliostat_testkit::universe::{Release, Universe};

use crate::world::{World, assert_says};

fn world() -> World {
    let mut universe = Universe::new();
    for name in ["alpha", "beta", "gamma", "delta"] {
        let releases = [
            Release::simple("1.0"),
            Release::simple("1.5"),
            Release::simple("2.0"),
        ];
        universe.add_project(name, &releases);
    }
    World::new(universe)
}

fn write(world: &World, name: &str, text: &str) -> String {
    let path: PathBuf = world.place(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn files(world: &World, project: &str) -> Vec<String> {
    world.assert_consistent();
    world.listed(project)
}

#[track_caller]
fn assert_files(world: &World, project: &str, versions: &[&str]) {
    let expected: Vec<String> = versions
        .iter()
        .flat_map(|version| {
            [
                format!("{project}-{version}-py3-none-any.whl"),
                format!("{project}-{version}.tar.gz"),
            ]
        })
        .collect();
    assert_eq!(files(world, project), expected);
}

#[test]
fn requirements_include_others_and_obey_constraints() {
    let world = world();
    write(
        &world,
        "more/dev.txt",
        "gamma>=1.5 ; python_version > '3'\n-c cap.txt\n",
    );
    write(&world, "more/cap.txt", "gamma<2\nunasked==1\n");
    let outer = write(&world, "limits.txt", "alpha<2\n");
    let main = write(
        &world,
        "requirements.txt",
        "# what we need\nalpha\nbeta[extra]==1.0 \\\n    --hash=sha256:00\n-r more/dev.txt\n--index-url https://example.invalid/\n-e .\n",
    );
    let run = world.sync(&["-r", &main, "-c", &outer]);
    run.assert_code(0);
    world.assert_holds(&["alpha", "beta", "gamma"]);
    assert_files(&world, "alpha", &["1.0", "1.5"]);
    assert_files(&world, "beta", &["1.0"]);
    assert_files(&world, "gamma", &["1.5"]);
    assert_says(&run.stderr, &["requirements.txt:6", "-e ."]);
}

#[test]
fn a_file_given_again_replaces_what_it_said() {
    let world = world();
    let one = write(&world, "one.txt", "alpha==1.0\nbeta\n");
    let two = write(&world, "two.txt", "beta==2.0\ngamma==1.0\n");
    world
        .sync(&["-r", &one, "-r", &two, "delta==1.0"])
        .assert_code(0);
    world.assert_holds(&["alpha", "beta", "delta", "gamma"]);
    write(&world, "one.txt", "alpha==2.0\n");
    // Nobody gives the file: what it said stands.
    world.sync(&[]).assert_code(0);
    assert_files(&world, "alpha", &["1.0"]);
    world.sync(&["-r", &one]).assert_code(0);
    world.assert_holds(&["alpha", "beta", "delta", "gamma"]);
    assert_files(&world, "alpha", &["2.0"]);
    assert_files(&world, "beta", &["2.0"]);
    world.sync(&["-r", &one, "--only"]).assert_code(0);
    world.assert_holds(&["alpha"]);
    write(&world, "one.txt", "# nothing\n");
    world.sync(&["-r", &one, "gamma"]).assert_code(0);
    world.assert_holds(&["gamma"]);
}

#[test]
fn lock_files_take_exactly_what_they_lock() {
    for (name, text) in LOCKS {
        let world = world();
        let path = write(&world, name, &with_digests(&world, text));
        let run = world.sync(&["-r", &path]);
        run.assert_code(0);
        world.assert_holds(&["alpha", "beta"]);
        assert!(
            files(&world, "alpha")
                .iter()
                .all(|file| file.starts_with("alpha-1.5")),
            "{run}"
        );
        assert!(
            files(&world, "beta")
                .iter()
                .all(|file| file.starts_with("beta-2.0")),
            "{run}"
        );
        let moved = text.replace("2.0", "1.0");
        write(&world, name, &with_digests(&world, &moved));
        world.sync(&["-r", &path]).assert_code(0);
        assert!(
            files(&world, "beta")
                .iter()
                .all(|file| file.starts_with("beta-1.0"))
        );
    }
}

#[test]
fn a_broken_lock_file_is_a_usage_error() {
    let world = world();
    for name in ["uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock"] {
        let path = write(&world, name, "this is [not a lock");
        let run = world.sync(&["-r", &path]);
        run.assert_code(2);
        assert_says(&run.stderr, &[name]);
    }
    assert_eq!(world.pypi.count_all(), 0);
}

/// Replaces `{sha256 of FILE}` by that file's digest.
fn with_digests(world: &World, text: &str) -> String {
    let mut text = text.to_owned();
    for project in ["alpha", "beta"] {
        for version in ["1.0", "1.5", "2.0"] {
            for file in [
                format!("{project}-{version}-py3-none-any.whl"),
                format!("{project}-{version}.tar.gz"),
            ] {
                let digest = sha256_hex(&world.file(&file).bytes);
                text = text.replace(&format!("{{{file}}}"), &digest);
            }
        }
    }
    text
}

/// The same two packages, as each tool locks them: `alpha` 1.5 and `beta` 2.0.
const LOCKS: [(&str, &str); 4] = [
    ("uv.lock", UV),
    ("pylock.toml", PYLOCK),
    ("poetry.lock", POETRY),
    ("Pipfile.lock", PIPFILE),
];

const UV: &str = r#"version = 1
revision = 2
requires-python = ">=3.9"

[[package]]
name = "alpha"
version = "1.5"
source = { registry = "https://index.invalid/simple" }
sdist = { url = "https://example.invalid/alpha-1.5.tar.gz", hash = "sha256:{alpha-1.5.tar.gz}", size = 1 }
wheels = [
    { url = "https://example.invalid/alpha-1.5-py3-none-any.whl", hash = "sha256:{alpha-1.5-py3-none-any.whl}", size = 1 },
]

[[package]]
name = "beta"
version = "2.0"
source = { registry = "https://index.invalid/simple" }
wheels = [
    { url = "https://example.invalid/beta-2.0-py3-none-any.whl", hash = "sha256:{beta-2.0-py3-none-any.whl}", size = 1 },
]

[[package]]
name = "ours"
version = "0.1"
source = { editable = "." }
"#;

const PYLOCK: &str = r#"lock-version = "1.0"
created-by = "a test"

[[packages]]
name = "alpha"
version = "1.5"
index = "https://index.invalid/simple"
[[packages.wheels]]
name = "alpha-1.5-py3-none-any.whl"
url = "https://example.invalid/alpha-1.5-py3-none-any.whl"
hashes = { sha256 = "{alpha-1.5-py3-none-any.whl}" }

[[packages]]
name = "beta"
version = "2.0"
[[packages.wheels]]
name = "beta-2.0-py3-none-any.whl"
url = "https://example.invalid/beta-2.0-py3-none-any.whl"
hashes = { sha256 = "{beta-2.0-py3-none-any.whl}" }
"#;

const POETRY: &str = r#"[[package]]
name = "alpha"
version = "1.5"
description = ""
optional = false
python-versions = ">=3.8"
files = [
    {file = "alpha-1.5-py3-none-any.whl", hash = "sha256:{alpha-1.5-py3-none-any.whl}"},
    {file = "alpha-1.5.tar.gz", hash = "sha256:{alpha-1.5.tar.gz}"},
]

[[package]]
name = "beta"
version = "2.0"
description = ""
optional = false
python-versions = ">=3.8"
files = [
    {file = "beta-2.0-py3-none-any.whl", hash = "sha256:{beta-2.0-py3-none-any.whl}"},
]

[metadata]
lock-version = "2.1"
python-versions = ">=3.9"
content-hash = "00"
"#;

const PIPFILE: &str = r#"{
  "_meta": {"hash": {"sha256": "00"}, "pipfile-spec": 6, "requires": {}, "sources": []},
  "default": {
    "alpha": {"hashes": ["sha256:{alpha-1.5-py3-none-any.whl}", "sha256:{alpha-1.5.tar.gz}"], "index": "pypi", "version": "==1.5"}
  },
  "develop": {
    "beta": {"hashes": ["sha256:{beta-2.0-py3-none-any.whl}"], "version": "==2.0"}
  }
}
"#;
