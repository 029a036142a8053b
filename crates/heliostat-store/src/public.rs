//! Everything else that is written: small public files, download statistics, notes and the history.

use heliostat_pypi::{ProjectName, RelPath, TreePath};
use serde::Serialize;

use crate::catalog::Run;
use crate::disk::Unsynced;
use crate::error::StoreError;
use crate::kill::kill_point;
use crate::layout;
use crate::pages::Pages;
use crate::store::Store;

/// Downloads of one file by one kind of client on one day (PEP 381).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalStat {
    /// The project.
    pub package: ProjectName,
    /// The file's name.
    pub filename: String,
    /// The client, summarised, as `pip/26.2`.
    pub user_agent: String,
    /// How often.
    pub count: u64,
}

impl Store {
    /// Replaces a small public file in one step, with whatever directories it needs.
    pub fn write_public(&self, path: &RelPath, content: &[u8]) -> Result<(), StoreError> {
        let mut unsynced = Unsynced::default();
        Pages::new(&self.inner.layout, &self.inner.incoming).replace(
            path.as_str(),
            content,
            &mut unsynced,
        )?;
        unsynced.sync(&self.inner.web)
    }

    /// Replaces what the mirror says of itself, `.well-known/heliostat-mirror.json`, where it would be another document.
    /// `make` is called within the commit lock, so that of two writers the later one has read the later state.
    pub fn describe(
        &self,
        make: impl FnOnce() -> Result<Vec<u8>, StoreError>,
    ) -> Result<(), StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        let document = make()?;
        let limit_bytes = document.len() as u64;
        if self.bytes_of(layout::DESCRIPTION, limit_bytes)?.as_ref() != Some(&document) {
            let mut unsynced = Unsynced::default();
            Pages::new(&self.inner.layout, &self.inner.incoming).replace(
                layout::DESCRIPTION,
                &document,
                &mut unsynced,
            )?;
            unsynced.sync(&self.inner.web)?;
        }
        kill_point("described");
        Ok(())
    }

    /// Replaces one day's download counts: `package,filename,useragent,count` as CSV, compressed with bzip2 (PEP 381).
    /// Rows are written in the order given. PEP 381's first line, a comment that names the columns, is left out: the
    /// programs that read these files take every line for a row.
    pub fn write_local_stats(
        &self,
        day: jiff::civil::Date,
        rows: &[LocalStat],
    ) -> Result<(), StoreError> {
        let relative = layout::local_stats(&day.to_string());
        let path = self.inner.layout.in_web(&relative);
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        let compressed = write_csv(&mut encoder, rows).and_then(|()| encoder.finish());
        let compressed = compressed.map_err(|error| StoreError::io("compress", path, error))?;
        let mut unsynced = Unsynced::default();
        Pages::new(&self.inner.layout, &self.inner.incoming).replace(
            &relative,
            &compressed,
            &mut unsynced,
        )?;
        unsynced.sync(&self.inner.web)
    }

    /// Notes a value under a key, over an older one.
    pub fn set_meta<T: Serialize>(&self, key: &str, value: &T) -> Result<(), StoreError> {
        let text = serde_json::to_string(value).map_err(|error| StoreError::RecordDamaged {
            project: format!("(the note {key})"),
            source: error.into(),
        })?;
        self.inner.catalog.set_meta(key, &text)
    }

    /// Adds a finished run to the history, which keeps the last thousand.
    pub fn record_run(&self, run: &Run) -> Result<(), StoreError> {
        self.inner.catalog.record_run(run)
    }

    /// Notes that files were asked for, for evicting the least recently used. Files that are never evicted are passed
    /// over.
    pub fn touch_used(&self, paths: &[TreePath], now: i64) -> Result<(), StoreError> {
        self.inner.catalog.touch_used(paths, now)
    }
}

fn write_csv(out: &mut impl std::io::Write, rows: &[LocalStat]) -> std::io::Result<()> {
    for row in rows {
        let (filename, user_agent) = (csv_field(&row.filename), csv_field(&row.user_agent));
        writeln!(out, "{},{filename},{user_agent},{}", row.package, row.count)?;
    }
    Ok(())
}

/// RFC 4180: a field with a comma, a quote or a line end stands in quotes, with its quotes doubled.
fn csv_field(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}
