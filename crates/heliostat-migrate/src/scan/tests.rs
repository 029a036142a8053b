use proptest::prelude::*;

use super::*;
use crate::edit::apply;

/// The file after its edits.
pub(super) fn after(file: &str, text: &str) -> String {
    let scanner = scanner();
    let scan = scanner.scan(file, text.as_bytes());
    String::from_utf8(scanner.rewrite(file, text.as_bytes(), &scan).unwrap()).unwrap()
}

pub(super) fn scanner() -> Scanner {
    Scanner::new(Map::builtin())
}

/// PyPI's new addresses, spelt so that this file does not spell them.
pub(super) fn new(text: &str) -> String {
    text.replace("NEW", concat!("https://pypi", ".org"))
        .replace("UPLOAD", concat!("https://upload.pypi", ".org/legacy/"))
        .replace("FILES", concat!("https://files.python", "hosted.org"))
}

const REWRITES: &[(&str, &str, &str)] = &[
    (
        "requirements.txt",
        "# old: http://f.pypi.python.org/simple\n-i http://f.pypi.python.org/simple\n--trusted-host f.pypi.python.org\nflask==1.0\n",
        "# old: http://f.pypi.python.org/simple\n-i NEW/simple\nflask==1.0\n",
    ),
    (
        "requirements.txt",
        "--index-url=http://f.pypi.python.org/simple/ --trusted-host f.pypi.python.org\r\nx\r\n",
        "--index-url=NEW/simple/\r\nx\r\n",
    ),
    (
        "pip.conf",
        "[global]\nindex-url = http://f.pypi.python.org/simple/\ntrusted-host =\n    f.pypi.python.org\n    keep.example\ntimeout = 5\n",
        "[global]\nindex-url = NEW/simple/\ntrusted-host =\n    keep.example\ntimeout = 5\n",
    ),
    (
        "pip.conf",
        "[global]\ntrusted-host = f.pypi.python.org g.pypi.python.org\nindex-url : http://f.pypi.python.org/simple/",
        "[global]\nindex-url : NEW/simple/",
    ),
    (
        "pip.conf",
        "[install]\ntrusted-host = f.pypi.python.org keep.example\n[search]\nindex = https://pypi.python.org/pypi\n",
        "[install]\ntrusted-host = keep.example\n[search]\nindex = NEW/pypi\n",
    ),
    (
        ".pypirc",
        "[pypi]\nrepository:https://pypi.python.org/pypi\nusername: a\n",
        "[pypi]\nrepository:UPLOAD\nusername: a\n",
    ),
    (
        "Dockerfile",
        "FROM x\nENV PIP_INDEX_URL=http://f.pypi.python.org/simple \\\n    PIP_TRUSTED_HOST=f.pypi.python.org\nRUN pip install --trusted-host f.pypi.python.org -i http://f.pypi.python.org/simple x\n",
        "FROM x\nENV PIP_INDEX_URL=NEW/simple\nRUN pip install -i NEW/simple x\n",
    ),
    (
        "Dockerfile",
        "ENV PIP_TRUSTED_HOST=f.pypi.python.org \\\n    A=1\n",
        "ENV A=1\n",
    ),
    (
        "Dockerfile",
        "RUN pip install \\\n    --trusted-host f.pypi.python.org \\\n    -i http://f.pypi.python.org/simple \\\n    x\n",
        "RUN pip install \\\n    -i NEW/simple \\\n    x\n",
    ),
    (
        "Dockerfile",
        "RUN [\"pip\", \"install\", \"--trusted-host\", \"f.pypi.python.org\", \"x\"]\n",
        "RUN [\"pip\", \"install\", \"x\"]\n",
    ),
    (
        "ci.sh",
        "export PIP_TRUSTED_HOST=f.pypi.python.org\npip install -f https://pypi.python.org/packages/ x\n",
        "pip install -f FILES/packages/ x\n",
    ),
    (
        ".env",
        "PIP_TRUSTED_HOST=f.pypi.python.org\nPIP_EXTRA_INDEX_URL=\"https://a.example/simple https://f.pypi.python.org/simple\"\n",
        "PIP_EXTRA_INDEX_URL=\"https://a.example/simple NEW/simple\"\n",
    ),
    (
        "a.yml",
        "env:\n  PIP_INDEX_URL: 'http://f.pypi.python.org/simple'\n  PIP_TRUSTED_HOST: f.pypi.python.org\nscript:\n  - pip install -i http://f.pypi.python.org/simple x\n",
        "env:\n  PIP_INDEX_URL: 'NEW/simple'\nscript:\n  - pip install -i NEW/simple x\n",
    ),
    (
        "k8s.yaml",
        "- name: PIP_INDEX_URL\n  value: http://f.pypi.python.org/simple\n",
        "- name: PIP_INDEX_URL\n  value: NEW/simple\n",
    ),
    (
        "pyproject.toml",
        "[[tool.uv.index]]\nname = \"a\"\nurl = \"https://pypi.python.org/simple\"\n[tool.uv]\nallow-insecure-host = [\"f.pypi.python.org\"]\n[project.urls]\nHomepage = \"https://pypi.python.org/pypi/x\"\n",
        "[[tool.uv.index]]\nname = \"a\"\nurl = \"NEW/simple\"\n[tool.uv]\n[project.urls]\nHomepage = \"https://pypi.python.org/pypi/x\"\n",
    ),
    (
        "uv.toml",
        "allow-insecure-host = [\"f.pypi.python.org\", \"b.example\"]\n",
        "allow-insecure-host = [\"b.example\"]\n",
    ),
    (
        "x.json",
        "{\n  \"a\": 1,\n  \"PIP_INDEX_URL\": \"http:\\/\\/f.pypi.python.org\\/simple\",\n  \"PIP_TRUSTED_HOST\": \"f.pypi.python.org\"\n}\n",
        "{\n  \"a\": 1,\n  \"PIP_INDEX_URL\": \"https:\\/\\/pypi.ORG\\/simple\"\n}\n",
    ),
    (
        "setup.cfg",
        "[easy_install]\nindex_url = https://pypi.python.org/pypi\nallow_hosts = pypi.python.org\n",
        "[easy_install]\nindex_url = NEW/simple/\nallow_hosts = pypi.ORG files.pythonhosted.ORG\n",
    ),
    (
        "uv.lock",
        "source = { registry = \"https://pypi.python.org/simple\" }\nsdist = { url = \"https://pypi.python.org/packages/aa/bb/x-1.tar.gz\", hash = \"sha256:0\" }\n",
        "source = { registry = \"NEW/simple\" }\nsdist = { url = \"FILES/packages/aa/bb/x-1.tar.gz\", hash = \"sha256:0\" }\n",
    ),
    (
        "README.md",
        "pip install -i https://pypi.python.org/simple x\n",
        "pip install -i https://pypi.python.org/simple x\n",
    ),
    (
        "x.cfg",
        "index-url = https://pypi.python.org/simple # heliostat:ignore\n",
        "index-url = https://pypi.python.org/simple # heliostat:ignore\n",
    ),
    (
        "Makefile",
        "\tpip install --trusted-host=f.pypi.python.org x\n",
        "\tpip install x\n",
    ),
    (
        "run.sh",
        "pip install -i https://u:secret@pypi.python.org/simple x",
        "pip install -i NEW/simple x",
    ),
    (
        "trust.yml",
        "env:\n  PIP_TRUSTED_HOST: f.pypi.python.org keep.example\n",
        "env:\n  PIP_TRUSTED_HOST: keep.example\n",
    ),
    (
        "ci.yml",
        "env:\n  PIP_EXTRA_INDEX_URL: https://${{ secrets.A }}:${{ secrets.B }}@pypi.python.org/simple\n",
        "env:\n  PIP_EXTRA_INDEX_URL: NEW/simple\n",
    ),
    (
        "azure-pipelines.yml",
        "- script: pip install -i https://$(A):$(B)@pypi.python.org/simple x\n",
        "- script: pip install -i NEW/simple x\n",
    ),
    (
        "pip.conf.j2",
        "[global]\nindex-url = https://{{ user }}:{{ pass | urlencode }}@pypi.python.org/simple\n",
        "[global]\nindex-url = NEW/simple\n",
    ),
];

#[test]
fn live_settings_are_rewritten_and_nothing_else() {
    for (file, before, expected) in REWRITES {
        let expected = new(expected)
            .replace("pypi.ORG", concat!("pypi", ".org"))
            .replace("pythonhosted.ORG", concat!("python", "hosted.org"));
        assert_eq!(after(file, before), expected, "{file}");
        assert_eq!(after(file, &expected), expected, "{file} a second time");
    }
}

const MORE_REWRITES: &[(&str, &str, &str)] = &[
    (
        "a.service",
        "[Service]\nEnvironment=\"PIP_TRUSTED_HOST=pypi.python.org\" \"A=b\"\n",
        "[Service]\nEnvironment=\"A=b\"\n",
    ),
    (
        "a.sh",
        "python setup.py upload -r https://pypi.python.org/pypi\n",
        "python setup.py upload -r UPLOAD\n",
    ),
    (
        "s.py",
        "# /// script\n# [[tool.uv.index]]\n# url = \"https://pypi.python.org/simple\"\n# ///\n# https://pypi.python.org/simple\n",
        "# /// script\n# [[tool.uv.index]]\n# url = \"NEW/simple\"\n# ///\n# https://pypi.python.org/simple\n",
    ),
];

#[test]
fn rarer_settings_are_rewritten_too() {
    for (file, before, expected) in MORE_REWRITES {
        assert_eq!(after(file, before), new(expected), "{file}");
    }
}

#[test]
fn a_name_of_one_label_is_a_host_only_where_one_is_taken() {
    let map = "builtin = false\n[[retired]]\nhosts = ['nexus']\nports = [80, 8081]\n[[retired.rule]]\nto = 'https://new.example'\n";
    let scanner = Scanner::new(Map::parse("m.toml", map).unwrap());
    let text = "# nexus\n--index-url http://Nexus:8081/pypi/simple\n--trusted-host nexus\nnexus==1.0\nnexus-api @ https://x.example/nexus/a.whl\n--find-links http://nexus.example/\n";
    let scan = scanner.scan("requirements.txt", text.as_bytes());
    let found: Vec<(usize, Kind)> = scan
        .findings
        .iter()
        .map(|one| (one.line, one.kind))
        .collect();
    assert_eq!(found, [(2, Kind::Index), (3, Kind::TrustedHost)]);
    let new = scanner.rewrite("requirements.txt", text.as_bytes(), &scan);
    let expected = text
        .replace("http://Nexus:8081", "https://new.example")
        .replace("--trusted-host nexus\n", "");
    assert_eq!(String::from_utf8(new.unwrap()).unwrap(), expected);
}

#[test]
fn an_index_that_becomes_anothers_double_is_told() {
    let reasons = |file: &str, text: &str| -> Vec<(usize, String)> {
        let scan = scanner().scan(file, new(text).as_bytes());
        let told = scan.findings.into_iter();
        told.filter_map(|one| Some((one.line, one.reason?)))
            .collect()
    };
    let words =
        |line: usize| format!("the same index as in line {line} then: one of them is enough");
    for (file, text, expected) in [
        (
            "pip.conf",
            "[global]\nindex-url = http://f.pypi.python.org/simple\nextra-index-url =\n  http://c.pypi.python.org/simple/\n",
            vec![(4, words(2))],
        ),
        (
            "requirements.txt",
            "-i NEW/simple/\nx==1\ny==2\nz==3\nv==4\n--extra-index-url http://f.pypi.python.org/simple\n",
            vec![(6, words(1))],
        ),
        (
            "requirements.txt",
            "-i http://f.pypi.python.org/simple\n--extra-index-url NEW/simple/\n",
            vec![(1, words(2))],
        ),
        (
            "pyproject.toml",
            "[tool.uv]\nextra-index-url = [\"http://f.pypi.python.org/simple\", \"http://c.pypi.python.org/simple\"]\n",
            vec![(2, words(2))],
        ),
        (
            "a.sh",
            "pip install -i http://f.pypi.python.org/simple a\n\n\n\npip install --extra-index-url http://f.pypi.python.org/simple b\n",
            vec![],
        ),
        (
            "requirements.txt",
            "-i http://f.pypi.python.org/simple\n# --extra-index-url NEW/simple\n--extra-index-url NEW/simple/x/\n",
            vec![],
        ),
    ] {
        assert_eq!(reasons(file, text), expected, "{text}");
    }
}

const KINDS: &[(&str, &str, Kind, Action)] = &[
    (
        "Dockerfile",
        "RUN pip install --trusted-host http://x.example/simple -i http://f.pypi.python.org/simple x",
        Kind::Index,
        Action::Rewrite,
    ),
    (
        "a.sh",
        "docker run x pip install -i http://f.pypi.python.org/simple x",
        Kind::Index,
        Action::Rewrite,
    ),
    (
        "a.sh",
        "curl -i http://f.pypi.python.org/simple",
        Kind::Other,
        Action::Rewrite,
    ),
    (
        ".git-credentials",
        "https://joe:secret@f.pypi.python.org",
        Kind::Credential,
        Action::Report,
    ),
    (
        "a.sh",
        "keyring set https://f.pypi.python.org/simple joe",
        Kind::Credential,
        Action::Report,
    ),
    (
        "buildout.cfg",
        "[buildout]\nallow-hosts = *.pypi.python.org\n",
        Kind::AllowedHost,
        Action::Report,
    ),
    (
        "setup.py",
        "setup(dependency_links=['http://f.pypi.python.org/simple/x/'])",
        Kind::DependencyLink,
        Action::Rewrite,
    ),
    (
        "r.pip",
        "--extra-index-url https://pypi.python.org/simple",
        Kind::ExtraIndex,
        Action::Rewrite,
    ),
    (
        "r.pip",
        "x @ https://pypi.python.org/packages/a/x-1.tar.gz",
        Kind::DirectUrl,
        Action::Rewrite,
    ),
    (
        "setup.py",
        "setup(dependency_links=['https://pypi.python.org/packages/x/'])",
        Kind::DependencyLink,
        Action::Rewrite,
    ),
    (
        "a.sh",
        "# https://pypi.python.org/simple",
        Kind::Comment,
        Action::Report,
    ),
    (
        "a.rst",
        "https://pypi.python.org/pypi/x",
        Kind::Doc,
        Action::Report,
    ),
    (
        "a.sh",
        "curl https://pypi.python.org/pypi/x",
        Kind::Other,
        Action::Rewrite,
    ),
    (
        ".netrc",
        "machine pypi.python.org login a password b",
        Kind::Credential,
        Action::Report,
    ),
    (
        "a.sh",
        "PYPI_HOST=pypi.python.org",
        Kind::Host,
        Action::Report,
    ),
    (
        "pip.conf",
        "[global]\nmirrors = http://d.pypi.python.org",
        Kind::DeadSetting,
        Action::Report,
    ),
    (
        "a.py",
        "\"\"\"See https://pypi.python.org/pypi/x\"\"\"",
        Kind::Comment,
        Action::Report,
    ),
    (
        "poetry.lock",
        "[package.source]\nurl = \"https://pypi.python.org/simple\"",
        Kind::LockSource,
        Action::Rewrite,
    ),
    (
        "x.dat",
        "index-url = https://pypi.python.org/simple",
        Kind::Index,
        Action::Report,
    ),
    (
        "tox.ini",
        "[tox]\nindexserver =\n    default = https://pypi.python.org/simple",
        Kind::Index,
        Action::Rewrite,
    ),
    (
        "a.sh",
        "pip install -i https://pypi.douban.com/simple",
        Kind::Index,
        Action::Report,
    ),
];

#[test]
fn a_source_that_is_not_checked_is_told_and_a_generated_file_left() {
    let text = "[[source]]\nname = \"a\"\nurl = \"https://pypi.python.org/simple\"\nverify_ssl = false # why\n\n[[source]]\nverify_ssl = false\n";
    let scan = scanner().scan("Pipfile", text.as_bytes());
    let seen: Vec<_> = scan
        .findings
        .iter()
        .map(|one| (one.line, one.kind, one.action, &text[one.start..one.end]))
        .collect();
    assert_eq!(
        seen,
        [
            (
                3,
                Kind::Index,
                Action::Rewrite,
                "https://pypi.python.org/simple"
            ),
            (4, Kind::TrustedHost, Action::Report, "verify_ssl = false"),
        ]
    );
    let text =
        "# Code generated by make; DO NOT EDIT.\nPIP_INDEX_URL=https://pypi.python.org/simple\n";
    let scan = scanner().scan("a.sh", text.as_bytes());
    assert_eq!(scan.findings[0].action, Action::Report);
    assert!(scan.edits.is_empty());
    let lock = "# This file is automatically @generated by Poetry.\n[package.source]\nurl = \"https://pypi.python.org/simple\"\n";
    assert!(
        !scanner()
            .scan("poetry.lock", lock.as_bytes())
            .edits
            .is_empty()
    );
}

#[test]
fn kinds_are_told_apart() {
    for (file, text, kind, action) in KINDS {
        let scan = scanner().scan(file, text.as_bytes());
        let seen: Vec<_> = scan
            .findings
            .iter()
            .map(|one| (one.kind, one.action))
            .collect();
        assert_eq!(seen, [(*kind, *action)], "{file}: {text}");
    }
}

#[test]
fn places_are_bytes_and_characters_in_every_encoding() {
    let text = "# é\nindex-url = http://f.pypi.python.org/simple\n";
    let wide: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let latin: Vec<u8> = text
        .chars()
        .map(|character| u8::try_from(u32::from(character)).unwrap())
        .collect();
    let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for bytes in [text.as_bytes().to_vec(), wide, latin, marked] {
        let scan = scanner().scan("pip.conf", &bytes);
        let one = &scan.findings[0];
        assert_eq!((one.line, one.column), (2, 13));
        let out = apply(&bytes, &scan.edits);
        let read = Text::read(&out).unwrap();
        assert_eq!(read.view(), new("# é\nindex-url = NEW/simple\n"));
        assert_eq!(read.encoding(), Text::read(&bytes).unwrap().encoding());
    }
}

#[test]
fn secrets_are_in_no_output() {
    for (text, shown) in [
        ("https://u:secret@h.example/x", "https://u:****@h.example/x"),
        (
            "https://token-of-many-letters@h.example/x",
            "https://****@h.example/x",
        ),
        ("https://h.example/a@b", "https://h.example/a@b"),
        ("https://u:p@q@h.example", "https://u:****@h.example"),
    ] {
        assert_eq!(redacted(text), shown);
    }
    let scan = scanner().scan("r.pip", b"-i https://u:secret@pypi.python.org/simple\n");
    assert!(
        !serde_json::to_string(&scan.findings)
            .unwrap()
            .contains("secret")
    );
    assert!(scan.findings[0].has_credentials);
}

#[test]
fn variables_are_listed() {
    let scan = scanner().scan("a.sh", b"pip install -i https://$HOST/simple x\ncurl https://$HOST/y\npip install -i https://pypi.python.org${X}/simple y\npip install -i https://$U:$P@h.example/simple\npip install -i https://{{ u }}@h.example/simple\n");
    let seen: Vec<_> = scan
        .unresolved
        .iter()
        .map(|one| (one.line, one.names_retired_host))
        .collect();
    assert_eq!(seen, [(1, false), (3, true)]);
    assert_eq!(scan.findings, []);
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("https://pypi.python.org/simple".to_owned()),
        Just("f.pypi.python.org".to_owned()),
        Just("--trusted-host ".to_owned()),
        Just("trusted-host = ".to_owned()),
        Just("-i ".to_owned()),
        Just("PIP_TRUSTED_HOST=".to_owned()),
        Just("\n".to_owned()),
        Just(" \\\n".to_owned()),
        Just("\"".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(", ".to_owned()),
        Just("# ".to_owned()),
        Just("    ".to_owned()),
        Just("index-url: ".to_owned()),
        "\\PC{0,4}",
    ]
}

proptest! {
    #[test]
    fn any_file_is_scanned_without_a_fault_and_twice_is_once(
        parts in prop::collection::vec(piece(), 0..14),
        file in prop::sample::select(vec!["r.pip", "pip.conf", "Dockerfile", "a.sh", "a.toml", "a.yml", "a.json", "a.py", "Pipfile.lock"]),
    ) {
        let scanner = scanner();
        let text = parts.concat();
        let scan = scanner.scan(file, text.as_bytes());
        let mut last = 0;
        for edit in &scan.edits {
            prop_assert!(edit.span.start >= last && edit.span.end >= edit.span.start && edit.span.end <= text.len());
            prop_assert!(text.is_char_boundary(edit.span.start) && text.is_char_boundary(edit.span.end));
            last = edit.span.end;
        }
        let once = apply(text.as_bytes(), &scan.edits);
        prop_assert!(str::from_utf8(&once).is_ok());
    }
}
