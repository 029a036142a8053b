//! `Content-Range` and what may stand in `If-Range`. Pure.

use http::header::{CONTENT_RANGE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};

/// `Content-Range: bytes first-last/total` (RFC 9110, section 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// The offset of the first byte sent.
    pub(crate) first: u64,
    /// The offset of the last byte sent.
    pub(crate) last: u64,
    /// The whole length, where told.
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    /// Reads the header of a 206; `None` where it is missing, malformed or contradicts itself.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get(CONTENT_RANGE)?.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (unit, range) = text.trim().split_once(' ')?;
        let (span, total) = range.trim().split_once('/')?;
        let (first, last) = span.split_once('-')?;
        let total = if total == "*" {
            None
        } else {
            Some(number(total)?)
        };
        let range = Self {
            first: number(first)?,
            last: number(last)?,
            total,
        };
        let sound = range.first <= range.last && total.is_none_or(|total| range.last < total);
        (unit.eq_ignore_ascii_case("bytes") && sound).then_some(range)
    }
}

/// What proves that the rest of a file belongs to its beginning: a strong `ETag`, else `Last-Modified`
/// (RFC 9110, section 13.1.5 forbids weak ones).
pub(crate) fn resume_validator(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get(ETAG)
        .filter(|etag| etag.as_bytes().starts_with(b"\""))
        .or_else(|| headers.get(LAST_MODIFIED))
        .cloned()
}

fn number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_ranges() {
        let range = |first, last, total| Some(ContentRange { first, last, total });
        for (text, expected) in [
            ("bytes 5-9/10", range(5, 9, Some(10))),
            ("Bytes 0-0/*", range(0, 0, None)),
            ("bytes 5-9/9", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("bytes 5-/10", None),
            ("bytes +5-9/10", None),
            ("items 5-9/10", None),
            ("bytes 5-9", None),
            ("bytes 0-99999999999999999999/*", None),
            ("", None),
        ] {
            assert_eq!(ContentRange::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_weak_etag_does_not_prove_anything() {
        let headers = |pairs: &[(http::HeaderName, &'static str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
                .collect()
        };
        let strong = (ETAG, "\"a\"");
        let weak = (ETAG, "W/\"a\"");
        let date = (LAST_MODIFIED, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            resume_validator(&headers(&[strong, date.clone()])).unwrap(),
            "\"a\""
        );
        assert_eq!(
            resume_validator(&headers(&[weak.clone(), date.clone()])).unwrap(),
            date.1
        );
        assert_eq!(resume_validator(&headers(&[weak])), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(first in 0_u64..1 << 60, length in 1_u64..1 << 60, rest in proptest::option::of(0_u64..1 << 60)) {
            let last = first + length - 1;
            let total = rest.map(|rest| last + 1 + rest);
            let shown = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
            prop_assert_eq!(
                ContentRange::parse(&format!("bytes {first}-{last}/{shown}")),
                Some(ContentRange { first, last, total })
            );
        }

        #[test]
        fn anything_is_survived(text in "\\PC{0,40}") {
            if let Some(range) = ContentRange::parse(&text) {
                prop_assert!(range.first <= range.last);
            }
        }
    }
}
