//! `directory`: a list that is begun, checked and scored.

use std::fmt::Write as _;
use std::path::Path;

use crate::world::{assert_says, bare};

const CAMPUS: &str = r#"
id = "campus"
inception = "2026-11-01"
admitted = "2026-11-01T00:00:00Z"
operator = { name = "Campus", country = "CH" }

[[endpoints]]
id = "campus-main"
base = "https://mirror.example.edu/pypi/"
"#;

/// Ten days of clean rounds, the oldest first, and then `failing` ones.
fn history(failing: usize) -> String {
    let begin = 1_793_500_000_i64;
    let rounds = 10 * 288;
    (0..rounds + failing)
        .map(|index| {
            let at = begin + 300 * i64::try_from(index).unwrap();
            let outcome = if index < rounds { "alive" } else { "failed" };
            format!(
                r#"{{"at":{at},"control":"alive","samples":[{{"endpoint":"campus-main","vantage":"a","outcome":"{outcome}","lag-seconds":60,"present":{{"ok":32,"n":32}}}}]}}"#
            ) + "\n"
        })
        .collect()
}

fn begun(folder: &Path) {
    let list = folder.display().to_string();
    bare()
        .args(["directory", "init", &list, "--own-domain", "list.example"])
        .run()
        .assert_code(0);
    std::fs::write(folder.join("mirrors.d/campus.toml"), CAMPUS).unwrap();
}

#[test]
fn a_list_is_begun_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("list");
    let list = folder.display().to_string();
    let none = bare()
        .args(["directory", "list", "--registry", &list])
        .run();
    none.assert_code(2);
    assert_says(&none.stderr, &["holds no list", "heliostat directory init"]);
    begun(&folder);
    bare()
        .args(["directory", "init", &list])
        .run()
        .assert_code(2);
    let listed = bare()
        .args(["directory", "list", "--registry", &list])
        .run();
    listed.assert_code(0);
    assert_says(
        &listed.stdout,
        &["campus-main", "CH", "https://mirror.example.edu/pypi/"],
    );
    for host in ["b.pypi.python.org", "m.list.example"] {
        let foreign = CAMPUS.replace("mirror.example.edu", host);
        std::fs::write(folder.join("mirrors.d/campus.toml"), foreign).unwrap();
        let refused = bare()
            .args(["directory", "list", "--registry", &list])
            .run();
        refused.assert_code(2);
        assert_says(&refused.stderr, &["campus.toml", host, "PEP 449"]);
    }
}

#[test]
fn a_history_gives_a_state_a_score_and_the_reasons() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("list");
    begun(&folder);
    let list = folder.display().to_string();
    let rounds = directory.path().join("rounds.jsonl");
    let replay = rounds.display().to_string();
    let score = |more: &[&str]| {
        let arguments = [
            "directory",
            "score",
            "--registry",
            &list,
            "--replay",
            &replay,
        ];
        bare().args(arguments).args(more.iter().copied()).run()
    };
    std::fs::write(&rounds, history(0)).unwrap();
    let well = score(&[]);
    well.assert_code(0);
    assert_says(&well.stdout, &["campus-main", "active"]);
    std::fs::write(&rounds, history(3)).unwrap();
    let ill = score(&["--json"]);
    ill.assert_code(1);
    let line: serde_json::Value = serde_json::from_str(ill.stdout.trim()).unwrap();
    assert_eq!(
        (&line["state"], &line["rule"]),
        (&"degraded".into(), &"fails-in-a-row".into())
    );
    assert_eq!(line["next"]["state"], "suspended");
    let explained = score(&["--explain", "campus-main"]);
    explained.assert_code(0);
    assert_says(
        &explained.stdout,
        &[
            "285 of 288 probes answered",
            "the oldest change it lacks is 60 s old",
            "candidate -> probation",
            "active -> degraded: too many rounds in a row failed",
            "suspended at",
        ],
    );
    score(&["--explain", "nobody"]).assert_code(2);
    std::fs::write(&rounds, "{}\n").unwrap();
    let broken = score(&[]);
    broken.assert_code(2);
    assert_says(&broken.stderr, &["rounds.jsonl", "line 1"]);
}

#[test]
fn a_lists_own_history_is_what_score_and_show_tell_of_however_old_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("list");
    begun(&folder);
    let ignored = std::fs::read_to_string(folder.join(".gitignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "/reference/"));
    let long_ago = CAMPUS.replace("2026-11-01", "2023-11-01");
    std::fs::write(folder.join("mirrors.d/campus.toml"), long_ago).unwrap();
    let list = folder.display().to_string();
    let told = |command: &str, more: &[&str]| {
        let arguments = ["directory", command, "--registry", &list];
        bare().args(arguments).args(more.iter().copied()).run()
    };
    let nothing = told("score", &[]);
    nothing.assert_code(0);
    assert_says(&nothing.stdout, &["campus-main", "candidate"]);
    // What is active was seen before the months that `show` looks through for the last sample.
    let (begin, round_seconds) = (1_699_000_000_i64, 300);
    let rounds: String = (0..10 * 288)
        .map(|index| {
            let at = begin + round_seconds * index;
            format!(
                r#"{{"at":{at},"control":"alive","samples":[{{"endpoint":"campus-main","vantage":"a","outcome":"alive","lag-seconds":60,"present":{{"ok":32,"n":32}}}}]}}"#
            ) + "\n"
        })
        .collect();
    std::fs::create_dir_all(folder.join("history")).unwrap();
    std::fs::write(folder.join("history/2023-11.jsonl"), rounds).unwrap();
    for (command, more) in [
        ("score", &[] as &[&str]),
        ("score", &["--explain", "campus-main"]),
        ("show", &["campus"]),
    ] {
        let answer = told(command, more);
        answer.assert_code(0);
        assert_says(&answer.stdout, &["campus-main", "active"]);
    }
}

/// So many mirrors of as many operators, but the first three are of one, and the last two are in one network.
fn crowd(folder: &Path, count: usize) {
    let list = folder.display().to_string();
    bare()
        .args(["directory", "init", &list])
        .run()
        .assert_code(0);
    for index in 0..count {
        let operator = if index < 3 { 0 } else { index };
        let asn = if index + 2 >= count {
            64_500
        } else {
            64_600 + index
        };
        let entry = format!(
            "id = \"m{index}\"\ninception = \"2026-11-01\"\nadmitted = \"2026-11-01T00:00:00Z\"\n\
             operator = {{ name = \"Operator {operator}\" }}\n\n[[endpoints]]\nid = \"m{index}-main\"\n\
             base = \"https://m{index}.example.edu/\"\nasn = {asn}\n"
        );
        std::fs::write(folder.join(format!("mirrors.d/m{index}.toml")), entry).unwrap();
    }
}

/// Nine days of clean half-hourly rounds, and then six in which the first so many fail.
fn crowd_history(count: usize, failing: usize) -> String {
    let begin = 1_793_500_000_i64;
    let rounds = 9 * 48;
    let mut text = String::new();
    for round in 0..rounds + 6 {
        let samples: Vec<String> = (0..count)
            .map(|index| {
                let outcome = if round >= rounds && index < failing { "failed" } else { "alive" };
                format!(
                    r#"{{"endpoint":"m{index}-main","vantage":"a","outcome":"{outcome}","lag-seconds":60,"present":{{"ok":32,"n":32}}}}"#
                )
            })
            .collect();
        let at = begin + 1800 * round;
        let samples = samples.join(",");
        writeln!(
            text,
            "{{\"at\":{at},\"control\":\"alive\",\"samples\":[{samples}]}}"
        )
        .unwrap();
    }
    text
}

/// Half-hourly rounds show less than five-minute ones do.
fn lenient(folder: &Path) {
    let path = folder.join("policy.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        text.replace("available_min = 0.95", "available_min = 0.9"),
    )
    .unwrap();
}

#[test]
fn no_operator_and_no_network_gets_more_than_its_share() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("list");
    crowd(&folder, 9);
    lenient(&folder);
    let rounds = directory.path().join("rounds.jsonl");
    std::fs::write(&rounds, crowd_history(9, 0)).unwrap();
    let score = |more: &[&str]| {
        bare()
            .args(["directory", "score", "--registry"])
            .arg(&folder)
            .arg("--replay")
            .arg(&rounds)
            .args(more)
            .run()
    };
    let scored = score(&["--json"]);
    scored.assert_code(0);
    let share = |name: &str| {
        let mut lines = scored
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.find(|line| line["endpoint"] == name).unwrap()["weight"]
            .as_f64()
            .unwrap()
    };
    let of_operator: f64 = ["m0-main", "m1-main", "m2-main"].map(share).iter().sum();
    assert!((of_operator - 0.25).abs() < 1e-6, "{of_operator}");
    assert!(share("m3-main") > share("m0-main"));
    let explained = score(&["--explain", "m0-main"]);
    assert_says(
        &explained.stdout,
        &[
            "8.3 % of clients, 11.1 % by health alone: the operator operator 0 has no more than 25 %",
        ],
    );
    // The same stands in what is published.
    let out = directory.path().join("out");
    bare()
        .args(["directory", "publish"])
        .arg(&out)
        .arg("--registry")
        .arg(&folder)
        .arg("--history")
        .arg(&rounds)
        .args(["--at", "2026-11-13T00:00:00Z"])
        .run()
        .assert_code(0);
    let status: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("v1/status.json")).unwrap()).unwrap();
    assert_eq!(status["endpoints"][0]["weight"], 0.0833);
    let page = std::fs::read_to_string(out.join("mirrors/m0.html")).unwrap();
    assert_says(&page, &["8.3 %, held down from 11.1 %"]);
}

#[test]
fn when_many_fail_at_once_none_is_taken_out() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("list");
    crowd(&folder, 10);
    lenient(&folder);
    let rounds = directory.path().join("rounds.jsonl");
    let score = |failing: usize, more: &[&str]| {
        std::fs::write(&rounds, crowd_history(10, failing)).unwrap();
        bare()
            .args(["directory", "score", "--registry"])
            .arg(&folder)
            .arg("--replay")
            .arg(&rounds)
            .args(more)
            .run()
    };
    let two = score(2, &[]);
    two.assert_code(1);
    assert_eq!(two.stdout.matches("degraded").count(), 2, "{}", two.stdout);
    let four = score(4, &[]);
    four.assert_code(0);
    assert_eq!(
        four.stdout.matches(" active ").count(),
        10,
        "{}",
        four.stdout
    );
    assert_says(
        &four.stderr,
        &["would have degraded 4 at once, so none was moved"],
    );
    let explained = score(4, &["--explain", "m1-main"]);
    assert_says(
        &explained.stdout,
        &["not degraded, with 3 others at once: too many rounds in a row failed"],
    );
    let eight = score(8, &[]);
    eight.assert_code(0);
    assert_says(
        &eight.stderr,
        &["nearly all mirrors failed at once, so the fault is the prober's"],
    );
}
