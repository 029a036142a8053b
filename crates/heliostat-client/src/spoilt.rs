//! Files of which wrong bytes were given before anybody could know. Whoever goes on with one where the transfer broke
//! would put the right end to the wrong beginning, so that for a while each is given only from its beginning.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use heliostat_pypi::TreePath;
use tokio::time::Instant;

/// How long somebody may take to come back for the rest.
const FOR: Duration = Duration::from_hours(1);

/// Files remembered at once; of more, those that were spoilt longest ago are forgotten.
const FILES_MAX: usize = 10_000;

/// The files, each with when it was spoilt.
#[derive(Debug, Default)]
pub(crate) struct Spoilt(Mutex<HashMap<TreePath, Instant>>);

impl Spoilt {
    /// Wrong bytes of this file were given.
    pub(crate) fn add(&self, path: &TreePath) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, since| since.elapsed() < FOR);
        if files.len() >= FILES_MAX
            && let Some(oldest) = files.iter().min_by_key(|(_, since)| **since)
        {
            let oldest = oldest.0.clone();
            files.remove(&oldest);
        }
        files.insert(path.clone(), Instant::now());
    }

    /// Whether it must be given from its beginning.
    pub(crate) fn has(&self, path: &TreePath) -> bool {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(path).is_some_and(|since| since.elapsed() < FOR)
    }
}
