//! The hashes that lock files carry over their project's settings, and so over the addresses in them: poetry's
//! `content-hash`, Pipfile.lock's `_meta.hash`, pdm's `content_hash`.
//!
//! Each is computed by its tool's own rule over the project file before and after the edit. Only when the rule gives
//! the hash that stands there for the file as it was is the new one written: a stale lock, or one of another version's
//! rule, is left for the tool.

mod json;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::edit::Edit;
use crate::kind::{Action, Kind, Severity};
use crate::scan::{Finding, Lines, position};
use json::{Spacing, dump};

/// The project file whose settings a lock file is for, by the lock file's own name.
pub fn project_of(lock: &str) -> Option<&'static str> {
    match lock {
        "poetry.lock" | "pdm.lock" => Some("pyproject.toml"),
        "Pipfile.lock" => Some("Pipfile"),
        _ => None,
    }
}

/// The hash of `lock` brought in step with its project file; `None` when it has none or does not change.
/// `before` and `after` are the project file as it was and as it will be.
pub fn rehash(
    file: &str,
    lock: &[u8],
    before: &[u8],
    after: &[u8],
) -> Option<(Finding, Option<Edit>)> {
    if before == after {
        return None;
    }
    let name = file.rsplit('/').next().unwrap_or(file);
    let text = str::from_utf8(lock).ok()?;
    let (start, old) = stored(name, text)?;
    let before = parse(before)?;
    let after = parse(after)?;
    let rules: &[fn(&Value) -> Option<String>] = match name {
        "poetry.lock" => &[poetry, poetry_without_groups],
        "pdm.lock" => &[pdm],
        _ => &[pipfile],
    };
    let rule = rules
        .iter()
        .find(|rule| rule(&before).as_deref() == Some(old));
    let known = rules
        .iter()
        .find_map(|rule| Some((rule(&before)?, rule(&after)?)));
    if rule.is_none() && known.is_some_and(|(before, after)| before == after) {
        return None;
    }
    let new = rule.and_then(|rule| rule(&after));
    if new.as_deref() == Some(old) {
        return None;
    }
    let lines = Lines::new(text);
    let (line, column) = position(&lines, start);
    let end = start + old.len();
    let finding = Finding {
        file: file.to_owned(),
        line,
        column,
        start,
        end,
        text: old.to_owned(),
        kind: Kind::LockContentHash,
        action: if new.is_some() {
            Action::Rehash
        } else {
            Action::Report
        },
        active: true,
        replacement: new.clone(),
        has_credentials: false,
        host: String::new(),
        severity: Severity::High,
        reason: new.is_none().then(|| {
            format!(
                "the hash was not right before, or is another version's: run `{}`",
                command(name)
            )
        }),
    };
    let edit = new.map(|new| Edit {
        span: start..end,
        new: new.into_bytes(),
    });
    Some((finding, edit))
}

fn command(name: &str) -> &'static str {
    match name {
        "poetry.lock" => "poetry lock",
        "pdm.lock" => "pdm lock --update-reuse",
        _ => "pipenv lock",
    }
}

/// Where the hash stands in the lock file, and its digits.
fn stored<'a>(name: &str, text: &'a str) -> Option<(usize, &'a str)> {
    let marks: &[&str] = match name {
        "poetry.lock" => &["\ncontent-hash = \""],
        "pdm.lock" => &["\ncontent_hash = \"sha256:"],
        "Pipfile.lock" => &["\"hash\"", "\"sha256\"", ":", "\""],
        _ => return None,
    };
    let mut at = 0;
    for mark in marks {
        at += text[at..].find(mark)? + mark.len();
    }
    let length = text[at..].find('"')?;
    let digits = &text[at..at + length];
    let fine = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    fine.then_some((at, digits))
}

fn parse(bytes: &[u8]) -> Option<Value> {
    toml::from_str(str::from_utf8(bytes).ok()?).ok()
}

fn sha256(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _infallible = write!(hex, "{byte:02x}");
            hex
        })
}

/// A table of the project file, empty when it is not there.
fn table(project: &Value, path: &[&str]) -> Map<String, Value> {
    let mut value = project;
    for key in path {
        match value.get(key) {
            Some(inner) => value = inner,
            None => return Map::new(),
        }
    }
    value.as_object().cloned().unwrap_or_default()
}

fn poetry(project: &Value) -> Option<String> {
    poetry_over(project, &table(project, &["dependency-groups"]))
}

fn poetry_without_groups(project: &Value) -> Option<String> {
    poetry_over(project, &Map::new())
}

/// poetry 1.x and 2.x: `[project]` and groups where there are any, with `[tool.poetry]`'s own keys.
#[expect(
    clippy::unnecessary_wraps,
    reason = "one of several rules, of which some may not apply"
)]
fn poetry_over(project: &Value, groups: &Map<String, Value>) -> Option<String> {
    const LEGACY: [&str; 4] = ["dependencies", "source", "extras", "dev-dependencies"];
    let own = table(project, &["project"]);
    let tool = table(project, &["tool", "poetry"]);
    let mut relevant = Map::new();
    for key in ["requires-python", "dependencies", "optional-dependencies"] {
        if let Some(value) = own.get(key) {
            relevant.insert(key.to_owned(), value.clone());
        }
    }
    let modern = !relevant.is_empty() || !groups.is_empty();
    let mut of_poetry = Map::new();
    for key in LEGACY.into_iter().chain(["group"]) {
        match tool.get(key) {
            Some(value) => {
                of_poetry.insert(key.to_owned(), value.clone());
            }
            None if !modern && LEGACY.contains(&key) => {
                of_poetry.insert(key.to_owned(), Value::Null);
            }
            None => {}
        }
    }
    let content = if modern {
        let mut content = Map::new();
        if !relevant.is_empty() {
            content.insert("project".to_owned(), Value::Object(relevant));
        }
        if !groups.is_empty() {
            content.insert(
                "dependency-groups".to_owned(),
                Value::Object(groups.clone()),
            );
        }
        let inner = Map::from_iter([("poetry".to_owned(), Value::Object(of_poetry))]);
        content.insert("tool".to_owned(), Value::Object(inner));
        content
    } else {
        of_poetry
    };
    Some(sha256(&dump(&Value::Object(content), Spacing::Wide)))
}

/// PEP 503's normal form, which pdm gives to names of groups too.
fn group_name(name: &str) -> String {
    let lower = name.to_lowercase();
    lower
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "one of several rules, of which some may not apply"
)]
fn pdm(project: &Value) -> Option<String> {
    let own = table(project, &["project"]);
    let tool = table(project, &["tool", "pdm"]);
    let or =
        |map: &Map<String, Value>, key: &str, none: Value| map.get(key).cloned().unwrap_or(none);
    let empty = || Value::Object(Map::new());
    let mut groups: Map<String, Value> = table(project, &["dependency-groups"])
        .into_iter()
        .map(|(name, group)| (group_name(&name), group))
        .collect();
    for (name, group) in table(project, &["tool", "pdm", "dev-dependencies"]) {
        let more = group.as_array().cloned().unwrap_or_default();
        match groups.get_mut(&group_name(&name)) {
            Some(Value::Array(group)) => group.extend(more),
            _ => {
                groups.insert(group_name(&name), Value::Array(more));
            }
        }
    }
    let content = Value::Object(Map::from_iter([
        (
            "sources".to_owned(),
            or(&tool, "source", Value::Array(Vec::new())),
        ),
        (
            "dependencies".to_owned(),
            or(&own, "dependencies", Value::Array(Vec::new())),
        ),
        ("dev-dependencies".to_owned(), Value::Object(groups)),
        (
            "optional-dependencies".to_owned(),
            or(&own, "optional-dependencies", empty()),
        ),
        (
            "requires-python".to_owned(),
            or(&own, "requires-python", Value::String(String::new())),
        ),
        ("resolution".to_owned(), or(&tool, "resolution", empty())),
    ]));
    Some(sha256(&dump(&content, Spacing::Wide)))
}

fn pipfile(project: &Value) -> Option<String> {
    const KNOWN: [&str; 8] = [
        "source",
        "packages",
        "dev-packages",
        "requires",
        "scripts",
        "pipfile",
        "pipenv",
        "default",
    ];
    let file = project.as_object()?;
    let or = |key: &str| {
        file.get(key)
            .cloned()
            .unwrap_or_else(|| Value::Object(Map::new()))
    };
    let meta = Map::from_iter([
        ("sources".to_owned(), file.get("source")?.clone()),
        ("requires".to_owned(), or("requires")),
    ]);
    let mut content = Map::from_iter([
        ("_meta".to_owned(), Value::Object(meta)),
        ("default".to_owned(), or("packages")),
        ("develop".to_owned(), or("dev-packages")),
    ]);
    for (key, value) in file {
        if !KNOWN.contains(&key.as_str()) && key != "develop" {
            content.insert(key.clone(), value.clone());
        }
    }
    Some(sha256(&dump(&Value::Object(content), Spacing::Tight)))
}

#[cfg(test)]
mod tests;
