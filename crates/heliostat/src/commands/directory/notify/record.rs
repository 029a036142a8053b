//! What was told, to whom: one JSON object on each line of `notices/sent.jsonl` in the list's folder. Addresses are
//! named by their digest only.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Below the list's folder.
const FILE: &str = "notices/sent.jsonl";
/// Until when everybody was told everything, as a time.
const UNTIL: &str = "notices/told-until";
/// What tells apart who may write it.
const LOCK: &str = "notices/.lock";
/// Bytes of the file: some million notices.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// What was told so far. Nobody else tells anything as long as an opened one lives.
#[derive(Debug)]
pub(super) struct Record {
    told: BTreeSet<(String, String)>,
    until: (PathBuf, Option<Timestamp>),
    file: Option<File>,
    _lock: Option<File>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    channel: String,
    at: Timestamp,
}

impl Record {
    /// Only to look.
    pub(super) fn look(list: &Path) -> anyhow::Result<Self> {
        let path = list.join(FILE);
        let text = if path.exists() {
            read(&path)?
        } else {
            String::new()
        };
        Ok(Self {
            told: lines(&path, &text)?,
            until: until(list)?,
            file: None,
            _lock: None,
        })
    }

    /// To add to. Waits until nobody else does.
    #[expect(
        clippy::disallowed_methods,
        reason = "a list is a person's folder under git, not the store's"
    )]
    pub(super) fn open(list: &Path) -> anyhow::Result<Self> {
        let path = list.join(FILE);
        let opening = || format!("cannot write `{}`", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(opening)?;
        }
        let open = |path: &Path| OpenOptions::new().append(true).create(true).open(path);
        let lock = open(&list.join(LOCK)).with_context(opening)?;
        lock.lock().with_context(opening)?;
        let file = open(&path).with_context(opening)?;
        let text = read(&path)?;
        // A kill cut the last line off: what it told goes out again, under the same id.
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64).with_context(opening)?;
        }
        Ok(Self {
            told: lines(&path, text.get(..whole).unwrap_or_default())?,
            until: until(list)?,
            file: Some(file),
            _lock: Some(lock),
        })
    }

    pub(super) fn has(&self, id: &str, channel: &str) -> bool {
        self.told.contains(&(id.to_owned(), channel.to_owned()))
    }

    /// Ids of notices that reached anybody.
    pub(super) fn reached(&self) -> BTreeSet<String> {
        self.told.iter().map(|(id, _)| id.clone()).collect()
    }

    /// Until when everybody was told everything, in seconds since 1970; nothing before the first time.
    pub(super) fn told_until(&self) -> Option<i64> {
        self.until.1.map(Timestamp::as_second)
    }

    /// Writes down that everybody was told everything that happened until then.
    pub(super) fn advance(&mut self, now: i64) -> anyhow::Result<()> {
        let now = Timestamp::from_second(now)?;
        let (path, until) = &mut self.until;
        if until.is_some_and(|until| until >= now) {
            return Ok(());
        }
        crate::files::replace(path, format!("{now}\n").as_bytes())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        *until = Some(now);
        Ok(())
    }

    /// Writes down that a notice reached somebody; it is on the disk when this returns.
    pub(super) fn add(&mut self, id: &str, channel: &str, at: i64) -> anyhow::Result<()> {
        let line = Line {
            id: id.to_owned(),
            channel: channel.to_owned(),
            at: Timestamp::from_second(at)?,
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        if let Some(file) = &mut self.file {
            file.write_all(&bytes)?;
            file.sync_all()?;
        }
        self.told.insert((line.id, line.channel));
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a list is a person's folder under git, not the store's"
)]
fn read(path: &Path) -> anyhow::Result<String> {
    let reading = || format!("cannot read `{}`", path.display());
    let mut text = String::new();
    File::open(path)
        .with_context(reading)?
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(reading)?;
    Ok(text)
}

fn until(list: &Path) -> anyhow::Result<(PathBuf, Option<Timestamp>)> {
    let path = list.join(UNTIL);
    if !path.exists() {
        return Ok((path, None));
    }
    let until = read(&path)?.trim().parse().with_context(|| {
        format!(
            "`{}` holds no time as `2026-11-25T12:00:00Z`; mend or remove it",
            path.display()
        )
    })?;
    Ok((path, Some(until)))
}

fn lines(path: &Path, text: &str) -> anyhow::Result<BTreeSet<(String, String)>> {
    let mut told = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let line: Line = serde_json::from_str(line).with_context(|| {
            format!(
                "`{}`, line {}, is no record of what was told; mend or remove the line",
                path.display(),
                number + 1
            )
        })?;
        told.insert((line.id, line.channel));
    }
    Ok(told)
}
