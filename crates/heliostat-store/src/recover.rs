//! Start-up repair: finishes or undoes what a killed process left half-done, and removes what it left lying about.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use crate::commit::{Refusal, Swept};
use crate::disk;
use crate::error::StoreError;
use crate::intake::OWNER_LOCK;
use crate::store::Store;

/// What recovery found and did.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Projects whose unfinished commit was finished.
    pub redone: u64,
    /// Unfinished commits that could not be finished and were undone, each with its reason, and files that could not
    /// be unlinked.
    pub refused: Vec<Refusal>,
    /// Temporary files of dead processes that were removed.
    pub discarded_temporaries: u64,
    /// Files unlinked whose grace was over.
    pub swept: Swept,
    /// What became of the root list.
    pub root: RootState,
}

/// What recovery did about the root list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RootState {
    /// It was never published, and is not now.
    #[default]
    Unpublished,
    /// It shows what the catalog holds.
    Current,
    /// It was behind and has been rendered again.
    Rendered,
}

impl Recovery {
    /// Whether there was nothing to do.
    pub fn is_clean(&self) -> bool {
        self.redone == 0
            && self.refused.is_empty()
            && self.discarded_temporaries == 0
            && self.swept == Swept::default()
            && self.root != RootState::Rendered
    }
}

impl Store {
    /// Finishes or undoes half-done commits, sweeps what is due, removes temporary files of the dead and renders the
    /// root list when it is behind. Waits for a commit that is under way. `now` is in seconds since 1970.
    pub fn recover(&self, now: i64) -> Result<Recovery, StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        let redone = self.redo()?;
        let mut recovery = Recovery {
            redone: redone.projects,
            refused: redone.refused,
            ..Recovery::default()
        };
        recovery.discarded_temporaries = self.discard_temporaries()?;
        recovery.swept = self.sweep(now, &mut recovery.refused)?;
        recovery.root = match self.root()? {
            None => RootState::Unpublished,
            Some(_) if !self.is_root_behind()? => RootState::Current,
            Some(root) => {
                self.render_root(root.serial, now)?;
                RootState::Rendered
            }
        };
        Ok(recovery)
    }

    /// Removes what dead processes left in the incoming directory. The redo log is empty by now, so nothing in there
    /// is wanted any more, except what the living are writing.
    fn discard_temporaries(&self) -> Result<u64, StoreError> {
        let root = self.inner.incoming.root();
        let own = self.inner.incoming.own_directory();
        let mut discarded = 0;
        for entry in fs::read_dir(root).map_err(|error| StoreError::io("list", root, error))? {
            let entry = entry.map_err(|error| StoreError::io("list", root, error))?;
            let path = entry.path();
            if own.as_ref() == Some(&path) {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                discarded += discard_owner(&path)?;
            } else {
                discarded += u64::from(disk::remove_file(&path)?);
            }
        }
        Ok(discarded)
    }
}

/// Removes one owner's directory unless its owner lives, which is when it holds its lock.
fn discard_owner(directory: &Path) -> Result<u64, StoreError> {
    let lock_path = directory.join(OWNER_LOCK);
    let Some(lock) = owner_lock(&lock_path)? else {
        return Ok(0);
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(0),
        Err(TryLockError::Error(error)) => {
            return Err(StoreError::io("lock", lock_path, error));
        }
    }
    let mut discarded = 0;
    let list = match fs::read_dir(directory) {
        Ok(list) => list,
        Err(error) if disk::is_absent(&error) => return Ok(0),
        Err(error) => return Err(StoreError::io("list", directory, error)),
    };
    for entry in list {
        let path = entry
            .map_err(|error| StoreError::io("list", directory, error))?
            .path();
        if path != lock_path {
            discarded += u64::from(disk::remove_file(&path)?);
        }
    }
    disk::remove_file(&lock_path)?;
    // An owner that is starting up this moment sees its lock file gone and takes another directory.
    drop(fs::remove_dir(directory));
    Ok(discarded)
}

/// The lock of an owner's directory, made where there is none, so that an owner who has only just made the directory
/// cannot begin to write into it while it is being removed. None where the directory has gone, or somebody was faster.
fn owner_lock(path: &Path) -> Result<Option<File>, StoreError> {
    match File::open(path) {
        Ok(lock) => return Ok(Some(lock)),
        Err(error) if disk::is_absent(&error) => {}
        Err(error) => return Err(StoreError::io("open", path, error)),
    }
    match File::create_new(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if disk::is_absent(&error) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(StoreError::io("create", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owners_directory_without_a_lock_is_locked_before_it_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("1-a");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("0"), "x").unwrap();
        let path = directory.join(OWNER_LOCK);
        let lock = owner_lock(&path).unwrap().unwrap();
        lock.try_lock().unwrap();
        // Another recovery, and an owner that is late, find it locked and leave it alone.
        assert_eq!(discard_owner(&directory).unwrap(), 0);
        assert!(directory.join("0").exists());
        drop(lock);
        assert_eq!(discard_owner(&directory).unwrap(), 1);
        assert!(!directory.exists());
        assert!(owner_lock(&path).unwrap().is_none());
    }
}
