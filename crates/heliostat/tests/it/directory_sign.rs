//! `directory sign`, what `publish` signs, and `directory verify`: people answer for the list, a machine for its state.

use std::path::{Path, PathBuf};

use heliostat_testkit::directory::{Extent, write_sample};
use heliostat_testkit::process::{Finished, Invocation, Serving};
use heliostat_testkit::universe::{Release, Universe};
use jiff::{SignedDuration, Timestamp};

use crate::http::get;
use crate::world::{World, assert_says, bare, until};

/// A list with three people, two of whom must sign, and the prober's key.
struct Keepers {
    world: World,
}

impl Keepers {
    fn new() -> Self {
        let mut universe = Universe::new();
        universe.add_project("alpha", &[Release::new("1.0").wheel()]);
        let keepers = Self {
            world: World::new(universe),
        };
        std::fs::write(keepers.path("passphrase"), "correct horse\n").unwrap();
        for name in ["alice", "bob", "carol"] {
            keepers.done(&format!(
                "trust keys new --label {name} --out @{name}.key --passphrase-file @passphrase"
            ));
        }
        keepers.done("trust keys new --label prober --plain --out @prober.key");
        keepers.root("root", "alice,bob,carol", 2, &["alice", "bob"]);
        keepers.list("list");
        keepers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.place(name)
    }

    fn list(&self, name: &str) {
        write_sample(&self.path(name), Extent::once(2, 3600)).unwrap();
    }

    /// Runs words, of which those with `@` name files here.
    fn run(&self, words: &str) -> Finished {
        let words = words.split(' ').map(|word| match word.split_once('@') {
            Some((before, names)) => {
                let paths: Vec<_> = names
                    .split(',')
                    .map(|name| self.path(name).display().to_string())
                    .collect();
                format!("{before}{}", paths.join(","))
            }
            None => word.to_owned(),
        });
        bare().args(words.collect::<Vec<_>>()).run()
    }

    #[track_caller]
    fn done(&self, words: &str) -> Finished {
        let finished = self.run(words);
        finished.assert_code(0);
        finished
    }

    /// A root by the ceremony of a notary's.
    fn root(&self, name: &str, people: &str, threshold: u32, signing: &[&str]) {
        let publics: Vec<_> = people
            .split(',')
            .map(|person| format!("{person}.pub"))
            .collect();
        self.done(&format!(
            "trust root draft --signers @{} --threshold {threshold} --online @prober.pub -o @{name}.draft",
            publics.join(",")
        ));
        let mut signatures = String::new();
        for person in signing {
            self.done(&format!(
                "trust root sign @{name}.draft --key @{person}.key --passphrase-file @passphrase -o @{name}.{person}.sig"
            ));
            signatures.push_str(&["@", name, ".", person, ".sig "].concat());
        }
        self.done(&format!(
            "trust root assemble @{name}.draft {signatures}-o @{name}.json"
        ));
    }

    fn sign(&self, person: &str, more: &str) -> Finished {
        self.run(&format!(
            "directory sign --registry @list --key @{person}.key --passphrase-file @passphrase{more}"
        ))
    }

    /// Signed by two people.
    fn signed() -> Self {
        let keepers = Self::new();
        keepers.sign("alice", " --root @root.json").assert_code(0);
        keepers.sign("carol", "").assert_code(0);
        keepers
    }

    fn publish(&self, to: &str, at: Timestamp) -> Finished {
        self.run(&format!(
            "directory publish @{to} --registry @list --online-key file:@prober.key --at {at}"
        ))
    }

    fn verify(&self, list: &str) -> Finished {
        self.run(&format!("directory verify {list} --root @root.json"))
    }
}

fn hours_ago(hours: i64) -> Timestamp {
    let now = Timestamp::now() - SignedDuration::from_hours(hours);
    Timestamp::from_second(now.as_second()).unwrap()
}

#[test]
fn two_of_three_people_sign_and_everybody_can_check() {
    let keepers = Keepers::new();
    let rootless = keepers.sign("alice", "");
    rootless.assert_code(2);
    assert_says(&rootless.stderr, &["no root yet", "--root FILE"]);
    let first = keepers.sign("alice", " --root @root.json");
    first.assert_code(0);
    assert_says(
        &first.stderr,
        &[
            "version 1 of the list",
            "signed by 1 of 3",
            "1 more signature is needed",
        ],
    );
    keepers.publish("out", hours_ago(1)).assert_code(4);
    assert!(!keepers.path("out").exists());
    // The prober's key is none of people's.
    let machine = keepers.sign("prober", "");
    machine.assert_code(2);
    assert_says(&machine.stderr, &["none of the keys"]);
    let second = keepers.sign("carol", "");
    second.assert_code(0);
    assert_says(
        &second.stderr,
        &[
            "version 1 of the list",
            "signed by 2 of 3",
            "it can be published",
        ],
    );
    let unsigned = keepers.run("directory publish @out --registry @list");
    unsigned.assert_code(2);
    assert_says(&unsigned.stderr, &["--online-key"]);
    let web = keepers.world.heliostat.web().join("directory");
    keepers.world.sync(&["--all"]).assert_code(0);
    let web = web.display().to_string();
    for at in [hours_ago(2), hours_ago(1)] {
        keepers
            .run(&format!(
                "directory publish {web} --registry @list --online-key file:@prober.key --at {at}"
            ))
            .assert_code(0);
        keepers.verify(&web).assert_code(0);
    }
    // Clients would take an older one for an attack.
    let older = keepers.run(&format!(
        "directory publish {web} --registry @list --online-key file:@prober.key --at {}",
        hours_ago(3)
    ));
    older.assert_code(2);
    let serving = keepers.world.serve(&["--offline"]);
    keepers
        .verify(&format!("{}/directory", serving.url))
        .assert_code(0);
    // Any client of TUF takes it.
    let client = |words: &str| {
        keepers.run(&format!(
            "tuf-client --metadata-dir @client --metadata-url {0}/directory/tuf/ --target-base-url {0}/directory/ \
             --target-dir @targets {words}",
            serving.url
        ))
    };
    client("init @root.json").assert_code(0);
    client("refresh").assert_code(0);
    for target in [
        "v1/mirrors.json",
        "v1/status.json",
        "v1/history/2026-11.jsonl.zst",
    ] {
        let taken = client(&format!("--target-name {target} download"));
        taken.assert_code(0);
        let bytes = std::fs::read(taken.stdout.trim()).unwrap();
        assert!(
            bytes == std::fs::read(Path::new(&web).join(target)).unwrap(),
            "{target}"
        );
    }
}

#[test]
fn a_list_that_changed_is_not_published_before_people_signed_it() {
    let keepers = Keepers::signed();
    let entry = keepers.path("list/mirrors.d/baltic.toml");
    let text = std::fs::read_to_string(&entry).unwrap();
    std::fs::write(
        &entry,
        text.replace("pypi.baltic.example", "pypi.elsewhere.example"),
    )
    .unwrap();
    let refused = keepers.publish("out", hours_ago(1));
    refused.assert_code(2);
    assert_says(&refused.stderr, &["v1/mirrors.json", "directory sign"]);
    let next = keepers.sign("bob", "");
    next.assert_code(0);
    assert_says(&next.stderr, &["version 2 of the list", "signed by 1 of 3"]);
    keepers.publish("out", hours_ago(1)).assert_code(4);
    keepers.sign("alice", "").assert_code(0);
    keepers.publish("out", hours_ago(1)).assert_code(0);
    keepers.done("directory verify @out --root @root.json");
}

#[test]
fn what_a_thief_of_the_probers_key_can_do_adds_no_mirror() {
    let keepers = Keepers::signed();
    keepers.publish("out", hours_ago(1)).assert_code(0);
    let honest = std::fs::read(keepers.path("out/v1/mirrors.json")).unwrap();
    // The list with one more mirror, signed by the prober's key as the registry.
    keepers.root("thief", "prober", 1, &["prober"]);
    keepers.list("forged");
    let forged = keepers.path("forged/mirrors.d/kestrel.toml");
    let text = std::fs::read_to_string(&forged).unwrap();
    std::fs::write(
        &forged,
        text.replace("mirror.kestrel.example", "evil.example"),
    )
    .unwrap();
    keepers.done("directory sign --registry @forged --root @thief.json --key @prober.key");
    keepers.done(&format!(
        "directory publish @theirs --registry @forged --online-key file:@prober.key --at {}",
        hours_ago(1)
    ));
    let copy = |name: &str| {
        std::fs::copy(
            keepers.path("theirs").join(name),
            keepers.path("out").join(name),
        )
        .unwrap();
    };
    copy("v1/mirrors.json");
    let changed = keepers.verify(&keepers.path("out").display().to_string());
    changed.assert_code(4);
    assert_says(&changed.stdout, &["v1/mirrors.json", "not what was signed"]);
    copy("tuf/1.directory-registry.json");
    let forged = keepers.verify(&keepers.path("out").display().to_string());
    forged.assert_code(4);
    assert_says(&forged.stdout, &["1.directory-registry.json"]);
    // Nor can the status speak for the registry: everything of the thief's under their own delegations.
    copy("tuf/1.targets.json");
    let delegated = keepers.verify(&keepers.path("out").display().to_string());
    delegated.assert_code(4);
    std::fs::write(keepers.path("out/v1/mirrors.json"), honest).unwrap();
}

#[test]
fn an_old_status_is_told_and_an_old_list_is_refused() {
    let keepers = Keepers::signed();
    keepers.publish("out", hours_ago(48)).assert_code(0);
    let old = keepers.run("directory verify @out --root @root.json --json");
    old.assert_code(1);
    assert_says(
        &old.stdout,
        &["directory-status", "\"fatal\":false", "\"fatal\":0"],
    );
    // A status that is away is no reason to distrust the list.
    std::fs::remove_file(keepers.path("out/v1/status.json")).unwrap();
    keepers
        .run("directory verify @out --root @root.json")
        .assert_code(1);
    // In a hundred days nobody has signed the list anew.
    let then = hours_ago(-2400);
    let late = keepers.run(&format!(
        "directory verify @out --root @root.json --at {then}"
    ));
    late.assert_code(4);
    assert_says(
        &late.stdout,
        &["directory-registry: expired", "targets: expired"],
    );
    let published = keepers.publish("out", then);
    published.assert_code(2);
    assert_says(&published.stderr, &["expired", "--renew"]);
    // People sign anew what did not change: one begins, the others follow.
    keepers
        .sign("bob", " --renew --expires 200d")
        .assert_code(0);
    let renewed = keepers.sign("carol", "");
    renewed.assert_code(0);
    assert_says(
        &renewed.stderr,
        &["version 2 of the list", "it can be published"],
    );
    keepers.publish("out", then).assert_code(0);
    keepers
        .run(&format!(
            "directory verify @out --root @root.json --at {then}"
        ))
        .assert_code(0);
}

/// A redirector by a published list, believed as it was signed.
fn redirector(keepers: &Keepers, list: &str) -> Invocation {
    keepers
        .world
        .heliostat
        .command("directory serve")
        .arg(keepers.path(list))
        .args([
            "--redirect",
            "--listen",
            "127.0.0.1:0",
            "--offline",
            "--root",
        ])
        .arg(keepers.path("root.json"))
}

/// What a redirector says of its mirrors.
fn trace(keepers: &Keepers, serving: &Serving) -> String {
    let file = keepers.world.file("alpha-1.0-py3-none-any.whl");
    let traced = get(&format!("{}/{}?trace=1", serving.url, file.path()));
    traced.text().to_owned()
}

#[test]
fn a_redirector_believes_only_what_was_signed() {
    let keepers = Keepers::signed();
    keepers.world.sync(&["--all"]).assert_code(0);
    keepers.publish("out", hours_ago(2)).assert_code(0);
    let serving = Serving::wait(redirector(&keepers, "out").start());
    assert_says(
        &trace(&keepers, &serving),
        &[
            "alpenglow-main",
            "no: it is probation",
            "answered from here",
        ],
    );
    // Somebody else's words change nothing as long as this runs, and keep it from starting.
    let status = keepers.path("out/v1/status.json");
    let signed = std::fs::read_to_string(&status).unwrap();
    std::fs::write(&status, signed.replace("\"probation\"", "\"active\"")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_says(&trace(&keepers, &serving), &["no: it is probation"]);
    let refused = redirector(&keepers, "out").run();
    refused.assert_code(4);
    assert_says(
        &refused.stderr,
        &["`v1/status.json` is not what was signed"],
    );
    // What has run out sends nobody anywhere.
    keepers.publish("old", hours_ago(10)).assert_code(0);
    let stale = Serving::wait(redirector(&keepers, "old").start());
    assert_says(&trace(&keepers, &stale), &["what is known of it is old: "]);
}

#[test]
fn a_redirector_takes_up_a_list_that_is_published_anew() {
    let keepers = Keepers::signed();
    keepers.world.sync(&["--all"]).assert_code(0);
    keepers.publish("out", hours_ago(2)).assert_code(0);
    let serving = Serving::wait(redirector(&keepers, "out").start());
    assert_says(
        &trace(&keepers, &serving),
        &["alpenglow-main           no: it is probation"],
    );
    let entry = keepers.path("list/mirrors.d/alpenglow.toml");
    let text = std::fs::read_to_string(&entry).unwrap();
    std::fs::write(&entry, format!("admin-state = \"vetoed\"\n{text}")).unwrap();
    keepers.sign("alice", "").assert_code(0);
    keepers.sign("carol", "").assert_code(0);
    keepers.publish("out", hours_ago(0)).assert_code(0);
    until("the new list", || {
        trace(&keepers, &serving).contains("alpenglow-main           no: it is vetoed")
    });
}
