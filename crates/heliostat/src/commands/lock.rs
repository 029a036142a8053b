//! `heliostat lock normalize`: addresses of a proxy or mirror in lock files become those of the canonical index.

use std::path::Path;

use anyhow::Context as _;
use heliostat_pypi::lock_urls::{
    Beside, Canonical, CanonicalLock, LockFormat, Loopback, MovedRoot, UrlLeft, UrlMap,
    canonical_lock,
};
use url::Url;

use super::UsageError;
use crate::cli::{LockCommand, LockNormalizeArgs};
use crate::outcome::Outcome;
use crate::{files, reporter, settings, wire};

pub(super) fn run(command: &LockCommand) -> anyhow::Result<Outcome> {
    let LockCommand::Normalize(args) = command;
    normalize(args)
}

fn normalize(args: &LockNormalizeArgs) -> anyhow::Result<Outcome> {
    let map = UrlMap {
        from: args.from.iter().cloned().map(MovedRoot::new).collect(),
        loopback: Loopback::Mapped,
        to: canonical(&args.to),
        beside: (args.origin_url.clone()).map_or(Beside::Unknown, Beside::Named),
    };
    let mut outcome = Outcome::Done;
    for path in &args.files {
        let (text, lock) = read(path, &map)?;
        let would_change = lock.text != text;
        if would_change && !args.check {
            files::replace(path, lock.text.as_bytes())
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        if (would_change && args.check) || !lock.left.is_empty() {
            outcome = Outcome::Findings;
        }
        tell(path, &lock, args);
    }
    Ok(outcome)
}

/// Where addresses belong: PyPI keeps its files on a host of their own, every other index beside its pages.
pub(super) fn canonical(to: &Url) -> Canonical {
    if to.as_str() == crate::PYPI_SIMPLE_ROOT {
        return Canonical {
            // As the installers spell it when nobody tells them otherwise.
            index: crate::PYPI_SIMPLE_ROOT.trim_end_matches('/').to_owned(),
            files: crate::PYPI_FILES_ROOT.to_owned(),
        };
    }
    let root = to.as_str().trim_end_matches('/');
    Canonical {
        index: to.to_string(),
        files: format!("{}/", root.strip_suffix("/simple").unwrap_or(root)),
    }
}

/// A lock file, and what it is with other addresses.
pub(super) fn read(path: &Path, map: &UrlMap) -> anyhow::Result<(String, CanonicalLock)> {
    let shown = path.display();
    let format = LockFormat::of_filename(&path.to_string_lossy()).ok_or_else(|| {
        UsageError(format!(
            "`{shown}` is none of uv.lock, pylock.toml, poetry.lock, Pipfile.lock, pixi.lock"
        ))
    })?;
    let bytes = wire::read_small(path).with_context(|| format!("cannot read `{shown}`"))?;
    let text =
        String::from_utf8(bytes).map_err(|_| UsageError(format!("`{shown}` is not UTF-8")))?;
    let lock = canonical_lock(format, &text, map)
        .map_err(|error| UsageError(format!("`{shown}`: {error}")))?;
    Ok((text, lock))
}

fn tell(path: &Path, lock: &CanonicalLock, args: &LockNormalizeArgs) {
    let shown = path.display();
    for change in &lock.changes {
        let before = settings::redact(change.before.clone());
        if args.json {
            reporter::json_line(&serde_json::json!({
                "event": if args.check { "would-change" } else { "changed" },
                "path": shown.to_string(), "line": change.line, "switch": change.switch,
                "before": before, "after": change.after,
            }));
        } else {
            let switch = (change.switch).map_or_else(String::new, |name| format!("{name}: "));
            reporter::print(&format!(
                "{shown}:{}: {switch}{before} -> {}\n",
                change.line, change.after
            ));
        }
    }
    for left in &lock.left {
        if args.json {
            reporter::json_line(&serde_json::json!({
                "event": "left", "path": shown.to_string(), "line": left.line,
                "url": settings::redact(left.url.clone()),
                "file": left.file.clone().map(settings::redact),
            }));
        } else {
            reporter::print(&format!("{shown}:{}: {}\n", left.line, why_left(left)));
        }
    }
}

/// Why an address stays, and what helps.
pub(super) fn why_left(left: &UrlLeft) -> String {
    let url = settings::redact(left.url.clone());
    match left.file.clone().map(settings::redact) {
        None => format!("{url} has no counterpart and stays"),
        Some(file) => format!(
            "{url} stays, since the package's files are elsewhere ({file}): name its index with `--origin-url`"
        ),
    }
}
