//! The catalog's tables and how older ones become today's.
//!
//! The schema's version stands in `PRAGMA user_version`. Every step of the ladder is one transaction; a catalog of a
//! newer version is refused, never guessed at.

use rusqlite::{Connection, TransactionBehavior};

/// What turns version n into version n + 1, at index n. Steps that were ever released are never edited.
pub(crate) const STEPS: &[&str] = &[VERSION_1];

/// Everything in plain tables, so that `sqlite3 state/catalog.sqlite` shows it. Times are seconds since 1970.
///
/// `project` is narrow and in name order, because every sync reads all of it; the page itself, JSON compressed with
/// zstd, stands apart in `record`. `file` has one row for each file that a page lists; a size that is NULL means that
/// this part is not on disk. It is a WITHOUT ROWID table: filled with 2 million rows in page order of 6 files a
/// project, it took FIGURES.
const VERSION_1: &str = "
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counter VALUES
    ('generation', 0), ('list_generation', 0), ('root_generation', 0), ('projects', 0), ('files_listed', 0),
    ('files_held', 0), ('bytes_held', 0), ('files_doomed', 0), ('bytes_doomed', 0);
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE project (
    name             TEXT PRIMARY KEY,
    id               INTEGER NOT NULL UNIQUE,
    keeper           TEXT NOT NULL,
    published_serial INTEGER,
    confirmed_at     INTEGER NOT NULL,
    etag             TEXT,
    last_modified    TEXT
) WITHOUT ROWID;
CREATE TABLE record (
    project INTEGER PRIMARY KEY,
    body    BLOB NOT NULL
);
CREATE TABLE file (
    id               BLOB NOT NULL,
    name             TEXT NOT NULL,
    project          INTEGER NOT NULL,
    size_bytes       INTEGER,
    metadata_bytes   INTEGER,
    provenance_bytes INTEGER,
    used_at          INTEGER,
    PRIMARY KEY (id, name, project)
) WITHOUT ROWID;
CREATE INDEX file_by_use ON file (used_at) WHERE used_at IS NOT NULL;
CREATE TABLE doomed (
    path             TEXT PRIMARY KEY,
    project          TEXT NOT NULL,
    size_bytes       INTEGER,
    metadata_bytes   INTEGER,
    provenance_bytes INTEGER,
    due_at           INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX doomed_by_due ON doomed (due_at);
CREATE TABLE ledger (
    project         TEXT NOT NULL,
    item            TEXT NOT NULL,
    reason          TEXT NOT NULL,
    tries           INTEGER NOT NULL,
    first_failed_at INTEGER NOT NULL,
    next_try_at     INTEGER NOT NULL,
    wanted_serial   INTEGER,
    PRIMARY KEY (project, item)
) WITHOUT ROWID;
CREATE TABLE intent (
    sequence INTEGER PRIMARY KEY,
    work     TEXT NOT NULL,
    body     BLOB
);
CREATE TABLE run (
    id          INTEGER PRIMARY KEY,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    outcome     TEXT NOT NULL
);
";

/// What the ladder found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ladder {
    /// The catalog is now of the newest version known.
    Current,
    /// It is newer than we know, and was left alone.
    Newer(i64),
}

/// Brings a catalog up to the newest version that `steps` knows.
pub(crate) fn climb(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<Ladder> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let Ok(index) = usize::try_from(version) else {
            return Ok(Ladder::Newer(version));
        };
        if index > steps.len() {
            return Ok(Ladder::Newer(version));
        }
        let Some(step) = steps.get(index) else {
            return Ok(Ladder::Current);
        };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
}
