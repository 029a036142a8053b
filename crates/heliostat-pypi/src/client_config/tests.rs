use super::*;

fn source(kind: SourceKind, text: &str) -> Source {
    Source {
        place: "a/file".to_owned(),
        kind,
        text: text.to_owned(),
    }
}

/// `line installer name=value` of each setting.
fn found(kind: SourceKind, text: &str) -> Vec<String> {
    settings(&source(kind, text))
        .unwrap()
        .iter()
        .map(|setting| {
            let line = setting
                .line
                .map(|line| line.to_string())
                .unwrap_or_default();
            format!(
                "{line} {} {}={}",
                setting.installer, setting.name, setting.value
            )
        })
        .collect()
}

/// How many settings of one source are found guilty.
fn bypasses(kind: SourceKind, text: &str, judged: &Judged) -> usize {
    let settings = settings(&source(kind, text)).unwrap();
    judge(&settings, judged)
        .iter()
        .filter(|bypass| bypass.severity == Severity::Bypass)
        .count()
}

#[test]
fn pip_conf_is_read_as_pip_reads_it() {
    let text = "# extra-index-url = http://no/\n[global]\nindex-url = http://127.0.0.1:1/simple/\ntimeout = 3\n\n\
                [install]\nextra_index_url:\n    http://a.example/simple\n    ; no\n    http://b.example/simple\n\
                find-links = /srv/wheels\ntrusted-host = a.example b.example\nno-index = true\n";
    assert_eq!(
        found(SourceKind::PipConf, text),
        [
            "3 pip index-url=http://127.0.0.1:1/simple/",
            "8 pip extra-index-url=http://a.example/simple",
            "10 pip extra-index-url=http://b.example/simple",
            "11 pip find-links=/srv/wheels",
            "12 pip trusted-host=a.example",
            "12 pip trusted-host=b.example",
            "13 pip no-index=true",
        ]
    );
}

#[test]
fn requirements_files_are_read_as_pip_reads_them() {
    let text = "# --extra-index-url no\nacme==1.0  # -i no\n-i http://a/\n--extra-index-url=http://b/\n--extra-index-url http://c/ --trusted-host c\n-fwheels\n--no-index\n-r other.txt\n--hash=sha256:00\n";
    assert_eq!(
        found(SourceKind::Requirements, text),
        [
            "3 pip index-url=http://a/",
            "4 pip extra-index-url=http://b/",
            "5 pip extra-index-url=http://c/",
            "5 pip trusted-host=c",
            "6 pip find-links=wheels",
            "7 pip no-index=true",
        ]
    );
}

#[test]
fn requirements_files_name_further_ones() {
    let text = "-r other.txt\n--requirement=a/b.txt # -r no\n-cthird.txt\n--constraint 'c.txt'\n# -r no\nacme\n-r https://h.example/r.txt\n-i http://a/\n";
    let named = included(&source(SourceKind::Requirements, text));
    let said: Vec<String> = (named.iter())
        .map(|setting| {
            format!(
                "{} {}={}",
                setting.line.unwrap(),
                setting.name,
                setting.value
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            "1 requirement=other.txt",
            "2 requirement=a/b.txt",
            "3 constraint=third.txt",
            "4 constraint=c.txt",
            "7 requirement=https://h.example/r.txt",
        ]
    );
    assert_eq!(included(&source(SourceKind::PipConf, text)), []);
    // Those that could not be read are notes.
    let notes = judge(&named, &Judged::default());
    let notes = (notes.iter()).filter(|note| note.setting.is_some());
    assert!(notes.clone().all(|note| note.severity == Severity::Note));
    assert_eq!(notes.count(), named.len());
}

#[test]
fn the_environment_is_read() {
    let text = "PATH=/bin\nPIP_EXTRA_INDEX_URL=http://a/ http://b/\nPIP_INDEX_URL=\nUV_INDEX=torch=http://t/ http://u/?x=1\nUV_INDEX_STRATEGY=unsafe-best-match\nUV_INSECURE_HOST=t\nPDM_PYPI_URL=http://p/\nPIP_CACHE_DIR=/c";
    assert_eq!(
        found(SourceKind::Environment, text),
        [
            " pip PIP_EXTRA_INDEX_URL=http://a/",
            " pip PIP_EXTRA_INDEX_URL=http://b/",
            " uv UV_INDEX=http://t/",
            " uv UV_INDEX=http://u/?x=1",
            " uv UV_INDEX_STRATEGY=unsafe-best-match",
            " uv UV_INSECURE_HOST=t",
            " pdm PDM_PYPI_URL=http://p/",
        ]
    );
}

#[test]
fn uv_is_read_from_both_its_files() {
    let uv = "index-strategy = \"unsafe-first-match\"\nextra-index-url = [\n  \"http://a/\",\n  \"http://b/\",\n]\n[pip]\nno-index = true\n\
              [[index]]\nname = \"x\"\nurl = \"http://c/\"\ndefault = true\n[[index]]\nurl = \"http://d/\"\nexplicit = true\n";
    let expected = [
        "1 uv index-strategy=unsafe-first-match",
        "2 uv extra-index-url=http://a/",
        "2 uv extra-index-url=http://b/",
        "7 uv no-index=true",
        "10 uv index (default)=http://c/",
        "13 uv index=http://d/",
    ];
    assert_eq!(found(SourceKind::UvToml, uv), expected);
    let project = format!(
        "[project]\nname = \"a\"\n[tool.uv]\n{}",
        uv.replace("[pip]", "[tool.uv.pip]")
            .replace("[[index]]", "[[tool.uv.index]]")
    );
    assert_eq!(found(SourceKind::Pyproject, &project).len(), expected.len());
}

#[test]
fn poetry_and_pdm_are_read() {
    let project = "[[tool.poetry.source]]\nname = \"proxy\"\nurl = \"http://127.0.0.1:1/simple/\"\n[[tool.poetry.source]]\nname = \"more\"\nurl = \"http://m/\"\npriority = \"supplemental\"\n\
                   [[tool.poetry.source]]\nname = \"PyPI\"\n[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"http://127.0.0.1:1/simple/\"\nverify_ssl = false\n[[tool.pdm.source]]\nname = \"w\"\ntype = \"find_links\"\nurl = \"http://w/\"\n";
    assert_eq!(
        found(SourceKind::Pyproject, project),
        [
            "3 poetry source=http://127.0.0.1:1/simple/",
            "6 poetry source (supplemental)=http://m/",
            "9 poetry source (PyPI)=PyPI",
            "12 pdm source=http://127.0.0.1:1/simple/",
            "13 pdm verify_ssl=false",
            "17 pdm source (find_links)=http://w/",
        ]
    );
    assert_eq!(
        found(
            SourceKind::PoetryToml,
            "[certificates.foo]\ncert = false\n[repositories.up]\nurl = \"http://x/\"\n"
        ),
        ["2 poetry certificates.cert=false"]
    );
    assert_eq!(
        found(
            SourceKind::PdmToml,
            "[pypi]\nurl = \"http://x/\"\n[pypi.private]\nurl = \"http://y/\"\n"
        ),
        [
            "2 pdm pypi.url=http://x/",
            "4 pdm source (supplemental)=http://y/"
        ]
    );
}

#[test]
fn what_leads_round_the_proxy_is_found_guilty_and_nothing_else() {
    use SourceKind::{Environment, PipConf, UvToml};
    let any = Judged::default();
    let exact = Judged {
        proxy: ProxyPlace::At("http://127.0.0.1:8081/simple/".parse().unwrap()),
        allowed: vec!["https://own.example/simple/".parse().unwrap()],
        installers: vec![Installer::Pip],
    };
    for (kind, text, with_any, with_exact) in [
        (
            PipConf,
            "[global]\nindex-url = http://127.0.0.1:8081/simple\n",
            0,
            0,
        ),
        (
            PipConf,
            "[global]\nindex-url = http://localhost:9/simple\n",
            0,
            1,
        ),
        (
            PipConf,
            "[global]\nindex-url = https://own.example/simple\n",
            1,
            0,
        ),
        (
            PipConf,
            "[global]\nindex-url = https://x.example/simple\n",
            1,
            1,
        ),
        // Nothing points pip to the proxy: a note, unless the proxy was named.
        (PipConf, "[global]\ntimeout = 1\n", 0, 1),
        (
            Environment,
            "PIP_INDEX_URL=http://127.0.0.1:8081/simple/\nPIP_TRUSTED_HOST=127.0.0.1:8081 localhost\n",
            0,
            0,
        ),
        (
            Environment,
            "PIP_INDEX_URL=http://127.0.0.1:8081/simple/\nPIP_TRUSTED_HOST=x.example\n",
            1,
            1,
        ),
        (
            Environment,
            "PIP_INDEX_URL=http://127.0.0.1:8081/simple/\nPIP_NO_INDEX=0\n",
            0,
            0,
        ),
        (
            Environment,
            "PIP_INDEX_URL=http://127.0.0.1:8081/simple/\nPIP_FIND_LINKS=/w\n",
            1,
            1,
        ),
        (
            Environment,
            "PIP_INDEX_URL=http://127.0.0.1:8081/simple/\nPIP_EXTRA_INDEX_URL=https://own.example/simple\n",
            1,
            0,
        ),
        (UvToml, "index-strategy = \"first-index\"\n", 0, 1),
        (UvToml, "index-strategy = \"unsafe-any-match\"\n", 1, 1),
    ] {
        assert_eq!(bypasses(kind, text, &any), with_any, "{text}");
        assert_eq!(bypasses(kind, text, &exact), with_exact, "{text}");
    }
}

#[test]
fn no_setting_names_a_proxy_that_is_yet_to_be_started() {
    use SourceKind::{PipConf, UvToml};
    let unborn = Judged {
        proxy: ProxyPlace::Unborn,
        allowed: vec!["http://localhost:3141/own/".parse().unwrap()],
        installers: vec![Installer::Pip, Installer::Uv],
    };
    for (kind, text, count) in [
        (UvToml, "index-url = \"http://127.0.0.1:8081/simple\"\n", 1),
        (
            PipConf,
            "[global]\nindex-url = http://localhost:8081/simple\n",
            1,
        ),
        (UvToml, "index-url = \"http://localhost:3141/own\"\n", 0),
        (UvToml, "index-strategy = \"first-index\"\n", 0),
    ] {
        assert_eq!(bypasses(kind, text, &unborn), count, "{text}");
    }
}

#[test]
fn a_fix_shows_no_credentials() {
    let text = "PIP_EXTRA_INDEX_URL=https://me:secret@x.example/simple/";
    let settings = settings(&source(SourceKind::Environment, text)).unwrap();
    let found = judge(&settings, &Judged::default());
    assert!(!found[0].fix.contains("secret"), "{}", found[0].fix);
}

#[test]
fn what_cannot_be_read_names_the_line() {
    let error = settings(&source(SourceKind::UvToml, "a = 1\nb = =\n")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`a/file` cannot be read: line 2"),
        "{error}"
    );
}
