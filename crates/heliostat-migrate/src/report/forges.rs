//! GitHub's workflow commands and GitLab's code quality report.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Report, sentence};
use crate::kind::Severity;

/// One workflow command for each finding.
pub fn github(report: &Report) -> String {
    let mut out = String::new();
    for one in &report.findings {
        let command = match one.severity {
            Severity::Critical | Severity::High if one.active => "error",
            Severity::Note => "notice",
            _ => "warning",
        };
        let _infallible = writeln!(
            out,
            "::{command} file={},line={},col={},title={}::{}",
            property(&one.file),
            one.line,
            one.column,
            property(&format!("retired index host {}", one.host)),
            data(&sentence(one))
        );
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: usize,
}

/// An array of issues.
pub fn gitlab(report: &Report) -> String {
    let issues: Vec<Issue> = report
        .findings
        .iter()
        .map(|one| {
            let seed = format!(
                "{}\0{}\0{}\0{}\0{}",
                one.file,
                one.kind.word(),
                one.text,
                one.line,
                one.column
            );
            let digest = Sha256::digest(seed.as_bytes());
            Issue {
                description: sentence(one),
                check_name: format!("retired-host/{}", one.kind.word()),
                fingerprint: digest.iter().fold(String::new(), |mut hex, byte| {
                    let _infallible = write!(hex, "{byte:02x}");
                    hex
                }),
                severity: match one.severity {
                    Severity::Critical => "critical",
                    Severity::High => "major",
                    Severity::Low => "minor",
                    Severity::Note => "info",
                },
                location: Location {
                    path: one.file.clone(),
                    lines: Lines { begin: one.line },
                },
            }
        })
        .collect();
    serde_json::to_string_pretty(&issues).unwrap_or_default() + "\n"
}
