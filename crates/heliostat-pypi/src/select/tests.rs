//! What is asked for, in every way that people ask.

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> ProjectName {
    text.parse().unwrap()
}

fn requirements(texts: &[&str]) -> Vec<Requirement> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn want(selection: &Selection, project: &str, file: &str) -> Option<Want> {
    let project = name(project);
    let parsed = FileName::parse(file, &project).ok();
    selection
        .wants(&project)
        .map(|wanted| wanted.want(file, parsed.as_ref()))
}

#[test]
fn a_union_of_what_was_asked_for() {
    let mut selection = Selection::default();
    assert!(selection.is_empty() && selection.wants(&name("acme")).is_none());
    selection.names.insert(name("acme"));
    let asked = requirements(&[
        "tool>=2",
        "tool==1.5",
        "other",
        "addressed @ https://e.example/a.zip",
    ]);
    let refused = selection.add_requirements(&asked, &requirements(&["tool<3", "unasked==1"]));
    assert_eq!(refused, [&asked[3]]);
    selection
        .locked
        .entry(name("pinned"))
        .or_default()
        .insert("1.0".to_owned());
    selection.add_resolved(&name("deep"), ["deep-1.0.tar.gz".to_owned()]);

    for (project, file, expected) in [
        ("acme", "acme-1.0.tar.gz", Some(Want::Admitted)),
        ("tool", "tool-2.1-py3-none-any.whl", Some(Want::Admitted)),
        ("tool", "tool-1.5.tar.gz", Some(Want::Admitted)),
        ("tool", "tool-1.6.tar.gz", Some(Want::No)),
        ("tool", "tool-3.0.tar.gz", Some(Want::No)),
        ("tool", "tool.zip", Some(Want::No)),
        ("other", "other-0.1.zip", Some(Want::Admitted)),
        ("pinned", "pinned-1.0.0.tar.gz", Some(Want::Version)),
        ("pinned", "pinned-1.1.tar.gz", Some(Want::No)),
        ("deep", "deep-1.0.tar.gz", Some(Want::File)),
        ("deep", "deep-1.0-py3-none-any.whl", Some(Want::No)),
        ("unasked", "unasked-1.tar.gz", None),
        ("addressed", "addressed-1.tar.gz", None),
    ] {
        assert_eq!(want(&selection, project, file), expected, "{file}");
    }
    let named: Vec<&str> = selection
        .named()
        .unwrap()
        .map(ProjectName::as_str)
        .collect();
    assert_eq!(named, ["acme", "deep", "other", "pinned", "tool"]);
}

#[test]
fn patterns_need_the_list_and_exclusions_win() {
    let mut selection = Selection {
        names: [name("acme-core")].into(),
        ..Selection::default()
    };
    selection.patterns.push("Acme_*".parse().unwrap());
    selection.excluded.push("*-nightly".parse().unwrap());
    selection.excluded.push("acme.secret".parse().unwrap());
    assert!(selection.named().is_none());
    for (project, expected) in [
        ("acme-x", true),
        ("acme", false),
        ("acme-nightly", false),
        ("acme-secret", false),
        ("acme-core", true),
    ] {
        assert_eq!(
            selection.wants(&name(project)).is_some(),
            expected,
            "{project}"
        );
    }
    let mut all = Selection::everything();
    assert!(all.is_everything() && all.named().is_none());
    all.merge(selection);
    assert_eq!(all.wants(&name("anything")), Some(Wanted::AllVersions));
    assert_eq!(all.wants(&name("tf-nightly")), None);
}

#[test]
fn a_selection_is_stored_and_read_again() {
    let mut selection = Selection {
        names: [name("acme")].into(),
        ..Selection::default()
    };
    selection.patterns.push("a*".parse().unwrap());
    selection.add_requirements(&requirements(&["tool>=2,!=2.1"]), &[]);
    selection.add_resolved(&name("deep"), ["deep-1.0.tar.gz".to_owned()]);
    let json = serde_json::to_string(&selection).unwrap();
    assert_eq!(serde_json::from_str::<Selection>(&json).unwrap(), selection);
    assert_eq!(
        serde_json::to_string(&Selection::everything()).unwrap(),
        r#"{"extent":"everything"}"#
    );
    assert!(serde_json::from_str::<Selection>(r#"{"patterns":["["]}"#).is_err());
    let mut twice = selection.clone();
    twice.merge(selection.clone());
    assert_eq!(twice, selection);
}

#[test]
fn requirements_files_as_pip_reads_them() {
    let text = "\u{feff}# a comment\n\
        requests[socks] >= 2 ; python_version > '3.7'  # another\n\
        django==4.2 \\\n    --hash=sha256:aaaa \\\n    --hash sha256:bbbb\n\
        \n-r other.txt\n--requirement=more/dev.txt\n-c \"cons.txt\"\r\n-cclose.txt\n\
        --index-url https://e.example/simple\n--pre\n-e .\n./local\nlocal/thing.whl\nwheel-1.0-py3-none-any.whl\n\
        git+https://e.example/a.git#egg=a\nname @ https://e.example/a.zip\nhttps://${TOKEN}@e.example/a.zip\n\
        not a requirement\n--colour\nurl-like==1.0#not-a-comment\nflask --colour=red\n";
    insta::assert_debug_snapshot!(read_requirements(text));
}

#[test]
fn a_comment_ends_a_continuation() {
    let read = read_requirements("a==1 \\\n# why\nb==2\\\n\nc");
    let entries: Vec<_> = read
        .entries
        .iter()
        .map(|entry| (entry.line, entry.requirement.to_string()))
        .collect();
    assert_eq!(
        entries,
        [
            (1, "a==1".to_owned()),
            (3, "b==2".to_owned()),
            (5, "c".to_owned())
        ]
    );
}

const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn uv_text() -> String {
    format!(
        r#"
version = 1
requires-python = ">=3.9"
[[package]]
name = "Acme_Core"
version = "1.2"
source = {{ registry = "https://e.example/simple" }}
sdist = {{ url = "https://f.example/packages/acme_core-1.2.tar.gz", hash = "sha256:{HASH}", size = 1 }}
wheels = [{{ url = "https://f.example/packages/acme_core-1.2-py3-none-any.whl#x", hash = "sha256:{HASH}" }}]
[[package]]
name = "here"
version = "0.1.0"
source = {{ virtual = "." }}
[[package]]
name = "versionless"
source = {{ registry = "x" }}
"#
    )
}

fn pylock_text() -> String {
    format!(
        r#"
lock-version = "1.0"
created-by = "somebody"
[[packages]]
name = "acme-core"
version = "1.2"
index = "https://e.example/simple"
sdist = {{ name = "acme_core-1.2.tar.gz", upload-time = 2025-01-01T00:00:00Z, hashes = {{ sha256 = "{HASH}" }} }}
wheels = [{{ url = "https://f.example/packages/acme_core-1.2-py3-none-any.whl", hashes = {{ sha256 = "{HASH}" }} }}]
[[packages]]
name = "versioned"
vcs = {{ type = "git", url = "https://e.example/x.git", commit-id = "0" }}
"#
    )
}

fn poetry_text() -> String {
    format!(
        r#"
[[package]]
name = "acme-core"
version = "1.2"
files = [
  {{ file = "acme_core-1.2.tar.gz", hash = "sha256:{HASH}" }},
  {{ file = "acme_core-1.2-py3-none-any.whl", hash = "sha256:{HASH}" }},
]
[[package]]
name = "old-style"
version = "3"
source = {{ type = "legacy", url = "https://e.example/simple", reference = "own" }}
[[package]]
name = "fromgit"
version = "0"
source = {{ type = "git", url = "x" }}
[metadata]
lock-version = "2.0"
[metadata.files]
old-style = [{{ file = "old-style-3.tar.gz", hash = "md5:00" }}]
"#
    )
}

fn pipfile_text() -> String {
    format!(
        r#"{{"_meta": {{"sources": []}},
            "default": {{"acme-core": {{"hashes": ["sha256:{HASH}"], "version": "==1.2"}}, "local": {{"path": "."}}}},
            "develop": {{"acme-core": {{"version": "==1.2"}}, "loose": {{"version": "*"}}}}}}"#
    )
}

#[test]
fn locks_give_what_comes_from_an_index() {
    for (path, text) in [
        ("a/uv.lock", uv_text()),
        ("pylock.dev.toml", pylock_text()),
        ("poetry.lock", poetry_text()),
        ("Pipfile.lock", pipfile_text()),
    ] {
        let read = read_lock(path, &text).unwrap();
        insta::assert_debug_snapshot!(read.kind.to_string(), read);
        assert_eq!(
            read_lock("renamed.txt", &text).unwrap(),
            read,
            "{path} by its content"
        );
        let mut selection = Selection::default();
        selection.add_locked(&read.packages);
        assert_eq!(
            want(&selection, "acme-core", "acme_core-1.2.zip"),
            Some(Want::Version)
        );
    }
    assert_eq!(read_lock("x.toml", "a = 1"), Err(LockError::Unknown));
    assert!(matches!(
        read_lock("uv.lock", "a = = 1"),
        Err(LockError::Syntax(_))
    ));
    assert!(matches!(
        read_lock("Pipfile.lock", "[]"),
        Err(LockError::Syntax(_))
    ));
}

proptest! {
    #[test]
    fn no_requirements_file_panics(text in "(\\PC{0,20}\n|[-a-z]{1,9}[ =<>0-9.]{0,5}(#x| #x|\\\\)?\n|-r x\n){0,8}") {
        drop(read_requirements(&text));
    }

    #[test]
    fn every_line_of_a_requirements_file_is_accounted_for(text in "([-a-z/]{1,9}[ =<>0-9.]{0,5}( --[a-z=]{0,4})?\n){0,8}") {
        let read = read_requirements(&text);
        let mut lines: Vec<usize> = read.entries.iter().map(|entry| entry.line).collect();
        lines.extend(read.includes.iter().map(|include| include.line));
        lines.extend(read.not_taken.iter().map(|not_taken| not_taken.line));
        lines.sort_unstable();
        lines.dedup();
        prop_assert_eq!(lines, (1..=text.lines().count()).collect::<Vec<_>>());
    }

    #[test]
    fn no_lock_file_panics(text in "\\PC{0,60}", near in "(\\[\\[package\\]\\]\n|name = \"[a-z]{0,3}\"\n|version = [1\"]{1,3}\n|source = \\{ [a-z]{1,8} = 1 \\}\n|files = \\[[1{}]{0,3}\\]\n){0,6}") {
        for path in ["uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock", "other"] {
            for text in [&text, &near] {
                drop(read_lock(path, text));
            }
        }
    }

    #[test]
    fn no_pattern_panics(text in "\\PC{0,20}", near in "[a*?{},\\[\\]!\\\\-]{0,12}") {
        for text in [text, near] {
            if let Ok(pattern) = text.parse::<NamePattern>() {
                pattern.matches(&name("acme"));
                prop_assert_eq!(pattern.to_string().parse::<NamePattern>(), Ok(pattern));
            }
        }
    }
}

#[test]
fn a_lock_file_of_a_later_format_is_refused_with_what_is_known() {
    for (name, text, known) in [
        ("uv.lock", "version = 99\n", "version 1"),
        ("pylock.toml", "lock-version = \"2.0\"\n", "version 1.x"),
        (
            "poetry.lock",
            "[metadata]\nlock-version = \"3.0\"\n",
            "versions 0.x to 2.x",
        ),
        (
            "Pipfile.lock",
            "{\"_meta\": {\"pipfile-spec\": 7}}",
            "version 6",
        ),
    ] {
        let error = read_lock(name, text).unwrap_err().to_string();
        assert!(error.contains(name) && error.ends_with(known), "{error}");
    }
    for (name, text) in [
        ("uv.lock", "version = 1\nrevision = 3\n"),
        ("pylock.toml", "lock-version = \"1.7\"\n"),
        ("poetry.lock", "[metadata]\nlock-version = \"2.1\"\n"),
        ("poetry.lock", "[metadata]\n"),
        ("Pipfile.lock", "{\"_meta\": {\"pipfile-spec\": 6}}"),
    ] {
        read_lock(name, text).unwrap();
    }
}
