//! Documents of the kinds that indexes write, read and written again. The snapshots are the contract.

use std::fmt::Write as _;

use heliostat_pypi::ProjectName;
use heliostat_pypi::page::{Format, MediaType, PageRead, read_page, render_legacy, render_page};

fn read(project: &str, body: &[u8], media: MediaType) -> PageRead {
    let base = format!("https://index.example/wheels/{project}/")
        .parse()
        .unwrap();
    read_page(&project.parse::<ProjectName>().unwrap(), body, media, &base).unwrap()
}

/// What was left out, and both documents; JSON with one file in a line, for human eyes.
fn report(read: &PageRead) -> String {
    let mut text = String::new();
    for (title, items) in [
        ("rejected", &read.rejected),
        ("dropped values", &read.dropped_values),
    ] {
        writeln!(text, "{title}:").unwrap();
        for item in items {
            writeln!(text, "  {}: {}", item.item, item.reason).unwrap();
        }
    }
    for format in [Format::Json, Format::Html] {
        let document = String::from_utf8(render_page(&read.page, format)).unwrap();
        write!(
            text,
            "\n{}",
            document.replace("{\"filename\"", "\n{\"filename\"")
        )
        .unwrap();
    }
    text
}

fn legacy_report(read: &PageRead, version: Option<&str>) -> String {
    let document = render_legacy(&read.page, version, "https://mirror.example", None).unwrap();
    let document = String::from_utf8(document).unwrap();
    document
        .replace("{\"comment_text\"", "\n{\"comment_text\"")
        .replace("\"urls\"", "\n\"urls\"")
}

#[test]
fn a_page_of_pypi() {
    let read = read(
        "solar-panel",
        include_bytes!("data/pypi.json"),
        MediaType::Json,
    );
    insta::assert_snapshot!("pypi_json", report(&read));
    insta::assert_snapshot!("pypi_json_legacy", legacy_report(&read, None));
    insta::assert_snapshot!(
        "pypi_json_legacy_release",
        legacy_report(&read, Some("1.1.0"))
    );
}

#[test]
fn an_old_project_with_everything_that_can_be_wrong() {
    let read = read(
        "solarpanel",
        include_bytes!("data/legacy.json"),
        MediaType::Json,
    );
    insta::assert_snapshot!("legacy_json", report(&read));
    insta::assert_snapshot!("legacy_json_legacy", legacy_report(&read, None));
}

#[test]
fn a_quarantined_project() {
    let read = read(
        "solar-malware",
        include_bytes!("data/quarantined.json"),
        MediaType::Json,
    );
    insta::assert_snapshot!("quarantined_json", report(&read));
}

#[test]
fn a_page_of_bandersnatch() {
    let read = read(
        "solar-panel",
        include_bytes!("data/bandersnatch.json"),
        MediaType::Json,
    );
    insta::assert_snapshot!("bandersnatch_json", report(&read));
}

#[test]
fn an_html_page_of_pypi() {
    let read = read(
        "solar-panel",
        include_bytes!("data/pypi.html"),
        MediaType::Html,
    );
    insta::assert_snapshot!("pypi_html", report(&read));
}

#[test]
fn an_html_index_with_a_root_of_its_own() {
    let read = read(
        "torchlike",
        include_bytes!("data/torch.html"),
        MediaType::Html,
    );
    insta::assert_snapshot!("torch_html", report(&read));
}

#[test]
fn a_web_servers_directory_listing() {
    let read = read(
        "solar-panel",
        include_bytes!("data/autoindex.html"),
        MediaType::Html,
    );
    insta::assert_snapshot!("autoindex_html", report(&read));
}
