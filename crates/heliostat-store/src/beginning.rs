//! Where a data directory began: what was missing before it was opened, so that a command that ends up taking nothing
//! leaves nothing. Knows only what opening a store makes; anything else that it finds keeps everything.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::layout::Layout;
use crate::store::Store;

/// What was missing of a data directory before it was opened.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// The innermost first, `state` and `web/packages` among them.
    missing: Vec<PathBuf>,
}

impl Beginning {
    /// Looks at a data directory that is about to be opened.
    pub fn look(data: &Path) -> Self {
        let layout = Layout::new(data);
        let inside = [layout.state(), layout.packages(), layout.web()];
        let above = data.ancestors().map(Path::to_owned);
        let missing = inside
            .into_iter()
            .chain(above)
            .filter(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        Self { missing }
    }

    /// Takes away what opening the store made, where there was no private state before, nothing was ever committed or
    /// noted, and nobody else has it open; tells whether it did. The caller holds the sync lock.
    pub fn undo(&self, store: &Store) -> Result<bool, StoreError> {
        let layout = &store.inner.layout;
        if !self.missing.contains(&layout.state()) {
            return Ok(false);
        }
        let _guard = store.inner.commit_lock.hold()?;
        if !store.inner.catalog.is_untouched()? || !store.inner.catalog.is_ours_alone()? {
            return Ok(false);
        }
        for file in [
            layout.catalog(),
            layout.sync_lock(),
            layout.publish_lock(),
            layout.commit_lock(),
        ] {
            gone(&file, fs::remove_file(&file))?;
        }
        let inside = [layout.incoming(), layout.keys()];
        for directory in inside.iter().chain(&self.missing) {
            gone(directory, fs::remove_dir(directory))?;
        }
        Ok(true)
    }
}

/// What somebody else put there stays, and so does what it stands in.
fn gone(path: &Path, removed: io::Result<()>) -> Result<(), StoreError> {
    match removed {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Err(StoreError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}
