//! `heliostat adopt`: takes a foreign tree over, and reads its bandersnatch.conf.

use heliostat_engine::Events;
use heliostat_engine::adopt::{AdoptReport, adopt, look, web_of};

use super::{UsageError, bandersnatch};
use crate::cli::{AdoptArgs, CommonArgs};
use crate::outcome::Outcome;
use crate::render::{self, plural};
use crate::{reporter, wire};

/// Problems listed for a person; `--json` has them all.
const PROBLEMS_SHOWN_MAX: usize = 50;

pub(super) fn run(common: &CommonArgs, args: &AdoptArgs) -> anyhow::Result<Outcome> {
    if !web_of(&args.tree).join("simple").is_dir() {
        return Err(UsageError(format!(
            "`{}` has no `simple` directory: name a tree, or a bandersnatch home with `web`",
            args.tree.display()
        ))
        .into());
    }
    if let Some(path) = &args.bandersnatch_conf {
        let text = wire::read_small(path)
            .map_err(|error| UsageError(format!("cannot read `{}`: {error}", path.display())))?;
        reporter::print(&bandersnatch::translate(&String::from_utf8_lossy(&text))?);
    }
    let report = if args.dry_run {
        look(&args.tree, &wire::data_directory(common).join("web"))?
    } else {
        let store = wire::open_store(common, &Events::none())?;
        let _lock = store.lock_sync("heliostat adopt", wire::clock().now())?;
        adopt(&store, &args.tree, wire::clock().now())?
    };
    if args.json {
        reporter::json_line(&report);
    } else {
        reporter::talk(&text(&report, args));
    }
    Ok(if report.problems.is_empty() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

fn text(report: &AdoptReport, args: &AdoptArgs) -> String {
    let mut lines: Vec<String> = report
        .problems
        .iter()
        .take(PROBLEMS_SHOWN_MAX)
        .map(|problem| format!("{}: {}", problem.path, problem.reason))
        .collect();
    let unshown = report.problems.len().saturating_sub(PROBLEMS_SHOWN_MAX);
    if unshown > 0 {
        lines.push(format!("… and {unshown} more; `--json` has them all"));
    }
    let verb = if args.dry_run {
        "would take over"
    } else {
        "took over"
    };
    let how = if report.in_place {
        "in place"
    } else {
        "by hard link"
    };
    lines.push(format!(
        "{verb} {} with {} ({}) {how}; {} missing, {} not taken",
        plural(report.projects, "project"),
        plural(report.files, "file"),
        render::bytes(report.size_bytes),
        render::count(report.missing),
        render::count(report.problems.len() as u64)
    ));
    if !args.dry_run {
        lines.push("`heliostat sync` brings it up to date".to_owned());
    }
    lines.join("\n")
}
