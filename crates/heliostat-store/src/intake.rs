//! Takes bytes in: writes them to a temporary file, hashes them while writing, and hands out a `VerifiedBlob` only
//! when they are what was promised.
//!
//! Every open store has its own directory under `state/incoming`, with a locked file in it. The lock ends with the
//! process, so recovery can tell the litter of the dead from the work of the living, also across containers.

use std::fmt;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use heliostat_pypi::Sha256;
use sha2::Digest as _;

use crate::disk;
use crate::error::{Mismatch, StoreError};
use crate::kill::kill_point;

/// Bytes collected before they are written, so that small chunks do not cost a system call each.
const BUFFER_BYTES: usize = 128 * 1024;

/// The name of the locked file in a store's own directory.
pub(crate) const OWNER_LOCK: &str = "owner.lock";

/// What is known of a file before it comes. Nothing given means nothing checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// Its sha256.
    pub sha256: Option<Sha256>,
    /// Its size.
    pub size_bytes: Option<u64>,
}

/// A file that is being written. Dropping it removes what was written.
#[derive(Debug)]
pub struct Intake {
    temporary: Temporary,
    file: File,
    hasher: sha2::Sha256,
    buffer: Vec<u8>,
    written_bytes: u64,
    limit_bytes: u64,
}

/// A complete file whose bytes were hashed while they were written and are what was promised. The only constructor is
/// `finish`. Dropping it removes the file unless a commit took it.
#[derive(Debug)]
pub struct VerifiedBlob {
    temporary: Temporary,
    sha256: Sha256,
    size_bytes: u64,
    origin: Origin,
}

/// How a blob came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// We wrote it.
    Written,
    /// It is a second name of a file that was there.
    Linked,
}

/// A store's own directory for temporary files.
#[derive(Debug)]
pub(crate) struct Incoming {
    root: PathBuf,
    owned: Mutex<Option<Arc<Owned>>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Owned {
    directory: PathBuf,
    /// Holds the lock for as long as anything of this store's may be in the directory.
    _lock: File,
}

/// A temporary file's path; removes the file when dropped.
#[derive(Debug)]
pub(crate) struct Temporary {
    owned: Arc<Owned>,
    path: PathBuf,
    armed: bool,
}

impl Intake {
    pub(crate) fn start(incoming: &Incoming, limit_bytes: u64) -> Result<Self, StoreError> {
        let temporary = incoming.temporary()?;
        let file = File::create_new(&temporary.path)
            .map_err(|error| StoreError::io("create", &temporary.path, error))?;
        Ok(Self {
            temporary,
            file,
            hasher: sha2::Sha256::new(),
            buffer: Vec::new(),
            written_bytes: 0,
            limit_bytes,
        })
    }

    /// Takes the next bytes. More than the limit is an error, before anything of the surplus is written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.len_bytes() + bytes.len() as u64 > self.limit_bytes {
            return Err(StoreError::TooLarge {
                limit_bytes: self.limit_bytes,
            });
        }
        self.hasher.update(bytes);
        if self.buffer.len() + bytes.len() < BUFFER_BYTES {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush()?;
        if bytes.len() < BUFFER_BYTES {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.write_through(bytes)
    }

    /// Bytes taken so far.
    pub fn len_bytes(&self) -> u64 {
        self.written_bytes + self.buffer.len() as u64
    }

    /// Bytes that `reader` can see; `flush` makes this all of them.
    pub const fn readable_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Makes everything taken so far visible to readers.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.write_through(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        written
    }

    /// Starts over: everything taken so far is forgotten. Readers must start over too.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        use std::io::Seek as _;
        self.buffer.clear();
        self.hasher = sha2::Sha256::new();
        if self.written_bytes > 0 {
            let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
            emptied.map_err(|error| StoreError::io("empty", &self.temporary.path, error))?;
        }
        self.written_bytes = 0;
        Ok(())
    }

    /// An independent handle for reading what was written, which stays good after the file has moved into place.
    pub fn reader(&self) -> Result<File, StoreError> {
        self.temporary.open()
    }

    /// Checks the whole against what was promised. On a mismatch the file is removed, and the error tells both sides.
    pub fn finish(self, expected: &Expected) -> Result<VerifiedBlob, StoreError> {
        self.finish_with_content(expected).map(|(blob, _)| blob)
    }

    /// The same, with all the bytes of a file so small that they were still in memory, so that whoever looks into it
    /// next need not read them back.
    pub fn finish_with_content(
        mut self,
        expected: &Expected,
    ) -> Result<(VerifiedBlob, Option<Vec<u8>>), StoreError> {
        let is_whole = self.written_bytes == 0;
        let content = std::mem::take(&mut self.buffer);
        self.write_through(&content)?;
        let Self {
            temporary,
            hasher,
            written_bytes,
            ..
        } = self;
        let sha256 = Sha256::from_bytes(hasher.finalize().into());
        let blob = VerifiedBlob {
            temporary,
            sha256,
            size_bytes: written_bytes,
            origin: Origin::Written,
        };
        expected.check(sha256, written_bytes)?;
        kill_point("intake-finished");
        Ok((blob, is_whole.then_some(content)))
    }

    fn write_through(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file
            .write_all(bytes)
            .map_err(|error| StoreError::io("write", &self.temporary.path, error))?;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }
}

impl VerifiedBlob {
    /// The digest of its bytes.
    pub const fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Its size.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Opens it for reading.
    pub fn open(&self) -> Result<File, StoreError> {
        self.temporary.open()
    }

    pub(crate) fn temporary(&self) -> &Temporary {
        &self.temporary
    }

    /// Hands the file over to the redo log: from now on a commit or recovery answers for it.
    pub(crate) fn hand_over(self) {
        self.temporary.release();
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.origin == Origin::Linked
    }

    /// A blob from a file that was hashed where it lies; see `adopt`.
    pub(crate) const fn hashed(temporary: Temporary, sha256: Sha256, size_bytes: u64) -> Self {
        Self {
            temporary,
            sha256,
            size_bytes,
            origin: Origin::Linked,
        }
    }
}

impl Expected {
    /// An error unless the bytes found are the promised ones.
    pub fn check(&self, sha256: Sha256, size_bytes: u64) -> Result<(), StoreError> {
        let fits = self.sha256.is_none_or(|wanted| wanted == sha256)
            && self.size_bytes.is_none_or(|wanted| wanted == size_bytes);
        if fits {
            return Ok(());
        }
        let found = Self {
            sha256: Some(sha256),
            size_bytes: Some(size_bytes),
        };
        Err(StoreError::Mismatch(Box::new(Mismatch {
            expected: *self,
            found,
        })))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.sha256, self.size_bytes) {
            (Some(sha256), Some(size)) => write!(f, "sha256:{sha256} of {size} bytes"),
            (Some(sha256), None) => write!(f, "sha256:{sha256}"),
            (None, Some(size)) => write!(f, "{size} bytes"),
            (None, None) => f.write_str("anything"),
        }
    }
}

impl Incoming {
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self {
            root,
            owned: Mutex::new(None),
            next: AtomicU64::new(0),
        }
    }

    /// A path for a new temporary file in this store's own directory.
    pub(crate) fn temporary(&self) -> Result<Temporary, StoreError> {
        let owned = self.owned()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = owned.directory.join(number.to_string());
        Ok(Temporary {
            owned,
            path,
            armed: true,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of this store's own, if it has one yet.
    pub(crate) fn own_directory(&self) -> Option<PathBuf> {
        let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        owned.as_ref().map(|owned| owned.directory.clone())
    }

    fn owned(&self) -> Result<Arc<Owned>, StoreError> {
        let mut slot = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owned) = slot.as_ref() {
            return Ok(Arc::clone(owned));
        }
        let owned = Arc::new(claim_directory(&self.root)?);
        *slot = Some(Arc::clone(&owned));
        Ok(owned)
    }
}

impl Temporary {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Nothing is under this path any more: it was renamed away, or never written.
    pub(crate) fn release(mut self) {
        self.armed = false;
    }

    /// `<owner>/<number>`: how the redo log names it.
    pub(crate) fn relative(&self) -> String {
        let owner = self
            .owned
            .directory
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let number = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{owner}/{number}")
    }

    fn open(&self) -> Result<File, StoreError> {
        File::open(&self.path).map_err(|error| StoreError::io("open", &self.path, error))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.armed {
            // Usually it has been renamed away or never existed; what cannot be removed now, recovery removes.
            drop(fs::remove_file(&self.path));
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // The directory stays where the redo log still names files in it; without its lock it counts as a dead one's.
        drop(fs::remove_file(self.directory.join(OWNER_LOCK)));
        drop(fs::remove_dir(&self.directory));
    }
}

/// Makes and locks a directory of our own. Recovery in another process may remove it before we hold the lock; then we
/// start over with another name.
fn claim_directory(root: &Path) -> Result<Owned, StoreError> {
    loop {
        let token = std::hash::RandomState::new().build_hasher().finish();
        let directory = root.join(format!("{}-{token:016x}", std::process::id()));
        match fs::create_dir(&directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(StoreError::io("create the directory", &directory, error)),
        }
        if let Some(owned) = own(directory)? {
            return Ok(owned);
        }
    }
}

/// Makes a fresh directory ours by a lock in it. None where recovery was faster: it has removed the directory, or put a
/// lock of its own into it in order to.
fn own(directory: PathBuf) -> Result<Option<Owned>, StoreError> {
    let path = directory.join(OWNER_LOCK);
    let lock = match File::create_new(&path) {
        Ok(lock) => lock,
        Err(error) if is_taken(&error) => return Ok(None),
        Err(error) => return Err(StoreError::io("create", &path, error)),
    };
    lock.lock()
        .map_err(|error| StoreError::io("lock", &path, error))?;
    Ok(is_at(&lock, &path)?.then_some(Owned {
        directory,
        _lock: lock,
    }))
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists
    )
}

/// Whether the open file is the one that stands at the path. Another may: a lock that recovery made after it had removed
/// ours.
fn is_at(file: &File, path: &Path) -> Result<bool, StoreError> {
    let error = |error| StoreError::io("look at", path, error);
    let held = file.metadata().map_err(error)?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((held.dev(), held.ino()) == (there.dev(), there.ino())),
        Err(absent) if disk::is_absent(&absent) => Ok(false),
        Err(other) => Err(error(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_recovery_is_removing_is_not_ours() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("1-a");
        fs::create_dir(&directory).unwrap();
        let recovery = File::create_new(directory.join(OWNER_LOCK)).unwrap();
        recovery.try_lock().unwrap();
        assert!(own(directory.clone()).unwrap().is_none());
        fs::remove_dir_all(&directory).unwrap();
        assert!(own(directory.clone()).unwrap().is_none());
        fs::create_dir(&directory).unwrap();
        assert!(own(directory).unwrap().is_some());
    }

    #[test]
    fn a_lock_is_at_its_path_until_another_stands_there() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(OWNER_LOCK);
        let lock = File::create_new(&path).unwrap();
        assert!(is_at(&lock, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&lock, &path).unwrap());
        drop(File::create_new(&path).unwrap());
        assert!(!is_at(&lock, &path).unwrap());
    }
}
