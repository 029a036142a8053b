//! What is counted: downloads by client and day, requests, bytes, cache hits.

use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::Data;

fn rows(data: &Path) -> Vec<String> {
    let file = std::fs::File::open(data.join("web/local-stats/days/2026-08-01.bz2")).unwrap();
    let mut text = String::new();
    bzip2::read::BzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_are_counted_by_file_and_client() {
    let data = Data::new();
    let (pip, uv) = (
        "User-Agent: pip/26.2 {\"cpu\":\"x86_64\"}",
        "User-Agent: uv/0.9.1",
    );
    let server = data.serve();
    for agent in [pip, pip, uv] {
        assert_eq!(
            server.get(&data.wheel.address(), &[agent]).await.status,
            200
        );
    }
    assert_eq!(server.get(&data.sdist.address(), &[pip]).await.status, 200);
    let etag = format!("If-Range: \"{}\"", data.sdist.path.id_hex());
    assert_eq!(
        server
            .get(&data.sdist.address(), &[pip, "Range: bytes=100-", &etag])
            .await
            .status,
        206
    );
    // None of these is a download.
    server
        .get(&data.sdist.address(), &[uv, "Range: bytes=-100"])
        .await;
    server.ask("HEAD", &data.wheel.address(), &[uv]).await;
    server
        .get(&format!("{}.metadata", data.wheel.address()), &[uv])
        .await;
    server
        .get(&data.wheel.address(), &[uv, "If-None-Match: *"])
        .await;
    server.get("/simple/sample/", &[uv]).await;
    server.stop().await;
    let expected = [
        "sample,sample-1.0-py3-none-any.whl,pip/26.2,2",
        "sample,sample-1.0-py3-none-any.whl,uv/0.9.1,1",
        "sample,sample-1.0.tar.gz,pip/26.2,2",
    ];
    assert_eq!(rows(data.directory.path()), expected);

    let again = data.serve();
    assert_eq!(again.get(&data.wheel.address(), &[uv]).await.status, 200);
    let day = again.get("/local-stats/days/2026-08-01.bz2", &[]).await;
    assert_eq!(
        (day.status, day.header("content-type")),
        (200, "application/x-bzip2")
    );
    again.stop().await;
    assert_eq!(
        rows(data.directory.path())[1],
        "sample,sample-1.0-py3-none-any.whl,uv/0.9.1,2"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_broken_off_does_not_count() {
    let data = Data::new();
    let server = data.serve();
    drop(server.stall(&data.sdist.address()).await);
    server.stop().await;
    assert!(!data.directory.path().join("web/local-stats").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route() {
    let data = Data::new();
    let server = data.serve();
    for _ in 0..3 {
        server.get("/simple/sample/", &[]).await;
    }
    server.get("/simple/absent/", &[]).await;
    server.get(&data.sdist.address(), &[]).await;
    for (name, expected) in [
        ("heliostat_requests_total{route=\"page\",status=\"2xx\"}", 3),
        ("heliostat_requests_total{route=\"page\",status=\"4xx\"}", 1),
        ("heliostat_requests_total{route=\"file\",status=\"2xx\"}", 1),
        ("heliostat_sent_bytes_total{route=\"file\"}", 3_000_000),
        ("heliostat_cache_hits_total", 2),
        ("heliostat_in_flight", 1),
        ("heliostat_downloads_total", 1),
    ] {
        assert_eq!(server.metric(name).await, expected, "{name}");
    }
}

/// Lines of a log, kept in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_one_line_in_the_access_log() {
    let lines = Lines::default();
    let written = lines.clone();
    // Answers come from the server's own threads, so the log has to be the whole process's.
    let log = tracing_subscriber::fmt()
        .json()
        .with_writer(move || lines.clone())
        .finish();
    tracing::subscriber::set_global_default(log).unwrap();
    let data = Data::new();
    let server = data.serve();
    let agent = "User-Agent: pip/26.2 {\"secret\":1}";
    server
        .get("/simple/logged-and-absent/?token=secret", &[agent])
        .await;
    server.stop().await;
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let of_ours: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("logged-and-absent"))
        .collect();
    assert_eq!(of_ours.len(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(of_ours[0]).unwrap();
    let fields = &line["fields"];
    assert_eq!(line["target"], "access");
    assert_eq!(fields["method"], "GET");
    assert_eq!(fields["path"], "/simple/logged-and-absent/");
    assert_eq!(fields["status"], 404);
    assert_eq!(fields["user_agent"], "pip/26.2");
    assert!(fields["bytes"].as_u64().unwrap() > 0 && fields["ms"].as_f64().unwrap() > 0.0);
    assert!(fields["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(!of_ours[0].contains("secret"), "{}", of_ours[0]);
}
