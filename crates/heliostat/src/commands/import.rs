//! `heliostat import`: checks a bundle and takes it over.

use heliostat_engine::Events;
use heliostat_engine::bundle::{ImportOptions, ImportReport, Lack, Mode, Others, import};
use heliostat_store::Store;
use tokio_util::sync::CancellationToken;

use super::{UsageError, export, signals};
use crate::cli::{CommonArgs, ImportArgs};
use crate::outcome::Outcome;
use crate::render::{self, plural};
use crate::reporter::{self, Output};
use crate::wire;

/// Problems listed in the summary.
const LISTED_MAX: usize = 50;

pub(super) fn run(common: &CommonArgs, args: ImportArgs) -> anyhow::Result<Outcome> {
    if !args.bundle.is_file() {
        return Err(UsageError(format!("there is no file `{}`", args.bundle.display())).into());
    }
    let output = if args.json {
        Output::JsonLines
    } else {
        Output::Text
    };
    let events = reporter::events(output);
    let store = wire::open_store(common, &events)?;
    let lock = store.lock_sync("heliostat import", wire::clock().now())?;
    signals::run_blocking(move |cancel| {
        let report = act(&store, &args, output, (&events, cancel))?;
        drop(lock);
        match output {
            Output::JsonLines => {
                reporter::json_line(&serde_json::json!({ "event": "done", "report": report }));
            }
            Output::Text => reporter::print(&summary(&report, &args)),
        }
        Ok(if report.is_complete() {
            Outcome::Done
        } else {
            Outcome::Findings
        })
    })
}

fn act(
    store: &Store,
    args: &ImportArgs,
    output: Output,
    tools: (&Events, &CancellationToken),
) -> anyhow::Result<ImportReport> {
    let options = ImportOptions {
        now: wire::clock().now(),
        others: if args.prune {
            Others::Remove
        } else {
            Others::Keep
        },
        mode: if args.dry_run {
            Mode::CheckOnly
        } else {
            Mode::Take
        },
    };
    let open = || export::open(&args.bundle);
    let tell = |lack: &Lack| match output {
        Output::JsonLines => {
            reporter::json_line(&serde_json::json!({ "event": "lacks", "lacks": lack }));
        }
        Output::Text => reporter::print(&format!("lacks {}\n", lack.path.as_str())),
    };
    Ok(import(store, &open, &options, tools, tell)?)
}

fn summary(report: &ImportReport, args: &ImportArgs) -> String {
    let would = if args.dry_run { "would be " } else { "" };
    let mut lines: Vec<String> = report
        .refused
        .iter()
        .take(LISTED_MAX)
        .map(|line| format!("refused: {line}"))
        .collect();
    lines.push(format!(
        "{} {would}updated, {} unchanged, {} {would}removed; {} taken",
        plural(report.updated, "project"),
        render::count(report.unchanged),
        render::count(report.removed),
        render::bytes(report.size_bytes)
    ));
    if let Some(serial) = report.serial {
        lines.push(format!("serial {serial}"));
    }
    lines.push(format!(
        "the bundle was made at {}",
        render::moment(report.made_at)
    ));
    if report.newer > 0 {
        lines.push(format!(
            "{} newer here than in the bundle, left as they are",
            plural(report.newer, "project")
        ));
    }
    if report.not_in_it > 0 {
        lines.push(format!(
            "{} that earlier bundles brought are not in this one; `--prune` removes them",
            plural(report.not_in_it, "project")
        ));
    }
    if report.stopped {
        lines.push("stopped; the next run goes on from here".to_owned());
    }
    lines.join("\n") + "\n"
}
