//! Nameless files for bytes on their way: gone when they are closed, and used again while they are small.
//!
//! To make a file and let it go costs the file system more than half a megabyte costs to be written into one that is
//! there, and all the more where an installer makes thousands beside. What an earlier use left behind in one is never
//! read: readers go no further than what was written since.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{ClientError, Limits, disk};

/// Where nameless files come from, and those that wait for their next use.
#[derive(Debug)]
pub(crate) struct NamelessFiles {
    directory: PathBuf,
    bytes_max: u64,
    files_max: usize,
    idle: Mutex<Vec<File>>,
}

/// A nameless file, for one use.
#[derive(Debug)]
pub(crate) struct NamelessFile {
    file: Option<File>,
    /// Where it goes back to, unless it is too large to be kept.
    back_to: Option<Arc<NamelessFiles>>,
}

impl NamelessFiles {
    /// Files in this directory, which is made when the first is needed.
    pub(crate) fn new(directory: PathBuf, limits: &Limits) -> Self {
        Self {
            directory,
            bytes_max: limits.reused_bytes_max,
            files_max: limits.reused_files_max,
            idle: Mutex::default(),
        }
    }

    /// A file that will take `size_bytes`, from its beginning on.
    ///
    /// # Errors
    /// [`ClientError::Disk`] where none can be made.
    pub(crate) fn take(self: &Arc<Self>, size_bytes: u64) -> Result<NamelessFile, ClientError> {
        let is_small = size_bytes <= self.bytes_max;
        let used = is_small.then(|| self.idle().pop()).flatten();
        let file = used.map_or_else(|| disk::nameless(&self.directory), Ok)?;
        Ok(NamelessFile {
            file: Some(file),
            back_to: is_small.then(|| Arc::clone(self)),
        })
    }

    /// Gives back the room of those that wait: the disk may be full.
    pub(crate) fn forget_idle(&self) {
        self.idle().clear();
    }

    /// How many wait for their next use.
    #[cfg(test)]
    pub(crate) fn idle_count(&self) -> usize {
        self.idle().len()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<File>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NamelessFile {
    /// The file; there for as long as this is.
    pub(crate) const fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }
}

impl Drop for NamelessFile {
    fn drop(&mut self) {
        if let (Some(file), Some(files)) = (self.file.take(), &self.back_to) {
            let mut idle = files.idle();
            if idle.len() < files.files_max {
                idle.push(file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn inode(file: &NamelessFile) -> u64 {
        file.file().unwrap().metadata().unwrap().ino()
    }

    #[test]
    fn small_files_are_used_again_as_many_as_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits {
            reused_bytes_max: 10,
            reused_files_max: 2,
            ..Limits::default()
        };
        let files = Arc::new(NamelessFiles::new(directory.path().join("in"), &limits));
        let first = files.take(10).unwrap();
        let number = inode(&first);
        drop(first);
        let again = files.take(3).unwrap();
        assert_eq!(inode(&again), number);
        // Two at once are two files, and of three that come back two are kept.
        let others = [files.take(1).unwrap(), files.take(1).unwrap()];
        assert!(others.iter().all(|other| inode(other) != number));
        drop((again, others));
        assert_eq!(files.idle().len(), 2);
        // A large one is made for its one use.
        drop(files.take(11).unwrap());
        assert_eq!(files.idle().len(), 2);
        let named = std::fs::read_dir(directory.path().join("in")).unwrap();
        assert_eq!(named.count(), 0, "they have no names");
    }
}
