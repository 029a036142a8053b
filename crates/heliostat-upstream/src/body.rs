//! An answer that is still coming in: its head, and its body in chunks or as a whole. Owns the limits on size and
//! speed of a body, and keeps the request's place in the gate until the body has been read or dropped.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Version};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use url::Url;

use crate::counters::{Counters, count};
use crate::decode::{DecodeError, Encoding};
use crate::error::quoted;
use crate::retry::retry_after;
use crate::speed::{Pace, SpeedWatch};
use crate::{Limits, UpstreamError, redacted};

/// Room made at once for a body whose length is announced, however long the announcement is.
const RESERVED_BYTES_MAX: u64 = 8_000_000;

/// An answer whose body has not been read.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) url: Url,
    pub(crate) tries: u32,
    response: reqwest::Response,
    limits: &'a Limits,
    watch: SpeedWatch,
    counters: &'a Counters,
    _place: SemaphorePermit<'a>,
}

/// An answer read to its end, still encoded.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The address that answered, after redirects.
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) end: End,
    pub(crate) tries: u32,
}

impl Whole {
    /// The same with its body decompressed, to at most `limit_bytes`.
    pub(crate) fn decoded(self, limit_bytes: u64) -> Result<Self, UpstreamError> {
        let shown = || redacted(&self.url);
        let encoding = Encoding::of(&self.headers).map_err(|unknown| UpstreamError::Encoding {
            url: shown(),
            encoding: quoted(&unknown),
        })?;
        let body =
            encoding
                .decode(self.body.clone(), limit_bytes)
                .map_err(|error| match error {
                    DecodeError::TooLarge => UpstreamError::Limit {
                        url: shown(),
                        limit_bytes,
                    },
                    DecodeError::Damaged(source) => UpstreamError::Decode {
                        url: shown(),
                        tries: self.tries,
                        source,
                    },
                })?;
        Ok(Self { body, ..self })
    }
}

/// How we know that a body is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A length, a last chunk or an end of stream says so.
    Proven,
    /// The connection was closed, which a broken server does as well.
    Closed,
}

impl<'a> Reply<'a> {
    /// Wraps an answer.
    pub(crate) fn new(
        url: Url,
        tries: u32,
        response: reqwest::Response,
        (limits, counters): (&'a Limits, &'a Counters),
        place: SemaphorePermit<'a>,
    ) -> Self {
        Self {
            url,
            tries,
            response,
            limits,
            watch: SpeedWatch::new(limits),
            counters,
            _place: place,
        }
    }

    /// The status code.
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The announced length of the body.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.headers()
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }

    /// The address that answered, as it may be shown.
    pub(crate) fn shown(&self) -> String {
        redacted(&self.url)
    }

    /// This answer as a failure.
    pub(crate) fn refusal(&self) -> UpstreamError {
        UpstreamError::Answer {
            url: self.shown(),
            status: self.status(),
            tries: self.tries,
            retry_after: retry_after(self.headers()),
        }
    }

    /// The next bytes of the body, or `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let asked_at = Instant::now();
        let chunk = self
            .response
            .chunk()
            .await
            .map_err(|source| UpstreamError::Read {
                url: redacted(&self.url),
                tries: self.tries,
                source: source.without_url(),
            })?;
        let length = chunk.as_ref().map_or(0, Bytes::len);
        count(&self.counters.bytes_received, length as u64);
        if chunk.is_some() && self.watch.record(asked_at.elapsed(), length) == Pace::TooSlow {
            return Err(UpstreamError::Slow {
                url: self.shown(),
                tries: self.tries,
                bytes_per_second_min: self.limits.speed_bytes_per_second_min,
            });
        }
        Ok(chunk)
    }

    /// The whole body, at most `limit_bytes` of it.
    pub(crate) async fn read_whole(mut self, limit_bytes: u64) -> Result<Whole, UpstreamError> {
        let announced = self.content_length();
        let too_large = |url: &Url| UpstreamError::Limit {
            url: redacted(url),
            limit_bytes,
        };
        if announced.is_some_and(|announced| announced > limit_bytes) {
            return Err(too_large(&self.url));
        }
        let room = announced.unwrap_or_default().min(RESERVED_BYTES_MAX);
        let mut body = BytesMut::with_capacity(usize::try_from(room).unwrap_or_default());
        while let Some(chunk) = self.chunk().await? {
            if (body.len() + chunk.len()) as u64 > limit_bytes {
                return Err(too_large(&self.url));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Whole {
            end: self.end(),
            headers: self.response.headers().clone(),
            url: self.url,
            body: body.freeze(),
            tries: self.tries,
        })
    }

    /// How the end of this body is told (RFC 9112, section 6.3; HTTP/2 always tells).
    fn end(&self) -> End {
        let told = self.response.version() >= Version::HTTP_2
            || self.content_length().is_some()
            || self.headers().contains_key(TRANSFER_ENCODING);
        if told { End::Proven } else { End::Closed }
    }
}
