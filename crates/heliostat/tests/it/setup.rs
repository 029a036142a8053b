//! `heliostat setup`: pip and uv ask the index that was set up, other settings stay, and taking it back leaves the bytes
//! that were there.

use std::path::Path;

use heliostat_testkit::clients::{Tool, or_skip};
use heliostat_testkit::process::{Finished, Invocation, find_program};
use heliostat_testkit::universe::{Release, Universe};

use crate::signed_world::SignedWorld;
use crate::world::World;

fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project("acme", &[Release::new("1.0").wheel()]);
    universe
}

fn setup(home: &Path, arguments: &[&str]) -> Finished {
    std::fs::create_dir_all(home).unwrap();
    Invocation::new(env!("CARGO_BIN_EXE_heliostat"))
        .arg("setup")
        .args(arguments)
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .env("XDG_CONFIG_DIRS", home.join("nothing"))
        .current_dir(home)
        .run()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Every file below a directory, with its bytes.
fn everything(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in next.read_dir().into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                let bytes = std::fs::read(entry.path()).unwrap();
                found.push((entry.path().display().to_string(), bytes));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn pip_and_uv_ask_the_index_and_everything_can_be_taken_back() {
    let world = World::new(universe());
    let home = world.place("home");
    let pip_conf = home.join(".config/pip/pip.conf");
    let uv_toml = home.join(".config/uv/uv.toml");
    write(
        &pip_conf,
        "[global]\nindex-url = https://user:secret@old.example/simple/\ntimeout = 5\n",
    );
    write(&uv_toml, "offline = false\n");
    let before = everything(&home);
    let index = world.pypi.index_url();
    let done = setup(&home, &["--index", &index]);
    done.assert_code(0);
    assert!(done.stderr.contains(&index), "{}", done.stderr);
    let pip_says = std::fs::read_to_string(&pip_conf).unwrap();
    assert_eq!(
        pip_says,
        format!("[global]\nindex-url = {index}\ntimeout = 5\n")
    );
    installs(&home, &world);
    // Again is the same, and forgets nothing of what was there first.
    setup(&home, &["--index", &index]).assert_code(0);
    // What somebody writes later stays.
    write(
        &uv_toml,
        &format!(
            "{}[pip]\nstrict = true\n",
            std::fs::read_to_string(&uv_toml).unwrap()
        ),
    );
    setup(&home, &["--undo"]).assert_code(0);
    assert_eq!(
        std::fs::read_to_string(&uv_toml).unwrap(),
        "offline = false\n[pip]\nstrict = true\n"
    );
    write(&uv_toml, "offline = false\n");
    assert_eq!(everything(&home), before);
    let again = setup(&home, &["--undo"]);
    again.assert_code(1);
    assert!(
        again.stderr.contains("nothing to take back"),
        "{}",
        again.stderr
    );
}

fn installs(home: &Path, world: &World) {
    let target = |name: &str| world.place(name);
    if let Some(pip) = or_skip(Tool::PipNewest.find()) {
        let installed = Invocation::new(pip.parent().unwrap().join("python"))
            .args(["-m", "pip", "install", "--no-cache-dir", "acme", "--target"])
            .arg(target("by-pip"))
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .run();
        installed.assert_code(0);
        assert!(target("by-pip").join("acme").exists());
    }
    if let Some(uv) = or_skip(Tool::Uv.find()) {
        let installed = Invocation::new(&uv)
            .args(["pip", "install", "--no-cache", "acme", "--target"])
            .arg(target("by-uv"))
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .run();
        installed.assert_code(0);
        assert!(target("by-uv").join("acme").exists());
    }
}

#[test]
fn a_proxy_is_set_up_with_its_unit_and_what_would_bypass_it_is_told() {
    let signed = SignedWorld::new(universe(), 1);
    let home = signed.world.place("home");
    write(
        &home.join(".config/pip/pip.conf"),
        "[global]\nextra-index-url = https://other.example/simple/\n",
    );
    let before = everything(&home);
    let root = signed.notary.root_file();
    let mirror = "https://mirror.example/a%20b/";
    let arguments = ["--root", root.to_str().unwrap(), "--mirror", mirror];
    let done = setup(
        &home,
        &[&arguments[..], &["--listen", "127.0.0.1:8099"]].concat(),
    );
    done.assert_code(1);
    assert!(
        done.stdout.contains("extra-index-url") || done.stdout.contains("extra index"),
        "{}",
        done.stdout
    );
    let unit = home.join(".config/systemd/user/heliostat-proxy.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    assert!(
        text.contains("\"https://mirror.example/a%%20b/\""),
        "{text}"
    );
    assert_eq!(
        std::fs::read(home.join(".config/heliostat/root.json")).unwrap(),
        std::fs::read(&root).unwrap()
    );
    // The copy may be what a later setup is given.
    let copy = home.join(".config/heliostat/root.json");
    let again = ["--root", copy.to_str().unwrap(), "--mirror", mirror];
    setup(
        &home,
        &[&again[..], &["--listen", "127.0.0.1:8099"]].concat(),
    )
    .assert_code(1);
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&root).unwrap());
    if let Some(analyze) = find_program(&["systemd-analyze"]) {
        let verified = Invocation::new(&analyze)
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(&unit)
            .run();
        verified.assert_code(0);
        assert!(!verified.stderr.contains("Unknown"), "{}", verified.stderr);
    }
    // A unit that somebody has changed is theirs.
    write(&unit, &format!("{text}# mine\n"));
    let undone = setup(&home, &["--undo"]);
    undone.assert_code(1);
    assert!(
        undone.stdout.contains("heliostat-proxy.service"),
        "{}",
        undone.stdout
    );
    std::fs::remove_file(&unit).unwrap();
    assert_eq!(everything(&home), before);
}

#[test]
fn an_image_of_a_machine_is_set_up_for_everybody() {
    let world = World::new(universe());
    let image = world.place("image");
    let done = setup(
        &world.place("home"),
        &[
            "--system",
            "--index",
            "https://pypi.example/simple/",
            "--into",
            image.to_str().unwrap(),
        ],
    );
    done.assert_code(0);
    assert_eq!(
        std::fs::read_to_string(image.join("etc/pip.conf")).unwrap(),
        "[global]\nindex-url = https://pypi.example/simple/\n"
    );
    assert_eq!(
        std::fs::read_to_string(image.join("etc/uv/uv.toml")).unwrap(),
        "[[index]]\nurl = \"https://pypi.example/simple/\"\ndefault = true\n"
    );
}

#[test]
fn what_cannot_be_set_up_changes_nothing() {
    let world = World::new(universe());
    let home = world.place("home");
    write(&home.join(".config/uv/uv.toml"), "index = 3\n");
    let before = everything(&home);
    let said = setup(&home, &["--index", "https://pypi.example/simple/"]);
    said.assert_code(2);
    assert!(said.stderr.contains("uv.toml"), "{}", said.stderr);
    setup(&home, &[]).assert_code(2);
    setup(&home, &["--undo"]).assert_code(1);
    assert_eq!(everything(&home), before);
}

#[test]
fn what_the_proxy_would_refuse_at_every_start_is_not_set_up() {
    let signed = SignedWorld::new(universe(), 1);
    let home = signed.world.place("home");
    write(&home.join("no-root.json"), "{}");
    let before = everything(&home);
    let root = signed.notary.root_file().display().to_string();
    let list = ["--directory", "https://mirrors.example/directory"];
    let https = "https://mirror.example/";
    for (arguments, says) in [
        (
            &["--root", "no-root.json", "--mirror", https] as &[&str],
            "no notary's root",
        ),
        (
            &["--root", &root, "--mirror", "ftp://mirror.example/"],
            "neither http nor https",
        ),
        (
            &["--index", "file:///srv/pypi/simple/"],
            "neither http nor https",
        ),
        (
            &[
                &["--root", &root, "--directory-root", "no-root.json"],
                &list[..],
            ]
            .concat(),
            "no-root.json",
        ),
        (
            &[&["--root", &root, "--directory-root", &root], &list[..]].concat(),
            "a key in common",
        ),
    ] {
        let refused = setup(&home, arguments);
        refused.assert_code(2);
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
        assert_eq!(everything(&home), before);
    }
}
