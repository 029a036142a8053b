//! The private database: what we know of projects and files, what failed, and the redo log.
//!
//! SQLite in WAL mode: one writer, many readers that each see one consistent state, several processes at once. The
//! engine stays invisible outside this module's parent; everything in and out is a value.

#[cfg(feature = "bulk-fill")]
mod bulk;
mod notes;
mod read;
mod record_body;
mod schema;
mod signed;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::StoreError;

pub(crate) use read::Doomed;
pub use read::{CheckPlace, Root, Run, Totals};
pub(crate) use record_body::{Columns, decode_record, encode_body};
pub(crate) use signed::{NOTARY_NOTE, SignedAs};
pub use signed::{Pending, Places, RoleState, Target, Unsigned, place_of};
pub(crate) use write::{Applier, Before};

/// How long a statement waits for another process's transaction, none of which does anything slow inside.
const BUSY_TIMEOUT: Duration = Duration::from_mins(1);

/// Readers at work at once; more wait.
const READERS_MAX: usize = 16;

/// Statements kept prepared for each connection.
const STATEMENTS_MAX: usize = 64;

/// A line of the redo log, and the record's body where it has one.
pub(crate) type IntentLine<Body> = (String, Option<Body>);

/// The database, open.
#[derive(Debug)]
pub(crate) struct Catalog {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Readers,
}

#[derive(Debug, Default)]
struct Readers {
    state: Mutex<ReadersState>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct ReadersState {
    idle: Vec<Connection>,
    lent: usize,
}

impl Catalog {
    /// Opens the catalog, making or upgrading it where needed. The caller holds the commit lock.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut writer = Connection::open(path).map_err(|error| fault("open", path, error))?;
        set_up_writer(&mut writer).map_err(|error| fault("open", path, error))?;
        match schema::climb(&mut writer, schema::STEPS)
            .map_err(|error| fault("upgrade the tables", path, error))?
        {
            schema::Ladder::Current => {}
            schema::Ladder::Newer(found) => {
                let known = i64::try_from(schema::STEPS.len()).unwrap_or(i64::MAX);
                return Err(StoreError::CatalogNewer {
                    path: path.to_owned(),
                    found,
                    known,
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Readers::default(),
        })
    }

    /// Runs `work` on a reading connection, inside one transaction, so that it sees one state throughout.
    pub(crate) fn read<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, CatalogFault>,
    ) -> Result<T, StoreError> {
        let mut connection = self.reader(operation)?;
        let outcome = connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(CatalogFault::Sql)
            .and_then(|transaction| work(&transaction));
        self.give_back(connection);
        outcome.map_err(|error| error.at(operation, &self.path))
    }

    /// Runs `work` in one writing transaction; an error undoes all of it.
    pub(crate) fn write<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogFault>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer();
        let outcome = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(CatalogFault::Sql)
            .and_then(|transaction| {
                let value = work(&transaction)?;
                transaction.commit()?;
                Ok(value)
            });
        outcome.map_err(|error| error.at(operation, &self.path))
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self, operation: &'static str) -> Result<Connection, StoreError> {
        let mut state = self
            .readers
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while state.lent >= READERS_MAX {
            state = self
                .readers
                .returned
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.lent += 1;
        if let Some(connection) = state.idle.pop() {
            return Ok(connection);
        }
        drop(state);
        let opened = open_reader(&self.path);
        if opened.is_err() {
            let mut state = self
                .readers
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            state.lent -= 1;
            self.readers.returned.notify_one();
        }
        opened.map_err(|error| fault(operation, &self.path, error))
    }

    fn give_back(&self, connection: Connection) {
        let mut state = self
            .readers
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.lent -= 1;
        state.idle.push(connection);
        self.readers.returned.notify_one();
    }
}

/// Trouble inside the catalog, before it knows its path.
#[derive(Debug)]
pub(crate) enum CatalogFault {
    Sql(rusqlite::Error),
    Record {
        project: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Already complete.
    Store(StoreError),
}

impl CatalogFault {
    pub(crate) fn record(
        project: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Record {
            project: project.into(),
            source: source.into(),
        }
    }

    fn at(self, operation: &'static str, path: &Path) -> StoreError {
        match self {
            Self::Sql(error) => fault(operation, path, error),
            Self::Record { project, source } => StoreError::RecordDamaged { project, source },
            Self::Store(error) => error,
        }
    }
}

impl From<rusqlite::Error> for CatalogFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for CatalogFault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn fault(operation: &'static str, path: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::CatalogDamaged {
            path: path.to_owned(),
            source: Box::new(error),
        },
        _ => StoreError::Catalog {
            operation,
            path: path.to_owned(),
            source: Box::new(error),
        },
    }
}

fn set_up_writer(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Takes effect only in a new, empty database.
    connection.pragma_update(None, "page_size", 4096)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A commit promises that its batch survives a power cut: pages and blobs are synced before it, and so is it.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // Rows of files land all over their table, so the log is worth keeping until a page has been hit more than once.
    connection.pragma_update(None, "wal_autocheckpoint", 8192)?;
    // Keep a log that one big batch has blown up from staying that big.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "cache_size", -8192)?;
    Ok(connection)
}
