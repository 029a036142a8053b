//! `heliostat migrate apply`: writes what is safe, each file in one step, its mode and owner kept.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use heliostat_migrate::Scanner;
use heliostat_migrate::report::Report;

use super::{Found, diff, failure, finish, git, look, scanner};
use crate::cli::MigrateApplyArgs;
use crate::outcome::Outcome;
use crate::render::plural;
use crate::reporter;

pub(super) fn run(args: &MigrateApplyArgs) -> anyhow::Result<Outcome> {
    let scanner = scanner(args.target.map.as_deref())?;
    let (mut found, mut report) = look(&scanner, &args.target)?;
    if let Some(ending) = args.backup.as_deref() {
        // What an earlier run kept stays as it is.
        found.retain(|one| !is_kept(&one.path, ending));
        report
            .findings
            .retain(|one| !is_kept(Path::new(&one.file), ending));
    }
    let new: Vec<(&Found, Vec<u8>)> = found
        .iter()
        .filter_map(|one| Some((one, rewritten(&scanner, one, &mut report)?)))
        .collect();
    if !args.allow_dirty && !args.dry_run && !new.is_empty() {
        git::refuse_dirty(
            &new.iter()
                .map(|(one, _)| one.path.as_path())
                .collect::<Vec<_>>(),
        )?;
    }
    let mut written = 0;
    for (one, bytes) in &new {
        if args.dry_run {
            reporter::talk(&format!("would write {}", one.name));
            continue;
        }
        match write(one, bytes, args.backup.as_deref()) {
            Ok(()) => {
                written += 1;
                reporter::talk(&format!("wrote {}", one.name));
            }
            Err(error) => report
                .failures
                .push(failure(&one.path, &format!("{error:#}"))),
        }
    }
    if args.json {
        reporter::json_line(&report);
    }
    let left = diff::left(&report);
    if !left.is_empty() {
        reporter::talk(&format!("left for you:\n{left}"));
    }
    if !args.dry_run {
        reporter::talk(&format!("{} rewritten", plural(written, "file")));
    }
    let unfixed = report
        .findings
        .iter()
        .any(|one| one.active && !one.is_safe())
        || report.unresolved.iter().any(|one| one.names_retired_host);
    finish(&report, unfixed || args.dry_run && !new.is_empty())
}

/// Whether a file is the copy that a run with this ending keeps of another.
fn is_kept(path: &Path, ending: &str) -> bool {
    path.to_string_lossy()
        .strip_suffix(ending)
        .is_some_and(|other| Path::new(other).is_file())
}

/// The new bytes of a file; `None` when nothing is changed or what would be is not what the map says, which becomes a
/// failure of the report.
pub(super) fn rewritten(scanner: &Scanner, one: &Found, report: &mut Report) -> Option<Vec<u8>> {
    if one.scan.edits.is_empty() {
        return None;
    }
    match scanner.rewrite(&one.name, &one.bytes, &one.scan) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            report.failures.push(failure(&one.path, &error));
            None
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "these are the user's files, no data of heliostat's"
)]
fn write(one: &Found, bytes: &[u8], backup: Option<&str>) -> anyhow::Result<()> {
    // A file named on the command line may be a link: what it leads to is replaced, not the link.
    let path = &std::fs::canonicalize(&one.path)?;
    let now = std::fs::read(path)?;
    if now != one.bytes {
        anyhow::bail!("changed while it was looked at: run again");
    }
    let metadata = std::fs::metadata(path)?;
    if metadata.permissions().readonly() {
        anyhow::bail!(
            "is read-only: use `heliostat migrate diff` and apply it with the rights it needs"
        );
    }
    if let Some(ending) = backup {
        let mut beside = path.clone().into_os_string();
        beside.push(ending);
        std::fs::copy(path, Path::new(&beside)).context("cannot keep the file as it was")?;
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let temporary = directory.join(format!(
        ".{}.heliostat-{}",
        path.file_name().unwrap_or_default().to_string_lossy(),
        std::process::id()
    ));
    let result = replace(path, &temporary, bytes, &metadata);
    if result.is_err() {
        let _nothing_more_to_do = std::fs::remove_file(&temporary);
    }
    result
}

#[expect(
    clippy::disallowed_methods,
    reason = "these are the user's files, no data of heliostat's"
)]
fn replace(
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
    metadata: &std::fs::Metadata,
) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    // A login may be in it: until it has the mode of what it replaces, nobody else reads it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(temporary)
        .context("cannot write beside the file")?;
    file.write_all(bytes)?;
    // The mode comes last: a change of owner clears the bits that set an id.
    keep_owner(temporary, metadata)?;
    file.set_permissions(metadata.permissions())?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(temporary, path)?;
    Ok(())
}

#[cfg(unix)]
fn keep_owner(temporary: &Path, metadata: &std::fs::Metadata) -> anyhow::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    chown(temporary, Some(metadata.uid()), Some(metadata.gid()))
        .context("cannot keep its owner: run as the owner")
}

#[cfg(not(unix))]
fn keep_owner(_temporary: &Path, _metadata: &std::fs::Metadata) -> anyhow::Result<()> {
    Ok(())
}
