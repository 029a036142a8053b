//! The answer a well-behaved index gives. Pure over the state; `spoil` makes it worse afterwards.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
    VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::negotiate::Format;
use super::state::Rendered;
use crate::universe::StoredFile;

pub(super) const LAST_SERIAL: HeaderName = HeaderName::from_static("x-pypi-last-serial");

/// An answer before anything is done to it. `Content-Length` is set last, from the body.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn text(status: u16, text: &str) -> Self {
        let status = StatusCode::from_u16(status).expect("faults use real statuses");
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::from(format!("{status}: {text}\n")),
        }
        .with(CONTENT_TYPE, "text/plain; charset=utf-8")
    }

    pub(super) fn redirect(status: u16, location: &str) -> Self {
        Self::text(status, "elsewhere").with(LOCATION, location)
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(
            name,
            HeaderValue::from_str(value).expect("header values here are ASCII"),
        );
        self
    }

    /// A page, list or legacy document, 304 where the client has it.
    pub(super) fn document(
        request: &HeaderMap,
        rendered: &Rendered,
        media_type: &str,
        validators: Validators,
    ) -> Self {
        let mut reply = Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: rendered.body.clone(),
        }
        .with(CONTENT_TYPE, media_type)
        .with(CACHE_CONTROL, "max-age=600, public")
        .with(VARY, "Accept, Accept-Encoding");
        if validators == Validators::Sent {
            reply = reply.with(ETAG, &rendered.etag);
            if names_etag(request, &rendered.etag) {
                reply.status = StatusCode::NOT_MODIFIED;
                reply.body = Bytes::new();
                return reply;
            }
        }
        if let Some(gzipped) = rendered.gzipped.as_ref().filter(|_| accepts_gzip(request)) {
            reply.body = gzipped.clone();
            reply = reply.with(CONTENT_ENCODING, "gzip");
        }
        reply
    }

    /// A file or the metadata beside it, with ranges unless the host knows none.
    pub(super) fn file(
        request: &HeaderMap,
        (body, digest): (&Bytes, &str),
        file: &StoredFile,
        ranges: Ranges,
    ) -> Self {
        let etag = format!("\"{}\"", &digest[..32]);
        let last_modified = http_date(&file.upload_time);
        let mut reply = Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.clone(),
        }
        .with(CONTENT_TYPE, "application/octet-stream")
        .with(CACHE_CONTROL, "max-age=365000000, immutable, public")
        .with(LAST_MODIFIED, &last_modified)
        .with(ETAG, &etag);
        if names_etag(request, &etag)
            || header(request, &IF_MODIFIED_SINCE) == Some(last_modified.as_str())
        {
            reply.status = StatusCode::NOT_MODIFIED;
            reply.body = Bytes::new();
            return reply;
        }
        if ranges == Ranges::Refused {
            return reply;
        }
        reply = reply.with(ACCEPT_RANGES, "bytes");
        let current =
            header(request, &IF_RANGE).is_none_or(|value| value == etag || value == last_modified);
        let wanted = header(request, &RANGE).filter(|_| current);
        match wanted.and_then(|wanted| parse_range(wanted, body.len())) {
            None => reply,
            Some(Err(())) => {
                reply.status = StatusCode::RANGE_NOT_SATISFIABLE;
                reply.body = Bytes::new();
                reply.with(CONTENT_RANGE, &format!("bytes */{}", body.len()))
            }
            Some(Ok((first, last))) => {
                reply.status = StatusCode::PARTIAL_CONTENT;
                reply.body = body.slice(first..=last);
                reply.with(
                    CONTENT_RANGE,
                    &format!("bytes {first}-{last}/{}", body.len()),
                )
            }
        }
    }
}

/// Whether documents come with an `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validators {
    Sent,
    Absent,
}

/// Whether the files host knows ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranges {
    Served,
    Refused,
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The format a page request wants, `None` for a 406.
pub(super) fn wanted_format(headers: &HeaderMap) -> Option<Format> {
    super::negotiate::negotiate(header(headers, &ACCEPT))
}

pub(super) fn bypasses_caches(headers: &HeaderMap) -> bool {
    header(headers, &CACHE_CONTROL).is_some_and(|value| value.contains("no-cache"))
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    header(headers, &ACCEPT_ENCODING).is_some_and(|value| value.contains("gzip"))
}

fn names_etag(headers: &HeaderMap, etag: &str) -> bool {
    header(headers, &IF_NONE_MATCH).is_some_and(|value| {
        value
            .split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.trim_start_matches("W/") == etag)
    })
}

/// `None` where the whole is to be sent (several ranges, or not understood); `Err` where nothing can be (416).
fn parse_range(value: &str, length: usize) -> Option<Result<(usize, usize), ()>> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    if last.contains(',') {
        return None;
    }
    let range = if first.is_empty() {
        let suffix: usize = last.parse().ok()?;
        (
            length.saturating_sub(suffix),
            length.checked_sub(1),
            suffix > 0,
        )
    } else {
        let first: usize = first.parse().ok()?;
        let last = if last.is_empty() {
            usize::MAX
        } else {
            last.parse().ok()?
        };
        (
            first,
            length.checked_sub(1).map(|end| end.min(last)),
            first < length,
        )
    };
    match range {
        (first, Some(last), true) if first <= last => Some(Ok((first, last))),
        _ => Some(Err(())),
    }
}

fn http_date(upload_time: &str) -> String {
    let time: jiff::Timestamp = upload_time.parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        assert_eq!(parse_range("bytes=0-4", 10), Some(Ok((0, 4))));
        assert_eq!(parse_range("bytes=4-", 10), Some(Ok((4, 9))));
        assert_eq!(parse_range("bytes=-3", 10), Some(Ok((7, 9))));
        assert_eq!(parse_range("bytes=-30", 10), Some(Ok((0, 9))));
        assert_eq!(parse_range("bytes=8-99", 10), Some(Ok((8, 9))));
        assert_eq!(parse_range("bytes=10-", 10), Some(Err(())));
        assert_eq!(parse_range("bytes=-0", 10), Some(Err(())));
        assert_eq!(parse_range("bytes=0-", 0), Some(Err(())));
        assert_eq!(parse_range("bytes=0-1,4-5", 10), None);
        assert_eq!(parse_range("lines=0-1", 10), None);
    }

    #[test]
    fn dates_are_written_for_http() {
        assert_eq!(
            http_date("2026-01-01T00:05:00.000000Z"),
            "Thu, 01 Jan 2026 00:05:00 GMT"
        );
    }
}
