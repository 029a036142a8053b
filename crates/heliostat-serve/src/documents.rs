//! Documents of the tree in memory: pages and lists with their validators and compressed forms, and small files.
//!
//! A document is keyed by what it is and by the state of its file, so one `stat` for each request is all it takes to
//! see what another process committed, and nothing ever has to be invalidated: a state that is no longer asked for
//! is the first to be evicted. A file never changes under its address, it can only go; so a small one in memory is
//! looked at now and then and not for each request, which is an eighth of what such a request costs. Compressing happens once for each state and coding, whoever asks first; requests for
//! the same document meanwhile wait for that one.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use heliostat_pypi::page::Format;
use heliostat_pypi::{Serial, Sha256};
use heliostat_store::{OpenFile, Stamp, StoreError};
use http::HeaderValue;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::encoding::Encoding;
use crate::metrics::Metrics;
use crate::options::Limits;
use crate::tree::{Item, Tree, modified_at};

/// gzip 9 is larger and slower than 6 on real pages; zstd 3 is where more time stops buying bytes.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// Below this a compressed form does not repay its header.
const COMPRESS_BYTES_MIN: usize = 512;

/// Files up to this size are kept in memory.
pub(crate) const SMALL_FILE_BYTES_MAX: u64 = 64 << 10;

/// What an entry weighs besides its content, roughly.
const ENTRY_BYTES: usize = 512;

/// One state of one document, in one coding.
pub(crate) struct Document {
    /// The strong entity tag, quoted.
    pub(crate) etag: HeaderValue,
    /// When the document was written.
    pub(crate) last_modified: Option<SystemTime>,
    /// The same as a header.
    pub(crate) last_modified_header: Option<HeaderValue>,
    /// The coding it really has.
    pub(crate) encoding: Encoding,
    /// The serial it claims.
    pub(crate) serial: Option<Serial>,
    /// Its bytes.
    pub(crate) content: Content,
}

/// The bytes of a document.
pub(crate) enum Content {
    /// In memory.
    Held(Bytes),
    /// Too large to keep: on disk, as it is, in this state.
    OnDisk(Stamp),
}

/// Why a document cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    /// The store could not open it.
    #[error("cannot open a document")]
    Open(#[source] StoreError),
    /// It cannot be read or compressed.
    #[error("cannot read a document")]
    Read(#[source] io::Error),
    /// The thread that read it ended early, which only happens when the process ends.
    #[error("reading a document was abandoned")]
    Abandoned,
}

/// A small file in memory.
pub(crate) struct SmallFile {
    /// The state of the file on disk that the bytes are of.
    pub(crate) stamp: Stamp,
    /// All of it.
    pub(crate) bytes: Bytes,
    kept_since: Instant,
    /// When the file on disk was last seen in that state, in milliseconds since `kept_since`.
    seen_after_ms: AtomicU64,
}

/// Where a file is.
pub(crate) enum SmallFileState {
    /// In memory, all of it.
    Held(Arc<SmallFile>),
    /// On disk; it may be a large one.
    OnDisk,
    /// Nowhere.
    Gone,
}

/// The two caches, bounded by bytes.
pub(crate) struct Documents {
    pages: Cache<(Item, Stamp, Encoding), Arc<Document>>,
    files: Cache<Item, Arc<SmallFile>>,
    /// The largest content that is kept: a quarter of the budget.
    held_bytes_max: usize,
    file_settled_for: Duration,
    metrics: Arc<Metrics>,
}

impl Documents {
    /// Empty caches.
    pub(crate) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let pages = Cache::builder()
            .max_capacity(limits.page_cache_bytes)
            .weigher(|_key, document: &Arc<Document>| weight(document.held_bytes()))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        // Files are many times the memory there is, so what is asked for often is kept, not what was asked for last:
        // going through a tree once must not empty the cache.
        let files = Cache::builder()
            .max_capacity(limits.file_cache_bytes)
            .weigher(|_key, file: &Arc<SmallFile>| weight(file.bytes.len()))
            .build();
        let held_bytes_max = usize::try_from(limits.page_cache_bytes / 4).unwrap_or(usize::MAX);
        Self {
            pages,
            files,
            held_bytes_max,
            file_settled_for: limits.file_settled_for,
            metrics,
        }
    }

    /// A document in its present state; `None` where the tree has none.
    pub(crate) async fn document(
        self: &Arc<Self>,
        tree: &Tree,
        item: Item,
        encoding: Encoding,
    ) -> Result<Option<Arc<Document>>, DocumentError> {
        // One stat of a name that is asked for again and again: answered from the system's memory, in less time
        // than it takes to ask another thread.
        let Some(stamp) = tree.stamp(&item).map_err(DocumentError::Open)? else {
            return Ok(None);
        };
        let key = (item, stamp, encoding);
        if let Some(document) = self.pages.get(&key) {
            self.metrics.cache_hits.inc();
            return Ok(Some(document));
        }
        self.metrics.cache_misses.inc();
        let (this, tree) = (Arc::clone(self), tree.clone());
        let read = move || this.read(&tree, key);
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| DocumentError::Abandoned)?
    }

    /// A small file that is in memory in its present state; `look` tells that state, and is only asked now and then.
    pub(crate) fn small_file<E>(
        &self,
        item: &Item,
        look: impl FnOnce() -> Result<Option<Stamp>, E>,
    ) -> Result<SmallFileState, E> {
        let now = Instant::now();
        let kept = self.files.get(item);
        if let Some(file) = &kept
            && file.was_seen_within(self.file_settled_for, now)
        {
            self.metrics.cache_hits.inc();
            return Ok(SmallFileState::Held(Arc::clone(file)));
        }
        let Some(stamp) = look()? else {
            return Ok(SmallFileState::Gone);
        };
        match kept {
            Some(file) if file.stamp == stamp => {
                file.seen(now);
                self.metrics.cache_hits.inc();
                Ok(SmallFileState::Held(file))
            }
            _ => {
                if stamp.len_bytes <= SMALL_FILE_BYTES_MAX {
                    self.metrics.cache_misses.inc();
                }
                Ok(SmallFileState::OnDisk)
            }
        }
    }

    /// Keeps a small file that was just read.
    pub(crate) fn keep_small_file(&self, item: Item, stamp: Stamp, bytes: Bytes) {
        let file = SmallFile {
            stamp,
            bytes,
            kept_since: Instant::now(),
            seen_after_ms: AtomicU64::new(0),
        };
        self.files.insert(item, Arc::new(file));
    }

    fn read(
        &self,
        tree: &Tree,
        key: (Item, Stamp, Encoding),
    ) -> Result<Option<Arc<Document>>, DocumentError> {
        let (item, _, encoding) = key.clone();
        let outcome = self.pages.try_get_with(key, || {
            let opened = tree
                .open(&item)
                .map_err(|error| Some(DocumentError::Open(error)))?
                .ok_or(None)?;
            let document = Document::read(opened, &item, encoding, self.held_bytes_max);
            document
                .map(Arc::new)
                .map_err(|error| Some(DocumentError::Read(error)))
        });
        match outcome {
            Ok(document) => Ok(Some(document)),
            Err(error) => match Arc::try_unwrap(error) {
                Ok(Some(error)) => Err(error),
                Ok(None) => Ok(None),
                // Somebody else read it, failed, and reports the cause.
                Err(shared) if shared.is_none() => Ok(None),
                Err(_shared) => Err(DocumentError::Abandoned),
            },
        }
    }
}

impl SmallFile {
    fn was_seen_within(&self, span: Duration, now: Instant) -> bool {
        let seen_after = Duration::from_millis(self.seen_after_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(self.kept_since) < seen_after + span
    }

    fn seen(&self, now: Instant) {
        let after = now.saturating_duration_since(self.kept_since).as_millis();
        self.seen_after_ms
            .store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Document {
    /// A document that is on its way into the tree: as it is, and without a date, since the tree will have its own.
    pub(crate) fn passing(body: Bytes, serial: Option<Serial>) -> Self {
        Self {
            etag: entity_tag(&body, Encoding::Identity),
            last_modified: None,
            last_modified_header: None,
            encoding: Encoding::Identity,
            serial,
            content: Content::Held(body),
        }
    }

    fn read(
        opened: OpenFile,
        item: &Item,
        encoding: Encoding,
        held_bytes_max: usize,
    ) -> io::Result<Self> {
        let OpenFile { mut file, stamp } = opened;
        let mut identity = Vec::with_capacity(usize::try_from(stamp.len_bytes).unwrap_or(0) + 1);
        file.read_to_end(&mut identity)?;
        let serial = match item {
            Item::List(format) | Item::Page(_, format) => serial_of(*format, &identity),
            Item::File(..) | Item::Public(_) => None,
        };
        let compressed = match encoding {
            Encoding::Gzip if COMPRESS_BYTES_MIN <= identity.len() => Some(gzip(&identity)?),
            Encoding::Zstd if COMPRESS_BYTES_MIN <= identity.len() => {
                Some(zstd::bulk::compress(&identity, ZSTD_LEVEL)?)
            }
            _ => None,
        };
        let compressed = compressed
            .filter(|bytes| bytes.len() < identity.len() && bytes.len() <= held_bytes_max);
        let encoding = if compressed.is_some() {
            encoding
        } else {
            Encoding::Identity
        };
        let etag = entity_tag(&identity, encoding);
        let content = match compressed {
            Some(bytes) => Content::Held(bytes.into()),
            None if identity.len() <= held_bytes_max => Content::Held(identity.into()),
            None => Content::OnDisk(stamp),
        };
        let last_modified = Some(modified_at(&stamp));
        let last_modified_header = last_modified.map(date_header);
        Ok(Self {
            etag,
            last_modified,
            last_modified_header,
            encoding,
            serial,
            content,
        })
    }

    fn held_bytes(&self) -> usize {
        match &self.content {
            Content::Held(bytes) => bytes.len(),
            Content::OnDisk(_) => 0,
        }
    }
}

/// The first half of the digest of the uncoded bytes, and the coding: equal on every node that holds these bytes.
fn entity_tag(identity: &[u8], encoding: Encoding) -> HeaderValue {
    let tag = format!(
        "\"{}{}\"",
        &Sha256::of(identity).to_hex()[..32],
        encoding.etag_suffix()
    );
    HeaderValue::try_from(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// A point in time as a header.
pub(crate) fn date_header(time: SystemTime) -> HeaderValue {
    HeaderValue::try_from(httpdate::fmt_http_date(time))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The serial that a rendered page claims, from the place where we write it: at the start of JSON (`"_last-serial"`
/// is the first key of `meta`), in the last comment of HTML.
fn serial_of(format: Format, body: &[u8]) -> Option<Serial> {
    let digits = match format {
        Format::Json => {
            let start = &body[..body.len().min(64)];
            let key = b"\"_last-serial\":";
            let at = start.windows(key.len()).position(|window| window == key)?;
            &body[at + key.len()..]
        }
        Format::Html => {
            let end = &body[body.len().saturating_sub(64)..];
            let key = b"<!--SERIAL ";
            let at = end.windows(key.len()).rposition(|window| window == key)?;
            &end[at + key.len()..]
        }
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    std::str::from_utf8(&digits[..count])
        .ok()?
        .parse()
        .ok()
        .map(Serial)
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(
        Vec::with_capacity(bytes.len() / 4),
        Compression::new(GZIP_LEVEL),
    );
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn weight(content_bytes: usize) -> u32 {
    u32::try_from(content_bytes + ENTRY_BYTES).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_small_file_is_looked_at_now_and_then() {
        // So long that no test machine is too slow for it.
        let limits = Limits {
            file_settled_for: Duration::from_mins(10),
            ..Limits::default()
        };
        let documents = Documents::new(&limits, Arc::new(Metrics::new("0")));
        let item = Item::Public("a".parse().unwrap());
        let stamp = |inode| Stamp {
            inode,
            len_bytes: 1,
            modified_seconds: 0,
            modified_nanoseconds: 0,
        };
        let looks = Cell::new(0);
        let ask = |found: Option<Stamp>| {
            let look = || -> Result<_, ()> {
                looks.set(looks.get() + 1);
                Ok(found)
            };
            documents.small_file(&item, look).unwrap()
        };
        assert!(matches!(ask(Some(stamp(1))), SmallFileState::OnDisk));
        documents.keep_small_file(item.clone(), stamp(1), Bytes::from_static(b"x"));
        assert!(matches!(ask(None), SmallFileState::Held(_)));
        assert_eq!(looks.get(), 1);
        let kept = documents.files.get(&item).unwrap();
        let span = limits.file_settled_for;
        let later = kept.kept_since + span;
        assert!(!kept.was_seen_within(span, later));
        kept.seen(later);
        assert!(kept.was_seen_within(span, later + span / 2));
        assert!(!kept.was_seen_within(span, later + span));
        let limits = Limits {
            file_settled_for: Duration::ZERO,
            ..limits
        };
        let documents = Documents::new(&limits, Arc::new(Metrics::new("0")));
        documents.keep_small_file(item.clone(), stamp(1), Bytes::from_static(b"x"));
        let ask = |found| documents.small_file(&item, || Ok::<_, ()>(found)).unwrap();
        assert!(matches!(ask(None), SmallFileState::Gone));
        assert!(matches!(ask(Some(stamp(2))), SmallFileState::OnDisk));
        assert!(matches!(ask(Some(stamp(1))), SmallFileState::Held(_)));
    }

    #[test]
    fn the_serial_is_found_where_we_write_it() {
        for (format, body, expected) in [
            (
                Format::Json,
                r#"{"meta":{"_last-serial":42,"api-version":"1.4"},"name":"a"}"#,
                Some(42),
            ),
            (
                Format::Json,
                r#"{"meta":{"api-version":"1.4"},"name":"a","files":[]}"#,
                None,
            ),
            (
                Format::Html,
                "<!DOCTYPE html>\n<a href=\"x\">x</a>\n<!--SERIAL 42-->\n",
                Some(42),
            ),
            (Format::Html, "<!DOCTYPE html>\n", None),
            (Format::Html, "<!--SERIAL x-->", None),
            (Format::Json, "", None),
        ] {
            assert_eq!(
                serial_of(format, body.as_bytes()),
                expected.map(Serial),
                "{body}"
            );
        }
    }
}
