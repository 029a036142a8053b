//! What core metadata says to people: who wrote it, under which licence, what it is for.
//!
//! Owns reading these fields as they stand. What decides an installation is `CoreMetadata`'s.

use std::collections::BTreeMap;

use super::{METADATA_BYTES_MAX, MetadataError, Parts, joined};

/// How many values of one field are kept. The most on PyPI are a few hundred classifiers.
const VALUES_MAX: usize = 20_000;

/// The fields of a core metadata document as texts (core metadata specification). What is not there is `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Described {
    /// Fields that stand once, by their name in lower case; the first counts.
    single: BTreeMap<&'static str, String>,
    /// Fields that may stand several times, by their name in lower case, in the order of the document.
    several: BTreeMap<&'static str, Vec<String>>,
}

/// Fields that are told and stand once.
const SINGLE: [&str; 13] = [
    "author",
    "author-email",
    "description",
    "description-content-type",
    "download-url",
    "home-page",
    "keywords",
    "license",
    "license-expression",
    "maintainer",
    "maintainer-email",
    "platform",
    "summary",
];

/// Fields that are told and may stand several times.
const SEVERAL: [&str; 6] = [
    "classifier",
    "dynamic",
    "license-file",
    "project-url",
    "provides-extra",
    "requires-dist",
];

impl Described {
    /// Reads a document. Lenient as [`CoreMetadata::parse`](super::CoreMetadata::parse) is; the body is the description
    /// where no field is.
    pub fn parse(document: &[u8]) -> Result<Self, MetadataError> {
        if document.len() as u64 > METADATA_BYTES_MAX {
            return Err(MetadataError::TooLarge);
        }
        let text = String::from_utf8_lossy(document);
        let parts = Parts::of(text.strip_prefix('\u{feff}').unwrap_or(&text));
        if parts.fields.is_empty() {
            return Err(MetadataError::Empty);
        }
        let mut described = Self::default();
        for (key, lines) in &parts.fields {
            let key = key.to_ascii_lowercase();
            if let Some(name) = known(&SINGLE, &key) {
                let value = match name {
                    "description" => unfolded(lines),
                    _ => joined(lines),
                };
                described.single.entry(name).or_insert(value);
            } else if let Some(name) = known(&SEVERAL, &key) {
                let values = described.several.entry(name).or_default();
                if values.len() < VALUES_MAX {
                    values.push(joined(lines));
                }
            }
        }
        if !parts.body.trim().is_empty() {
            described
                .single
                .entry("description")
                .or_insert_with(|| parts.body.to_owned());
        }
        Ok(described)
    }

    /// A field that stands once, by its name in lower case.
    pub fn one(&self, field: &str) -> Option<&str> {
        self.single.get(field).map(String::as_str)
    }

    /// A field that may stand several times, by its name in lower case; `None` where it does not stand at all.
    pub fn all(&self, field: &str) -> Option<&[String]> {
        self.several.get(field).map(Vec::as_slice)
    }

    /// `Project-URL`s by their labels.
    pub fn project_urls(&self) -> Option<BTreeMap<&str, &str>> {
        let urls = self.all("project-url")?.iter();
        Some(
            urls.filter_map(|line| line.split_once(','))
                .map(|(label, url)| (label.trim(), url.trim()))
                .collect(),
        )
    }
}

fn known(names: &[&'static str], key: &str) -> Option<&'static str> {
    names.iter().copied().find(|name| *name == key)
}

/// A text over several lines as it was before it was folded: by eight spaces, or by seven and a bar.
fn unfolded(lines: &[&str]) -> String {
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let line = line
            .strip_prefix("       |")
            .or_else(|| line.strip_prefix("        "))
            .unwrap_or(line);
        text.push_str(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_as_they_stand() {
        let document = "Metadata-Version: 2.4\r\nName: acme\r\nVersion: 1.0\r\nSummary: An anvil,\r\n  dropped\r\nAuthor: W. E. Coyote\r\n\
            License-Expression: MIT\r\nClassifier: A :: B\r\nClassifier: C\r\nProject-URL: Home, https://acme.example/a,b\r\n\
            Project-URL: broken\r\nRequires-Dist: other>=1\r\nSummary: again\r\n\r\n# Anvils\r\nfall.\r\n";
        let described = Described::parse(document.as_bytes()).unwrap();
        assert_eq!(described.one("summary"), Some("An anvil, dropped"));
        assert_eq!(described.one("author"), Some("W. E. Coyote"));
        assert_eq!(described.one("maintainer"), None);
        assert_eq!(described.one("description"), Some("# Anvils\r\nfall.\r\n"));
        assert_eq!(described.all("classifier").unwrap(), ["A :: B", "C"]);
        assert_eq!(described.all("requires-dist").unwrap(), ["other>=1"]);
        assert_eq!(described.all("provides-extra"), None);
        assert_eq!(
            described.project_urls().unwrap(),
            [("Home", "https://acme.example/a,b")].into()
        );
    }

    #[test]
    fn an_older_description_is_unfolded() {
        for fold in ["        ", "       |"] {
            let document = format!("Name: a\nDescription: One\n{fold}\n{fold}  Two\nAuthor: b\n");
            let described = Described::parse(document.as_bytes()).unwrap();
            let text = described.one("description").unwrap();
            assert!(text == "One\n\n  Two", "{text:?}");
            assert_eq!(described.one("author"), Some("b"));
        }
        assert_eq!(Described::parse(b"\n\nbody"), Err(MetadataError::Empty));
    }
}
