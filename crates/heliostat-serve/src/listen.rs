//! From a listening socket to requests: accepting, TLS, connection limits and the orderly end.
//!
//! A permit is taken before a connection is accepted, so that at the cap clients wait in the system's backlog; every
//! task and thread is tracked, and `run` returns only when all have ended.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::Connector;
use crate::error::ServeError;
use crate::front::Front;
use crate::options::ServeOptions;
use crate::tls::{Reload, Tls};
use crate::workers::{Job, Workers};

/// Time to wait after a failed `accept`, which mostly means that file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that holds its address but does not answer yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    local_address: SocketAddr,
    tls: Option<Arc<Tls>>,
    workers: Workers,
    front: Front,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every answer under way was finished.
    Finished,
    /// The time was up and connections were cut.
    Cut {
        /// How many.
        connections: usize,
    },
}

impl Bound {
    /// Takes the address and reads the certificate. Must be called within a Tokio runtime.
    pub(crate) fn new(options: &ServeOptions, front: Front) -> Result<Self, ServeError> {
        let tls = options
            .tls
            .clone()
            .map(Tls::load)
            .transpose()?
            .map(Arc::new);
        let address = options.listen;
        let failed = |source| ServeError::Listen { address, source };
        let listener = bind(address, options.limits.backlog_max).map_err(failed)?;
        let local_address = listener.local_addr().map_err(failed)?;
        let connector = Connector::new(front.clone(), tls.clone());
        let workers =
            Workers::start(front.limits().threads, &connector).map_err(ServeError::StartThread)?;
        Ok(Self {
            listener,
            local_address,
            tls,
            workers,
            front,
        })
    }

    /// The address that was taken, with its real port.
    pub const fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Answers until `shutdown` completes, then finishes what is under way within the drain timeout.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Drained {
        let Self {
            listener,
            tls,
            workers,
            front,
            ..
        } = self;
        let background = TaskTracker::new();
        let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
        background.spawn(front.clone().keep(stop.clone()));
        if let Some(tls) = tls {
            background.spawn(watch_certificate(
                tls,
                front.limits().tls_poll_interval,
                stop.clone(),
            ));
        }
        let permits = Arc::new(Semaphore::new(front.limits().connections_max));
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = accept(&listener, &permits) => accepted,
            };
            match accepted {
                Ok((stream, peer, permit)) => {
                    let drain = drain.child_token();
                    let served = stream.into_std().and_then(|stream| {
                        workers.serve(Job {
                            stream,
                            peer,
                            drain,
                            permit,
                        })
                    });
                    if let Err(error) = served {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "cannot hand a connection on"
                        );
                    }
                }
                Err(error) => {
                    front.metrics().accepts_failed.inc();
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot accept a connection"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        front.start_draining();
        drain.cancel();
        let cut = workers.finish().await;
        stop.cancel();
        background.close();
        background.wait().await;
        match cut {
            0 => Drained::Finished,
            connections => Drained::Cut { connections },
        }
    }
}

fn bind(address: SocketAddr, backlog_max: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Without it, a restart has to wait for the connections of the last run to be forgotten by the system.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog_max)
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Small answers must not wait for the client's delayed acknowledgement.
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

async fn watch_certificate(tls: Arc<Tls>, interval: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(interval);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let tls = Arc::clone(&tls);
        match tokio::task::spawn_blocking(move || tls.reload()).await {
            Ok(Reload::Unchanged) => {}
            Ok(Reload::Replaced) => tracing::info!("the new certificate is in force"),
            Ok(Reload::Refused(error)) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the new certificate cannot be used; the old one stays in force"
            ),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "reading the certificate failed"
            ),
        }
    }
}
