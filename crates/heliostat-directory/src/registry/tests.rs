//! Entries that are read, and what is said of those that are not.

use super::*;

const CAMPUS: &str = r#"
id = "campus"
inception = "2026-11-25"
admitted = "2026-11-26T12:00:00Z"
operator = { name = "Campus", organisation = "Example University", country = "CH" }

[[contacts]]
kind = "webhook"
url = "https://status.example.edu/hook"

[[endpoints]]
id = "campus-main"
base = "https://mirror.example.edu/pypi/"
asn = 559
country = "CH"
"#;

fn faults(name: &str, text: &str) -> Vec<String> {
    match Registry::read([(name, text)], Some("list.example")) {
        Err(DirectoryError::JudgeRegistry(problems)) => {
            problems.into_iter().map(|problem| problem.fault).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_entry_is_read_and_written_again_as_it_was() {
    let registry = Registry::read([("campus.toml", CAMPUS)], None).unwrap();
    let (mirror, endpoint) = registry.endpoints().next().unwrap();
    assert_eq!(mirror.operator.country.unwrap().to_string(), "CH");
    assert_eq!(endpoint.simple, "simple/");
    assert_eq!(endpoint.layout, Layout::Heliostat);
    let written = toml::to_string(mirror).unwrap();
    let again = Registry::read([("campus.toml", written.as_str())], None).unwrap();
    assert_eq!(again, registry);
}

#[test]
fn every_fault_is_told_and_says_what_to_write() {
    for (from, to, said) in [
        (
            "https://mirror.example.edu",
            "http://mirror.example.edu",
            "`https://`",
        ),
        (
            "mirror.example.edu/pypi/",
            "mirror.example.edu/pypi",
            "end with a slash",
        ),
        (
            "mirror.example.edu/pypi/",
            "mirror.example.edu/pypi/?x=1",
            "a query",
        ),
        (
            "https://mirror.example.edu",
            "https://b.pypi.python.org",
            "PEP 449",
        ),
        (
            "https://mirror.example.edu",
            "https://m.list.example",
            "PEP 449",
        ),
        (
            "https://mirror.example.edu",
            "https://192.0.2.7",
            "names no host",
        ),
        (
            "https://mirror.example.edu",
            "https://me:secret@mirror.example.edu",
            "a password",
        ),
        ("asn = 559", "simple = \"../simple/\"", "no folder below"),
        ("https://status", "http://status", "webhook"),
        ("Example University", "", "is empty"),
        (
            "admitted =",
            "maintenance = [{ from = \"2026-11-27T00:00:00Z\", to = \"2026-11-26T00:00:00Z\" }]\nadmitted =",
            "ends before",
        ),
    ] {
        assert!(CAMPUS.contains(from), "{from}");
        let found = faults("campus.toml", &CAMPUS.replacen(from, to, 1));
        assert!(
            found.iter().any(|fault| fault.contains(said)),
            "{to}: {found:?}"
        );
        assert!(
            found.iter().all(|fault| !fault.contains("secret")),
            "{found:?}"
        );
    }
    assert!(faults("other.toml", CAMPUS)[0].contains("campus.toml"));
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    for (from, to) in [
        ("asn = 559", "asnn = 559"),
        ("2026-11-25", "2026-13-25"),
        ("\"campus\"", "\"Campus!\""),
        ("\"CH\"", "\"Swiss\""),
        ("id = \"campus\"", ""),
    ] {
        let text = CAMPUS.replacen(from, to, 1);
        let refused = Registry::read([("campus.toml", text.as_str())], None).unwrap_err();
        assert!(
            matches!(refused, DirectoryError::ReadEntry { .. }),
            "{refused:?}"
        );
    }
}

#[test]
fn no_endpoint_stands_twice() {
    let second = CAMPUS.replacen("\"campus\"", "\"second\"", 1);
    let refused = Registry::read(
        [("campus.toml", CAMPUS), ("second.toml", second.as_str())],
        None,
    );
    let Err(DirectoryError::JudgeRegistry(problems)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problems.len(), 2, "{problems:?}");
}
