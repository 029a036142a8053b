//! Remembers for a short time what was found out: names that the upstream has none of, files whose provenance holds.
//! Never remembers a failure.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Things remembered at once; somebody who guesses names must not fill the memory.
const THINGS_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Remembered<K> {
    age: Duration,
    until: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq + Clone> Remembered<K> {
    pub(super) fn new(age: Duration) -> Self {
        Self {
            age,
            until: Mutex::default(),
        }
    }

    /// Whether it was found out a short while ago.
    pub(super) fn knows(&self, thing: &K) -> bool {
        let now = Instant::now();
        self.lock().get(thing).is_some_and(|until| *until > now)
    }

    /// It was found out now.
    pub(super) fn remember(&self, thing: &K) {
        let now = Instant::now();
        let mut until = self.lock();
        if until.len() >= THINGS_MAX {
            until.retain(|_, until| *until > now);
        }
        if until.len() < THINGS_MAX {
            until.insert(thing.clone(), now + self.age);
        }
    }

    /// It is otherwise after all.
    pub(super) fn forget(&self, thing: &K) {
        self.lock().remove(thing);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Instant>> {
        self.until
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
