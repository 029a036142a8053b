//! `heliostat migrate`: reads files, lets `heliostat-migrate` judge them, prints, writes.

mod apply;
mod diff;
mod git;
mod host;
mod locks;
mod map;
mod online;
pub(super) mod redirect;
mod timeline;
mod traffic;
mod walk;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use heliostat_migrate::map::Map;
use heliostat_migrate::report::{self, Failure, Report};
use heliostat_migrate::{FileScan, Scanner};

use super::UsageError;
use crate::cli::{MigrateCommand, MigrateFormat, MigrateScanArgs, MigrateTargetArgs};
use crate::outcome::Outcome;
use crate::render::plural;
use crate::{reporter, wire};

/// The map of a project, when none is named.
const MAP_FILE: &str = "migrate.toml";

/// The largest file that is looked into, in bytes. What holds settings is far smaller; lock files come near it.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Some files could not be read or written: exit code 3, after everything else was done.
#[derive(Debug, thiserror::Error)]
#[error("{0} could not be read or written, as listed above")]
pub(crate) struct UnreadableError(String);

/// A file with something in it.
#[derive(Debug)]
struct Found {
    path: PathBuf,
    name: String,
    bytes: Vec<u8>,
    scan: FileScan,
}

pub(super) fn run(command: &MigrateCommand) -> anyhow::Result<Outcome> {
    match command {
        MigrateCommand::Scan(args) => scan(args),
        MigrateCommand::Diff(args) => diff::run(args),
        MigrateCommand::Apply(args) => apply::run(args),
        MigrateCommand::Map(command) => map::run(command),
        MigrateCommand::Redirect(args) => redirect::run(args),
        MigrateCommand::Traffic(command) => traffic::run(command),
        MigrateCommand::Timeline(command) => timeline::run(command),
    }
}

fn scan(args: &MigrateScanArgs) -> anyhow::Result<Outcome> {
    let scanner = scanner(args.target.map.as_deref())?;
    let report = if let Some(name) = &args.stdin_filename {
        let mut bytes = Vec::new();
        std::io::stdin()
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)?;
        report_of(scanner.scan(name, &bytes))
    } else if args.git_history {
        git::history(&scanner, &args.target)?
    } else {
        let (found, report) = look(&scanner, &args.target)?;
        drop(found);
        report
    };
    let format = if args.json {
        MigrateFormat::Json
    } else {
        args.format
    };
    match format {
        MigrateFormat::Text => {
            reporter::print(&report::text(&report));
            reporter::talk(&summary(&report));
        }
        MigrateFormat::Json => reporter::json_line(&report),
        MigrateFormat::Sarif => {
            reporter::print(&report::sarif(&report, env!("CARGO_PKG_VERSION")));
        }
        MigrateFormat::Github => reporter::print(&report::github(&report)),
        MigrateFormat::Gitlab => reporter::print(&report::gitlab(&report)),
    }
    finish(&report, report.has_live())
}

fn report_of(scan: FileScan) -> Report {
    Report {
        findings: scan.findings,
        unresolved: scan.unresolved,
        failures: Vec::new(),
        files: 1,
    }
}

/// The outcome of a run: files that failed come before findings.
fn finish(report: &Report, findings: bool) -> anyhow::Result<Outcome> {
    for failure in &report.failures {
        reporter::talk(&format!("{}: {}", failure.file, failure.reason));
    }
    if !report.failures.is_empty() {
        let files = plural(report.failures.len() as u64, "file");
        return Err(UnreadableError(files).into());
    }
    Ok(if findings {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn summary(report: &Report) -> String {
    let live = report.findings.iter().filter(|one| one.active).count();
    let safe = report
        .findings
        .iter()
        .filter(|one| one.active && one.is_safe())
        .count();
    let quiet = report.findings.len() - live;
    format!(
        "{} looked at: {} to retired hosts, {safe} of them safe to rewrite with `heliostat migrate apply`; \
         {quiet} more in comments and prose; {} undecided",
        plural(report.files, "file"),
        plural(live as u64, "live reference"),
        report.unresolved.len()
    )
}

/// Everything in the named places: the files with something in them, and what was found.
fn look(scanner: &Scanner, target: &MigrateTargetArgs) -> anyhow::Result<(Vec<Found>, Report)> {
    let mut places = target.paths.clone();
    if target.host_env {
        places.extend(host::places());
    } else if places.is_empty() {
        places.push(PathBuf::from("."));
    }
    for place in &target.paths {
        if !place.exists() {
            return Err(UsageError(format!("there is no `{}`", place.display())).into());
        }
    }
    let (mut found, mut report) = walk::walk(scanner, &places, target.vendored);
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.path == b.path);
    // The map names every retired host, and is to go on doing so.
    let map = target.map.as_deref().unwrap_or(Path::new(MAP_FILE));
    if let Ok(map) = map.canonicalize() {
        found.retain(|one| one.path.canonicalize().ok().as_ref() != Some(&map));
    }
    locks::add(&mut found);
    for one in &found {
        report.findings.extend(one.scan.findings.iter().cloned());
        report
            .unresolved
            .extend(one.scan.unresolved.iter().cloned());
    }
    report.sort();
    Ok((found, report))
}

/// The scanner by the named map, the project's, or the built-in one.
fn scanner(map: Option<&Path>) -> anyhow::Result<Scanner> {
    Ok(Scanner::new(read_map(map)?))
}

fn read_map(named: Option<&Path>) -> anyhow::Result<Map> {
    let usual = Path::new(MAP_FILE);
    let path = match named {
        Some(path) => path,
        None if usual.is_file() => usual,
        None => return Ok(Map::builtin()),
    };
    let bytes = wire::read_small(path).map_err(|error| {
        UsageError(format!("cannot read the map `{}`: {error}", path.display()))
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| UsageError(format!("the map `{}` is not UTF-8", path.display())))?;
    Ok(Map::parse(&path.display().to_string(), &text)?)
}

/// A path as reports name it: with `/` between names, without `./` before it.
fn name_of(path: &Path) -> String {
    let name = path.to_string_lossy().replace('\\', "/");
    name.strip_prefix("./").unwrap_or(&name).to_owned()
}

fn failure(path: &Path, error: &impl ToString) -> Failure {
    Failure {
        file: name_of(path),
        reason: error.to_string(),
    }
}
