//! The rules of writing, one by one. Whole documents stand in `tests/it` as snapshots.

use serde_json::{Value, json};

use super::*;
use crate::page::{CoreMetadata, ProjectStatus, Yanked};
use crate::{Sha256, TreePath};

fn file(filename: &str) -> PageFile {
    let url = format!("https://index.example/w/{filename}");
    PageFile {
        path: TreePath::for_upstream(&url, filename, None).unwrap(),
        url,
        sha256: None,
        other_hashes: [].into(),
        size_bytes: Some(1),
        upload_time: None,
        requires_python: None,
        core_metadata: CoreMetadata::Absent,
        yanked: Yanked::No,
        provenance: None,
        provenance_sha256: None,
        gpg_sig: None,
    }
}

fn page(files: &[&str]) -> ProjectPage {
    ProjectPage {
        name: "acme".parse().unwrap(),
        serial: None,
        status: ProjectStatus::default(),
        versions: vec![],
        files: files.iter().map(|name| file(name)).collect(),
    }
}

fn rendered(page: &ProjectPage) -> Value {
    serde_json::from_slice(&render_page(page, Format::Json)).unwrap()
}

fn html(page: &ProjectPage) -> String {
    String::from_utf8(render_page(page, Format::Html)).unwrap()
}

fn filenames(document: &Value) -> Vec<&str> {
    document["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["filename"].as_str().unwrap())
        .collect()
}

fn legacy(page: &ProjectPage, version: Option<&str>) -> Option<Value> {
    render_legacy(page, version, "https://mirror.example/", None)
        .map(|body| serde_json::from_slice(&body).unwrap())
}

#[test]
fn files_and_versions_stand_oldest_first_and_odd_ones_last() {
    let mut page = page(&[
        "acme-dev-r2.tar.gz",
        "acme.zip",
        "acme-1.10.tar.gz",
        "acme-1.9.tar.gz",
        "acme-1.9-py3-none-any.whl",
        "acme-2.0rc1.tar.gz",
    ]);
    let document = rendered(&page);
    let expected = [
        "acme-1.9-py3-none-any.whl",
        "acme-1.9.tar.gz",
        "acme-1.10.tar.gz",
        "acme-2.0rc1.tar.gz",
        "acme-dev-r2.tar.gz",
        "acme.zip",
    ];
    assert_eq!(filenames(&document), expected);
    assert_eq!(
        document["versions"],
        json!(["1.9", "1.10", "2.0rc1", "dev-r2"])
    );
    let before = render_page(&page, Format::Json);
    page.files.reverse();
    assert_eq!(
        render_page(&page, Format::Json),
        before,
        "the order it came in does not matter"
    );
}

#[test]
fn versions_hold_what_the_upstream_told_and_every_files_own() {
    let mut page = page(&["acme-1.0.zip", "acme-2.0.0.zip"]);
    page.versions = ["3.0", "2.0", "2.0", "0.1"].map(str::to_owned).into();
    assert_eq!(
        rendered(&page)["versions"],
        json!(["0.1", "1.0", "2.0", "3.0"])
    );
}

#[test]
fn version_1_4_is_claimed_only_with_every_size() {
    let mut page = page(&["acme-1.0.zip", "acme-2.0.zip"]);
    assert_eq!(rendered(&page)["meta"], json!({"api-version": "1.4"}));
    page.files[0].size_bytes = None;
    page.serial = Some(Serial(5));
    let document = rendered(&page);
    assert_eq!(
        document["meta"],
        json!({"_last-serial": 5, "api-version": "1.0"})
    );
    assert_eq!(document["files"][0].get("size"), None);
    assert_eq!(document["files"][1]["size"], json!(1));
}

#[test]
fn a_quarantined_project_offers_nothing() {
    let mut page = page(&["acme-1.0.zip"]);
    page.status.kind = StatusKind::Quarantined;
    let document = rendered(&page);
    assert_eq!(document["files"], json!([]));
    assert_eq!(document["versions"], json!([]));
    assert_eq!(document["project-status"], json!({"status": "quarantined"}));
    assert!(!html(&page).contains("acme-1.0.zip"));
    assert!(html(&page).contains("<meta name=\"pypi:project-status\" content=\"quarantined\">"));
    assert_eq!(legacy(&page, None), None);
}

#[test]
fn html_escapes_what_comes_from_outside() {
    let mut page = page(&["acme-1.0+<b>&'.zip"]);
    page.files[0].yanked = Yanked::Because("<script>\"&'\r\n".to_owned());
    page.status = ProjectStatus {
        kind: StatusKind::Other("\"><x".to_owned()),
        reason: Some("<y>".to_owned()),
    };
    let text = html(&page);
    for piece in [
        "/acme-1.0+%3Cb%3E%26%27.zip\"",
        ">acme-1.0+&lt;b&gt;&amp;&#x27;.zip</a>",
        "data-yanked=\"&lt;script&gt;&quot;&amp;&#x27;&#13;\n\"",
        "content=\"&quot;&gt;&lt;x\"",
        "content=\"&lt;y&gt;\"",
    ] {
        assert!(text.contains(piece), "{piece} is not in {text}");
    }
}

#[test]
fn a_page_that_is_passed_on_names_the_upstreams_own_addresses() {
    let mut page = page(&["acme-1.0.tar.gz"]);
    page.files[0].url.push_str("?a=1&b='2'");
    page.files[0].provenance = Some("https://index.example/p".to_owned());
    let json = String::from_utf8(render_passing(&page, Format::Json)).unwrap();
    let html = String::from_utf8(render_passing(&page, Format::Html)).unwrap();
    let url = "https://index.example/w/acme-1.0.tar.gz";
    assert!(
        json.contains(&format!("\"url\":\"{url}?a=1&b='2'\"")),
        "{json}"
    );
    assert!(
        html.contains(&format!("href=\"{url}?a=1&amp;b=&#x27;2&#x27;\"")),
        "{html}"
    );
    for text in [json, html] {
        assert!(text.contains("\"https://index.example/p\""), "{text}");
        assert!(!text.contains("../.."), "{text}");
    }
}

#[test]
fn a_link_names_only_digests_that_every_client_knows() {
    let mut page = page(&["acme-1.0.zip"]);
    page.files[0].other_hashes = [("sha3_256".to_owned(), "aa".to_owned())].into();
    assert!(html(&page).contains("acme-1.0.zip\""));
    page.files[0]
        .other_hashes
        .insert("md5".to_owned(), "bb".to_owned());
    assert!(html(&page).contains("acme-1.0.zip#md5=bb\""));
    page.files[0].sha256 = Some(Sha256::of(b""));
    assert!(html(&page).contains("acme-1.0.zip#sha256=e3b0c4"));
}

#[test]
fn provenance_stands_at_pypis_own_path_or_nowhere() {
    let mut page = page(&["acme-1!2.0+x.zip", "acme.zip"]);
    for file in &mut page.files {
        file.provenance = Some("https://index.example/p".to_owned());
    }
    let document = rendered(&page);
    let expected = "../../integrity/acme/1!2.0+x/acme-1!2.0+x.zip/provenance";
    assert_eq!(document["files"][0]["provenance"], json!(expected));
    assert_eq!(document["files"][1]["provenance"], Value::Null);
    assert!(html(&page).contains(&format!("data-provenance=\"{expected}\"")));
}

#[test]
fn the_legacy_document_is_about_the_newest_release_worth_installing() {
    let mut page = page(&[
        "acme-1.0.zip",
        "acme-1.1.zip",
        "acme-2.0.zip",
        "acme-3.0rc1.zip",
    ]);
    page.versions = vec!["4.0".to_owned()];
    page.files[2].yanked = Yanked::Because("broken".to_owned());
    let version = |page: &ProjectPage| legacy(page, None).unwrap()["info"]["version"].clone();
    assert_eq!(
        version(&page),
        json!("1.1"),
        "2.0 is yanked, 3.0rc1 a prerelease, 4.0 has no files"
    );
    for file in &mut page.files {
        file.yanked = Yanked::Yes;
    }
    let document = legacy(&page, None).unwrap();
    assert_eq!(
        (&document["info"]["version"], &document["info"]["yanked"]),
        (&json!("2.0"), &json!(true))
    );
    assert_eq!(document["releases"]["4.0"], json!([]));
    page.files.clear();
    assert_eq!(version(&page), json!("4.0"));
    page.versions.clear();
    assert_eq!(legacy(&page, None), None);
}

#[test]
fn one_release_has_its_files_and_no_others() {
    let page = page(&[
        "acme-1.0.zip",
        "acme-1.0.0-py3-none-any.whl",
        "acme-2.0.zip",
    ]);
    let document = legacy(&page, Some("1")).unwrap();
    assert_eq!(document.get("releases"), None);
    let urls: Vec<&Value> = document["urls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["filename"])
        .collect();
    assert_eq!(urls, ["acme-1.0.0-py3-none-any.whl", "acme-1.0.zip"]);
    assert_eq!(legacy(&page, Some("3.0")), None);
}

#[test]
fn blake2b_is_told_only_where_the_upstream_has_pypis_paths() {
    let mut page = page(&["acme-1.0.zip"]);
    let digests = |page: &ProjectPage| legacy(page, None).unwrap()["urls"][0]["digests"].clone();
    assert_eq!(digests(&page), json!({}));
    page.files[0].url = format!("https://files.example/{}", page.files[0].path);
    assert_eq!(
        digests(&page),
        json!({"blake2b_256": page.files[0].path.id_hex()})
    );
}

#[test]
fn kinds_of_files_have_their_old_names() {
    let names = [
        ("acme-1.0-py2.py3-none-any.whl", "bdist_wheel", "py2.py3"),
        ("acme-1.0.tar.gz", "sdist", "source"),
        ("acme-1.0-py2.7.egg", "bdist_egg", "2.7"),
        ("acme-1.0.win32-py3.1.exe", "bdist_wininst", "3.1"),
        ("acme-1.0.win32.msi", "bdist_msi", "any"),
        ("acme-1.0-1.noarch.rpm", "bdist_rpm", "any"),
        ("acme-1.0.linux-x86_64.tar.gz", "bdist_dumb", "any"),
    ];
    for (name, packagetype, python) in names {
        let file = legacy(&page(&[name]), None).unwrap()["urls"][0].clone();
        assert_eq!(
            (&file["packagetype"], &file["python_version"]),
            (&json!(packagetype), &json!(python)),
            "{name}"
        );
    }
}

#[test]
fn lists_are_written_in_both_shapes() {
    let names: Vec<ProjectName> = ["a", "b-c"].map(|name| name.parse().unwrap()).into();
    let list = || names.iter().zip([Some(Serial(7)), None]);
    let json = String::from_utf8(render_list(list(), Some(Serial(9)), Format::Json)).unwrap();
    assert_eq!(
        json,
        "{\"meta\":{\"_last-serial\":9,\"api-version\":\"1.4\"},\
         \"projects\":[{\"name\":\"a\",\"_last-serial\":7},{\"name\":\"b-c\"}]}\n"
    );
    let html = String::from_utf8(render_list(list(), Some(Serial(9)), Format::Html)).unwrap();
    assert!(html.contains("<a href=\"a/\">a</a><br />\n<a href=\"b-c/\">b-c</a><br />\n</body>"));
    assert!(html.ends_with("<!--SERIAL 9-->\n"));
    assert_eq!(
        render_list([].into_iter(), None, Format::Json),
        b"{\"meta\":{\"api-version\":\"1.4\"},\"projects\":[]}\n"
    );
}
