//! The catalog's small writes: the redo log, notes, the history, and when files were asked for.

use heliostat_pypi::TreePath;
use rusqlite::params;

use super::record_body::size_to_sql;
use super::{Catalog, IntentLine, Run};
use crate::error::StoreError;

/// Runs kept in the history.
const RUNS_MAX: i64 = 1000;

impl Catalog {
    /// Writes the redo log. From here on the batch will be carried out, by us or by whoever comes next.
    pub(crate) fn log_intents(&self, lines: &[IntentLine<&[u8]>]) -> Result<(), StoreError> {
        self.write("write the redo log", |transaction| {
            let mut statement =
                transaction.prepare_cached("INSERT INTO intent (work, body) VALUES (?1, ?2)")?;
            for (work, body) in lines {
                statement.execute(params![work, body])?;
            }
            Ok(())
        })
    }

    pub(crate) fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.write("write a note", |transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
                .execute([key, value])?;
            Ok(())
        })
    }

    /// Notes that the root list now shows the state of `list_generation`.
    pub(crate) fn note_root(
        &self,
        list_generation: u64,
        key: &str,
        value: &str,
    ) -> Result<(), StoreError> {
        self.write("note the root list", |transaction| {
            transaction
                .prepare_cached("UPDATE counter SET value = ?1 WHERE name = 'root_generation'")?
                .execute([size_to_sql(list_generation)])?;
            transaction
                .prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
                .execute([key, value])?;
            Ok(())
        })
    }

    pub(crate) fn record_run(&self, run: &Run) -> Result<(), StoreError> {
        self.write("write the history", |transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO run (started_at, finished_at, outcome) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![
                    run.started_at,
                    run.finished_at,
                    run.outcome.to_string()
                ])?;
            transaction
                .prepare_cached("DELETE FROM run WHERE id <= (SELECT max(id) FROM run) - ?1")?
                .execute([RUNS_MAX])?;
            Ok(())
        })
    }

    /// Notes when on-demand files were last asked for; others are passed over.
    pub(crate) fn touch_used(&self, paths: &[TreePath], now: i64) -> Result<(), StoreError> {
        self.write("note the use of files", |transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE file SET used_at = ?3 WHERE id = ?1 AND name = ?2 AND used_at IS NOT NULL",
            )?;
            for path in paths {
                statement.execute(params![path.id(), path.filename(), now])?;
            }
            Ok(())
        })
    }
}
