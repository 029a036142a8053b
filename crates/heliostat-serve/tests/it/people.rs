//! The page for people, the legacy documents, and the small addresses for machines.

use crate::support::Data;

#[tokio::test(flavor = "multi_thread")]
async fn the_home_page_names_this_very_host() {
    let data = Data::new();
    let server = data.serve();
    let answer = server.get("/", &[]).await;
    let text = answer.text();
    for expected in [
        "index-url = http://mirror.test/simple/",
        "pip install --index-url http://mirror.test/simple/ --trusted-host mirror.test requests",
        "UV_DEFAULT_INDEX=http://mirror.test/simple/",
        "poetry source add --priority=primary mirror http://mirror.test/simple/",
        "pdm config pypi.url http://mirror.test/simple/\npdm config pypi.verify_ssl false",
        "<dd>2</dd>",
        "0.0.0-test",
    ] {
        assert!(text.contains(expected), "no `{expected}` in\n{text}");
    }
    assert!(
        !text.contains("<script") && !text.contains("src="),
        "{text}"
    );
    let secure = server.get("/", &["X-Forwarded-Proto: https"]).await.text();
    assert!(
        secure.contains("index-url = https://mirror.test/simple/"),
        "{secure}"
    );
    assert!(!secure.contains("trusted-host"), "{secure}");
    assert!(!secure.contains("verify_ssl"), "{secure}");
    let odd = server
        .get("/", &["X-Forwarded-Proto: javascript"])
        .await
        .text();
    assert!(
        odd.contains("index-url = http://mirror.test/simple/"),
        "{odd}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_home_page_carries_its_headers() {
    let data = Data::new();
    let server = data.serve();
    let mut answer = server.get("/", &[]).await;
    answer.headers.retain(|(name, _)| name != "content-length");
    for (name, value) in &mut answer.headers {
        if name == "content-security-policy" {
            let (start, rest) = value.split_once("'sha256-").unwrap();
            let (_, end) = rest.split_once('\'').unwrap();
            *value = format!("{start}'sha256-[digest]'{end}");
        }
    }
    insta::assert_snapshot!(answer.head(), @r#"
    200
    access-control-allow-origin: *
    cache-control: no-cache
    content-security-policy: default-src 'none'; style-src 'sha256-[digest]'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
    content-type: text/html; charset=utf-8
    referrer-policy: no-referrer
    vary: X-Forwarded-Proto
    x-content-type-options: nosniff
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_none_is_not_repeated() {
    let data = Data::new();
    let server = data.serve();
    for target in ["/", "/pypi/sample/json"] {
        for host in ["<script>", "a b", "user@host", ""] {
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let answer = server.raw(request.as_bytes()).await;
            assert_eq!(answer.status, 400, "{host:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_legacy_document_has_absolute_addresses() {
    let data = Data::new();
    let server = data.serve();
    for (target, has_releases) in [
        ("/pypi/sample/json", true),
        ("/pypi/sample/1.0/json", false),
    ] {
        let answer = server.get(target, &["X-Forwarded-Proto: https"]).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "application/json")
        );
        let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(document["info"]["name"], "sample");
        assert_eq!(
            document
                .get("releases")
                .is_some_and(serde_json::Value::is_object),
            has_releases
        );
        let urls: Vec<&str> = document["urls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["url"].as_str().unwrap())
            .collect();
        let expected = format!("https://mirror.test{}", data.wheel.address());
        assert!(urls.contains(&expected.as_str()), "{urls:?}");
        let etag = format!("If-None-Match: {}", answer.header("etag"));
        assert_eq!(
            server
                .get(target, &["X-Forwarded-Proto: https", &etag])
                .await
                .status,
            304
        );
    }
    assert_eq!(server.get("/pypi/sample/9.9/json", &[]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_find_what_they_ask_for() {
    let data = Data::new();
    let server = data.serve();
    for (target, status, content_type) in [
        ("/healthz", 200, "text/plain; charset=utf-8"),
        ("/readyz", 200, "text/plain; charset=utf-8"),
        ("/last-modified", 200, "text/plain; charset=utf-8"),
        ("/robots.txt", 200, "text/plain; charset=utf-8"),
        (
            "/metrics",
            200,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        ("/favicon.ico", 404, ""),
    ] {
        let answer = server.get(target, &[]).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, content_type),
            "{target}"
        );
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_reading_is_allowed() {
    let data = Data::new();
    let server = data.serve();
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        let answer = server.ask(method, "/simple/sample/", &[]).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, "GET, HEAD, OPTIONS"),
            "{method}"
        );
    }
    let options = server.ask("OPTIONS", "/simple/sample/", &[]).await;
    assert_eq!(
        (options.status, options.header("allow")),
        (204, "GET, HEAD, OPTIONS")
    );
    assert_eq!(options.header("access-control-allow-origin"), "*");
    let body = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    assert_eq!(server.raw(body).await.status, 413);
    let nobody = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(server.raw(nobody).await.status, 400);
}
