//! `heliostat sync`: one run, or a preview of it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use heliostat_engine::about;
use heliostat_engine::downstream::{is_same_notary, sync_signed};
use heliostat_engine::publish::Publisher;
use heliostat_engine::sync::{
    DeleteLimit, Depth, Files, Others, Preview, SyncReport, SyncRequest, Wishes, WishesGiven,
    name_root, name_upstream, named_root, preview, sync,
};
use heliostat_engine::{Attestations, Context, EngineError, RunSummary};
use heliostat_store::{LedgerEntry, Run as FinishedRun, Store};
use heliostat_trust::metadata::{Root, Signed};
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{UsageError, selection};
use crate::cli::{CommonArgs, SyncArgs};
use crate::outcome::Outcome;
use crate::render::{self, plural};
use crate::reporter::{self, Output};
use crate::settings::Typed;
use crate::{signing, wire};

/// Failures and removals listed in the summary; the ledger has them all.
const LISTED_MAX: usize = 50;
/// The pause before a stale page is asked for again; doubles.
const STALE_PAUSE: Duration = Duration::from_millis(500);
/// The time between two publications while a run commits, unless somebody says otherwise.
const PUBLISH_EVERY: Duration = Duration::from_mins(1);

pub(super) fn run(common: &CommonArgs, args: &SyncArgs, typed: Typed) -> anyhow::Result<Outcome> {
    wire::small_pages_only();
    let output = if args.json {
        Output::JsonLines
    } else {
        Output::Text
    };
    let events = reporter::events(output);
    let mut given = selection::given(args, typed)?;
    let root = args.root.as_deref().map(read_root).transpose()?;
    wire::usable(&args.upstream)?;
    refuse_to_make_an_empty_mirror(common, args, &given.wishes)?;
    let store = wire::open_store(common, &events)?;
    let lock = store.lock_sync("heliostat sync", wire::clock().now())?;
    let (named, root) = match root {
        None if !args.unverified => (None, remembered_root(&store)?),
        given => (given.clone(), given),
    };
    let upstream = wire::upstream_of(&store, &args.upstream)?;
    let (runtime, cancel) = (wire::runtime()?, CancellationToken::new());
    let mut signals = Signals::listen_on(&runtime);
    let notary = signals.heed(&runtime, &cancel, || {
        signing::notary(&store, &args.signing, PUBLISH_EVERY, &cancel)
    })?;
    let context = Context {
        notary,
        attestations: attestations(args, root.as_deref(), &store)?,
        ..wire::context(store, upstream, events)
    };
    let ended = runtime.block_on(async {
        let work = async {
            // What is refused is not remembered.
            if let Some(root) = &named {
                is_same_notary(&context, root).await?;
            }
            if !args.dry_run {
                remember(&context.store, args, named.as_deref())?;
            }
            for note in &given.notes {
                reporter::talk(note);
            }
            if args.selection.with_deps {
                let closing = selection::close_over(&context, args, &mut given);
                let Some(notes) = cancel.run_until_cancelled(closing).await else {
                    reporter::talk("stopped while dependencies were resolved; nothing was changed");
                    return Ok(Outcome::Findings);
                };
                for note in notes? {
                    reporter::talk(&note);
                }
            }
            let wishes = Wishes::load(&context.store)?.after(given.wishes);
            let request = request(args, wishes);
            let run = Run {
                context: &context,
                request: &request,
                root: root.as_deref(),
                cancel: &cancel,
                output,
            };
            if args.dry_run {
                look(&context, &request, &cancel, output).await
            } else if let Some(minutes) = args.watch {
                let pause = Duration::from_secs(60 * u64::from(minutes));
                watch(&run, pause).await
            } else {
                act(&run).await
            }
        };
        tokio::select! {
            ended = work => ended,
            () = signals.watch(&cancel) => Ok(Outcome::Findings),
        }
    });
    // What a second signal cut off is not waited for; recovery discards it.
    wire::end(runtime);
    drop(lock);
    ended
}

/// What is done about provenance; a root leads to the trusted root that it is verified against.
fn attestations(
    args: &SyncArgs,
    root: Option<&[u8]>,
    store: &Store,
) -> anyhow::Result<Attestations> {
    match root {
        Some(_) => wire::attestations_until_signed(
            args.attestations.attestations,
            args.attestations.trusted_root.as_deref(),
        ),
        None => wire::attestations(&args.attestations, store),
    }
}

/// The root that `--root` names.
fn read_root(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = wire::read_small(path)
        .with_context(|| format!("cannot read `--root` `{}`", path.display()))?;
    if let Err(error) = Signed::<Root>::read(&bytes) {
        return Err(UsageError(format!(
            "`--root {}` is not a usable root: {error}",
            path.display()
        ))
        .into());
    }
    Ok(bytes)
}

/// The root of an earlier sync, which goes on to be what everything is verified against.
fn remembered_root(store: &Store) -> anyhow::Result<Option<Vec<u8>>> {
    let root = named_root(store)?;
    if root.is_some() {
        tracing::info!("verifying against the root that an earlier sync named");
    }
    Ok(root)
}

/// Notes what this call says for the ones after it: who runs the mirror, where it takes from, and who vouches for that.
fn remember(store: &Store, args: &SyncArgs, root: Option<&[u8]>) -> anyhow::Result<()> {
    about::introduce(store, &args.mirror.operator())?;
    if let Some(upstream) = &args.upstream.upstream {
        name_upstream(store, upstream)?;
    }
    match root {
        // It was read as JSON.
        Some(root) => name_root(store, Some(&String::from_utf8_lossy(root)))?,
        None if args.unverified => name_root(store, None)?,
        None => {}
    }
    Ok(())
}

/// Where there is no mirror yet, nothing was selected earlier either: a call that selects nothing makes none. A signed
/// upstream has its own say in what is selected.
fn refuse_to_make_an_empty_mirror(
    common: &CommonArgs,
    args: &SyncArgs,
    given: &WishesGiven,
) -> anyhow::Result<()> {
    let is_new = args.root.is_none() && !wire::data_directory(common).exists();
    if is_new && (Wishes::default().after(given.clone()).selection()).is_empty() {
        return Err(EngineError::NothingSelected.into());
    }
    Ok(())
}

fn request(args: &SyncArgs, wishes: Wishes) -> SyncRequest {
    SyncRequest {
        wishes,
        delete_limit: args
            .max_delete
            .map_or(DeleteLimit::Default, DeleteLimit::AtMost),
        jobs: usize::from(args.upstream.jobs),
        grace_seconds: args.grace,
        depth: if args.recheck {
            Depth::EveryPage
        } else {
            Depth::Serials
        },
        stale_pause: STALE_PAUSE,
    }
}

/// One run and what it needs.
struct Run<'a> {
    context: &'a Context,
    request: &'a SyncRequest,
    /// The root against which a signed upstream is verified.
    root: Option<&'a [u8]>,
    cancel: &'a CancellationToken,
    output: Output,
}

async fn act(run: &Run<'_>) -> anyhow::Result<Outcome> {
    let &Run {
        context,
        request,
        root,
        cancel,
        output,
    } = run;
    let started_at = context.clock.now();
    let report = match root {
        Some(root) => sync_signed(context, request, root, cancel).await?,
        None => sync(context, request, cancel).await?,
    };
    let finished_at = context.clock.now();
    let summary_of_run = serde_json::to_value(RunSummary::of(&report, started_at, finished_at))?;
    context.store.record_run(&FinishedRun {
        started_at,
        finished_at,
        outcome: summary_of_run,
    })?;
    about::describe(&context.store)?;
    match output {
        Output::JsonLines => {
            reporter::json_line(&serde_json::json!({ "event": "done", "report": report }));
        }
        Output::Text => reporter::print(&summary(&report)),
    }
    signing::warn_of_due(&context.store, finished_at)?;
    Ok(if report.is_complete() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

/// Syncs again and again. An upstream that is away is no reason to end, nor is a signature that cannot be had, nor are
/// failures, which the ledger keeps; what is signed is kept current in between.
async fn watch(run: &Run<'_>, pause: Duration) -> anyhow::Result<Outcome> {
    let cancel = run.cancel;
    let publisher = Publisher::of(run.context);
    loop {
        let outcome = match act(run).await {
            Ok(outcome) => outcome,
            Err(error) if cancel.is_cancelled() => return Err(error),
            Err(error) if is_passing(&error) => {
                tracing::error!(
                    error = &*error as &dyn std::error::Error,
                    "this run failed; the next may not"
                );
                Outcome::Findings
            }
            Err(error) => return Err(error),
        };
        let until_next = cancel.child_token();
        let waiting = async {
            let _woken = cancel.run_until_cancelled(tokio::time::sleep(pause)).await;
            until_next.cancel();
        };
        match &publisher {
            Some(publisher) => drop(tokio::join!(waiting, publisher.keep(&until_next))),
            None => waiting.await,
        }
        if cancel.is_cancelled() {
            return Ok(outcome);
        }
    }
}

/// Whether what ended a run is the upstream's trouble, or that of whoever holds the online key.
fn is_passing(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<EngineError>(),
        Some(EngineError::Upstream(_) | EngineError::NoList { .. } | EngineError::Sign { .. })
    )
}

async fn look(
    context: &Context,
    request: &SyncRequest,
    cancel: &CancellationToken,
    output: Output,
) -> anyhow::Result<Outcome> {
    let preview = preview(context, request, cancel).await?;
    match output {
        Output::JsonLines => {
            reporter::json_line(&serde_json::json!({ "event": "plan", "plan": preview }));
        }
        Output::Text => reporter::print(&plan_text(&preview)),
    }
    let unreadable = preview
        .projects
        .iter()
        .any(|project| project.error.is_some());
    Ok(if unreadable || preview.drop_held_back {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn summary(report: &SyncReport) -> String {
    let mut lines = vec![format!(
        "{} updated, {} unchanged, {} removed; {} ({}) taken",
        plural(report.updated, "project"),
        render::count(report.unchanged),
        render::count(report.dropped),
        plural(report.files, "file"),
        render::bytes(report.size_bytes)
    )];
    if let Some(serial) = report.serial {
        lines.push(format!("serial {serial}"));
    }
    if report.left > 0 {
        lines.push(format!(
            "stopped: {} left; the next run goes on from here",
            plural(report.left, "project")
        ));
    }
    if report.held_back > 0 {
        lines.push(format!(
            "kept {} that were to be removed, because they are more than one run may remove or the upstream's list is \
             older than before; look at `heliostat sync --dry-run`, then allow them with `--max-delete {}`",
            plural(report.held_back, "project"),
            report.held_back
        ));
    }
    entries("failure", &report.failures, &mut lines);
    entries("warning", &report.warnings, &mut lines);
    lines.join("\n") + "\n"
}

/// What stands in the ledger, as far as it is worth reading.
fn entries(what: &str, entries: &[LedgerEntry], lines: &mut Vec<String>) {
    if entries.is_empty() {
        return;
    }
    let count = plural(entries.len() as u64, what);
    lines.push(format!("{count} in the ledger:"));
    for entry in entries.iter().take(LISTED_MAX) {
        let item = if entry.item.is_empty() {
            String::new()
        } else {
            format!(" {}", entry.item)
        };
        lines.push(format!("  {}{item}: {}", entry.project, entry.reason));
    }
    if entries.len() > LISTED_MAX {
        lines.push(format!(
            "  … and {} more; `heliostat status --json` has them all",
            entries.len() - LISTED_MAX
        ));
    }
}

fn plan_text(preview: &Preview) -> String {
    let mut lines = Vec::new();
    for project in &preview.projects {
        let mut line = match &project.error {
            Some(error) => format!("{}: {error}", project.project),
            None => format!(
                "{} ({}): fetch {} ({}), keep {}, remove {}",
                project.project,
                project.reason.words(),
                render::count(project.fetch),
                render::bytes(project.size_bytes),
                render::count(project.keep),
                render::count(project.remove)
            ),
        };
        for (reason, count) in &project.filtered {
            let _infallible = write!(line, "; {} left out: {reason}", render::count(*count));
        }
        lines.push(line);
    }
    for drop in preview.drop.iter().take(LISTED_MAX) {
        lines.push(format!("{}: remove", drop.project_line()));
    }
    if preview.drop.len() > LISTED_MAX {
        lines.push(format!(
            "… and {} more to remove",
            preview.drop.len() - LISTED_MAX
        ));
    }
    let estimate = if preview.estimated_projects == 0 {
        String::new()
    } else {
        format!(
            " (an estimate: {} not looked at)",
            plural(preview.estimated_projects, "project")
        )
    };
    lines.push(format!(
        "would refresh {}, remove {}, leave {}; would fetch {}, {}{estimate}",
        plural(preview.refresh.values().sum(), "project"),
        render::count(preview.drop.len() as u64),
        render::count(preview.keep + preview.waiting),
        plural(preview.files, "file"),
        render::bytes(preview.size_bytes)
    ));
    if preview.drop_held_back {
        lines.push(
            "the removals are more than one run may make; allow them with `--max-delete N`"
                .to_owned(),
        );
    }
    lines.join("\n") + "\n"
}

/// What the command line decides about files; `None` where it says nothing.
pub(super) fn files(no_files: Option<bool>) -> Option<Files> {
    no_files.map(|none| if none { Files::PagesOnly } else { Files::Take })
}

/// What the command line decides about what was selected before.
pub(super) const fn others(only: bool) -> Others {
    if only { Others::Forget } else { Others::Keep }
}
