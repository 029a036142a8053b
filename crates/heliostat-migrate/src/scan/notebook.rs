//! Where code is in a Jupyter notebook: JSON, in whose cells of code people write `%pip install` and `!pip install`.
//! Everything else in it, output too, is for reading.

use std::ops::Range;

use serde_json::Value;

/// Deeper than any notebook.
const DEPTH_MAX: usize = 64;

/// Where a byte is in a JSON document: the keys and numbers on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Number(usize),
}

/// The strings of code of a notebook, read once.
#[derive(Debug)]
pub(super) struct Code(Vec<Range<usize>>);

impl Code {
    /// Finds them; none in what is no notebook.
    pub(super) fn of(text: &str) -> Self {
        let Ok(notebook) = serde_json::from_str::<Value>(text) else {
            return Self(Vec::new());
        };
        let mut strings = Vec::new();
        each_string(text, |path, string| {
            let [Step::Key(cells), Step::Number(cell), Step::Key(source), ..] = path else {
                return;
            };
            if cells == "cells"
                && source == "source"
                && notebook["cells"][*cell]["cell_type"] == "code"
            {
                strings.push(string);
            }
        });
        Self(strings)
    }

    /// The line of code in front of `at`, from where its line begins; `None` when that is no code.
    pub(super) fn before<'a>(&self, text: &'a str, at: usize) -> Option<&'a str> {
        let index = self.0.partition_point(|string| string.end < at);
        let string = self.0.get(index).filter(|string| string.start <= at)?;
        let head = &text[string.start..at];
        Some(head.rfind("\\n").map_or(head, |line| &head[line + 2..]))
    }
}

/// Calls with each string of a JSON document and the way to it.
fn each_string(text: &str, mut found: impl FnMut(&[Step], Range<usize>)) {
    let bytes = text.as_bytes();
    let mut path: Vec<Step> = Vec::new();
    let mut key = 0..0;
    let mut place = 0;
    while place < bytes.len() {
        match bytes[place] {
            b'"' => {
                let begin = place + 1;
                let Some(length) = string_end(&bytes[begin..]) else {
                    return;
                };
                key = begin..begin + length;
                found(&path, key.clone());
                place = key.end;
            }
            b':' => {
                if let Some(Step::Key(last)) = path.last_mut() {
                    text[key.clone()].clone_into(last);
                }
            }
            b'{' => path.push(Step::Key(String::new())),
            b'[' => path.push(Step::Number(0)),
            b'}' | b']' => {
                path.pop();
            }
            b',' => {
                if let Some(Step::Number(number)) = path.last_mut() {
                    *number += 1;
                }
            }
            _ => {}
        }
        if path.len() > DEPTH_MAX {
            return;
        }
        place += 1;
    }
}

/// The length of a string up to its closing quote.
fn string_end(bytes: &[u8]) -> Option<usize> {
    let mut escaped = false;
    bytes.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_output_and_prose_in_any_order_of_keys() {
        let text = r#"{"metadata": {"source": ["AAA"]}, "cells": [
            {"source": ["BBB"], "cell_type": "markdown"},
            {"outputs": [{"text": ["CCC \" ]"]}], "source": ["x\n", "!pip DDD"], "cell_type": "code"},
            {"cell_type": "code", "source": "a\n%pip EEE"}]}"#;
        for (mark, expected) in [
            ("AAA", None),
            ("BBB", None),
            ("CCC", None),
            ("DDD", Some("!pip ")),
            ("EEE", Some("%pip ")),
        ] {
            let at = text.find(mark).unwrap();
            assert_eq!(Code::of(text).before(text, at), expected, "{mark}");
        }
        let torn = "{\"cells\": [{\"source\": \"EEE";
        assert_eq!(Code::of(torn).before(torn, 24), None);
    }
}
