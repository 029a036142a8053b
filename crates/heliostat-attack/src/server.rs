//! One mirror on loopback: sockets and threads, nothing else. What it says comes from its script, which can be changed
//! while it runs.
//!
//! Speaks HTTP/1.1 by hand, because it must be able to break what a library would keep: lengths, pauses, ends. One
//! request for each connection; connections, bytes and time are bounded.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::answer::{Answer, Ask, Body, Method};
use crate::error::AttackError;
use crate::script::Script;

/// The longest request head read.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Header fields in a request at the most.
const FIELDS_MAX: usize = 64;
/// Connections at a time; more are closed unanswered.
const CONNECTIONS_MAX: usize = 128;
/// How long one connection may live, whatever its script wants.
const CONNECTION_LIFE_MAX: Duration = Duration::from_mins(2);
/// How often something that waits looks whether it is to stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A mirror that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Mirror {
    address: SocketAddr,
    shared: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    script: Mutex<Script>,
    stopping: AtomicBool,
    connections: AtomicUsize,
    sent_bytes: AtomicU64,
}

impl Mirror {
    /// Starts a mirror on a free port of 127.0.0.1.
    pub(crate) fn start(script: Script) -> Result<Self, AttackError> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(AttackError::StartMirror)?;
        let address = listener.local_addr().map_err(AttackError::StartMirror)?;
        let shared = Arc::new(State {
            script: Mutex::new(script),
            stopping: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            sent_bytes: AtomicU64::new(0),
        });
        let state = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || accept(&listener, &state));
        Ok(Self {
            address,
            shared,
            accepting: Some(accepting),
        })
    }

    /// Its root, with a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// `127.0.0.1:PORT`, as messages name it.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Behaves differently from the next request on.
    pub(crate) fn play(&self, script: Script) {
        *self
            .shared
            .script
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = script;
    }

    /// Bytes of bodies sent so far.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.shared.sent_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        // Wakes the accepting thread, which waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _panicked_or_not = accepting.join();
        }
    }
}

/// Accepts until told to stop, then waits for its connections, which stop at the same word.
fn accept(listener: &TcpListener, state: &Arc<State>) {
    let mut answering: Vec<JoinHandle<()>> = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if state.stopping.load(Ordering::Relaxed) {
            break;
        }
        answering.retain(|thread| !thread.is_finished());
        if state.connections.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
            continue;
        }
        state.connections.fetch_add(1, Ordering::Relaxed);
        let state = Arc::clone(state);
        answering.push(std::thread::spawn(move || {
            // Whoever is attacked may well hang up.
            let _hung_up = converse(stream, &state);
            state.connections.fetch_sub(1, Ordering::Relaxed);
        }));
    }
    for thread in answering {
        let _panicked_or_not = thread.join();
    }
}

fn converse(mut stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let Some(ask) = read_ask(&mut stream)? else {
        return stream.write_all(
            b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    let answer = {
        let mut script = state.script.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = script.answer(&ask);
        if let Some(next) = script.after(&ask) {
            *script = next;
        }
        answer
    };
    let deadline = Instant::now() + CONNECTION_LIFE_MAX;
    Sending {
        stream: &mut stream,
        state,
        deadline,
    }
    .send(&answer, &ask)
}

/// The head of a request; `None` for what a mirror does not know.
fn read_ask(stream: &mut TcpStream) -> io::Result<Option<Ask>> {
    let mut head = Vec::new();
    let mut piece = [0; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece)?;
        if read == 0 || head.len() > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&piece[..read]);
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    request
        .parse(&head)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        _ => return Ok(None),
    };
    let target = request.path.unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let range_start = request
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("range"))
        .and_then(|field| std::str::from_utf8(field.value).ok())
        .and_then(|value| value.strip_prefix("bytes=")?.split_once('-'))
        .and_then(|(start, _)| start.parse().ok());
    Ok(Some(Ask {
        method,
        path: path.trim_start_matches('/').to_owned(),
        range_start,
    }))
}

/// One answer on its way.
struct Sending<'c> {
    stream: &'c mut TcpStream,
    state: &'c State,
    deadline: Instant,
}

impl Sending<'_> {
    fn send(&mut self, answer: &Answer, ask: &Ask) -> io::Result<()> {
        if matches!(answer.body, Body::Reset) {
            return Ok(());
        }
        let mut head = format!("HTTP/1.1 {} .\r\nConnection: close\r\n", answer.status);
        for (name, value) in &answer.fields {
            head.push_str(&[name, ": ", value, "\r\n"].concat());
        }
        if let Some(length) = promised_length(&answer.body) {
            head.push_str(&["Content-Length: ", &length.to_string(), "\r\n"].concat());
        }
        head.push_str("\r\n");
        self.stream.write_all(head.as_bytes())?;
        if ask.method == Method::Head {
            return Ok(());
        }
        match &answer.body {
            Body::Whole(bytes) => self.put(bytes),
            Body::Endless {
                chunk,
                size_bytes_max,
            } => self.endless(chunk, *size_bytes_max),
            Body::Drip { bytes, pause } => self.drip(bytes, *pause),
            Body::Stall { bytes, sent_bytes } => {
                self.put(&bytes[..bytes.len().min(*sent_bytes)])?;
                self.wait(CONNECTION_LIFE_MAX);
                Ok(())
            }
            Body::Cut { bytes, sent_bytes } => self.put(&bytes[..bytes.len().min(*sent_bytes)]),
            Body::Reset => Ok(()),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        let sent = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.state.sent_bytes.fetch_add(sent, Ordering::Relaxed);
        Ok(())
    }

    fn endless(&mut self, chunk: &[u8], size_bytes_max: u64) -> io::Result<()> {
        let step = u64::try_from(chunk.len()).unwrap_or(u64::MAX).max(1);
        let mut sent = 0;
        while sent < size_bytes_max && !self.is_over() {
            self.put(chunk)?;
            sent += step;
        }
        Ok(())
    }

    fn drip(&mut self, bytes: &[u8], pause: Duration) -> io::Result<()> {
        for byte in bytes {
            if self.is_over() {
                break;
            }
            self.put(std::slice::from_ref(byte))?;
            self.wait(pause);
        }
        Ok(())
    }

    fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.is_over() {
            std::thread::sleep(LOOK_INTERVAL.min(pause));
        }
    }

    fn is_over(&self) -> bool {
        self.state.stopping.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }
}

/// The length that the head promises; none for what has no end.
fn promised_length(body: &Body) -> Option<usize> {
    match body {
        Body::Whole(bytes)
        | Body::Drip { bytes, .. }
        | Body::Stall { bytes, .. }
        | Body::Cut { bytes, .. } => Some(bytes.len()),
        Body::Endless { .. } | Body::Reset => None,
    }
}
