//! Download statistics in PEP 381's shape: how often each file went to each kind of client on each day.
//!
//! Counts are kept in memory for a short while and then added to the day's file, so a restart loses nothing that was
//! flushed, and a second server on the same data adds to the same file.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::io::Read as _;
use std::sync::{Mutex, PoisonError};

use heliostat_pypi::TreePath;
use heliostat_store::{LocalStat, Store, StoreError};
use jiff::civil::Date;

/// The largest statistics file we read back, in bytes after decompression.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Downloads since the last flush, bounded by rows.
pub(crate) struct Downloads {
    rows: Mutex<HashMap<(TreePath, String), u64>>,
    rows_max: usize,
}

/// What a flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flushed {
    /// Downloads written.
    pub(crate) counted: u64,
    /// Downloads that found no room in the day's rows, or whose file no page lists any more.
    pub(crate) dropped: u64,
}

/// Package, file name and client of a row.
type Key = (heliostat_pypi::ProjectName, String, String);

impl Downloads {
    /// Nothing counted yet.
    pub(crate) fn new(rows_max: usize) -> Self {
        Self {
            rows: Mutex::default(),
            rows_max,
        }
    }

    /// Counts one download. False where there is no room for another row.
    pub(crate) fn count(&self, path: TreePath, user_agent: String) -> bool {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = self.rows_max <= rows.len();
        match rows.entry((path, user_agent)) {
            Entry::Occupied(mut row) => *row.get_mut() += 1,
            Entry::Vacant(_) if is_full => return false,
            Entry::Vacant(row) => {
                row.insert(1);
            }
        }
        true
    }

    /// Adds what was counted to the file of the day of `now` (seconds since 1970), and tells the store which files
    /// were used. What cannot be written is kept for the next time. Blocking.
    pub(crate) fn flush(&self, store: &Store, now: i64) -> Result<Flushed, StoreError> {
        let taken = std::mem::take(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.is_empty() {
            return Ok(Flushed::default());
        }
        let outcome = self.write(store, now, &taken);
        if outcome.is_err() {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, count) in taken {
                *rows.entry(key).or_default() += count;
            }
        }
        outcome
    }

    fn write(
        &self,
        store: &Store,
        now: i64,
        taken: &HashMap<(TreePath, String), u64>,
    ) -> Result<Flushed, StoreError> {
        let day = day_of(now);
        let mut rows = read_back(store, day)?;
        let mut flushed = Flushed::default();
        let mut used = Vec::with_capacity(taken.len());
        for ((path, user_agent), count) in taken {
            used.push(path.clone());
            let Some(row) = store.file(path)? else {
                flushed.dropped += count;
                continue;
            };
            let key = (row.project, path.filename().to_owned(), user_agent.clone());
            if rows.len() < self.rows_max || rows.contains_key(&key) {
                *rows.entry(key).or_default() += count;
                flushed.counted += count;
            } else {
                flushed.dropped += count;
            }
        }
        let rows: Vec<LocalStat> = rows
            .into_iter()
            .map(|((package, filename, user_agent), count)| LocalStat {
                package,
                filename,
                user_agent,
                count,
            })
            .collect();
        store.write_local_stats(day, &rows)?;
        store.touch_used(&used, now)?;
        Ok(flushed)
    }
}

/// The UTC day of a point in time.
fn day_of(now: i64) -> Date {
    let timestamp = jiff::Timestamp::from_second(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    timestamp.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// The rows of a day that were written before. A file that cannot be read as one of ours is started afresh.
fn read_back(store: &Store, day: Date) -> Result<BTreeMap<Key, u64>, StoreError> {
    let Ok(path) = format!("local-stats/days/{day}.bz2").parse() else {
        return Ok(BTreeMap::new());
    };
    let Some(opened) = store.open_public(&path)? else {
        return Ok(BTreeMap::new());
    };
    let mut text = String::new();
    let mut decoder = bzip2::read::BzDecoder::new(opened.file).take(FILE_BYTES_MAX);
    if let Err(error) = decoder.read_to_string(&mut text) {
        tracing::warn!(%day, error = &error as &dyn std::error::Error, "the day's statistics are started afresh");
        return Ok(BTreeMap::new());
    }
    Ok(text.lines().filter_map(parse_row).collect())
}

/// One row of `package,filename,useragent,count`. Only the file name can need quotes: the others are made of plain
/// characters.
fn parse_row(line: &str) -> Option<(Key, u64)> {
    let (package, rest) = line.split_once(',')?;
    let (rest, count) = rest.rsplit_once(',')?;
    let (filename, user_agent) = rest.rsplit_once(',')?;
    let filename = match filename
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
    {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => filename.to_owned(),
    };
    Some((
        (package.parse().ok()?, filename, user_agent.to_owned()),
        count.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_are_written() {
        for (line, filename) in [
            (
                "requests,requests-2.0.tar.gz,pip/26.2,3",
                "requests-2.0.tar.gz",
            ),
            ("requests,\"a,b\"\"c.whl\",pip/26.2,3", "a,b\"c.whl"),
        ] {
            let key = (
                "requests".parse().unwrap(),
                filename.to_owned(),
                "pip/26.2".to_owned(),
            );
            assert_eq!(parse_row(line), Some((key, 3)), "{line}");
        }
        assert_eq!(parse_row("package,filename,useragent,count"), None);
        assert_eq!(parse_row("nonsense"), None);
    }

    #[test]
    fn a_full_table_takes_no_new_rows() {
        let downloads = Downloads::new(1);
        let path = |id: u8| TreePath::new([id; 32], "a.whl").unwrap();
        assert!(downloads.count(path(1), "pip/26.2".to_owned()));
        assert!(downloads.count(path(1), "pip/26.2".to_owned()));
        assert!(!downloads.count(path(2), "pip/26.2".to_owned()));
    }

    #[test]
    fn a_day_is_utc() {
        assert_eq!(day_of(0).to_string(), "1970-01-01");
        assert_eq!(day_of(86_399).to_string(), "1970-01-01");
        assert_eq!(day_of(86_400).to_string(), "1970-01-02");
    }
}
