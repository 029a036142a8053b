//! `heliostat import`: checks a bundle and takes it over.

use std::time::Duration;

use anyhow::Context as _;
use heliostat_engine::bundle::{
    Against, Claim, ImportOptions, ImportReport, Lack, Mode, Others, Proof, Signatures, import,
};
use heliostat_engine::sync::DeleteLimit;
use heliostat_engine::{Events, RunSummary};
use heliostat_store::{Beginning, Run as FinishedRun, Store};
use tokio_util::sync::CancellationToken;

use super::{UsageError, export, signals};
use crate::cli::{CommonArgs, ImportArgs, SigningArgs};
use crate::outcome::Outcome;
use crate::render::{self, plural};
use crate::reporter::{self, Output};
use crate::{signing, wire};

/// Problems listed in the summary.
const LISTED_MAX: usize = 50;
/// How far the clock of who signed may be ahead of ours.
const CLOCK_SKEW_SECONDS: i64 = 300;
/// Words of a selection shown in the summary.
const WORDS_SHOWN_MAX: usize = 10;

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
    let beginning = Beginning::look(&wire::data_directory(common));
    let store = wire::open_store(common, &events)?;
    let started_at = wire::clock().now();
    let lock = store.lock_sync("heliostat import", started_at)?;
    signals::run_blocking(move |cancel| {
        let acted = act(&store, &args, output, (&events, cancel));
        if args.dry_run || acted.is_err() {
            // A bundle of which nothing was taken leaves no mirror behind that was not there before.
            beginning.undo(&store).unwrap_or_else(|error| {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a new data directory stays"
                );
                false
            });
        }
        let report = acted?;
        if !args.dry_run {
            let finished_at = wire::clock().now();
            store.record_run(&FinishedRun {
                started_at,
                finished_at,
                outcome: serde_json::to_value(RunSummary::of_import(
                    &report,
                    started_at,
                    finished_at,
                ))?,
            })?;
        }
        drop(lock);
        match output {
            Output::JsonLines => {
                reporter::json_line(&serde_json::json!({ "event": "done", "report": report }));
            }
            Output::Text => reporter::print(&summary(&report, &args)),
        }
        Ok(if report.is_complete() && !is_refused_newer(&report) {
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
    let now = wire::clock().now();
    let with_keys = SigningArgs {
        keys: args.keys.clone(),
        publish_every: None,
    };
    let options = ImportOptions {
        now,
        against: against(args, now)?,
        others: if args.prune {
            Others::Remove
        } else {
            Others::Keep
        },
        delete_limit: (args.max_delete).map_or(DeleteLimit::Default, DeleteLimit::AtMost),
        notary: if args.dry_run {
            None
        } else {
            signing::notary(store, &with_keys, Duration::ZERO, tools.1)?
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

/// What the bundle is held against.
fn against(args: &ImportArgs, now: i64) -> anyhow::Result<Option<Against>> {
    let Some(path) = &args.root else {
        return Ok(None);
    };
    // Clocks differ a little; beyond that nothing was signed later than now.
    let latest = now.saturating_add(CLOCK_SKEW_SECONDS);
    let (as_of, signed_by) = args.as_of.map_or((now, latest), |as_of| {
        (as_of.first.as_second(), as_of.last.as_second().min(latest))
    });
    if as_of > now {
        return Err(UsageError("`--as-of` lies in the future".to_owned()).into());
    }
    let root = wire::read_small(path)
        .with_context(|| format!("cannot read `--root` `{}`", path.display()))?;
    Ok(Some(Against {
        root,
        as_of,
        signed_by,
    }))
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
    let made_at = render::moment(report.made_at);
    lines.push(match &report.proof {
        Some(_) => format!("what it holds was signed at {made_at}"),
        None => format!("the bundle says that it was made at {made_at}"),
    });
    lines.push(promised(report));
    lines.extend(proved(report, args));
    if let Some(published) = &report.published {
        lines.push(format!(
            "signed with the mirror's own keys: snapshot {}, timestamp {}",
            published.snapshot, published.timestamp
        ));
    }
    if report.newer > 0 {
        lines.push(format!(
            "{} newer here than in the bundle, left as they are{}",
            plural(report.newer, "project"),
            if is_refused_newer(report) {
                "; clients that verify are refused them until a bundle brings what is signed"
            } else {
                ""
            }
        ));
    }
    if report.not_in_it > 0 {
        lines.push(format!(
            "{} that earlier bundles brought are not in this one; `--prune` removes them",
            plural(report.not_in_it, "project")
        ));
    }
    if report.held_back > 0 {
        lines.push(format!(
            "kept {} that were to be removed, because they are more than one run may remove; look whether the bundle is \
             the right one, then allow them with `--max-delete {}`",
            plural(report.held_back, "project"),
            report.held_back
        ));
    }
    if report.stopped {
        lines.push("stopped; the next run goes on from here".to_owned());
    }
    lines.join("\n") + "\n"
}

/// Whether what is newer here is not what the signatures that stand in the tree now are of.
fn is_refused_newer(report: &ImportReport) -> bool {
    let carries = |proof: &Proof| proof.signatures == Signatures::Carried;
    report.newer > 0 && report.proof.as_ref().is_some_and(carries)
}

/// What the bundle says it holds, all of which was found in it or here.
fn promised(report: &ImportReport) -> String {
    let end = &report.promised;
    let of = if report.is_of_everything() {
        ", everything the upstream had".to_owned()
    } else if report.selection.is_empty() {
        String::new()
    } else {
        let words = &report.selection[..report.selection.len().min(WORDS_SHOWN_MAX)];
        let more = match report.selection.len() - words.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(" of `{}`{more}", words.join(" "))
    };
    format!(
        "the bundle keeps what it promises: {}{of}, {} in it ({}) and {} held before",
        plural(end.projects, "project"),
        plural(end.entries, "file"),
        render::bytes(end.size_bytes),
        render::count(end.in_base)
    )
}

/// What was proved of the bundle, and what that means for the mirror.
fn proved(report: &ImportReport, args: &ImportArgs) -> Vec<String> {
    let Some(proof) = &report.proof else {
        return vec![
            "nothing was proved: without `--root` a bundle is taken on the word of whoever brought it"
                .to_owned(),
        ];
    };
    let claim = match proof.coverage {
        Claim::Complete => ", which are all there are",
        Claim::Selection => ", of what the notary has selected",
        Claim::Partial => "",
    };
    let mut lines = vec![format!(
        "proved as of {}: {} of the {} that are signed{claim}, and {}",
        render::moment(proof.as_of),
        render::count(proof.pages),
        plural(proof.signed_pages, "page"),
        plural(proof.files, "file"),
    )];
    if report.is_complete() && !args.dry_run {
        lines.push(match proof.signatures {
            Signatures::Carried => format!(
                "the mirror carries the signed state {}, which expires at {}",
                proof.timestamp,
                render::moment(proof.expires_at)
            ),
            Signatures::Own => "the mirror signs it with its own keys".to_owned(),
        });
    }
    if proof.unsigned_here > 0 {
        lines.push(format!(
            "{} held here without a signature",
            plural(proof.unsigned_here, "project")
        ));
    }
    lines
}
