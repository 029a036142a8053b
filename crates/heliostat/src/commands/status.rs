//! `heliostat status`: size, freshness, failures, disk left, what is signed, and a small picture of the last syncs.

use std::fmt::Write as _;
use std::path::Path;

use heliostat_engine::publish::{Fit, SigningStatus};
use heliostat_engine::{MirrorStatus, RunKind, RunSummary, status};
use heliostat_store::{LedgerEntry, Origin, RoleState, Store};

use crate::cli::{CommonArgs, StatusArgs};
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

/// Failures listed for a person; `--json` has them all.
const FAILURES_SHOWN_MAX: usize = 20;
/// Projects that cannot be signed listed for a person; `--json` has a thousand.
const UNSIGNABLE_SHOWN_MAX: usize = 20;

pub(super) fn run(common: &CommonArgs, args: &StatusArgs) -> anyhow::Result<Outcome> {
    let data = wire::existing_data_directory(common)?;
    // Whoever may read the data may ask how it does, also where it may not be written.
    let store = Store::open_or_read(&data)?;
    let now = wire::clock().now();
    let status = status(&store, now)?;
    if args.json {
        reporter::json_line(&status);
    } else {
        let mut text = text(&status, &data.display().to_string());
        if let Some(signing) = &status.signing {
            add_signing(&mut text, signing, now);
            add_due(&mut text, signing, &data, now);
        }
        reporter::print(&text);
    }
    Ok(if status.has_findings(now) {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn text(status: &MirrorStatus, data: &str) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(text, "{name:<12} {value}");
    };
    line("data", data.to_owned());
    line("projects", render::count(status.projects));
    line(
        "files",
        format!(
            "{} ({})",
            render::count(status.files),
            render::bytes(status.size_bytes)
        ),
    );
    line("disk left", render::bytes(status.disk_free_bytes));
    let serial = status
        .serial
        .map_or_else(|| "none yet".to_owned(), |serial| serial.to_string());
    line("serial", serial);
    line("freshness", freshness(status));
    if let Some(last) = status.runs.last() {
        let how = if last.complete {
            "complete"
        } else {
            "incomplete"
        };
        line(
            match last.kind {
                RunKind::Sync => "last sync",
                RunKind::Import => "last import",
            },
            format!("{} ({how})", render::moment(last.finished_at)),
        );
        line("changes", changes(&status.runs));
    }
    line("failures", render::count(status.failures.len() as u64));
    for failure in status.failures.iter().take(FAILURES_SHOWN_MAX) {
        let item = if failure.item.is_empty() {
            String::new()
        } else {
            format!(" {}", failure.item)
        };
        let _infallible = writeln!(
            text,
            "  {}{item}: {} ({}, next {})",
            failure.project,
            failure.reason,
            render::plural(failure.tries.into(), "try"),
            render::moment(failure.next_try_at)
        );
    }
    let more = status.failures.len().saturating_sub(FAILURES_SHOWN_MAX);
    if more > 0 {
        let _infallible = writeln!(
            text,
            "  … and {more} more; `heliostat status --json` has them all"
        );
    }
    warnings(&status.warnings, &mut text);
    text
}

/// What is held and doubted, where anything is.
fn warnings(warnings: &[LedgerEntry], text: &mut String) {
    if warnings.is_empty() {
        return;
    }
    let count = render::count(warnings.len() as u64);
    let _infallible = writeln!(text, "{:<12} {count}", "warnings");
    for warning in warnings.iter().take(FAILURES_SHOWN_MAX) {
        let _infallible = writeln!(
            text,
            "  {} {}: {} (since {})",
            warning.project,
            warning.item,
            warning.reason,
            render::moment(warning.first_failed_at)
        );
    }
    let more = warnings.len().saturating_sub(FAILURES_SHOWN_MAX);
    if more > 0 {
        let _infallible = writeln!(
            text,
            "  … and {more} more; `heliostat status --json` has them all"
        );
    }
}

fn freshness(status: &MirrorStatus) -> String {
    match status.behind_seconds {
        None => "never in step yet".to_owned(),
        Some(seconds) if status.failures.is_empty() && is_import(status) => {
            format!("as a bundle that was made {} ago", render::span(seconds))
        }
        Some(0) if status.failures.is_empty() => {
            "in step with the upstream at the last sync".to_owned()
        }
        Some(seconds) => format!("the oldest change we lack is {} old", render::span(seconds)),
    }
}

/// How much the last runs changed, as a small picture.
fn changes(runs: &[RunSummary]) -> String {
    let changed: Vec<u64> = runs.iter().map(|run| run.updated + run.dropped).collect();
    let what = if runs.iter().all(|run| run.kind == RunKind::Sync) {
        "sync"
    } else {
        "run"
    };
    format!(
        "{}  in the last {}",
        render::sparkline(&changed),
        render::plural(changed.len() as u64, what)
    )
}

/// Whether what is held came with a bundle, whole.
fn is_import(status: &MirrorStatus) -> bool {
    let last = status.runs.last();
    last.is_some_and(|run| run.kind == RunKind::Import && run.complete)
}

fn add_signing(text: &mut String, signing: &SigningStatus, now: i64) {
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(text, "{name:<12} {value}");
    };
    let whose = match signing.origin {
        Origin::Own => "by this mirror",
        Origin::Carried => "by the notary upstream",
    };
    let pages = render::plural(signing.pages, "page");
    let pending = match signing.pending {
        0 => String::new(),
        changed => format!(", {} not yet published", render::plural(changed, "change")),
    };
    line("signed", format!("{pages} {whose}{pending}"));
    line("snapshot", role(signing.snapshot.as_ref(), now));
    line("timestamp", role(signing.timestamp.as_ref(), now));
    line("bins", bins(signing.bins));
    line("not signable", render::count(signing.unsignable_count));
    for one in signing.unsignable.iter().take(UNSIGNABLE_SHOWN_MAX) {
        let _infallible = writeln!(text, "  {}: {}", one.project, one.reason);
    }
    let more = signing
        .unsignable_count
        .saturating_sub(UNSIGNABLE_SHOWN_MAX as u64);
    if more > 0 {
        let _infallible = writeln!(
            text,
            "  … and {more} more; `heliostat status --json` names a thousand"
        );
    }
}

/// What people have to sign anew.
fn add_due(text: &mut String, signing: &SigningStatus, data: &Path, now: i64) {
    if signing.due.is_empty() {
        return;
    }
    let _infallible = writeln!(text, "{:<12} {}", "to be signed", signing.due.len());
    for due in &signing.due {
        let said = role(Some(due), now);
        let _infallible = writeln!(text, "  {} {said}", due.name);
    }
    let next = match signing.origin {
        Origin::Own => format!("`{}` tells how", crate::signing::status_command(data)),
        Origin::Carried => "that is for the people of the notary upstream".to_owned(),
    };
    let _infallible = writeln!(text, "  {next}");
}

/// How many bins there are, as `16, as fits`.
fn bins(fit: Option<Fit>) -> String {
    let Some(fit) = fit else {
        return "none yet".to_owned();
    };
    let fitting = match fit.fitting {
        fitting if fitting == fit.bins => "as fits".to_owned(),
        fitting => {
            let projects = render::plural(fit.projects, "project");
            format!("{} would fit {projects}", render::count(fitting.into()))
        }
    };
    format!("{}, {fitting}", render::count(fit.bins.into()))
}

/// A role that was published, as `3, 23 h left`.
fn role(role: Option<&RoleState>, now: i64) -> String {
    let Some(role) = role else {
        return "none yet".to_owned();
    };
    let left = role.expires_at.saturating_sub(now);
    let left = u64::try_from(left).map_or_else(
        |_negative| "EXPIRED: clients refuse the tree until it is signed again".to_owned(),
        |left| format!("{} left", render::span(left)),
    );
    format!(
        "version {}, until {}, {left}",
        role.version,
        render::moment(role.expires_at)
    )
}
