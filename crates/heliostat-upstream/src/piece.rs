//! Pieces of files, for callers that need to look into a file without having all of it. Checks where a piece belongs;
//! what the bytes are worth is the caller's business.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue, RANGE};
use url::Url;

use crate::client::Request;
use crate::document::refuse_encoding;
use crate::range::ContentRange;
use crate::{Upstream, UpstreamError};

/// Which bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// So many at its end, or all of a shorter file.
    Last(u64),
    /// From the first offset to the last, both included.
    Between(u64, u64),
}

/// Bytes of a file and where they belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The offset of the first byte.
    pub first: u64,
    /// The bytes.
    pub bytes: Bytes,
    /// The length of the whole file.
    pub total_bytes: u64,
}

impl Span {
    const fn len_bytes(self) -> u64 {
        match self {
            Self::Last(count) => count,
            Self::Between(first, last) => last.saturating_sub(first).saturating_add(1),
        }
    }

    fn header(self) -> String {
        match self {
            Self::Last(count) => format!("bytes=-{count}"),
            Self::Between(first, last) => format!("bytes={first}-{last}"),
        }
    }
}

impl Upstream {
    /// A piece of a file (RFC 9110, section 14.2). `None` where the server has no ranges, does not say how long the
    /// file is, or gives other bytes than were asked for; then only the whole file helps.
    pub async fn piece(&self, url: &Url, span: Span) -> Result<Option<Piece>, UpstreamError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Ok(range) = HeaderValue::from_str(&span.header()) {
            headers.insert(RANGE, range);
        }
        let request = Request {
            url: url.clone(),
            headers,
        };
        let mut tries = 1;
        loop {
            match self.piece_once(&request, span, tries).await {
                Ok(piece) => return Ok(piece),
                Err(error) => self.back_off(error, tries).await?,
            }
            tries += 1;
        }
    }

    async fn piece_once(
        &self,
        request: &Request,
        span: Span,
        tries: u32,
    ) -> Result<Option<Piece>, UpstreamError> {
        let reply = self.ask(request, tries).await?;
        match reply.status() {
            206 => {}
            // Some servers refuse ranges from the end, others all of them.
            200 | 416 | 501 => return Ok(None),
            _ => return Err(reply.refusal()),
        }
        refuse_encoding(&reply.url, reply.headers())?;
        let Some(range) = ContentRange::of(reply.headers()) else {
            return Ok(None);
        };
        let Some(total_bytes) = range.total else {
            return Ok(None);
        };
        let expected = match span {
            Span::Last(count) => (total_bytes.saturating_sub(count), total_bytes - 1),
            Span::Between(first, last) => (first, last),
        };
        if (range.first, range.last) != expected {
            return Ok(None);
        }
        let whole = reply.read_whole(span.len_bytes()).await?;
        let is_whole = whole.body.len() as u64 == range.last - range.first + 1;
        Ok(is_whole.then_some(Piece {
            first: range.first,
            bytes: whole.body,
            total_bytes,
        }))
    }
}
