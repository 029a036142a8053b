//! JSON as Python's `json.dumps(…, sort_keys=True)` writes it: sorted keys, ASCII only.

use std::fmt::Write as _;

use serde_json::Value;

/// What stands between parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    /// `, ` and `: `, the default.
    Wide,
    /// `,` and `:`.
    Tight,
}

pub(super) fn dump(value: &Value, spacing: Spacing) -> String {
    let mut out = String::new();
    push(&mut out, value, spacing);
    out
}

fn push(out: &mut String, value: &Value, spacing: Spacing) {
    let (comma, colon) = match spacing {
        Spacing::Wide => (", ", ": "),
        Spacing::Tight => (",", ":"),
    };
    match value {
        Value::String(text) => push_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(comma);
                }
                push(out, item, spacing);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.chars().cmp(b.0.chars()));
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push_str(comma);
                }
                push_string(out, key);
                out.push_str(colon);
                push(out, item, spacing);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _infallible = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}
