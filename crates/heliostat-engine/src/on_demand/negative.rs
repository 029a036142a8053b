//! Remembers for a short time that the upstream said 404. Never remembers a failure.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use heliostat_pypi::ProjectName;
use tokio::time::Instant;

/// Names remembered at once; somebody who guesses names must not fill the memory.
const NAMES_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Negative {
    age: Duration,
    until: Mutex<HashMap<ProjectName, Instant>>,
}

impl Negative {
    pub(super) fn new(age: Duration) -> Self {
        Self {
            age,
            until: Mutex::default(),
        }
    }

    /// Whether the upstream said 404 a short while ago.
    pub(super) fn knows(&self, name: &ProjectName) -> bool {
        let now = Instant::now();
        self.lock().get(name).is_some_and(|until| *until > now)
    }

    /// The upstream said 404 now.
    pub(super) fn remember(&self, name: &ProjectName) {
        let now = Instant::now();
        let mut until = self.lock();
        if until.len() >= NAMES_MAX {
            until.retain(|_, until| *until > now);
        }
        if until.len() < NAMES_MAX {
            until.insert(name.clone(), now + self.age);
        }
    }

    /// The project exists after all.
    pub(super) fn forget(&self, name: &ProjectName) {
        self.lock().remove(name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ProjectName, Instant>> {
        self.until
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
