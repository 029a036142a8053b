//! Where keys and passphrases come from when a mirror is signed: the environment, a program that stands for a hardware
//! module, a terminal.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use heliostat_testkit::process::{Finished, Invocation, find_program};

use crate::notary_world::{begin, root};
use crate::sync_world::small;
use crate::world::{World, assert_says};

const PASSPHRASE: &str = "correct horse battery";

/// A signed mirror whose online key has been taken from its usual place.
pub(crate) struct House {
    pub(crate) world: World,
    pem: String,
}

impl House {
    pub(crate) fn new() -> Self {
        let world = World::new(small());
        begin(&world.heliostat, 4);
        let place = world.heliostat.data().join("state/keys/online.key");
        let pem = std::fs::read_to_string(&place).unwrap();
        std::fs::remove_file(&place).unwrap();
        Self { world, pem }
    }

    pub(crate) fn sync(&self, source: &str, environment: Option<(&str, &str)>) -> Finished {
        let mut sync = self
            .world
            .heliostat
            .command("sync")
            .args(["--upstream", &self.world.pypi.index_url(), "--all"])
            .args(["--online-key", source]);
        if let Some((name, value)) = environment {
            sync = sync.env(name, value);
        }
        sync.run()
    }

    #[track_caller]
    pub(crate) fn assert_signed(&self) {
        let verified = self
            .world
            .heliostat
            .bare()
            .args(["trust", "verify"])
            .arg(self.world.heliostat.web())
            .arg("--root")
            .arg(root(&self.world.heliostat))
            .run();
        verified.assert_code(0);
        assert_says(&verified.stderr, &["6 signed pages"]);
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.world.place(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

#[test]
fn the_online_key_may_stand_in_the_environment() {
    let house = House::new();
    let missing = house.sync("env:NOTARY_KEY", None);
    missing.assert_code(2);
    assert_says(&missing.stderr, &["NOTARY_KEY", "is not set"]);
    let wrong = house.sync("env:NOTARY_KEY", Some(("NOTARY_KEY", "not a key")));
    wrong.assert_code(2);
    assert_says(&wrong.stderr, &["NOTARY_KEY", "PEM"]);
    assert!(!wrong.stderr.contains("not a key"), "a secret may be in it");
    house
        .sync("env:NOTARY_KEY", Some(("NOTARY_KEY", &house.pem)))
        .assert_code(0);
    house.assert_signed();
}

/// A stand-in for a hardware module: a script that hands what it gets on stdin to OpenSSL.
pub(crate) fn module(house: &House, openssl: &Path) -> String {
    let key = house.write("module.key", &house.pem, 0o600);
    let script = format!(
        "#!/bin/sh\nset -e\nbytes=$(mktemp)\ntrap 'rm -f \"$bytes\"' EXIT\ncat > \"$bytes\"\n\
         '{}' pkeyutl -sign -rawin -inkey '{}' -in \"$bytes\" | od -An -v -tx1 | tr -d ' \\n'\n",
        openssl.display(),
        key.display()
    );
    let path = house.write("module", &script, 0o700);
    format!("command:{}", path.display())
}

#[test]
fn a_program_that_stands_for_a_hardware_module_signs() {
    let Some(openssl) = find_program(&["openssl"]) else {
        return;
    };
    let house = House::new();
    let source = module(&house, &openssl);
    house.sync(&source, None).assert_code(0);
    house.assert_signed();

    // One that fails, one that answers nonsense, one that signs with another key: nothing is signed, and it is told.
    let timestamp = house.world.heliostat.web().join("tuf/timestamp.json");
    let before = std::fs::read(&timestamp).unwrap();
    for (name, script, says) in [
        (
            "broken",
            "#!/bin/sh\ncat >/dev/null\nexit 7\n".to_owned(),
            "exit status: 7",
        ),
        (
            "silly",
            "#!/bin/sh\ncat >/dev/null\necho hello\n".to_owned(),
            "hello",
        ),
        (
            "other",
            format!("#!/bin/sh\ncat >/dev/null\necho {}\n", "0".repeat(128)),
            "none of the root's online keys",
        ),
    ] {
        let path = house.write(name, &script, 0o700);
        let run = house.sync(&format!("command:{}", path.display()), None);
        assert!(matches!(run.code(), Some(2 | 3)), "{run}");
        assert_says(&run.stderr, &[name, says]);
        assert_eq!(std::fs::read(&timestamp).unwrap(), before, "{name}");
    }
    let absent = house.sync("command:/nonexistent/module", None);
    absent.assert_code(3);
    assert_says(&absent.stderr, &["/nonexistent/module"]);
}

/// Runs the program on a terminal, where these answers are typed.
fn on_terminal(world: &World, answers: &[&str], arguments: &[&str]) -> Option<Finished> {
    let python = find_program(&["python3"])?;
    Some(
        Invocation::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/terminal.py"))
            .args(answers)
            .arg("--")
            .arg(env!("CARGO_BIN_EXE_heliostat"))
            .args(arguments)
            .current_dir(world.place(""))
            .run(),
    )
}

#[test]
fn passphrases_are_asked_for_on_a_terminal_and_never_shown() {
    let world = World::new(small());
    let new = [
        "trust",
        "keys",
        "new",
        "--label",
        "alice",
        "--out",
        "alice.key",
    ];
    let Some(differing) = on_terminal(&world, &[PASSPHRASE, "something else"], &new) else {
        return;
    };
    differing.assert_code(2);
    assert_says(&differing.stdout, &["the two passphrases differ"]);
    assert!(!world.place("alice.key").exists());
    let empty = on_terminal(&world, &["", ""], &new).unwrap();
    empty.assert_code(2);
    assert!(!world.place("alice.key").exists());

    let made = on_terminal(&world, &[PASSPHRASE, PASSPHRASE], &new).unwrap();
    made.assert_code(0);
    assert_says(
        &made.stdout,
        &["Passphrase for the new key: ", "Once more: ", "keyid "],
    );
    let key = std::fs::read_to_string(world.place("alice.key")).unwrap();
    assert_says(&key, &["ENCRYPTED PRIVATE KEY"]);
    world
        .heliostat
        .bare()
        .args([
            "trust",
            "root",
            "draft",
            "--signers",
            "alice.pub",
            "--threshold",
            "1",
        ])
        .args(["--online", "alice.pub", "-o", "root"])
        .current_dir(world.place(""))
        .run()
        .assert_code(0);
    let sign = [
        "trust",
        "root",
        "sign",
        "root",
        "--key",
        "alice.key",
        "-o",
        "sig",
    ];
    let wrong = on_terminal(&world, &["a wrong one"], &sign).unwrap();
    wrong.assert_code(2);
    assert_says(&wrong.stdout, &["alice.key", "does not open"]);
    assert!(!world.place("sig").exists());
    let signed = on_terminal(&world, &[PASSPHRASE], &sign).unwrap();
    signed.assert_code(0);
    for run in [&differing, &made, &wrong, &signed] {
        for secret in [PASSPHRASE, "a wrong one", "something else"] {
            assert!(!run.stdout.contains(secret), "a secret was shown: {run}");
        }
    }
}

#[test]
fn without_a_terminal_it_is_told_where_a_passphrase_may_stand() {
    let world = World::new(small());
    let new = world
        .heliostat
        .bare()
        .args([
            "trust",
            "keys",
            "new",
            "--label",
            "alice",
            "--out",
            "alice.key",
        ])
        .current_dir(world.place(""))
        .run();
    new.assert_code(2);
    assert_says(
        &new.stderr,
        &["no terminal", "--passphrase-file", "HELIOSTAT_PASSPHRASE"],
    );
    assert!(!world.place("alice.key").exists());
}

#[test]
fn a_machine_gives_its_protected_online_key_a_passphrase() {
    let house = House::new();
    let Some(openssl) = find_program(&["openssl"]) else {
        return;
    };
    let plain = house.write("plain.key", &house.pem, 0o600);
    let protected = house.world.place("protected.key");
    Invocation::new(openssl)
        .args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout"])
        .arg(format!("pass:{PASSPHRASE}"))
        .arg("-in")
        .arg(plain)
        .arg("-out")
        .arg(&protected)
        .run()
        .assert_code(0);
    let source = format!("file:{}", protected.display());
    let silent = house.sync(&source, None);
    silent.assert_code(2);
    assert_says(
        &silent.stderr,
        &["protected.key", "passphrase", "HELIOSTAT_PASSPHRASE"],
    );
    let wrong = house.sync(&source, Some(("HELIOSTAT_PASSPHRASE", "wrong")));
    wrong.assert_code(2);
    assert_says(&wrong.stderr, &["protected.key", "does not open"]);
    house
        .sync(&source, Some(("HELIOSTAT_PASSPHRASE", PASSPHRASE)))
        .assert_code(0);
    house.assert_signed();
}
