//! A server on loopback that does exactly what a test tells it to, byte by byte, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heliostat_upstream::{Limits, Upstream, UpstreamOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// One request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The request target, as it stands in the request line.
    pub(crate) target: String,
    pub(crate) at: Instant,
    headers: Vec<(String, String)>,
}

/// One thing to do on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send these bytes again and again until the client goes away.
    Endless { bytes: Vec<u8>, pause: Duration },
    /// Wait until so many requests have come in, on whatever connection.
    AfterAsked(usize),
    /// Say nothing more until the client goes away.
    Hang,
    /// Close the connection in good order.
    Close,
}

/// What stands between a connection and its requests.
#[derive(Clone)]
pub(crate) enum Door {
    /// Nothing.
    Plain,
    /// TLS.
    Tls(TlsAcceptor),
    /// The greeting of a SOCKS 5 proxy, which is then every server there is.
    Socks,
}

/// What a server does with its n-th request (the first is 0).
type Handler = dyn Fn(&Asked, usize) -> Vec<Step> + Send + Sync;

/// A running server; it ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

/// What a server has seen so far.
#[derive(Debug, Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    unanswered: AtomicUsize,
    unanswered_most: AtomicUsize,
}

impl Asked {
    /// A header's value; empty where it was not sent.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

impl Server {
    /// Serves plain HTTP/1.1.
    pub(crate) async fn start(
        handler: impl Fn(&Asked, usize) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Door::Plain, handler).await
    }

    /// Serves HTTP/1.1 behind a door.
    pub(crate) async fn start_with(
        door: Door,
        handler: impl Fn(&Asked, usize) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let handler: Arc<Handler> = Arc::new(handler);
        let mut tasks = JoinSet::new();
        let remembered = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (handler, seen, door) =
                    (Arc::clone(&handler), Arc::clone(&remembered), door.clone());
                connections.spawn(async move {
                    // A client that goes away in the middle is part of many tests.
                    let _gone: std::io::Result<()> = match door {
                        Door::Plain => talk(stream, &*handler, &seen).await,
                        Door::Socks => match socks_hello(&mut stream).await {
                            Ok(()) => talk(stream, &*handler, &seen).await,
                            Err(error) => Err(error),
                        },
                        Door::Tls(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => talk(stream, &*handler, &seen).await,
                            Err(error) => Err(error),
                        },
                    };
                });
            }
        });
        Self {
            address,
            seen,
            _tasks: tasks,
        }
    }

    /// Everything that was asked so far, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap().clone()
    }

    /// The most requests that ever waited for the beginning of their answer at once.
    pub(crate) fn unanswered_most(&self) -> usize {
        self.seen.unanswered_most.load(Ordering::SeqCst)
    }

    /// An address on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// An upstream whose root is this server's `/simple/`, with limits that suit tests.
    pub(crate) fn upstream(&self) -> Upstream {
        self.upstream_with(|_| {})
    }

    /// The same, with other limits.
    pub(crate) fn upstream_with(&self, change: impl FnOnce(&mut Limits)) -> Upstream {
        let mut options = options(&self.url("/simple"));
        change(&mut options.limits);
        Upstream::new(options).unwrap()
    }
}

/// Options that suit tests: quick back-off, everything else as usual.
pub(crate) fn options(root: &str) -> UpstreamOptions {
    let mut options = UpstreamOptions::new(root.parse().unwrap(), "heliostat-test/0");
    options.limits.backoff_base = Duration::from_millis(1);
    options
}

/// A complete answer with its length.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<Step> {
    let length = body.as_ref().len().to_string();
    let mut with_length = headers.to_vec();
    with_length.push(("content-length", &length));
    vec![
        Step::Send(head(status, &with_length)),
        Step::Send(body.as_ref().to_vec()),
    ]
}

/// The head of an answer.
pub(crate) fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let fields: String = headers
        .iter()
        .map(|(name, value)| [name, ": ", value, "\r\n"].concat())
        .collect();
    format!("HTTP/1.1 {status} Whatever\r\n{fields}\r\n").into_bytes()
}

/// A project page in JSON.
pub(crate) fn json_page(name: &str) -> String {
    format!(
        r#"{{"meta":{{"api-version":"1.1","_last-serial":7}},"name":"{name}","versions":["1.0"],"files":[{{
            "filename":"{name}-1.0.tar.gz","url":"../../files/{name}-1.0.tar.gz","hashes":{{}},"size":10}}]}}"#
    )
}

/// A complete answer with a JSON page.
pub(crate) fn json(name: &str) -> Vec<Step> {
    reply(200, &[("content-type", JSON)], json_page(name))
}

/// The content type of PEP 691.
pub(crate) const JSON: &str = "application/vnd.pypi.simple.v1+json";

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: &Handler,
    seen: &Seen,
) -> std::io::Result<()> {
    while let Some(request) = read_request(&mut stream).await? {
        let index = {
            let waiting = seen.unanswered.fetch_add(1, Ordering::SeqCst) + 1;
            seen.unanswered_most.fetch_max(waiting, Ordering::SeqCst);
            let mut asked = seen.asked.lock().unwrap();
            asked.push(request.clone());
            asked.len() - 1
        };
        let mut answered = false;
        for step in handler(&request, index) {
            if !answered && !matches!(step, Step::AfterAsked(_)) {
                answered = true;
                seen.unanswered.fetch_sub(1, Ordering::SeqCst);
            }
            match step {
                Step::AfterAsked(count) => {
                    while seen.asked.lock().unwrap().len() < count {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                Step::Send(bytes) => stream.write_all(&bytes).await?,
                Step::Endless { bytes, pause } => loop {
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                    if pause.is_zero() {
                        tokio::task::yield_now().await;
                    } else {
                        tokio::time::sleep(pause).await;
                    }
                },
                Step::Hang => {
                    stream.flush().await?;
                    stream.read_u8().await?;
                }
                Step::Close => return stream.shutdown().await,
            }
        }
        stream.flush().await?;
    }
    Ok(())
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Asked>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Ok(Some(Asked {
        target,
        at: Instant::now(),
        headers,
    }))
}

/// RFC 1928: no authentication, and whatever it is asked to connect to, it says yes.
async fn socks_hello(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<()> {
    let mut hello = [0; 2];
    stream.read_exact(&mut hello).await?;
    let mut methods = vec![0; usize::from(hello[1])];
    stream.read_exact(&mut methods).await?;
    stream.write_all(&[5, 0]).await?;
    let mut request = [0; 5];
    stream.read_exact(&mut request).await?;
    assert_eq!(
        request[..4],
        [5, 1, 0, 3],
        "a connection to a name, which the proxy looks up"
    );
    let mut name_and_port = vec![0; usize::from(request[4]) + 2];
    stream.read_exact(&mut name_and_port).await?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await
}
