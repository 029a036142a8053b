//! `directory`: a list that is begun, checked and scored.

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
