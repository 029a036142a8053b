//! What a server of ours says of its requests: the access log, one JSON object a line.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

/// A log that a server writes.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
}

/// One request, as the server that answered it saw it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) path: String,
    pub(super) status: u64,
    /// Bytes of the body, as they were sent.
    pub(super) bytes: u64,
    /// From the request's head to the end of the answer.
    pub(super) milliseconds: f64,
}

impl Log {
    /// Lets a program that has not started yet write its log here.
    pub(super) fn of(command: &mut Command, path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("failed to write `{}`", path.display()))?;
        command.args(["--log", "info", "--log-format", "json"]);
        command.stderr(file);
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// All requests that have been answered so far.
    pub(super) fn lines(&self) -> Result<Vec<Line>> {
        let text = fs::read_to_string(&self.path)
            .with_context(|| format!("failed to read `{}`", self.path.display()))?;
        Ok(text.lines().filter_map(read).collect())
    }
}

/// The bytes of TUF metadata among requests.
pub(super) fn metadata_bytes(lines: &[Line]) -> u64 {
    let is_metadata = |line: &&Line| line.path.starts_with("/tuf/");
    lines
        .iter()
        .filter(is_metadata)
        .map(|line| line.bytes)
        .sum()
}

fn read(line: &str) -> Option<Line> {
    let value: Value = serde_json::from_str(line).ok()?;
    if value["target"] != "access" {
        return None;
    }
    Some(Line {
        path: value["path"].as_str()?.to_owned(),
        status: value["status"].as_u64()?,
        bytes: value["bytes"].as_u64()?,
        milliseconds: value["ms"].as_f64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_the_access_log_count() {
        let lines = [
            r#"{"target":"access","path":"/tuf/timestamp.json","status":200,"bytes":500,"ms":1.5}"#,
            r#"{"target":"access","path":"/simple/a/","status":200,"bytes":90,"ms":2.5}"#,
            r#"{"target":"heliostat","message":"ready"}"#,
            "broken",
        ];
        let lines: Vec<Line> = lines.iter().filter_map(|line| read(line)).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(metadata_bytes(&lines), 500);
    }
}
