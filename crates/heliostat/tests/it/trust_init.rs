//! `heliostat trust init`, cut off anywhere and run again; and what is refused without a trace.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use heliostat_testkit::process::{Finished, Invocation};
use tempfile::TempDir;

use crate::world::{assert_says, bare};

/// A place for a data directory.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn trust(&self, words: &str) -> Invocation {
        bare()
            .arg("trust")
            .args(words.split(' '))
            .arg("--data")
            .arg(self.data())
            .env_remove("HELIOSTAT_PASSPHRASE")
    }

    fn keys(&self) -> PathBuf {
        self.data().join("state/keys")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.keys().join(name)).unwrap_or_default()
    }

    /// `init` ends in the whole state: all keys, a tree that verifies, nothing due.
    #[track_caller]
    fn assert_whole(&self, init: &Finished) {
        init.assert_code(0);
        for (name, mode) in [("offline.key", 0o600), ("online.key", 0o600)] {
            use std::os::unix::fs::PermissionsExt as _;
            let found = std::fs::metadata(self.keys().join(name)).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, mode, "{name}");
        }
        let names = std::fs::read_dir(self.keys()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        // The one that receipts are signed with is no notary's.
        names.retain(|name| name != "receipt.key");
        names.sort();
        let whole = ["offline.key", "offline.pub", "online.key", "online.pub"];
        assert_eq!(names, whole);
        self.trust("status").run().assert_code(0);
        let root = self.data().join("web/tuf/1.root.json");
        bare()
            .args(["trust", "verify"])
            .arg(self.data().join("web"))
            .arg("--root")
            .arg(root)
            .run()
            .assert_code(0);
    }
}

/// Removes what a call that was cut off had not made yet.
fn take_away(directory: &Path, names: &[&str]) {
    for name in names {
        std::fs::remove_file(directory.join(name)).unwrap();
    }
}

#[test]
fn what_an_init_left_that_was_cut_off_between_keys_is_gone_on_with() {
    let whole = ["offline.key", "offline.pub", "online.key", "online.pub"];
    for made in [&whole[..1], &whole[..2], &["offline.key", "online.key"]] {
        let place = Place::new();
        place.trust("init").run().assert_code(0);
        let keys = [place.read("offline.key"), place.read("online.key")];
        // As it was before anything was recorded.
        let state = place.data().join("state");
        let lost: Vec<&str> = (whole.iter().copied())
            .filter(|name| !made.contains(name))
            .collect();
        take_away(&place.keys(), &lost);
        std::fs::write(place.keys().join(".offline.key.new"), "half a k").unwrap();
        for entry in std::fs::read_dir(&state).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::remove_file(path).unwrap();
            }
        }
        std::fs::remove_dir_all(place.data().join("web/tuf")).unwrap();
        let again = place.trust("init").run();
        place.assert_whole(&again);
        assert_eq!(place.read("offline.key"), keys[0]);
        if made.contains(&"online.key") {
            assert_eq!(place.read("online.key"), keys[1]);
        }
        place.trust("init").run().assert_code(2);
    }
}

#[test]
fn an_init_killed_at_any_step_is_finished_by_the_next() {
    if !cfg!(feature = "kill-points") {
        return;
    }
    let mut met = Vec::new();
    for step in heliostat_store::KILL_POINTS {
        let place = Place::new();
        let killed = place
            .trust("init --bins 4")
            .env("HELIOSTAT_KILL_AT", step)
            .run();
        if killed.status.signal() != Some(6) {
            continue;
        }
        met.push(*step);
        let keys = [place.read("offline.key"), place.read("online.key")];
        let root = std::fs::read(place.data().join("web/tuf/1.root.json")).unwrap();
        let again = place.trust("init --bins 4 --expires 30d").run();
        if *step == "described" {
            again.assert_code(2);
        } else {
            again.assert_code(0);
        }
        assert_eq!([place.read("offline.key"), place.read("online.key")], keys);
        let now = std::fs::read(place.data().join("web/tuf/1.root.json")).unwrap();
        assert_eq!(now, root, "{step}: somebody may have taken it already");
        let published = place.data().join("web/tuf/timestamp.json");
        assert!(published.exists(), "{step}");
    }
    for step in [
        "offline-written",
        "publication-noted",
        "one-bin",
        "timestamp-written",
    ] {
        assert!(met.contains(&step), "{step} was not met: {met:?}");
    }
}

#[test]
fn an_init_that_cannot_be_leaves_nothing() {
    let place = Place::new();
    let empty = place.0.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let empty = format!("init --protect --passphrase-file {}", empty.display());
    for (words, says) in [
        ("init --bins 3", "power of two"),
        ("init --expires 5y", "--expires"),
        ("init --trusted-root /nonexistent", "/nonexistent"),
        ("init --protect", "--passphrase-file"),
        (&empty, "the passphrase is empty"),
    ] {
        let run = place.trust(words).run();
        assert!(matches!(run.code(), Some(2 | 3)), "{run}");
        assert_says(&run.stderr, &[says]);
        assert!(!place.data().exists(), "{words}");
    }
    let unset = place
        .trust("init --protect")
        .env("HELIOSTAT_PASSPHRASE", "");
    let unset = unset.run();
    unset.assert_code(2);
    assert_says(&unset.stderr, &["the passphrase is empty"]);
    assert!(!place.data().exists());
}

#[test]
fn a_protected_key_is_gone_on_with_by_its_passphrase_only() {
    let place = Place::new();
    let init = || place.trust("init --protect");
    init()
        .env("HELIOSTAT_PASSPHRASE", "correct horse")
        .run()
        .assert_code(0);
    let key = place.read("offline.key");
    assert!(key.starts_with(b"-----BEGIN ENCRYPTED"));
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _may_be_absent = std::fs::remove_file(place.data().join("state").join(name));
    }
    let wrong = init().env("HELIOSTAT_PASSPHRASE", "battery staple").run();
    wrong.assert_code(2);
    assert_says(&wrong.stderr, &["offline.key", "does not open"]);
    init()
        .env("HELIOSTAT_PASSPHRASE", "correct horse")
        .run()
        .assert_code(0);
    assert_eq!(place.read("offline.key"), key);
}

#[test]
fn a_mistyped_data_directory_is_refused_and_not_made() {
    let place = Place::new();
    let key = place.0.path().join("alice.key");
    bare()
        .args([
            "trust", "keys", "new", "--label", "alice", "--plain", "--out",
        ])
        .arg(&key)
        .run()
        .assert_code(0);
    let id = "0".repeat(64);
    let public = place.0.path().join("alice.pub");
    let public = public.display();
    for words in [
        "status".to_owned(),
        "rebin --bins 4".to_owned(),
        "trusted-root".to_owned(),
        format!("rotate online --new {public} -o next"),
        format!("revoke {id} -o next"),
    ] {
        let run = place.trust(&words).current_dir(place.0.path()).run();
        run.assert_code(2);
        assert_says(&run.stderr, &["there is no mirror at", "--data"]);
        assert!(!place.data().exists(), "{words}");
        // Nor is a directory of somebody else's made one.
        std::fs::create_dir(place.data()).unwrap();
        place.trust(&words).run().assert_code(2);
        std::fs::remove_dir(place.data()).expect("nothing was put into it");
    }
}
