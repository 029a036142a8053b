//! SARIF 2.1.0: results with fixes, places in characters and in bytes.

use serde_json::{Value, json};

use super::{Report, sentence};
use crate::kind::{Action, Severity};
use crate::scan::Finding;

/// One run.
pub fn sarif(report: &Report, version: &str) -> String {
    let mut kinds: Vec<&str> = report.findings.iter().map(|one| one.kind.word()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let rules: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            json!({
                "id": format!("retired-host/{kind}"),
                "shortDescription": {"text": format!("A retired index host as {kind}")},
            })
        })
        .collect();
    let notices: Vec<Value> = report
        .failures
        .iter()
        .map(|one| json!({"level": "error", "message": {"text": format!("{}: {}", one.file, one.reason)}}))
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "heliostat", "version": version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": report.failures.is_empty(),
                "toolExecutionNotifications": notices,
            }],
            "results": report.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn result(one: &Finding) -> Value {
    let uri = one
        .file
        .replace('%', "%25")
        .replace(' ', "%20")
        .replace('#', "%23")
        .replace('?', "%3F");
    let length = one.end - one.start;
    let mut result = json!({
        "ruleId": format!("retired-host/{}", one.kind.word()),
        "level": match one.severity {
            Severity::Critical | Severity::High if one.active => "error",
            Severity::Note => "note",
            _ => "warning",
        },
        "message": {"text": sentence(one)},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": {
                "startLine": one.line,
                "startColumn": one.column,
                "byteOffset": one.start,
                "byteLength": length,
            },
        }}],
    });
    // An address with a login is not shown whole, so its fix cannot be either.
    if let (Action::Rewrite, Some(new), false) = (one.action, &one.replacement, one.has_credentials)
    {
        result["fixes"] = json!([{
            "description": {"text": sentence(one)},
            "artifactChanges": [{
                "artifactLocation": {"uri": uri},
                "replacements": [{
                    "deletedRegion": {"byteOffset": one.start, "byteLength": length},
                    "insertedContent": {"text": new},
                }],
            }],
        }]);
    }
    result
}
