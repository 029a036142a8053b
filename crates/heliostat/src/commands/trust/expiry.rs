//! Expiries as they are typed: days from now to the end of the day, or a time.

use heliostat_trust::ceremony::Lives;
use heliostat_trust::metadata::Expiry;
use jiff::{SignedDuration, Timestamp};

use crate::commands::UsageError;
use crate::wire;

/// Longest life that can be typed, in days: a key that holds for ten years is one that nobody replaces.
const DAYS_MAX: i64 = 3_650;

/// Now, as the system's clock has it.
pub(in crate::commands) fn now() -> anyhow::Result<Timestamp> {
    Ok(Timestamp::from_second(wire::clock().now())?)
}

/// Reads what was typed.
pub(in crate::commands) fn read(typed: &str, now: Timestamp) -> anyhow::Result<Expiry> {
    let days = typed.strip_suffix('d').and_then(|days| days.parse().ok());
    let expiry = match days {
        Some(days @ 1..=DAYS_MAX) => Lives::whole_days(now, SignedDuration::from_hours(24 * days)),
        _ => typed.parse(),
    };
    expiry
        .ok()
        .filter(|expiry: &Expiry| expiry.left(now).is_positive())
        .ok_or_else(|| {
            UsageError(format!(
                "`--expires {typed}`: days from 1d to {DAYS_MAX}d are meant, or a time to come like \
                 2027-01-31T00:00:00Z"
            ))
            .into()
        })
}
