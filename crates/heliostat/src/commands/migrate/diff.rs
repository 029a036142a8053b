//! `heliostat migrate diff`: what `apply` would change, as a unified diff.

use std::fmt::Write as _;

use diffy::{DiffOptions, PatchFormatter};
use heliostat_migrate::report::Report;
use heliostat_migrate::{Text, redacted};

use super::{Found, apply, finish, look, scanner};
use crate::cli::MigrateTargetArgs;
use crate::outcome::Outcome;
use crate::reporter;

pub(super) fn run(args: &MigrateTargetArgs) -> anyhow::Result<Outcome> {
    let scanner = scanner(args.map.as_deref())?;
    let (found, mut report) = look(&scanner, args)?;
    let mut changed = false;
    for one in &found {
        if let Some(new) = apply::rewritten(&scanner, one, &mut report) {
            changed = true;
            reporter::print(&unified(one, &new));
        }
    }
    reporter::talk(&left(&report));
    finish(&report, changed || report.has_live())
}

/// The manual findings, so that nothing hides behind a patch.
pub(super) fn left(report: &Report) -> String {
    let mut text = String::new();
    for one in report
        .findings
        .iter()
        .filter(|one| one.active && !one.is_safe())
    {
        let _infallible = writeln!(
            text,
            "{}:{}:{} {} {} [manual] {}",
            one.file,
            one.line,
            one.column,
            one.kind.word(),
            one.host,
            one.reason.as_deref().unwrap_or_default()
        );
    }
    text.trim_end().to_owned()
}

fn unified(one: &Found, new: &[u8]) -> String {
    let (Some(before), Some(after)) = (Text::read(&one.bytes), Text::read(new)) else {
        return String::new();
    };
    let patch = DiffOptions::new()
        .set_context_len(3)
        .set_original_filename(format!("a/{}", one.name))
        .set_modified_filename(format!("b/{}", one.name))
        .create_patch(before.view(), after.view());
    let diff = PatchFormatter::new()
        .suppress_blank_empty(false)
        .fmt_patch(&patch)
        .to_string();
    // A login's secret is shown in no output, at the price of a patch that its lines would have to be put into.
    diff.split_inclusive('\n').map(hidden).collect()
}

fn hidden(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for word in line.split_inclusive([' ', '"', '\'', ',', '\n']) {
        if word.contains('@') {
            out.push_str(&redacted(word));
        } else {
            out.push_str(word);
        }
    }
    out
}
