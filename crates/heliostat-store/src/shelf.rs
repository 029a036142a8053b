//! Blobs that were taken before it was known whether they are wanted. What nobody takes from the shelf goes with the
//! store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use heliostat_pypi::TreePath;

use crate::intake::{Expected, VerifiedBlob};
use crate::store::Store;

/// Blobs on the shelf, at most; what does not fit is removed, and fetched again if it is wanted.
const SHELF_BLOBS_MAX: usize = 1000;

/// Blobs by the file that they are.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    blobs: Mutex<HashMap<TreePath, VerifiedBlob>>,
}

impl Store {
    /// Keeps a blob until somebody wants it or the store is closed.
    pub fn shelve(&self, path: TreePath, blob: VerifiedBlob) {
        let kept = &self.inner.shelf.blobs;
        let mut blobs = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if blobs.len() < SHELF_BLOBS_MAX {
            blobs.insert(path, blob);
        }
    }

    /// Takes a blob from the shelf, if it is there and is what is expected now.
    pub fn unshelve(&self, path: &TreePath, expected: &Expected) -> Option<VerifiedBlob> {
        let kept = &self.inner.shelf.blobs;
        let mut blobs = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let blob = blobs.remove(path)?;
        (expected.check(blob.sha256(), blob.size_bytes()).is_ok()).then_some(blob)
    }
}
