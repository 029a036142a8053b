//! Lists and pages: formats, encodings, conditions, limits, and answers that must not be mistaken for others.

use std::io::Write as _;
use std::time::Duration;

use heliostat_pypi::{ProjectName, Serial};
use heliostat_upstream::{
    Answer, Caches, FailureKind, FetchedPage, Upstream, UpstreamError, Validators,
};

use crate::server::{JSON, Server, Step, head, json, json_page, reply};

fn name(text: &str) -> ProjectName {
    text.parse().unwrap()
}

async fn page(upstream: &Upstream, project: &str) -> Result<Answer<FetchedPage>, UpstreamError> {
    upstream
        .page(&name(project), &Validators::default(), Caches::Allow)
        .await
}

fn fresh<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Fresh(value) => value,
        Answer::Unchanged | Answer::Gone => panic!("not fresh"),
    }
}

const HTML_PAGE: &str = "<!DOCTYPE html><html><body><a href=\"../../files/foo-1.0.tar.gz\">foo-1.0.tar.gz</a></body></html>";

#[tokio::test]
async fn a_page_is_asked_for_as_the_specification_says() {
    let server = Server::start(|_, _| {
        reply(
            200,
            &[
                ("content-type", JSON),
                ("etag", "\"e\""),
                ("last-modified", "then"),
                ("x-pypi-last-serial", "9"),
            ],
            json_page("foo"),
        )
    })
    .await;
    let upstream = server.upstream();
    let fetched = fresh(page(&upstream, "Foo").await.unwrap());
    assert_eq!(
        fetched.read.page.serial,
        Some(Serial(9)),
        "the larger of the two serials"
    );
    assert_eq!(
        fetched.read.page.files[0].url,
        server.url("/files/foo-1.0.tar.gz")
    );
    let expected = Validators {
        etag: Some("\"e\"".to_owned()),
        last_modified: Some("then".to_owned()),
    };
    assert_eq!(fetched.validators, expected);
    let asked = &server.asked()[0];
    assert_eq!(asked.target, "/simple/foo/");
    assert_eq!(asked.header("user-agent"), "heliostat-test/0");
    assert!(
        asked
            .header("accept")
            .starts_with("application/vnd.pypi.simple.v1+json, ")
    );
    assert_eq!(asked.header("accept-encoding"), "gzip, zstd");
    for absent in [
        "cache-control",
        "if-none-match",
        "if-modified-since",
        "authorization",
        "cookie",
        "referer",
    ] {
        assert_eq!(asked.header(absent), "", "{absent}");
    }
}

#[tokio::test]
async fn a_condition_is_sent_and_304_understood() {
    let server = Server::start(|asked, _| match asked.header("if-none-match") {
        "\"e\"" => vec![Step::Send(head(304, &[("etag", "\"e\"")]))],
        _ => reply(304, &[], ""),
    })
    .await;
    let upstream = server.upstream();
    let validators = Validators {
        etag: Some("\"e\"".to_owned()),
        last_modified: Some("then".to_owned()),
    };
    let answer = upstream
        .page(&name("foo"), &validators, Caches::Bypass)
        .await
        .unwrap();
    assert!(matches!(answer, Answer::Unchanged));
    assert_eq!(server.asked()[0].header("if-modified-since"), "then");
    assert_eq!(server.asked()[0].header("cache-control"), "no-cache");
    assert_eq!(upstream.stats().not_modified, 1);
    let error = page(&upstream, "foo").await.unwrap_err();
    assert_eq!(
        error.status(),
        Some(304),
        "a 304 that nobody asked for is no answer"
    );
}

#[tokio::test]
async fn only_a_plain_no_is_gone() {
    let server = Server::start(|asked, _| {
        let status = asked
            .target
            .trim_matches(|letter: char| !letter.is_ascii_digit())
            .parse()
            .unwrap();
        reply(status, &[], "no")
    })
    .await;
    let upstream = server.upstream_with(|limits| limits.tries_max = 2);
    for status in [404, 410] {
        assert!(
            matches!(
                page(&upstream, &format!("a{status}")).await,
                Ok(Answer::Gone)
            ),
            "{status}"
        );
    }
    for (status, kind) in [
        (401, FailureKind::Refused),
        (403, FailureKind::Refused),
        (451, FailureKind::Refused),
        (204, FailureKind::Refused),
        (500, FailureKind::Unreachable),
        (503, FailureKind::Unreachable),
        (522, FailureKind::Unreachable),
    ] {
        let error = page(&upstream, &format!("a{status}")).await.unwrap_err();
        assert_eq!((error.status(), error.kind()), (Some(status), kind));
    }
}

#[tokio::test]
async fn compressed_pages_are_decompressed() {
    let server = Server::start(|asked, _| {
        if asked.target == "/simple/foo/" {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(json_page("foo").as_bytes()).unwrap();
            let body = encoder.finish().unwrap();
            reply(
                200,
                &[("content-type", JSON), ("content-encoding", "gzip")],
                body,
            )
        } else {
            let body = zstd::encode_all(json_page("bar").as_bytes(), 3).unwrap();
            reply(
                200,
                &[("content-type", JSON), ("content-encoding", "zstd")],
                body,
            )
        }
    })
    .await;
    let upstream = server.upstream();
    for project in ["foo", "bar"] {
        let fetched = fresh(page(&upstream, project).await.unwrap());
        assert_eq!(fetched.read.page.files.len(), 1);
    }
}

#[tokio::test]
async fn limits_hold_before_and_after_decompression() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/simple/announced/" => vec![
            Step::Send(head(200, &[("content-length", "5000000")])),
            Step::Hang,
        ],
        "/simple/bomb/" => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(&vec![b' '; 5_000_000]).unwrap();
            reply(
                200,
                &[("content-type", JSON), ("content-encoding", "gzip")],
                encoder.finish().unwrap(),
            )
        }
        _ => {
            let bytes = b"4000\r\n"
                .iter()
                .chain(&vec![b' '; 0x4000])
                .chain(b"\r\n")
                .copied()
                .collect();
            let head = head(
                200,
                &[("content-type", JSON), ("transfer-encoding", "chunked")],
            );
            vec![
                Step::Send(head),
                Step::Endless {
                    bytes,
                    pause: Duration::ZERO,
                },
            ]
        }
    })
    .await;
    let upstream = server.upstream_with(|limits| limits.page_bytes_max = 100_000);
    for project in ["announced", "bomb", "endless"] {
        let error = page(&upstream, project).await.unwrap_err();
        assert!(
            matches!(
                error,
                UpstreamError::Limit {
                    limit_bytes: 100_000,
                    ..
                }
            ),
            "{project}: {error:?}"
        );
    }
    assert_eq!(upstream.stats().requests, 3, "none of them is tried again");
}

#[tokio::test]
async fn content_types_are_taken_with_sense() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/simple/html/" => reply(
            200,
            &[("content-type", "text/html; charset=UTF-8")],
            HTML_PAGE.replace("foo", "html"),
        ),
        "/simple/plain/" => reply(
            200,
            &[("content-type", "application/octet-stream")],
            json_page("plain"),
        ),
        "/simple/missing/" => reply(200, &[], json_page("missing")),
        "/simple/picture/" => reply(200, &[("content-type", "image/png")], b"\x89PNG"),
        _ => reply(200, &[("content-type", JSON)], "<html>a login page</html>"),
    })
    .await;
    let upstream = server.upstream();
    for project in ["html", "plain", "missing"] {
        let fetched = fresh(page(&upstream, project).await.unwrap());
        assert_eq!(fetched.read.page.files.len(), 1, "{project}");
    }
    let error = page(&upstream, "picture").await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Media { content_type, .. } if content_type == "image/png"),
        "{error:?}"
    );
    let error = page(&upstream, "wrong").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Page { .. }), "{error:?}");
    assert_eq!(error.kind(), FailureKind::Unfit);
    assert_eq!(
        upstream.stats().retries,
        1,
        "only nonsense is looked at twice"
    );
}

#[tokio::test]
async fn another_projects_page_is_not_taken() {
    let server = Server::start(|_, _| json("bar")).await;
    let error = page(&server.upstream(), "foo").await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::OtherProject { found, .. } if found == "bar"),
        "{error:?}"
    );
    assert!(!error.is_outage());
}

#[tokio::test]
async fn a_page_cut_short_is_asked_for_again() {
    let server = Server::start(|asked, index| {
        let body = if asked.target == "/simple/foo/" {
            HTML_PAGE.to_owned()
        } else {
            json_page("bar")
        };
        let half = &body.as_bytes()[..body.len() / 2];
        match index % 3 {
            // With a length, then without one, where only the look of the body tells.
            0 => vec![
                Step::Send(head(200, &[("content-length", &body.len().to_string())])),
                Step::Send(half.to_vec()),
                Step::Close,
            ],
            1 => vec![
                Step::Send(head(200, &[("connection", "close")])),
                Step::Send(half.to_vec()),
                Step::Close,
            ],
            _ => reply(200, &[], body),
        }
    })
    .await;
    let upstream = server.upstream();
    for project in ["foo", "bar"] {
        let fetched = fresh(page(&upstream, project).await.unwrap());
        assert_eq!(fetched.read.page.files.len(), 1, "{project}");
    }
    let stats = upstream.stats();
    assert_eq!((stats.requests, stats.retries), (6, 4));
}

#[tokio::test]
async fn html_whose_end_nothing_proves_is_not_taken() {
    let server = Server::start(|asked, _| {
        let page = "<!DOCTYPE html><a href=\"/files/foo-1.0.tar.gz\">foo-1.0.tar.gz</a>\n";
        match asked.header("if-none-match") {
            "" => vec![
                Step::Send(head(200, &[("content-type", "text/html")])),
                Step::Send(page.into()),
                Step::Close,
            ],
            _ => reply(200, &[("content-type", "text/html")], page),
        }
    })
    .await;
    let upstream = server.upstream_with(|limits| limits.tries_max = 2);
    let error = page(&upstream, "foo").await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::Truncated { tries: 2, .. }),
        "{error:?}"
    );
    let told = Validators {
        etag: Some("told".to_owned()),
        last_modified: None,
    };
    let fetched = fresh(
        upstream
            .page(&name("foo"), &told, Caches::Allow)
            .await
            .unwrap(),
    );
    assert_eq!(fetched.read.page.files.len(), 1, "sloppy, but whole");
}

#[tokio::test]
async fn a_damaged_compressed_page_is_an_error_in_the_end() {
    let server = Server::start(|_, _| {
        reply(
            200,
            &[("content-type", JSON), ("content-encoding", "gzip")],
            json_page("foo"),
        )
    })
    .await;
    let upstream = server.upstream_with(|limits| limits.tries_max = 3);
    let error = page(&upstream, "foo").await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::Decode { tries: 3, .. }),
        "{error:?}"
    );
    assert_eq!(upstream.stats().requests, 3);
}

#[tokio::test]
async fn the_list_comes_with_its_serials() {
    let server = Server::start(|_, _| {
        let body = r#"{"meta":{"api-version":"1.1","_last-serial":12},
            "projects":[{"name":"Foo","_last-serial":12},{"name":"bar","_last-serial":3},{"name":"no/name"}]}"#;
        reply(200, &[("content-type", JSON), ("etag", "W/\"l\"")], body)
    })
    .await;
    let upstream = server.upstream();
    let list = fresh(
        upstream
            .list(&Validators::default(), Caches::Allow)
            .await
            .unwrap(),
    );
    assert_eq!(list.serial, Some(Serial(12)));
    assert_eq!(
        list.projects,
        [
            (name("bar"), Some(Serial(3))),
            (name("foo"), Some(Serial(12)))
        ]
    );
    assert_eq!(list.rejected.len(), 1);
    assert_eq!(list.validators.etag.as_deref(), Some("W/\"l\""));
    assert_eq!(server.asked()[0].target, "/simple/");
}

#[tokio::test]
async fn documents_are_taken_as_they_are() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/a.whl.metadata" => reply(200, &[], "Metadata-Version: 2.1\n"),
        "/gzip" => reply(200, &[("content-encoding", "gzip")], "x"),
        _ => reply(404, &[], ""),
    })
    .await;
    let upstream = server.upstream();
    let document = async |path: &str, limit| {
        upstream
            .document(&server.url(path).parse().unwrap(), limit)
            .await
    };
    assert_eq!(
        fresh(document("/a.whl.metadata", 100).await.unwrap()),
        "Metadata-Version: 2.1\n"
    );
    assert_eq!(server.asked()[0].header("accept-encoding"), "identity");
    assert!(matches!(
        document("/a.whl.metadata", 5).await,
        Err(UpstreamError::Limit { limit_bytes: 5, .. })
    ));
    assert!(matches!(
        document("/gzip", 100).await,
        Err(UpstreamError::Encoding { .. })
    ));
    assert!(matches!(document("/none", 100).await, Ok(Answer::Gone)));
}

#[tokio::test]
async fn large_answers_are_read_off_the_event_loop() {
    let server = Server::start(|_, _| {
        let projects: Vec<String> = (0..20_000)
            .map(|number| format!("{{\"name\":\"p{number}\"}}"))
            .collect();
        let body = format!(
            "{{\"meta\":{{\"api-version\":\"1.0\"}},\"projects\":[{}]}}",
            projects.join(",")
        );
        reply(200, &[("content-type", JSON)], body)
    })
    .await;
    let list = fresh(
        server
            .upstream()
            .list(&Validators::default(), Caches::Allow)
            .await
            .unwrap(),
    );
    assert_eq!(list.projects.len(), 20_000);
}
