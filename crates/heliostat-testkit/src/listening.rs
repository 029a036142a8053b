//! A port on loopback, with a thread for each of its connections, until it is killed as a process is.
//!
//! Owns accepting and cutting. What is said on a connection is the caller's.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Something that listens, until it is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    address: SocketAddr,
    open: Arc<Open>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Open {
    connections: Mutex<Vec<TcpStream>>,
    is_stopping: AtomicBool,
}

impl Listening {
    /// Listens there and has `converse` called with each connection; port 0 picks one.
    #[track_caller]
    pub(crate) fn at<F>(address: SocketAddr, converse: F) -> Self
    where
        F: Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(address).expect("loopback has ports");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let open = Arc::new(Open::default());
        let accepted = Arc::clone(&open);
        let converse = Arc::new(converse);
        let accepting = std::thread::spawn(move || accept(&listener, &accepted, &converse));
        Self {
            address,
            open,
            accepting: Some(accepting),
        }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further connection and cuts those there are.
    pub(crate) fn kill(&mut self) {
        self.open.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _refused_is_fine = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _it_ended = accepting.join();
        }
        for connection in self.open.connections().drain(..) {
            let _gone_is_fine = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Open {
    fn connections(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept<F>(listener: &TcpListener, open: &Open, converse: &Arc<F>)
where
    F: Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
{
    for stream in listener.incoming() {
        if open.is_stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(copy) = stream.try_clone() {
            open.connections().push(copy);
        }
        let converse = Arc::clone(converse);
        // Ends with its connection, which is cut at the end.
        std::thread::spawn(move || {
            let _client_is_gone = stream.set_nodelay(true).and_then(|()| converse(stream));
        });
    }
}
