//! Project pages and the root list: negotiation, validators, codings, redirects, and what a commit changes.

use std::io::Read as _;

use heliostat_serve::Limits;

use crate::support::{Answer, Data};

const JSON: &str = "Accept: application/vnd.pypi.simple.v1+json";
const HTML: &str = "Accept: application/vnd.pypi.simple.v1+html";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_carries_its_headers() {
    let data = Data::new();
    let server = data.serve();
    insta::assert_snapshot!(server.get("/simple/sample/", &[JSON]).await.head(), @r#"
    200
    access-control-allow-origin: *
    cache-control: public, max-age=60
    content-length: 924
    content-type: application/vnd.pypi.simple.v1+json
    etag: "b63c56950c3dd411a6e7529b2df29ae0"
    last-modified: [date]
    referrer-policy: no-referrer
    vary: Accept, Accept-Encoding
    x-content-type-options: nosniff
    x-pypi-last-serial: 42
    "#);
    insta::assert_snapshot!(server.get("/simple/sample/", &[HTML]).await.head(), @r#"
    200
    access-control-allow-origin: *
    cache-control: public, max-age=60
    content-length: 1036
    content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
    content-type: application/vnd.pypi.simple.v1+html; charset=utf-8
    etag: "158445820a1fbb9459aa6ad6f2caf606"
    last-modified: [date]
    referrer-policy: no-referrer
    vary: Accept, Accept-Encoding
    x-content-type-options: nosniff
    x-pypi-last-serial: 42
    "#);
    insta::assert_snapshot!(server.get("/simple/", &[JSON]).await.head(), @r#"
    200
    access-control-allow-origin: *
    cache-control: public, max-age=60
    content-length: 133
    content-type: application/vnd.pypi.simple.v1+json
    etag: "57e1a3aecc9d32cad44bb027d5ed92c7"
    last-modified: [date]
    referrer-policy: no-referrer
    vary: Accept, Accept-Encoding
    x-content-type-options: nosniff
    x-pypi-last-serial: 43
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_the_trees_own_document() {
    let data = Data::new();
    let server = data.serve();
    for (accept, target, stored) in [
        (JSON, "/simple/sample/", "simple/sample/index.v1_json"),
        (HTML, "/simple/sample/", "simple/sample/index.v1_html"),
        (JSON, "/simple/", "simple/index.v1_json"),
        (HTML, "/simple/", "simple/index.v1_html"),
    ] {
        let stored = std::fs::read(data.directory.path().join("web").join(stored)).unwrap();
        assert_eq!(server.get(target, &[accept]).await.body, stored, "{target}");
    }
    let document: serde_json::Value =
        serde_json::from_slice(&server.get("/simple/sample/", &[JSON]).await.body).unwrap();
    assert_eq!(document["meta"]["_last-serial"], 42);
    assert_eq!(document["files"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_type_is_negotiated() {
    let data = Data::new();
    let server = data.serve();
    let json = "application/vnd.pypi.simple.v1+json";
    for (headers, query, expected) in [
        (&[][..], "", "text/html; charset=utf-8"),
        (&["Accept: */*"], "", "text/html; charset=utf-8"),
        (&[JSON], "", json),
        (
            &["Accept: application/vnd.pypi.simple.v1+json, */*;q=0.1"],
            "",
            json,
        ),
        (
            &["Accept: application/vnd.pypi.simple.latest+json"],
            "",
            json,
        ),
        (
            &["Accept: text/html"],
            "?format=application/vnd.pypi.simple.v1%2Bjson",
            json,
        ),
        (
            &["Accept: text/html"],
            "?a=b&format=application/vnd.pypi.simple.v1+json",
            json,
        ),
    ] {
        let answer = server
            .get(&format!("/simple/sample/{query}"), headers)
            .await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, expected),
            "{headers:?} {query}"
        );
        assert_eq!(answer.header("vary"), "Accept, Accept-Encoding");
    }
    for (headers, query) in [(&["Accept: image/png"][..], ""), (&[], "?format=json")] {
        let answer = server
            .get(&format!("/simple/sample/{query}"), headers)
            .await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (406, "application/problem+json")
        );
        assert!(
            answer
                .text()
                .contains("application/vnd.pypi.simple.v1+html"),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codings_hold_the_same_document_under_tags_of_their_own() {
    let data = Data::new();
    let server = data.serve();
    let plain = server.get("/simple/sample/", &[JSON]).await;
    let gzip = server
        .get("/simple/sample/", &[JSON, "Accept-Encoding: gzip, deflate"])
        .await;
    let zstd = server
        .get(
            "/simple/sample/",
            &[JSON, "Accept-Encoding: gzip, deflate, zstd"],
        )
        .await;
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(gzip.header("content-encoding"), "gzip");
    assert_eq!(zstd.header("content-encoding"), "zstd");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&gzip.body[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, plain.body);
    assert_eq!(zstd::decode_all(&zstd.body[..]).unwrap(), plain.body);
    let tag = plain.header("etag").trim_matches('"');
    assert_eq!(gzip.header("etag"), format!("\"{tag}-gzip\""));
    assert_eq!(zstd.header("etag"), format!("\"{tag}-zstd\""));
    assert!(gzip.body.len() < plain.body.len() && zstd.body.len() < plain.body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_page_is_not_sent_again() {
    let data = Data::new();
    let server = data.serve();
    let first = server
        .get("/simple/sample/", &[JSON, "Accept-Encoding: gzip"])
        .await;
    let etag = format!("If-None-Match: {}", first.header("etag"));
    let since = format!("If-Modified-Since: {}", first.header("last-modified"));
    for condition in [&etag, &since] {
        let again = server
            .get(
                "/simple/sample/",
                &[JSON, "Accept-Encoding: gzip", condition],
            )
            .await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{condition}");
        for name in [
            "etag",
            "cache-control",
            "vary",
            "last-modified",
            "x-pypi-last-serial",
        ] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        assert_eq!(again.header("content-length"), "");
    }
    let other_coding = server.get("/simple/sample/", &[JSON, &etag]).await;
    assert_eq!(other_coding.status, 200);
    let wanted_another = server
        .get("/simple/sample/", &[JSON, "If-Match: \"x\""])
        .await;
    assert_eq!(wanted_another.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_with_the_same_pages_has_the_same_tags() {
    let (one, two) = (Data::new(), Data::new());
    let (one, two) = (one.serve(), two.serve());
    for target in ["/simple/sample/", "/simple/"] {
        let headers = [JSON, "Accept-Encoding: zstd"];
        let (one, two) = (
            one.get(target, &headers).await,
            two.get(target, &headers).await,
        );
        assert_eq!(one.header("etag"), two.header("etag"), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_seen_without_a_restart() {
    let data = Data::new();
    let server = data.serve();
    let before = server.get("/simple/sample/", &[JSON]).await;
    data.commit_sample(&[&data.wheel], 99);
    let after = server.get("/simple/sample/", &[JSON]).await;
    assert_eq!(
        (
            before.header("x-pypi-last-serial"),
            after.header("x-pypi-last-serial")
        ),
        ("42", "99")
    );
    assert_ne!(before.header("etag"), after.header("etag"));
    assert_eq!(server.get(&data.sdist.address(), &[]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_spellings_are_sent_to_the_normal_one() {
    let data = Data::new();
    let server = data.serve();
    for (target, expected) in [
        ("/simple", "/simple/"),
        ("/simple/sample", "/simple/sample/"),
        (
            "/simple/Sam_Ple/?format=text/html",
            "/simple/sam-ple/?format=text/html",
        ),
        ("/pypi/Sample/json", "/pypi/sample/json"),
    ] {
        let answer = server.get(target, &[]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (301, expected),
            "{target}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_here_is_a_problem_document() {
    let data = Data::new();
    let server = data.serve();
    for target in [
        "/simple/absent/",
        "/simple/_x/",
        "/nothing",
        "/pypi/absent/json",
        "/../state/catalog.sqlite",
    ] {
        let answer = server.get(target, &[]).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "application/problem+json"),
            "{target}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(document["status"], 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_the_body() {
    let data = Data::new();
    let server = data.serve();
    let targets = [
        "/",
        "/simple/",
        "/simple/sample/",
        "/simple/absent/",
        "/simple/Sample",
        &data.wheel.address(),
        &format!("{}.metadata", data.wheel.address()),
        &data.sdist.address(),
        "/pypi/sample/json",
        "/pypi/sample/1.0/json",
        "/last-modified",
        "/healthz",
        "/readyz",
        "/robots.txt",
        "/favicon.ico",
    ];
    for target in targets {
        let (get, head) = (
            server.get(target, &[]).await,
            server.ask("HEAD", target, &[]).await,
        );
        assert_eq!(head.head(), get.head(), "{target}");
        assert!(head.body.is_empty(), "{target}");
        assert_eq!(
            get.header("content-length"),
            get.body.len().to_string(),
            "{target}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_too_large_to_keep_is_sent_from_disk() {
    let data = Data::new();
    let server = data.serve_with(Limits {
        page_cache_bytes: 64,
        ..Limits::default()
    });
    let kept: Answer = data.serve().get("/simple/sample/", &[JSON]).await;
    for _ in 0..2 {
        let answer = server
            .get("/simple/sample/", &[JSON, "Accept-Encoding: gzip"])
            .await;
        assert_eq!(
            (answer.header("etag"), answer.header("content-encoding")),
            (kept.header("etag"), "")
        );
        assert_eq!(answer.body, kept.body);
        let etag = format!("If-None-Match: {}", answer.header("etag"));
        assert_eq!(
            server.get("/simple/sample/", &[JSON, &etag]).await.status,
            304
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_tree_has_an_empty_list() {
    let directory = tempfile::TempDir::new().unwrap();
    let store = heliostat_store::Store::open(directory.path()).unwrap();
    let server = crate::support::start(&store, Limits::default(), None, None);
    let answer = server.get("/simple/", &[JSON]).await;
    let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (answer.status, &document["projects"]),
        (200, &serde_json::json!([]))
    );
    assert_eq!(server.get("/last-modified", &[]).await.status, 404);
}
