//! HTTP out: the only crate that speaks to upstreams. Owns politeness, retries, limits, redirects and three-way
//! answers. Does not store, verify digests or decide what is wanted.

use bytes::Bytes;
use heliostat_pypi::page::{PageRead, Rejected};
use heliostat_pypi::{ProjectName, Serial};
use url::Url;

/// One upstream index, with its connection pool. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Upstream {}

/// How to talk to an upstream.
#[derive(Debug, Clone)]
pub struct UpstreamOptions {
    /// The Simple API root, e.g. `http://127.0.0.1:9000/simple/`. Credentials in it are used and never shown.
    pub root: Url,
    /// Where files may also be had: bases under which `packages/aa/bb/<60 hex>/<file>` is tried, in order, first.
    pub file_mirrors: Vec<Url>,
    /// The whole `User-Agent`.
    pub user_agent: String,
    /// Further trusted certificates, PEM.
    pub ca_certificates_pem: Vec<Vec<u8>>,
    /// A proxy for everything; `None` follows the environment's usual variables.
    pub proxy: Option<Url>,
    /// The text of a netrc file.
    pub netrc: Option<String>,
    /// Everything that bounds what comes from outside.
    pub limits: Limits,
}

/// Every number that bounds what an upstream may do to us.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest root list, in bytes after decompression.
    pub list_bytes_max: u64,
    /// The largest project page, in bytes after decompression.
    pub page_bytes_max: u64,
    /// The largest file, in bytes.
    pub file_bytes_max: u64,
    /// The largest `.metadata` or provenance document, in bytes.
    pub document_bytes_max: u64,
    /// Redirects followed for one request.
    pub redirects_max: u32,
    /// Requests under way at once.
    pub requests_max: usize,
    /// Tries of one request, the first included.
    pub tries_max: u32,
    /// Time to connect.
    pub connect_timeout: std::time::Duration,
    /// Time without a byte.
    pub read_timeout: std::time::Duration,
    /// The longest `Retry-After` obeyed inside a run; a longer one ends the request as unavailable.
    pub retry_after_max: std::time::Duration,
    /// The first back-off; doubles, with jitter.
    pub backoff_base: std::time::Duration,
}

/// What makes a request conditional.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// `ETag` as sent.
    pub etag: Option<String>,
    /// `Last-Modified` as sent.
    pub last_modified: Option<String>,
}

/// A three-way answer.
#[derive(Debug, Clone)]
pub enum Answer<T> {
    /// 304.
    Unchanged,
    /// 200, read and checked.
    Fresh(T),
    /// 404 or 410.
    Gone,
}

/// Whether caches on the way may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caches {
    /// An ordinary request.
    Allow,
    /// `Cache-Control: no-cache`, after a stale answer.
    Bypass,
}

/// The root list.
#[derive(Debug, Clone)]
pub struct FetchedList {
    /// The list's serial.
    pub serial: Option<Serial>,
    /// Every project once, sorted, with its serial where given.
    pub projects: Vec<(ProjectName, Option<Serial>)>,
    /// What was left out.
    pub rejected: Vec<Rejected>,
    /// For the next request.
    pub validators: Validators,
}

/// A project page.
#[derive(Debug, Clone)]
pub struct FetchedPage {
    /// The page (its serial is the larger of the document's and the `X-PyPI-Last-Serial` header's) and what was left out.
    pub read: PageRead,
    /// For the next request.
    pub validators: Validators,
}

/// What a download tells while it runs.
#[derive(Debug)]
pub enum Download {
    /// The source answered; `total_bytes` is the whole file's length where known. Comes once for each try that is
    /// answered; `resumed_at` is 0 when the bytes start over, and everything given before must then be discarded.
    Started {
        /// The whole file's length, where the source tells it.
        total_bytes: Option<u64>,
        /// The offset of the next chunk.
        resumed_at: u64,
    },
    /// The next bytes.
    Chunk(Bytes),
}
