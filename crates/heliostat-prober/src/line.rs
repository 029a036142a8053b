//! One connection to one address of one host: TCP, TLS, HTTP/1.1, one request at a time, everything bounded.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use heliostat_directory::Certificate;
use http::header::{ACCEPT_ENCODING, HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Position, Url};

use crate::certificates::{Recorder, Shown, certificate};
use crate::options::Limits;
use crate::reply::Reply;
use crate::trouble::Trouble;

/// How a client begins a connection of HTTP/2 (RFC 9113, section 3.4): the preface, and settings that set nothing.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The type of the frame that a server begins with.
const HTTP2_SETTINGS: u8 = 4;

/// What becomes of HTTP/2 with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http2 {
    /// It does not choose it.
    Absent,
    /// It chooses it and speaks something else.
    Broken,
    /// It speaks it.
    Speaks,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// The `User-Agent`.
    pub(crate) agent: String,
    /// Headers beside `Host`, `User-Agent` and `Accept-Encoding`, which may be among them.
    pub(crate) headers: HeaderMap,
    /// The largest body.
    pub(crate) limit_bytes: usize,
}

/// A way to one address, whose connection is opened when it is needed.
#[derive(Debug)]
pub(crate) struct Line {
    address: SocketAddr,
    host: String,
    tls: Option<Arc<rustls::ClientConfig>>,
    limits: Limits,
    open: Option<Open>,
    /// What this line may still cost.
    budget_bytes: usize,
    received_bytes: usize,
    certificate: Option<Certificate>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Empty<Bytes>>,
    /// Carries the bytes; ends with the line.
    _driver: JoinSet<()>,
}

impl Ask {
    pub(crate) fn get(url: &Url, agent: &str, limit_bytes: usize) -> Self {
        Self {
            method: Method::GET,
            url: url.clone(),
            agent: agent.to_owned(),
            headers: HeaderMap::new(),
            limit_bytes,
        }
    }

    /// The same with another header.
    pub(crate) fn with(mut self, name: http::header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl Line {
    /// A line to an address of a host. Without `tls` it speaks plain http.
    pub(crate) fn new(
        (address, host): (SocketAddr, &str),
        tls: Option<Arc<rustls::ClientConfig>>,
        limits: &Limits,
        budget_bytes: usize,
    ) -> Self {
        Self {
            address,
            host: host.to_owned(),
            tls,
            limits: limits.clone(),
            open: None,
            budget_bytes,
            received_bytes: 0,
            certificate: None,
        }
    }

    pub(crate) const fn address(&self) -> IpAddr {
        self.address.ip()
    }

    /// Bytes of all bodies so far.
    pub(crate) const fn received_bytes(&self) -> usize {
        self.received_bytes
    }

    /// The certificate of the last connection.
    pub(crate) const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// Whether a request is for this line: the same scheme, host and port.
    pub(crate) fn leads_to(&self, url: &Url) -> bool {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        url.scheme() == scheme
            && url.host_str() == Some(self.host.as_str())
            && url.port_or_known_default() == Some(self.address.port())
    }

    /// Asks nothing more.
    pub(crate) fn stop(&mut self) {
        self.budget_bytes = 0;
        self.open = None;
    }

    /// Asks once, on the open connection where there is one.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> Result<Reply, Trouble> {
        if self.budget_bytes == 0 {
            return Err(Trouble::Budget);
        }
        let answered = timeout(self.limits.request_timeout, self.try_ask(ask));
        let answered = answered.await.unwrap_or(Err(Trouble::Slow));
        if answered.is_err() {
            self.open = None;
        }
        answered
    }

    async fn try_ask(&mut self, ask: &Ask) -> Result<Reply, Trouble> {
        let kept = self.kept().await;
        let (mut open, may_be_stale) = match kept {
            Some(open) => (open, true),
            None => (self.connect().await?, false),
        };
        let mut began = Instant::now();
        let sent = open.sender.send_request(self.request(ask)?).await;
        let response = match sent {
            Ok(response) => response,
            // The server may close a connection that waits at any moment; that is no fault of its.
            Err(_) if may_be_stale => {
                open = self.connect().await?;
                began = Instant::now();
                let sent = open.sender.send_request(self.request(ask)?).await;
                sent.map_err(|error| broken(&error))?
            }
            Err(error) => return Err(broken(&error)),
        };
        let first_byte = began.elapsed();
        let (head, mut body) = response.into_parts();
        let mut bytes = BytesMut::new();
        let mut whole = true;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                whole = false;
                break;
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            bytes.extend_from_slice(&data);
            self.budget_bytes = self.budget_bytes.saturating_sub(data.len());
            self.received_bytes = self.received_bytes.saturating_add(data.len());
            if bytes.len() > ask.limit_bytes {
                return Err(Trouble::TooLarge);
            }
        }
        if whole {
            self.open = Some(open);
        }
        Ok(Reply {
            url: ask.url.clone(),
            status: head.status,
            headers: head.headers,
            body: bytes.freeze(),
            whole,
            first_byte,
            took: began.elapsed(),
        })
    }

    /// The connection of the last request, where it is still open.
    async fn kept(&mut self) -> Option<Open> {
        let mut open = self.open.take()?;
        open.sender.ready().await.ok()?;
        Some(open)
    }

    fn request(&self, ask: &Ask) -> Result<Request<Empty<Bytes>>, Trouble> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = ask.method.clone();
        let refused = |_| Trouble::Broken("its address cannot be asked for".to_owned());
        *request.uri_mut() = ask.url[Position::BeforePath..Position::AfterQuery]
            .parse()
            .map_err(refused)?;
        let host = match ask.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        };
        let headers = request.headers_mut();
        for (name, text) in [
            (HOST, host.as_str()),
            (USER_AGENT, &ask.agent),
            (ACCEPT_ENCODING, "identity"),
        ] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        }
        for (name, value) in &ask.headers {
            headers.insert(name, value.clone());
        }
        Ok(request)
    }

    async fn connect(&mut self) -> Result<Open, Trouble> {
        let mut driver = JoinSet::new();
        let sender = match self.tls.clone() {
            None => {
                let stream = self.dial().await?;
                let (sender, connection) = handshake(TokioIo::new(stream))
                    .await
                    .map_err(|error| broken(&error))?;
                driver.spawn(async move {
                    let _told_to_the_sender = connection.await;
                });
                sender
            }
            Some(tls) => {
                let stream = self.secured(tls, &[b"http/1.1".as_slice()]).await?;
                let (sender, connection) = handshake(TokioIo::new(stream))
                    .await
                    .map_err(|error| broken(&error))?;
                driver.spawn(async move {
                    let _told_to_the_sender = connection.await;
                });
                sender
            }
        };
        Ok(Open {
            sender,
            _driver: driver,
        })
    }

    /// Whether the server speaks HTTP/2 where it is offered: it must choose it, and begin with its settings.
    pub(crate) async fn http2(&mut self) -> Result<Http2, Trouble> {
        let Some(tls) = self.tls.clone() else {
            return Ok(Http2::Absent);
        };
        let offered = [b"h2".as_slice(), b"http/1.1".as_slice()];
        let mut stream = self.secured(tls, &offered).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2".as_slice()) {
            return Ok(Http2::Absent);
        }
        let begun = async {
            stream.write_all(HTTP2_PREFACE).await?;
            stream.flush().await?;
            let mut head = [0; 9];
            stream.read_exact(&mut head).await?;
            io::Result::Ok(head[3] == HTTP2_SETTINGS)
        };
        let begun = timeout(self.limits.request_timeout, begun).await;
        Ok(match begun {
            Ok(Ok(true)) => Http2::Speaks,
            _ => Http2::Broken,
        })
    }

    async fn secured(
        &mut self,
        tls: Arc<rustls::ClientConfig>,
        protocols: &[&[u8]],
    ) -> Result<TlsStream<TcpStream>, Trouble> {
        let stream = self.dial().await?;
        let mut config = rustls::ClientConfig::clone(&tls);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let bare = self.host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(bare)
            .map_err(|_| Trouble::Tls("its name cannot stand in a certificate".to_owned()))?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = timeout(self.limits.connect_timeout, connecting)
            .await
            .map_err(|_| Trouble::Slow)?
            .map_err(|error| refused(&error))?;
        let (_, session) = stream.get_ref();
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let protocol = session.protocol_version();
        self.certificate = leaf.and_then(|leaf| certificate(leaf, protocol));
        Ok(stream)
    }

    /// The certificates that the server shows, whoever signed them; nothing but the beginning of TLS is sent for that.
    pub(crate) async fn shown_certificates(&self) -> Vec<Shown> {
        let Some(tls) = &self.tls else {
            return Vec::new();
        };
        let recorder = Arc::new(Recorder::new(tls.crypto_provider()));
        let bare = self.host.trim_matches(['[', ']']).to_owned();
        let (Ok(config), Ok(name)) = (recorder.config(), ServerName::try_from(bare)) else {
            return Vec::new();
        };
        if let Ok(stream) = self.dial().await {
            let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
            let _refused_always = timeout(self.limits.connect_timeout, connecting).await;
        }
        recorder.into_shown()
    }

    async fn dial(&self) -> Result<TcpStream, Trouble> {
        let stream = timeout(
            self.limits.connect_timeout,
            TcpStream::connect(self.address),
        )
        .await
        .map_err(|_| Trouble::Connect("no answer in time".to_owned()))?
        .map_err(|error| match error.kind() {
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => Trouble::NoRoute,
            _ => Trouble::Connect(error.to_string()),
        })?;
        // Where it cannot be set, small requests wait a little.
        let _slower_then = stream.set_nodelay(true);
        Ok(stream)
    }
}

fn broken(error: &hyper::Error) -> Trouble {
    Trouble::Broken(error.to_string())
}

/// A handshake that failed: by the certificate or the protocol, which is told, else by the connection.
fn refused(error: &io::Error) -> Trouble {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or_else(
        || Trouble::Broken(error.to_string()),
        |inner| Trouble::Tls(inner.to_string()),
    )
}

/// A span in milliseconds.
pub(crate) fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}
