//! Files of a ceremony: read whole, written once, never over one that is there.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_trust::keys::PublicKey;
use heliostat_trust::metadata::{Metadata, Signed};

use crate::commands::UsageError;
use crate::wire;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    Everybody,
    /// Its owner alone: mode 0600.
    Owner,
}

pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    let bytes =
        wire::read_small(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    String::from_utf8(bytes)
        .map_err(|_binary| UsageError(format!("`{}` is not text", path.display())).into())
}

/// What a file holds, read by `parse`; the error names the file.
pub(super) fn read<T, E: std::fmt::Display>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> anyhow::Result<T> {
    parse(&text(path)?).map_err(|error| UsageError(format!("`{}`: {error}", path.display())).into())
}

pub(in crate::commands) fn metadata<T: Metadata>(path: &Path) -> anyhow::Result<Signed<T>> {
    read(path, |text| Signed::<T>::read(text.as_bytes()))
}

pub(super) fn public_key(path: &Path) -> anyhow::Result<PublicKey> {
    read(path, PublicKey::from_file)
}

/// Writes a new file.
pub(super) fn write_new(path: &Path, bytes: &[u8], readers: Readers) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            anyhow::Error::from(UsageError(format!(
                "`{}` is there already; name another file",
                path.display()
            )))
        } else {
            anyhow::Error::from(error).context(format!("cannot write `{}`", path.display()))
        }
    })?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write `{}`", path.display()))
}

/// Writes a new file that its owner alone may read, whole or not at all, however it is cut off; never over one that is
/// there.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    clear_half(path)?;
    let half = half(path);
    write_new(&half, bytes, Readers::Owner)?;
    std::fs::hard_link(&half, path)
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    clear_half(path)
}

/// Removes what [`write_whole`] left beside a file when it was cut off: nobody has used it.
#[expect(
    clippy::disallowed_methods,
    reason = "private keys are the program's, which the store must not know"
)]
pub(super) fn clear_half(path: &Path) -> anyhow::Result<()> {
    let half = half(path);
    if half.exists() {
        std::fs::remove_file(&half)
            .with_context(|| format!("cannot remove `{}`", half.display()))?;
    }
    Ok(())
}

fn half(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// Makes a directory unless it is there.
#[expect(
    clippy::disallowed_methods,
    reason = "where drafts go is for whoever holds the ceremony to say; it is no data directory"
)]
pub(super) fn directory(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot make `{}`", path.display()))
}
