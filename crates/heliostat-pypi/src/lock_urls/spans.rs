//! Every text in a document of TOML, JSON or YAML, with its place in the structure and its bytes in the file.
//!
//! Values only: no keys, no comments.

use std::fmt::Write as _;
use std::ops::Range;
use std::str::Chars;

use saphyr_parser::{Event, Parser};
use serde::de::IgnoredAny;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{LockFormat, LockUrlError};

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// Where it stands in the structure, e.g. `/package/3/sdist/url`.
    pub(super) place: String,
    /// What it says.
    pub(super) value: String,
    /// Its bytes, quotes included.
    pub(super) span: Range<usize>,
}

/// Every text of the document, from top to bottom. What is no text (numbers, dates) is in the list as it is written,
/// so that two lists are equal only where the documents are.
pub(super) fn texts(format: LockFormat, document: &str) -> Result<Vec<Text>, LockUrlError> {
    let mut texts = match format {
        LockFormat::Toml(_) => toml_texts(document),
        LockFormat::Json => json_texts(document),
        LockFormat::Yaml => yaml_texts(document),
    }
    .map_err(|reason| LockUrlError::Syntax {
        format,
        reason: reason.lines().next().unwrap_or_default().to_owned(),
    })?;
    texts.sort_by_key(|text| text.span.start);
    Ok(texts)
}

fn toml_texts(document: &str) -> Result<Vec<Text>, String> {
    let table = DeTable::parse(document).map_err(|error| error.message().to_owned())?;
    let mut texts = Vec::new();
    let mut open: Vec<(String, &Spanned<DeValue<'_>>)> = table
        .get_ref()
        .iter()
        .map(|(key, value)| (format!("/{}", key.get_ref()), value))
        .collect();
    while let Some((place, value)) = open.pop() {
        match value.get_ref() {
            DeValue::Table(table) => open.extend(
                table
                    .iter()
                    .map(|(key, value)| (format!("{place}/{}", key.get_ref()), value)),
            ),
            DeValue::Array(values) => open.extend(
                values
                    .iter()
                    .enumerate()
                    .map(|(index, value)| (format!("{place}/{index}"), value)),
            ),
            DeValue::String(text) => texts.push(Text {
                place,
                value: text.to_string(),
                span: value.span(),
            }),
            _ => texts.push(Text {
                place,
                value: document[value.span()].to_owned(),
                span: value.span(),
            }),
        }
    }
    Ok(texts)
}

/// JSON is read twice: by a strict reader, and then as the YAML that it also is, for the places.
fn json_texts(document: &str) -> Result<Vec<Text>, String> {
    let _is_json: IgnoredAny = serde_json::from_str(document).map_err(|error| error.to_string())?;
    yaml_texts(document)
}

/// What is open while events come by.
enum Open {
    /// A list, with the place of its next element.
    List(usize),
    /// A table, with the key whose value comes next.
    Table(Option<String>),
}

fn yaml_texts(document: &str) -> Result<Vec<Text>, String> {
    let mut offsets = Offsets::new(document);
    let mut open: Vec<Open> = Vec::new();
    let mut texts = Vec::new();
    for event in Parser::new_from_str(document) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        match event {
            Event::Scalar(value, ..) => {
                if let Some(Open::Table(key @ None)) = open.last_mut() {
                    *key = Some(value.into_owned());
                    continue;
                }
                texts.push(Text {
                    place: place(&open),
                    value: value.into_owned(),
                    span: offsets.at(span.start.index())..offsets.at(span.end.index()),
                });
                step(&mut open);
            }
            Event::SequenceStart(..) => open.push(Open::List(0)),
            Event::MappingStart(..) => open.push(Open::Table(None)),
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop();
                step(&mut open);
            }
            Event::Alias(_) => return Err("it uses aliases, which no lock file does".to_owned()),
            _ => {}
        }
        if open.len() > DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
    }
    Ok(texts)
}

/// Deeper than any lock file.
const DEPTH_MAX: usize = 64;

fn place(open: &[Open]) -> String {
    let mut place = String::new();
    for one in open {
        match one {
            Open::List(index) => {
                let _infallible = write!(place, "/{index}");
            }
            Open::Table(key) => {
                let _infallible = write!(place, "/{}", key.as_deref().unwrap_or("?"));
            }
        }
    }
    place
}

/// A value is over: the next one stands elsewhere. A table or list in a key's place makes a key that is never read.
fn step(open: &mut [Open]) {
    match open.last_mut() {
        Some(Open::List(index)) => *index += 1,
        Some(Open::Table(key)) => {
            *key = match key {
                Some(_) => None,
                None => Some("?".to_owned()),
            };
        }
        None => {}
    }
}

/// Turns places in characters, which only grow, into places in bytes.
struct Offsets<'a> {
    rest: Chars<'a>,
    length_bytes: usize,
    passed_chars: usize,
}

impl<'a> Offsets<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.chars(),
            length_bytes: text.len(),
            passed_chars: 0,
        }
    }

    fn at(&mut self, index_chars: usize) -> usize {
        while self.passed_chars < index_chars && self.rest.next().is_some() {
            self.passed_chars += 1;
        }
        self.length_bytes - self.rest.as_str().len()
    }
}
