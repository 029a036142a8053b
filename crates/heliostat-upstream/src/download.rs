//! Files: several sources, resumed after a break, never longer than promised. Gives bytes to the caller as they
//! come and hashes nothing.

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue, IF_RANGE, RANGE};
use url::Url;

use crate::body::Reply;
use crate::client::Request;
use crate::decode::Encoding;
use crate::document::refuse_encoding;
use crate::index::add_caches;
use crate::range::{ContentRange, resume_validator};
use crate::{
    Download, DownloadDone, DownloadError, FileRequest, Upstream, UpstreamError, redacted,
};

impl Upstream {
    /// Downloads a file from the first of its sources that gives it. `on` gets [`Download::Started`] for each try
    /// that is answered and then its bytes; when it returns an error, the download stops.
    pub async fn download<E>(
        &self,
        file: &FileRequest,
        mut on: impl FnMut(Download) -> Result<(), E>,
    ) -> Result<DownloadDone, DownloadError<E>> {
        let mut last = None;
        for (source_index, source) in file.sources.iter().enumerate() {
            match self.download_from(source, file, &mut on).await {
                Ok(size_bytes) => {
                    return Ok(DownloadDone {
                        source_index,
                        source_url: redacted(source),
                        size_bytes,
                    });
                }
                Err(DownloadError::Upstream(error)) => {
                    tracing::debug!(%error, kind = ?error.kind(), "a source does not give the file");
                    last = Some(error);
                }
                Err(stopped) => return Err(stopped),
            }
        }
        Err(DownloadError::Upstream(last.unwrap_or_else(|| {
            UpstreamError::Address {
                url: String::new(),
                reason: "the file has no sources",
            }
        })))
    }

    async fn download_from<E>(
        &self,
        source: &Url,
        file: &FileRequest,
        on: &mut impl FnMut(Download) -> Result<(), E>,
    ) -> Result<u64, DownloadError<E>> {
        let mut transfer = Transfer::new(file, self.limits().file_bytes_max);
        let mut tries = 1;
        loop {
            let high_water = transfer.high_water;
            match self.download_once(source, &mut transfer, tries, on).await {
                Ok(()) => return Ok(transfer.received),
                Err(DownloadError::Upstream(error)) => {
                    if transfer.high_water - high_water >= self.limits().progress_bytes {
                        tries = 1;
                    }
                    self.back_off(error, tries).await?;
                }
                Err(stopped) => return Err(stopped),
            }
            tries += 1;
        }
    }

    async fn download_once<E>(
        &self,
        source: &Url,
        transfer: &mut Transfer<'_>,
        tries: u32,
        on: &mut impl FnMut(Download) -> Result<(), E>,
    ) -> Result<(), DownloadError<E>> {
        let request = Request {
            url: source.clone(),
            headers: transfer.headers(),
        };
        let mut reply = self.ask(&request, tries).await?;
        transfer.begin(&reply)?;
        let started = Download::Started {
            total_bytes: transfer.total,
            resumed_at: transfer.received,
        };
        on(started).map_err(DownloadError::Caller)?;
        while let Some(chunk) = reply.chunk().await? {
            transfer.advance(chunk.len() as u64, &reply)?;
            on(Download::Chunk(chunk)).map_err(DownloadError::Caller)?;
        }
        Ok(transfer.finish(&reply)?)
    }
}

/// Whether the encoding is only another word for what the file is: web servers send `name.tar.gz` as it stands on their
/// disk, as a tar file with the content encoding gzip (Apache's `AddEncoding x-gzip .gz .tgz`). Installers keep those
/// bytes too, and the digest judges them.
fn is_named_for_its_ending(url: &Url, headers: &HeaderMap) -> bool {
    let ending = url.path().rsplit_once('.').map(|(_, ending)| ending);
    let is_gzip = ending.is_some_and(|ending| {
        ending.eq_ignore_ascii_case("gz") || ending.eq_ignore_ascii_case("tgz")
    });
    is_gzip && Encoding::of(headers) == Ok(Encoding::Gzip)
}

/// How far the download from one source has come.
#[derive(Debug)]
struct Transfer<'a> {
    file: &'a FileRequest,
    limit_bytes: u64,
    /// Bytes given to the caller since the last start from 0.
    received: u64,
    /// The most that `received` has been.
    high_water: u64,
    /// The whole length, from the page or the source.
    total: Option<u64>,
    /// What proves that a later answer is of the same file.
    validator: Option<HeaderValue>,
}

impl<'a> Transfer<'a> {
    fn new(file: &'a FileRequest, file_bytes_max: u64) -> Self {
        Self {
            file,
            limit_bytes: file
                .limit_bytes
                .map_or(file_bytes_max, |limit| limit.min(file_bytes_max)),
            received: 0,
            high_water: 0,
            total: file.expected_size_bytes,
            validator: None,
        }
    }

    /// Where to go on, if the source has given us the means to prove that it is still the same file.
    fn resume_at(&self) -> Option<(u64, &HeaderValue)> {
        self.validator
            .as_ref()
            .filter(|_| self.received > 0)
            .map(|validator| (self.received, validator))
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        add_caches(&mut headers, self.file.caches);
        if let Some((offset, validator)) = self.resume_at()
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={offset}-"))
        {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, validator.clone());
        }
        headers
    }

    /// Takes note of an answer's head: where its bytes belong and how many there will be.
    fn begin(&mut self, reply: &Reply<'_>) -> Result<(), UpstreamError> {
        let resumed_at = match (reply.status(), self.resume_at()) {
            (200, _) => {
                self.total = reply.content_length().or(self.file.expected_size_bytes);
                self.validator = resume_validator(reply.headers());
                0
            }
            (206, Some((offset, validator))) => {
                let range = ContentRange::of(reply.headers()).filter(|range| {
                    let same_total =
                        range.total.is_none() || self.total.is_none() || range.total == self.total;
                    let same_file =
                        resume_validator(reply.headers()).is_none_or(|found| found == *validator);
                    range.first == offset && same_total && same_file
                });
                let Some(range) = range else {
                    return Err(self.refuse_resume(reply));
                };
                self.total = self.total.or(range.total);
                offset
            }
            // 412 is no answer to If-Range, but servers that take it for If-Match give it.
            (412 | 416, Some(_)) => return Err(self.refuse_resume(reply)),
            _ => return Err(reply.refusal()),
        };
        if !is_named_for_its_ending(&reply.url, reply.headers()) {
            refuse_encoding(&reply.url, reply.headers())?;
        }
        self.received = resumed_at;
        self.check_total(reply)
    }

    /// Counts bytes that are about to be given to the caller.
    fn advance(&mut self, bytes: u64, reply: &Reply<'_>) -> Result<(), UpstreamError> {
        self.received += bytes;
        if let Some(expected_bytes) = self.file.expected_size_bytes
            && self.received > expected_bytes
        {
            return Err(UpstreamError::Size {
                url: reply.shown(),
                found_bytes: self.received,
                expected_bytes,
            });
        }
        if self.received > self.limit_bytes {
            return Err(self.too_large(reply));
        }
        self.high_water = self.high_water.max(self.received);
        Ok(())
    }

    /// Whether a body that has ended in good order is the whole file.
    fn finish(&self, reply: &Reply<'_>) -> Result<(), UpstreamError> {
        if self.total.is_some_and(|total| self.received < total) {
            return Err(UpstreamError::Truncated {
                url: reply.shown(),
                tries: reply.tries,
                received_bytes: self.received,
            });
        }
        Ok(())
    }

    fn check_total(&self, reply: &Reply<'_>) -> Result<(), UpstreamError> {
        match (self.total, self.file.expected_size_bytes) {
            (Some(found_bytes), Some(expected_bytes)) if found_bytes != expected_bytes => {
                Err(UpstreamError::Size {
                    url: reply.shown(),
                    found_bytes,
                    expected_bytes,
                })
            }
            (Some(total), _) if total > self.limit_bytes => Err(self.too_large(reply)),
            _ => Ok(()),
        }
    }

    fn too_large(&self, reply: &Reply<'_>) -> UpstreamError {
        UpstreamError::Limit {
            url: reply.shown(),
            limit_bytes: self.limit_bytes,
        }
    }

    fn refuse_resume(&mut self, reply: &Reply<'_>) -> UpstreamError {
        self.start_over();
        UpstreamError::Resume {
            url: reply.shown(),
            tries: reply.tries,
        }
    }

    fn start_over(&mut self) {
        self.received = 0;
        self.total = self.file.expected_size_bytes;
        self.validator = None;
    }
}
