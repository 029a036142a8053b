//! `heliostat directory run` and `merge`: rounds again and again, and what other vantages saw.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use heliostat_directory::{Class, Merged, Round, VantageId, merge};
use heliostat_prober::{Evidence, Prober, Reference, Target, compare_vantages};
use heliostat_pypi::Sha256;
use tokio_util::sync::CancellationToken;

use super::reference::Opening;
use super::{history, notify, probe};
use crate::cli::{DirectoryMergeArgs, DirectoryRunArgs, ProberArgs};
use crate::commands::UsageError;
use crate::commands::signals::Signals;
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

/// Rounds of five minutes in an hour, and in a day.
const HOURLY_EVERY: u64 = 12;
const DAILY_EVERY: u64 = 288;
/// The largest document of evidence that is taken from another vantage, in bytes.
const EVIDENCE_BYTES_MAX: u64 = 1_000_000;

/// Looks again and again, until it is told to stop.
pub(super) fn run(args: &DirectoryRunArgs) -> anyhow::Result<Outcome> {
    let (policy, _) = super::read(&args.prober.place)?;
    let list = &args.prober.place.registry;
    notify::usable(&args.notices, list, (&policy, &ways(&args.prober)))?;
    let runtime = wire::runtime()?;
    let ended = runtime.block_on(async {
        let cancel = CancellationToken::new();
        let signals = Signals::listen();
        let work = async {
            let looking = rounds(args);
            match cancel.run_until_cancelled(looking).await {
                Some(ended) => ended,
                None => Ok(Outcome::Done),
            }
        };
        tokio::select! {
            ended = work => ended,
            () = signals.watch(&cancel) => Ok(Outcome::Findings),
        }
    });
    wire::end(runtime);
    ended
}

/// Webhooks are reached as the reference is.
fn ways(args: &ProberArgs) -> notify::Ways {
    notify::Ways {
        cacert: args.upstream.cacert.clone(),
        proxy: args.upstream.proxy.clone(),
    }
}

async fn rounds(args: &DirectoryRunArgs) -> anyhow::Result<Outcome> {
    let every = Duration::from_secs(args.every);
    let mut beats = tokio::time::interval(every);
    // A round that takes longer than the pause between two moves the next one on; rounds never pile up.
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let opening = Opening::of_list(&args.prober)?;
    let mut reference = None;
    let mut number = 0;
    let mut discarded = None;
    let mut any_counted = false;
    loop {
        beats.tick().await;
        let class = class_of(number);
        if number % args.reference_every == 0 {
            reference = None;
        }
        let (ended, reason) = one_round(args, class, (&opening, &mut reference)).await?;
        any_counted |= reason.is_none();
        discarded = reason.or(discarded);
        number += 1;
        if args.rounds.is_some_and(|rounds| number >= rounds) {
            return match discarded {
                Some(reason) if !any_counted => Err(anyhow::anyhow!(
                    "what was seen is written down, and no round counts: {reason}"
                )),
                _ => Ok(ended),
            };
        }
    }
}

/// Which class a round is of: the first looks at everything.
const fn class_of(number: u64) -> Class {
    if number.is_multiple_of(DAILY_EVERY) {
        Class::Daily
    } else if number.is_multiple_of(HOURLY_EVERY) {
        Class::Hourly
    } else {
        Class::Minutes
    }
}

/// Makes one round; gives also why it does not count, where that is so.
async fn one_round(
    args: &DirectoryRunArgs,
    class: Class,
    reference: (&Opening<'_>, &mut Option<Reference>),
) -> anyhow::Result<(Outcome, Option<&'static str>)> {
    let (notices, args) = (&args.notices, &args.prober);
    // Read anew, so that a changed list counts from the next round on.
    let (policy, registry) = super::read(&args.place)?;
    let targets: Vec<Target> = probe::chosen(&registry, &[])?;
    let now = wire::clock().now();
    let vantage = VantageId(args.vantage.clone());
    let before = history::last_samples(&args.place.registry, &vantage, now)?;
    let options = probe::options(args, Some(&policy), (class, now))?;
    probe::tell_too_dear(&options, &targets);
    let prober = Prober::new(options);
    let work = (&prober, targets.as_slice(), now);
    let mut seen = probe::look(args, work, reference, &before).await?;
    probe::keep(&args.place.registry, &mut seen)?;
    let samples = &seen.round.samples;
    let failing = samples
        .iter()
        .filter(|sample| !sample.faults.is_empty())
        .count();
    let discarded = seen.round.discarded(&policy.rounds);
    reporter::talk(&match discarded {
        Some(reason) => format!(
            "{}: the round does not count: {reason}",
            render::moment(now)
        ),
        None => format!(
            "{}: {} looked at, {failing} with faults",
            render::moment(now),
            render::plural(samples.len() as u64, "endpoint")
        ),
    });
    let ways = ways(args);
    let list = &args.place.registry;
    let told = notify::after_round(notices, list, (&policy, &registry), &ways, seen.round.at).await;
    // Rounds go on when nobody can be told; what is due is tried again after the next one.
    let outcome = match told {
        Ok(told) => told.outcome(),
        Err(error) => {
            crate::outcome::tell(&error);
            Outcome::Findings
        }
    };
    Ok((outcome, discarded))
}

/// Joins what another vantage saw with the list's history.
pub(super) fn merge_files(args: &DirectoryMergeArgs) -> anyhow::Result<Outcome> {
    let (policy, _) = super::read(&args.place)?;
    let list = &args.place.registry;
    let mut files = args.files.clone();
    let mut evidence = Vec::new();
    for place in &args.files {
        if place.is_dir() {
            files.retain(|file| file != place);
            files.extend(inside(&place.join(history::HISTORY), ".jsonl")?);
            evidence.extend(inside(&place.join(history::EVIDENCE), ".json")?);
        }
    }
    let mut theirs: Vec<Round> = Vec::new();
    for file in &files {
        let text = super::read_text(file)?;
        theirs.extend(Round::read_all(&file.display().to_string(), &text)?);
    }
    if let Some(from) = &args.from {
        let stranger = theirs
            .iter()
            .flat_map(|round| &round.samples)
            .find(|sample| sample.vantage.0 != *from);
        if let Some(sample) = stranger {
            return Err(UsageError(format!(
                "there is a sample of the vantage `{}`, where only `{from}` may speak; nothing was taken",
                sample.vantage
            ))
            .into());
        }
    }
    for file in &evidence {
        take_evidence(list, file)?;
    }
    let now = wire::clock().now();
    let proofs = compare_vantages(&history::recent(list, now)?, &mut theirs);
    let new: Vec<Evidence> = (proofs.into_iter())
        .filter(|one| !history::evidence_path(list, &one.sha256).exists())
        .collect();
    history::keep_evidence(list, &new)?;
    let joined = history::join(list, theirs, |ours, theirs| {
        merge(ours, theirs, &policy.rounds)
    })?;
    let Merged {
        known,
        joined,
        added,
        ..
    } = joined;
    reporter::talk(&format!(
        "{added} rounds added, {joined} joined with rounds of other vantages, {known} known already"
    ));
    for one in &new {
        reporter::talk(&format!(
            "a mirror signed different things for two vantages: `{}`",
            history::evidence_path(list, &one.sha256).display()
        ));
    }
    Ok(if new.is_empty() {
        Outcome::Done
    } else {
        Outcome::Distrusted
    })
}

/// Files of one kind in a folder, which need not be there.
fn inside(folder: &Path, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    if folder.exists() {
        super::files_in(folder, ending)
    } else {
        Ok(Vec::new())
    }
}

/// Takes one document over, if it is what its name says.
#[expect(
    clippy::disallowed_methods,
    reason = "a list is a person's folder under git, not the store's"
)]
fn take_evidence(list: &Path, file: &Path) -> anyhow::Result<()> {
    let reading = || format!("cannot read `{}`", file.display());
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .with_context(reading)?
        .take(EVIDENCE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(reading)?;
    let digest = Sha256::of(&bytes).to_hex();
    let named = file.file_stem().and_then(|stem| stem.to_str());
    if named != Some(digest.as_str()) || bytes.len() as u64 > EVIDENCE_BYTES_MAX {
        return Err(UsageError(format!(
            "`{}` is not what its name says, so that it proves nothing; nothing was taken of the history",
            file.display()
        ))
        .into());
    }
    history::put(
        &list.join(history::EVIDENCE).join(format!("{digest}.json")),
        &bytes,
    )
}
