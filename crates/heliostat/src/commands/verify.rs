//! `heliostat verify`: every problem, one line each, and what was done about it.

use std::fmt::Write as _;

use heliostat_engine::verify::{
    Problem, Repair, Repaired, Start, VerifyOptions, VerifyReport, verify,
};
use heliostat_engine::{AttestationPolicy, Chosen, Context};
use heliostat_pypi::ProjectName;
use tokio_util::sync::CancellationToken;

use super::{UsageError, signals};
use crate::cli::{CommonArgs, VerifyArgs};
use crate::outcome::Outcome;
use crate::render::{self, plural};
use crate::reporter::{self, Output};
use crate::wire;

pub(super) fn run(common: &CommonArgs, args: &VerifyArgs) -> anyhow::Result<Outcome> {
    wire::existing_data_directory(common)?;
    let output = if args.json {
        Output::JsonLines
    } else {
        Output::Text
    };
    let events = reporter::events(output);
    wire::usable(&args.upstream)?;
    let store = wire::open_store(common, &events)?;
    let upstream = wire::upstream_of(&store, &args.upstream)?;
    // A repair changes what a sync works on; looking does not.
    let now = wire::clock().now();
    let lock = args
        .repair
        .then(|| store.lock_sync("heliostat verify --repair", now))
        .transpose()?;
    let options = options(args)?;
    for name in &options.projects {
        if store.project(name)?.is_none() {
            return Err(UsageError(format!("the mirror does not hold `{name}`")).into());
        }
    }
    let attestations = match &args.root {
        Some(root) => {
            wire::attestations_by(args.attestations.attestations, Chosen::ByOperator, || {
                wire::verifier_of_tree(&store.web(), root)
            })?
        }
        None => wire::attestations(&args.attestations, &store)?,
    };
    let context = Context {
        attestations,
        ..wire::context(store, upstream, events)
    };
    let policy = context.attestations.policy();
    let runtime = wire::runtime()?;
    let report = runtime.block_on(async {
        let cancel = CancellationToken::new();
        let tell = |problem: &Problem| match output {
            Output::JsonLines => {
                let event = if problem.is_warning(policy) { "warning" } else { "problem" };
                reporter::json_line(&serde_json::json!({ "event": event, "problem": problem }));
            }
            Output::Text => reporter::print(&line(problem, policy)),
        };
        let report = tokio::select! {
            report = verify(&context, &options, &cancel, tell) => report?,
            () = signals::watch(&cancel) => VerifyReport { stopped: true, ..VerifyReport::default() },
        };
        anyhow::Ok(report)
    })?;
    wire::end(runtime);
    drop(lock);
    match output {
        Output::JsonLines => {
            reporter::json_line(&serde_json::json!({ "event": "done", "report": report }));
        }
        Output::Text => reporter::print(&summary(&report)),
    }
    Ok(if report.problems > report.repaired || report.stopped {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn options(args: &VerifyArgs) -> anyhow::Result<VerifyOptions> {
    let projects = args
        .projects
        .iter()
        .map(|name| {
            name.parse()
                .map_err(|error| UsageError(format!("{error}")).into())
        })
        .collect::<anyhow::Result<Vec<ProjectName>>>()?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(VerifyOptions {
        repair: if args.repair {
            Repair::Fetch
        } else {
            Repair::No
        },
        projects,
        start: if args.resume {
            Start::Resume
        } else {
            Start::Beginning
        },
        readers: args.readers.map_or(processors, usize::from),
        bytes_per_second_max: args.rate,
        jobs: usize::from(args.upstream.jobs),
    })
}

fn line(problem: &Problem, policy: AttestationPolicy) -> String {
    let warning = if problem.is_warning(policy) {
        "warning: "
    } else {
        ""
    };
    let mut text = format!("{warning}{}: {}", problem.path, problem.kind.text());
    if let Some(expected) = &problem.expected {
        let _infallible = write!(text, "; expected {expected}");
    }
    if let Some(found) = &problem.found {
        let _infallible = write!(text, ", found {found}");
    }
    match problem.repaired {
        Repaired::No => {}
        Repaired::Again => text.push_str(" [made good]"),
        Repaired::Dropped => text.push_str(" [dropped from its page]"),
    }
    text + "\n"
}

fn summary(report: &VerifyReport) -> String {
    let stopped = if report.stopped {
        "; stopped, `--resume` goes on from here"
    } else {
        ""
    };
    let warnings = match report.warnings {
        0 => String::new(),
        count => format!(", {} of provenance", plural(count, "warning")),
    };
    let proved = match report.proved {
        0 => String::new(),
        count => format!(", {} proved", plural(count, "provenance document")),
    };
    format!(
        "{}, {} ({}) checked{proved}; {} found, {} made good{warnings}{stopped}\n",
        plural(report.projects, "project"),
        plural(report.files, "file"),
        render::bytes(report.size_bytes),
        plural(report.problems, "problem"),
        render::count(report.repaired)
    )
}
