//! Requests that are made once, for callers that would rather ask the next server.

use std::io::Write as _;
use std::time::Duration;

use heliostat_upstream::{Coding, FailureKind, UpstreamError};

use crate::server::{Server, Step, head, reply};

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(100);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_document_comes_whole_decompressed_and_within_its_limit() {
    let server = Server::start(|_, _| {
        let headers = [
            ("content-encoding", "gzip"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ];
        reply(200, &headers, gzip(&[b'x'; 5_000]))
    })
    .await;
    let (upstream, url) = (server.upstream(), server.url("/a").parse().unwrap());
    let plain = upstream
        .get(&url, 5_000, Coding::Compressed, LONG)
        .await
        .unwrap();
    assert_eq!(plain.body.len(), 5_000);
    let told = plain
        .date
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(told.as_secs(), 784_111_777);
    let refused = upstream.get(&url, 4_999, Coding::Compressed, LONG).await;
    assert!(
        matches!(refused, Err(UpstreamError::Limit { .. })),
        "{refused:?}"
    );
    let refused = upstream.get(&url, 5_000, Coding::Identity, LONG).await;
    assert!(
        matches!(refused, Err(UpstreamError::Encoding { .. })),
        "{refused:?}"
    );
    assert_eq!(server.asked().len(), 3, "each once");
}

#[tokio::test]
async fn what_has_no_end_ends_at_the_limit_and_what_never_comes_at_the_deadline() {
    let server = Server::start(|asked, _| {
        let endless = Step::Endless {
            bytes: vec![b'x'; 1_000],
            pause: Duration::ZERO,
        };
        match asked.target.as_str() {
            "/endless" => vec![Step::Send(head(200, &[("connection", "close")])), endless],
            "/gone" => reply(404, &[], ""),
            _ => vec![Step::Hang],
        }
    })
    .await;
    let upstream = server.upstream();
    let get = async |path: &str, deadline| {
        let url = server.url(path).parse().unwrap();
        upstream
            .get(&url, 10_000, Coding::Compressed, deadline)
            .await
    };
    let endless = get("/endless", LONG).await;
    assert!(
        matches!(endless, Err(UpstreamError::Limit { .. })),
        "{endless:?}"
    );
    let never = get("/never", SHORT).await.unwrap_err();
    assert!(matches!(never, UpstreamError::Late { .. }), "{never:?}");
    assert_eq!(never.kind(), FailureKind::Unreachable);
    assert_eq!(get("/gone", LONG).await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn a_file_goes_on_from_an_offset_or_says_that_it_does_not() {
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/ranges" => {
            assert_eq!(asked.header("range"), "bytes=3-");
            reply(206, &[("content-range", "bytes 3-4/5")], "lo")
        }
        "/other" => reply(206, &[("content-range", "bytes 2-4/5")], "llo"),
        "/stalls" => vec![
            Step::Send(head(200, &[("content-length", "5")])),
            Step::Send(b"he".to_vec()),
            Step::Hang,
        ],
        _ => reply(200, &[], "hello"),
    })
    .await;
    let upstream = server.upstream();
    let url = |path: &str| server.url(path).parse().unwrap();
    let mut rest = upstream.open(&url("/ranges"), 3, LONG).await.unwrap();
    assert_eq!((rest.offset(), rest.total_bytes()), (3, Some(5)));
    assert_eq!(rest.chunk(LONG).await.unwrap().unwrap(), "lo");
    assert!(rest.chunk(LONG).await.unwrap().is_none());
    let whole = upstream.open(&url("/whole"), 3, LONG).await.unwrap();
    assert_eq!((whole.offset(), whole.total_bytes()), (0, Some(5)));
    let other = upstream.open(&url("/other"), 3, LONG).await;
    assert!(
        matches!(other, Err(UpstreamError::Resume { .. })),
        "{other:?}"
    );
    let mut stalls = upstream.open(&url("/stalls"), 0, LONG).await.unwrap();
    assert_eq!(stalls.chunk(LONG).await.unwrap().unwrap(), "he");
    let stalled = stalls.chunk(SHORT).await;
    assert!(
        matches!(stalled, Err(UpstreamError::Late { .. })),
        "{stalled:?}"
    );
}
