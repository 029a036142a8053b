//! Conditional requests: the preconditions of RFC 9110 section 13.2.2, in its order, as a pure function.
//!
//! `If-Range` belongs to `range`.

use std::time::SystemTime;

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName};

/// What identifies the bytes that would be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validators<'a> {
    /// The strong entity tag, with its quotes.
    pub(crate) etag: &'a str,
    /// Whole seconds, where known.
    pub(crate) last_modified: Option<SystemTime>,
}

/// What the preconditions of a GET or HEAD come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer as if there were none.
    Proceed,
    /// 304: the client has these bytes.
    NotModified,
    /// 412: the client wanted other bytes than these.
    PreconditionFailed,
}

/// Weighs the preconditions of a GET or HEAD for something that exists.
pub(crate) fn evaluate(headers: &HeaderMap, validators: &Validators<'_>) -> Verdict {
    if headers.contains_key(IF_MATCH) {
        if !any_tag(headers, &IF_MATCH, |tag| {
            tag == "*" || strongly_matches(tag, validators.etag)
        }) {
            return Verdict::PreconditionFailed;
        }
    } else if let (Some(date), Some(last_modified)) = (
        date(headers, &IF_UNMODIFIED_SINCE),
        validators.last_modified,
    ) && date < last_modified
    {
        return Verdict::PreconditionFailed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if any_tag(headers, &IF_NONE_MATCH, |tag| {
            tag == "*" || weakly_matches(tag, validators.etag)
        }) {
            return Verdict::NotModified;
        }
    } else if let (Some(date), Some(last_modified)) =
        (date(headers, &IF_MODIFIED_SINCE), validators.last_modified)
        && last_modified <= date
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// The strong comparison of RFC 9110 section 8.8.3.2: `ours` is strong, so `theirs` must be too.
pub(crate) fn strongly_matches(theirs: &str, ours: &str) -> bool {
    theirs == ours
}

fn weakly_matches(theirs: &str, ours: &str) -> bool {
    theirs.strip_prefix("W/").unwrap_or(theirs) == ours
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

fn any_tag(headers: &HeaderMap, name: &HeaderName, matches: impl Fn(&str) -> bool) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Tags)
        .any(matches)
}

/// The elements of an entity-tag list. Commas may stand inside the quotes of a tag.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
        if self.0.is_empty() {
            return None;
        }
        let opaque_at = if self.0.starts_with("W/\"") {
            3
        } else {
            usize::from(self.0.starts_with('"'))
        };
        let end = if opaque_at == 0 {
            self.0.find(',').unwrap_or(self.0.len())
        } else {
            self.0[opaque_at..]
                .find('"')
                .map_or(self.0.len(), |quote| opaque_at + quote + 1)
        };
        let (tag, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(tag.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn check(headers: &[(HeaderName, &str)], expected: Verdict) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let last_modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
        let verdict = evaluate(
            &map,
            &Validators {
                etag: "\"abc\"",
                last_modified,
            },
        );
        assert_eq!(verdict, expected, "{headers:?}");
    }

    #[test]
    fn follows_the_order_of_the_standard() {
        use Verdict::{NotModified, PreconditionFailed, Proceed};
        for (headers, expected) in [
            (&[][..], Proceed),
            (&[(IF_NONE_MATCH, "\"abc\"")], NotModified),
            (&[(IF_NONE_MATCH, "W/\"abc\"")], NotModified),
            (&[(IF_NONE_MATCH, "*")], NotModified),
            (&[(IF_NONE_MATCH, "\"x,y\", \"abc\"")], NotModified),
            (
                &[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "W/\"abc\"")],
                NotModified,
            ),
            (&[(IF_NONE_MATCH, "\"abcd\", abc")], Proceed),
            (&[(IF_NONE_MATCH, "")], Proceed),
            (
                &[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, AFTER)],
                Proceed,
            ),
            (&[(IF_MODIFIED_SINCE, AT)], NotModified),
            (&[(IF_MODIFIED_SINCE, AFTER)], NotModified),
            (&[(IF_MODIFIED_SINCE, BEFORE)], Proceed),
            (&[(IF_MODIFIED_SINCE, "yesterday")], Proceed),
            (&[(IF_MATCH, "\"abc\"")], Proceed),
            (&[(IF_MATCH, "*")], Proceed),
            (&[(IF_MATCH, "W/\"abc\"")], PreconditionFailed),
            (
                &[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")],
                PreconditionFailed,
            ),
            (
                &[(IF_MATCH, "\"abc\""), (IF_UNMODIFIED_SINCE, BEFORE)],
                Proceed,
            ),
            (&[(IF_UNMODIFIED_SINCE, BEFORE)], PreconditionFailed),
            (
                &[(IF_UNMODIFIED_SINCE, AT), (IF_NONE_MATCH, "\"abc\"")],
                NotModified,
            ),
        ] {
            check(headers, expected);
        }
    }

    proptest! {
        #[test]
        fn a_list_is_cut_into_its_tags(tags in proptest::collection::vec("(W/)?\"[a-z, ]{0,6}\"", 0..6)) {
            let found: Vec<String> = Tags(&tags.join(", ")).map(str::to_owned).collect();
            prop_assert_eq!(found, tags);
        }

        #[test]
        fn any_text_ends(value in "[ -~]{0,60}") {
            prop_assert!(Tags(&value).count() <= value.len());
        }
    }
}
