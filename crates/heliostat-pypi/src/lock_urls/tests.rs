use proptest::prelude::*;

use super::*;

const FILE: &str = "packages/ab/cd/ef0123456789abcdef0123456789abcdef0123456789abcdef0123456789/acme-1.0-py3-none-any.whl";

fn map(from: &[&str]) -> UrlMap {
    UrlMap {
        from: from
            .iter()
            .map(|url| MovedRoot::new(url.parse().unwrap()))
            .collect(),
        loopback: Loopback::Mapped,
        to: Canonical {
            index: "https://index.example/simple".to_owned(),
            files: "https://files.example/".to_owned(),
        },
        beside: Beside::Unknown,
    }
}

fn canonical(name: &str, text: &str, map: &UrlMap) -> CanonicalLock {
    canonical_lock(LockFormat::of_filename(name).unwrap(), text, map).unwrap()
}

#[test]
fn each_address_becomes_the_canonical_one_or_stays() {
    let map = map(&[
        "https://mirror.example/pypi/web/simple/",
        "http://10.0.0.5:8080",
    ]);
    let file = |root: &str| format!("{root}{FILE}");
    for (text, expected) in [
        (
            "http://127.0.0.1:4000/simple",
            Some("https://index.example/simple".to_owned()),
        ),
        (
            "http://127.0.0.1:4000/simple/",
            Some("https://index.example/simple".to_owned()),
        ),
        (
            "http://user:secret@localhost:4000/simple/",
            Some("https://index.example/simple".to_owned()),
        ),
        (
            "http://[::1]:4000/root/simple/acme/",
            Some("https://index.example/simple/acme/".to_owned()),
        ),
        (
            &file("http://127.0.0.1:4000/"),
            Some(file("https://files.example/")),
        ),
        (
            &file("http://127.0.0.1:4000/deep/er/"),
            Some(file("https://files.example/")),
        ),
        (
            &(file("http://127.0.0.1:4000/") + "#sha256=00"),
            Some(file("https://files.example/") + "#sha256=00"),
        ),
        (
            &file("https://mirror.example/pypi/web/"),
            Some(file("https://files.example/")),
        ),
        (
            "https://mirror.example/pypi/web/simple",
            Some("https://index.example/simple".to_owned()),
        ),
        (
            "http://10.0.0.5:8080/simple/",
            Some("https://index.example/simple".to_owned()),
        ),
        // Other places, schemes, ports and things.
        ("https://mirror.example/simple/", None),
        ("http://mirror.example/pypi/web/simple/", None),
        ("https://mirror.example.evil/pypi/web/simple/", None),
        ("https://mirror.example:8443/pypi/web/simple/", None),
        ("http://localhost:9000/acme-1.0.tar.gz", None),
        ("http://localhost.example/simple/", None),
        ("git+http://localhost/simple/", None),
        ("not an address: http://127.0.0.1/simple/", None),
        ("https://files.example/x", None),
    ] {
        let moved = map.apply(text, LockFormat::Toml(LockKind::Uv));
        assert_eq!(moved, expected.map_or(Moved::Foreign, Moved::To), "{text}");
    }
    // Below a root that was named, everything is expected to have a counterpart.
    for text in [
        "https://mirror.example/pypi/web/acme-1.0.tar.gz",
        "https://mirror.example/pypi/web/packages/acme-1.0.tar.gz",
        "https://mirror.example/pypi/web/simpleton/",
    ] {
        assert_eq!(map.apply(text, LockFormat::Json), Moved::Nowhere, "{text}");
    }
}

#[test]
fn uv_lock_keeps_every_other_byte() {
    let text = format!(
        "version = 1\r\nrevision = 3\n# http://127.0.0.1:4000/simple/ in a comment stays\n\n[[package]]\nname = \"acme\"\nversion = \"1.0\"\n\
         source = {{ registry = \"http://127.0.0.1:4000/simple/\" }}\nwheels = [\n    {{ url = 'http://127.0.0.1:4000/{FILE}', hash = \"sha256:00\", size = 12, upload-time = \"2026-01-01T00:00:00Z\" }},\n]\n\
         note = \"ü http\\u003a//127.0.0.1:4000/simple\"\n"
    );
    let lock = canonical("a/uv.lock", &text, &map(&[]));
    let expected = text
        .replace(
            "registry = \"http://127.0.0.1:4000/simple/\"",
            "registry = \"https://index.example/simple\"",
        )
        .replace(
            &format!("http://127.0.0.1:4000/{FILE}"),
            &format!("https://files.example/{FILE}"),
        );
    assert_eq!(lock.text, expected);
    assert_eq!(
        lock.changes
            .iter()
            .map(|change| change.line)
            .collect::<Vec<_>>(),
        [8, 10]
    );
    // A second time changes nothing.
    let again = canonical("uv.lock", &lock.text, &map(&[]));
    assert_eq!((again.text, again.changes), (lock.text, vec![]));
}

#[test]
fn an_address_spelt_with_escapes_is_written_plainly() {
    let text = "registry = \"http\\u003a//127.0.0.1:4000/simple\"\n";
    let lock = canonical("uv.lock", text, &map(&[]));
    assert_eq!(lock.text, "registry = \"https://index.example/simple\"\n");
}

#[test]
fn pylock_keeps_its_slash() {
    let text = format!(
        "lock-version = \"1.0\"\n[[packages]]\nname = \"acme\"\nindex = \"http://127.0.0.1:4000/simple/\"\n\
         wheels = [{{name = \"w\", url = \"http://127.0.0.1:4000/{FILE}\", hashes = {{sha256 = \"00\"}}}}]\n"
    );
    let lock = canonical("pylock.dev.toml", &text, &map(&[]));
    assert!(
        lock.text
            .contains("index = \"https://index.example/simple/\""),
        "{}",
        lock.text
    );
    assert_eq!(lock.changes.len(), 2);
}

#[test]
fn json_and_yaml_are_edited_in_place() {
    let json = "{\n    \"_meta\": {\n        \"hash\": {\"sha256\": \"00\"},\n        \"sources\": [\n            {\"name\": \"pypi\", \"url\": \"http://127.0.0.1:4000/simple\", \"verify_ssl\": true}\n        ]\n    },\n    \"default\": {\"é\": 1.50}\n}\n";
    let lock = canonical("Pipfile.lock", json, &map(&[]));
    assert_eq!(
        lock.text,
        json.replace("http://127.0.0.1:4000", "https://index.example")
    );
    assert_eq!(lock.changes[0].line, 5);

    let yaml = format!(
        "version: 6\nenvironments:\n  default:\n    channels:\n    - url: https://conda.anaconda.org/conda-forge/\n    indexes:\n    - http://127.0.0.1:4000/simple\n    packages:\n      linux-64:\n      - conda: https://conda.anaconda.org/é.conda\n      - pypi: http://127.0.0.1:4000/{FILE}\npackages:\n- pypi: http://127.0.0.1:4000/{FILE}\n  name: acme\n  version: '1.0'\n  sha256: 00\n"
    );
    let lock = canonical("pixi.lock", &yaml, &map(&[]));
    let expected = yaml
        .replace(
            "http://127.0.0.1:4000/simple",
            "https://index.example/simple",
        )
        .replace(
            "http://127.0.0.1:4000/packages",
            "https://files.example/packages",
        );
    assert_eq!(lock.text, expected);
    assert_eq!(
        lock.changes
            .iter()
            .map(|change| change.line)
            .collect::<Vec<_>>(),
        [7, 11, 13]
    );
}

#[test]
fn a_source_that_becomes_https_has_its_certificates_checked() {
    let pipfile = |sources: &str| {
        format!(
            "{{\n    \"_meta\": {{\n        \"sources\": [\n{sources}\n        ]\n    }},\n    \"default\": {{\"verify_ssl\": false}}\n}}\n"
        )
    };
    // Spread over lines, in either order, and with names beyond ASCII, which are not as many bytes as characters.
    let text = pipfile(
        "{\n\"name\": \"é\",\n\"url\": \"http://127.0.0.1:8081/simple\",\n\"verify_ssl\": false\n},\n\
         {\"verify_ssl\" :false , \"url\": \"http://localhost:8081/simple\"}",
    );
    let lock = canonical("Pipfile.lock", &text, &map(&[]));
    let expected = pipfile(
        "{\n\"name\": \"é\",\n\"url\": \"https://index.example/simple\",\n\"verify_ssl\": true\n},\n\
         {\"verify_ssl\" :true , \"url\": \"https://index.example/simple\"}",
    );
    assert_eq!(lock.text, expected);
    let changes: Vec<_> = (lock.changes.iter())
        .map(|change| (change.line, change.switch))
        .collect();
    assert_eq!(
        changes,
        [
            (6, None),
            (7, Some("verify_ssl")),
            (9, Some("verify_ssl")),
            (9, None)
        ]
    );
    let again = canonical("Pipfile.lock", &lock.text, &map(&[]));
    assert_eq!((again.text, again.changes), (lock.text, vec![]));

    // Other sources, a proxy that has a certificate, and what is no switch stay.
    let mirror = map(&["http://10.0.0.5:8080"]);
    for source in [
        "{\"url\": \"https://company.example/simple\", \"verify_ssl\": false}",
        "{\"url\": \"https://127.0.0.1:8081/simple\", \"verify_ssl\": false}",
        "{\"url\": \"http://10.0.0.5:8080/simple\", \"verify_ssl\": false}",
        "{\"url\": \"http://127.0.0.1:8081/simple\", \"verify_ssl\": \"false\"}",
        "{\"url\": \"http://127.0.0.1:8081/simple\", \"a\": {\"verify_ssl\": false}}",
        "{\"url\": \"http://127.0.0.1:8081/simple\"}, {\"verify_ssl\": false}",
    ] {
        let lock = canonical("Pipfile.lock", &pipfile(source), &mirror);
        let switched = (lock.changes.iter()).any(|change| change.switch.is_some());
        assert!(!switched, "{source}");
    }
    let plain = UrlMap {
        to: Canonical {
            index: "http://index.example/simple".to_owned(),
            files: "http://index.example/".to_owned(),
        },
        ..map(&[])
    };
    let lock = canonical("Pipfile.lock", &text, &plain);
    assert_eq!(lock.changes.len(), 2);
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    assert_eq!(LockFormat::of_filename("package-lock.json"), None);
    for (name, text) in [
        ("uv.lock", "= nothing"),
        ("Pipfile.lock", "{\"a\": 'b'}"),
        ("pixi.lock", "a: [\n"),
        ("pixi.lock", "a: &b http://127.0.0.1/simple\nc: *b\n"),
    ] {
        let format = LockFormat::of_filename(name).unwrap();
        let error = canonical_lock(format, text, &map(&[])).unwrap_err();
        assert!(matches!(error, LockUrlError::Syntax { .. }), "{error}");
    }
}

#[test]
fn a_text_edited_into_another_structure_is_caught() {
    let before = "a = \"http://127.0.0.1:1/simple\"\nb = 1\n";
    let texts = spans::texts(LockFormat::Toml(LockKind::Uv), before).unwrap();
    let lock = |text: &str| CanonicalLock {
        text: text.to_owned(),
        changes: vec![UrlChange {
            line: 1,
            switch: None,
            before: "http://127.0.0.1:1/simple".to_owned(),
            after: "x".to_owned(),
        }],
        left: vec![],
    };
    let prove = |text: &str| prove(LockFormat::Toml(LockKind::Uv), &texts, &lock(text));
    prove("a = \"x\"\nb = 1\n").unwrap();
    for wrong in [
        "a = \"y\"\nb = 1\n",
        "a = \"x\"\nb = 2\n",
        "c = \"x\"\nb = 1\n",
        "a = \"x\"\n",
        "a = \"x\"\nb = 1\nc = 1\n",
        "a =",
    ] {
        prove(wrong).unwrap_err();
    }
}

/// A package whose files a plain index beside the signed tree gives is not the canonical index's.
#[test]
fn the_index_of_a_package_whose_files_are_elsewhere_is_not_the_canonical_one() {
    const OWN: &str = "https://company.example/files/mine-1.0-py3-none-any.whl";
    let uv = format!(
        "version = 1\n[[package]]\nname = \"acme\"\nversion = \"1.0\"\n\
         source = {{ registry = \"http://127.0.0.1:4000/simple\" }}\n\
         dependencies = [{{ name = \"mine\", version = \"1.0\", source = {{ registry = \"http://127.0.0.1:4000/simple\" }} }}]\n\
         wheels = [{{ url = \"http://127.0.0.1:4000/{FILE}\", hash = \"sha256:00\" }}]\n\
         [[package]]\nname = \"mine\"\nversion = \"1.0\"\nsource = {{ registry = \"http://127.0.0.1:4000/simple\" }}\n\
         wheels = [{{ url = \"{OWN}\", hash = \"sha256:00\" }}]\n"
    );
    let pylock = format!(
        "lock-version = \"1.0\"\n[[packages]]\nname = \"mine\"\nindex = \"http://127.0.0.1:4000/simple/\"\n\
         sdist = {{ url = \"{OWN}\", hashes = {{ sha256 = \"00\" }} }}\n\
         [[packages]]\nname = \"acme\"\nindex = \"http://127.0.0.1:4000/simple/\"\n\
         wheels = [{{ url = \"https://files.example/{FILE}\", hashes = {{ sha256 = \"00\" }} }}]\n"
    );
    for (name, text, lines, slash) in [
        ("uv.lock", &uv, &[6, 11][..], ""),
        ("pylock.toml", &pylock, &[4], "/"),
    ] {
        // Where nobody says which, it stays, and is told with the file that tells so.
        let lock = canonical(name, text, &map(&[]));
        let left: Vec<_> = (lock.left.iter())
            .map(|left| (left.line, left.file.as_deref()))
            .collect();
        let expected: Vec<_> = lines.iter().map(|line| (*line, Some(OWN))).collect();
        assert_eq!(left, expected, "{name}");
        assert!(
            lock.text.contains("https://index.example/simple"),
            "{}",
            lock.text
        );
        // Else it is that, and the way back leads through the proxy again.
        let company: url::Url = "https://company.example/private/+simple/".parse().unwrap();
        let known = UrlMap {
            beside: Beside::Named(company.clone()),
            ..map(&[])
        };
        let lock = canonical(name, text, &known);
        assert_eq!(lock.left, []);
        let named = format!("\"https://company.example/private/+simple{slash}\"");
        assert_eq!(
            lock.text.matches(&named).count(),
            lines.len(),
            "{}",
            lock.text
        );
        assert!(lock.text.contains(OWN) && !lock.text.contains("127.0.0.1"));
        let there = UrlMap {
            from: ["https://index.example/simple", "https://files.example/"]
                .map(|url| MovedRoot::new(url.parse().unwrap()))
                .into(),
            loopback: Loopback::Left,
            to: Canonical {
                index: "http://127.0.0.1:4000/simple".to_owned(),
                files: "http://127.0.0.1:4000/".to_owned(),
            },
            beside: Beside::Hidden(Some(company)),
        };
        let lock = canonical(name, &lock.text, &there);
        assert_eq!(
            lock.text.matches("http://127.0.0.1:4000/simple").count(),
            text.matches("/simple").count()
        );
        assert!(lock.text.contains(OWN) && lock.left.is_empty());
    }
    // One that is on loopback itself is told from the proxy by its address.
    let local = "http://127.0.0.1:7000/simple/";
    let text = uv.replace(OWN, &format!("http://127.0.0.1:7000/{FILE}"));
    let known = UrlMap {
        beside: Beside::Named(local.parse().unwrap()),
        ..map(&[])
    };
    let lock = canonical("uv.lock", &text, &known);
    assert!(lock.text.contains(&format!("http://127.0.0.1:7000/{FILE}")));
    assert_eq!(
        lock.text
            .matches("\"http://127.0.0.1:7000/simple\"")
            .count(),
        2
    );
}

proptest! {
    #[test]
    fn whatever_is_no_address_comes_through(values in proptest::collection::vec("\\PC{0,12}", 0..8)) {
        let json = serde_json::to_string_pretty(&values).unwrap();
        if let Ok(lock) = canonical_lock(LockFormat::Json, &json, &map(&[])) {
            prop_assert_eq!(&lock.text, &json);
        }
        let mut table = toml::Table::new();
        table.insert("values".to_owned(), values.into());
        let text = table.to_string();
        let lock = canonical_lock(LockFormat::Toml(LockKind::Uv), &text, &map(&[])).unwrap();
        prop_assert_eq!(lock.text, text);
    }
}
