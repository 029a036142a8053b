//! What is known of each mirror: how fast, how reliable, how honest. Pure: the time is a parameter.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use crate::Limits;
use crate::failure::Verdict;

/// Latencies kept for each mirror.
const SAMPLES_MAX: usize = 64;

/// Fewer samples than this say nothing about a mirror's p95.
const SAMPLES_MIN: usize = 8;

/// After a failure a mirror is asked after the others for a second, doubled with each further one up to a minute.
const PENALTY_SECONDS_MAX: i64 = 60;

/// One of the mirrors, by its place in the list that the user gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MirrorId(pub(crate) usize);

/// The book.
#[derive(Debug)]
pub(crate) struct Book {
    entries: Vec<Entry>,
    hedge: (Duration, Duration),
}

#[derive(Debug, Default)]
struct Entry {
    latencies: VecDeque<Duration>,
    failures_in_a_row: u32,
    failed_at: i64,
    incomplete: u32,
    dropped: Option<(i64, String)>,
    timestamp: u64,
    clock_ahead_seconds: Option<i64>,
}

/// How a mirror stands, for people and for `why`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// Until when it is not asked, and what it did; `None` for a mirror in good standing.
    pub dropped: Option<(i64, String)>,
    /// Failures since it last gave something.
    pub failures_in_a_row: u32,
    /// How often it did not have what the signed state names.
    pub incomplete: u32,
    /// The p95 of its answers, in milliseconds, once there are enough of them.
    pub p95_milliseconds: Option<u64>,
    /// The newest timestamp that it has shown.
    pub timestamp: u64,
}

impl Book {
    /// A book in which nothing is written about `mirrors` mirrors.
    pub(crate) fn new(mirrors: usize, limits: &Limits) -> Self {
        Self {
            entries: (0..mirrors).map(|_| Entry::default()).collect(),
            hedge: limits.hedge,
        }
    }

    /// Writes down an answer: what it proves, and how long a good one took.
    pub(crate) fn note(
        &mut self,
        id: MirrorId,
        verdict: Verdict,
        elapsed: Option<Duration>,
        now: i64,
    ) {
        let entry = &mut self.entries[id.0];
        match verdict {
            Verdict::Good => {
                entry.failures_in_a_row = 0;
                if let Some(elapsed) = elapsed {
                    entry.latencies.push_back(elapsed);
                    if entry.latencies.len() > SAMPLES_MAX {
                        entry.latencies.pop_front();
                    }
                }
            }
            Verdict::Incomplete => entry.incomplete += 1,
            // What is behind is ranked by the timestamp it shows.
            Verdict::Behind => {}
            Verdict::Outage | Verdict::Lie => {
                entry.failures_in_a_row = entry.failures_in_a_row.saturating_add(1);
                entry.failed_at = now;
            }
        }
    }

    /// A mirror lied: it is not asked until then.
    pub(crate) fn drop_until(&mut self, id: MirrorId, until: i64, why: String) {
        self.entries[id.0].dropped = Some((until, why));
    }

    /// A mirror has shown this timestamp.
    pub(crate) fn saw_timestamp(&mut self, id: MirrorId, version: u64) {
        self.entries[id.0].timestamp = version;
    }

    /// By how much our clock is ahead of a mirror's.
    pub(crate) fn saw_clock(&mut self, id: MirrorId, ahead_seconds: i64) {
        self.entries[id.0].clock_ahead_seconds = Some(ahead_seconds);
    }

    /// The mirrors to ask, the best first: those that work before those that just failed, those with the newest state
    /// before those behind, the fast before the slow, and in the user's order where nothing else decides. Mirrors
    /// that lied are left out, unless there is no other: everything is verified, so asking a liar costs time only.
    pub(crate) fn rank(&self, now: i64) -> Vec<MirrorId> {
        let all = || (0..self.entries.len()).map(MirrorId);
        let mut ranked: Vec<MirrorId> = all().filter(|id| !self.is_dropped(*id, now)).collect();
        if ranked.is_empty() {
            ranked = all().collect();
        }
        ranked.sort_by_key(|id| {
            let entry = &self.entries[id.0];
            (
                entry.is_penalised(now),
                Reverse(entry.timestamp),
                // Nobody's speed is worth trying out others for while the first is quick.
                entry.median().unwrap_or(self.hedge.0),
            )
        });
        ranked
    }

    /// How long a mirror is waited for before the next one is asked as well: its p95, within bounds.
    pub(crate) fn hedge_after(&self, id: MirrorId) -> Duration {
        let (least, most) = self.hedge;
        self.entries[id.0]
            .quantile(95)
            .unwrap_or(most)
            .clamp(least, most)
    }

    /// How each mirror stands.
    pub(crate) fn standings(&self, now: i64) -> Vec<Standing> {
        self.entries
            .iter()
            .enumerate()
            .map(|(at, entry)| Standing {
                dropped: entry
                    .dropped
                    .clone()
                    .filter(|_| self.is_dropped(MirrorId(at), now)),
                failures_in_a_row: entry.failures_in_a_row,
                incomplete: entry.incomplete,
                p95_milliseconds: entry
                    .quantile(95)
                    .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
                timestamp: entry.timestamp,
            })
            .collect()
    }

    /// By how many seconds our clock is ahead of every mirror's, where at least two tell theirs and all are further
    /// away than allowed, on the same side. Advice only: a clock is never set by a mirror.
    pub(crate) fn clock_skew_seconds(&self, limits: &Limits) -> Option<i64> {
        let allowed = i64::try_from(limits.clock_skew_max.as_secs()).unwrap_or(i64::MAX);
        let told: Vec<i64> = self
            .entries
            .iter()
            .filter_map(|entry| entry.clock_ahead_seconds)
            .collect();
        let (least, most) = (told.iter().min()?, told.iter().max()?);
        let agreed = told.len() >= 2 && most - least <= allowed;
        (agreed && (*least > allowed || *most < -allowed)).then_some(*least)
    }

    fn is_dropped(&self, id: MirrorId, now: i64) -> bool {
        self.entries[id.0]
            .dropped
            .as_ref()
            .is_some_and(|(until, _)| now < *until)
    }
}

impl Entry {
    fn is_penalised(&self, now: i64) -> bool {
        let penalty = 1_i64
            .checked_shl(self.failures_in_a_row.saturating_sub(1))
            .filter(|seconds| (1..PENALTY_SECONDS_MAX).contains(seconds))
            .unwrap_or(PENALTY_SECONDS_MAX);
        self.failures_in_a_row > 0 && now <= self.failed_at.saturating_add(penalty)
    }

    fn median(&self) -> Option<Duration> {
        self.quantile(50)
    }

    fn quantile(&self, percent: usize) -> Option<Duration> {
        if self.latencies.len() < SAMPLES_MIN {
            return None;
        }
        let mut sorted: Vec<Duration> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get((sorted.len() - 1) * percent / 100).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn book(mirrors: usize) -> Book {
        Book::new(mirrors, &Limits::default())
    }

    fn ids(ranked: &[MirrorId]) -> Vec<usize> {
        ranked.iter().map(|id| id.0).collect()
    }

    fn answers(book: &mut Book, id: usize, milliseconds: u64) {
        for _ in 0..SAMPLES_MIN {
            let elapsed = Some(Duration::from_millis(milliseconds));
            book.note(MirrorId(id), Verdict::Good, elapsed, 0);
        }
    }

    #[test]
    fn the_users_order_stands_until_something_is_known() {
        let mut book = book(3);
        assert_eq!(ids(&book.rank(0)), [0, 1, 2]);
        answers(&mut book, 0, 30);
        answers(&mut book, 1, 20);
        answers(&mut book, 2, 10);
        assert_eq!(ids(&book.rank(0)), [2, 1, 0]);
    }

    #[test]
    fn a_failure_costs_a_while_and_no_more() {
        let mut book = book(2);
        book.note(MirrorId(0), Verdict::Outage, None, 100);
        assert_eq!(ids(&book.rank(100)), [1, 0]);
        assert_eq!(ids(&book.rank(102)), [0, 1]);
        for _ in 0..40 {
            book.note(MirrorId(0), Verdict::Outage, None, 100);
        }
        assert_eq!(ids(&book.rank(160)), [1, 0]);
        assert_eq!(ids(&book.rank(161)), [0, 1]);
        book.note(MirrorId(0), Verdict::Good, None, 100);
        assert_eq!(ids(&book.rank(100)), [0, 1]);
    }

    #[test]
    fn a_liar_is_not_asked_while_there_is_another() {
        let mut book = book(2);
        book.drop_until(MirrorId(0), DAY, "it lied".to_owned());
        assert_eq!(ids(&book.rank(0)), [1]);
        assert_eq!(ids(&book.rank(DAY)), [0, 1]);
        book.drop_until(MirrorId(1), DAY, "it lied, too".to_owned());
        assert_eq!(ids(&book.rank(0)), [0, 1], "better than nobody");
    }

    #[test]
    fn who_has_the_newest_state_comes_first() {
        let mut book = book(2);
        book.saw_timestamp(MirrorId(0), 9);
        book.saw_timestamp(MirrorId(1), 10);
        answers(&mut book, 1, 90);
        answers(&mut book, 0, 10);
        assert_eq!(ids(&book.rank(0)), [1, 0]);
    }

    #[test]
    fn hedging_waits_for_the_p95_within_bounds() {
        let mut book = book(1);
        let id = MirrorId(0);
        assert_eq!(book.hedge_after(id), Duration::from_secs(1));
        answers(&mut book, 0, 300);
        assert_eq!(book.hedge_after(id), Duration::from_millis(300));
        for _ in 0..SAMPLES_MAX {
            book.note(id, Verdict::Good, Some(Duration::from_millis(1)), 0);
        }
        assert_eq!(book.hedge_after(id), Duration::from_millis(100));
    }

    #[test]
    fn our_clock_is_wrong_when_two_mirrors_agree_that_it_is() {
        let limits = Limits::default();
        let mut book = book(3);
        book.saw_clock(MirrorId(0), 2 * DAY);
        assert_eq!(book.clock_skew_seconds(&limits), None);
        book.saw_clock(MirrorId(1), 2 * DAY + 9);
        assert_eq!(book.clock_skew_seconds(&limits), Some(2 * DAY));
        book.saw_clock(MirrorId(2), 0);
        assert_eq!(book.clock_skew_seconds(&limits), None, "they disagree");
    }
}
