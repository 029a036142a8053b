//! Where code is in a Jupyter notebook: JSON, in whose cells of code people write `%pip install` and `!pip install`.
//! Everything else in it, output too, is for reading.

use serde_json::Value;

/// Deeper than any notebook.
const DEPTH_MAX: usize = 64;

/// Where a byte is in a JSON document: the keys and numbers on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Number(usize),
}

/// The line of code in front of `at`, from where its line begins; `None` when that is no code.
pub(super) fn code_before(text: &str, at: usize) -> Option<&str> {
    let (path, string) = path_to(text, at)?;
    let [Step::Key(cells), Step::Number(cell), Step::Key(source), ..] = path.as_slice() else {
        return None;
    };
    let notebook: Value = serde_json::from_str(text).ok()?;
    let is_code =
        cells == "cells" && source == "source" && notebook["cells"][*cell]["cell_type"] == "code";
    let head = &text[string..at];
    is_code.then(|| head.rfind("\\n").map_or(head, |line| &head[line + 2..]))
}

/// The way to the string that `at` is in, and where that string begins behind its quote.
fn path_to(text: &str, at: usize) -> Option<(Vec<Step>, usize)> {
    let bytes = text.as_bytes();
    let mut path: Vec<Step> = Vec::new();
    let mut key = String::new();
    let mut place = 0;
    while place < at {
        match bytes[place] {
            b'"' => {
                let begin = place + 1;
                let end = begin + string_end(&bytes[begin..])?;
                if (begin..=end).contains(&at) {
                    return Some((path, begin));
                }
                key.clear();
                key.push_str(&text[begin..end]);
                place = end;
            }
            b':' => {
                if let Some(Step::Key(last)) = path.last_mut() {
                    last.clone_from(&key);
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
            return None;
        }
        place += 1;
    }
    None
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
            assert_eq!(code_before(text, at), expected, "{mark}");
        }
        assert_eq!(code_before("{\"cells\": [{\"source\": \"EEE", 24), None);
    }
}
