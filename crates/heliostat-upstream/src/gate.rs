//! Bounds how many requests are under way, and holds all of them back while the upstream asks for patience.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// The one door through which every request of an upstream goes. First come, first served.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Semaphore,
    not_before: Mutex<Option<Instant>>,
}

impl Gate {
    /// A gate for `places` requests at once, at least one.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)),
            not_before: Mutex::new(None),
        }
    }

    /// Waits for a place and for the end of any pause. The place is free again when the permit is dropped.
    pub(crate) async fn enter(&self) -> SemaphorePermit<'_> {
        loop {
            if let Some(until) = self.paused_until() {
                sleep_until(until).await;
            }
            let Ok(permit) = self.places.acquire().await else {
                unreachable!("the semaphore is never closed");
            };
            // A pause may have begun while we stood in the queue.
            if self.paused_until().is_none() {
                return permit;
            }
        }
    }

    /// Lets nobody in for `pause`. A pause can be made longer, never shorter.
    pub(crate) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(not_before.map_or(until, |earlier| earlier.max(until)));
    }

    fn paused_until(&self) -> Option<Instant> {
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if not_before.is_some_and(|until| until <= Instant::now()) {
            *not_before = None;
        }
        *not_before
    }
}
