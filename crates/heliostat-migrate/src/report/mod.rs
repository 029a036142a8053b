//! Findings as others read them: lines for people, one JSON document, SARIF 2.1.0, GitHub's workflow commands,
//! GitLab's code quality report. Pure; no secret of a login is in any of them.

mod forges;
mod sarif;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde::Serialize;

use crate::scan::{Finding, Unresolved};

pub use forges::{github, gitlab};
pub use sarif::sarif;

/// What a scan of many files found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// References to retired hosts, by file and place.
    pub findings: Vec<Finding>,
    /// Addresses whose host is a variable.
    pub unresolved: Vec<Unresolved>,
    /// Files that could not be read.
    pub failures: Vec<Failure>,
    /// How many files were looked at.
    pub files: u64,
}

/// A file that could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The file, as it was named.
    pub file: String,
    /// Why.
    pub reason: String,
}

impl Report {
    /// Whether a tool acts on a retired host somewhere, or may: what a check fails for.
    pub fn has_live(&self) -> bool {
        self.findings.iter().any(|finding| finding.active)
            || self.unresolved.iter().any(|one| one.names_retired_host)
    }

    /// By file and place, files in the order of their names.
    pub fn sort(&mut self) {
        self.findings
            .sort_by(|a, b| (&a.file, a.start).cmp(&(&b.file, b.start)));
        self.unresolved
            .sort_by(|a, b| (&a.file, a.start).cmp(&(&b.file, b.start)));
        self.failures.sort_by(|a, b| a.file.cmp(&b.file));
    }
}

/// One line for each finding; comments and prose apart from what is live.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let (live, quiet): (Vec<_>, Vec<_>) = report.findings.iter().partition(|one| one.active);
    for finding in &live {
        push_line(&mut out, finding);
    }
    if !report.unresolved.is_empty() {
        out.push_str("\nundecided, because a variable is in the host:\n");
        for one in &report.unresolved {
            let _infallible = writeln!(
                out,
                "{}:{}:{} {} {} ({})",
                one.file,
                one.line,
                one.column,
                one.kind.word(),
                printable(&one.text),
                one.reason
            );
        }
    }
    if !quiet.is_empty() {
        out.push_str("\nin comments and prose, which are left as they are:\n");
        for finding in &quiet {
            push_line(&mut out, finding);
        }
    }
    out
}

/// `path:line:column kind host -> replacement [safe|manual]`.
fn push_line(out: &mut String, finding: &Finding) {
    let _infallible = write!(
        out,
        "{}:{}:{} {} {}-> {} [{}]",
        printable(&finding.file),
        finding.line,
        finding.column,
        finding.kind.word(),
        host(finding),
        outcome(finding),
        if finding.is_safe() { "safe" } else { "manual" }
    );
    if let Some(reason) = &finding.reason {
        let _infallible = write!(out, " ({reason})");
    }
    out.push('\n');
}

/// The host and the space behind it; a hash over several addresses has none.
fn host(finding: &Finding) -> String {
    if finding.host.is_empty() {
        String::new()
    } else {
        format!("{} ", finding.host)
    }
}

/// What comes in its place, in words.
fn outcome(finding: &Finding) -> String {
    match (&finding.replacement, finding.action) {
        (Some(new), _) => printable(new),
        (None, crate::kind::Action::Remove) => "(removed)".to_owned(),
        (None, _) => "?".to_owned(),
    }
}

/// One sentence about a finding, for reports that show it beside the code.
fn sentence(finding: &Finding) -> String {
    let mut text = finding.kind.word().to_owned();
    if !finding.host.is_empty() {
        let _infallible = write!(text, " on the retired host {}", finding.host);
    }
    match finding.action {
        crate::kind::Action::Remove => text.push_str(": take it out"),
        _ => {
            if let Some(new) = &finding.replacement {
                let _infallible = write!(text, ": write {}", printable(new));
            }
        }
    }
    if let Some(reason) = &finding.reason {
        let _infallible = write!(text, " ({reason})");
    }
    text
}

/// Text without characters that steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}
