//! What the program says about itself and how it ends: help, version, completions, manual, exit codes, status.

use heliostat_testkit::pypi::{Fault, Kind, Rule};
use heliostat_testkit::universe::{Release, Universe};

use crate::world::{World, assert_says, bare};

fn world() -> World {
    let mut universe = Universe::new();
    for name in ["alpha", "beta"] {
        universe.add_project(name, &[Release::simple("1.0")]);
    }
    World::new(universe)
}

#[test]
fn the_version_names_the_commit() {
    let short = bare().arg("-V").run();
    short.assert_code(0);
    assert_eq!(
        short.stdout,
        format!("heliostat {}\n", env!("CARGO_PKG_VERSION"))
    );
    let long = bare().arg("--version").run();
    long.assert_code(0);
    let commit = long.stdout.split(['(', ')']).nth(1).unwrap();
    let digits = commit.split([' ', '-', '+']).next().unwrap();
    assert!(
        digits == "unknown"
            || (digits.len() >= 7 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "{long}"
    );
}

#[test]
fn every_command_explains_itself() {
    let help = bare().arg("--help").run();
    help.assert_code(0);
    assert!(help.stderr.is_empty(), "{help}");
    assert_says(&help.stdout, &["Exit codes:"]);
    for command in [
        "serve",
        "sync",
        "verify",
        "adopt",
        "status",
        "config",
        "completions",
        "man",
    ] {
        assert_says(&help.stdout, &[command]);
        let own = bare().args([command, "--help"]).run();
        own.assert_code(0);
        assert_says(&own.stdout, &["Usage: heliostat"]);
        // Colours are for terminals.
        assert!(!own.stdout.contains('\u{1b}'), "{own}");
    }
    let nothing = bare().run();
    nothing.assert_code(2);
    assert_says(&nothing.stderr, &["Usage: heliostat"]);
}

#[test]
fn wrong_words_are_a_2_with_a_suggestion() {
    for (arguments, parts) in [
        (&["snyc"][..], &["snyc", "sync"][..]),
        (&["serve", "--lisen", "x"], &["--lisen", "--listen"]),
        (&["serve", "--listen", "x"], &["--listen"]),
        (&["serve", "--tls-cert", "x"], &["--tls-key"]),
        (
            &["serve", "--pin", "no/name", "--data", "/tmp/never-made"],
            &["--pin", "no/name"],
        ),
        (&["verify", "--rate", "fast"], &["fast"]),
        (&["sync", "--upstream", "nowhere", "x"], &["nowhere"]),
        (&["sync", "--jobs", "0", "x"], &["0"]),
        (&["adopt"], &["TREE"]),
        (&["completions", "dos"], &["dos", "bash"]),
    ] {
        let finished = bare().args(arguments).run();
        finished.assert_code(2);
        assert_says(&finished.stderr, parts);
        assert!(finished.stdout.is_empty(), "{finished}");
    }
}

#[test]
fn completions_and_the_manual_are_printed() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = bare().args(["completions", shell]).run();
        script.assert_code(0);
        assert_says(&script.stdout, &["heliostat", "adopt"]);
    }
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("heliostat.bash");
    std::fs::write(&script, bare().args(["completions", "bash"]).run().stdout).unwrap();
    let checked = heliostat_testkit::process::Invocation::new("bash")
        .arg("-n")
        .arg(&script)
        .run();
    checked.assert_code(0);
    let manual = bare().arg("man").run();
    manual.assert_code(0);
    assert_says(&manual.stdout, &[".TH heliostat 1", ".SH", "serve"]);
}

#[test]
fn exit_codes_are_as_promised() {
    let world = world();
    let data = world.heliostat.data().display().to_string();
    // 2: nothing selected, no mirror.
    let none = world.sync(&[]);
    none.assert_code(2);
    assert_says(&none.stderr, &["nothing is selected", "hint:", "--all"]);
    // 0: all done.
    world.sync(&["--all"]).assert_code(0);
    world.heliostat.command("status").run().assert_code(0);
    // 1: done, but something failed.
    world.pypi.add_release("alpha", &Release::simple("2.0"));
    world
        .pypi
        .misbehave(Rule::new(Fault::Status(404)).on(Kind::File));
    let partly = world.sync(&[]);
    partly.assert_code(1);
    let status = world.heliostat.command("status").run();
    status.assert_code(1);
    world.pypi.behave();
    // 3: could not run.
    world.pypi.stop();
    let away = world.sync(&["--recheck"]);
    away.assert_code(3);
    assert_says(&away.stderr, &["error:"]);
    let busy = world.serve(&[]);
    let address = busy.address().to_string();
    let taken = bare()
        .args(["serve", "--data", &data, "--listen", &address])
        .run();
    taken.assert_code(3);
    assert_says(&taken.stderr, &[&address, "hint:", "--listen"]);
    busy.stop().assert_code(0);
    let certificate = bare()
        .args(["serve", "--data", &data, "--listen", "127.0.0.1:0"])
        .args([
            "--tls-cert",
            "/nonexistent.pem",
            "--tls-key",
            "/nonexistent.pem",
        ])
        .run();
    certificate.assert_code(3);
    assert_says(&certificate.stderr, &["/nonexistent.pem"]);
    let file = world.place("file");
    std::fs::write(&file, "").unwrap();
    let no_directory = bare().args(["serve", "--data"]).arg(&file).run();
    no_directory.assert_code(3);
    // 4: our own catalog is damaged.
    std::fs::write(
        world.heliostat.data().join("state/catalog.sqlite"),
        vec![7; 8192],
    )
    .unwrap();
    for name in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _may_be_absent = std::fs::remove_file(world.heliostat.data().join("state").join(name));
    }
    world.heliostat.command("status").run().assert_code(4);
}

#[test]
fn status_tells_what_there_is() {
    let world = world();
    let missing = world.heliostat.command("status").run();
    missing.assert_code(2);
    assert_says(&missing.stderr, &["there is no mirror at"]);
    assert!(!world.heliostat.data().exists());
    world.sync(&["--all"]).assert_code(0);
    let status = world.heliostat.command("status").run();
    status.assert_code(0);
    let serial = world.pypi.universe().serial().to_string();
    assert_says(
        &status.stdout,
        &[
            "projects",
            "2",
            "files",
            "4 (",
            "disk left",
            &serial,
            "in step",
            "(complete)",
            "last 1 sync",
        ],
    );
    let json = world.heliostat.command("status").arg("--json").run();
    json.assert_code(0);
    let document = json.json();
    assert_eq!(document["projects"], 2);
    assert_eq!(document["files"], 4);
    assert_eq!(document["behind_seconds"], 0);
    assert_eq!(document["failures"].as_array().unwrap().len(), 0);
    assert_eq!(document["runs"][0]["updated"], 2);
    assert!(document["disk_free_bytes"].as_u64().unwrap() > 0);
    let bytes = document["size_bytes"].as_u64().unwrap();
    let universe = world.pypi.universe();
    let mut held = 0;
    for file in universe.projects().flat_map(|(_, project)| &project.files) {
        held += file.bytes.len();
        if let Some(metadata) = file.offered_metadata() {
            held += metadata.len();
        }
    }
    assert_eq!(bytes, held as u64);
}

#[test]
fn status_tells_what_failed_and_when_it_is_tried_again() {
    let world = world();
    world
        .pypi
        .misbehave(Rule::new(Fault::Corrupt).on(Kind::File).project("beta"));
    world.sync(&["--all"]).assert_code(1);
    let status = world.heliostat.command("status").run();
    status.assert_code(1);
    assert_says(
        &status.stdout,
        &[
            "beta beta-1.0",
            "1 try, next ",
            "the oldest change we lack is",
        ],
    );
    let json = world.heliostat.command("status").arg("--json").run();
    json.assert_code(1);
    let document = json.json();
    assert_eq!(document["failures"][0]["project"], "beta");
    assert_eq!(document["runs"][0]["complete"], false);
    world.pypi.behave();
    world.sync(&[]).assert_code(0);
    world.heliostat.command("status").run().assert_code(0);
}
