//! What git knows: whether files have uncommitted changes, and what any commit ever held. Runs the `git` that is
//! installed, and reads nothing of a repository by itself.

use std::collections::BTreeMap;
use std::io::{BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use heliostat_migrate::Scanner;
use heliostat_migrate::report::Report;

use super::{FILE_BYTES_MAX, UsageError};
use crate::cli::MigrateTargetArgs;

/// The most blobs of a history that are looked at.
const BLOBS_MAX: usize = 5_000_000;

/// Refuses when a repository that a file is in has uncommitted changes: what is written could not be told apart. A new
/// file that is to be written, and that git has never seen, is one: nothing could bring it back.
pub(super) fn refuse_dirty(files: &[&Path]) -> anyhow::Result<()> {
    let mut tops: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        if let Some((top, inner)) = top_of(file) {
            tops.entry(top).or_default().push(inner);
        }
    }
    for (top, inner) in tops {
        let output = Command::new("git")
            .arg("-C")
            .arg(&top)
            .args(["status", "--porcelain", "-z", "--untracked-files=all"])
            .output()
            .context("cannot run git")?;
        if !output.status.success() {
            bail!(UsageError(format!(
                "git cannot tell the state of `{}`: {}; give `--allow-dirty` to write all the same",
                top.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            )));
        }
        let entries: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let fresh = inner.iter().find(|file| {
            let name = file.to_string_lossy().replace('\\', "/");
            let wanted = format!("?? {name}");
            entries.contains(&wanted.as_bytes())
        });
        if let Some(file) = fresh {
            bail!(UsageError(format!(
                "`{}` is new and in no commit of `{}`: add and commit it, or give `--allow-dirty`",
                file.display(),
                top.display()
            )));
        }
        let is_change = |entry: &&[u8]| !entry.is_empty() && !entry.starts_with(b"?? ");
        if entries.iter().any(is_change) {
            bail!(UsageError(format!(
                "`{}` has uncommitted changes: commit or stash them, or give `--allow-dirty`",
                top.display()
            )));
        }
    }
    Ok(())
}

/// The directory above a file that holds `.git`, and the file below it.
fn top_of(file: &Path) -> Option<(PathBuf, PathBuf)> {
    let absolute = std::path::absolute(file).ok()?;
    let top = absolute
        .ancestors()
        .skip(1)
        .find(|directory| directory.join(".git").exists())?;
    Some((top.to_owned(), absolute.strip_prefix(top).ok()?.to_owned()))
}

/// Scans every version of every file that any commit holds. Findings name `path@blob`.
pub(super) fn history(scanner: &Scanner, target: &MigrateTargetArgs) -> anyhow::Result<Report> {
    let directory = target
        .paths
        .first()
        .cloned()
        .unwrap_or_else(|| PathBuf::from("."));
    let blobs = list(&directory)?;
    let mut child = Command::new("git")
        .arg("-C")
        .arg(&directory)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run git")?;
    let mut input = child.stdin.take().context("git takes no input")?;
    let mut output = BufReader::new(child.stdout.take().context("git gives no output")?);
    let mut report = Report::default();
    for (blob, path) in blobs {
        writeln!(input, "{blob}")?;
        input.flush()?;
        let Some(bytes) = blob_of(&mut output)? else {
            continue;
        };
        report.files += 1;
        if !scanner.may_hold(&bytes) {
            continue;
        }
        let scan = scanner.scan(&path, &bytes);
        let name = format!("{path}@{}", &blob[..12.min(blob.len())]);
        for mut finding in scan.findings {
            finding.file.clone_from(&name);
            finding.action = heliostat_migrate::Action::Report;
            report.findings.push(finding);
        }
        for mut one in scan.unresolved {
            one.file.clone_from(&name);
            report.unresolved.push(one);
        }
    }
    drop(input);
    child.wait()?;
    report.sort();
    Ok(report)
}

/// Every blob of every commit with the path it had.
fn list(directory: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(["rev-list", "--objects", "--all"])
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!(UsageError(format!(
            "`{}` is no git repository: {}",
            directory.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, path)| !path.is_empty())
        .take(BLOBS_MAX)
        .map(|(blob, path)| (blob.to_owned(), path.to_owned()))
        .collect())
}

/// The next object; `None` when it is no blob.
fn blob_of(output: &mut impl std::io::BufRead) -> anyhow::Result<Option<Vec<u8>>> {
    let mut head = String::new();
    output.read_line(&mut head)?;
    let words: Vec<&str> = head.split_whitespace().collect();
    let [_, kind, size] = words[..] else {
        return Ok(None);
    };
    let size: u64 = size.parse().context("git says no size")?;
    if size > FILE_BYTES_MAX {
        std::io::copy(&mut output.take(size + 1), &mut std::io::sink())?;
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(size)?];
    output.read_exact(&mut bytes)?;
    output.read_exact(&mut [0])?;
    Ok((kind == "blob").then_some(bytes))
}
