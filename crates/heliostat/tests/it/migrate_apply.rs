//! `heliostat migrate` on a small repository: scan, diff, apply, and what is refused.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::world::{assert_says, bare};

const MAP: &str = "builtin = false\n[[retired]]\nhosts = ['old.example']\nwhy = 'closed'\n[[retired.rule]]\nto = 'https://new.example'\n";

/// A repository with one commit.
fn repository(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    git(directory.path(), &["init", "-q"]);
    git(directory.path(), &["add", "-A"]);
    git(
        directory.path(),
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b.example",
            "commit",
            "-qm",
            "one",
        ],
    );
    directory
}

fn git(directory: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .status()
        .unwrap();
    assert!(status.success());
}

fn read(directory: &TempDir, name: &str) -> String {
    std::fs::read_to_string(directory.path().join(name)).unwrap()
}

const FILES: &[(&str, &str)] = &[
    ("map.toml", MAP),
    (
        "requirements.txt",
        "--index-url http://old.example/simple\r\n--trusted-host old.example\r\nflask==1.0\r\n",
    ),
    (".gitignore", ".venv/\n"),
    (
        ".venv/pip.conf",
        "[global]\nextra-index-url = https://u:secret@old.example/simple",
    ),
    (
        "node_modules/x/requirements.txt",
        "-i http://old.example/simple\n",
    ),
    ("README.md", "once http://old.example/simple\n"),
];

fn migrate(directory: &TempDir, arguments: &[&str]) -> heliostat_testkit::process::Finished {
    let map = directory.path().join("map.toml");
    bare()
        .arg("migrate")
        .args(arguments)
        .args([
            directory.path().to_str().unwrap(),
            "--map",
            map.to_str().unwrap(),
        ])
        .run()
}

#[test]
fn a_repository_is_scanned_shown_and_rewritten() {
    let directory = repository(FILES);
    let scan = migrate(&directory, &["scan", "--json"]);
    scan.assert_code(1);
    let report: serde_json::Value = serde_json::from_str(&scan.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 4, "{scan}");
    assert!(!scan.stdout.contains("secret"), "{scan}");

    let diff = migrate(&directory, &["diff"]);
    diff.assert_code(1);
    assert_says(&diff.stdout, &["+--index-url https://new.example/simple"]);
    assert!(!diff.stdout.contains("secret"), "{diff}");
    assert_says(
        &read(&directory, "requirements.txt"),
        &["http://old.example"],
    );

    migrate(&directory, &["apply"]).assert_code(0);
    assert_eq!(
        read(&directory, "requirements.txt"),
        "--index-url https://new.example/simple\r\nflask==1.0\r\n"
    );
    assert_eq!(
        read(&directory, ".venv/pip.conf"),
        "[global]\nextra-index-url = https://new.example/simple"
    );
    assert_says(&read(&directory, "README.md"), &["old.example"]);
    assert_says(
        &read(&directory, "node_modules/x/requirements.txt"),
        &["old.example"],
    );
    migrate(&directory, &["scan"]).assert_code(0);
    migrate(&directory, &["diff"]).assert_code(0);
}

#[test]
fn a_dirty_repository_and_a_wrong_map_are_refused() {
    let directory = repository(FILES);
    std::fs::write(directory.path().join("README.md"), "changed\n").unwrap();
    let refused = migrate(&directory, &["apply"]);
    refused.assert_code(2);
    assert_says(&refused.stderr, &["uncommitted", "--allow-dirty"]);
    assert_says(&read(&directory, "requirements.txt"), &["old.example"]);
    git(directory.path(), &["checkout", "-q", "README.md"]);
    // A new file that git could not bring back is one too, when it is to be written.
    std::fs::write(directory.path().join("notes.txt"), "new\n").unwrap();
    std::fs::create_dir(directory.path().join("sub")).unwrap();
    let fresh = directory.path().join("sub/new requirements.txt");
    std::fs::write(&fresh, "-i http://old.example/simple\n").unwrap();
    let refused = migrate(&directory, &["apply"]);
    refused.assert_code(2);
    assert_says(
        &refused.stderr,
        &["`sub/new requirements.txt` is new", "--allow-dirty"],
    );
    assert_says(&read(&directory, "requirements.txt"), &["old.example"]);
    std::fs::remove_file(&fresh).unwrap();
    migrate(&directory, &["apply"]).assert_code(0);

    std::fs::write(directory.path().join("map.toml"), "[[retired]]\n").unwrap();
    let wrong = migrate(&directory, &["scan"]);
    wrong.assert_code(2);
    assert_says(&wrong.stderr, &["map.toml", "hosts"]);
}

#[test]
fn history_tells_what_was_there_once() {
    let directory = repository(FILES);
    migrate(&directory, &["apply"]).assert_code(0);
    git(
        directory.path(),
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b.example",
            "commit",
            "-qam",
            "two",
        ],
    );
    let history = migrate(&directory, &["scan", "--git-history"]);
    history.assert_code(1);
    assert_says(&history.stdout, &["requirements.txt@", "[manual]"]);
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed_and_the_mode_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let outside = tempfile::tempdir().unwrap();
    let far = outside.path().join("requirements.txt");
    std::fs::write(&far, "-i http://old.example/simple\n").unwrap();
    let directory = repository(&[
        ("map.toml", MAP),
        ("run.sh", "pip install -i http://old.example/simple x\n"),
    ]);
    std::os::unix::fs::symlink(outside.path(), directory.path().join("out")).unwrap();
    let run = directory.path().join("run.sh");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o750)).unwrap();
    migrate(&directory, &["apply", "--allow-dirty"]).assert_code(0);
    assert_eq!(
        std::fs::metadata(&run).unwrap().permissions().mode() & 0o777,
        0o750
    );
    assert_says(&std::fs::read_to_string(&far).unwrap(), &["old.example"]);
    assert_says(
        &std::fs::read_to_string(&run).unwrap(),
        &["https://new.example/simple"],
    );
}
