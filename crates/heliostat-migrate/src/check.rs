//! After the edit: the file is parsed again with a real parser where there is one, and only mapped values may differ;
//! and a second scan must find nothing left to do. What fails is not written.

use serde_json::Value;

use crate::edit::apply;
use crate::error::MigrateError;
use crate::kind::Kind;
use crate::scan::{FileScan, Format, Scanner};
use crate::text::Text;

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

    /// Whether every difference is one that the map makes: a value with a retired host before and none after.
    fn explain(&self, differences: &[Difference]) -> Result<(), String> {
        for difference in differences {
            let retired = difference
                .before
                .as_ref()
                .is_some_and(|before| self.may_hold(before.as_bytes()))
                || difference.path.to_lowercase().contains("hash");
            if !retired {
                return Err(format!("`{}` would change", difference.path));
            }
        }
        Ok(())
    }
}

/// One value that is not the same before and after.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    path: String,
    before: Option<String>,
}

/// The differences of the value trees; `None` when the file cannot be parsed before the edit either.
fn compare(file: &str, before: &str, after: &str) -> Option<Vec<Difference>> {
    let parse: fn(&str) -> Option<Value> = match Format::of(file, before) {
        Format::Toml | Format::UvLock | Format::Pylock | Format::PoetryLock | Format::PdmLock => {
            |text| toml::from_str(text).ok()
        }
        Format::Json | Format::PipfileLock => |text| serde_json::from_str(text).ok(),
        _ => return None,
    };
    let before = parse(before)?;
    let mut differences = Vec::new();
    match parse(after) {
        Some(after) => walk(String::new(), &before, Some(&after), &mut differences),
        None => differences.push(Difference {
            path: "(the whole file)".to_owned(),
            before: None,
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
                out.push(Difference {
                    path: format!("{path}.{key}"),
                    before: None,
                });
            }
        }
        (Value::Array(before), Some(Value::Array(after))) if before.len() == after.len() => {
            for (index, value) in before.iter().enumerate() {
                walk(format!("{path}[{index}]"), value, after.get(index), out);
            }
        }
        (Value::Array(before), Some(Value::Array(after))) => {
            // Items were taken out: those that stay are the same, in the same order.
            let mut rest = after.iter().peekable();
            for (index, value) in before.iter().enumerate() {
                if rest.peek() == Some(&value) {
                    rest.next();
                } else {
                    out.push(difference(format!("{path}[{index}]"), value));
                }
            }
            if rest.next().is_some() {
                out.push(Difference { path, before: None });
            }
        }
        (before, Some(after)) if before == after => {}
        (before, _) => out.push(difference(path, before)),
    }
}

fn difference(path: String, before: &Value) -> Difference {
    let before = match before {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Difference {
        path,
        before: Some(before),
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
