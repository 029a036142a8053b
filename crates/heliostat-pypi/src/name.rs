//! Project names as PEP 503 normalises them. The raw spelling is not kept: pages carry normalised names only.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest project name we accept, in bytes. PyPI's own column has no limit; the longest real name is near 100.
pub const NAME_BYTES_MAX: usize = 200;

/// A project name in PEP 503 normalised form: lower case ASCII letters, digits and single `-`, starting and
/// ending with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectName(Arc<str>);

/// Why a text is not a project name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a project name: {reason}")]
pub struct NameError {
    /// The text as given, shortened for display.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl ProjectName {
    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectName {
    type Err = NameError;

    /// Validates by the core metadata specification's name rule and normalises by PEP 503.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let reject = |reason| NameError {
            text: text
                .chars()
                .take(80)
                .collect::<String>()
                .escape_debug()
                .to_string(),
            reason,
        };
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err(reject("it is empty"));
        };
        if bytes.len() > NAME_BYTES_MAX {
            return Err(reject("it is longer than 200 bytes"));
        }
        if !first.is_ascii_alphanumeric() || !last.is_ascii_alphanumeric() {
            return Err(reject(
                "it must start and end with an ASCII letter or digit",
            ));
        }
        let mut normalised = String::with_capacity(bytes.len());
        for &byte in bytes {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' => normalised.push(byte.into()),
                b'A'..=b'Z' => normalised.push(byte.to_ascii_lowercase().into()),
                b'-' | b'_' | b'.' => {
                    if !normalised.ends_with('-') {
                        normalised.push('-');
                    }
                }
                _ => {
                    return Err(reject(
                        "it may hold only ASCII letters, digits, `-`, `_` and `.`",
                    ));
                }
            }
        }
        Ok(Self(normalised.into()))
    }
}

impl TryFrom<String> for ProjectName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ProjectName> for String {
    fn from(name: ProjectName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProjectName({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_as_pep_503_says() {
        for (given, expected) in [
            ("Requests", "requests"),
            ("zope.interface", "zope-interface"),
            ("a-_.b", "a-b"),
            ("7zip", "7zip"),
        ] {
            assert_eq!(given.parse::<ProjectName>().unwrap().as_str(), expected);
        }
    }

    #[test]
    fn rejects_what_is_not_a_name() {
        for given in [
            "",
            "-a",
            "a-",
            "_x",
            "acme sdk",
            "a/b",
            "..",
            "é",
            "a\n",
            &"a".repeat(201),
        ] {
            assert!(
                given.parse::<ProjectName>().is_err(),
                "{given:?} was accepted"
            );
        }
    }
}
