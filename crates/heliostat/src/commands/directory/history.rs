//! The files that probes write into a list's folder: the history, appended to, and evidence.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_directory::{EndpointId, HistoryReader, Merged, Receipt, Round, Sample, VantageId};
use heliostat_prober::Evidence;
use heliostat_pypi::Sha256;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where rounds are.
pub(super) const HISTORY: &str = "history";
/// Where evidence is.
pub(super) const EVIDENCE: &str = "evidence";
/// The lock of whoever writes the history.
const LOCK: &str = ".lock";
/// What is read of the end of a history to find what was seen last.
const TAIL_BYTES: u64 = 16 << 20;
/// Bytes of one round: every endpoint of a full registry from four places.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// The file of the month that a moment is in.
pub(super) fn month_file(list: &Path, at: i64) -> PathBuf {
    let month = Timestamp::from_second(at)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned(TimeZone::UTC)
        .strftime("%Y-%m.jsonl")
        .to_string();
    list.join(HISTORY).join(month)
}

/// The last sample that a vantage took of each endpoint, as far as the end of the history tells.
pub(super) fn last_samples(
    list: &Path,
    vantage: &VantageId,
    now: i64,
) -> anyhow::Result<BTreeMap<EndpointId, Sample>> {
    let mut samples = BTreeMap::new();
    for round in recent(list, now)? {
        for sample in round.samples {
            if sample.vantage == *vantage {
                let before = samples.remove(&sample.endpoint);
                samples.insert(sample.endpoint.clone(), with_statement(sample, before));
            }
        }
    }
    Ok(samples)
}

/// A sample with the statement that its mirror signed, which only the first sample of that has.
fn with_statement(mut sample: Sample, before: Option<Sample>) -> Sample {
    let before = before.and_then(|before| before.receipt);
    match (&mut sample.receipt, before) {
        (Some(receipt), Some(before)) if receipt.signed.is_none() => {
            let known = before.signed.clone();
            let same = Receipt {
                signed: None,
                ..before
            };
            if *receipt == same {
                receipt.signed = known;
            }
        }
        // A mirror that could not be reached once has still said what it said.
        (None, before) => sample.receipt = before,
        _ => {}
    }
    sample
}

/// The end of the history: this month and the last, as far as it is read.
pub(super) fn recent(list: &Path, now: i64) -> anyhow::Result<Vec<Round>> {
    const MONTH_SECONDS: i64 = 31 * 86_400;
    let mut rounds = Vec::new();
    let mut files = vec![month_file(list, now - MONTH_SECONDS), month_file(list, now)];
    files.dedup();
    for path in files {
        rounds.extend(Round::read_all(&path.display().to_string(), &tail(&path)?)?);
    }
    Ok(rounds)
}

/// Gives every round of the history until then to `take`, the oldest first, without holding more than one. A line that
/// a writer has not ended yet is left for the next time.
#[expect(
    clippy::disallowed_methods,
    reason = "a list is a person's folder under git, not the store's"
)]
pub(super) fn walk(list: &Path, until: i64, mut take: impl FnMut(&Round)) -> anyhow::Result<()> {
    let folder = list.join(HISTORY);
    if !folder.exists() {
        return Ok(());
    }
    let mut paths = super::files_in(&folder, ".jsonl")?;
    paths.extend(super::files_in(&folder, ".jsonl.zst")?);
    paths.sort();
    let mut last_at = None;
    for path in paths {
        let name = path.display().to_string();
        let reading = || format!("cannot read `{name}`");
        let file = File::open(&path).with_context(reading)?;
        let is_compressed = path.extension().is_some_and(|extension| extension == "zst");
        let mut lines: Box<dyn BufRead> = if is_compressed {
            Box::new(BufReader::new(
                zstd::Decoder::new(file).with_context(reading)?,
            ))
        } else {
            Box::new(BufReader::new(file))
        };
        let mut reader = HistoryReader::new(&name);
        let mut line = String::new();
        while (&mut lines)
            .take(LINE_BYTES_MAX)
            .read_line(&mut line)
            .with_context(reading)?
            > 0
        {
            let read = reader.take(&line);
            let is_whole = line.ends_with('\n');
            line.clear();
            let round = match read {
                Ok(Some(round)) => round,
                Ok(None) => continue,
                Err(_) if !is_whole => break,
                Err(error) => return Err(error.into()),
            };
            anyhow::ensure!(
                last_at < Some(round.at),
                "`{name}` begins before the file before it ends; join them with `heliostat directory merge`"
            );
            last_at = Some(round.at);
            if round.at <= until {
                take(&round);
            }
        }
    }
    Ok(())
}

/// Puts a file of the list in its place as a whole.
#[expect(
    clippy::disallowed_methods,
    reason = "a list is a person's folder under git, not the store's"
)]
pub(super) fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let writing = || format!("cannot write `{}`", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(writing)?;
    }
    crate::files::replace(path, bytes).with_context(writing)
}

/// Waits until nobody else writes the history; the lock goes with what this gives.
#[expect(
    clippy::disallowed_methods,
    reason = "a list is a person's folder under git, not the store's"
)]
pub(super) fn lock(list: &Path) -> anyhow::Result<File> {
    let path = list.join(HISTORY).join(LOCK);
    let locking = || format!("cannot lock `{}`", path.display());
    std::fs::create_dir_all(list.join(HISTORY)).with_context(locking)?;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .with_context(locking)?;
    file.lock().with_context(locking)?;
    Ok(file)
}

/// Joins rounds with those of the months that they are in.
pub(super) fn join(
    list: &Path,
    theirs: Vec<Round>,
    how: impl Fn(Vec<Round>, Vec<Round>) -> Merged,
) -> anyhow::Result<Merged> {
    let _lock = lock(list)?;
    let mut months: BTreeMap<PathBuf, Vec<Round>> = BTreeMap::new();
    for round in theirs {
        months
            .entry(month_file(list, round.at))
            .or_default()
            .push(round);
    }
    let mut all = Merged {
        rounds: Vec::new(),
        known: 0,
        joined: 0,
        added: 0,
    };
    for (path, theirs) in months {
        let text = if path.exists() {
            super::read_text(&path)?
        } else {
            String::new()
        };
        let ours = Round::read_all(&path.display().to_string(), &text)?;
        let merged = how(ours, theirs);
        let mut bytes = Vec::new();
        for round in &merged.rounds {
            serde_json::to_writer(&mut bytes, round).context("cannot write a round as JSON")?;
            bytes.push(b'\n');
        }
        put(&path, &bytes)?;
        all.known += merged.known;
        all.joined += merged.joined;
        all.added += merged.added;
    }
    Ok(all)
}

/// Whole lines from the end of a file; nothing where there is none.
#[expect(
    clippy::disallowed_methods,
    reason = "a list is a person's folder under git, not the store's"
)]
fn tail(path: &Path) -> anyhow::Result<String> {
    let reading = || format!("cannot read `{}`", path.display());
    if !path.exists() {
        return Ok(String::new());
    }
    let mut file = File::open(path).with_context(reading)?;
    let length = file.metadata().with_context(reading)?.len();
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from)).with_context(reading)?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES)
        .read_to_end(&mut bytes)
        .with_context(reading)?;
    let begin = match from {
        0 => 0,
        _ => bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1),
    };
    // A line without an end is one that a kill cut off; the next round takes its place.
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let text = bytes.get(begin..end.max(begin)).unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Appends a round to the history, later than what is there.
pub(super) fn append(list: &Path, round: &mut Round) -> anyhow::Result<()> {
    let path = month_file(list, round.at);
    let writing = || format!("cannot write `{}`", path.display());
    let _lock = lock(list)?;
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(&path)
        .with_context(writing)?;
    let text = tail(&path)?;
    let length = file.metadata().with_context(writing)?.len();
    if length <= TAIL_BYTES && (text.len() as u64) < length {
        file.set_len(text.len() as u64).with_context(writing)?;
    }
    let rounds = Round::read_all(&path.display().to_string(), &text)?;
    if let Some(last) = rounds.last()
        && last.at >= round.at
    {
        round.at = last.at + 1;
    }
    let mut line = serde_json::to_vec(&round).context("cannot write a round as JSON")?;
    line.push(b'\n');
    file.write_all(&line).with_context(writing)?;
    file.sync_all().with_context(writing)
}

/// Puts evidence where findings say it is.
pub(super) fn keep_evidence(list: &Path, evidence: &[Evidence]) -> anyhow::Result<()> {
    for one in evidence {
        let path = evidence_path(list, &one.sha256);
        if !path.exists() {
            put(&path, &one.bytes)?;
        }
    }
    Ok(())
}

/// Where the document of this digest is.
pub(super) fn evidence_path(list: &Path, sha256: &Sha256) -> PathBuf {
    list.join(EVIDENCE)
        .join(format!("{}.json", sha256.to_hex()))
}
