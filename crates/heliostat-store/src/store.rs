//! The store itself: opening a data directory and everything that is asked of it as a whole.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::disk::{self, Unsynced};
use crate::error::{ErrorKind, StoreError};
use crate::intake::{Expected, Incoming, Intake, VerifiedBlob};
use crate::layout::Layout;
use crate::lock::{CommitLock, SyncLock};
use crate::shelf::Shelf;

/// One data directory, open. Cheap to clone; every clone is the same store. All calls block.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) catalog: Catalog,
    pub(crate) commit_lock: CommitLock,
    pub(crate) incoming: Incoming,
    pub(crate) shelf: Shelf,
    /// The tree's root, for opening below it and for syncing its file system.
    pub(crate) web: File,
    access: Access,
}

/// What may be done with a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    ReadWrite,
    /// Looking only: whatever would change something answers with an error.
    ReadOnly,
}

impl Store {
    /// Whether there is a data directory at a place, for commands that make none.
    pub fn is_at(data: &Path) -> bool {
        Layout::new(data).state().is_dir()
    }

    /// Opens the data directory, making it where it is missing. Recovery is a call of its own: `recover`.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        let layout = Layout::new(data);
        let mut made = Unsynced::default();
        for directory in [
            layout.web(),
            layout.state(),
            layout.packages(),
            layout.incoming(),
        ] {
            disk::create_directory(&directory, &mut made)?;
        }
        create_private_directory(&layout.keys())?;
        check_devices(&layout)?;
        let web = File::open(layout.web())
            .map_err(|error| StoreError::io("open", layout.web(), error))?;
        made.sync(&web)?;
        let commit_lock = CommitLock::new(layout.commit_lock())?;
        let catalog = {
            let _guard = commit_lock.hold()?;
            Catalog::open(&layout.catalog())?
        };
        Ok(Self::over(
            layout,
            catalog,
            commit_lock,
            web,
            Access::ReadWrite,
        ))
    }

    /// Opens a data directory that is there already, for somebody who may read it and not write it. Nothing is made,
    /// upgraded or locked for writing; every call that would change something answers with an error.
    pub fn open_to_read(data: &Path) -> Result<Self, StoreError> {
        let layout = Layout::new(data);
        let web = File::open(layout.web())
            .map_err(|error| StoreError::io("open", layout.web(), error))?;
        let commit_lock = CommitLock::to_read(layout.commit_lock())?;
        let catalog = {
            let _guard = commit_lock.hold()?;
            Catalog::open_to_read(&layout.catalog())?
        };
        Ok(Self::over(
            layout,
            catalog,
            commit_lock,
            web,
            Access::ReadOnly,
        ))
    }

    /// Opens the data directory, or, where it may not be written what is there to be read.
    pub fn open_or_read(data: &Path) -> Result<Self, StoreError> {
        Self::open(data).or_else(|error| match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnly => Self::open_to_read(data),
            _ => Err(error),
        })
    }

    /// A store over what was opened.
    fn over(
        layout: Layout,
        catalog: Catalog,
        commit_lock: CommitLock,
        web: File,
        access: Access,
    ) -> Self {
        let incoming = Incoming::new(layout.incoming());
        Self {
            inner: Arc::new(Inner {
                layout,
                catalog,
                commit_lock,
                incoming,
                shelf: Shelf::default(),
                web,
                access,
            }),
        }
    }

    /// What may be done with it.
    pub fn access(&self) -> Access {
        self.inner.access
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        self.inner.layout.data()
    }

    /// The public tree.
    pub fn web(&self) -> PathBuf {
        self.inner.layout.web()
    }

    /// Where keys are kept, readable by their owner only.
    pub fn keys(&self) -> PathBuf {
        self.inner.layout.keys()
    }

    /// Takes the right to run a sync, or tells who has it. `purpose` and `now`, in seconds since 1970, are what the next
    /// one is told of us, beside our process and host.
    pub fn lock_sync(&self, purpose: &str, now: i64) -> Result<SyncLock, StoreError> {
        let since = jiff::Timestamp::from_second(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let system = rustix::system::uname();
        let host = system.nodename().to_string_lossy();
        let holder = format!(
            "process {} on {host} since {since} ({purpose})",
            std::process::id()
        );
        SyncLock::take(&self.inner.layout.sync_lock(), &holder)
    }

    /// Starts to take bytes in, at most this many.
    pub fn intake(&self, limit_bytes: u64) -> Result<Intake, StoreError> {
        Intake::start(&self.inner.incoming, limit_bytes)
    }

    /// A blob from bytes in memory.
    pub fn blob_from_bytes(
        &self,
        bytes: &[u8],
        expected: &Expected,
    ) -> Result<VerifiedBlob, StoreError> {
        let mut intake = self.intake(bytes.len() as u64)?;
        intake.write(bytes)?;
        intake.finish(expected)
    }

    /// Bytes that we may still write to the disk.
    pub fn disk_free_bytes(&self) -> Result<u64, StoreError> {
        let usage = rustix::fs::fstatvfs(&self.inner.web).map_err(|error| {
            StoreError::io("ask for the free space of", self.inner.layout.web(), error)
        })?;
        Ok(usage.f_bavail.saturating_mul(usage.f_frsize))
    }
}

fn create_private_directory(path: &Path) -> Result<(), StoreError> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(StoreError::io("create the directory", path, error))
        }
        _ => Ok(()),
    }
}

/// Files move into the tree by renaming, which works within one file system only.
fn check_devices(layout: &Layout) -> Result<(), StoreError> {
    let device = |path: &Path| {
        fs::metadata(path)
            .map(|metadata| metadata.dev())
            .map_err(|error| StoreError::io("look at", path, error))
    };
    let incoming = device(&layout.incoming())?;
    for tree in [layout.web(), layout.packages()] {
        if device(&tree)? != incoming {
            return Err(StoreError::CrossDevice {
                incoming: layout.incoming(),
                tree,
            });
        }
    }
    Ok(())
}
