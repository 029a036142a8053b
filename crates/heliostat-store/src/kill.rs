//! Named steps at which test builds can be made to die, so that every half-done state can be met on purpose.
//!
//! With the feature `kill-points`, `HELIOSTAT_KILL_AT=step` (or `step:n` for its n-th time) aborts the process there.
//! Without it, the steps cost nothing.

/// Every step, in the order in which a commit passes them.
pub const KILL_POINTS: &[&str] = &[
    "intake-finished",
    "blobs-durable",
    "intent-written",
    "one-renamed",
    "all-renamed",
    "one-page-json",
    "one-page-signed",
    "one-page-html",
    "one-page-legacy",
    "all-pages",
    "catalog-written",
    "one-unlinked",
    "all-unlinked",
    "swept",
    "offline-written",
    "targets-indexed",
    "one-bin",
    "bins-written",
    "snapshot-written",
    "one-on-top",
    "timestamp-written",
    "publication-noted",
    "one-retired",
    "root-json",
    "root-html",
    "root-stamped",
    "root-recorded",
    "described",
];

#[cfg(feature = "kill-points")]
pub(crate) fn kill_point(step: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    debug_assert!(KILL_POINTS.contains(&step), "{step} is not in the list");
    let wanted = WANTED.get_or_init(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "a switch of test builds, not a setting"
        )]
        let text = std::env::var("HELIOSTAT_KILL_AT").ok()?;
        let (name, times) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), times.parse().ok()?))
    });
    if let Some((name, times)) = wanted
        && name == step
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *times
    {
        std::process::abort();
    }
}

#[cfg(not(feature = "kill-points"))]
pub(crate) const fn kill_point(_step: &'static str) {}
