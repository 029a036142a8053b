//! What the fuzz targets of migration do with their bytes. The tests of `heliostat-migrate` include this file to
//! replay the corpora.

use heliostat_migrate::map::Map;
use heliostat_migrate::{Scanner, apply, lock};

/// A target with the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[
    ("migrate_scan", migrate_scan),
    ("migrate_map", migrate_map),
    ("migrate_lock", migrate_lock),
];

/// Names that stand for every kind of file.
const FILES: [&str; 20] = [
    "requirements.txt",
    "pip.conf",
    ".pypirc",
    "pyproject.toml",
    "setup.cfg",
    "tox.ini",
    "uv.lock",
    "pylock.toml",
    "pdm.lock",
    "conda-lock.yml",
    "module.bazel.lock",
    "poetry.lock",
    "Pipfile.lock",
    "a.json",
    "a.yml",
    "Dockerfile",
    "a.sh",
    "a.py",
    "a.tf",
    "README.md",
];

/// A file, taken for each of the kinds in turn: edits lie in the file, in order, and what is written can be scanned.
pub fn migrate_scan(bytes: &[u8]) {
    let scanner = Scanner::new(Map::builtin());
    for file in FILES {
        let scan = scanner.scan(file, bytes);
        let mut last = 0;
        for edit in &scan.edits {
            assert!(last <= edit.span.start && edit.span.start <= edit.span.end);
            assert!(edit.span.end <= bytes.len());
            last = edit.span.end;
        }
        for finding in &scan.findings {
            assert!(finding.start <= finding.end && finding.end <= bytes.len());
        }
        scanner.scan(file, &apply(bytes, &scan.edits));
        // What may be written is written once: a second run finds nothing more to do.
        if let Ok(new) = scanner.rewrite(file, bytes, &scan) {
            let again = scanner.scan(file, &new);
            assert_eq!(apply(&new, &again.edits), new);
        }
    }
}

/// A map of retired hosts.
pub fn migrate_map(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        drop(Map::parse("migrate.toml", text));
    }
}

/// A lock file and its project file, with a line of hyphens between them.
pub fn migrate_lock(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let Some((held, project)) = text.split_once("\n---\n") else {
        return;
    };
    let moved = project.replace("old.example", "new.example");
    for name in ["poetry.lock", "pdm.lock", "Pipfile.lock"] {
        let rehashed = lock::rehash(name, held.as_bytes(), project.as_bytes(), moved.as_bytes());
        if let Some((finding, edit)) = rehashed {
            assert_eq!(&held[finding.start..finding.end], finding.text);
            assert!(edit.is_none_or(|edit| edit.span == (finding.start..finding.end)));
        }
    }
}
