//! Files of people that commands change where they lie: read whole, replaced whole or not at all.
//!
//! Nothing of the data directory, which is the store's.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Puts `bytes` in the file's place in one step, with the permissions of what was there. A link stays a link; a device, a
/// pipe or a folder is an error and stays what it is.
#[expect(
    clippy::disallowed_methods,
    reason = "lock files and the like belong to a person's project, not to the store"
)]
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let found = target.metadata().ok();
    if found.as_ref().is_some_and(|found| !found.is_file()) {
        return Err(io::Error::other("it is no regular file"));
    }
    let permissions: Option<Permissions> = found.map(|found| found.permissions());
    let beside = beside(&target);
    let result = File::create(&beside).and_then(|mut file| {
        // First, so that nobody reads what they may not before it is renamed.
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, &target)
    });
    if result.is_err() {
        let _nothing_more_to_do = std::fs::remove_file(&beside);
    }
    result
}

/// The same for a file that may not be there yet, nor its folder.
#[expect(
    clippy::disallowed_methods,
    reason = "configuration of installers belongs to a person or a machine, not to the store"
)]
pub(crate) fn replace_or_make(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    replace(path, bytes)
}

/// The same for a file that only its owner is to read.
#[expect(
    clippy::disallowed_methods,
    reason = "configuration of installers belongs to a person or a machine, not to the store"
)]
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if !path.exists() {
        replace_or_make(path, b"")?;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        File::open(path)?.set_permissions(Permissions::from_mode(0o600))?;
    }
    replace(path, bytes)
}

/// Removes a file, and its folder where nothing is left in it.
#[expect(
    clippy::disallowed_methods,
    reason = "configuration of installers belongs to a person or a machine, not to the store"
)]
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)?;
    if let Some(parent) = path.parent() {
        let _may_hold_more = std::fs::remove_dir(parent);
    }
    Ok(())
}

/// A name beside a file or folder, of this process alone.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.heliostat-{}", std::process::id()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_stays_what_it_is() {
        use std::os::unix::fs::FileTypeExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heliostat.trust");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(replace(&path, b"text").is_err());
        assert!(path.metadata().unwrap().file_type().is_socket());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
