//! The published folder: replaced as a whole or not at all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::beside;

/// Puts a folder with these files, each by its path with `/` between parts, in the place of what was there, in one step
/// where the system can exchange two folders; elsewhere there is a moment without either. A link stays a link.
#[expect(
    clippy::disallowed_methods,
    reason = "a published folder belongs to whoever serves it, not to the store"
)]
pub(super) fn replace(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let target = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    std::fs::create_dir_all(&parent)?;
    let beside = beside(&target);
    let result = write_folder(&beside, files).and_then(|()| exchange(&beside, &target));
    // What was there is beside now, or what could not be put in its place.
    if beside.exists() {
        std::fs::remove_dir_all(&beside)?;
    }
    result?;
    File::open(&parent)?.sync_all()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a published folder belongs to whoever serves it, not to the store"
)]
fn write_folder(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    std::fs::create_dir(folder)?;
    for (name, bytes) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, bytes)?;
    }
    // One step for thousands of small files.
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(File::open(folder)?)?;
    Ok(())
}

fn exchange(new: &Path, old: &Path) -> io::Result<()> {
    use rustix::fs::CWD;
    if !old.exists() {
        return rustix::fs::renameat(CWD, new, CWD, old).map_err(io::Error::from);
    }
    #[cfg(target_os = "linux")]
    {
        let exchanged =
            rustix::fs::renameat_with(CWD, new, CWD, old, rustix::fs::RenameFlags::EXCHANGE);
        if exchanged.is_ok() {
            return Ok(());
        }
    }
    let gone = new.with_extension("old");
    rustix::fs::renameat(CWD, old, CWD, &gone)?;
    rustix::fs::renameat(CWD, new, CWD, old)?;
    rustix::fs::renameat(CWD, &gone, CWD, new).map_err(io::Error::from)
}
