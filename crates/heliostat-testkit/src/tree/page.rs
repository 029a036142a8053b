//! Reading the documents of a tree.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A project's page, from JSON or HTML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// JSON's `name`; the heading does not count in HTML.
    pub name: Option<String>,
    /// `_last-serial`, where it is a number.
    pub serial: Option<u64>,
    /// PEP 792, where given.
    pub status: Option<String>,
    /// JSON's `versions`.
    pub versions: Vec<String>,
    /// Every file by name.
    pub files: BTreeMap<String, Entry>,
}

/// One file of a page. What both formats can say compares equal whichever it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The address as it stands there, without fragment, percent-decoded.
    pub url: String,
    /// Lower-case hexadecimal.
    pub sha256: Option<String>,
    /// The specifier.
    pub requires_python: Option<String>,
    /// `None`: not yanked; empty: without a reason.
    pub yanked: Option<String>,
    /// How metadata is offered.
    pub metadata: Offer,
    /// The provenance address.
    pub provenance: Option<String>,
    /// JSON only.
    pub size_bytes: Option<u64>,
    /// JSON only.
    pub upload_time: Option<String>,
}

/// How metadata is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// Not.
    Absent,
    /// Without a digest.
    Unhashed,
    /// With this sha256.
    Sha256(String),
}

impl Page {
    /// Reads a JSON page. The error says what is wrong.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let document: Value =
            serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))?;
        let files = document["files"].as_array().ok_or("no `files`")?;
        let mut page = Self {
            name: text(&document["name"]),
            serial: document["meta"]["_last-serial"].as_u64(),
            status: text(&document["project-status"]["status"]),
            versions: document["versions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(text)
                .collect(),
            files: BTreeMap::new(),
        };
        text(&document["meta"]["api-version"]).ok_or("no `meta.api-version`")?;
        for file in files {
            let filename = text(&file["filename"]).ok_or("a file without `filename`")?;
            let entry = Entry {
                url: decode(
                    file["url"]
                        .as_str()
                        .ok_or_else(|| format!("{filename}: no `url`"))?,
                ),
                sha256: text(&file["hashes"]["sha256"]),
                requires_python: text(&file["requires-python"]),
                yanked: match &file["yanked"] {
                    Value::Bool(true) => Some(String::new()),
                    other => text(other),
                },
                metadata: match &file["core-metadata"] {
                    Value::Bool(true) => Offer::Unhashed,
                    other => text(&other["sha256"]).map_or(Offer::Absent, Offer::Sha256),
                },
                provenance: text(&file["provenance"]),
                size_bytes: file["size"].as_u64(),
                upload_time: text(&file["upload-time"]),
            };
            page.insert(&filename, entry)?;
        }
        Ok(page)
    }

    /// Reads an HTML page of the kind that mirrors write. The error says what is wrong.
    pub fn from_html(bytes: &[u8]) -> Result<Self, String> {
        let html = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
        let mut page = Self::default();
        for anchor in anchors(html)? {
            let mut attributes = anchor.attributes;
            let href = attributes.remove("href").ok_or("a link without `href`")?;
            let (url, fragment) = href.split_once('#').unwrap_or((&href, ""));
            let entry = Entry {
                url: decode(url),
                sha256: fragment.strip_prefix("sha256=").map(str::to_owned),
                requires_python: attributes.remove("data-requires-python"),
                yanked: attributes.remove("data-yanked"),
                metadata: match attributes.remove("data-core-metadata").as_deref() {
                    None | Some("false") => Offer::Absent,
                    Some(value) => value
                        .strip_prefix("sha256=")
                        .map_or(Offer::Unhashed, |digest| Offer::Sha256(digest.to_owned())),
                },
                provenance: attributes.remove("data-provenance"),
                size_bytes: None,
                upload_time: None,
            };
            page.insert(&anchor.text, entry)?;
        }
        Ok(page)
    }

    fn insert(&mut self, filename: &str, entry: Entry) -> Result<(), String> {
        if entry.url.rsplit('/').next() != Some(filename) {
            return Err(format!(
                "{filename}: the address `{}` ends otherwise",
                entry.url
            ));
        }
        match self.files.insert(filename.to_owned(), entry) {
            Some(_) => Err(format!("{filename}: listed twice")),
            None => Ok(()),
        }
    }
}

/// The root list: name as written to serial, where given. The error says what is wrong.
pub(super) fn list_from_json(bytes: &[u8]) -> Result<Vec<(String, Option<u64>)>, String> {
    let document: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))?;
    let projects = document["projects"].as_array().ok_or("no `projects`")?;
    projects
        .iter()
        .map(|project| {
            Ok((
                text(&project["name"]).ok_or("a project without `name`")?,
                project["_last-serial"].as_u64(),
            ))
        })
        .collect()
}

/// The root list: names as the links spell them.
pub(super) fn list_from_html(bytes: &[u8]) -> Result<Vec<String>, String> {
    let html = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    let anchors = anchors(html)?;
    anchors
        .into_iter()
        .map(|anchor| {
            let href = anchor
                .attributes
                .get("href")
                .ok_or("a link without `href`")?;
            Ok(href
                .trim_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned())
        })
        .collect()
}

struct Anchor {
    attributes: BTreeMap<String, String>,
    text: String,
}

/// Every `<a …>text</a>`. Enough for what mirrors write: attributes in double quotes, nothing nested.
fn anchors(html: &str) -> Result<Vec<Anchor>, String> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find("<a ") {
        rest = &rest[start + 3..];
        let mut attributes = BTreeMap::new();
        let after_tag = loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('>') {
                break after;
            }
            let (name, after_name) = rest.split_once("=\"").ok_or("a broken link")?;
            let (value, after_value) = after_name.split_once('"').ok_or("a broken attribute")?;
            if attributes
                .insert(name.to_owned(), unescape(value))
                .is_some()
            {
                return Err(format!("attribute `{name}` twice"));
            }
            rest = after_value;
        };
        let (text, after) = after_tag.split_once("</a>").ok_or("a link without end")?;
        found.push(Anchor {
            attributes,
            text: unescape(text),
        });
        rest = after;
    }
    Ok(found)
}

fn unescape(text: &str) -> String {
    const ENTITIES: [(&str, &str); 7] = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#34;", "\""),
        // Last, so that what it yields is not taken for another entity.
        ("&amp;", "&"),
    ];
    ENTITIES
        .iter()
        .fold(text.to_owned(), |text, (entity, character)| {
            text.replace(entity, character)
        })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn decode(url: &str) -> String {
    percent_decode_str(url).decode_utf8_lossy().into_owned()
}
