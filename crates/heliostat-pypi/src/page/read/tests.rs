//! Documents as indexes really write them, and as they could be written to hurt.

use super::*;
use crate::Sha256;
use crate::page::{CoreMetadata, PageFile, ProjectStatus, StatusKind, Yanked};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn acme() -> ProjectName {
    "acme".parse().unwrap()
}

fn base() -> Url {
    "https://user:secret@index.example/root/simple/acme/"
        .parse()
        .unwrap()
}

fn json(body: &str) -> Result<PageRead, PageError> {
    read_page(&acme(), body.as_bytes(), MediaType::Json, &base())
}

fn html(body: &str) -> Result<PageRead, PageError> {
    read_page(&acme(), body.as_bytes(), MediaType::Html, &base())
}

/// A page with these elements in `files`.
fn json_files(files: &str) -> PageRead {
    json(&format!(
        r#"{{"meta":{{"api-version":"1.1"}},"name":"acme","files":[{files}]}}"#
    ))
    .unwrap()
}

/// The one file of a page, with these keys beside name and address.
fn json_file(keys: &str) -> PageFile {
    let read = json_files(&format!(
        r#"{{"filename":"acme-1.0.zip","url":"../acme-1.0.zip"{keys}}}"#
    ));
    assert_eq!(
        (&read.rejected, &read.dropped_values),
        (&vec![], &vec![]),
        "{keys}"
    );
    read.page.files.into_iter().next().unwrap()
}

/// Why the one file of a page is left out.
fn json_rejection(filename: &str, url: &str, keys: &str) -> String {
    let (filename, url) = (
        serde_json::to_string(filename).unwrap(),
        serde_json::to_string(url).unwrap(),
    );
    let read = json_files(&format!(
        r#"{{"filename":{filename},"url":{url}{keys}}},{{"filename":"acme-2.0.zip","url":"acme-2.0.zip"}}"#
    ));
    assert_eq!(read.page.files.len(), 1, "the good file is kept");
    assert_eq!(
        read.rejected.len(),
        1,
        "{filename} {url}{keys} was accepted"
    );
    read.rejected[0].reason.clone()
}

fn html_file(anchor: &str) -> PageFile {
    let read = html(&format!(
        "<!DOCTYPE html><html><body>{anchor}</body></html>"
    ))
    .unwrap();
    assert_eq!(
        (&read.rejected, &read.dropped_values),
        (&vec![], &vec![]),
        "{anchor}"
    );
    read.page.files.into_iter().next().unwrap()
}

fn names(read: &PageRead) -> Vec<&str> {
    read.page.files.iter().map(PageFile::filename).collect()
}

#[test]
fn a_full_json_page_is_read_whole() {
    let read = json(&format!(
        r#"{{"meta":{{"api-version":"1.4","_last-serial":12}},"name":"Acme",
        "project-status":{{"status":"archived","reason":"moved"}},"versions":["1.0","0.9","1.0"],"unknown":[{{}}],
        "files":[{{"filename":"acme-1.0-py3-none-any.whl",
          "url":"https://files.example/packages/e3/b0/{rest}/acme-1.0-py3-none-any.whl",
          "hashes":{{"sha256":"{HEX}","MD5":"D41D8CD98F00B204E9800998ECF8427E"}},"requires-python":">=3.8","size":7,
          "upload-time":"2024-01-02T03:04:05.678900Z","yanked":"bad <build>","core-metadata":{{"sha256":"{HEX}"}},
          "data-dist-info-metadata":false,"provenance":"https://index.example/p","gpg-sig":false,"_x":1}}]}}"#,
        rest = &HEX[4..],
    ))
    .unwrap();
    assert_eq!((read.rejected, read.dropped_values), (vec![], vec![]));
    assert_eq!(read.page.serial, Some(Serial(12)));
    assert_eq!(
        read.page.status,
        ProjectStatus {
            kind: StatusKind::Archived,
            reason: Some("moved".to_owned())
        }
    );
    assert_eq!(read.page.versions, ["1.0", "0.9"]);
    let file = &read.page.files[0];
    assert_eq!(file.path.id_hex(), HEX);
    assert_eq!(file.sha256, Some(Sha256::of(b"")));
    assert_eq!(file.other_hashes["md5"], "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(file.requires_python.as_deref(), Some(">=3.8"));
    assert_eq!(file.size_bytes, Some(7));
    assert_eq!(
        file.upload_time.as_deref(),
        Some("2024-01-02T03:04:05.678900Z")
    );
    assert_eq!(file.yanked, Yanked::Because("bad <build>".to_owned()));
    assert_eq!(file.core_metadata, CoreMetadata::Sha256(Sha256::of(b"")));
    assert_eq!(file.provenance.as_deref(), Some("https://index.example/p"));
    assert_eq!(file.gpg_sig, Some(false));
}

#[test]
fn addresses_are_resolved_and_carry_no_credentials() {
    assert_eq!(
        json_file("").url,
        "https://index.example/root/simple/acme-1.0.zip"
    );
    for (href, expected) in [
        (
            "/f/acme-1.0.zip#egg=acme",
            "https://index.example/f/acme-1.0.zip",
        ),
        (
            "//cdn.example/acme-1.0.zip?t=1#md5=00",
            "https://cdn.example/acme-1.0.zip?t=1",
        ),
        (
            "acme-1.0%2Blocal.zip",
            "https://index.example/root/simple/acme/acme-1.0%2Blocal.zip",
        ),
    ] {
        assert_eq!(html_file(&format!("<a href='{href}'>x</a>")).url, expected);
    }
    let page =
        html("<head><base href='http://cdn.example/w/'></head><a href=acme-1.0.zip>x</a>").unwrap();
    assert_eq!(page.page.files[0].url, "http://cdn.example/w/acme-1.0.zip");
}

#[test]
fn what_could_hurt_is_refused_alone() {
    for (filename, url, reason) in [
        ("evil-1.0.zip", "evil-1.0.zip", "it is of another project"),
        (
            "acme-1.0.zip",
            "acme-1.1.zip",
            "its name is not the last part of its address",
        ),
        (
            "acme-1.0.zip",
            "ftp://h.example/acme-1.0.zip",
            "its address is neither http nor https",
        ),
        (
            "acme-1.0.zip",
            "file:///etc/acme-1.0.zip",
            "its address is neither http nor https",
        ),
        (
            "../acme-1.0.zip",
            "%2e%2e%2facme-1.0.zip",
            "a segment holds a slash or backslash",
        ),
        (
            "acme-1.0\n.zip",
            "acme-1.0%0A.zip",
            "it holds a control character",
        ),
        (
            "acme-1.0.zip",
            "acme-1.0.zip/",
            "its address does not end in a file name",
        ),
        (
            "acme-1.0.html",
            "acme-1.0.html",
            "it is not of a kind that releases have",
        ),
        ("acme-2.0.zip", "http://[", "its address is not one"),
    ] {
        assert_eq!(json_rejection(filename, url, ""), reason);
    }
    let good = ("acme-1.0.zip", "acme-1.0.zip");
    let wrong = json_rejection(good.0, good.1, r#","hashes":{"sha256":"00"}"#);
    assert_eq!(wrong, "its sha256 is not 64 hexadecimal digits");
    let two = json_rejection(
        good.0,
        &format!("acme-1.0.zip#sha256={}", "0".repeat(64)),
        &format!(r#","hashes":{{"sha256":"{HEX}"}}"#),
    );
    assert_eq!(two, "it has two different sha256 digests");
    let long = "x".repeat(REQUIRES_PYTHON_BYTES_MAX + 1);
    assert!(
        json_rejection(good.0, good.1, &format!(r#","requires-python":"{long}""#))
            .contains("longer")
    );
    assert!(
        json_rejection(
            good.0,
            &format!("{}/acme-1.0.zip", "a".repeat(URL_BYTES_MAX)),
            ""
        )
        .contains("longer")
    );
}

#[test]
fn of_two_files_with_one_name_the_first_is_kept() {
    let read = json_files(
        r#"{"filename":"acme-1.0.zip","url":"/a/acme-1.0.zip"},{"filename":"acme-1.0.zip","url":"/b/acme-1.0.zip"}"#,
    );
    assert_eq!(read.page.files.len(), 1);
    assert!(read.page.files[0].url.ends_with("/a/acme-1.0.zip"));
    assert_eq!(read.rejected[0].item, "acme-1.0.zip");
}

#[test]
fn files_of_a_wrong_shape_are_refused_alone() {
    let read = json_files(
        r#"null,[],"x",{},{"url":7},{"url":"acme-1.0.zip","filename":7},{"url":"acme-1.0.zip"}"#,
    );
    assert_eq!(names(&read), ["acme-1.0.zip"]);
    assert_eq!(read.rejected.len(), 6);
}

#[test]
fn values_that_make_no_sense_are_left_out_and_counted() {
    let read = json_files(
        r#"{"url":"acme-1.0.zip","size":-1,"upload-time":"yesterday","core-metadata":{"sha256":"x"},"hashes":{"crc":1},
        "provenance":"data:,","gpg-sig":"maybe","requires-python":[]}"#,
    );
    assert_eq!(names(&read), ["acme-1.0.zip"]);
    assert_eq!(read.dropped_values.len(), 7, "{:?}", read.dropped_values);
    let file = &read.page.files[0];
    assert_eq!(
        (file.size_bytes, &file.upload_time, file.gpg_sig),
        (None, &None, None)
    );
    assert_eq!(file.core_metadata, CoreMetadata::Absent);
}

#[test]
fn yanks_follow_pep_592() {
    for (value, expected) in [
        ("false", Yanked::No),
        ("null", Yanked::No),
        (r#""""#, Yanked::No),
        ("true", Yanked::Yes),
        (r#"" ""#, Yanked::Yes),
        ("1", Yanked::Yes),
        (r#""broken""#, Yanked::Because("broken".to_owned())),
    ] {
        assert_eq!(
            json_file(&format!(r#","yanked":{value}"#)).yanked,
            expected,
            "{value}"
        );
    }
    for (attribute, expected) in [
        ("", Yanked::No),
        ("data-yanked", Yanked::Yes),
        ("data-yanked=''", Yanked::Yes),
        (
            "data-yanked='a &amp; &quot;b&quot;'",
            Yanked::Because("a & \"b\"".to_owned()),
        ),
    ] {
        let file = html_file(&format!(
            "<a href=acme-1.0.zip {attribute}>acme-1.0.zip</a>"
        ));
        assert_eq!(file.yanked, expected, "{attribute}");
    }
}

#[test]
fn every_name_of_core_metadata_is_known() {
    let digest = CoreMetadata::Sha256(Sha256::of(b""));
    for (keys, expected) in [
        (r#","core-metadata":true"#.to_owned(), CoreMetadata::Offered),
        (
            r#","dist-info-metadata":true"#.to_owned(),
            CoreMetadata::Offered,
        ),
        (
            format!(r#","data-dist-info-metadata":{{"sha256":"{HEX}"}}"#),
            digest,
        ),
        (
            r#","core-metadata":false,"dist-info-metadata":true"#.to_owned(),
            CoreMetadata::Absent,
        ),
        (
            r#","core-metadata":{"sha512":"00"}"#.to_owned(),
            CoreMetadata::Offered,
        ),
    ] {
        assert_eq!(json_file(&keys).core_metadata, expected, "{keys}");
    }
    for (attributes, expected) in [
        (format!("data-core-metadata='sha256={HEX}'"), digest),
        (format!("data-dist-info-metadata='sha256={HEX}'"), digest),
        (
            "data-core-metadata=true data-dist-info-metadata=false".to_owned(),
            CoreMetadata::Offered,
        ),
    ] {
        let file = html_file(&format!(
            "<a href=acme-1.0.zip {attributes}>acme-1.0.zip</a>"
        ));
        assert_eq!(file.core_metadata, expected, "{attributes}");
    }
}

#[test]
fn other_spellings_of_an_instant_are_brought_into_pep_700() {
    for (given, expected) in [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05.1Z", "2024-01-02T03:04:05.1Z"),
        ("2024-01-02T03:04:05+00:00", "2024-01-02T03:04:05Z"),
        (
            "2024-01-02T05:04:05.25+02:00",
            "2024-01-02T03:04:05.250000Z",
        ),
        ("2024-01-02T03:04:05", "2024-01-02T03:04:05Z"),
        (
            "2024-01-02 03:04:05.123456789Z",
            "2024-01-02T03:04:05.123456Z",
        ),
    ] {
        let file = json_file(&format!(r#","upload-time":"{given}""#));
        assert_eq!(file.upload_time.as_deref(), Some(expected), "{given}");
    }
}

#[test]
fn an_html_anchor_says_all_it_can() {
    let file = html_file(&format!(
        "<A HREF=\"../../packages/acme-1.0.zip#sha256={HEX}\" data-requires-python=\"&gt;=3.8,&lt;4\" data-size=12 \
         data-upload-time=2024-01-02T03:04:05Z data-provenance=/p data-gpg-sig=true>cut short..&gt;</A>"
    ));
    assert_eq!(file.sha256, Some(Sha256::of(b"")));
    assert_eq!(file.requires_python.as_deref(), Some(">=3.8,<4"));
    assert_eq!((file.size_bytes, file.gpg_sig), (Some(12), Some(true)));
    assert_eq!(file.upload_time.as_deref(), Some("2024-01-02T03:04:05Z"));
    assert_eq!(file.provenance.as_deref(), Some("https://index.example/p"));
}

#[test]
fn html_says_status_and_serial() {
    let read = html(
        "<html><meta name=pypi:repository-version content=1.4><meta name=pypi:project-status content=quarantined>\
         <meta name='pypi:project-status-reason' content='a &lt; b'></html><!--SERIAL 77-->",
    )
    .unwrap();
    assert_eq!(read.page.serial, Some(Serial(77)));
    let expected = ProjectStatus {
        kind: StatusKind::Quarantined,
        reason: Some("a < b".to_owned()),
    };
    assert_eq!(read.page.status, expected);
}

#[test]
fn status_may_stand_in_either_place() {
    for (body, expected) in [
        (
            r#"{"files":[],"project-status":{"status":"deprecated"}}"#,
            StatusKind::Deprecated,
        ),
        (
            r#"{"files":[],"meta":{"project-status":{"status":"archived"}}}"#,
            StatusKind::Archived,
        ),
        (
            r#"{"files":[],"project-status":"frozen"}"#,
            StatusKind::Other("frozen".to_owned()),
        ),
        (r#"{"files":[],"project-status":null}"#, StatusKind::Active),
    ] {
        assert_eq!(json(body).unwrap().page.status.kind, expected, "{body}");
    }
}

#[test]
fn newer_minor_versions_are_read_and_other_majors_are_not() {
    assert!(json(r#"{"meta":{"api-version":"1.5"},"namespaces":null,"name":"acme","files":[],"versions":[]}"#).is_ok());
    assert!(json(r#"{"meta":{"api-version":"1.99"},"files":[]}"#).is_ok());
    for version in [r#""2.0""#, r#""10.1""#, "1.0", r#""""#] {
        let result = json(&format!(
            r#"{{"meta":{{"api-version":{version}}},"files":[]}}"#
        ));
        assert!(
            matches!(result, Err(PageError::Version(_))),
            "{version}: {result:?}"
        );
    }
    assert!(matches!(
        html("<meta name='pypi:repository-version' content='2.0'><a href=acme-1.0.zip>x</a>"),
        Err(PageError::Version(_))
    ));
}

#[test]
fn documents_that_are_something_else_are_errors() {
    for body in [
        "",
        "<!DOCTYPE html><html></html>",
        "[]",
        "{}",
        r#"{"message":"not found"}"#,
        r#"{"files":null}"#,
        r#"{"files":[]"#,
    ] {
        assert!(matches!(json(body), Err(PageError::Json(_))), "{body}");
    }
    assert!(matches!(
        json(r#"{"name":"other","files":[]}"#),
        Err(PageError::OtherProject { .. })
    ));
    for body in [
        "",
        "Not found",
        "{\"files\": []}",
        "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
        "<html><body><form action=/login><input name=user></form><a href=/help>Help</a></body></html>",
        "<html><body><p>Down for maintenance</p></body></html>",
        "<html><body><a href=acme-1.0.zip>acme-1.0.zip</a><a href=acme-2.0",
        "<html><body><a href=acme-1.0.zip>acme-1.0.zip</a><a href=acme-2.0.zip>acme",
        "<html><body><a href=acme-1.0.zip>acme-1.0.zip</a>",
    ] {
        assert!(matches!(html(body), Err(PageError::Html(_))), "{body}");
    }
}

#[test]
fn an_empty_project_is_legal() {
    for body in [
        "<!DOCTYPE html>\n<html>\n  <body>\n  </body>\n</html>\n",
        "<!DOCTYPE html><html><head><title>Links for acme</title></head><body><h1>Links for acme</h1></body></html>",
        "<html><head><title>Index of /simple/acme/</title></head><body><h1>Index of /simple/acme/</h1><a href='../'>../</a></body></html>",
        "<html><head><meta name=pypi:repository-version content=1.0></head><body>nothing yet</body></html>",
    ] {
        assert_eq!(html(body).unwrap().page.files, [], "{body}");
    }
}

#[test]
fn links_in_comments_and_scripts_are_not_links() {
    let read = html(
        "<!-- <a href=acme-1.0.zip>x</a> --><script>'<a href=acme-2.0.zip>x</a>'</script><a href=acme-3.0.zip>x</a><a name=top></a>",
    )
    .unwrap();
    assert_eq!(names(&read), ["acme-3.0.zip"]);
    assert_eq!(read.rejected, []);
}

#[test]
fn a_json_list_is_sorted_once_and_deduplicated() {
    let body = r#"{"meta":{"_last-serial":"9","api-version":"1.1"},"projects":[{"name":"b","_last-serial":3},
        {"name":"A"},{"name":"B","_last-serial":5},{"name":"not a name","_last-serial":1},{"_last-serial":1},
        {"name":"c_d","_last-serial":"7","x":[]}]}"#;
    let list = read_list(body.as_bytes(), MediaType::Json).unwrap();
    assert_eq!(list.serial, Some(Serial(9)));
    let projects: Vec<(&str, Option<u64>)> = list
        .projects
        .iter()
        .map(|(name, serial)| (name.as_str(), serial.map(|s| s.0)))
        .collect();
    assert_eq!(projects, [("a", None), ("b", Some(5)), ("c-d", Some(7))]);
    assert_eq!(list.rejected.len(), 2);
    assert!(read_list(b"{\"files\":[]}", MediaType::Json).is_err());
}

#[test]
fn an_html_list_takes_names_from_texts_and_else_from_addresses() {
    let body = "<html><body><a href='/simple/b/'>B</a><a href='a/'>a very long na..&gt;</a><a href='../'>../</a>\
                <a href='c/?x#y'></a><a>no link</a></body></html><!--SERIAL 4-->";
    let list = read_list(body.as_bytes(), MediaType::Html).unwrap();
    let names: Vec<&str> = list
        .projects
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!((list.serial, list.rejected.len()), (Some(Serial(4)), 1));
    assert!(read_list(b"<html><h1>Sign in</h1></html>", MediaType::Html).is_err());
}

#[test]
fn content_types_are_told_apart() {
    for (value, expected) in [
        ("application/vnd.pypi.simple.v1+json", Some(MediaType::Json)),
        ("Application/JSON; charset=utf-8", Some(MediaType::Json)),
        ("application/vnd.pypi.simple.v1+html", Some(MediaType::Html)),
        ("text/html;charset=UTF-8", Some(MediaType::Html)),
        ("application/vnd.pypi.simple.v2+json", None),
        ("text/plain", None),
        ("", None),
    ] {
        assert_eq!(MediaType::from_content_type(value), expected, "{value}");
    }
}
