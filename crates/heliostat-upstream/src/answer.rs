//! What an upstream gives: three-way answers, pages, lists and downloads. Values only.

use std::fmt;

use bytes::Bytes;
use heliostat_pypi::page::{PageRead, Rejected};
use heliostat_pypi::{ProjectName, Serial};
use url::Url;

use crate::{Caches, Validators, redacted};

/// A three-way answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// 304.
    Unchanged,
    /// 200, read and checked.
    Fresh(T),
    /// 404 or 410.
    Gone,
}

/// The root list.
#[derive(Debug, Clone)]
pub struct FetchedList {
    /// The list's serial: the larger of the document's and the `X-PyPI-Last-Serial` header's.
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

/// A file to download. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct FileRequest {
    /// Where the file may be had, the best first ([`Upstream::file_sources`](crate::Upstream::file_sources) gives
    /// them). A caller who found the bytes of one source wrong leaves it out and asks again.
    pub sources: Vec<Url>,
    /// The length that the page gives.
    pub expected_size_bytes: Option<u64>,
    /// A limit below [`Limits::file_bytes_max`](crate::Limits::file_bytes_max).
    pub limit_bytes: Option<u64>,
    /// Whether caches on the way may answer.
    pub caches: Caches,
}

/// What a download tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Download {
    /// The source answered; `total_bytes` is the whole file's length where known. Comes once for each try that is
    /// answered; `resumed_at` is 0 when the bytes start over, and everything given before must then be discarded.
    Started {
        /// The whole file's length, where the source or the page tells it.
        total_bytes: Option<u64>,
        /// The offset of the next chunk.
        resumed_at: u64,
    },
    /// The next bytes.
    Chunk(Bytes),
}

/// A finished download. Nothing has been hashed: whether these are the right bytes is for the caller to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadDone {
    /// Which of [`FileRequest::sources`] gave the bytes.
    pub source_index: usize,
    /// Its address, redacted.
    pub source_url: String,
    /// The file's length.
    pub size_bytes: u64,
}

impl fmt::Debug for FileRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<String> = self.sources.iter().map(redacted).collect();
        f.debug_struct("FileRequest")
            .field("sources", &sources)
            .field("expected_size_bytes", &self.expected_size_bytes)
            .field("limit_bytes", &self.limit_bytes)
            .field("caches", &self.caches)
            .finish()
    }
}
