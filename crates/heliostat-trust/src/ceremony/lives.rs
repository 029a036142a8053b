//! How long roles live, and when something must be done about them.

use jiff::{SignedDuration, Timestamp as Instant};

use crate::check::Found;
use crate::metadata::Expiry;

/// How long each role lives after it was signed, and what is done in the meantime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// Root: people meet once a year.
    pub root: SignedDuration,
    /// `targets` and `bins`: the same meeting.
    pub offline: SignedDuration,
    /// A bin, signed anew at half of it.
    pub bin: SignedDuration,
    /// The snapshot, signed anew at half of it.
    pub snapshot: SignedDuration,
    /// The timestamp.
    pub timestamp: SignedDuration,
    /// A timestamp older than this is signed anew, so that a mirror that stands still is seen to.
    pub heartbeat: SignedDuration,
    /// What only older snapshots name stays for so long.
    pub keep: SignedDuration,
}

impl Default for Lives {
    fn default() -> Self {
        const DAY: i64 = 24;
        Self {
            root: SignedDuration::from_hours(365 * DAY),
            offline: SignedDuration::from_hours(365 * DAY),
            bin: SignedDuration::from_hours(14 * DAY),
            snapshot: SignedDuration::from_hours(2 * DAY),
            timestamp: SignedDuration::from_hours(DAY),
            heartbeat: SignedDuration::from_hours(1),
            keep: SignedDuration::from_hours(2 * DAY),
        }
    }
}

/// How urgent a role is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// Nothing to do.
    Not,
    /// To be signed anew: a root has less than 30 days, another role less than a quarter of its life.
    Soon,
    /// Clients refuse it.
    Expired,
}

/// How urgent a role is that was found valid, or would be but for its expiry.
pub fn due(found: &Found, lives: &Lives, now: Instant) -> Due {
    let left = found.expires.left(now);
    let margin = match found.role.as_str() {
        "root" => SignedDuration::from_hours(30 * 24),
        "timestamp" => lives.timestamp / 4,
        "snapshot" => lives.snapshot / 4,
        name if name.starts_with("bin-") => lives.bin / 4,
        _ => lives.offline / 4,
    };
    if left.is_negative() {
        Due::Expired
    } else if left < margin {
        Due::Soon
    } else {
        Due::Not
    }
}

impl Lives {
    /// When a root that is signed now expires: at the end of a day, so that whoever drafts it on the same day drafts
    /// the same.
    ///
    /// # Errors
    /// [`crate::TrustError::Expiry`] beyond the calendar.
    pub fn whole_days(now: Instant, life: SignedDuration) -> Result<Expiry, crate::TrustError> {
        const DAY_SECONDS: i64 = 24 * 60 * 60;
        let into_day = now.as_second().rem_euclid(DAY_SECONDS);
        let midnight = SignedDuration::from_secs(DAY_SECONDS - into_day);
        Expiry::after(now, life.saturating_add(midnight))
    }
}
