//! The ledger's arithmetic: how often something failed and when it is tried next. Pure.

use std::error::Error;

use heliostat_pypi::{ProjectName, Serial};
use heliostat_store::{LedgerEntry, Weight};

/// The first waiting time after a failed run, in seconds; doubles with each further one.
const BACKOFF_FIRST_SECONDS: i64 = 60;
/// The longest waiting time, in seconds.
const BACKOFF_MAX_SECONDS: i64 = 24 * 60 * 60;
/// The longest reason kept, in characters.
const REASON_CHARS_MAX: usize = 500;

/// The entry for something that failed now, counted on from the entry it already has.
pub(crate) fn failure(
    older: &[LedgerEntry],
    project: &ProjectName,
    item: &str,
    reason: &str,
    now: i64,
) -> LedgerEntry {
    let old = older.iter().find(|entry| {
        entry.weight == Weight::Failure && entry.project == *project && entry.item == item
    });
    let tries = old.map_or(0, |entry| entry.tries).saturating_add(1);
    let doublings = (tries - 1).min(20);
    let pause = (BACKOFF_FIRST_SECONDS << doublings).min(BACKOFF_MAX_SECONDS);
    LedgerEntry {
        project: project.clone(),
        item: item.to_owned(),
        reason: one_line(reason),
        tries,
        first_failed_at: old.map_or(now, |entry| entry.first_failed_at),
        next_try_at: now.saturating_add(pause),
        wanted_serial: None,
        weight: Weight::Failure,
    }
}

/// The entry for something that is held and doubted, since when it first was.
pub(crate) fn warning(
    older: &[LedgerEntry],
    project: &ProjectName,
    item: &str,
    reason: &str,
    now: i64,
) -> LedgerEntry {
    let known = older.iter().find(|entry| {
        entry.weight == Weight::Warning && entry.project == *project && entry.item == item
    });
    let new = LedgerEntry {
        weight: Weight::Warning,
        ..failure(&[], project, item, reason, now)
    };
    match known {
        Some(known) if known.reason == new.reason => known.clone(),
        Some(known) => LedgerEntry {
            first_failed_at: known.first_failed_at,
            ..new
        },
        None => new,
    }
}

/// An error as the reason of an entry: with its causes, for "cannot read" alone does not tell what to do about it.
pub(crate) fn reason_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// Adds what the upstream promised.
pub(crate) trait WithSerial {
    /// The entry with the promised serial.
    fn with_serial(self, serial: Option<Serial>) -> Self;
}

impl WithSerial for LedgerEntry {
    fn with_serial(mut self, serial: Option<Serial>) -> Self {
        self.wanted_serial = serial;
        self
    }
}

/// The serial our root list may claim: below everything that stands in the ledger.
pub(crate) fn claimable(listed: Option<Serial>, ledger: &[LedgerEntry]) -> Option<Serial> {
    let listed = listed?;
    let pending = ledger.iter().filter_map(|entry| entry.wanted_serial).min();
    Some(match pending {
        Some(Serial(pending)) => listed.min(Serial(pending.saturating_sub(1))),
        None => listed,
    })
}

fn one_line(reason: &str) -> String {
    reason
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(REASON_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_count_on_and_pauses_double_up_to_a_day() {
        let name: ProjectName = "a".parse().unwrap();
        let first = failure(&[], &name, "", "x\n y", 100);
        assert_eq!(
            (first.tries, first.next_try_at, first.reason.as_str()),
            (1, 160, "x y")
        );
        let second = failure(std::slice::from_ref(&first), &name, "", "", 200);
        assert_eq!(
            (second.tries, second.first_failed_at, second.next_try_at),
            (2, 100, 320)
        );
        let old = LedgerEntry {
            tries: u32::MAX,
            ..second
        };
        let last = failure(&[old], &name, "", "", 0);
        assert_eq!(
            (last.tries, last.next_try_at),
            (u32::MAX, BACKOFF_MAX_SECONDS)
        );
    }

    #[test]
    fn the_claim_stays_below_what_is_pending() {
        let name: ProjectName = "a".parse().unwrap();
        let entry = failure(&[], &name, "", "", 0).with_serial(Some(Serial(7)));
        assert_eq!(claimable(Some(Serial(10)), &[]), Some(Serial(10)));
        assert_eq!(
            claimable(Some(Serial(10)), std::slice::from_ref(&entry)),
            Some(Serial(6))
        );
        assert_eq!(claimable(Some(Serial(3)), &[entry]), Some(Serial(3)));
        assert_eq!(claimable(None, &[]), None);
    }
}
