//! Byte ranges: `Range` and `If-Range` (RFC 9110 sections 13.1.5 and 14) as a pure function.
//!
//! One range is answered with 206; several at once get the whole file, which the standard allows and every
//! installer copes with, and which takes the amplification out of overlapping ranges.

use crate::conditional::{Validators, strongly_matches};

/// What to send of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selection {
    /// Everything, with 200.
    Whole,
    /// One piece, with 206.
    Part(Span),
    /// Nothing: 416 with `Content-Range: bytes */<size>`.
    Unsatisfiable,
}

/// Bytes `first..=last` of a file; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Offset of the first byte.
    pub(crate) first: u64,
    /// Offset of the last byte, within the file.
    pub(crate) last: u64,
}

impl Span {
    /// How many bytes.
    pub(crate) const fn size_bytes(self) -> u64 {
        self.last - self.first + 1
    }
}

/// Decides what to send of a file of `size_bytes`, from the two headers as text.
pub(crate) fn select(
    range: Option<&str>,
    if_range: Option<&str>,
    validators: &Validators<'_>,
    size_bytes: u64,
) -> Selection {
    let Some(range) = range else {
        return Selection::Whole;
    };
    if if_range.is_some_and(|condition| !still_the_same(condition, validators)) {
        return Selection::Whole;
    }
    parse(range, size_bytes).unwrap_or(Selection::Whole)
}

/// `None` for what the standard says to ignore: another unit, bad syntax, more than one range.
fn parse(range: &str, size_bytes: u64) -> Option<Selection> {
    let (unit, set) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    if first.is_empty() {
        return Some(suffix(parse_offset(last)?, size_bytes));
    }
    let first = parse_offset(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        parse_offset(last)?
    };
    if last < first {
        return None;
    }
    if size_bytes <= first {
        return Some(Selection::Unsatisfiable);
    }
    Some(Selection::Part(Span {
        first,
        last: last.min(size_bytes - 1),
    }))
}

/// The last `wanted_bytes`. More than there are is everything; of an empty file there is no piece to name.
const fn suffix(wanted_bytes: u64, size_bytes: u64) -> Selection {
    match (wanted_bytes, size_bytes) {
        (0, _) => Selection::Unsatisfiable,
        (_, 0) => Selection::Whole,
        _ => {
            let first = size_bytes.saturating_sub(wanted_bytes);
            Selection::Part(Span {
                first,
                last: size_bytes - 1,
            })
        }
    }
}

/// Numbers beyond 64 bits saturate.
fn parse_offset(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn still_the_same(condition: &str, validators: &Validators<'_>) -> bool {
    let condition = condition.trim();
    if condition.starts_with('"') || condition.starts_with("W/") {
        return strongly_matches(condition, validators.etag);
    }
    match (
        httpdate::parse_http_date(condition),
        validators.last_modified,
    ) {
        (Ok(date), Some(last_modified)) => date == last_modified,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::*;

    const VALIDATORS: Validators<'static> = Validators {
        etag: "\"e\"",
        last_modified: None,
    };

    fn ask(range: &str, size_bytes: u64) -> Selection {
        select(Some(range), None, &VALIDATORS, size_bytes)
    }

    #[test]
    fn one_range_is_answered() {
        use Selection::{Part, Unsatisfiable, Whole};
        let part = |first, last| Part(Span { first, last });
        for (range, size, expected) in [
            ("bytes=0-0", 10, part(0, 0)),
            ("bytes=2-5", 10, part(2, 5)),
            ("bytes=2-", 10, part(2, 9)),
            ("bytes=2-99", 10, part(2, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-30", 10, part(0, 9)),
            ("Bytes=0-1", 10, part(0, 1)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-5", 0, Whole),
            ("bytes=99999999999999999999999-", 10, Unsatisfiable),
            ("bytes=0-99999999999999999999999", 10, part(0, 9)),
            ("bytes=5-2", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes", 10, Whole),
            ("lines=0-1", 10, Whole),
            ("bytes=0-1,3-4", 10, Whole),
        ] {
            assert_eq!(ask(range, size), expected, "{range} of {size}");
        }
    }

    #[test]
    fn if_range_needs_the_very_same_file() {
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let validators = Validators {
            etag: "\"e\"",
            last_modified: Some(date),
        };
        for (condition, applies) in [
            ("\"e\"", true),
            ("\"other\"", false),
            ("W/\"e\"", false),
            ("Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("Sunday, 06-Nov-94 08:49:37 GMT", true),
            ("Sun, 06 Nov 1994 08:49:38 GMT", false),
            ("nonsense", false),
        ] {
            let part = Selection::Part(Span { first: 1, last: 9 });
            let expected = if applies { part } else { Selection::Whole };
            assert_eq!(
                select(Some("bytes=1-"), Some(condition), &validators, 10),
                expected,
                "{condition}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(range in "(bytes=)?[0-9,-]{0,12}", size in 0u64..5000) {
            if let Selection::Part(span) = ask(&range, size) {
                prop_assert!(span.first <= span.last && span.last < size);
                prop_assert!(1 <= span.size_bytes() && span.size_bytes() <= size);
            }
        }

        #[test]
        fn agrees_with_slicing(first in 0usize..40, last in 0usize..40, size in 1usize..30) {
            let bytes: Vec<usize> = (0..size).collect();
            let expected: Vec<usize> =
                bytes.iter().copied().filter(|index| first <= *index && *index <= last).collect();
            match ask(&format!("bytes={first}-{last}"), size as u64) {
                Selection::Part(span) => {
                    let piece: Vec<u64> = (span.first..=span.last).collect();
                    prop_assert_eq!(piece, expected.iter().map(|index| *index as u64).collect::<Vec<_>>());
                }
                Selection::Unsatisfiable => prop_assert!(size <= first),
                Selection::Whole => prop_assert!(last < first),
            }
        }
    }
}
