//! Core metadata: the few fields that mirroring needs, and getting the document out of a wheel.
//!
//! Owns reading `METADATA` and `PKG-INFO`. The bytes themselves are never rewritten: what is published beside a file
//! is what stands in it.

mod described;
mod wheel;

use std::collections::BTreeSet;

use crate::{ExtraName, ProjectName, Requirement, Specifiers, Version};

pub use described::Described;
pub use wheel::{WheelError, extract_wheel_metadata};

/// The largest metadata document we read, in bytes. The largest on PyPI are long descriptions of a few megabytes.
pub const METADATA_BYTES_MAX: u64 = 16 << 20;

/// How many requirements of one document are read. The most on PyPI are near two thousand.
pub const REQUIRES_DIST_MAX: usize = 20_000;

/// The fields of a core metadata document that decide what is installed beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CoreMetadata {
    /// `Metadata-Version`
    pub metadata_version: Option<Version>,
    /// `Name`
    pub name: Option<ProjectName>,
    /// `Version`
    pub version: Option<Version>,
    /// `Requires-Python`
    pub requires_python: Specifiers,
    /// `Requires-Dist`
    pub requires_dist: Vec<Requirement>,
    /// `Provides-Extra`
    pub provides_extra: BTreeSet<ExtraName>,
    /// `Dynamic`, lower case (PEP 643): what a source distribution leaves to its build.
    pub dynamic: BTreeSet<String>,
    /// Fields that could not be read, each with its value shortened and the reason.
    pub problems: Vec<String>,
}

/// Why a document is not core metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Larger than [`METADATA_BYTES_MAX`].
    #[error("the metadata is larger than 16 MiB")]
    TooLarge,
    /// No header at all.
    #[error("the document holds no metadata fields")]
    Empty,
}

impl CoreMetadata {
    /// Reads the header of a document (core metadata specification; the format is that of mail headers).
    ///
    /// Lenient: the encoding may be wrong, lines may end in any way, and a field that cannot be read is a problem and
    /// no failure. The body, which is the description, is not looked at.
    pub fn parse(document: &[u8]) -> Result<Self, MetadataError> {
        if document.len() as u64 > METADATA_BYTES_MAX {
            return Err(MetadataError::TooLarge);
        }
        let text = String::from_utf8_lossy(document);
        let fields = header_fields(text.strip_prefix('\u{feff}').unwrap_or(&text));
        if fields.is_empty() {
            return Err(MetadataError::Empty);
        }
        let mut metadata = Self::default();
        for (key, value) in fields {
            if let Err(reason) = metadata.take(&key.to_ascii_lowercase(), &value) {
                let value = value
                    .chars()
                    .take(120)
                    .collect::<String>()
                    .escape_debug()
                    .to_string();
                metadata
                    .problems
                    .push(format!("{key}: `{value}`: {reason}"));
            }
        }
        Ok(metadata)
    }

    /// Whether the dependencies are those of every wheel that the file can become: always for a wheel's own
    /// metadata, and for a source distribution from metadata 2.2 on unless it says otherwise (PEP 643).
    pub fn dependencies_are_static(&self) -> bool {
        let is_declared = self
            .metadata_version
            .as_ref()
            .is_some_and(|version| *version >= Version::parse("2.2"));
        is_declared
            && !self.dynamic.contains("requires-dist")
            && !self.dynamic.contains("provides-extra")
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "metadata-version" => self.metadata_version = Some(Version::parse(value)),
            "name" => {
                let name = value
                    .parse()
                    .map_err(|error: crate::NameError| error.reason.to_owned())?;
                self.name = Some(name);
            }
            "version" => self.version = Some(Version::parse(value)),
            "requires-python" => {
                self.requires_python =
                    Specifiers::parse_lenient(value).map_err(|error| error.reason)?;
            }
            "requires-dist" if self.requires_dist.len() == REQUIRES_DIST_MAX => {
                return Err("there are more than 20000 requirements".to_owned());
            }
            "requires-dist" => {
                self.requires_dist.push(
                    value
                        .parse()
                        .map_err(|error: crate::RequirementError| error.reason)?,
                );
            }
            "provides-extra" => {
                let extra = value
                    .parse()
                    .map_err(|error: crate::NameError| error.reason.to_owned())?;
                self.provides_extra.insert(extra);
            }
            "dynamic" => {
                self.dynamic.insert(value.to_ascii_lowercase());
            }
            _ => {}
        }
        Ok(())
    }
}

/// A document in its two parts.
struct Parts<'t> {
    /// `Key: value` lines up to the first empty one, each with the lines that were folded into it, as they stand.
    fields: Vec<(&'t str, Vec<&'t str>)>,
    /// What follows.
    body: &'t str,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Self {
        let mut fields: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut body = "";
        let mut rest = text;
        while !rest.is_empty() {
            let (whole, after) = match rest.find('\n') {
                Some(at) => rest.split_at(at + 1),
                None => (rest, ""),
            };
            rest = after;
            let line = whole.trim_end_matches(['\r', '\n']);
            // An older description may hold lines of nothing but what they are folded by.
            if line.trim().is_empty() && !line.starts_with("        ") {
                body = rest;
                break;
            }
            if line.starts_with([' ', '\t']) {
                if let Some((_, lines)) = fields.last_mut() {
                    lines.push(line);
                }
            } else if let Some((key, value)) = line.split_once(':') {
                fields.push((key.trim(), vec![value.trim()]));
            }
        }
        Self { fields, body }
    }
}

/// `Key: value` lines up to the first empty line, folded lines joined.
fn header_fields(text: &str) -> Vec<(&str, String)> {
    Parts::of(text)
        .fields
        .into_iter()
        .map(|(key, lines)| (key, joined(&lines)))
        .collect()
}

/// A folded value on one line.
fn joined(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests;
