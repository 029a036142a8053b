//! Lock files that are made behind a proxy: what the index beside it gave is named by that index's own addresses, and
//! what an `exec` left that was killed is mended by the next.

use std::path::Path;

use heliostat_testkit::clients::{Uv, or_skip};
use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::{Finished, Invocation};
use heliostat_testkit::pypi::FakePyPi;
use heliostat_testkit::universe::{Release, Universe};

use crate::signed_world::SignedWorld;

const PROJECT: &str = "[project]\nname = \"app\"\nversion = \"0\"\nrequires-python = \">=3.9\"\n\
                       dependencies = [\"private\", \"acme\"]\n";

fn universe_of(project: &str) -> Universe {
    let mut universe = Universe::new();
    universe.add_project(project, &[Release::new("1.0").wheel()]);
    universe
}

fn heliostat(words: &[&str]) -> Invocation {
    Invocation::new(env!("CARGO_BIN_EXE_heliostat")).args(words)
}

#[test]
fn a_lock_names_the_files_of_an_origin_at_the_origin() {
    let Some(uv) = or_skip(Uv::find()) else {
        return;
    };
    let origin = FakePyPi::serve(universe_of("private"));
    let signed = SignedWorld::new(universe_of("acme"), 4);
    let mirror = TreeMirror::serve(signed.tree());
    let index = origin.index_url();
    let with_origin = ["--origin", "last", "--origin-url", &index];
    let proxy = signed.proxy_with(&[&mirror], &with_origin);
    let project = signed.world.place("app");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("pyproject.toml"), PROJECT).unwrap();
    uv.lock(&proxy.index_url(), &project).assert_code(0);
    proxy.stop().assert_code(0);
    let lock = project.join("uv.lock");
    let text = || std::fs::read_to_string(&lock).unwrap();
    let above = index.strip_suffix("simple/").unwrap();
    let own = format!("url = \"{above}packages/");
    assert!(text().contains(&own), "{}", text());
    heliostat(&["lock", "normalize", "--origin-url", &index])
        .arg(&lock)
        .run()
        .assert_code(0);
    let normal = text();
    let registry = format!("registry = \"{}\"", index.trim_end_matches('/'));
    assert!(normal.contains(&own), "{normal}");
    assert!(normal.contains(&registry), "{normal}");
    let pypi = concat!("https://files.python", "hosted.org/packages/");
    assert_eq!(normal.matches(pypi).count(), 1, "only acme's: {normal}");
    // So it is found right, and installed from, behind a proxy that has the same origin.
    let synced = exec_with_origin(&signed, &mirror, &index)
        .args(["--", "sh", "-c", "exec \"$0\" \"$@\""])
        .arg(uv_program())
        .args(["sync", "--locked", "--no-install-project", "--cache-dir"])
        .arg(signed.world.place("cache"))
        .env("UV_PYTHON", uv_program().with_file_name("python"))
        .env("UV_PYTHON_DOWNLOADS", "never")
        .current_dir(&project)
        .run();
    synced.assert_code(0);
    assert_eq!(text(), normal);
}

fn uv_program() -> std::path::PathBuf {
    heliostat_testkit::clients::Tool::Uv.find().unwrap()
}

fn exec_with_origin(signed: &SignedWorld, mirror: &TreeMirror, index: &str) -> Invocation {
    heliostat(&["exec", "--mirror", &mirror.url(), "--data"])
        .arg(signed.world.place("exec"))
        .arg("--root")
        .arg(signed.notary.root_file())
        .env("HELIOSTAT_ORIGIN", "last")
        .env("HELIOSTAT_ORIGIN_URL", index)
}

#[test]
fn exec_mends_what_one_left_that_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("uv.lock");
    let text = concat!(
        "version = 1\n[[package]]\nname = \"acme\"\nversion = \"1.0\"\n",
        "source = { registry = \"https://pypi",
        ".org/simple\" }\n"
    );
    std::fs::write(&lock, text).unwrap();
    let exec = |script: &str| exec_at_nothing(directory.path(), script);
    exec("kill -9 $PPID");
    let left = std::fs::read_to_string(&lock).unwrap();
    assert!(left.contains("http://127.0.0.1:1/simple"), "{left}");
    let said = exec("true");
    said.assert_code(0);
    assert_eq!(std::fs::read_to_string(&lock).unwrap(), text);
    assert!(said.stderr.contains("uv.lock"), "{said}");
    let said = exec("true");
    assert!(!said.stderr.contains("uv.lock"), "{said}");
    // Where somebody answers, it may be a proxy that stays.
    let lives = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}", lives.local_addr().unwrap());
    let other = text.replace(concat!("https://pypi", ".org"), &place);
    std::fs::write(&lock, &other).unwrap();
    exec("true").assert_code(0);
    assert_eq!(std::fs::read_to_string(&lock).unwrap(), other);
}

fn exec_at_nothing(directory: &Path, script: &str) -> Finished {
    heliostat(&["exec", "--index", "http://127.0.0.1:1/simple/"])
        .args(["--", "sh", "-c", script])
        .current_dir(directory)
        .run()
}

/// An address that nothing is asked at is a mistake, and not a wish.
#[test]
fn an_origins_address_alone_is_refused() {
    let words = ["proxy", "--mirror", "http://127.0.0.1:1/", "--root"];
    let root = tempfile::NamedTempFile::new().unwrap();
    let said = heliostat(&words)
        .arg(root.path())
        .args(["--origin-url", "http://127.0.0.1:2/simple/"])
        .run();
    said.assert_code(2);
    assert!(said.stderr.contains("--origin last"), "{said}");
}
