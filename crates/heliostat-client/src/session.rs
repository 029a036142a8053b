//! One state of the repository, for as long as one resolution takes: every request of it sees the same snapshot.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heliostat_pypi::ProjectName;
use heliostat_trust::metadata::EXTENSION_FIELD;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::coverage::Coverage;
use crate::failure::Attack;
use crate::tuf::{Refreshed, Trusted};
use crate::{ClientError, Limits};

/// One state.
#[derive(Debug)]
pub(crate) struct Session {
    trusted: Mutex<Trusted>,
    coverage: Coverage,
    /// Version of the timestamp, then of the snapshot.
    pub(crate) id: (u64, u64),
    /// Its timestamp, byte for byte as it is kept.
    timestamp: Vec<u8>,
    /// Whether addresses carry versions.
    pub(crate) consistent: bool,
    since: Since,
    /// What mirrors did that did not confirm it, as text.
    pub(crate) doubtful: Vec<String>,
    /// What mirrors showed when it was confirmed, as text.
    offered: Vec<String>,
}

/// From when a state is, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
enum Since {
    /// Its timestamp says when it was signed.
    Signed(i64),
    /// It does not; this is when it was first seen here.
    Seen(i64),
}

impl Session {
    /// A state that has just been confirmed; `timestamp` is the file of it that is kept.
    pub(crate) fn new(
        trusted: Trusted,
        timestamp: Vec<u8>,
        refreshed: &Refreshed,
        seen_at: i64,
    ) -> Self {
        let set = trusted.set();
        let claim = trusted.pins().and_then(|pins| pins.extension());
        let coverage = claim.map_or(Coverage::Partial, Coverage::of);
        let extension = set
            .timestamp()
            .and_then(|timestamp| timestamp.extra.get(EXTENSION_FIELD));
        let signed = extension.and_then(heliostat_trust::metadata::Timestamp::signed_at);
        let doubtful: Vec<String> = refreshed
            .doubtful
            .iter()
            .map(|(mirror, failure)| format!("{mirror} {failure}"))
            .collect();
        let confirmed = refreshed.confirmed.iter();
        let confirmed =
            confirmed.map(|(mirror, version)| format!("{mirror} showed timestamp {version}"));
        Self {
            coverage,
            offered: confirmed.chain(doubtful.iter().cloned()).collect(),
            doubtful,
            timestamp,
            id: (
                trusted.timestamp_version().unwrap_or_default(),
                trusted.snapshot_version().unwrap_or_default(),
            ),
            consistent: set.root().consistent_snapshot,
            since: signed.map_or(Since::Seen(seen_at), |at| Since::Signed(at.as_second())),
            trusted: Mutex::new(trusted),
        }
    }

    /// Whether this file is its timestamp.
    pub(crate) fn is_of(&self, timestamp: &[u8]) -> bool {
        self.timestamp == timestamp
    }

    /// The trusted metadata; held for as long as a look takes, never across a wait.
    pub(crate) fn trusted(&self) -> MutexGuard<'_, Trusted> {
        self.trusted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a name that it does not have is known not to exist.
    pub(crate) fn is_complete_for(&self, name: &ProjectName) -> bool {
        self.coverage.is_complete_for(name)
    }

    /// Whether it may still be used at `now`, and whether `now` can be right at all.
    pub(crate) fn check(
        &self,
        now: i64,
        staleness_max: Option<Duration>,
        ahead_max: Duration,
    ) -> Result<(), ClientError> {
        let at = Timestamp::from_second(now).unwrap_or(Timestamp::MAX);
        let refused = |attack: Attack, reason: String| ClientError::SignedState {
            what: "the newest state that the mirrors show".to_owned(),
            attack,
            reason,
            shown: self.offered.clone(),
        };
        self.trusted()
            .check_in_force(at)
            .map_err(|error| refused(Attack::Freeze, error.to_string()))?;
        let (what, since) = match self.since {
            Since::Signed(at) => ("signed", at),
            Since::Seen(at) => ("first seen", at),
        };
        let at = Timestamp::from_second(since).unwrap_or_default();
        let ahead_seconds = u64::try_from(since.saturating_sub(now)).unwrap_or(0);
        if ahead_seconds > ahead_max.as_secs() {
            return Err(refused(
                Attack::WrongClock,
                format!(
                    "it was {what} at {at}, {ahead_seconds} s after now as your clock has it: your clock is behind, \
                     or the notary's is ahead"
                ),
            ));
        }
        let Some(allowed) = staleness_max else {
            return Ok(());
        };
        let age_seconds = u64::try_from(now.saturating_sub(since)).unwrap_or(0);
        if age_seconds > allowed.as_secs() {
            return Err(refused(
                Attack::Freeze,
                format!(
                    "it was {what} at {at}, {age_seconds} s ago, and --max-staleness allows {} s",
                    allowed.as_secs()
                ),
            ));
        }
        Ok(())
    }
}

/// When requests came and when the state was last confirmed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pulse {
    /// When the resolution under way began.
    pub(crate) began: Option<Instant>,
    /// The last request.
    pub(crate) last: Option<Instant>,
    /// When mirrors last confirmed the state.
    pub(crate) confirmed: Option<Instant>,
}

impl Pulse {
    /// Takes note of a request at `now`, and tells whether the state is to be confirmed before it is answered: never
    /// in the middle of a resolution, unless that goes on for too long. Pure.
    pub(crate) fn beat(&mut self, now: Instant, limits: &Limits) -> bool {
        let goes_on = self
            .last
            .is_some_and(|last| now.duration_since(last) <= limits.settle)
            && self
                .began
                .is_some_and(|began| now.duration_since(began) <= limits.resolution_max);
        self.last = Some(now);
        let Some(confirmed) = self.confirmed else {
            self.began = Some(now);
            return true;
        };
        if goes_on {
            return false;
        }
        self.began = Some(now);
        now.duration_since(confirmed) > limits.confirm_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_is_never_refreshed_in_its_middle_unless_it_goes_on_too_long() {
        let limits = Limits::default();
        let start = Instant::now();
        let mut pulse = Pulse::default();
        assert!(pulse.beat(start, &limits), "nothing is known yet");
        pulse.confirmed = Some(start);
        let mut refreshed = Vec::new();
        for second in 1..=400 {
            let now = start + Duration::from_secs(second);
            if pulse.beat(now, &limits) {
                pulse.confirmed = Some(now);
                refreshed.push(second);
            }
        }
        assert_eq!(refreshed, [301]);
        let later = start + Duration::from_secs(404);
        assert!(pulse.beat(later, &limits), "a new resolution asks first");
        pulse.confirmed = Some(later);
        pulse.last = Some(start);
        assert!(
            !pulse.beat(later + Duration::from_secs(1), &limits),
            "what was confirmed a second ago is new enough"
        );
    }
}
