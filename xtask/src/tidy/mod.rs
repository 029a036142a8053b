//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows.
//!
//! Every rule is a function of text or of `cargo metadata` that returns what it found; nothing here changes a file.

mod edges;
mod fuzz;
mod layout;
mod links;
mod source;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// One thing that breaks a house rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file or package, as the project's paths go.
    pub(crate) place: String,
    /// The line, from 1, where one line is to blame.
    pub(crate) line: Option<usize>,
    /// What is wrong, and what would be right.
    pub(crate) fault: String,
}

impl Finding {
    /// A finding about a whole file or package.
    pub(crate) fn whole(place: impl Into<String>, fault: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            line: None,
            fault: fault.into(),
        }
    }

    /// A finding about one line, counted from 1.
    pub(crate) fn at(place: impl Into<String>, line: usize, fault: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            line: Some(line),
            fault: fault.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.place, self.fault),
            None => write!(f, "{}: {}", self.place, self.fault),
        }
    }
}

/// Checks every rule and shows all that breaks one.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let findings = check(workspace)?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        return Ok(());
    }
    bail!("{} house rules broken (see above)", findings.len())
}

/// All findings, sorted by place.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let files = workspace.files()?;
    let mut findings = edges::check(&workspace.metadata.packages);
    findings.extend(layout::check(&files));
    findings.extend(fuzz::check(&workspace.root, &files));
    let mut documents = BTreeMap::new();
    for file in &files {
        let Some(text) = workspace.text(file)? else {
            continue;
        };
        findings.extend(source::check(file, &text));
        if file.extension().is_some_and(|extension| extension == "md") {
            documents.insert(file.clone(), text);
        }
    }
    findings.extend(links::check(&documents, &files));
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_the_house_rules() {
        let findings = check(&Workspace::find().unwrap()).unwrap();
        let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(shown.is_empty(), "{}", shown.join("\n"));
    }
}
