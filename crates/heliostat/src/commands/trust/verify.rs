//! `heliostat trust verify`: a whole signed tree against a root. Needs no data directory and changes nothing.

use anyhow::Context as _;
use heliostat_engine::{Finding, TreeReport, check_tree};

use crate::cli::TrustVerifyArgs;
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{reporter, wire};

pub(super) fn run(args: &TrustVerifyArgs) -> anyhow::Result<Outcome> {
    let root = wire::read_small(&args.root)
        .with_context(|| format!("cannot read `--root` `{}`", args.root.display()))?;
    if !args.tree.is_dir() {
        let text = format!("`{}` is no directory", args.tree.display());
        return Err(UsageError(text).into());
    }
    let tell = |finding: &Finding| {
        if args.json {
            reporter::json_line(finding);
        } else {
            reporter::print(&format!("{}: {}\n", finding.path, finding.reason));
        }
    };
    let report = check_tree(&args.tree, &root, wire::clock().now(), tell)?;
    if args.json {
        reporter::json_line(&report);
    } else {
        reporter::talk(&summary(&report));
    }
    Ok(match (report.integrity, report.findings) {
        (0, 0) => Outcome::Done,
        (0, _) => Outcome::Findings,
        _ => Outcome::Distrusted,
    })
}

fn summary(report: &TreeReport) -> String {
    format!(
        "{} signed pages and {} files of {} bytes were checked; {} findings, {} of them bytes that nobody signed",
        report.pages, report.files, report.size_bytes, report.findings, report.integrity
    )
}
