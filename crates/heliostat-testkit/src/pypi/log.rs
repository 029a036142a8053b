//! What was asked of the index and what it answered. Owns the counters; tests read them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;

use super::route::{Asked, Kind};

/// Whether each request is kept, or only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogDepth {
    /// Every request, with its headers of interest.
    #[default]
    Every,
    /// Numbers only, for benchmarks.
    CountsOnly,
}

/// One request and its answer.
#[derive(Debug, Clone)]
pub struct Logged {
    /// The method.
    pub method: String,
    /// The decoded path.
    pub path: String,
    /// The query, without `?`.
    pub query: Option<String>,
    /// What it asked for.
    pub kind: Kind,
    /// Whose page or file it is.
    pub project: Option<String>,
    /// The status, 0 where none was sent.
    pub status: u16,
    /// The name of the fault it met.
    pub fault: Option<String>,
    /// The protocol, e.g. `HTTP/1.1`.
    pub protocol: String,
    /// Body bytes handed to the connection.
    pub bytes_sent: u64,
    headers: Vec<(String, String)>,
}

impl Logged {
    /// A request header of interest (see the list in this module), lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

const HEADERS_OF_INTEREST: [&str; 12] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cache-control",
    "cookie",
    "host",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "range",
    "referer",
    "user-agent",
];

#[derive(Debug, Default)]
pub(super) struct RequestLog {
    depth: LogDepth,
    entries: Mutex<Vec<Entry>>,
    counts: [AtomicU64; Kind::ALL.len()],
    bytes_sent: AtomicU64,
    connections: AtomicU64,
    in_flight: AtomicUsize,
    in_flight_max: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    logged: Logged,
    bytes_sent: Arc<AtomicU64>,
}

/// Counts one request from its arrival to the end of its answer.
#[derive(Debug)]
pub(super) struct Meter {
    log: Arc<RequestLog>,
    bytes_sent: Arc<AtomicU64>,
}

impl RequestLog {
    pub(super) fn new(depth: LogDepth) -> Self {
        Self {
            depth,
            ..Self::default()
        }
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has come in.
    pub(super) fn begin(log: &Arc<Self>) -> Meter {
        let now = log.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        log.in_flight_max.fetch_max(now, Ordering::Relaxed);
        Meter {
            log: Arc::clone(log),
            bytes_sent: Arc::default(),
        }
    }

    pub(super) fn entries(&self) -> Vec<Logged> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .iter()
            .map(|entry| Logged {
                bytes_sent: entry.bytes_sent.load(Ordering::Relaxed),
                ..entry.logged.clone()
            })
            .collect()
    }

    pub(super) fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize].load(Ordering::Relaxed)
    }

    pub(super) fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn in_flight_max(&self) -> usize {
        self.in_flight_max.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        for count in &self.counts {
            count.store(0, Ordering::Relaxed);
        }
        self.bytes_sent.store(0, Ordering::Relaxed);
        self.connections.store(0, Ordering::Relaxed);
        self.in_flight_max
            .store(self.in_flight.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Meter {
    /// The answer is decided. `fault` is the fault's name.
    pub(super) fn answered(
        &self,
        request: &http::request::Parts,
        asked: &Asked,
        status: u16,
        fault: Option<String>,
    ) {
        self.log.counts[asked.kind as usize].fetch_add(1, Ordering::Relaxed);
        if self.log.depth == LogDepth::CountsOnly {
            return;
        }
        let logged = Logged {
            method: request.method.to_string(),
            path: asked.path.clone(),
            query: request.uri.query().map(str::to_owned),
            kind: asked.kind,
            project: asked.project.clone(),
            status,
            fault,
            protocol: format!("{:?}", request.version),
            bytes_sent: 0,
            headers: headers_of_interest(&request.headers),
        };
        let entry = Entry {
            logged,
            bytes_sent: Arc::clone(&self.bytes_sent),
        };
        self.log
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry);
    }

    pub(super) fn sent(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
        self.log.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.log.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn headers_of_interest(headers: &HeaderMap) -> Vec<(String, String)> {
    HEADERS_OF_INTEREST
        .iter()
        .filter_map(|name| {
            Some((
                (*name).to_owned(),
                String::from_utf8_lossy(headers.get(*name)?.as_bytes()).into_owned(),
            ))
        })
        .collect()
}
