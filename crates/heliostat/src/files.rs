//! Files of people that commands change where they lie: read whole, replaced whole or not at all.
//!
//! Nothing of the data directory, which is the store's.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Puts `bytes` in the file's place in one step, with the permissions of what was there. A link stays a link.
#[expect(
    clippy::disallowed_methods,
    reason = "lock files and the like belong to a person's project, not to the store"
)]
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let permissions: Option<Permissions> = target.metadata().ok().map(|found| found.permissions());
    let beside = beside(&target);
    let result = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.sync_all()?;
        std::fs::rename(&beside, &target)
    });
    if result.is_err() {
        let _nothing_more_to_do = std::fs::remove_file(&beside);
    }
    result
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.heliostat-{}", std::process::id()))
}
