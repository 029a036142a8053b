//! One connection, from its first byte to its last: TLS, the choice between HTTP/1.1 and HTTP/2, and its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::front::Front;
use crate::service::{Scheme, answer};
use crate::stall::StallGuard;
use crate::tls::Tls;

/// What an HTTP/2 client that knows beforehand sends first (RFC 9113 section 3.4); no HTTP/1.1 method begins so.
const HTTP2_PREFACE_START: &[u8] = b"PRI ";

/// Serves connections; cheap to clone, one for each.
#[derive(Clone)]
pub(crate) struct Connector {
    front: Front,
    tls: Option<Arc<Tls>>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, or in good order.
    Closed,
    /// Its answer was not finished when the time to drain was up.
    Cut,
}

impl Ending {
    /// Whether it was cut.
    pub(crate) fn is_cut(self) -> bool {
        self == Self::Cut
    }
}

impl Connector {
    /// Prepares the protocols by the front's limits.
    pub(crate) fn new(front: Front, tls: Option<Arc<Tls>>) -> Self {
        let limits = front.limits();
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_read_timeout)
            .max_buf_size(limits.header_bytes_max.max(8192))
            .max_headers(limits.header_count_max);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX));
        Self {
            front,
            tls,
            http1,
            http2,
        }
    }

    /// Serves one connection to its end. `drain` asks it to end after the answers under way.
    pub(crate) async fn serve(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        drain: CancellationToken,
    ) -> Ending {
        self.front.metrics().connections.inc();
        let ending = match self.tls.clone() {
            None => self.serve_plain(stream, peer, drain).await,
            Some(tls) => self.serve_tls(stream, peer, (tls, drain)).await,
        };
        self.front.metrics().connections.dec();
        ending
    }

    async fn serve_plain(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        drain: CancellationToken,
    ) -> Ending {
        let mut start = [0; HTTP2_PREFACE_START.len()];
        let first = tokio::select! {
            first = timeout(self.front.limits().header_read_timeout, stream.peek(&mut start)) => first,
            () = drain.cancelled() => return Ending::Closed,
        };
        match first {
            Ok(Ok(1..)) if start == HTTP2_PREFACE_START => {
                self.serve_http2(stream, (peer, Scheme::Http), drain).await
            }
            Ok(Ok(1..)) => self.serve_http1(stream, (peer, Scheme::Http), drain).await,
            // Closed, failed or silent before the first byte.
            _ => Ending::Closed,
        }
    }

    async fn serve_tls(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        (tls, drain): (Arc<Tls>, CancellationToken),
    ) -> Ending {
        let acceptor = TlsAcceptor::from(tls.config());
        let stream = match timeout(
            self.front.limits().handshake_timeout,
            acceptor.accept(stream),
        )
        .await
        {
            Ok(Ok(stream)) => stream,
            outcome => {
                self.front.metrics().handshakes_failed.inc();
                tracing::debug!(%peer, failed = ?outcome.map(|_| ()), "no TLS handshake");
                return Ending::Closed;
            }
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.serve_http2(stream, (peer, Scheme::Https), drain).await
        } else {
            self.serve_http1(stream, (peer, Scheme::Https), drain).await
        }
    }

    async fn serve_http1(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        (peer, scheme): (SocketAddr, Scheme),
        drain: CancellationToken,
    ) -> Ending {
        let front = self.front.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let front = front.clone();
            async move { Ok::<_, Infallible>(answer(&front, request, peer, scheme).await) }
        });
        let connection = self
            .http1
            .serve_connection(TokioIo::new(self.guard(stream)), service);
        self.drive(pin!(connection), std::future::pending(), drain)
            .await
    }

    async fn serve_http2(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        (peer, scheme): (SocketAddr, Scheme),
        drain: CancellationToken,
    ) -> Ending {
        let begun = Arc::new(AtomicUsize::new(0));
        let (front, counted) = (self.front.clone(), Arc::clone(&begun));
        let service = service_fn(move |request: Request<Incoming>| {
            let front = front.clone();
            counted.fetch_add(1, Ordering::Relaxed);
            async move { Ok::<_, Infallible>(answer(&front, request, peer, scheme).await) }
        });
        let connection = self
            .http2
            .serve_connection(TokioIo::new(self.guard(stream)), service);
        let idle = async {
            // HTTP/2 has no notion of waiting for the next request's head, so idleness is looked for here.
            let mut before = usize::MAX;
            loop {
                tokio::time::sleep(self.front.limits().header_read_timeout).await;
                let begun = begun.load(Ordering::Relaxed);
                if begun == before {
                    return;
                }
                before = begun;
            }
        };
        self.drive(pin!(connection), idle, drain).await
    }

    fn guard<S>(&self, stream: S) -> StallGuard<S> {
        StallGuard::new(
            stream,
            self.front.limits().write_stall_timeout,
            Arc::clone(self.front.metrics()),
        )
    }

    /// Drives a connection to its end. An `idle` one is asked to end, which leaves answers under way alone; once
    /// `drain` asks, it also has only so much time left.
    async fn drive<C>(
        &self,
        mut connection: Pin<&mut C>,
        idle: impl Future<Output = ()>,
        drain: CancellationToken,
    ) -> Ending
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        tokio::select! {
            biased;
            outcome = connection.as_mut() => return note(outcome),
            () = drain.cancelled() => {}
            () = idle => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    outcome = connection.as_mut() => return note(outcome),
                    () = drain.cancelled() => {}
                }
            }
        }
        connection.as_mut().graceful_shutdown();
        timeout(self.front.limits().drain_timeout, connection)
            .await
            .map_or(Ending::Cut, note)
    }
}

/// Clients that go away are everyday; they are of interest only to somebody who looks for them.
fn note(outcome: hyper::Result<()>) -> Ending {
    if let Err(error) = outcome {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "a connection broke"
        );
    }
    Ending::Closed
}
