//! `heliostat status`: size, freshness, failures, disk left, and a small picture of the last syncs.

use std::fmt::Write as _;

use heliostat_engine::{MirrorStatus, status};
use heliostat_store::Store;

use crate::cli::{CommonArgs, StatusArgs};
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

/// Failures listed for a person; `--json` has them all.
const FAILURES_SHOWN_MAX: usize = 20;

pub(super) fn run(common: &CommonArgs, args: &StatusArgs) -> anyhow::Result<Outcome> {
    let data = wire::existing_data_directory(common)?;
    let store = Store::open(&data)?;
    let status = status(&store, wire::clock().now())?;
    if args.json {
        reporter::json_line(&status);
    } else {
        reporter::print(&text(&status, &data.display().to_string()));
    }
    Ok(if status.failures.is_empty() {
        Outcome::Done
    } else {
        Outcome::Findings
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
            "last sync",
            format!("{} ({how})", render::moment(last.finished_at)),
        );
        let changed: Vec<u64> = status
            .runs
            .iter()
            .map(|run| run.updated + run.dropped)
            .collect();
        line(
            "changes",
            format!(
                "{}  in the last {}",
                render::sparkline(&changed),
                render::plural(changed.len() as u64, "sync")
            ),
        );
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
    text
}

fn freshness(status: &MirrorStatus) -> String {
    match status.behind_seconds {
        None => "never in step yet".to_owned(),
        Some(0) if status.failures.is_empty() => {
            "in step with the upstream at the last sync".to_owned()
        }
        Some(seconds) => format!("the oldest change we lack is {} old", render::span(seconds)),
    }
}
