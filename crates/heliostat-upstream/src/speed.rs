//! Watches how fast a body comes in. Pure: it is told how long each wait took.

use std::time::Duration;

use crate::Limits;

/// Adds up bytes and waiting time over one window after the other.
#[derive(Debug)]
pub(crate) struct SpeedWatch {
    bytes_per_second_min: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

/// What the watch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Go on.
    Enough,
    /// A whole window was slower than allowed.
    TooSlow,
}

impl SpeedWatch {
    /// A watch that has seen nothing yet.
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self {
            bytes_per_second_min: limits.speed_bytes_per_second_min,
            window: limits.speed_window,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Takes note of `bytes` for which we waited `waited`.
    pub(crate) fn record(&mut self, waited: Duration, bytes: usize) -> Pace {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.waited < self.window {
            return Pace::Enough;
        }
        let floor = u128::from(self.bytes_per_second_min) * self.waited.as_millis() / 1000;
        let enough = u128::from(self.bytes) >= floor;
        self.waited = Duration::ZERO;
        self.bytes = 0;
        if enough { Pace::Enough } else { Pace::TooSlow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(bytes_per_second_min: u64) -> SpeedWatch {
        SpeedWatch::new(&Limits {
            speed_bytes_per_second_min: bytes_per_second_min,
            speed_window: Duration::from_secs(10),
            ..Limits::default()
        })
    }

    #[test]
    fn a_window_must_bring_its_bytes() {
        let mut watch = watch(100);
        assert_eq!(
            watch.record(Duration::from_secs(9), 0),
            Pace::Enough,
            "the window is not over"
        );
        assert_eq!(watch.record(Duration::from_secs(1), 1_000), Pace::Enough);
        assert_eq!(watch.record(Duration::from_secs(5), 999), Pace::Enough);
        assert_eq!(watch.record(Duration::from_secs(5), 0), Pace::TooSlow);
    }

    #[test]
    fn a_fast_start_does_not_excuse_a_slow_end() {
        let mut watch = watch(100);
        assert_eq!(
            watch.record(Duration::from_secs(10), 1_000_000),
            Pace::Enough
        );
        assert_eq!(watch.record(Duration::from_secs(10), 10), Pace::TooSlow);
    }

    #[test]
    fn zero_switches_it_off() {
        assert_eq!(watch(0).record(Duration::from_secs(1_000), 0), Pace::Enough);
    }
}
