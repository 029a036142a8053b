//! `heliostat trust` as people use it: keys, a ceremony of three, what must be refused, rehearsing.

use std::path::Path;

use heliostat_testkit::process::Finished;
use tempfile::TempDir;

use crate::world::{assert_says, bare};

/// A folder in which a ceremony is held.
struct Table(TempDir);

impl Table {
    fn new() -> Self {
        let table = Self(TempDir::new().unwrap());
        std::fs::write(table.path().join("passphrase"), "correct horse\n").unwrap();
        table
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs words, of which those that begin with `@` are files here.
    fn trust(&self, words: &str) -> Finished {
        let words = words.split(' ').map(|word| match word.strip_prefix('@') {
            Some(names) => names
                .split(',')
                .map(|name| self.path().join(name).display().to_string())
                .collect::<Vec<_>>()
                .join(","),
            None => word.to_owned(),
        });
        bare().arg("trust").args(words.collect::<Vec<_>>()).run()
    }

    fn done(&self, words: &str) -> Finished {
        let finished = self.trust(words);
        finished.assert_code(0);
        finished
    }

    fn key(&self, name: &str) {
        self.done(&format!(
            "keys new --label {name} --out @{name}.key --passphrase-file @passphrase"
        ));
    }

    fn sign(&self, step: &str, draft: &str, name: &str) {
        self.done(&format!(
            "{step} sign @{draft} --key @{name}.key --passphrase-file @passphrase -o @{draft}.{name}.sig"
        ));
    }

    /// Three people, a machine, a first root and what it delegates, installed.
    fn first(&self) {
        for name in ["alice", "bob", "carol"] {
            self.key(name);
        }
        self.done("keys new --label online --plain --out @online.key");
        self.done(
            "root draft --signers @alice.pub,bob.pub,carol.pub --threshold 2 --online @online.pub -o @root",
        );
        self.sign("root", "root", "alice");
        self.sign("root", "root", "bob");
        self.done("root assemble @root @root.alice.sig @root.bob.sig -o @1.root.json");
        self.done("delegate draft --root @1.root.json --projects 1000 -o @below");
        self.sign("delegate", "below", "alice");
        self.sign("delegate", "below", "carol");
        self.done(
            "delegate assemble @below @below.alice.sig @below.carol.sig --root @1.root.json -o @.",
        );
        self.done("install --data @data @1.root.json @1.targets.json @1.bins.json");
    }
}

#[test]
fn three_people_hold_a_ceremony() {
    let table = Table::new();
    table.first();
    // Nothing expires, and nothing is signed by the online key yet either.
    let status = table.trust("status --data @data");
    status.assert_code(1);
    assert_says(
        &status.stdout,
        &[
            "signed by 2 of 3",
            "root 1",
            "bins 1",
            "timestamp is not signed yet",
        ],
    );

    // Another number of bins takes the same people.
    let alone = table.trust("rebin --bins 4 --data @data");
    alone.assert_code(2);
    assert_says(&alone.stderr, &["2 people must sign", "-o DIR"]);
    let rebinned = table.done("rebin --bins 4 --data @data -o @rebin");
    assert_says(&rebinned.stdout, &["bins 2", "4 bins, signed by"]);
    assert_says(
        &rebinned.stderr,
        &[
            "trust delegate sign",
            "1.root.json",
            "trust install --data",
            "rebin/2.bins.json",
        ],
    );
    for name in ["alice", "carol"] {
        table.sign("delegate", "rebin/bins.draft.json", name);
    }
    table.done(
        "delegate assemble @rebin/bins.draft.json @rebin/bins.draft.json.alice.sig \
         @rebin/bins.draft.json.carol.sig --root @1.root.json -o @.",
    );
    table.done("install --data @data @2.bins.json");
    let status = table.trust("status --data @data");
    status.assert_code(1);
    assert_says(
        &status.stdout,
        &["bins 2", "4 bins, 1 would fit 0 projects"],
    );

    // The online key goes to another machine: everything is drafted, and the list says what to do.
    table.done("keys new --label online2 --plain --out @online2.key");
    let rotated = table.done("rotate online --new @online2.pub --data @data -o @next");
    assert_says(&rotated.stdout, &["root 2", "+ online2", "- online"]);
    assert_says(
        &rotated.stderr,
        &["trust install --data", "next/2.root.json"],
    );
    table.sign("root", "next/root.draft.json", "bob");
    let early = table.trust(
        "root assemble @next/root.draft.json @next/root.draft.json.bob.sig --previous @1.root.json -o @2.root.json",
    );
    early.assert_code(4);
    assert_says(&early.stderr, &["1 of 2 needed signatures"]);
    table.sign("root", "next/root.draft.json", "carol");
    let unasked = table.trust(
        "root assemble @next/root.draft.json @next/root.draft.json.bob.sig @next/root.draft.json.carol.sig \
         -o @2.root.json",
    );
    unasked.assert_code(2);
    assert_says(&unasked.stderr, &["--previous"]);
    table.done(
        "root assemble @next/root.draft.json @next/root.draft.json.bob.sig @next/root.draft.json.carol.sig \
         --previous @1.root.json -o @2.root.json",
    );
    for name in ["alice", "bob"] {
        table.sign("delegate", "next/delegate.draft.json", name);
    }
    table.done(
        "delegate assemble @next/delegate.draft.json @next/delegate.draft.json.alice.sig \
         @next/delegate.draft.json.bob.sig --root @2.root.json -o @.",
    );
    table.done("install --data @data @2.root.json @2.targets.json @3.bins.json");
    let status = table.trust("status --data @data --json");
    status.assert_code(1);
    assert_says(&status.stdout, &["\"role\":\"root\",\"version\":2"]);

    carol_is_out(&table);
}

/// Too few would be left for the threshold unless somebody comes in her place.
fn carol_is_out(table: &Table) {
    let shown = table.done("keys show @carol.pub");
    let id = shown.stdout.split("keyid ").nth(1).unwrap();
    let id = id.split('\n').next().unwrap();
    table.key("dave");
    let revoked = table.done(&format!(
        "revoke {id} --replace-by @dave.pub --data @data -o @third"
    ));
    assert_says(&revoked.stdout, &["root 3", "+ dave", "- carol"]);
    let twice = table.trust(&format!(
        "revoke {} --data @data -o @fourth",
        "0".repeat(64)
    ));
    twice.assert_code(2);
}

#[test]
fn a_key_without_a_say_in_a_root_does_not_sign_it() {
    let table = Table::new();
    table.first();
    table.key("mallory");
    let sign = |draft: &str, name: &str, more: &str| {
        table.trust(&format!(
            "root sign @{draft} --key @{name}.key --passphrase-file @passphrase -o @{draft}.{name}.try{more}"
        ))
    };
    let stranger = sign("root", "mallory", "");
    stranger.assert_code(2);
    assert_says(
        &stranger.stderr,
        &["no say in 1.root.json", "alice (", "carol ("],
    );
    assert!(!table.path().join("root.mallory.try").exists());
    // Carol goes: of the new root she signs nothing, of the old one she is.
    table.key("dave");
    std::fs::create_dir(table.path().join("next")).unwrap();
    table.done(
        "root draft --signers @alice.pub,bob.pub,dave.pub --threshold 2 --online @online.pub --previous @1.root.json \
         -o @next/draft",
    );
    sign("next/draft", "dave", "").assert_code(0);
    let unnamed = sign("next/draft", "carol", "");
    unnamed.assert_code(2);
    assert_says(
        &unnamed.stderr,
        &["no say in 2.root.json", "dave (", "--previous"],
    );
    sign("next/draft", "carol", " --previous @1.root.json").assert_code(0);
    // As `rotate` and `revoke` leave it, the root before lies beside the draft.
    let beside = table.path().join("next/1.root.json");
    std::fs::copy(table.path().join("1.root.json"), beside).unwrap();
    sign("next/draft", "alice", "").assert_code(0);
    table
        .done("root sign @next/draft --key @carol.key --passphrase-file @passphrase -o @carol.sig");
    let stranger = sign("next/draft", "mallory", "");
    stranger.assert_code(2);
    assert_says(&stranger.stderr, &["of 1.root.json", "carol ("]);
}

#[test]
fn a_part_of_the_first_set_is_told_what_it_lacks() {
    let table = Table::new();
    table.first();
    let part = table.trust("install --data @other @1.root.json @1.bins.json");
    part.assert_code(2);
    assert_says(&part.stderr, &["there is no mirror at", "`targets`"]);
    assert!(!table.path().join("other").exists());
    std::fs::create_dir_all(table.path().join("other/state")).unwrap();
    let part = table.trust("install --data @other @1.root.json");
    part.assert_code(3);
    assert_says(
        &part.stderr,
        &["1.targets.json", "not among the files given"],
    );
    assert!(!part.stderr.contains("trust init"), "{part}");

    std::fs::remove_file(table.path().join("data/web/tuf/1.bins.json")).unwrap();
    let lost = table.trust("rebin --bins 4 --data @data -o @rebin");
    assert_says(&lost.stderr, &["1.bins.json", "is gone", "copy"]);
    assert!(!lost.stderr.contains("trust init"), "{lost}");
}

#[test]
fn what_would_be_wrong_is_refused() {
    let table = Table::new();
    table.key("alice");
    std::fs::write(table.path().join("nothing"), "\n").unwrap();
    let unguarded = table.trust("keys new --label x --out @x.key --passphrase-file @nothing");
    unguarded.assert_code(2);
    assert_says(&unguarded.stderr, &["the passphrase is empty"]);
    assert!(!table.path().join("x.key").exists());
    let mode = std::fs::metadata(table.path().join("alice.key")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }
    let again = table.trust("keys new --label x --out @alice.key --plain");
    again.assert_code(2);
    assert_says(&again.stderr, &["is there already"]);

    let lonely =
        table.trust("root draft --signers @alice.pub --threshold 2 --online @alice.pub -o @root");
    lonely.assert_code(2);
    assert_says(&lonely.stderr, &["--signers", "cannot need 2"]);
    table.done("root draft --signers @alice.pub --threshold 1 --online @alice.pub -o @root");

    std::fs::write(table.path().join("wrong"), "battery staple").unwrap();
    let wrong = table.trust("root sign @root --key @alice.key --passphrase-file @wrong -o @sig");
    wrong.assert_code(2);
    assert_says(&wrong.stderr, &["alice.key", "does not open"]);
    let silent = bare()
        .arg("trust")
        .args(["root", "sign"])
        .arg(table.path().join("root"))
        .arg("--key")
        .arg(table.path().join("alice.key"))
        .arg("-o")
        .arg(table.path().join("sig"))
        .run();
    silent.assert_code(2);
    assert_says(
        &silent.stderr,
        &["--passphrase-file", "HELIOSTAT_PASSPHRASE"],
    );

    let draft = std::fs::read_to_string(table.path().join("root")).unwrap();
    let hidden = draft.replacen("\"version\":1", "\"version\":1,\"x\":1", 1);
    std::fs::write(table.path().join("hidden"), hidden).unwrap();
    let hidden =
        table.trust("root sign @hidden --key @alice.key --passphrase-file @passphrase -o @sig");
    hidden.assert_code(2);
    assert_says(&hidden.stderr, &["would not be shown"]);

    table
        .trust(
            "root draft --signers @alice.pub --threshold 1 --online @alice.pub --expires 5y -o @x",
        )
        .assert_code(2);
    table.trust("status --data @nothing").assert_code(2);
}

#[test]
fn one_command_begins_with_a_single_key_and_says_so() {
    let table = Table::new();
    let begun = table.done("init --data @data");
    assert_says(&begun.stderr, &["single key", "1.root.json"]);
    assert_says(&begun.stdout, &["tuf/1.root.json"]);
    let status = table.done("status --data @data");
    assert_says(&status.stdout, &["signed by single-key"]);
    let twice = table.trust("init --data @data");
    twice.assert_code(2);
    assert_says(&twice.stderr, &["signed already"]);
    let short = Table::new();
    short.done("init --data @data --expires 7d");
    let due = short.trust("status --data @data");
    due.assert_code(1);
    assert_says(&due.stdout, &["DUE"]);
}

#[test]
fn theft_and_recovery_can_be_rehearsed() {
    let rehearsed = Table::new().done("rehearse");
    assert_says(
        &rehearsed.stdout,
        &[
            "the online key is stolen",
            "the thief's does not",
            "dave has carol's place",
        ],
    );
}

#[test]
fn a_rehearsal_that_is_broken_off_leaves_nothing_behind() {
    let table = Table::new();
    let place = table.path().join("temporary");
    std::fs::create_dir(&place).unwrap();
    let rehearse = bare().args(["trust", "rehearse"]).env("TMPDIR", &place);
    let mut rehearse = rehearse.start();
    rehearse.wait_for_line("  ");
    rehearse.interrupt();
    let ended = rehearse.wait();
    // It may have come to its end before it heard.
    assert!(matches!(ended.code(), Some(0 | 1)), "{ended}");
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "{ended}");
}

#[test]
fn what_is_no_key_is_told_with_what_would_be() {
    let table = Table::new();
    table.key("alice");
    table.done("root draft --signers @alice.pub --threshold 1 --online @alice.pub -o @root");
    for (junk, says) in [
        ("passphrase", "it is not PEM"),
        ("alice.pub", "it is not PEM"),
    ] {
        let refused = table.trust(&format!("root sign @root --key @{junk} -o @sig"));
        refused.assert_code(2);
        let forms = ["PRIVATE KEY", "trust keys new", "openssl genpkey"];
        assert_says(&refused.stderr, &[says]);
        assert_says(&refused.stderr, &forms);
    }
    let refused = table.trust("keys show @passphrase");
    refused.assert_code(2);
    assert_says(
        &refused.stderr,
        &["TUF's key object", "NAME.pub", "PUBLIC KEY"],
    );
}
