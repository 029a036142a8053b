//! Patterns over names: `acme-*`, `*-nightly`, `{django,flask}-*`.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use crate::ProjectName;

/// The longest pattern we read, in bytes.
const PATTERN_BYTES_MAX: usize = 500;

/// A glob over normalised project names. A plain name matches itself alone, in any spelling of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern(GlobMatcher);

/// A glob over file names, without regard to case.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePattern(GlobMatcher);

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a pattern: {reason}")]
pub struct PatternError {
    /// The text as given, shortened and escaped for display.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl NamePattern {
    /// Whether a project's name matches.
    pub fn matches(&self, name: &ProjectName) -> bool {
        self.0.is_match(name.as_str())
    }

    /// The pattern as text, normalised.
    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }
}

impl FilePattern {
    /// Whether a file's name matches.
    pub fn matches(&self, filename: &str) -> bool {
        self.0.is_match(filename)
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }
}

impl FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        // A name is normalised as names are. In a pattern the separators stand for each other, but a run of them may
        // be cut by a wildcard, so each is only brought into its normal form.
        let normal = text.parse::<ProjectName>().map_or_else(
            |_| text.to_ascii_lowercase().replace(['_', '.'], "-"),
            |name| name.as_str().to_owned(),
        );
        compile(text, &normal).map(Self)
    }
}

impl FromStr for FilePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        compile(text, text.trim()).map(Self)
    }
}

fn compile(given: &str, glob: &str) -> Result<GlobMatcher, PatternError> {
    let reject = |reason: String| PatternError {
        text: given
            .chars()
            .take(80)
            .collect::<String>()
            .escape_debug()
            .to_string(),
        reason,
    };
    if glob.is_empty() {
        return Err(reject("it is empty".to_owned()));
    }
    if glob.len() > PATTERN_BYTES_MAX {
        return Err(reject("it is longer than 500 bytes".to_owned()));
    }
    if glob.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
        return Err(reject("it may hold no slash and no white space".to_owned()));
    }
    let glob = GlobBuilder::new(glob)
        .case_insensitive(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| reject(error.kind().to_string()))?;
    Ok(glob.compile_matcher())
}

macro_rules! as_text {
    ($($pattern:ident),+) => {$(
        impl PartialEq for $pattern {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl Eq for $pattern {}

        impl fmt::Debug for $pattern {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($pattern), "({})"), self.as_str())
            }
        }

        impl fmt::Display for $pattern {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl TryFrom<String> for $pattern {
            type Error = PatternError;
            fn try_from(text: String) -> Result<Self, PatternError> {
                text.parse()
            }
        }

        impl From<$pattern> for String {
            fn from(pattern: $pattern) -> Self {
                pattern.as_str().to_owned()
            }
        }
    )+};
}

as_text!(NamePattern, FilePattern);
