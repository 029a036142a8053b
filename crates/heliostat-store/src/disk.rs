//! Writing, replacing, syncing and opening files. Knows durability and symbolic links; knows nothing of what a file
//! is for.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::StoreError;

/// Up to this many files are synced one by one; more are synced with the whole file system in one call, where the
/// system can do that. A file's own sync costs a journal commit or two; `syncfs` costs one, but waits for everybody.
const SYNC_EACH_MAX: usize = 12;

/// A file that is open for reading, with what identifies this state of it.
#[derive(Debug)]
pub struct OpenFile {
    /// The file, at its beginning.
    pub file: File,
    /// What identifies this state of it.
    pub stamp: Stamp,
}

/// What identifies one state of one file: replacing a file changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Its number on the file system.
    pub inode: u64,
    /// Its length.
    pub len_bytes: u64,
    /// When it was last written, whole seconds since 1970.
    pub modified_seconds: i64,
    /// The rest of that time.
    pub modified_nanoseconds: u32,
}

/// Whether the system can sync a whole file system in one call.
const CAN_SYNC_ALL: bool = cfg!(target_os = "linux");

/// What still has to reach the disk before the next step may begin.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    files: Vec<PathBuf>,
    directories: BTreeSet<PathBuf>,
    /// So many that the whole file system will be synced; then nobody needs to know which.
    is_many: bool,
}

impl Unsynced {
    pub(crate) fn add_file(&mut self, path: &Path) {
        if !self.is_many {
            self.files.push(path.to_owned());
            self.count();
        }
    }

    pub(crate) fn add_directory(&mut self, path: &Path) {
        if !self.is_many && !self.directories.contains(path) {
            self.directories.insert(path.to_owned());
            self.count();
        }
    }

    /// Takes over what somebody else noted.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.files.extend(other.files);
        self.directories.extend(other.directories);
        self.is_many |= other.is_many;
        self.count();
    }

    fn count(&mut self) {
        if CAN_SYNC_ALL && self.files.len() + self.directories.len() > SYNC_EACH_MAX {
            self.is_many = true;
        }
        if self.is_many {
            self.files.clear();
            self.directories.clear();
        }
    }

    /// Returns when everything noted so far is on the disk. `anchor` is any open file of the same file system.
    pub(crate) fn sync(self, anchor: &File) -> Result<(), StoreError> {
        if self.is_many {
            return sync_file_system(anchor);
        }
        for path in self.files.iter().chain(&self.directories) {
            match File::open(path).and_then(|file| file.sync_all()) {
                Ok(()) => {}
                // A directory that was emptied and removed meanwhile has nothing left to sync.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("sync", path, error)),
            }
        }
        Ok(())
    }
}

/// Makes a directory and its parents, noting every directory that got a new entry.
pub(crate) fn create_directory(path: &Path, unsynced: &mut Unsynced) -> Result<(), StoreError> {
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            return Ok(());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path
                .parent()
                .ok_or_else(|| StoreError::io("create the directory", path, error))?;
            create_directory(parent, unsynced)?;
            match fs::create_dir(path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
                    return Ok(());
                }
                Err(error) => return Err(StoreError::io("create the directory", path, error)),
            }
        }
        Err(error) => return Err(StoreError::io("create the directory", path, error)),
    }
    if let Some(parent) = path.parent() {
        unsynced.add_directory(parent);
    }
    Ok(())
}

/// Renames, making the target's directory when it is missing.
pub(crate) fn move_into_place(
    from: &Path,
    to: &Path,
    unsynced: &mut Unsynced,
) -> Result<(), StoreError> {
    let parent = to.parent().unwrap_or(Path::new("/"));
    let mut renamed = fs::rename(from, to);
    if renamed
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    {
        create_directory(parent, unsynced)?;
        renamed = fs::rename(from, to);
    }
    renamed.map_err(|error| StoreError::io("move a file into place as", to, error))?;
    unsynced.add_directory(parent);
    Ok(())
}

/// Replaces a file with new content in one step. A file that already has this content is left alone, so that its
/// times and identity keep telling that nothing changed.
pub(crate) fn replace(
    temporary: &Path,
    target: &Path,
    content: &[u8],
    unsynced: &mut Unsynced,
) -> Result<(), StoreError> {
    if has_content(target, content) {
        return Ok(());
    }
    write_new(temporary, content)?;
    move_into_place(temporary, target, unsynced)?;
    unsynced.add_file(target);
    Ok(())
}

/// Makes `target` the same file as `original` in one step, or a copy of it where the file system has no hard links.
pub(crate) fn replace_with_link(
    original: &Path,
    temporary: &Path,
    target: &Path,
    content: &[u8],
    unsynced: &mut Unsynced,
) -> Result<(), StoreError> {
    if has_content(target, content) {
        return Ok(());
    }
    if fs::hard_link(original, temporary).is_err() {
        write_new(temporary, content)?;
        unsynced.add_file(target);
    }
    move_into_place(temporary, target, unsynced)
}

/// Removes a file that may be gone already; tells whether it was there.
pub(crate) fn remove_file(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(StoreError::io("remove", path, error)),
    }
}

/// Removes the directory and its parents as long as they are empty, stopping below `root`. One that is gone already
/// does not stop it: a killed process may have come no further.
pub(crate) fn remove_empty_directories(mut directory: &Path, root: &Path) {
    while directory != root && directory.starts_with(root) {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return,
            _ => {}
        }
        let Some(parent) = directory.parent() else {
            return;
        };
        directory = parent;
    }
}

/// Whether the error says that the file, or a directory on the way, is not there.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether the error says that links lead in a circle.
pub(crate) fn is_circle(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// Opens a file below `root` for reading. `None` where there is no such file, where it is not a regular file, or where
/// a symbolic link on the way leaves `root`.
pub(crate) fn open_below(root: &File, relative: &str) -> io::Result<Option<OpenFile>> {
    let file = match open_beneath(root, relative) {
        Ok(file) => file,
        // XDEV: a link leaves the root. LOOP: a link where none may be, or links in a circle. NXIO: sockets and the
        // like.
        Err(
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::NAMETOOLONG
            | Errno::XDEV
            | Errno::LOOP
            | Errno::NXIO,
        ) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    Ok(Some(OpenFile {
        stamp: stamp_of(&metadata),
        file,
    }))
}

/// Opens a regular file for reading, wherever links lead; nothing else is waited for. `None` where nothing is there.
pub(crate) fn open_regular(path: &Path) -> Result<Option<File>, StoreError> {
    let irregular = || StoreError::NotAFile(path.to_owned());
    let file = match rustix::fs::open(path, READ_FLAGS, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(Errno::NXIO) => return Err(irregular()),
        Err(error) if is_absent(&error.into()) => return Ok(None),
        Err(error) => return Err(StoreError::io("open", path, error)),
    };
    let metadata = file.metadata();
    let metadata = metadata.map_err(|error| StoreError::io("look at", path, error))?;
    if metadata.is_file() {
        Ok(Some(file))
    } else {
        Err(irregular())
    }
}

/// What identifies the present state of a file below `root`, from one cheap call that follows no link at the end.
pub(crate) fn stamp_below(root: &File, relative: &str) -> io::Result<Option<Stamp>> {
    match rustix::fs::statat(root, relative, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() => {
            Ok(Some(Stamp {
                inode: stat.st_ino,
                len_bytes: u64::try_from(stat.st_size).unwrap_or(0),
                modified_seconds: stat.st_mtime,
                modified_nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            }))
        }
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A file's stamp from its metadata.
pub(crate) fn stamp_of(metadata: &fs::Metadata) -> Stamp {
    Stamp {
        inode: metadata.ino(),
        len_bytes: metadata.len(),
        modified_seconds: metadata.mtime(),
        modified_nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
    }
}

/// Writes a file that must not exist yet.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(content));
    written.map_err(|error| {
        drop(fs::remove_file(path));
        StoreError::io("write", path, error)
    })
}

fn has_content(path: &Path, content: &[u8]) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return false;
    };
    if !metadata.is_file() || metadata.len() != content.len() as u64 {
        return false;
    }
    let mut found = Vec::with_capacity(content.len());
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut found))
        .is_ok_and(|_| found == content)
}

#[cfg(target_os = "linux")]
fn sync_file_system(anchor: &File) -> Result<(), StoreError> {
    rustix::fs::syncfs(anchor)
        .map_err(|error| StoreError::io("sync the file system of", "web", error))
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_anchor: &File) -> Result<(), StoreError> {
    unreachable!("what cannot be done is not asked for: CAN_SYNC_ALL")
}

const READ_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

#[cfg(target_os = "linux")]
fn open_beneath(root: &File, relative: &str) -> rustix::io::Result<File> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root, relative, READ_FLAGS, Mode::empty(), resolve) {
            Ok(descriptor) => return Ok(descriptor.into()),
            // A rename raced with the resolution of `..` in a link.
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Kernels before 5.6 and some sandboxes do not have the call.
            Err(Errno::NOSYS | Errno::PERM) => {
                return open_plainly(root, relative);
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(root: &File, relative: &str) -> rustix::io::Result<File> {
    open_plainly(root, relative)
}

/// Refuses a link as the last component only; paths come from types that hold no `..`.
fn open_plainly(root: &File, relative: &str) -> rustix::io::Result<File> {
    rustix::fs::openat(root, relative, READ_FLAGS | OFlags::NOFOLLOW, Mode::empty()).map(Into::into)
}
