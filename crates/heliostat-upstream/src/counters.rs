//! Counts of what went over the wire, for progress and tests.

use std::sync::atomic::{AtomicU64, Ordering};

/// What an upstream has been asked and has sent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Requests sent, redirects followed and retries included.
    pub requests: u64,
    /// Body bytes received, as sent (before decompression).
    pub bytes_received: u64,
    /// Tries after the first.
    pub retries: u64,
    /// Answers that said that nothing has changed (304).
    pub not_modified: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) not_modified: AtomicU64,
}

impl Counters {
    /// The counts at this moment; the four are not taken at one instant.
    pub(crate) fn read(&self) -> Stats {
        Stats {
            requests: self.requests.load(Ordering::Relaxed),
            bytes_received: self.bytes_received.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            not_modified: self.not_modified.load(Ordering::Relaxed),
        }
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
