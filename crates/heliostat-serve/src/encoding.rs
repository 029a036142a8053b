//! Which content coding a page is sent in: `Accept-Encoding` (RFC 9110 section 12.5.3) as a pure function.
//!
//! Only documents are coded. Files are always sent as they are: an sdist that arrives with `Content-Encoding: gzip`
//! is unpacked by clients and then fails its hash.

use crate::negotiate::parse_element;

/// A content coding of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Encoding {
    /// As it is.
    Identity,
    /// `gzip`: what pip asks for.
    Gzip,
    /// `zstd`: what uv asks for; smaller and cheaper than gzip on both sides.
    Zstd,
}

impl Encoding {
    /// The value of `Content-Encoding`; `None` where the header is left out.
    pub(crate) const fn token(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// What the coding appends to a strong `ETag`, inside the quotes: other bytes need another tag.
    pub(crate) const fn etag_suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => "-gzip",
            Self::Zstd => "-zstd",
        }
    }
}

/// Chooses from the values of every `Accept-Encoding` header. Equal qualities go to zstd, then gzip. A client that
/// refuses everything gets the document as it is, which is what the standard recommends over an error.
pub(crate) fn choose<'a>(accept_encoding: impl Iterator<Item = &'a str>) -> Encoding {
    let (mut identity, mut gzip, mut zstd, mut others) = (None, None, None, None);
    for (coding, quality) in accept_encoding
        .flat_map(|value| value.split(','))
        .filter_map(parse_element)
    {
        let known = if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip")
        {
            &mut gzip
        } else if coding.eq_ignore_ascii_case("zstd") {
            &mut zstd
        } else if coding.eq_ignore_ascii_case("identity") {
            &mut identity
        } else if coding == "*" {
            &mut others
        } else {
            continue;
        };
        *known = Some(quality);
    }
    let gzip = gzip.or(others).unwrap_or(0);
    let zstd = zstd.or(others).unwrap_or(0);
    // Not mentioned, identity is acceptable but the last choice.
    let identity = identity.unwrap_or(0);
    if 0 < zstd && gzip <= zstd && identity <= zstd {
        Encoding::Zstd
    } else if 0 < gzip && identity <= gzip {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chooses_as_the_standard_says() {
        use Encoding::{Gzip, Identity, Zstd};
        for (value, expected) in [
            ("gzip, deflate", Gzip),
            ("gzip, deflate, zstd", Zstd),
            ("gzip, deflate, br, zstd", Zstd),
            ("identity", Identity),
            ("", Identity),
            ("br", Identity),
            ("*", Zstd),
            ("*;q=0", Identity),
            ("gzip;q=0", Identity),
            ("zstd;q=0.5, gzip", Gzip),
            ("zstd;q=0, *", Gzip),
            ("gzip;q=0.5, identity", Identity),
            ("GZIP", Gzip),
            ("x-gzip", Gzip),
            ("gzip;q=oops", Identity),
        ] {
            assert_eq!(choose([value].into_iter()), expected, "{value:?}");
        }
        assert_eq!(choose(std::iter::empty()), Identity);
        assert_eq!(choose(["br", "gzip"].into_iter()), Gzip);
    }

    proptest! {
        #[test]
        fn a_coding_is_only_chosen_when_it_was_named(value in "[a-z*;=0-9., -]{0,60}") {
            let chosen = choose([value.as_str()].into_iter());
            if let Some(token) = chosen.token() {
                prop_assert!(value.contains(token) || value.contains('*'));
            }
        }
    }
}
