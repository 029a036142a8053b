//! `directory maintenance`, `lift` and `diff`: what people decide, and what they are shown before they sign it.

use std::path::PathBuf;

use heliostat_testkit::directory::{ENDS_TEXT, Extent, write_sample};
use heliostat_testkit::process::Finished;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::world::{assert_says, bare};

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        write_sample(&desk.path("list"), Extent::once(30, 1800)).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Finished {
        bare()
            .arg("directory")
            .args(words)
            .arg("--registry")
            .arg(self.path("list"))
            .run()
    }

    fn diff(&self, old: &str, new: &str, words: &[&str]) -> Finished {
        bare()
            .args(["directory", "diff"])
            .arg(self.path(old))
            .arg(self.path(new))
            .args(words)
            .run()
    }

    fn entry(&self, id: &str) -> String {
        std::fs::read_to_string(self.path(&format!("list/mirrors.d/{id}.toml"))).unwrap()
    }

    /// How everybody stands after the list's history, and one more round at `at` in which all is well.
    fn standings(&self, at: Timestamp) -> Vec<Value> {
        let last = self.path("last.jsonl");
        let sample = r#"{"endpoint":"ember-main","vantage":"a","outcome":"alive","lag-seconds":60,"present":{"ok":9,"n":9}}"#;
        let round = format!(
            "{{\"at\":{},\"control\":\"alive\",\"samples\":[{sample}]}}\n",
            at.as_second()
        );
        std::fs::write(&last, round).unwrap();
        let mut command = bare()
            .args(["directory", "score", "--json", "--registry"])
            .arg(self.path("list"));
        for name in [
            "list/history/2026-10.jsonl",
            "list/history/2026-11.jsonl",
            "last.jsonl",
        ] {
            command = command.arg("--replay").arg(self.path(name));
        }
        command
            .run()
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn state(&self, endpoint: &str, at: Timestamp) -> Value {
        let standings = self.standings(at);
        let found = standings
            .iter()
            .find(|standing| standing["endpoint"] == endpoint);
        found.unwrap()["state"].clone()
    }
}

fn in_hours(hours: i64) -> Timestamp {
    Timestamp::from_second((Timestamp::now() + SignedDuration::from_hours(hours)).as_second())
        .unwrap()
}

#[test]
fn a_maintenance_is_announced_for_a_week_at_most_and_counts() {
    let desk = Desk::new();
    let announce = |id: &str, from: i64, to: i64| {
        let (from, to) = (in_hours(from).to_string(), in_hours(to).to_string());
        desk.run(&[
            "maintenance",
            id,
            "--from",
            &from,
            "--to",
            &to,
            "--note",
            "new \"disks\"",
        ])
    };
    let before = desk.entry("alpenglow");
    for (from, to, says) in [
        (1, 170, "seven days"),
        (5, 4, "not later"),
        (-9, -8, "is over"),
    ] {
        let refused = announce("alpenglow", from, to);
        refused.assert_code(2);
        assert_says(&refused.stderr, &[says]);
    }
    announce("nobody", 1, 2).assert_code(2);
    assert_eq!(desk.entry("alpenglow"), before);
    announce("alpenglow", 1, 169).assert_code(0);
    // The second one joins the first, and what stood there already stays.
    announce("alpenglow", 400, 410).assert_code(0);
    announce("fjord", 400, 410).assert_code(0);
    assert_eq!(desk.entry("fjord").matches("from = ").count(), 2);
    let listed = desk.run(&["list", "--json"]);
    listed.assert_code(0);
    let listed: Value = serde_json::from_str(listed.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(listed["maintenance"].as_array().unwrap().len(), 2);
    assert_eq!(listed["maintenance"][0]["note"], "new \"disks\"");
    assert_eq!(desk.state("alpenglow-main", in_hours(2)), "maintenance");
    // What is published tells what is done.
    let out = desk.path("out");
    let published = bare()
        .args(["directory", "publish"])
        .arg(&out)
        .arg("--registry")
        .arg(desk.path("list"))
        .args(["--at", ENDS_TEXT])
        .run();
    published.assert_code(0);
    let mirrors = std::fs::read_to_string(out.join("v1/mirrors.json")).unwrap();
    assert_says(&mirrors, &["new \\\"disks\\\""]);
}

#[test]
fn a_quarantine_ends_by_people_alone_and_leads_to_probation() {
    let desk = Desk::new();
    assert_eq!(desk.state("ember-main", in_hours(1)), "quarantined");
    let refused = desk.run(&["lift", "alpenglow"]);
    refused.assert_code(2);
    assert_says(
        &refused.stderr,
        &["no endpoint of `alpenglow` is in quarantine"],
    );
    let lifted = desk.run(&["lift", "ember"]);
    lifted.assert_code(0);
    assert_says(
        &lifted.stderr,
        &[
            "`ember-main`, in quarantine since",
            "is on probation",
            "once they signed it",
        ],
    );
    assert_eq!(desk.state("ember-main", in_hours(1)), "probation");
}

#[test]
fn whoever_signs_a_list_sees_everything_that_changed() {
    let desk = Desk::new();
    write_sample(&desk.path("new"), Extent::once(1, 3600)).unwrap();
    let same = desk.diff("list", "new", &[]);
    same.assert_code(0);
    assert_eq!(same.stdout, "");
    let change = |id: &str, from: &str, to: &str| {
        let path = desk.path(&format!("new/mirrors.d/{id}.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
    };
    change("baltic", "pypi.baltic.example", "pypi.evil.example");
    change("cedar", "asn = 64498", "asn = 64511");
    std::fs::remove_file(desk.path("new/mirrors.d/dune.toml")).unwrap();
    let entry = desk.entry("glacier").replace("glacier", "hollow");
    std::fs::write(desk.path("new/mirrors.d/hollow.toml"), entry).unwrap();
    let policy = desk.path("new/policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(&policy, text.replace("version = 3", "version = 4")).unwrap();
    let shown = desk.diff("list", "new", &[]);
    shown.assert_code(1);
    assert_says(
        &shown.stdout,
        &[
            "~  the policy               version  3 -> 4",
            "~! baltic                   endpoints.baltic-main.base  \"https://pypi.baltic.example/\" -> \"https://pypi.evil.example/\"",
            "~  cedar                    endpoints.cedar-main.asn  64498 -> 64511",
            "-! dune                     [\"Dune Networks\",\"https://mirror.dune.example/pypi/\"]",
            "+! hollow ",
        ],
    );
    assert_eq!(shown.stdout.lines().count(), 5, "{}", shown.stdout);
    assert_says(&shown.stderr, &["5 differences, 3 of them"]);
    let json = desk.diff("list", "new", &["--json"]);
    let first: Value = serde_json::from_str(json.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["of"], &first["change"], &first["weighty"]),
        (&"the policy".into(), &"changed".into(), &false.into())
    );
    // What is published is the same list.
    bare()
        .args(["directory", "publish"])
        .arg(desk.path("out"))
        .arg("--registry")
        .arg(desk.path("list"))
        .args(["--at", ENDS_TEXT])
        .run()
        .assert_code(0);
    desk.diff("out", "list", &[]).assert_code(0);
    desk.diff("out", "new", &[]).assert_code(1);
    desk.diff("out", "nowhere", &[]).assert_code(2);
}
