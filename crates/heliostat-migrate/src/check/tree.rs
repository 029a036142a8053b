//! A file as the tree of values that its tools see, by a real parser of each language: TOML, JSON with and without
//! comments, YAML, INI. Owns which parser is for which file. Comments, quotes and layout are not in the tree.

use configparser::ini::{Ini, IniDefault};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

use crate::scan::Format;

/// Deeper than any file of settings.
const DEPTH_MAX: usize = 128;

/// The values of a file; `None` when it is of a kind without a parser here, or no such file (a template).
pub(super) fn tree(format: Format, text: &str) -> Option<Value> {
    match format {
        Format::Toml | Format::UvLock | Format::Pylock | Format::PoetryLock | Format::PdmLock => {
            toml::from_str(text).ok()
        }
        Format::PipfileLock | Format::Notebook => serde_json::from_str(text).ok(),
        Format::Json => serde_json::from_str(text)
            .or_else(|_| serde_json::from_str(&without_comments(text)))
            .ok(),
        Format::Yaml | Format::OtherLock => yaml(text),
        Format::PipConf | Format::Pypirc | Format::Ini => ini(text),
        _ => None,
    }
}

/// Python's configparser: values go on in deeper lines, no comments behind values.
fn ini(text: &str) -> Option<Value> {
    let mut defaults = IniDefault::default();
    defaults.case_sensitive = true;
    defaults.multiline = true;
    defaults.enable_inline_comments = false;
    defaults.comment_symbols = vec!['#', ';'];
    defaults.delimiters = vec!['=', ':'];
    let sections = Ini::new_from_defaults(defaults)
        .read(text.to_owned())
        .ok()?;
    let value = |value: Option<String>| value.map_or(Value::Null, lines);
    let tree = sections
        .into_iter()
        .map(|(name, keys)| {
            let keys: Map<String, Value> = keys
                .into_iter()
                .map(|(key, text)| (key, value(text)))
                .collect();
            (name, Value::Object(keys))
        })
        .collect();
    Some(Value::Object(tree))
}

/// A value of several lines as a list, so that a line that goes or comes is told from the others.
fn lines(text: String) -> Value {
    if !text.contains('\n') {
        return Value::String(text);
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Value::Array(lines.map(|line| Value::String(line.to_owned())).collect())
}

/// What is open while events come by.
enum Open {
    List(Vec<Value>),
    /// A table, with the key whose value comes next.
    Table(Map<String, Value>, Option<String>),
}

/// Every document of a YAML file. An alias is the number of its anchor: nothing is expanded.
fn yaml(text: &str) -> Option<Value> {
    let mut open = vec![Open::List(Vec::new())];
    for event in Parser::new_from_str(text) {
        let (event, _) = event.ok()?;
        match event {
            Event::Scalar(value, style, _, tag) => {
                close(&mut open, scalar(&value, style, tag.as_deref()))?;
            }
            Event::Alias(anchor) => close(&mut open, Value::String(format!("*{anchor}")))?,
            Event::SequenceStart(..) => open.push(Open::List(Vec::new())),
            Event::MappingStart(..) => open.push(Open::Table(Map::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let value = match open.pop()? {
                    Open::List(items) => Value::Array(items),
                    Open::Table(table, _) => Value::Object(table),
                };
                close(&mut open, value)?;
            }
            _ => {}
        }
        if open.len() > DEPTH_MAX {
            return None;
        }
    }
    match open.pop()? {
        Open::List(documents) => Some(Value::Array(documents)),
        Open::Table(..) => None,
    }
}

/// A plain `5` is no text `'5'`: the tree keeps them apart.
fn scalar(value: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let tag = tag.map(|tag| format!("{tag} ")).unwrap_or_default();
    let plain = matches!(style, ScalarStyle::Plain) && !value.contains("://");
    Value::String(format!("{tag}{}{value}", if plain { "=" } else { "" }))
}

/// Puts a finished value where it belongs; `None` when a key comes twice, for then nobody knows which counts.
fn close(open: &mut [Open], value: Value) -> Option<()> {
    match open.last_mut()? {
        Open::List(items) => items.push(value),
        Open::Table(table, key) => match key.take() {
            Some(key) => {
                let before = table.insert(key, value);
                if before.is_some() {
                    return None;
                }
            }
            None => {
                *key = Some(match value {
                    Value::String(text) => text.trim_start_matches('=').to_owned(),
                    other => other.to_string(),
                });
            }
        },
    }
    Some(())
}

/// JSON as editors take it: comments and commas before a closing bracket are blanked.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut comma = None;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
                continue;
            }
            _ => next.len_utf8(),
        };
        match next {
            ',' => comma = Some(out.len()),
            '}' | ']' => {
                if let Some(at) = comma.take() {
                    out.replace_range(at..=at, " ");
                }
            }
            _ if next.is_whitespace() => {}
            _ => comma = None,
        }
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// The length of the string that `text` begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_language_is_read_as_its_tools_do() {
        for (format, text, expected) in [
            (
                Format::PipConf,
                "[global]\nindex-url = a ; b\nfind-links =\n    c\n    # no\n    d\nKey: e\n",
                json!({"global": {"index-url": "a ; b", "find-links": ["c", "d"], "Key": "e"}}),
            ),
            (
                Format::Json,
                "{ // c\n \"a\": [1, /* , */ ], \"b\": \"// \\\" ,}\", }",
                json!({"a": [1], "b": "// \" ,}"}),
            ),
            (
                Format::Yaml,
                "a: &x\n  - 5\n  - '5' # c\nb: *x\n---\nrun: |\n  c\n",
                json!([{"a": ["=5", "5"], "b": "*1"}, {"run": "c\n"}]),
            ),
            (Format::Toml, "[a]\nb = 'c' # d", json!({"a": {"b": "c"}})),
        ] {
            let seen = tree(format, text).unwrap_or_default();
            assert_eq!(seen, expected, "{text}");
        }
        for (format, text) in [
            (Format::Yaml, "a: {{ b }}c\n"),
            (Format::Yaml, "a: 1\na: 2\n"),
            (Format::Json, "{\"a\": }"),
            (Format::Shell, "a=b"),
        ] {
            assert_eq!(tree(format, text), None, "{text}");
        }
    }
}
