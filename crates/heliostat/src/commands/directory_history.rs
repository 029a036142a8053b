//! The files that probes write into a list's folder: the history, appended to, and evidence.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_directory::{EndpointId, Round, Sample, VantageId};
use heliostat_prober::Evidence;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where rounds are.
pub(super) const HISTORY: &str = "history";
/// Where evidence is.
const EVIDENCE: &str = "evidence";
/// What is read of the end of a history to find what was seen last.
const TAIL_BYTES: u64 = 16 << 20;

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
    const MONTH_SECONDS: i64 = 31 * 86_400;
    let mut samples = BTreeMap::new();
    let files = [month_file(list, now - MONTH_SECONDS), month_file(list, now)];
    for path in files {
        for round in Round::read_all(&path.display().to_string(), &tail(&path)?)? {
            for sample in round.samples {
                if sample.vantage == *vantage {
                    samples.insert(sample.endpoint.clone(), sample);
                }
            }
        }
    }
    Ok(samples)
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
#[expect(
    clippy::disallowed_methods,
    reason = "a list is a person's folder under git, not the store's"
)]
pub(super) fn append(list: &Path, round: &mut Round) -> anyhow::Result<()> {
    let path = month_file(list, round.at);
    let writing = || format!("cannot write `{}`", path.display());
    std::fs::create_dir_all(list.join(HISTORY)).with_context(writing)?;
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(&path)
        .with_context(writing)?;
    // Another probe may be writing; the lock goes with the file.
    file.lock().with_context(writing)?;
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
#[expect(
    clippy::disallowed_methods,
    reason = "a list is a person's folder under git, not the store's"
)]
pub(super) fn keep_evidence(list: &Path, evidence: &[Evidence]) -> anyhow::Result<()> {
    if evidence.is_empty() {
        return Ok(());
    }
    let folder = list.join(EVIDENCE);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    for one in evidence {
        let path = folder.join(format!("{}.json", one.sha256.to_hex()));
        if !path.exists() {
            crate::files::replace(&path, &one.bytes)
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
    }
    Ok(())
}
