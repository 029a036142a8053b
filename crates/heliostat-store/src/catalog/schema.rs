//! The catalog's tables and how older ones become today's.
//!
//! The schema's version stands in `PRAGMA user_version`. Every step of the ladder is one transaction; a catalog of a
//! newer version is refused, never guessed at.

use rusqlite::{Connection, TransactionBehavior};

/// What turns version n into version n + 1, at index n. Steps that were ever released are never edited.
pub(crate) const STEPS: &[&str] = &[VERSION_1, VERSION_2, VERSION_3];

/// Everything in plain tables, so that `sqlite3 state/catalog.sqlite` shows it. Times are seconds since 1970.
///
/// `project` is narrow and in name order, because every sync reads all of it; the page itself, JSON compressed with
/// zstd, stands apart in `record`. `file` has one row for each file that a page lists; a size that is NULL means that
/// this part is not on disk.
///
/// `file` is the one table that gets long, and a WITHOUT ROWID one: filled with 2 million rows (`examples/
/// catalog_layout.rs`, two busy cores), it took 86 s and 186 MB and answered 100,000 point reads in 0.8 s; as an
/// ordinary rowid table with the same unique key 124 s, 352 MB and 2.2 s, because every row is then kept twice. A rowid
/// table with an index on the id alone fills as fast, but is larger by a third and reads at half the speed. Pages of
/// 8 KiB fill slower than those of 4 KiB (103 s), since each new row touches a page of its own.
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

/// What a notary signs from. `target` has one row for each signed page; its `place` is the first four bytes of the
/// SHA-256 of the target's path, so that a bin is one range of the key, whatever their number. `pending` holds the
/// places that the live snapshot is behind on, `retired` the files that only older snapshots name.
const VERSION_2: &str = "
INSERT INTO counter VALUES ('targets', 0);
CREATE TABLE target (
    place      INTEGER NOT NULL,
    project    TEXT NOT NULL,
    sha256     BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (place, project)
) WITHOUT ROWID;
CREATE TABLE unsigned (
    project TEXT PRIMARY KEY,
    reason  TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE pending (
    place      INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL
);
CREATE TABLE retired (
    path       TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    due_at     INTEGER
) WITHOUT ROWID;
CREATE INDEX retired_by_due ON retired (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE role (
    name       TEXT PRIMARY KEY,
    reserved   INTEGER NOT NULL,
    version    INTEGER,
    signed_at  INTEGER,
    expires_at INTEGER,
    size_bytes INTEGER,
    sha256     BLOB
) WITHOUT ROWID;
";

/// What is held and doubted stands in the ledger beside what failed.
const VERSION_3: &str = "
ALTER TABLE ledger ADD COLUMN weight TEXT NOT NULL DEFAULT 'failure';
";

/// Whether there is anything beyond what the ladder makes.
pub(crate) const IS_WRITTEN: &str = "
SELECT EXISTS (SELECT 1 FROM counter WHERE value <> 0)
    OR EXISTS (SELECT 1 FROM meta)
    OR EXISTS (SELECT 1 FROM project)
    OR EXISTS (SELECT 1 FROM ledger)
    OR EXISTS (SELECT 1 FROM intent)
    OR EXISTS (SELECT 1 FROM run)
    OR EXISTS (SELECT 1 FROM role)
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
        let version = version(&transaction)?;
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

/// The version of a catalog that is only read.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// The version that `STEPS` lead to.
pub(crate) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        super::version(connection).unwrap()
    }

    #[test]
    fn an_empty_file_becomes_the_newest_catalog() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(climb(&mut connection, STEPS).unwrap(), Ladder::Current);
        assert_eq!(version(&connection), i64::try_from(STEPS.len()).unwrap());
        let totals: i64 = connection
            .query_row("SELECT count(*) FROM counter", [], |row| row.get(0))
            .unwrap();
        assert_eq!(totals, 10);
        assert_eq!(climb(&mut connection, STEPS).unwrap(), Ladder::Current);
    }

    #[test]
    fn a_real_catalog_of_version_1_becomes_the_newest_with_its_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        climb(&mut connection, &[VERSION_1]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO project VALUES ('acme', 7, 'mirror', 5, 0, NULL, NULL);
                 INSERT INTO record VALUES (7, x'00');
                 INSERT INTO file VALUES (x'01', 'acme-1.tar.gz', 7, 9, NULL, NULL, NULL);
                 UPDATE counter SET value = 1 WHERE name IN ('projects', 'files_listed', 'files_held');",
            )
            .unwrap();
        assert_eq!(climb(&mut connection, STEPS).unwrap(), Ladder::Current);
        let held: i64 = connection
            .query_row(
                "SELECT count(*) FROM project AS held JOIN record ON record.project = held.id
                 JOIN file ON file.project = held.id JOIN counter ON counter.name = 'files_held' AND counter.value = 1
                 WHERE NOT EXISTS (SELECT 1 FROM target)",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(held, 1);
    }

    #[test]
    fn a_catalog_of_version_1_keeps_what_it_holds_while_it_climbs() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(
            climb(&mut connection, &[VERSION_1]).unwrap(),
            Ladder::Current
        );
        connection
            .execute(
                "INSERT INTO project VALUES ('acme', 7, 'mirror', 5, 0, NULL, NULL)",
                [],
            )
            .unwrap();
        let later = [
            VERSION_1,
            "ALTER TABLE project ADD COLUMN note TEXT",
            "UPDATE project SET note = 'kept'",
        ];
        assert_eq!(climb(&mut connection, &later).unwrap(), Ladder::Current);
        assert_eq!(version(&connection), 3);
        let row: (String, String) = connection
            .query_row("SELECT name, note FROM project", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(row, ("acme".to_owned(), "kept".to_owned()));
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        climb(&mut connection, &[VERSION_1]).unwrap();
        let broken = [
            VERSION_1,
            "CREATE TABLE extra (x); SELECT nothing FROM nowhere",
        ];
        assert!(climb(&mut connection, &broken).is_err());
        assert_eq!(version(&connection), 1);
        assert!(connection.prepare("SELECT * FROM extra").is_err());
    }

    #[test]
    fn a_newer_catalog_is_left_alone() {
        for newer in [2, 99, -1] {
            let mut connection = Connection::open_in_memory().unwrap();
            climb(&mut connection, &[VERSION_1]).unwrap();
            connection
                .pragma_update(None, "user_version", newer)
                .unwrap();
            assert_eq!(
                climb(&mut connection, &[VERSION_1]).unwrap(),
                Ladder::Newer(newer)
            );
            assert_eq!(version(&connection), newer);
        }
    }
}
