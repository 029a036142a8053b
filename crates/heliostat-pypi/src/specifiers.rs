//! Version specifiers (PEP 440): what they say, and which versions they admit.
//!
//! Owns the meaning of a set of specifiers as one range of versions, so that selection, filters and the resolver
//! agree. Parsing versions and single specifiers is `pep440_rs`'s work.

use std::fmt;
use std::str::FromStr;

use pep440_rs::{Operator, VersionSpecifier, VersionSpecifiers};
use pubgrub::Ranges;
use serde::{Deserialize, Serialize};

use crate::Version;

/// The longest text of specifiers we read, in bytes. The longest on PyPI are below 500.
pub const SPECIFIERS_BYTES_MAX: usize = 4_096;

/// The largest number inside a version of a specifier, so that the next number always exists.
const NUMBER_MAX: u64 = u64::MAX / 4;

/// A comma-separated set of version specifiers, such as `>=1.2,!=1.5.*,<2`; empty admits every version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Specifiers(Vec<Clause>);

/// One specifier with its spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Clause {
    text: String,
    specifier: VersionSpecifier,
}

/// Why a text is not a set of version specifiers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version specifier: {reason}")]
pub struct SpecifiersError {
    /// The text as given, shortened and escaped for display.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Specifiers {
    /// Admits every version.
    pub const fn any() -> Self {
        Self(Vec::new())
    }

    /// Exactly this version, as `==` means it: local builds of it included.
    pub fn exactly(version: &pep440_rs::Version) -> Self {
        let specifier = VersionSpecifier::equals_version(version.clone());
        Self(vec![Clause {
            text: specifier.to_string(),
            specifier,
        }])
    }

    /// Reads specifiers that real metadata holds but PEP 440 does not admit, the way installers do: stray quotes and
    /// commas are dropped, `>=2.7.*` is `>=2.7`, and a missing comma between two specifiers is put in.
    pub fn parse_lenient(text: &str) -> Result<Self, SpecifiersError> {
        text.parse().or_else(|error| {
            repair(text)
                .parse()
                .map_err(|_second: SpecifiersError| error)
        })
    }

    /// Whether every version is admitted.
    pub const fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a version is admitted. What is not a PEP 440 version is admitted only where everything is.
    pub fn admit(&self, version: &Version) -> bool {
        self.is_any()
            || version
                .as_pep440()
                .is_some_and(|version| self.admit_pep440(version))
    }

    /// Whether a PEP 440 version is admitted. Pre-releases are versions like others here.
    pub fn admit_pep440(&self, version: &pep440_rs::Version) -> bool {
        self.0
            .iter()
            .all(|clause| clause_range(&clause.specifier).contains(version))
    }

    /// The versions admitted, as one range.
    pub fn range(&self) -> Ranges<pep440_rs::Version> {
        self.0.iter().fold(Ranges::full(), |range, clause| {
            range.intersection(&clause_range(&clause.specifier))
        })
    }

    /// Whether a pre-release is named, which asks for pre-releases (PEP 440, "Handling of pre-releases").
    pub fn name_prereleases(&self) -> bool {
        self.0.iter().any(|clause| {
            clause.specifier.any_prerelease()
                && !matches!(
                    clause.specifier.operator(),
                    Operator::NotEqual | Operator::NotEqualStar
                )
        })
    }

    /// Whether one version is pinned by `==` or `===`, which alone admits yanked files (PEP 592).
    pub fn is_pin(&self) -> bool {
        self.0.iter().any(|clause| {
            matches!(
                clause.specifier.operator(),
                Operator::Equal | Operator::ExactEqual
            )
        })
    }

    /// Both sets together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut clauses = self.0.clone();
        clauses.extend(
            other
                .0
                .iter()
                .filter(|clause| !self.0.contains(clause))
                .cloned(),
        );
        Self(clauses)
    }
}

impl FromStr for Specifiers {
    type Err = SpecifiersError;

    fn from_str(text: &str) -> Result<Self, SpecifiersError> {
        let reject = |reason: String| SpecifiersError {
            text: text
                .chars()
                .take(120)
                .collect::<String>()
                .escape_debug()
                .to_string(),
            reason,
        };
        if text.len() > SPECIFIERS_BYTES_MAX {
            return Err(reject("it is longer than 4096 bytes".to_owned()));
        }
        if text.trim().is_empty() {
            return Ok(Self::any());
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            let part = part.trim();
            // `pep440_rs` reads a set; one clause at a time keeps each spelling.
            let read =
                VersionSpecifiers::from_str(part).map_err(|error| reject(first_line(&error)))?;
            let [specifier] = &read[..] else {
                return Err(reject("a specifier is missing between commas".to_owned()));
            };
            if !is_countable(specifier.version()) {
                return Err(reject("a number in it is too large".to_owned()));
            }
            clauses.push(Clause {
                text: part.to_owned(),
                specifier: specifier.clone(),
            });
        }
        Ok(Self(clauses))
    }
}

impl PartialOrd for Clause {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Clause {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl TryFrom<String> for Specifiers {
    type Error = SpecifiersError;
    fn try_from(text: String) -> Result<Self, SpecifiersError> {
        text.parse()
    }
}

impl From<Specifiers> for String {
    fn from(specifiers: Specifiers) -> Self {
        specifiers.to_string()
    }
}

impl fmt::Display for Specifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, clause) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(&clause.text)?;
        }
        Ok(())
    }
}

/// `pep440_rs` underlines mistakes over several lines; the first says what they are.
fn first_line(error: &impl fmt::Display) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn is_countable(version: &pep440_rs::Version) -> bool {
    version
        .release()
        .iter()
        .copied()
        .chain(version.post())
        .chain(version.dev())
        .chain(version.pre().map(|pre| pre.number))
        .chain([version.epoch()])
        .all(|number| number <= NUMBER_MAX)
}

/// What one specifier admits.
///
/// `pep440_rs` gives most of it. `==`, `!=` and `<=` are ours, because PEP 440 lets `==1.0` match `1.0+cpu`, which
/// stands between `1.0` and everything that follows it.
fn clause_range(specifier: &VersionSpecifier) -> Ranges<pep440_rs::Version> {
    let version = specifier.version();
    if version.is_local() {
        return Ranges::from(specifier.clone());
    }
    match specifier.operator() {
        Operator::Equal => with_local_builds(version),
        Operator::NotEqual => with_local_builds(version).complement(),
        Operator::LessThanEqual => Ranges::strictly_lower_than(after_local_builds(version)),
        _ => Ranges::from(specifier.clone()),
    }
}

fn with_local_builds(version: &pep440_rs::Version) -> Ranges<pep440_rs::Version> {
    Ranges::from_range_bounds(version.clone()..after_local_builds(version))
}

/// The lowest version above a public version and all its local builds.
fn after_local_builds(version: &pep440_rs::Version) -> pep440_rs::Version {
    let version = version.clone();
    if let Some(dev) = version.dev() {
        version.with_dev(Some(dev + 1))
    } else {
        let post = version.post().map_or(0, |post| post + 1);
        version.with_post(Some(post)).with_dev(Some(0))
    }
}

/// Mends what uploads of earlier years got wrong; the result may still not parse.
fn repair(text: &str) -> String {
    let text = text.replace(['\'', '"', '(', ')'], "");
    let mut clauses = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        for clause in split_clauses(part) {
            let operator_end = clause
                .find(|c: char| !"<>=!~".contains(c))
                .unwrap_or(clause.len());
            let (operator, version) = clause.split_at(operator_end);
            let operator = match operator {
                "=>" => ">=",
                "=<" => "<=",
                "=" | "" => "==",
                other => other,
            };
            let mut version = version.trim();
            if matches!(operator, ">=" | "<=" | ">" | "<" | "~=") {
                version = version.strip_suffix(".*").unwrap_or(version);
            }
            clauses.push(format!("{operator}{version}"));
        }
    }
    clauses.join(",")
}

/// Splits `>=1.0 <2.0` before each operator that follows a version.
fn split_clauses(text: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut after_operator = true;
    for (at, letter) in text.char_indices() {
        let is_operator = "<>=!~".contains(letter);
        if is_operator && !after_operator && at > 0 {
            starts.push(at);
        }
        if !letter.is_whitespace() {
            after_operator = is_operator;
        }
    }
    let ends = starts.iter().copied().skip(1).chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| text[*start..end].trim())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admits(specifiers: &str, version: &str) -> bool {
        specifiers
            .parse::<Specifiers>()
            .unwrap()
            .admit(&Version::parse(version))
    }

    #[test]
    fn admits_what_pep_440_says() {
        for (specifiers, inside, outside) in [
            ("", "1!0.1.dev3", "\u{0}"),
            ("==1.0", "1.0.0", "1.0.1"),
            ("==1.0", "1.0+cpu", "1.0.post1"),
            ("==1.0+cpu", "1.0+cpu", "1.0+cu118"),
            ("!=1.0", "1.0.post1", "1.0+cpu"),
            ("<=1.0", "1.0+cpu", "1.0.post1"),
            ("<=1.0.post1", "1.0.post1+x", "1.0.post2"),
            (">1.0", "1.0.1", "1.0.post1"),
            (">1.0", "1.1.dev1", "1.0+cpu"),
            ("<2.0", "1.9rc1", "2.0rc1"),
            ("<2.0rc2", "2.0rc1", "2.0rc2"),
            ("==1.5.*", "1.5.9", "1"),
            ("==1.5.*", "1.5rc1", "1.6.dev0"),
            ("~=1.4.5", "1.4.9", "1.5"),
            ("~=1.4", "1.9", "2.0.dev1"),
            ("===1.0", "1.0", "1.0.1"),
            (">=1,!=1.5.*,<2", "1.6", "1.5.2"),
        ] {
            assert!(
                admits(specifiers, inside),
                "{specifiers} must admit {inside}"
            );
            assert!(
                outside == "\u{0}" || !admits(specifiers, outside),
                "{specifiers} must not admit {outside}"
            );
        }
        assert!(admits("", "dev-r12") && !admits(">=0", "dev-r12"));
    }

    #[test]
    fn mends_what_uploads_got_wrong() {
        for (given, expected) in [
            (">=2.7.*", ">=2.7"),
            (">= '2.7'", ">=2.7"),
            (">=2.6, !=3.0.* !=3.1.*", ">=2.6,!=3.0.*,!=3.1.*"),
            (">=3.6,", ">=3.6"),
            ("=>1.0", ">=1.0"),
            ("(>=1.0)", ">=1.0"),
            ("1.0", "==1.0"),
            (">=1.0<2.0", ">=1.0,<2.0"),
        ] {
            assert!(
                given.parse::<Specifiers>().is_err(),
                "{given} parses as it is"
            );
            assert_eq!(
                Specifiers::parse_lenient(given).unwrap().to_string(),
                expected,
                "{given}"
            );
        }
        assert!(Specifiers::parse_lenient("nonsense").is_err());
    }

    #[test]
    fn keeps_its_spelling_through_serde() {
        let specifiers: Specifiers = ">= 1.0.0 , <2".parse().unwrap();
        let json = serde_json::to_string(&specifiers).unwrap();
        assert_eq!(
            serde_json::from_str::<Specifiers>(&json).unwrap(),
            specifiers
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}", near in "([<>=!~]{1,3} ?[0-9a-z.*+!]{0,24}[, ]?){0,4}", version in "[0-9a-z.+!]{0,12}") {
            for text in [text, near] {
                if let Ok(specifiers) = Specifiers::parse_lenient(&text) {
                    let version = Version::parse(&version);
                    let expected = specifiers.is_any()
                        || version.as_pep440().is_some_and(|version| specifiers.range().contains(version));
                    prop_assert_eq!(specifiers.admit(&version), expected);
                }
            }
        }

        #[test]
        fn large_numbers_are_refused_not_overflowed(number in u64::MAX - 3.., operator in "(==|~=|<=|>|!=)") {
            let text = format!("{operator}1.{number}");
            prop_assert!(text.parse::<Specifiers>().is_err(), "{} was accepted", text);
        }
    }
}
