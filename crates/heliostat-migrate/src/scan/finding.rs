//! What a scan tells: references, addresses that cannot be decided, and the edits that do it. Owns the words and how a
//! login is hidden in them; not what becomes of a reference.

use serde::Serialize;

use crate::edit::Edit;
use crate::kind::{Action, Kind, Severity};

/// A reference to a retired host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as it was named, with `/` between names.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// The first byte in the file.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// What stands there, without a login's secrets.
    pub text: String,
    /// What it is there for.
    pub kind: Kind,
    /// What is done about it.
    pub action: Action,
    /// Whether a tool acts on it: not in a comment, not in prose.
    pub active: bool,
    /// What comes in its place, without a login's secrets; `None` when it goes or nothing is known.
    pub replacement: Option<String>,
    /// Whether a login stands in it.
    pub has_credentials: bool,
    /// The retired host in lower case.
    pub host: String,
    /// How much it matters.
    pub severity: Severity,
    /// Why a person has to look, or what to know.
    pub reason: Option<String>,
}

/// An address that cannot be decided: a variable is where the host would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unresolved {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// The first byte in the file.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// What stands there.
    pub text: String,
    /// What it is there for.
    pub kind: Kind,
    /// Whether a retired host stands in it all the same.
    pub names_retired_host: bool,
    /// Why it cannot be decided.
    pub reason: String,
}

/// What one file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileScan {
    /// References, in order.
    pub findings: Vec<Finding>,
    /// What cannot be decided.
    pub unresolved: Vec<Unresolved>,
    /// The edits of every finding that is rewritten or removed, settled.
    pub edits: Vec<Edit>,
}

impl Finding {
    /// Whether something is changed for it.
    pub const fn is_safe(&self) -> bool {
        !matches!(self.action, Action::Report)
    }
}

/// An address without the secret of its login.
pub fn redacted(text: &str) -> String {
    let Some(begin) = text
        .find("//")
        .map(|at| at + 2)
        .or_else(|| text.find("\\/\\/").map(|at| at + 4))
    else {
        return text.to_owned();
    };
    let end = text[begin..]
        .find(['/', '?', '#', '\\'])
        .map_or(text.len(), |length| begin + length);
    let Some(at) = text[begin..end].rfind('@') else {
        return text.to_owned();
    };
    let login = &text[begin..begin + at];
    let hidden = match login.split_once(':') {
        Some((user, _)) if !user.is_empty() && user.len() < 20 => format!("{user}:****"),
        _ => "****".to_owned(),
    };
    format!("{}{hidden}{}", &text[..begin], &text[begin + at..])
}
