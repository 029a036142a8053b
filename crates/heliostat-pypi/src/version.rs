//! Release versions: PEP 440 where they follow it, the bare text where they do not.
//!
//! Owns parsing and ordering. What a specifier admits is `pep440_rs`'s business and its callers'.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A release version as an index spells it.
///
/// Versions are never lost: a text that PEP 440 does not admit (old uploads such as `2004d` or `dev-r12`) is kept as
/// it is. In the order of this type such texts stand below every PEP 440 version, by their bytes among themselves, so
/// that a newest-first listing shows them last. Two spellings of one PEP 440 version (`1.0` and `1.0.0`) are equal.
#[derive(Debug, Clone)]
pub struct Version {
    text: String,
    parsed: Option<pep440_rs::Version>,
}

impl Version {
    /// Takes any text. White space around it is dropped, as PEP 440 tells parsers to do.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        Self {
            text: text.to_owned(),
            parsed: pep440_rs::Version::from_str(text).ok(),
        }
    }

    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The PEP 440 version, or `None` where the text is not one.
    pub const fn as_pep440(&self) -> Option<&pep440_rs::Version> {
        self.parsed.as_ref()
    }

    /// Whether installers leave it out unless asked: an alpha, beta, release candidate or development release, and
    /// every text that is not a PEP 440 version.
    pub fn is_prerelease(&self) -> bool {
        self.parsed
            .as_ref()
            .is_none_or(pep440_rs::Version::any_prerelease)
    }
}

impl From<&str> for Version {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.parsed, &other.parsed) {
            (Some(left), Some(right)) => left.cmp(right),
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (None, None) => self.text.cmp(&other.text),
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.parsed {
            Some(version) => version.hash(state),
            None => self.text.hash(state),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn newest_first_puts_what_is_not_a_version_last() {
        let mut versions: Vec<Version> = [
            "dev-r12",
            "1.0",
            "2.0rc1",
            "1.10",
            "2004z",
            "1.9.post1",
            "1!0.1",
        ]
        .map(Version::parse)
        .into();
        versions.sort_by(|left, right| right.cmp(left));
        let texts: Vec<&str> = versions.iter().map(Version::as_str).collect();
        assert_eq!(
            texts,
            [
                "1!0.1",
                "2.0rc1",
                "1.10",
                "1.9.post1",
                "1.0",
                "dev-r12",
                "2004z"
            ]
        );
    }

    #[test]
    fn spellings_of_one_version_are_equal_and_keep_their_text() {
        let (short, long) = (Version::parse(" 1.0 "), Version::parse("v1.0.0"));
        assert_eq!(short, long);
        assert_eq!(
            (short.to_string(), long.to_string()),
            ("1.0".to_owned(), "v1.0.0".to_owned())
        );
    }

    #[test]
    fn prereleases_are_known() {
        for (text, expected) in [
            ("1.0", false),
            ("1.0.post1", false),
            ("1.0a1", true),
            ("1.0.dev3", true),
            ("not one", true),
        ] {
            assert_eq!(Version::parse(text).is_prerelease(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_total_and_ordering_consistent(left in "\\PC{0,12}", right in "[0-9a-z.+!-]{0,12}") {
            let (left, right) = (Version::parse(&left), Version::parse(&right));
            prop_assert_eq!(left.cmp(&right), right.cmp(&left).reverse());
            prop_assert_eq!(left == right, left.cmp(&right) == Ordering::Equal);
        }
    }
}
