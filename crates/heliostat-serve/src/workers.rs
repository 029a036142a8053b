//! The threads that serve connections: one single-threaded runtime each, and a connection stays where it was put.
//!
//! Requests are answered in a few microseconds, most of them in the system's network code. On one runtime with
//! several threads much of that again goes into handing connections from thread to thread; apart, two threads
//! answered a third more pages. Whatever takes long does not run here: waiting for the disk has its own threads, and
//! on-demand work stays on the runtime that the server was bound in.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::connection::Connector;

/// Threads of each runtime that wait for the disk.
const DISK_THREADS_MAX: usize = 64;

/// Every thread, until `finish`. Dropped before, they end at once.
#[derive(Debug)]
pub(crate) struct Workers {
    crew: Vec<Worker>,
    cut: Arc<AtomicUsize>,
    _stop: DropGuard,
}

/// A connection to be served.
pub(crate) struct Job {
    /// The connection, non-blocking.
    pub(crate) stream: std::net::TcpStream,
    /// Whose it is.
    pub(crate) peer: SocketAddr,
    /// Asks it to end after the answers under way.
    pub(crate) drain: CancellationToken,
    /// Makes room for another one when it ends.
    pub(crate) permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Worker {
    /// Never holds more than there are permits.
    jobs: mpsc::UnboundedSender<Job>,
    connections: Arc<AtomicUsize>,
    thread: thread::JoinHandle<()>,
}

impl Workers {
    /// Starts `count` threads, at least one.
    pub(crate) fn start(count: usize, connector: &Connector) -> io::Result<Self> {
        let (stop, cut) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let start = |_| Worker::start(connector.clone(), stop.clone(), Arc::clone(&cut));
        let crew = (0..count.max(1)).map(start).collect::<io::Result<_>>()?;
        Ok(Self {
            crew,
            cut,
            _stop: stop.drop_guard(),
        })
    }

    /// Gives a connection to the thread that has the fewest.
    pub(crate) fn serve(&self, job: Job) -> io::Result<()> {
        let load = |worker: &&Worker| worker.connections.load(Ordering::Relaxed);
        let worker = self
            .crew
            .iter()
            .min_by_key(load)
            .ok_or(io::ErrorKind::NotFound)?;
        worker.connections.fetch_add(1, Ordering::Relaxed);
        worker
            .jobs
            .send(job)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits until every connection has ended; tells how many had to be cut.
    pub(crate) async fn finish(self) -> usize {
        let Self { crew, cut, _stop } = self;
        let joined = tokio::task::spawn_blocking(|| {
            for Worker { jobs, thread, .. } in crew {
                drop(jobs);
                if thread.join().is_err() {
                    tracing::error!("a thread that serves connections panicked");
                }
            }
        });
        if let Err(error) = joined.await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "waiting for the threads failed"
            );
        }
        cut.load(Ordering::Relaxed)
    }
}

impl Worker {
    fn start(
        connector: Connector,
        stop: CancellationToken,
        cut: Arc<AtomicUsize>,
    ) -> io::Result<Self> {
        let (jobs, mut waiting) = mpsc::unbounded_channel::<Job>();
        let connections = Arc::new(AtomicUsize::new(0));
        let open = Arc::clone(&connections);
        // The runtime is made where it is dropped: dropping one on a thread of another is not allowed.
        let (started, outcome) = std::sync::mpsc::channel();
        let work = move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(DISK_THREADS_MAX)
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _nobody_listens = started.send(Err(error));
                    return;
                }
            };
            let _nobody_listens = started.send(Ok(()));
            let serve = async {
                let tracker = TaskTracker::new();
                while let Some(job) = waiting.recv().await {
                    let (connector, open, cut) =
                        (connector.clone(), Arc::clone(&open), Arc::clone(&cut));
                    tracker.spawn(async move {
                        serve(connector, job, &cut).await;
                        open.fetch_sub(1, Ordering::Relaxed);
                    });
                }
                tracker.close();
                tracker.wait().await;
            };
            let _ended_early = runtime.block_on(stop.run_until_cancelled(serve));
        };
        let thread = thread::Builder::new()
            .name("heliostat-serve".to_owned())
            .spawn(work)?;
        outcome.recv().map_err(io::Error::other)??;
        Ok(Self {
            jobs,
            connections,
            thread,
        })
    }
}

async fn serve(connector: Connector, job: Job, cut: &AtomicUsize) {
    let Job {
        stream,
        peer,
        drain,
        permit,
    } = job;
    match TcpStream::from_std(stream) {
        Ok(stream) => {
            if connector.serve(stream, peer, drain).await.is_cut() {
                cut.fetch_add(1, Ordering::Relaxed);
            }
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot serve a connection"
            );
        }
    }
    drop(permit);
}
