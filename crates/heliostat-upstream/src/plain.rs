//! Plain bounded requests, one try each: for callers that have several servers for the same bytes, check everything
//! themselves, and would rather ask the next server than wait for this one.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, DATE, HeaderValue, RANGE};
use tokio::time::{Instant, timeout};
use url::Url;

use crate::body::Reply;
use crate::client::Request;
use crate::decode::ACCEPTED;
use crate::document::refuse_encoding;
use crate::range::ContentRange;
use crate::{Upstream, UpstreamError, redacted};

/// Whether a body may be compressed on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// gzip or zstd, decompressed within the limit.
    Compressed,
    /// As it is.
    Identity,
}

/// A body that came whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// The bytes, decompressed; never more than was allowed.
    pub body: Bytes,
    /// The server's clock, where it tells one.
    pub date: Option<SystemTime>,
}

/// A body that is coming in.
#[derive(Debug)]
pub struct Incoming<'a> {
    reply: Reply<'a>,
    offset: u64,
    total_bytes: Option<u64>,
}

impl Upstream {
    /// One GET, read to its end within `deadline`. Any status but 200 is [`UpstreamError::Answer`].
    pub async fn get(
        &self,
        url: &Url,
        limit_bytes: u64,
        coding: Coding,
        deadline: Duration,
    ) -> Result<Plain, UpstreamError> {
        let accepted = match coding {
            Coding::Compressed => ACCEPTED,
            Coding::Identity => "identity",
        };
        let request = Request {
            url: url.clone(),
            headers: [(ACCEPT_ENCODING, HeaderValue::from_static(accepted))]
                .into_iter()
                .collect(),
        };
        let work = async {
            let reply = self.ask(&request, 1).await?;
            if reply.status() != 200 {
                return Err(reply.refusal());
            }
            if coding == Coding::Identity {
                refuse_encoding(&reply.url, reply.headers())?;
            }
            let date = date_of(reply.headers());
            // A compressed body is never longer than what comes out of it by more than a few bytes a block.
            let whole = reply
                .read_whole(limit_bytes.saturating_add(limit_bytes / 64 + 1024))
                .await?;
            Ok(Plain {
                body: whole.decoded(limit_bytes)?.body,
                date,
            })
        };
        let late = || UpstreamError::Late {
            url: redacted(url),
            deadline,
        };
        timeout(deadline, work)
            .await
            .unwrap_or_else(|_elapsed| Err(late()))
    }

    /// One GET from an offset on; the head must come within `deadline`. A server that ignores the range is asked for
    /// the bytes before it as well, and [`Incoming::offset`] is then 0.
    pub async fn open(
        &self,
        url: &Url,
        from: u64,
        deadline: Duration,
    ) -> Result<Incoming<'_>, UpstreamError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if from > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={from}-"))
        {
            headers.insert(RANGE, range);
        }
        let request = Request {
            url: url.clone(),
            headers,
        };
        let reply = timeout(deadline, self.ask(&request, 1))
            .await
            .map_err(|_elapsed| UpstreamError::Late {
                url: redacted(url),
                deadline,
            })??;
        refuse_encoding(&reply.url, reply.headers())?;
        let (offset, total_bytes) = match reply.status() {
            200 => (0, reply.content_length()),
            206 if from > 0 => {
                let range = ContentRange::of(reply.headers())
                    .filter(|range| range.first == from)
                    .ok_or_else(|| UpstreamError::Resume {
                        url: reply.shown(),
                        tries: 1,
                    })?;
                (from, range.total)
            }
            _ => return Err(reply.refusal()),
        };
        Ok(Incoming {
            reply,
            offset,
            total_bytes,
        })
    }
}

impl Incoming<'_> {
    /// Where in the file the first chunk belongs: what was asked for, or 0.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The whole file's length, where the server tells it.
    pub const fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// The next bytes, or `None` at the end; an error where nothing comes for as long as `patience`.
    pub async fn chunk(&mut self, patience: Duration) -> Result<Option<Bytes>, UpstreamError> {
        let url = self.reply.url.clone();
        let asked_at = Instant::now();
        timeout(patience, self.reply.chunk())
            .await
            .unwrap_or_else(|_elapsed| {
                Err(UpstreamError::Late {
                    url: redacted(&url),
                    deadline: asked_at.elapsed(),
                })
            })
    }
}

fn date_of(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}
