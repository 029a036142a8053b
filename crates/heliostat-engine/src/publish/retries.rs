//! When signing is tried again after it failed: soon at first, each time after twice as long, at least once a minute. A
//! reason is told once, until another takes its place.

use std::time::Duration;

use crate::error::EngineError;

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_mins(1);

/// What came of signing so far.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    pause: Option<Duration>,
    told: Option<String>,
}

impl Retries {
    /// It worked, or nothing was to be done.
    pub(crate) fn worked(&mut self) {
        self.pause = None;
        if self.told.take().is_some() {
            tracing::info!("what changed is signed again");
        }
    }

    /// It failed; the time after which it is tried again.
    pub(crate) fn failed(&mut self, error: &EngineError) -> Duration {
        let pause = (self.pause).map_or(FIRST, |pause| LONGEST.min(pause * 2));
        self.pause = Some(pause);
        let reason = error.to_string();
        if self.told.as_deref() != Some(&reason) {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "what changed could not be signed; clients stay at the state before, and it is tried again, at least \
                 once a minute"
            );
            self.told = Some(reason);
        }
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_minute_and_begin_again_once_it_works() {
        let error = EngineError::Stopped;
        let mut retries = Retries::default();
        let seconds: Vec<u64> = (0..8).map(|_| retries.failed(&error).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        retries.worked();
        assert_eq!(retries.failed(&error).as_secs(), 1);
    }
}
