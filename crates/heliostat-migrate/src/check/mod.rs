//! After the edit: the file is parsed again with a real parser where there is one, and only mapped values may differ;
//! and a second scan must find nothing left to do. What fails is not written.

mod align;
mod tree;

use serde_json::Value;

use crate::edit::apply;
use crate::error::MigrateError;
use crate::kind::Kind;
use crate::scan::{FileScan, Format, Scanner, meaning};
use crate::text::Text;
use tree::tree;

impl Scanner {
    /// The new bytes of a file after a scan of it.
    pub fn rewrite(
        &self,
        file: &str,
        bytes: &[u8],
        scan: &FileScan,
    ) -> Result<Vec<u8>, MigrateError> {
        let new = apply(bytes, &scan.edits);
        let fault = |fault: String| MigrateError::CheckEdit {
            file: file.to_owned(),
            fault,
        };
        let (Some(before), Some(after)) = (Text::read(bytes), Text::read(&new)) else {
            return Err(fault("it is no text any more".to_owned()));
        };
        if let Some(found) = compare(file, before.view(), after.view()) {
            self.explain(&found).map_err(fault)?;
        }
        let again = self.scan(file, &new);
        if let Some(left) = again
            .findings
            .iter()
            .find(|one| one.active && one.is_safe() && one.kind != Kind::LockContentHash)
        {
            return Err(fault(format!(
                "line {} would still name {}",
                left.line, left.host
            )));
        }
        Ok(new)
    }

    /// Whether every difference is one that the map makes: what goes or changes named a retired host, and every word
    /// beside it is still there.
    fn explain(&self, differences: &[Difference]) -> Result<(), String> {
        for difference in differences {
            let explained = CONTENT_HASHES.contains(&difference.path.as_str())
                || difference.before.as_ref().is_some_and(|before| {
                    let after = difference.after.as_deref().unwrap_or_default();
                    // `name: PIP_TRUSTED_HOST` goes with the `value` beside it.
                    let named =
                        difference.after.is_none() && is_trust(before.trim_start_matches('='));
                    named
                        || is_switch(before)
                        || self.occurs(before) && self.words_stay(before, after)
                });
            if !explained {
                return Err(format!("`{}` would change", difference.path));
            }
        }
        Ok(())
    }

    /// Whether the words of `before` that name no retired host are in `after`, in their order. Switches for a retired
    /// host, and what only carries or joins statements, may go with it.
    fn words_stay(&self, before: &str, after: &str) -> bool {
        let (before, after) = (squeezed(before), squeezed(after));
        let mut rest = words(&after);
        let mut before = words(&before).peekable();
        while let Some(word) = before.next() {
            if self.occurs(word) || is_switch(word) || CARRIERS.contains(&word) {
                continue;
            }
            // `trusted-host = HOST`, a setting in a text.
            let sign =
                is_trust(word) && before.next_if(|next| matches!(*next, "=" | ":")).is_some();
            if is_trust(word) && before.peek().is_none_or(|next| self.occurs(next)) {
                continue;
            }
            let carried = [Some(word), sign.then_some("=")];
            if !carried
                .into_iter()
                .flatten()
                .all(|word| rest.any(|other| other == word))
            {
                return false;
            }
        }
        true
    }
}

/// Where lock files hold the hash over their project's settings.
const CONTENT_HASHES: [&str; 3] = [
    ".metadata.content-hash",
    ".metadata.content_hash",
    "._meta.hash.sha256",
];

/// Words that go with the assignment they carry, and what joins lines.
const CARRIERS: [&str; 15] = [
    "\\",
    "^",
    "-",
    "export",
    "ENV",
    "ARG",
    "env",
    "set",
    "-x",
    "-gx",
    "declare",
    "setx",
    "-e",
    "--env",
    "--build-arg",
];

/// A text whose templates' variables are one word each, `{{secrets.A}}`: they may be a part of a login. The line ends
/// of a text in the text are white space.
fn squeezed(text: &str) -> String {
    let text = text.replace("\\n", " \n");
    let text = text.as_str();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once("{{") {
        let (inner, tail) = tail.split_once("}}").unwrap_or((tail, ""));
        out.push_str(head);
        out.extend(inner.chars().filter(|character| !is_between(*character)));
        rest = tail;
    }
    out + rest
}

/// Whether a character stands between words.
fn is_between(character: char) -> bool {
    character.is_whitespace() || "\"'`,".contains(character)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    // What a plain scalar of YAML is marked with is no part of its first word.
    let text = text.strip_prefix('=').unwrap_or(text);
    text.split(is_between).filter(|word| !word.is_empty())
}

/// Whether a word alone switches a host's checks off: `--trusted-host`, whose value is another word.
fn is_switch(word: &str) -> bool {
    let word = word.trim_start_matches('=').trim_end_matches('=');
    word.starts_with('-') && meaning(word).is_some_and(|meaning| meaning.kind == Kind::TrustedHost)
}

/// Whether a word is the key of a setting that switches a host's checks off.
fn is_trust(word: &str) -> bool {
    let word = word.trim_end_matches(['=', ':']);
    meaning(word).is_some_and(|meaning| meaning.kind == Kind::TrustedHost && meaning.known)
}

/// One value that is not the same before and after.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    path: String,
    before: Option<String>,
    after: Option<String>,
}

/// The differences of the value trees; `None` when the file cannot be parsed before the edit either.
fn compare(file: &str, before: &str, after: &str) -> Option<Vec<Difference>> {
    let format = Format::of(file, before);
    let before = tree(format, before)?;
    let mut differences = Vec::new();
    match tree(format, after) {
        Some(after) => walk(String::new(), &before, Some(&after), &mut differences),
        None => differences.push(Difference {
            path: "(the whole file)".to_owned(),
            before: None,
            after: None,
        }),
    }
    Some(differences)
}

fn walk(path: String, before: &Value, after: Option<&Value>, out: &mut Vec<Difference>) {
    match (before, after) {
        (Value::Object(before), Some(Value::Object(after))) => {
            for (key, value) in before {
                walk(format!("{path}.{key}"), value, after.get(key), out);
            }
            for key in after.keys().filter(|key| !before.contains_key(*key)) {
                out.push(come(format!("{path}.{key}")));
            }
        }
        // A list of lines of which one is left, or none.
        (Value::Array(lines), Some(Value::String(line)))
            if lines.len() > 1 || line.trim().is_empty() =>
        {
            let mut left = vec![Value::String(line.clone())];
            left.retain(|_| !line.trim().is_empty());
            let after = Value::Array(left);
            walk(path, before, Some(&after), out);
        }
        (Value::Array(before), Some(Value::Array(after))) if before.len() == after.len() => {
            for (index, value) in before.iter().enumerate() {
                walk(format!("{path}[{index}]"), value, after.get(index), out);
            }
        }
        (Value::Array(before), Some(Value::Array(after))) => {
            // Items were taken out: those that stay are the same or changed in their place, in the same order.
            let pairs = align::pairs(before, after);
            for (index, value) in before.iter().enumerate() {
                let path = format!("{path}[{index}]");
                walk(path, value, pairs[index].map(|other| &after[other]), out);
            }
            if pairs.iter().flatten().count() < after.len() {
                out.push(come(path));
            }
        }
        // What holds values and goes: each of them has to be explained.
        (Value::Object(before), None) => {
            for (key, value) in before {
                walk(format!("{path}.{key}"), value, None, out);
            }
        }
        (Value::Array(before), None) => {
            for (index, value) in before.iter().enumerate() {
                walk(format!("{path}[{index}]"), value, None, out);
            }
        }
        (before, Some(after)) if before == after => {}
        (before, after) => out.push(Difference {
            path,
            before: Some(text(before)),
            after: after.map(text),
        }),
    }
}

/// A value that was not there before.
const fn come(path: String) -> Difference {
    Difference {
        path,
        before: None,
        after: None,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Edit;
    use crate::map::Map;

    #[test]
    fn an_edit_beside_the_mark_is_refused() {
        let scanner = Scanner::new(Map::builtin());
        let text = b"[[source]]\nurl = \"https://pypi.python.org/simple\"\nname = \"a\"\n";
        let mut scan = scanner.scan("Pipfile", text);
        assert!(scanner.rewrite("Pipfile", text, &scan).is_ok());
        scan.edits.push(Edit {
            span: 58..59,
            new: b"b".to_vec(),
        });
        let error = scanner.rewrite("Pipfile", text, &scan).unwrap_err();
        assert!(error.to_string().contains("name"), "{error}");
        scan.edits[1].span = 57..58;
        assert!(scanner.rewrite("Pipfile", text, &scan).is_err());
    }
}
