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

use std::cmp::Ordering;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::StoreError;

pub(crate) use read::Doomed;
pub use read::{CheckPlace, Root, Run, Totals};
pub(crate) use record_body::{BodyEncoder, Columns, decode_record};
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
    reading: Reading,
    writer: Mutex<Connection>,
    readers: Readers,
}

/// How a reading connection comes to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Beside writers, by the log and the index that they share.
    Shared,
    /// Nobody writes, so there is no log, and we may not make one: the file alone is all there is.
    Alone,
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
            schema::Ladder::Newer(found) => return Err(newer(path, found)),
        }
        Ok(Self {
            path: path.to_owned(),
            reading: Reading::Shared,
            writer: Mutex::new(writer),
            readers: Readers::default(),
        })
    }

    /// Opens a catalog that is there, for somebody who may not write it. The caller holds the commit lock.
    pub(crate) fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let log = path.with_extension("sqlite-wal");
        let reading = if log.exists() {
            Reading::Shared
        } else {
            Reading::Alone
        };
        let connection = open_reader(path, reading).map_err(|error| fault("open", path, error))?;
        let found = schema::version(&connection).map_err(|error| fault("open", path, error))?;
        match found.cmp(&schema::newest()) {
            Ordering::Equal => {}
            Ordering::Greater => return Err(newer(path, found)),
            Ordering::Less => {
                return Err(StoreError::CatalogOlder {
                    path: path.to_owned(),
                    found,
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            reading,
            // Every statement that writes is refused by the database itself.
            writer: Mutex::new(connection),
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
        let opened = open_reader(&self.path, self.reading);
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

    /// Whether nothing was ever committed or noted here.
    pub(crate) fn is_untouched(&self) -> Result<bool, StoreError> {
        self.read("look for what was written", |transaction| {
            let written: bool = transaction.query_row(schema::IS_WRITTEN, [], |row| row.get(0))?;
            Ok(!written)
        })
    }

    /// Whether nobody else has the file open. From then on there is no log beside it.
    pub(crate) fn is_ours_alone(&self) -> Result<bool, StoreError> {
        self.close_idle_readers();
        let writer = self.writer();
        let alone = || {
            // Leaving the log behind needs the file for oneself; somebody who has it open is not waited for.
            writer.busy_timeout(Duration::ZERO)?;
            writer.query_row("PRAGMA journal_mode = delete", [], |row| {
                row.get::<_, String>(0)
            })
        };
        let outcome = alone();
        let restored = writer.busy_timeout(BUSY_TIMEOUT);
        match outcome.and_then(|mode| restored.map(|()| mode)) {
            Ok(mode) => Ok(mode == "delete"),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                Ok(false)
            }
            Err(error) => Err(fault("leave the log of", &self.path, error)),
        }
    }

    fn close_idle_readers(&self) {
        let state = self.readers.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).idle.clear();
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

fn newer(path: &Path, found: i64) -> StoreError {
    StoreError::CatalogNewer {
        path: path.to_owned(),
        found,
        known: schema::newest(),
    }
}

/// The database's address for a file that nobody changes while it is read, so that no log is looked for beside it.
fn unchanging(path: &Path) -> OsString {
    let mut uri = b"file:".to_vec();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' => uri.extend(b"%25"),
            b'?' => uri.extend(b"%3f"),
            b'#' => uri.extend(b"%23"),
            other => uri.push(other),
        }
    }
    uri.extend(b"?immutable=1");
    OsString::from_vec(uri)
}

fn open_reader(path: &Path, reading: Reading) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match reading {
        Reading::Shared => Connection::open_with_flags(path, flags)?,
        Reading::Alone => {
            Connection::open_with_flags(unchanging(path), flags | OpenFlags::SQLITE_OPEN_URI)?
        }
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "cache_size", -8192)?;
    Ok(connection)
}
