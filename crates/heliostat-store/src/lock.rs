//! Locks that hold across processes. The kernel lets go of them when their holder dies.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;

/// The longest note of a holder that is read back.
const HOLDER_BYTES_MAX: u64 = 1000;

/// The right to run a sync on this data directory. Ends when dropped.
#[derive(Debug)]
pub struct SyncLock {
    file: File,
}

/// The right to commit, one at a time across threads and processes.
#[derive(Debug)]
pub(crate) struct CommitLock {
    path: PathBuf,
    file: Mutex<File>,
}

/// The right to publish what a notary signs, one at a time across threads and processes. Ends when dropped.
#[derive(Debug)]
pub struct PublishLock {
    file: File,
}

/// Held for one batch.
#[derive(Debug)]
pub(crate) struct CommitGuard<'a> {
    file: MutexGuard<'a, File>,
}

impl SyncLock {
    /// Takes the lock or says who has it. `holder` is written into the file for whoever comes next.
    pub(crate) fn take(path: &Path, holder: &str) -> Result<Self, StoreError> {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Who it is helps a person; that it is held is the fact.
                drop((&file).take(HOLDER_BYTES_MAX).read_to_string(&mut text));
                let holder = match text.trim() {
                    "" => "another process".to_owned(),
                    text => text.to_owned(),
                };
                return Err(StoreError::LockHeld {
                    path: path.to_owned(),
                    holder,
                });
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(StoreError::io("lock", path, error));
            }
        }
        let noted = file.set_len(0).and_then(|()| writeln!(file, "{holder}"));
        noted.map_err(|error| StoreError::io("write", path, error))?;
        Ok(Self { file })
    }
}

impl Drop for SyncLock {
    fn drop(&mut self) {
        // Closing the file lets go of the lock in any case.
        drop(self.file.set_len(0));
        drop(self.file.unlock());
    }
}

impl PublishLock {
    /// Waits for its turn. Every holder has a descriptor of its own, so that threads exclude each other too.
    pub(crate) fn hold(path: &Path) -> Result<Self, StoreError> {
        let file = open(path)?;
        file.lock()
            .map_err(|error| StoreError::io("lock", path, error))?;
        Ok(Self { file })
    }
}

impl Drop for PublishLock {
    fn drop(&mut self) {
        drop(self.file.unlock());
    }
}

impl CommitLock {
    pub(crate) fn new(path: PathBuf) -> Result<Self, StoreError> {
        let file = open(&path)?;
        Ok(Self {
            path,
            file: Mutex::new(file),
        })
    }

    /// The lock of a store that is only read, by somebody who may not write its file.
    pub(crate) fn to_read(path: PathBuf) -> Result<Self, StoreError> {
        let file =
            File::open(&path).map_err(|error| StoreError::io("open the lock", &path, error))?;
        Ok(Self {
            path,
            file: Mutex::new(file),
        })
    }

    /// Waits for its turn.
    pub(crate) fn hold(&self) -> Result<CommitGuard<'_>, StoreError> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.lock()
            .map_err(|error| StoreError::io("lock", &self.path, error))?;
        Ok(CommitGuard { file })
    }
}

impl Drop for CommitGuard<'_> {
    fn drop(&mut self) {
        // Unlocking an open descriptor cannot fail in a way that anything could be done about.
        drop(self.file.unlock());
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| StoreError::io("open the lock", path, error))
}
