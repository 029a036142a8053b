//! Files: sources, lengths, breaks and resumption.

use std::time::Duration;

use heliostat_upstream::{
    Caches, Download, DownloadDone, DownloadError, FailureKind, FileRequest, Upstream,
    UpstreamError,
};

use crate::server::{Asked, Server, Step, head, reply};

const TOTAL: usize = 100_000;

/// What a careful receiver ends up with, and where each try began.
#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    starts: Vec<(Option<u64>, u64)>,
    /// Every byte that came, also those that were discarded.
    came: usize,
}

impl Received {
    fn take(&mut self, event: Download) {
        match event {
            Download::Started {
                total_bytes,
                resumed_at,
            } => {
                self.starts.push((total_bytes, resumed_at));
                assert!(
                    resumed_at == 0 || resumed_at == self.bytes.len() as u64,
                    "it resumes where it stopped"
                );
                self.bytes.truncate(usize::try_from(resumed_at).unwrap());
            }
            Download::Chunk(chunk) => {
                self.came += chunk.len();
                self.bytes.extend_from_slice(&chunk);
            }
        }
    }
}

fn content() -> Vec<u8> {
    (0..TOTAL)
        .map(|index| u8::try_from(index * 31 % 251).unwrap())
        .collect()
}

fn file(sources: &[String]) -> FileRequest {
    FileRequest {
        sources: sources
            .iter()
            .map(|source| source.parse().unwrap())
            .collect(),
        expected_size_bytes: None,
        limit_bytes: None,
        caches: Caches::Allow,
    }
}

async fn download(
    upstream: &Upstream,
    file: &FileRequest,
) -> (Result<DownloadDone, UpstreamError>, Received) {
    let mut received = Received::default();
    let done = upstream
        .download(file, |event| {
            received.take(event);
            Ok::<(), std::convert::Infallible>(())
        })
        .await;
    let done = done.map_err(|error| match error {
        DownloadError::Upstream(error) => error,
        DownloadError::Caller(never) => match never {},
    });
    (done, received)
}

/// The rest of the content as a server that knows ranges sends it, cut after `bytes`.
fn part(asked: &Asked, etag: &str, bytes: usize) -> Vec<Step> {
    let content = content();
    let range = asked.header("range");
    let offset: usize = match range
        .strip_prefix("bytes=")
        .and_then(|range| range.strip_suffix('-'))
    {
        Some(offset) if asked.header("if-range") == etag => offset.parse().unwrap(),
        _ => 0,
    };
    let length = (TOTAL - offset).to_string();
    let span = format!("bytes {offset}-{}/{TOTAL}", TOTAL - 1);
    let mut headers = vec![("content-length", length.as_str()), ("etag", etag)];
    if offset > 0 {
        headers.push(("content-range", &span));
    }
    let body = content[offset..]
        .iter()
        .copied()
        .take(bytes)
        .collect::<Vec<u8>>();
    let cut = body.len() < TOTAL - offset;
    let mut steps = vec![
        Step::Send(head(if offset > 0 { 206 } else { 200 }, &headers)),
        Step::Send(body),
    ];
    steps.extend(cut.then_some(Step::Close));
    steps
}

#[tokio::test]
async fn a_file_comes_whole() {
    let server = Server::start(|_, _| reply(200, &[], content())).await;
    let upstream = server.upstream();
    let mut request = file(&[server.url("/f?token=secret")]);
    request.expected_size_bytes = Some(TOTAL as u64);
    request.caches = Caches::Bypass;
    let (done, received) = download(&upstream, &request).await;
    let source_url = server.url("/f?…");
    assert_eq!(
        done.unwrap(),
        DownloadDone {
            source_index: 0,
            source_url,
            size_bytes: TOTAL as u64
        }
    );
    assert_eq!(received.bytes, content());
    assert_eq!(received.starts, [(Some(TOTAL as u64), 0)]);
    let asked = &server.asked()[0];
    assert_eq!(asked.header("accept-encoding"), "identity");
    assert_eq!(asked.header("cache-control"), "no-cache");
    assert_eq!(asked.header("range"), "");
    assert_eq!(upstream.stats().bytes_received, TOTAL as u64);
}

#[tokio::test]
async fn a_break_is_resumed_without_repeating_a_byte() {
    let server =
        Server::start(|asked, index| part(asked, "\"v1\"", if index < 2 { 30_000 } else { TOTAL }))
            .await;
    let (done, received) = download(&server.upstream(), &file(&[server.url("/f")])).await;
    assert_eq!(done.unwrap().size_bytes, TOTAL as u64);
    assert_eq!(received.bytes, content());
    assert_eq!(received.came, TOTAL, "no byte came twice");
    let asked = server.asked();
    let ranges: Vec<&str> = asked.iter().map(|asked| asked.header("range")).collect();
    assert_eq!(ranges.len(), 3);
    assert_eq!(ranges[0], "");
    let offsets: Vec<u64> = received
        .starts
        .iter()
        .map(|(_, resumed_at)| *resumed_at)
        .collect();
    assert_eq!(offsets[0], 0);
    for (range, offset) in ranges.iter().zip(&offsets).skip(1) {
        assert_eq!(*range, format!("bytes={offset}-"));
        assert!(*offset > 0);
    }
    assert_eq!(asked[1].header("if-range"), "\"v1\"");
}

#[tokio::test]
async fn a_file_that_changes_in_between_starts_over() {
    let server = Server::start(|asked, index| match index {
        0 => part(asked, "\"old\"", 30_000),
        _ => part(asked, "\"new\"", TOTAL),
    })
    .await;
    let (done, received) = download(&server.upstream(), &file(&[server.url("/f")])).await;
    done.unwrap();
    assert_eq!(received.bytes, content());
    assert_eq!(
        received.starts,
        [(Some(TOTAL as u64), 0), (Some(TOTAL as u64), 0)]
    );
    assert_eq!(server.asked()[1].header("if-range"), "\"old\"");
}

#[tokio::test]
async fn a_wrong_range_is_not_believed() {
    for wrong in [
        (206, vec![("content-range", "bytes 0-99999/100000")]),
        (206, vec![("content-range", "bytes 7-99999/100000")]),
        (206, vec![("content-range", "bytes 30000-99999/200000")]),
        (
            206,
            vec![
                ("content-range", "bytes 30000-99999/100000"),
                ("etag", "\"v2\""),
            ],
        ),
        (206, vec![]),
        (416, vec![("content-range", "bytes */100000")]),
    ] {
        let answer = wrong.clone();
        let server = Server::start(move |asked, index| match index {
            0 => part(asked, "\"v1\"", 30_000),
            1 => reply(answer.0, &answer.1, b"nonsense"),
            _ => reply(200, &[], content()),
        })
        .await;
        let (done, received) = download(&server.upstream(), &file(&[server.url("/f")])).await;
        done.unwrap();
        assert_eq!(received.bytes, content(), "{wrong:?}");
        let asked = server.asked();
        assert_eq!(asked.len(), 3, "{wrong:?}");
        assert_eq!(asked[1].header("range"), "bytes=30000-");
        assert_eq!(asked[2].header("range"), "", "{wrong:?}");
    }
}

#[tokio::test]
async fn without_a_strong_validator_a_break_starts_over() {
    let server = Server::start(|asked, index| {
        part(asked, "W/\"v1\"", if index == 0 { 30_000 } else { TOTAL })
    })
    .await;
    let (done, received) = download(&server.upstream(), &file(&[server.url("/f")])).await;
    done.unwrap();
    assert_eq!(received.bytes, content());
    assert_eq!(server.asked()[1].header("range"), "");
}

#[tokio::test]
async fn a_clean_end_before_the_promised_length_is_a_break() {
    let server = Server::start(|_, index| {
        let body = if index == 0 {
            content()[..60_000].to_vec()
        } else {
            content()
        };
        let mut chunked = format!("{:x}\r\n", body.len()).into_bytes();
        chunked.extend(body);
        chunked.extend(b"\r\n0\r\n\r\n");
        vec![
            Step::Send(head(
                200,
                &[("transfer-encoding", "chunked"), ("last-modified", "then")],
            )),
            Step::Send(chunked),
        ]
    })
    .await;
    let mut request = file(&[server.url("/f")]);
    request.expected_size_bytes = Some(TOTAL as u64);
    let (done, received) = download(&server.upstream(), &request).await;
    done.unwrap();
    assert_eq!(received.bytes, content());
    assert_eq!(server.asked()[1].header("range"), "bytes=60000-");
    assert_eq!(server.asked()[1].header("if-range"), "then");
    request.expected_size_bytes = None;
    let (done, received) = download(&server.upstream(), &request).await;
    assert_eq!(done.unwrap().size_bytes, TOTAL as u64);
    assert_eq!(
        received.starts,
        [(None, 0)],
        "a length that nobody told is the caller's hash to judge"
    );
}

#[tokio::test]
async fn a_wrong_length_is_refused_before_the_end() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/told" => vec![
            Step::Send(head(200, &[("content-length", "100001")])),
            Step::Hang,
        ],
        _ => vec![
            Step::Send(head(200, &[("transfer-encoding", "chunked")])),
            Step::Endless {
                bytes: [&b"400\r\n"[..], &[b' '; 0x400], b"\r\n"].concat(),
                pause: Duration::ZERO,
            },
        ],
    })
    .await;
    let upstream = server.upstream();
    for path in ["/told", "/endless"] {
        let mut request = file(&[server.url(path)]);
        request.expected_size_bytes = Some(TOTAL as u64);
        let (done, received) = download(&upstream, &request).await;
        let error = done.unwrap_err();
        assert!(
            matches!(
                error,
                UpstreamError::Size {
                    expected_bytes: 100_000,
                    ..
                }
            ),
            "{path}: {error:?}"
        );
        assert!(received.came <= TOTAL);
        request.expected_size_bytes = None;
        request.limit_bytes = Some(50_000);
        let error = download(&upstream, &request).await.0.unwrap_err();
        assert!(
            matches!(
                error,
                UpstreamError::Limit {
                    limit_bytes: 50_000,
                    ..
                }
            ),
            "{path}: {error:?}"
        );
    }
    assert_eq!(upstream.stats().retries, 0);
}

#[tokio::test]
async fn an_encoding_that_only_says_what_a_tar_gz_is_changes_nothing() {
    for encoding in ["gzip", "x-gzip"] {
        let server =
            Server::start(move |_, _| reply(200, &[("content-encoding", encoding)], content()))
                .await;
        let upstream = server.upstream();
        for path in ["/a-1.0.tar.gz", "/a-1.0.tgz"] {
            let (done, received) = download(&upstream, &file(&[server.url(path)])).await;
            assert_eq!(done.unwrap().source_index, 0, "{encoding} {path}");
            assert_eq!(received.bytes, content());
        }
        for path in ["/a-1.0-py3-none-any.whl", "/a-1.0.zip"] {
            let refused = download(&upstream, &file(&[server.url(path)])).await.0;
            assert!(
                matches!(refused, Err(UpstreamError::Encoding { .. })),
                "{encoding} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_compressed_file_is_refused() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/gzip" => reply(200, &[("content-encoding", "gzip")], content()),
        _ => reply(200, &[("content-encoding", "identity")], content()),
    })
    .await;
    let upstream = server.upstream();
    let error = download(&upstream, &file(&[server.url("/gzip")]))
        .await
        .0
        .unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Encoding { encoding, .. } if encoding == "gzip"),
        "{error:?}"
    );
    assert_eq!(error.kind(), FailureKind::Unfit);
    let (done, received) = download(
        &upstream,
        &file(&[server.url("/gzip"), server.url("/plain")]),
    )
    .await;
    assert_eq!(done.unwrap().source_index, 1);
    assert_eq!(received.starts.len(), 1);
}

#[tokio::test]
async fn the_next_source_is_tried_from_the_beginning() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/missing" => reply(404, &[], ""),
        "/broken" => part(asked, "\"v1\"", 10_000),
        _ => reply(200, &[("etag", "\"v1\"")], content()),
    })
    .await;
    let upstream = server.upstream_with(|limits| limits.tries_max = 2);
    let sources = ["/missing", "/broken", "/good"].map(|path| server.url(path));
    let (done, received) = download(&upstream, &file(&sources)).await;
    assert_eq!(done.unwrap().source_index, 2);
    assert_eq!(received.bytes, content());
    assert_eq!(received.starts.last(), Some(&(Some(TOTAL as u64), 0)));
    let targets: Vec<String> = server
        .asked()
        .into_iter()
        .map(|asked| asked.target)
        .collect();
    assert_eq!(targets, ["/missing", "/broken", "/broken", "/good"]);
    let error = download(
        &upstream,
        &file(&[server.url("/broken"), server.url("/missing")]),
    )
    .await
    .0
    .unwrap_err();
    assert_eq!(
        error.kind(),
        FailureKind::Gone,
        "the page's own address has the last word"
    );
    assert!(download(&upstream, &file(&[])).await.0.is_err());
}

#[tokio::test]
async fn progress_gives_new_tries_and_no_progress_ends_them() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/slowly" => part(asked, "\"v1\"", 9_000),
        // Always breaks at the same place, and has nothing to resume by.
        _ => part(asked, "W/\"a\"", 90_000),
    })
    .await;
    let upstream = server.upstream_with(|limits| {
        limits.tries_max = 2;
        limits.progress_bytes = 1;
    });
    let (done, received) = download(&upstream, &file(&[server.url("/slowly")])).await;
    done.unwrap();
    assert_eq!(received.bytes, content());
    assert!(server.asked().len() >= 12);
    let before = server.asked().len();
    let error = download(&upstream, &file(&[server.url("/stuck")]))
        .await
        .0
        .unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    assert!(server.asked().len() - before <= 4);
}

#[tokio::test]
async fn the_receiver_can_stop() {
    let server = Server::start(|_, _| reply(200, &[], content())).await;
    let upstream = server.upstream();
    let stopped = upstream
        .download(
            &file(&[server.url("/f"), server.url("/g")]),
            |event| match event {
                Download::Started { .. } => Ok(()),
                Download::Chunk(_) => Err("the disk is full"),
            },
        )
        .await;
    assert!(matches!(
        stopped,
        Err(DownloadError::Caller("the disk is full"))
    ));
    assert_eq!(server.asked().len(), 1);
}
