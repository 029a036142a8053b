//! Canonical page v1: the test vectors of docs/format.md, and what a reader of signed pages refuses.

use heliostat_pypi::page::{
    BindError, Format, MediaType, ProjectPage, check_signable, read_page, read_signed, render_page,
};
use heliostat_pypi::{ProjectName, Sha256};
use serde_json::{Value, json};

fn name(text: &str) -> ProjectName {
    text.parse().unwrap()
}

fn upstream(project: &str, body: &[u8], media: MediaType) -> ProjectPage {
    let base = format!("https://pypi.example.org/simple/{project}/");
    let read = read_page(&name(project), body, media, &base.parse().unwrap()).unwrap();
    assert_eq!(read.rejected, vec![]);
    read.page
}

/// Input as an upstream sends it, and the bytes that every notary must write for it.
#[test]
fn the_test_vectors_hold_to_the_byte() {
    let vectors: [(&str, &[u8], &[u8]); 2] = [
        (
            "solar-panel",
            include_bytes!("data/canonical/solar-panel.upstream.json"),
            include_bytes!("data/canonical/solar-panel.index.v1_json"),
        ),
        (
            "mole",
            include_bytes!("data/canonical/mole.upstream.json"),
            include_bytes!("data/canonical/mole.index.v1_json"),
        ),
    ];
    for (project, input, expected) in vectors {
        let page = upstream(project, input, MediaType::Json);
        check_signable(&page).unwrap();
        let rendered = render_page(&page, Format::Json);
        assert_eq!(
            String::from_utf8_lossy(&rendered),
            String::from_utf8_lossy(expected),
            "{project}"
        );
        let read = read_signed(&name(project), expected).unwrap();
        assert_eq!(render_page(&read, Format::Json), expected, "{project}");
    }
}

fn document() -> Value {
    serde_json::from_slice(include_bytes!("data/canonical/solar-panel.index.v1_json")).unwrap()
}

fn refusal(project: &str, document: &Value) -> BindError {
    read_signed(&name(project), &serde_json::to_vec(document).unwrap()).unwrap_err()
}

#[test]
fn a_page_is_bound_to_its_project_and_says_so() {
    assert!(matches!(
        refusal("solar-panels", &document()),
        BindError::Page(_)
    ));
    let mut unnamed = document();
    unnamed.as_object_mut().unwrap().remove("name");
    assert!(matches!(
        refusal("solar-panel", &unnamed),
        BindError::Unnamed(_)
    ));
}

#[test]
fn every_file_is_bound_to_its_project_its_name_and_its_place() {
    let url = document()["files"][0]["url"].as_str().unwrap().to_owned();
    let spoilt: Vec<(&str, Value)> = vec![
        // A right file of another project.
        ("filename", json!("other-1.0.tar.gz")),
        // The address leads to another name than the page tells: pip would go by the address.
        ("url", json!(url.replace("1.0.0", "9.9.9"))),
        ("url", json!(format!("{url}?other=1"))),
        (
            "url",
            json!(format!(
                "https://elsewhere.example/{}",
                url.trim_start_matches("../")
            )),
        ),
        ("url", json!(url.replace("../../packages", "../../simple"))),
        ("url", json!(url.replace("../../", "../"))),
        (
            "url",
            json!(url.replace("packages/", "packages/../packages/%2e%2e/")),
        ),
        ("hashes", json!({})),
        ("hashes", json!({"sha256": "00"})),
        ("size", Value::Null),
        ("size", json!(-1)),
        (
            "provenance",
            json!("../../integrity/other/1.0/other-1.0.tar.gz/provenance"),
        ),
        ("provenance", json!("https://elsewhere.example/provenance")),
        ("_provenance-sha256", json!("not a digest")),
    ];
    for (key, value) in spoilt {
        let mut document = document();
        let file = &mut document["files"][0];
        assert_ne!(file[key], value, "the test changes something");
        file[key] = value.clone();
        let error = refusal("solar-panel", &document);
        assert!(
            matches!(error, BindError::File { .. }),
            "{key} = {value}: {error}"
        );
    }
    let mut twice = document();
    let first = twice["files"][0].clone();
    twice["files"].as_array_mut().unwrap().push(first);
    assert!(matches!(
        refusal("solar-panel", &twice),
        BindError::File { .. }
    ));
}

#[test]
fn keys_of_a_later_version_are_passed_over() {
    let mut newer = document();
    newer["later"] = json!([1]);
    newer["files"][0]["_later"] = json!({"a": 1});
    let read = read_signed(&name("solar-panel"), &serde_json::to_vec(&newer).unwrap()).unwrap();
    let plain = read_signed(
        &name("solar-panel"),
        include_bytes!("data/canonical/solar-panel.index.v1_json"),
    );
    assert_eq!(read, plain.unwrap());
}

#[test]
fn a_page_with_an_unknown_digest_or_size_cannot_be_signed() {
    let whole = upstream(
        "solar-panel",
        include_bytes!("data/canonical/solar-panel.upstream.json"),
        MediaType::Json,
    );
    let mut page = whole.clone();
    page.files[1].sha256 = None;
    assert_eq!(check_signable(&page).unwrap_err().what, "sha256");
    let mut page = whole.clone();
    page.files[1].size_bytes = None;
    assert_eq!(check_signable(&page).unwrap_err().what, "size");
    let mut page = whole;
    page.files[1].provenance_sha256 = Some(Sha256::of(b"p"));
    assert!(check_signable(&page).is_ok());
}
