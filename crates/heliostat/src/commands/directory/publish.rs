//! `heliostat directory publish`: a list as static files, written as a whole or not at all.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_directory::{Files, Published, Round, history_by_month};
use jiff::Timestamp;

use super::{POLICY, files_in, folder, read, read_history, read_text};
use crate::cli::DirectoryPublishArgs;
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

/// Where the list keeps what probes saw, and where it is published.
const HISTORY: &str = "history";
/// Where the list keeps proofs of violations, and where they are published.
const EVIDENCE: &str = "evidence";
/// By this file a folder is known to have been published.
const MARK: &str = "v1/mirrors.json";
/// How hard history is pressed: it is written once and read by few.
const ZSTD_LEVEL: i32 = 12;
/// Bytes of one file of evidence.
const EVIDENCE_BYTES_MAX: u64 = 64 << 20;

pub(super) fn publish(args: &DirectoryPublishArgs) -> anyhow::Result<Outcome> {
    refuse_others(&args.published)?;
    let (policy, registry) = read(&args.place)?;
    let policy_text = read_text(&args.place.registry.join(POLICY))?;
    let at = match args.at {
        Some(at) => at,
        None => Timestamp::from_second(wire::clock().now()).context("the clock is out of range")?,
    };
    let rounds = rounds(args)?;
    let evidence = evidence(&args.place.registry)?;
    let names: Vec<String> = evidence.keys().cloned().collect();
    let published = Published {
        registry: &registry,
        policy: &policy,
        policy_text: &policy_text,
        rounds: &rounds,
        at,
        evidence: &names,
        generator: concat!("heliostat ", env!("CARGO_PKG_VERSION")),
    };
    let mut all = heliostat_directory::publish(&published)?;
    for (month, text) in history_by_month(&rounds, at)? {
        let bytes =
            zstd::encode_all(text.as_bytes(), ZSTD_LEVEL).context("cannot compress the history")?;
        all.insert(format!("v1/{HISTORY}/{month}.jsonl.zst"), bytes);
    }
    for (name, bytes) in evidence {
        all.insert(format!("v1/{EVIDENCE}/{name}"), bytes);
    }
    let is_signed = super::sign::add_metadata(args, at, &mut all)?;
    folder::replace(&args.published, &all)
        .with_context(|| format!("cannot write the folder `{}`", args.published.display()))?;
    reporter::talk(&format!(
        "{} of {} written to `{}`, {}",
        render::plural(all.len() as u64, "file"),
        render::plural(registry.mirrors().count() as u64, "mirror"),
        args.published.display(),
        if is_signed { "signed" } else { "unsigned" }
    ));
    Ok(Outcome::Done)
}

/// A folder that something else is in is never replaced.
fn refuse_others(folder: &Path) -> anyhow::Result<()> {
    let is_other = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some() && !folder.join(MARK).is_file(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => {
            return Err(error)
                .with_context(|| format!("cannot read the folder `{}`", folder.display()));
        }
    };
    if is_other {
        return Err(UsageError(format!(
            "`{}` holds something that is no published list (there is no `{MARK}`), and would be replaced; name \
             another folder, or empty this one",
            folder.display()
        ))
        .into());
    }
    Ok(())
}

fn rounds(args: &DirectoryPublishArgs) -> anyhow::Result<Vec<Round>> {
    if !args.history.is_empty() {
        return read_history(&args.history);
    }
    let folder = args.place.registry.join(HISTORY);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> = files_in(&folder, ".jsonl")?;
    paths.extend(files_in(&folder, ".jsonl.zst")?);
    read_history(&paths)
}

/// Proofs of violations, each under the digest of its bytes.
#[expect(
    clippy::disallowed_methods,
    reason = "a registry is a person's folder under git, not the store's"
)]
fn evidence(registry: &Path) -> anyhow::Result<Files> {
    let folder = registry.join(EVIDENCE);
    let mut evidence = Files::new();
    if !folder.exists() {
        return Ok(evidence);
    }
    for path in files_in(&folder, ".json")? {
        let reading = || format!("cannot read `{}`", path.display());
        let size = path.metadata().with_context(reading)?.len();
        anyhow::ensure!(
            size <= EVIDENCE_BYTES_MAX,
            "`{}` is larger than {EVIDENCE_BYTES_MAX} bytes",
            path.display()
        );
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        evidence.insert(
            name.into_owned(),
            std::fs::read(&path).with_context(reading)?,
        );
    }
    Ok(evidence)
}
