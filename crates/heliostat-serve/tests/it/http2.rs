//! HTTP/2, as uv speaks it over TLS, here also in the clear with prior knowledge.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::Data;

/// A client on a connection that is driven for as long as the tasks live.
pub(crate) async fn client(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> (SendRequest<Empty<Bytes>>, JoinSet<()>) {
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _ended = connection.await;
    });
    (sender, tasks)
}

/// GET over HTTP/2.
pub(crate) async fn get(
    sender: &mut SendRequest<Empty<Bytes>>,
    uri: &str,
) -> (http::response::Parts, Bytes) {
    let request = http::Request::get(uri).body(Empty::new()).unwrap();
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    (parts, body.collect().await.unwrap().to_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_one_connection() {
    let data = Data::new();
    let server = data.serve();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (sender, _tasks) = client(stream).await;
    let targets = [
        data.sdist.address(),
        data.wheel.address(),
        "/simple/sample/".to_owned(),
    ];
    let asked = targets.iter().cycle().take(60).map(|target| {
        let mut sender = sender.clone();
        async move { get(&mut sender, &format!("http://mirror.test{target}")).await }
    });
    for (parts, body) in futures_util::future::join_all(asked).await {
        assert_eq!(parts.status, 200);
        assert_eq!(parts.headers["content-length"], body.len().to_string());
    }
    assert_eq!(server.metric("heliostat_connections").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_the_authority() {
    let data = Data::new();
    let server = data.serve();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, _tasks) = client(stream).await;
    let (parts, body) = get(&mut sender, "http://mirror.test/").await;
    assert_eq!(parts.status, 200);
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(
        text.contains("index-url = http://mirror.test/simple/"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_let_go_and_a_busy_one_is_not() {
    let data = Data::new();
    let timeout = std::time::Duration::from_millis(50);
    let limits = heliostat_serve::Limits {
        header_read_timeout: timeout,
        ..Default::default()
    };
    let server = data.serve_with(limits);
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, mut tasks) = client(stream).await;
    let (parts, _body) = get(&mut sender, "http://mirror.test/healthz").await;
    assert_eq!(parts.status, 200);
    // The connection ends by itself, although its client keeps it open.
    tasks.join_next().await.unwrap().unwrap();
}
