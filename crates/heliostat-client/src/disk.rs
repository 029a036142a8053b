//! Files of the client's own state: read whole, replaced in one step. Knows nothing of what a file is for, and its
//! readers check every byte they get from here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ClientError;

/// Tells temporary files of one process apart.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// A file's bytes, `None` where there is none. A file longer than `limit_bytes` was not written by us: as good as
/// none.
#[expect(
    clippy::disallowed_methods,
    reason = "the client owns its state directory"
)]
pub(crate) fn read(path: &Path, limit_bytes: u64) -> Result<Option<Vec<u8>>, ClientError> {
    let outcome = fs::metadata(path).and_then(|metadata| {
        (metadata.is_file() && metadata.len() <= limit_bytes)
            .then(|| fs::read(path))
            .transpose()
    });
    match outcome {
        Ok(bytes) => Ok(bytes),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// When what was written is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durable {
    Now,
    Soon,
}

/// Replaces a file in one step, making its directory where there is none; it is on the disk when this returns.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    write(path, bytes, Durable::Now)
}

/// The same without waiting for the disk, for what is checked when it is read and can be had again: waiting for forty
/// pages takes longer than having them.
pub(crate) fn replace_soon(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    write(path, bytes, Durable::Soon)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the client owns its state directory"
)]
fn write(path: &Path, bytes: &[u8], durable: Durable) -> Result<(), ClientError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(|error| failed("make", directory, error))?;
    let number = TEMPORARY.fetch_add(1, Ordering::Relaxed);
    let temporary = directory.join(format!(".{}-{number}.tmp", std::process::id()));
    let write = || {
        let mut file = File::create_new(&temporary)?;
        file.write_all(bytes)?;
        if durable == Durable::Now {
            file.sync_data()?;
        }
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let _there_may_be_none = fs::remove_file(&temporary);
        failed("write", path, error)
    })
}

/// Adds a line to a file, making its directory where there is none.
pub(crate) fn append(path: &Path, line: &str) -> Result<(), ClientError> {
    let open = || OpenOptions::new().create(true).append(true).open(path);
    let file = match open() {
        Err(error) if is_absent(&error) => {
            make_directory(path.parent().unwrap_or(Path::new(".")))?;
            open()
        }
        file => file,
    };
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(|error| failed("write", path, error))
}

/// Removes a file; none is fine.
#[expect(
    clippy::disallowed_methods,
    reason = "the client owns its state directory"
)]
pub(crate) fn remove(path: &Path) -> Result<(), ClientError> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// Makes a directory and its parents.
#[expect(
    clippy::disallowed_methods,
    reason = "the client owns its state directory"
)]
pub(crate) fn make_directory(path: &Path) -> Result<(), ClientError> {
    fs::create_dir_all(path).map_err(|error| failed("make", path, error))
}

/// The files of a directory with their sizes, the longest unchanged first; none where there is no directory.
pub(crate) fn files(directory: &Path) -> Result<Vec<(PathBuf, u64)>, ClientError> {
    let mut found: Vec<_> = entries(directory)?
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, entry.path(), metadata.len()))
        })
        .collect();
    found.sort();
    Ok(found
        .into_iter()
        .map(|(_, path, size_bytes)| (path, size_bytes))
        .collect())
}

/// The names of the directories in a directory; none where there is none.
pub(crate) fn directories(directory: &Path) -> Result<Vec<String>, ClientError> {
    let mut names: Vec<String> = entries(directory)?
        .filter_map(|entry| {
            entry.file_type().ok().filter(fs::FileType::is_dir)?;
            entry.file_name().into_string().ok()
        })
        .collect();
    names.sort();
    Ok(names)
}

/// What is in a directory; nothing where there is none.
fn entries(directory: &Path) -> Result<impl Iterator<Item = fs::DirEntry>, ClientError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => Some(entries),
        Err(error) if is_absent(&error) => None,
        Err(error) => return Err(failed("read", directory, error)),
    };
    Ok(entries.into_iter().flatten().filter_map(Result::ok))
}

/// A nameless file for bytes that are on their way: it is gone when it is closed.
#[expect(
    clippy::disallowed_methods,
    reason = "the client owns its state directory"
)]
pub(crate) fn nameless(directory: &Path) -> Result<File, ClientError> {
    fs::create_dir_all(directory).map_err(|error| failed("make", directory, error))?;
    let number = TEMPORARY.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!(".{}-{number}.part", std::process::id()));
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|file| fs::remove_file(&path).map(|()| file))
        .map_err(|error| failed("write", &path, error))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> ClientError {
    ClientError::Disk {
        action,
        path: path.to_owned(),
        source,
    }
}
