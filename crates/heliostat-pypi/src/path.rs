//! Paths inside the tree. No other code may build a path from text that came from outside.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::digest::{from_hex_32, to_hex};

/// The longest file name we accept, in bytes: what common file systems take, less the room that `.metadata` needs.
pub const FILE_NAME_BYTES_MAX: usize = 240;

/// A relative path with `/` between its segments that cannot leave its root: no empty, `.` or `..` segment, no
/// backslash, no control character, no leading or trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

/// Where one file lives in the tree: `packages/aa/bb/<60 hex>/<file>`, PyPI's own shape.
///
/// The 64 hexadecimal digits identify the file. At PyPI they are the BLAKE2b-256 of its content; for upstreams
/// without such paths they are the file's sha256, or the sha256 of its address where no digest is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreePath {
    id: [u8; 32],
    filename: String,
}

/// Why a text is not a path we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an acceptable path: {reason}")]
pub struct PathError {
    /// The text as given, shortened and escaped for display.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl PathError {
    fn new(text: &str, reason: &'static str) -> Self {
        let text = text
            .chars()
            .take(120)
            .collect::<String>()
            .escape_debug()
            .to_string();
        Self { text, reason }
    }
}

impl RelPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RelPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::new(text, "it is empty"));
        }
        for segment in text.split('/') {
            check_segment(segment).map_err(|reason| PathError::new(text, reason))?;
        }
        Ok(Self(text.to_owned()))
    }
}

impl TreePath {
    /// A path from its identifying 32 bytes and a file name, which is checked to be one plain segment.
    pub fn new(id: [u8; 32], filename: &str) -> Result<Self, PathError> {
        check_segment(filename).map_err(|reason| PathError::new(filename, reason))?;
        if filename.len() > FILE_NAME_BYTES_MAX {
            return Err(PathError::new(
                filename,
                "the file name is longer than 240 bytes",
            ));
        }
        Ok(Self {
            id,
            filename: filename.to_owned(),
        })
    }

    /// The path that a file found at `url` gets: PyPI's own where the address ends in one, else made from the
    /// sha256, else from the sha256 of the address without its query and fragment.
    pub fn for_upstream(
        url: &str,
        filename: &str,
        sha256: Option<&Sha256>,
    ) -> Result<Self, PathError> {
        let plain = url.split(['?', '#']).next().unwrap_or(url);
        let mut segments = plain.rsplit('/');
        let _filename = segments.next();
        if let (Some(rest), Some(second), Some(first), Some("packages")) = (
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
        ) && (first.len(), second.len(), rest.len()) == (2, 2, 60)
            && let Some(id) = from_hex_32(&[first, second, rest].concat())
        {
            return Self::new(id, filename);
        }
        let id = sha256
            .copied()
            .unwrap_or_else(|| Sha256::of(plain.as_bytes()));
        Self::new(*id.as_bytes(), filename)
    }

    /// The 32 bytes that the directories spell.
    pub const fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// The identifying bytes as 64 hexadecimal digits.
    pub fn id_hex(&self) -> String {
        to_hex(&self.id)
    }

    /// The last segment.
    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// `packages/aa/bb/<60 hex>`, without the file name.
    pub fn directory(&self) -> String {
        let hex = self.id_hex();
        format!("packages/{}/{}/{}", &hex[..2], &hex[2..4], &hex[4..])
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.directory(), self.filename)
    }
}

impl FromStr for TreePath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        let reject = || PathError::new(text, "it is not `packages/aa/bb/<60 hex>/<file>`");
        let segments: Vec<&str> = text.split('/').collect();
        let ["packages", first, second, rest, filename] = segments[..] else {
            return Err(reject());
        };
        if (first.len(), second.len(), rest.len()) != (2, 2, 60) {
            return Err(reject());
        }
        let hex = [first, second, rest].concat();
        if hex.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(reject());
        }
        Self::new(from_hex_32(&hex).ok_or_else(reject)?, filename)
    }
}

impl TryFrom<String> for RelPath {
    type Error = PathError;
    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

impl TryFrom<String> for TreePath {
    type Error = PathError;
    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<TreePath> for String {
    fn from(path: TreePath) -> Self {
        path.to_string()
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn check_segment(segment: &str) -> Result<(), &'static str> {
    if segment.is_empty() {
        Err("a segment is empty")
    } else if segment == "." || segment == ".." {
        Err("a segment is `.` or `..`")
    } else if segment.contains(['/', '\\']) {
        Err("a segment holds a slash or backslash")
    } else if segment.chars().any(char::is_control) {
        Err("it holds a control character")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_pypi_address_keeps_its_path() {
        let text = format!(
            "packages/{}/{}/{}/a-1.0.tar.gz",
            &HEX[..2],
            &HEX[2..4],
            &HEX[4..]
        );
        let path = TreePath::for_upstream(
            &format!("https://files.example/{text}#sha256=00"),
            "a-1.0.tar.gz",
            None,
        );
        assert_eq!(path.unwrap().to_string(), text);
        assert_eq!(text.parse::<TreePath>().unwrap().to_string(), text);
    }

    #[test]
    fn another_address_gets_a_path_from_its_digest_or_itself() {
        let digest = Sha256::of(b"x");
        let known =
            TreePath::for_upstream("https://e.example/w/a.whl", "a.whl", Some(&digest)).unwrap();
        assert_eq!(known.id(), digest.as_bytes());
        let unknown =
            TreePath::for_upstream("https://e.example/w/a.whl?t=1", "a.whl", None).unwrap();
        assert_eq!(
            unknown.id(),
            Sha256::of(b"https://e.example/w/a.whl").as_bytes()
        );
    }

    #[test]
    fn nothing_leaves_the_root() {
        for text in [
            "",
            "/",
            "../a",
            "a//b",
            "a/./b",
            "a/..",
            "a\\b",
            "a\0b",
            "/etc/passwd",
            "a/",
        ] {
            assert!(text.parse::<RelPath>().is_err(), "{text:?} was accepted");
        }
        for name in ["", "..", "a/b", "a\\b", "a\nb", &"a".repeat(241)] {
            assert!(
                TreePath::new([0; 32], name).is_err(),
                "{name:?} was accepted"
            );
        }
    }
}
