//! What a caller may set: the upstream's address, trust, credentials and every limit. Holds no behaviour.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::redacted;

/// How to talk to an upstream. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct UpstreamOptions {
    /// The Simple API root, e.g. `http://127.0.0.1:9000/simple/`; the last slash may be missing. Credentials in it
    /// are used and never shown.
    pub root: Url,
    /// Where files may also be had: bases under which `packages/aa/bb/<60 hex>/<file>` is tried, in order, first.
    pub file_mirrors: Vec<Url>,
    /// The whole `User-Agent`.
    pub user_agent: String,
    /// Certificates trusted beside the platform's own, each a PEM text of one or more.
    pub ca_certificates_pem: Vec<Vec<u8>>,
    /// A proxy for everything (`http`, `https`, `socks4`, `socks4a`, `socks5`, `socks5h`). `None` follows the
    /// environment's usual variables, `NO_PROXY` included, except for a root on a loopback address, which no proxy
    /// could reach.
    pub proxy: Option<Url>,
    /// The text of a netrc file; its entry for the root's host, else its default, is used where `root` has no
    /// credentials, and its entries for the hosts of `file_mirrors` likewise.
    pub netrc: Option<String>,
    /// Everything that bounds what comes from outside.
    pub limits: Limits,
}

/// Every number that bounds what an upstream may do to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest root list, in bytes as sent and again after decompression. 256 MB; PyPI's is near 60 MB.
    pub list_bytes_max: u64,
    /// The largest project page, in bytes as sent and again after decompression. 64 MB; PyPI's largest are near 20 MB.
    pub page_bytes_max: u64,
    /// The largest file, in bytes. 64 GB; PyPI grants single projects limits of several GB.
    pub file_bytes_max: u64,
    /// The largest `.metadata` or provenance document, in bytes. 32 MB.
    pub document_bytes_max: u64,
    /// Redirects followed for one request. 5.
    pub redirects_max: u32,
    /// Requests under way at once, to all hosts together. 16.
    pub requests_max: usize,
    /// Connections to one host that are kept while nothing is asked. 16. Each keeps up to 400 kB of room to read into.
    pub idle_max: usize,
    /// Tries of one request, the first included. 5.
    pub tries_max: u32,
    /// A broken download that brought at least this many new bytes does not use up a try, so that a file of many
    /// gigabytes gets through a line that breaks every few minutes. 64 MB.
    pub progress_bytes: u64,
    /// Time to connect: name, TCP and TLS. 10 s.
    pub connect_timeout: Duration,
    /// Time without a byte. 30 s.
    pub read_timeout: Duration,
    /// A body that comes in more slowly than this over a whole `speed_window` counts as broken off. 1,000 bytes a
    /// second; 0 switches the watch off.
    pub speed_bytes_per_second_min: u64,
    /// The time over which the speed is measured; time that the caller takes to store bytes is left out. 60 s.
    pub speed_window: Duration,
    /// The longest `Retry-After` obeyed inside a run; a longer one ends the request as unavailable. 120 s.
    pub retry_after_max: Duration,
    /// The first back-off; doubles, with full jitter. 0.25 s.
    pub backoff_base: Duration,
    /// The longest back-off. 30 s.
    pub backoff_max: Duration,
}

/// What makes a request conditional.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// `ETag` as sent.
    pub etag: Option<String>,
    /// `Last-Modified` as sent.
    pub last_modified: Option<String>,
}

/// Whether caches on the way may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caches {
    /// An ordinary request.
    Allow,
    /// `Cache-Control: no-cache`, after a stale answer.
    Bypass,
}

impl UpstreamOptions {
    /// Options for an upstream at `root`, with no mirrors, credentials, proxy or certificates of its own and the
    /// default limits.
    pub fn new(root: Url, user_agent: impl Into<String>) -> Self {
        Self {
            root,
            file_mirrors: Vec::new(),
            user_agent: user_agent.into(),
            ca_certificates_pem: Vec::new(),
            proxy: None,
            netrc: None,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const MEGABYTE: u64 = 1_000_000;
        Self {
            list_bytes_max: 256 * MEGABYTE,
            page_bytes_max: 64 * MEGABYTE,
            file_bytes_max: 64_000 * MEGABYTE,
            document_bytes_max: 32 * MEGABYTE,
            redirects_max: 5,
            requests_max: 16,
            idle_max: 16,
            tries_max: 5,
            progress_bytes: 64 * MEGABYTE,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            speed_bytes_per_second_min: 1_000,
            speed_window: Duration::from_mins(1),
            retry_after_max: Duration::from_mins(2),
            backoff_base: Duration::from_millis(250),
            backoff_max: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for UpstreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mirrors: Vec<String> = self.file_mirrors.iter().map(redacted).collect();
        f.debug_struct("UpstreamOptions")
            .field("root", &redacted(&self.root))
            .field("file_mirrors", &mirrors)
            .field("user_agent", &self.user_agent)
            .field("ca_certificates_pem", &self.ca_certificates_pem.len())
            .field("proxy", &self.proxy.as_ref().map(redacted))
            .field("netrc", &self.netrc.as_ref().map(|_| "***"))
            .field("limits", &self.limits)
            .finish()
    }
}
