//! Files of which wrong bytes were given before anybody could know. Whoever goes on with one where the transfer broke
//! would put the right end to the wrong beginning, so that for a while each is given only from its beginning.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use heliostat_pypi::TreePath;
use tokio::time::Instant;

use crate::parts::Part;

/// How long somebody may take to come back for the rest.
const FOR: Duration = Duration::from_hours(1);

/// Files remembered at once; of more, those that were spoilt longest ago are forgotten.
const FILES_MAX: usize = 10_000;

/// The files, each with when it was spoilt, and with the parts one of which is wrong, where several mirrors gave it.
#[derive(Debug, Default)]
pub(crate) struct Spoilt(Mutex<HashMap<TreePath, (Instant, Vec<Part>)>>);

impl Spoilt {
    /// Wrong bytes of this file were given, or came from mirrors of which it is not known which one lied.
    pub(crate) fn add(&self, path: &TreePath, suspects: Vec<Part>) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, (since, _)| since.elapsed() < FOR);
        if files.len() >= FILES_MAX
            && let Some(oldest) = files.iter().min_by_key(|(_, (since, _))| *since)
        {
            let oldest = oldest.0.clone();
            files.remove(&oldest);
        }
        files.insert(path.clone(), (Instant::now(), suspects));
    }

    /// Whether it must be given from its beginning.
    pub(crate) fn has(&self, path: &TreePath) -> bool {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files
            .get(path)
            .is_some_and(|(since, _)| since.elapsed() < FOR)
    }

    /// Takes out the parts of it that are to be held against the right file.
    pub(crate) fn suspects(&self, path: &TreePath) -> Vec<Part> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files
            .get_mut(path)
            .map(|(_, parts)| std::mem::take(parts))
            .unwrap_or_default()
    }
}
