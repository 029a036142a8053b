//! The thread that accepts connections and answers. One thread, one runtime, nothing outlives it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::answer::answer;
use super::body::ReplyBody;
use super::fault::Fault;
use super::log::RequestLog;
use super::reply::bypasses_caches;
use super::route::classify;
use super::spoil::{depart, replace};
use super::wire::Wire;

/// Connections served at once; more wait in the backlog.
const CONNECTIONS_MAX: usize = 4096;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A running server. Dropping it stops it and closes every connection.
#[derive(Debug)]
pub(super) struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts serving on sockets that are bound; they listen when this returns.
    pub(super) fn start(shared: Arc<Shared>, sockets: Vec<TcpSocket>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let listeners = {
            let _entered = runtime.enter();
            let listen =
                |socket: TcpSocket| socket.listen(BACKLOG).expect("a bound socket can listen");
            sockets.into_iter().map(listen).collect()
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("fake-pypi".to_owned())
            .spawn(move || run(&runtime, &shared, listeners, stopped))
            .expect("a thread can be started");
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn run(
    runtime: &Runtime,
    shared: &Arc<Shared>,
    listeners: Vec<TcpListener>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(accept(Arc::clone(shared), listener));
        }
        // Either word or the loss of the sender ends it; dropping the sets ends every connection.
        let _stopped = stopped.await;
    });
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                // An accept that fails is a client that went away, or too many open files: the next one may do.
                if let Ok((stream, _peer)) = accepted {
                    connections.spawn(connection(Arc::clone(&shared), stream));
                }
            }
            Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// What a request may do to its connection.
#[derive(Debug, Default)]
struct Fuse {
    /// Raised by a body or a service that wants the connection reset.
    blown: Arc<Notify>,
    reset: Arc<AtomicBool>,
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    shared.log.connected();
    // Without it small answers wait for acknowledgements; where it cannot be set, they do.
    let _result: std::io::Result<()> = stream.set_nodelay(true);
    let fuse = Fuse::default();
    let wire = Wire::new(stream, Arc::clone(&fuse.reset));
    let blown = Arc::clone(&fuse.blown);
    let reset = Arc::clone(&fuse.reset);
    let serving = async {
        match shared.tls.clone() {
            None => speak(Arc::clone(&shared), wire, fuse).await,
            Some(tls) => {
                // A handshake that fails is a client that does not trust us: its business.
                if let Ok(stream) = TlsAcceptor::from(tls).accept(wire).await {
                    speak(Arc::clone(&shared), stream, fuse).await;
                }
            }
        }
    };
    // The flag must be up before the wire is dropped, which is before any arm of the select runs.
    let resetting = async {
        blown.notified().await;
        reset.store(true, Ordering::Relaxed);
    };
    tokio::select! {
        () = serving => {}
        () = resetting => {}
    }
}

async fn speak(
    shared: Arc<Shared>,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    fuse: Fuse,
) {
    let blown = fuse.blown;
    let service =
        service_fn(move |request| serve(Arc::clone(&shared), request, Arc::clone(&blown)));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    // Broken connections are what faults and impatient clients make; the log has the requests.
    let _result = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    blown: Arc<Notify>,
) -> Result<Response<ReplyBody>, Infallible> {
    let meter = RequestLog::begin(&shared.log);
    let (request, _body) = request.into_parts();
    let asked = classify(&shared.options, request.uri.path());
    let (reply, fault) = {
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = state.judge(&asked, bypasses_caches(&request.headers));
        (
            answer(&shared, &mut state, &request, &asked, fault.as_ref()),
            fault,
        )
    };
    let name = fault.as_ref().map(|fault| format!("{fault:?}"));
    if matches!(fault, Some(Fault::Hang | Fault::Reset)) {
        meter.answered(&request, &asked, 0, name);
        if fault == Some(Fault::Reset) {
            blown.notify_one();
        }
        return std::future::pending().await;
    }
    let path_and_query = request
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let reply = match &fault {
        Some(fault) => replace(reply, fault, path_and_query),
        None => reply,
    };
    meter.answered(&request, &asked, reply.status.as_u16(), name);
    Ok(depart(reply, fault.as_ref(), &blown).respond(&request.method, meter))
}
