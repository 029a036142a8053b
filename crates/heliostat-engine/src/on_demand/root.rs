//! Keeps the root list, and what the mirror says of itself, in step with what comes and goes on demand: soon after a
//! change, and never in a row.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Inner;

/// How long further changes are waited for before the list is rendered.
const PAUSE_MIN: Duration = Duration::from_secs(2);
/// The pause is so many times as long as the last rendering took, so that a large list does not keep a processor busy.
const PAUSE_FACTOR: u32 = 20;

/// Whether the list is about to be rendered, and how long that took last.
#[derive(Debug, Default)]
pub(super) struct RootKeeper {
    is_due: AtomicBool,
    took_milliseconds: AtomicU64,
}

impl RootKeeper {
    fn pause(&self) -> Duration {
        let took = Duration::from_millis(self.took_milliseconds.load(Ordering::Relaxed));
        PAUSE_MIN.max(took * PAUSE_FACTOR)
    }
}

/// A project may have come or gone, or files of one. One rendering waits at a time; when the server stops, it no longer waits.
pub(super) fn changed(inner: &Arc<Inner>) {
    if inner.root.is_due.swap(true, Ordering::AcqRel) {
        return;
    }
    let work = Arc::clone(inner);
    inner.tasks.spawn(async move {
        let pause = tokio::time::sleep(work.root.pause());
        let _stopping = work.cancel.run_until_cancelled(pause).await;
        // Before the rendering: what changes meanwhile asks for another one.
        work.root.is_due.store(false, Ordering::Release);
        let started = Instant::now();
        let now = work.context.clock.now();
        if let Err(error) = work
            .context
            .on_disk(move |store| {
                store.refresh_root(now)?;
                crate::about::describe(store)
            })
            .await
        {
            tracing::warn!(error = %error, "the list of projects cannot be written");
        }
        let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        work.root.took_milliseconds.store(took, Ordering::Relaxed);
    });
}
