//! What one client may do to the server and to the others: heads, slowness, silence, many connections, and the end.

use std::time::Duration;

use heliostat_serve::{Drained, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Answer, Data, Running};

/// Long enough that a test which needs it has failed.
const FOREVER: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let data = Data::new();
    let server = data.serve();
    let long = format!("X-Long: {}", "a".repeat(20_000));
    assert_eq!(server.get("/", &[&long]).await.status, 431);
    let many = vec!["X-Many: 1"; 100];
    assert_eq!(server.get("/", &many).await.status, 431);
    let path = format!("/simple/{}/", "a".repeat(10_000));
    assert!([404, 414, 431].contains(&server.get(&path, &[]).await.status));
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused() {
    let data = Data::new();
    let server = data.serve();
    assert_eq!(server.raw(b"nonsense\r\n\r\n").await.status, 400);
    assert_eq!(
        server.raw(b"GET  HTTP/1.1\r\nHost: a\r\n\r\n").await.status,
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_for_the_next_request() {
    let data = Data::new();
    let server = data.serve();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..3 {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok\n") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
        }
        assert_eq!(Answer::parse(&answer).unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_let_go() {
    let data = Data::new();
    let timeout = Duration::from_millis(100);
    let server = data.serve_with(Limits {
        header_read_timeout: timeout,
        ..Limits::default()
    });
    for start in [
        "",
        "P",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let outcome = tokio::time::timeout(FOREVER, stream.read_to_end(&mut rest)).await;
        assert!(outcome.is_ok(), "still connected after {start:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_cut() {
    let data = Data::new();
    let timeout = Duration::from_millis(100);
    let server = data.serve_with(Limits {
        write_stall_timeout: timeout,
        ..Limits::default()
    });
    let _stream = server.stall(&data.sdist.address()).await;
    wait_for_metric(&server, "heliostat_connections_stalled_total").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_cap_clients_wait_their_turn() {
    let data = Data::new();
    let server = data.serve_with(Limits {
        connections_max: 1,
        ..Limits::default()
    });
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let second = server.get("/healthz", &[]);
    tokio::pin!(second);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
    assert!(
        early.is_err(),
        "the second connection was served beside the first"
    );
    drop(first);
    assert_eq!(second.await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_what_is_under_way() {
    let data = Data::new();
    let server = data.serve();
    let address = server.address;
    let mut stream = server.stall(&data.sdist.address()).await;
    let idle = TcpStream::connect(address).await.unwrap();
    let mut tasks = server.begin_stop();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.ends_with(&data.sdist.bytes[1000..]),
        "the download was cut"
    );
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), Drained::Finished);
    assert!(
        TcpStream::connect(address).await.is_err(),
        "still listening"
    );
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_waits_only_so_long() {
    let data = Data::new();
    let timeout = Duration::from_millis(100);
    let server = data.serve_with(Limits {
        drain_timeout: timeout,
        ..Limits::default()
    });
    let _stream = server.stall(&data.sdist.address()).await;
    assert_eq!(server.stop().await, Drained::Cut { connections: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_stops_at_once() {
    let data = Data::new();
    let server = data.serve();
    assert_eq!(server.get("/healthz", &[]).await.status, 200);
    assert_eq!(server.stop().await, Drained::Finished);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_are_served_at_once() {
    let data = Data::new();
    let server = data.serve();
    let wheel = data.wheel.address();
    let asked = (0..200).map(|number| {
        let (server, wheel) = (&server, &wheel);
        async move {
            let target = if number % 2 == 0 {
                wheel
            } else {
                "/simple/sample/"
            };
            server.get(target, &[]).await.status
        }
    });
    assert!(
        futures_util::future::join_all(asked)
            .await
            .into_iter()
            .all(|status| status == 200)
    );
    assert_eq!(server.metric("heliostat_in_flight").await, 1);
}

async fn wait_for_metric(server: &Running, name: &str) {
    let reached = async {
        while server.metric(name).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(FOREVER, reached).await.unwrap();
}
