//! A receiver of webhooks on loopback, which writes down what it was sent and answers as it is told.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::pypi::Authority;

/// The largest body that is taken, in bytes.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// One request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// As `POST /hook`.
    pub line: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// What was sent.
    pub body: Vec<u8>,
}

/// A receiver on loopback, until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    tls: Option<Arc<ServerConfig>>,
    status: AtomicU16,
    stopping: AtomicBool,
    received: Mutex<Vec<Received>>,
}

impl Receiver {
    /// One without TLS that answers 204.
    #[track_caller]
    pub fn plain() -> Self {
        Self::with(None)
    }

    /// One with TLS, called `localhost`, which `authority` must have been made for.
    #[track_caller]
    pub fn tls(authority: &Authority) -> Self {
        Self::with(Some(authority.server_config_of(&[b"http/1.1".as_slice()])))
    }

    fn with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has ports");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            tls,
            status: AtomicU16::new(204),
            stopping: AtomicBool::new(false),
            received: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.stopping.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let _client_is_gone = served.take(stream);
                }
            }
        });
        Self {
            url: format!("{scheme}://localhost:{port}/hook"),
            port,
            shared,
            accepting: Some(accepting),
        }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers with this from now on; a redirect leads to itself.
    pub fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// What came so far, the oldest first.
    pub fn received(&self) -> Vec<Received> {
        let received = self.shared.received.lock();
        received.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _refused_is_fine = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(accepting) = self.accepting.take() {
            let _it_ended = accepting.join();
        }
    }
}

impl Shared {
    fn take(&self, stream: TcpStream) -> io::Result<()> {
        match &self.tls {
            None => self.converse(stream),
            Some(tls) => {
                let session = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
                self.converse(StreamOwned::new(session, stream))
            }
        }
    }

    fn converse(&self, stream: impl Read + Write) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let words: Vec<&str> = line.split(' ').take(2).collect();
        let first = words.join(" ");
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers
            .get("content-length")
            .and_then(|length| length.parse().ok());
        let mut body = Vec::new();
        (&mut reader)
            .take(length.unwrap_or(0).min(BODY_BYTES_MAX))
            .read_to_end(&mut body)?;
        let received = Received {
            line: first,
            headers,
            body,
        };
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(received);
        let status = self.status.load(Ordering::SeqCst);
        let stream = reader.get_mut();
        write!(
            stream,
            "HTTP/1.1 {status} Said\r\nLocation: /hook\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        stream.flush()
    }
}
