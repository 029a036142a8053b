//! One dependency specifier (PEP 508): a project, extras, versions or an address, and a marker.
//!
//! Written here rather than taken from a library because these texts come from whoever uploads to an index: the
//! published parser for Rust recurses without bound and keeps every marker as a decision diagram that a line of a
//! kilobyte can make exponentially large. This one is linear in its text.

mod marker;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{NameError, ProjectName, Specifiers};

pub use marker::{Marker, MarkerEnvironment, MarkerError, Values};

/// The longest dependency specifier we read, in bytes.
pub const REQUIREMENT_BYTES_MAX: usize = 16_384;

/// A dependency specifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Requirement {
    /// The project.
    pub name: ProjectName,
    /// The extras asked for.
    pub extras: BTreeSet<ExtraName>,
    /// Which versions, or which address.
    pub source: RequirementSource,
    /// When it applies; `None` is always.
    pub marker: Option<Marker>,
}

/// Where a requirement wants its project from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequirementSource {
    /// An index: these versions.
    Index(Specifiers),
    /// `name @ https://…`, which an index cannot serve. Kept as written.
    Address(String),
}

/// The name of an extra, normalised as PEP 685 says (the same rule as project names).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExtraName(ProjectName);

/// Why a text is not a dependency specifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a requirement: {reason}")]
pub struct RequirementError {
    /// The text as given, shortened and escaped for display.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Requirement {
    /// A requirement for any version of a project.
    pub const fn of(name: ProjectName) -> Self {
        Self {
            name,
            extras: BTreeSet::new(),
            source: RequirementSource::Index(Specifiers::any()),
            marker: None,
        }
    }

    /// The versions admitted, where it names an index.
    pub const fn specifiers(&self) -> Option<&Specifiers> {
        match &self.source {
            RequirementSource::Index(specifiers) => Some(specifiers),
            RequirementSource::Address(_) => None,
        }
    }

    /// Whether it may apply on `environment`, with `extra` asked for of the project that has this requirement.
    pub fn may_apply(&self, environment: &MarkerEnvironment, extra: Option<&ExtraName>) -> bool {
        self.marker
            .as_ref()
            .is_none_or(|marker| marker.may_hold(environment, extra))
    }
}

impl ExtraName {
    /// The normalised name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ExtraName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ExtraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    /// Reads PEP 508, with the leniency of [`Specifiers::parse_lenient`] for the versions.
    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let reject = |reason: String| RequirementError {
            text: text
                .chars()
                .take(160)
                .collect::<String>()
                .escape_debug()
                .to_string(),
            reason,
        };
        if text.len() > REQUIREMENT_BYTES_MAX {
            return Err(reject("it is longer than 16384 bytes".to_owned()));
        }
        let rest = text.trim();
        let name_end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
            .unwrap_or(rest.len());
        let (name, rest) = rest.split_at(name_end);
        if name.is_empty() {
            return Err(reject(
                "it does not start with the name of a project".to_owned(),
            ));
        }
        let name: ProjectName = name
            .parse()
            .map_err(|error: NameError| reject(error.reason.to_owned()))?;
        let (extras, rest) = read_extras(rest.trim_start()).map_err(&reject)?;
        let (source, marker) = match rest.strip_prefix('@') {
            Some(address) => read_address(address.trim_start()),
            None => match rest.split_once(';') {
                Some((versions, marker)) => {
                    (read_versions(versions).map_err(&reject)?, Some(marker))
                }
                None => (read_versions(rest).map_err(&reject)?, None),
            },
        };
        let marker = match marker.map(str::trim) {
            None => None,
            Some(marker) => Some(
                marker
                    .parse()
                    .map_err(|error: MarkerError| reject(error.to_string()))?,
            ),
        };
        Ok(Self {
            name,
            extras,
            source,
            marker,
        })
    }
}

impl TryFrom<String> for Requirement {
    type Error = RequirementError;
    fn try_from(text: String) -> Result<Self, RequirementError> {
        text.parse()
    }
}

impl From<Requirement> for String {
    fn from(requirement: Requirement) -> Self {
        requirement.to_string()
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        if !self.extras.is_empty() {
            let extras: Vec<&str> = self.extras.iter().map(ExtraName::as_str).collect();
            write!(f, "[{}]", extras.join(","))?;
        }
        match &self.source {
            RequirementSource::Index(specifiers) => specifiers.fmt(f)?,
            RequirementSource::Address(address) => write!(f, " @ {address}")?,
        }
        match &self.marker {
            Some(marker) => write!(f, " ; {marker}"),
            None => Ok(()),
        }
    }
}

fn read_extras(text: &str) -> Result<(BTreeSet<ExtraName>, &str), String> {
    let Some(rest) = text.strip_prefix('[') else {
        return Ok((BTreeSet::new(), text));
    };
    let (inside, rest) = rest
        .split_once(']')
        .ok_or("the extras have no closing `]`")?;
    let names = inside
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let extras = names.map(|name| name.parse().map_err(|error: NameError| error.to_string()));
    Ok((extras.collect::<Result<_, _>>()?, rest.trim_start()))
}

fn read_versions(text: &str) -> Result<RequirementSource, String> {
    let text = text.trim();
    // Older metadata puts parentheses around the specifiers.
    let inside = text
        .strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'))
        .unwrap_or(text);
    if !(inside.is_empty() || inside.trim_start().starts_with(['<', '>', '=', '!', '~'])) {
        return Err("after the name come extras, a version specifier, `@` or `;`".to_owned());
    }
    Specifiers::parse_lenient(inside)
        .map(RequirementSource::Index)
        .map_err(|error| error.to_string())
}

/// An address ends at white space before `;`, because addresses may hold a semicolon themselves.
fn read_address(text: &str) -> (RequirementSource, Option<&str>) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (address, rest) = text.split_at(end);
    (
        RequirementSource::Address(address.to_owned()),
        rest.trim_start().strip_prefix(';'),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_part() {
        for (given, expected) in [
            ("requests", "requests"),
            (
                "Requests [security,Socks_5] >= 2.8.1, == 2.8.*",
                "requests[security,socks-5]>= 2.8.1,== 2.8.*",
            ),
            ("a(>=1.0)", "a>=1.0"),
            ("a (>=1.0,<2)", "a>=1.0,<2"),
            ("a[]", "a"),
            ("a;python_version<'3'", "a ; python_version < '3'"),
            ("a >=1 ; extra == \"b\"", "a>=1 ; extra == 'b'"),
            (
                "a @ https://e.example/a-1.0.zip;x#sha256=0 ; os_name=='nt'",
                "a @ https://e.example/a-1.0.zip;x#sha256=0 ; os_name == 'nt'",
            ),
            ("a>=2.7.*", "a>=2.7"),
        ] {
            let read: Requirement = given.parse().unwrap();
            assert_eq!(read.to_string(), expected, "{given}");
            assert_eq!(expected.parse::<Requirement>().unwrap(), read, "{given}");
        }
    }

    #[test]
    fn refuses_what_is_not_one() {
        for given in [
            "",
            ">=1",
            "a b",
            "a[b",
            "a[b c]",
            "a >=1 ; nonsense",
            "a ;",
            "./a",
            "a/b",
            "a=1 b",
            "git+https://e.example/a",
        ] {
            assert!(
                given.parse::<Requirement>().is_err(),
                "{given:?} was accepted"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_written_reads_the_same(
            text in "\\PC{0,60}",
            near in "[a-z]{1,3}(\\[[a-z,]{0,4}\\])? ?([<>=!~]{1,2}[0-9.*]{0,4},?){0,2}( ?@ ?[a-z:/]{0,9})?( ; ?[a-z_ '\"()=<>0-9.]{0,30})?",
        ) {
            for text in [text, near] {
                if let Ok(read) = text.parse::<Requirement>() {
                    prop_assert_eq!(read.to_string().parse::<Requirement>(), Ok(read));
                }
            }
        }
    }
}
