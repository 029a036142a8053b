//! How the server is told to behave, and every number that bounds what a client may do to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What the program hands over when it starts a server.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where to listen. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the certificate is, for TLS.
    pub tls: Option<TlsFiles>,
    /// The program's version, for the page for people and `build_info`.
    pub version: String,
    /// Every bound.
    pub limits: Limits,
}

/// A certificate chain and its key as PEM files. Both are watched and read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then its chain.
    pub certificate: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// Every number that bounds what clients may do to us, and the memory spent on them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Threads that serve connections.
    pub threads: usize,
    /// Connections served at once; further ones wait in the system's backlog.
    pub connections_max: usize,
    /// The system's backlog of connections not yet accepted.
    pub backlog_max: u32,
    /// The bytes of one request's head; more is answered 431. hyper needs at least 8 KiB.
    pub header_bytes_max: usize,
    /// The header fields of one request; more is answered 431.
    pub header_count_max: usize,
    /// Streams at once on one HTTP/2 connection. uv uses 50.
    pub streams_max: u32,
    /// The time a client has to send a request's head, on a fresh connection and between requests: so it is also
    /// the idle time after which a kept connection is closed.
    pub header_read_timeout: Duration,
    /// The time a client may take none of the bytes we have for it before it is cut.
    pub write_stall_timeout: Duration,
    /// The time a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// The time answers under way have to finish once shutdown is asked for.
    pub drain_timeout: Duration,
    /// Memory for pages, in bytes, with their compressed forms.
    pub page_cache_bytes: u64,
    /// Memory for small files and `.metadata`, in bytes.
    pub file_cache_bytes: u64,
    /// How long a small file in memory is served without a look at the one on disk. A file never changes under its
    /// address; one that was removed is gone that much later.
    pub file_settled_for: Duration,
    /// How long clients may use a page without asking again, in seconds.
    pub page_max_age_seconds: u32,
    /// Rows of download statistics for one day; further ones are counted as dropped.
    pub download_rows_max: usize,
    /// How often download statistics are written.
    pub download_flush_interval: Duration,
    /// How often the certificate files are looked at.
    pub tls_poll_interval: Duration,
}

impl Default for Limits {
    /// What a public mirror on a small machine wants.
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            connections_max: 4096,
            backlog_max: 1024,
            header_bytes_max: 16 << 10,
            header_count_max: 64,
            streams_max: 128,
            header_read_timeout: Duration::from_secs(30),
            write_stall_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            page_cache_bytes: 64 << 20,
            file_cache_bytes: 32 << 20,
            file_settled_for: Duration::from_secs(1),
            page_max_age_seconds: 60,
            download_rows_max: 100_000,
            download_flush_interval: Duration::from_mins(1),
            tls_poll_interval: Duration::from_secs(5),
        }
    }
}
