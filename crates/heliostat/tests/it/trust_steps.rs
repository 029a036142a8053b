//! What `heliostat trust` prints to be done is typed word for word, to the end, and a client that knew the mirror before
//! takes what came of it.

use std::path::{Path, PathBuf};

use heliostat_testkit::process::{Finished, Invocation};

use crate::notary_world::{begin, root, take};
use crate::sync_world::small;
use crate::world::{World, assert_says};

/// A mirror, and a folder in which its people have their keys.
struct House {
    world: World,
    folder: PathBuf,
}

impl House {
    fn new() -> Self {
        let world = World::new(small());
        let folder = world.place("people");
        std::fs::create_dir_all(&folder).unwrap();
        Self { world, folder }
    }

    /// One that three people have signed for.
    fn of_three() -> Self {
        let house = Self::new();
        for name in ["alice", "bob", "carol", "online"] {
            house.key(name);
        }
        let data = house.data();
        house.typed(&[
            "heliostat trust root draft --signers alice.pub,bob.pub,carol.pub --threshold 2 --online online.pub -o root",
            "heliostat trust root sign root --key alice.key -o root.alice",
            "heliostat trust root sign root --key bob.key -o root.bob",
            "heliostat trust root assemble root root.alice root.bob -o 1.root.json",
            "heliostat trust delegate draft --root 1.root.json --projects 6 -o below",
            "heliostat trust delegate sign below --key alice.key -o below.alice",
            "heliostat trust delegate sign below --key carol.key -o below.carol",
            "heliostat trust delegate assemble below below.alice below.carol --root 1.root.json -o .",
            &format!("mkdir -p {data}/state/keys && cp online.key {data}/state/keys/"),
            &format!("heliostat trust install --data {data} 1.root.json 1.targets.json 1.bins.json"),
        ]);
        house.world.sync(&["--all"]).assert_code(0);
        house
    }

    fn data(&self) -> String {
        self.world.heliostat.data().display().to_string()
    }

    /// Types lines into a shell, which ends with the first that fails.
    fn shell(&self, lines: &[&str]) -> Finished {
        let program = Path::new(env!("CARGO_BIN_EXE_heliostat"));
        let mut path = program.parent().unwrap().as_os_str().to_owned();
        path.push(":/usr/bin:/bin");
        Invocation::new("/bin/sh")
            .args(["-e", "-c", &lines.join("\n")])
            .env("PATH", &path)
            .current_dir(&self.folder)
            .run()
    }

    #[track_caller]
    fn typed(&self, lines: &[&str]) -> Finished {
        let finished = self.shell(lines);
        finished.assert_code(0);
        finished
    }

    fn key(&self, name: &str) {
        self.typed(&[&format!(
            "heliostat trust keys new --label {name} --out {name}.key --plain"
        )]);
    }

    fn id(&self, public: &str) -> String {
        let shown = self.typed(&[&format!("heliostat trust keys show {public}")]);
        let id = shown
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("keyid "));
        id.unwrap().to_owned()
    }

    /// Runs a command, and then what it prints to be done.
    #[track_caller]
    fn followed(&self, command: &str) -> Finished {
        let told = self.typed(&[command]);
        let steps: Vec<&str> = told
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("   "))
            .collect();
        assert!(steps.len() > 3, "{told}");
        assert!(!told.stderr.contains("KEY "), "{told}");
        let done = self.typed(&steps);
        assert_says(&done.stderr, &["snapshot"]);
        told
    }

    /// A client that has followed the mirror since the first root takes a page.
    #[track_caller]
    fn assert_taken(&self) {
        let serving = self.world.heliostat.serve(["--offline"]);
        let first = root(&self.world.heliostat);
        take(&self.world, &first, &serving, "client", "alpha").assert_code(0);
        let mut verify = self.world.heliostat.bare().args(["trust", "verify"]);
        verify = verify
            .arg(self.world.heliostat.web())
            .arg("--root")
            .arg(first);
        verify.run().assert_code(0);
    }
}

#[test]
fn steps_of_three_people_run_as_they_are_printed() {
    let house = House::of_three();
    house.assert_taken();
    let data = house.data();
    house.key("online2");
    let told = house.followed(&format!(
        "heliostat trust rotate online --new online2.pub --data {data} -o 'next round'"
    ));
    assert_says(&told.stderr, &["the old online key", "needs 2 of 3"]);
    house.assert_taken();

    house.key("dave");
    let carol = house.id("carol.pub");
    let revoke =
        format!("heliostat trust revoke {carol} --replace-by dave.pub --data {data} -o third");
    let told = house.followed(&revoke);
    assert_says(&told.stderr, &["carol does not sign", "dave.key"]);
    assert!(!told.stderr.contains("old online key"), "{told}");
    assert!(!told.stderr.contains("carol.key"), "{told}");
    house.assert_taken();

    house.key("online3");
    let online = house.id("online2.pub");
    house.followed(&format!(
        "heliostat trust revoke {online} --replace-by online3.pub --data {data} -o fourth"
    ));
    house.assert_taken();
    house.followed(&format!("heliostat trust renew --data {data} -o fifth"));
    house.followed(&format!(
        "heliostat trust rebin --bins 2 --data {data} -o sixth"
    ));
    house.assert_taken();
    let root = std::fs::read_to_string(house.world.heliostat.web().join("tuf/5.root.json"));
    assert!(!root.unwrap().contains(&carol));
}

#[test]
fn who_goes_may_have_signed_and_must_where_nobody_else_can() {
    let house = House::of_three();
    let data = house.data();
    let carol = house.id("carol.pub");
    let told = house.typed(&[&format!(
        "heliostat trust revoke {carol} --data {data} -o second"
    )]);
    let mut steps: Vec<_> = told
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("   "))
        .collect();
    steps.insert(
        0,
        "heliostat trust root sign second/root.draft.json --key carol.key -o second/root.carol.sig",
    );
    steps.insert(0, "heliostat trust delegate sign second/delegate.draft.json --key carol.key -o second/delegate.carol.sig");
    let done = house.typed(&steps);
    assert_says(
        &done.stderr,
        &["left `second/delegate.carol.sig` out", "no say"],
    );
    house.assert_taken();

    // Of two who are both needed, the one that goes signs once more.
    let bob = house.id("bob.pub");
    house.key("dave");
    let told = house.followed(&format!(
        "heliostat trust revoke {bob} --replace-by dave.pub --data {data} -o third"
    ));
    assert_says(&told.stderr, &["takes bob once more", "--key bob.key"]);
    house.assert_taken();
}

#[test]
fn steps_of_a_single_key_run_as_they_are_printed() {
    let house = House::new();
    begin(&house.world.heliostat, 2);
    house.world.sync(&["--all"]).assert_code(0);
    house.assert_taken();
    let data = house.data();
    house.key("machine");
    house.followed(&format!(
        "heliostat trust rotate online --new machine.pub --data {data} -o second"
    ));
    house.assert_taken();
    house.key("person");
    let offline = house.id(&format!("{data}/state/keys/offline.pub"));
    house.followed(&format!(
        "heliostat trust revoke {offline} --replace-by person.pub --data {data} -o third"
    ));
    house.assert_taken();
    // The new key is where the old one was.
    house.typed(&[&format!("heliostat trust rebin --bins 1 --data {data}")]);
    house.assert_taken();
}

#[test]
fn what_is_due_is_told_by_status_and_sync_and_the_next_step_runs() {
    let house = House::new();
    let begun = house.world.heliostat.command("trust init");
    begun.args(["--expires", "7d"]).run().assert_code(0);
    let sync = house.world.sync(&["--all"]);
    sync.assert_code(0);
    assert_says(
        &sync.stderr,
        &[
            "warning: people must sign anew",
            "root 1 expires",
            "trust status --data",
        ],
    );
    let status = house.world.heliostat.command("status").run();
    status.assert_code(1);
    assert_says(
        &status.stdout,
        &[
            "to be signed 3",
            "root version 1",
            "`heliostat trust status --data",
        ],
    );
    let data = house.data();
    let due = house.shell(&[&format!("heliostat trust status --data {data}")]);
    due.assert_code(1);
    let next = due.stdout.lines().find_map(|line| {
        let line = line.strip_prefix("to sign ")?;
        assert!(line.contains("root") && line.contains("targets") && line.contains("bins"));
        Some(line.split_once(" anew: ")?.1)
    });
    house.followed(next.unwrap());
    house.assert_taken();
    house.world.heliostat.command("status").run().assert_code(0);
    let sync = house.world.sync(&[]);
    sync.assert_code(0);
    assert!(!sync.stderr.contains("sign anew"), "{sync}");
}
