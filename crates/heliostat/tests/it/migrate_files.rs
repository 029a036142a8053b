//! What `heliostat migrate` keeps of files of every encoding, mode and owner, what it leaves alone, and its exit codes.

use std::path::PathBuf;

use heliostat_testkit::process::Finished;
use tempfile::TempDir;

use crate::world::{assert_says, bare};

const MAP: &str = "builtin = false\n[[retired]]\nhosts = ['old.example']\n[[retired.rule]]\n\
                   to = 'https://new.example'\n";

/// A text as the bytes of a file.
type Encode = fn(&str) -> Vec<u8>;

struct Tree(TempDir);

impl Tree {
    fn of(files: &[(&str, &[u8])]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in [("map.toml", MAP.as_bytes())].iter().chain(files) {
            let path = tree.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn run(&self, words: &str) -> Finished {
        let words: Vec<&str> = words.split_whitespace().collect();
        bare()
            .args(["migrate", words[0], "--map", "map.toml"])
            .args(&words[1..])
            .current_dir(self.0.path())
            .run()
    }
}

fn utf16(text: &str, mark: [u8; 2], unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    mark.into_iter()
        .chain(text.encode_utf16().flat_map(unit))
        .collect()
}

#[test]
fn every_encoding_and_line_end_stays() {
    let before = "# \u{e9}t\u{e9}\r\n\r\n-i  'https://old.example/simple'\t# old\r\n--trusted-host old.example\r\n\tflask==1.0 ";
    let after = "# \u{e9}t\u{e9}\r\n\r\n-i  'https://new.example/simple'\t# old\r\n\tflask==1.0 ";
    let encodings: [(&str, Encode); 5] = [
        ("utf8.txt", |text| text.as_bytes().to_vec()),
        ("marked.txt", |text| {
            [b"\xef\xbb\xbf", text.as_bytes()].concat()
        }),
        ("little.txt", |text| {
            utf16(text, [0xff, 0xfe], u16::to_le_bytes)
        }),
        ("big.txt", |text| {
            utf16(text, [0xfe, 0xff], u16::to_be_bytes)
        }),
        ("latin.txt", |text| {
            text.chars()
                .map(|one| u8::try_from(u32::from(one)).unwrap())
                .collect()
        }),
    ];
    let files: Vec<(String, Vec<u8>)> = encodings
        .iter()
        .map(|(name, encode)| (format!("requirements/{name}"), encode(before)))
        .collect();
    let borrowed: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let tree = Tree::of(&borrowed);
    tree.run("apply").assert_code(0);
    for (name, encode) in encodings {
        let new = tree.read(&format!("requirements/{name}"));
        assert_eq!(new, encode(after), "{name}");
    }
    let again = tree.run("apply");
    again.assert_code(0);
    assert_says(&again.stderr, &["0 files rewritten"]);
}

#[cfg(unix)]
#[test]
fn mode_and_owner_stay_and_nothing_is_left_beside() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let tree = Tree::of(&[(
        "deploy.sh",
        b"pip install -i https://old.example/simple x\n",
    )]);
    let path = tree.path("deploy.sh");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4751)).unwrap();
    // Only root may give a file away; everybody else sees that it stays theirs.
    let given = chown(&path, Some(4242), Some(4343)).is_ok();
    if given {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4751)).unwrap();
    }
    let before = std::fs::metadata(&path).unwrap();
    tree.run("apply").assert_code(0);
    let after = std::fs::metadata(&path).unwrap();
    assert_eq!(
        (after.mode() & 0o7777, after.uid(), after.gid()),
        (before.mode() & 0o7777, before.uid(), before.gid())
    );
    assert_ne!(after.ino(), before.ino(), "it is replaced in one step");
    let names = std::fs::read_dir(tree.0.path()).unwrap().count();
    assert_eq!(names, 2, "the map and the file");
}

#[cfg(unix)]
#[test]
fn nothing_is_reached_through_a_link() {
    use std::os::unix::fs::symlink;
    let line: &[u8] = b"-i https://old.example/simple\n";
    let outside = Tree::of(&[("requirements.txt", line), ("far/requirements.txt", line)]);
    let tree = Tree::of(&[("a.txt", b"hello\n")]);
    symlink(
        outside.path("requirements.txt"),
        tree.path("requirements.txt"),
    )
    .unwrap();
    symlink(outside.path("far"), tree.path("far")).unwrap();
    symlink(tree.path("loop"), tree.path("loop")).unwrap();
    let scan = tree.run("scan --json");
    scan.assert_code(0);
    assert_eq!(scan.json()["findings"].as_array().unwrap().len(), 0);
    tree.run("apply").assert_code(0);
    assert_eq!(outside.read("requirements.txt"), line);
    assert_eq!(outside.read("far/requirements.txt"), line);
}

#[test]
fn binary_vendored_and_generated_files_are_left_alone() {
    let line: &[u8] = b"-i https://old.example/simple\n";
    let generated = b"#!/bin/sh\n# Code generated by make. DO NOT EDIT.\npip install -i https://old.example/simple x\n";
    let tree = Tree::of(&[
        ("data.txt", b"-i https://old.example/simple\n\0\0\n"),
        ("logo.png", line),
        ("vendor/x/requirements.txt", line),
        ("node_modules/x/requirements.txt", line),
        (".git/hooks/requirements.txt", line),
        ("gen.sh", generated),
    ]);
    let scan = tree.run("scan --json");
    scan.assert_code(1);
    let report = scan.json();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{scan}");
    assert_eq!(findings[0]["file"], "gen.sh");
    assert_eq!(findings[0]["action"], "report");
    tree.run("apply").assert_code(1);
    assert_eq!(tree.read("gen.sh"), generated);
    assert_eq!(tree.read("vendor/x/requirements.txt"), line);
    // Looked for, other people's code is found too.
    let vendored = tree.run("scan --json --vendored");
    assert_eq!(vendored.json()["findings"].as_array().unwrap().len(), 3);
}

/// 0 nothing is left, 1 something is, 2 wrong usage, 3 something could not be read or written; each command alike.
#[cfg(target_os = "linux")]
#[test]
fn exit_codes_tell_what_came_out() {
    let clean = Tree::of(&[("requirements.txt", b"flask\n")]);
    let used = Tree::of(&[("requirements.txt", b"-i https://old.example/simple\n")]);
    for command in ["scan", "diff", "apply --dry-run"] {
        clean.run(command).assert_code(0);
        used.run(command).assert_code(1);
        used.run(&format!("{command} nowhere")).assert_code(2);
        used.run(&format!("{command} --no-such-option"))
            .assert_code(2);
        // A file that is there and cannot be read, by root neither.
        let unread = used.run(&format!("{command} /proc/self/mem requirements.txt"));
        unread.assert_code(3);
        assert_says(&unread.stderr, &["/proc/self/mem: "]);
    }
    std::fs::write(used.path("map.toml"), "nonsense = 1\n").unwrap();
    for command in ["scan", "diff", "apply", "map check", "timeline show"] {
        let (first, rest) = command.split_once(' ').unwrap_or((command, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        let wrong = bare()
            .args(["migrate", first])
            .args(&words)
            .args(["--map", "map.toml"])
            .current_dir(used.0.path())
            .run();
        wrong.assert_code(2);
        assert_says(&wrong.stderr, &["map.toml"]);
    }
    std::fs::write(used.path("map.toml"), MAP).unwrap();
    let path = used.path("requirements.txt");
    let mut mode = std::fs::metadata(&path).unwrap().permissions();
    mode.set_readonly(true);
    std::fs::set_permissions(&path, mode).unwrap();
    let unwritten = used.run("apply");
    unwritten.assert_code(3);
    assert_says(&unwritten.stderr, &["requirements.txt: is read-only"]);
    assert_says(
        &String::from_utf8(used.read("requirements.txt")).unwrap(),
        &["old.example"],
    );
}

/// What the readers of each format need of it: SARIF 2.1.0, GitHub's workflow commands, GitLab's code quality.
#[test]
fn each_format_is_what_its_readers_take() {
    let tree = Tree::of(&[
        (
            "requirements.txt",
            b"-i https://old.example/a --extra-index-url https://old.example/a\n--trusted-host old.example\n",
        ),
        ("notes.md", b"https://old.example/simple\n"),
    ]);
    let sarif = tree.run("scan --format sarif");
    sarif.assert_code(1);
    let sarif = sarif.json();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let rules: Vec<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    let text = String::from_utf8(tree.read("requirements.txt")).unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    for result in results {
        assert!(
            rules.contains(&result["ruleId"].as_str().unwrap()),
            "{result}"
        );
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        let number = |name: &str| usize::try_from(place["region"][name].as_u64().unwrap()).unwrap();
        assert!(number("startLine") >= 1 && number("startColumn") >= 1);
        if place["artifactLocation"]["uri"] == "requirements.txt" {
            let at = number("byteOffset");
            assert_says(&text[at..at + number("byteLength")], &["old.example"]);
        }
    }
    let fix = &results[1]["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(fix["insertedContent"]["text"], "https://new.example/a");

    let gitlab = tree.run("scan --format gitlab").json();
    let gitlab = gitlab.as_array().unwrap();
    let mut prints: Vec<&str> = gitlab
        .iter()
        .map(|issue| issue["fingerprint"].as_str().unwrap())
        .collect();
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), gitlab.len(), "GitLab drops what it has seen");
    for issue in gitlab {
        let severity = issue["severity"].as_str().unwrap();
        assert!(["info", "minor", "major", "critical", "blocker"].contains(&severity));
        assert!(issue["location"]["lines"]["begin"].as_u64().unwrap() >= 1);
        assert!(
            !issue["location"]["path"]
                .as_str()
                .unwrap()
                .starts_with("./")
        );
    }

    let github = tree.run("scan --format github");
    let lines: Vec<&str> = github.stdout.lines().collect();
    assert_eq!(lines.len(), 4);
    for line in lines {
        let (head, message) = line[2..].split_once("::").unwrap();
        let (command, properties) = head.split_once(' ').unwrap();
        assert!(["error", "warning", "notice"].contains(&command), "{line}");
        let names: Vec<&str> = properties
            .split(',')
            .map(|property| property.split_once('=').unwrap().0)
            .collect();
        assert_eq!(names, ["file", "line", "col", "title"], "{line}");
        assert!(!message.is_empty(), "{line}");
    }
}
