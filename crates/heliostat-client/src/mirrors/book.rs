//! What is known of each mirror: how fast, how reliable, how honest. Pure: the time is a parameter.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::choices::Carries;
use super::rank::{self, Circuit, Judged, Measured, Prior, RankPolicy, Rated, Seed};
use crate::Limits;
use crate::failure::Verdict;

/// Latencies kept for each mirror.
const SAMPLES_MAX: usize = 64;

/// Fewer samples than this say nothing about a mirror's p95.
const SAMPLES_MIN: usize = 8;

/// A smaller answer tells how fast a mirror answers, a larger one how fast it sends.
const DOCUMENT_BYTES_MAX: u64 = 64 << 10;

/// One of the mirrors, by the order in which they became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MirrorId(pub(crate) usize);

/// The book.
#[derive(Debug)]
pub(crate) struct Book {
    entries: Vec<Entry>,
    hedge: (Duration, Duration),
    listed_at_once: usize,
    policy: RankPolicy,
    /// Makes this client differ from others.
    client_seed: u64,
    draws: u64,
}

/// Where a mirror is known from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Profile {
    /// Its address, as it may be shown.
    pub(crate) name: String,
    /// Whether the user gave it.
    pub(crate) is_given: bool,
    /// Whether a list in force names it.
    pub(crate) is_listed: bool,
    /// Its id on the list.
    pub(crate) id: Option<String>,
    /// Who runs it, as the list says.
    pub(crate) operator: Option<String>,
    /// What it is asked for.
    pub(crate) carries: Carries,
    /// What the list expects of it.
    pub(crate) prior: Prior,
}

#[derive(Debug, Default)]
struct Entry {
    profile: Profile,
    measured: Measured,
    latencies: VecDeque<Duration>,
    incomplete: u32,
    dropped: Option<(i64, String)>,
    is_pinned: bool,
    is_banned: bool,
    timestamp: u64,
    clock_ahead_seconds: Option<i64>,
}

/// How a mirror stands, for people and for `why`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Standing {
    /// Its address.
    pub mirror: String,
    /// Its id on the list, where it is listed.
    pub id: Option<String>,
    /// Who runs it, as the list says.
    pub operator: Option<String>,
    /// Whether the user gave it, rather than a list.
    pub given: bool,
    /// Whether the user wants it before others.
    pub pinned: bool,
    /// Whether the user wants it not to be asked.
    pub banned: bool,
    /// What it is asked for.
    pub carries: Carries,
    /// Whether it is asked.
    pub circuit: Circuit,
    /// The time that an answer is expected to take, failures counted in.
    pub expected_milliseconds: f64,
    /// What the list says of it.
    pub prior: Prior,
    /// Until when it is not asked, and what it did; `None` for a mirror in good standing.
    pub dropped: Option<(i64, String)>,
    /// Failures since it last gave something.
    pub failures_in_a_row: u32,
    /// How often it did not have what the signed state names.
    pub incomplete: u32,
    /// The mean time of its small answers, in milliseconds, recent ones counting most.
    pub latency_milliseconds: Option<f64>,
    /// How fast its files come.
    pub kilobytes_per_second: Option<f64>,
    /// The share of what it was asked for that it gave, 0 to 1.
    pub success: Option<f64>,
    /// The p95 of its answers, in milliseconds, once there are enough of them.
    pub p95_milliseconds: Option<u64>,
    /// The newest timestamp that it has shown.
    pub timestamp: u64,
}

/// What was asked for, as far as ranking cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A small document: another mirror may be tried out for it.
    Document,
    /// A file, or nothing at all.
    Steady,
}

/// What a mirror gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given {
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// How much of it came from this mirror.
    pub(crate) size_bytes: u64,
}

impl Book {
    /// A book about nobody.
    pub(crate) fn new(limits: &Limits, client_seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            hedge: limits.hedge,
            listed_at_once: limits.listed_at_once,
            policy: RankPolicy::default(),
            client_seed,
            draws: 0,
        }
    }

    /// Adds a mirror, whose id is the next.
    pub(crate) fn add(&mut self, profile: Profile) -> MirrorId {
        self.entries.push(Entry {
            profile,
            ..Entry::default()
        });
        MirrorId(self.entries.len() - 1)
    }

    /// Where a mirror is known from.
    pub(crate) fn profile_mut(&mut self, id: MirrorId) -> &mut Profile {
        &mut self.entries[id.0].profile
    }

    /// No mirror is listed any more.
    pub(crate) fn unlist(&mut self) {
        for entry in &mut self.entries {
            entry.profile.is_listed = false;
        }
    }

    /// What the user decided about mirrors, by their address or id.
    pub(crate) fn choose(
        &mut self,
        is_pinned: impl Fn(&str) -> bool,
        is_banned: impl Fn(&str) -> bool,
    ) {
        for entry in &mut self.entries {
            let profile = &entry.profile;
            let either = |of: &dyn Fn(&str) -> bool| {
                of(&profile.name) || profile.id.as_deref().is_some_and(of)
            };
            (entry.is_pinned, entry.is_banned) = (either(&is_pinned), either(&is_banned));
        }
    }

    /// The addresses of those that the user gave.
    pub(crate) fn given(&self) -> impl Iterator<Item = &str> {
        let given = self.entries.iter().filter(|entry| entry.profile.is_given);
        given.map(|entry| entry.profile.name.as_str())
    }

    /// Whether there is nobody to ask for what is signed.
    pub(crate) fn is_empty(&self) -> bool {
        let mut entries = self.entries.iter();
        !entries.any(|entry| entry.may_be_asked(Carries::SignedTree))
    }

    /// Takes over what was measured earlier.
    pub(crate) fn recall(&mut self, id: MirrorId, measured: Measured) {
        self.entries[id.0].measured = measured;
    }

    /// What was measured of those that were asked.
    pub(crate) fn measured(&self) -> impl Iterator<Item = (&str, Measured, u64)> {
        let asked = self
            .entries
            .iter()
            .filter(|entry| entry.measured != Measured::default() || entry.timestamp > 0);
        asked.map(|entry| (entry.profile.name.as_str(), entry.measured, entry.timestamp))
    }

    /// Writes down an answer: what it proves, and what a good one took.
    pub(crate) fn note(&mut self, id: MirrorId, verdict: Verdict, given: Option<Given>, now: i64) {
        let half_life = self.policy.half_life_seconds;
        let entry = &mut self.entries[id.0];
        let measured = &mut entry.measured;
        match verdict {
            Verdict::Good => {
                measured.failures_in_a_row = 0;
                measured.success.add(1.0, now, half_life);
                if let Some(given) = given {
                    let seconds = given.elapsed.as_secs_f64();
                    if given.size_bytes <= DOCUMENT_BYTES_MAX {
                        measured
                            .latency_milliseconds
                            .add(1_000.0 * seconds, now, half_life);
                    } else {
                        let kilobytes = u32::try_from(given.size_bytes / 1_000).unwrap_or(u32::MAX);
                        let speed = f64::from(kilobytes) / seconds.max(0.001);
                        measured.kilobytes_per_second.add(speed, now, half_life);
                    }
                    entry.latencies.push_back(given.elapsed);
                    if entry.latencies.len() > SAMPLES_MAX {
                        entry.latencies.pop_front();
                    }
                }
            }
            Verdict::Incomplete => entry.incomplete += 1,
            // What is behind is ranked by the timestamp it shows.
            Verdict::Behind => {}
            Verdict::Outage | Verdict::Lie => {
                measured.failures_in_a_row = measured.failures_in_a_row.saturating_add(1);
                measured.failed_at = now;
                measured.success.add(0.0, now, half_life);
            }
        }
    }

    /// A mirror lacks what the signed state names: its next turn comes later.
    pub(crate) fn lacks(&mut self, id: MirrorId, now: i64) {
        let half_life = self.policy.half_life_seconds;
        self.entries[id.0].measured.success.add(0.0, now, half_life);
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

    /// The mirrors to ask, the best first, as `rank` has them. Mirrors that lied are left out, unless there is no other:
    /// everything is verified, so asking a liar costs time only.
    pub(crate) fn ranked(&self, now: i64) -> Vec<MirrorId> {
        self.in_order(now, Carries::SignedTree, None)
            .into_iter()
            .map(|(id, _)| id)
            .collect()
    }

    /// The same for a request: now and then another mirror is tried out, and one that failed often is tried by one
    /// request only.
    pub(crate) fn draw(&mut self, now: i64, purpose: Purpose) -> Vec<MirrorId> {
        self.draws = self.draws.wrapping_add(1);
        let ranked = match purpose {
            Purpose::Document => self.in_order(now, Carries::SignedTree, Some(self.draws)),
            Purpose::Steady => self.in_order(now, Carries::Files, None),
        };
        if let Some((id, judged)) = ranked.first()
            && judged.circuit == Circuit::HalfOpen
        {
            self.entries[id.0].measured.tried_at = now;
        }
        ranked.into_iter().map(|(id, _)| id).collect()
    }

    /// Whom to ask for what all of them know: everybody that the user gave, and of those that are listed the best of
    /// several operators, and one by chance.
    pub(crate) fn draw_round(&mut self, now: i64) -> Vec<MirrorId> {
        let ranked = self.in_order(now, Carries::SignedTree, None);
        let fit = |id: MirrorId, judged: &Judged| {
            self.entries[id.0].profile.is_given || judged.circuit != Circuit::Open
        };
        let mut round: Vec<MirrorId> = Vec::new();
        let mut operators: BTreeSet<&str> = BTreeSet::new();
        let (mut listed, mut spare) = (0, Vec::new());
        for (id, judged) in &ranked {
            let profile = &self.entries[id.0].profile;
            if profile.is_given {
                round.push(*id);
            } else if !fit(*id, judged) {
            } else if listed + 1 < self.listed_at_once
                && operators.insert(profile.operator.as_deref().unwrap_or(&profile.name))
            {
                listed += 1;
                round.push(*id);
            } else {
                spare.push(*id);
            }
        }
        // Best first: the room that is left by operators with several mirrors, but for one place.
        let room = self
            .listed_at_once
            .saturating_sub(listed + 1)
            .min(spare.len());
        round.extend(spare.drain(..room));
        self.draws = self.draws.wrapping_add(1);
        if self.listed_at_once > 0 && !spare.is_empty() {
            let chance = rank::mix(self.client_seed, self.draws);
            let at = usize::try_from(chance % spare.len() as u64).unwrap_or(0);
            round.push(spare[at]);
        }
        if round.is_empty() {
            // All of them are left alone: better than nobody.
            round = ranked
                .iter()
                .take(self.listed_at_once)
                .map(|(id, _)| *id)
                .collect();
        }
        round
    }

    /// Those that have what is wanted.
    fn in_order(&self, now: i64, wanted: Carries, draw: Option<u64>) -> Vec<(MirrorId, Judged)> {
        let known = || {
            let entries = self.entries.iter().enumerate();
            entries
                .filter(|(_, entry)| entry.may_be_asked(wanted))
                .map(|(at, _)| MirrorId(at))
        };
        let mut ids: Vec<MirrorId> = known().filter(|id| !self.is_dropped(*id, now)).collect();
        if ids.is_empty() {
            ids = known().collect();
        }
        let rated: Vec<Rated<'_>> = ids.iter().map(|id| self.entries[id.0].rated()).collect();
        let seed = Seed {
            client: self.client_seed,
            draw,
        };
        rank::rank(&rated, &self.policy, now, seed)
            .into_iter()
            .map(|(at, judged)| (ids[at], judged))
            .collect()
    }

    /// How long a mirror is waited for before the next one is asked as well: its p95, within bounds.
    pub(crate) fn hedge_after(&self, id: MirrorId) -> Duration {
        let (least, most) = self.hedge;
        self.entries[id.0]
            .quantile(95)
            .unwrap_or(most)
            .clamp(least, most)
    }

    /// How each mirror stands: those that are asked in their order, then those that are not.
    pub(crate) fn standings(&self, now: i64) -> Vec<Standing> {
        let mut ranked = self.in_order(now, Carries::Files, None);
        let placed: BTreeSet<MirrorId> = ranked.iter().map(|(id, _)| *id).collect();
        let others = (0..self.entries.len())
            .map(MirrorId)
            .filter(|id| !placed.contains(id) && self.entries[id.0].is_known());
        let rated: Vec<(MirrorId, Rated<'_>)> =
            others.map(|id| (id, self.entries[id.0].rated())).collect();
        let alone = Seed {
            client: self.client_seed,
            draw: None,
        };
        for (id, rated) in rated {
            let judged = rank::rank(&[rated], &self.policy, now, alone);
            ranked.extend(judged.into_iter().map(|(_, judged)| (id, judged)));
        }
        ranked
            .into_iter()
            .map(|(id, judged)| self.standing(id, &judged, now))
            .collect()
    }

    fn standing(&self, id: MirrorId, judged: &Judged, now: i64) -> Standing {
        let entry = &self.entries[id.0];
        let (profile, measured) = (&entry.profile, &entry.measured);
        Standing {
            mirror: profile.name.clone(),
            id: profile.id.clone(),
            operator: profile.operator.clone(),
            given: profile.is_given,
            pinned: entry.is_pinned,
            banned: entry.is_banned,
            carries: profile.carries,
            circuit: judged.circuit,
            expected_milliseconds: judged.cost_milliseconds.round(),
            prior: profile.prior,
            dropped: entry.dropped.clone().filter(|_| self.is_dropped(id, now)),
            failures_in_a_row: measured.failures_in_a_row,
            incomplete: entry.incomplete,
            latency_milliseconds: measured.latency_milliseconds.value().map(f64::round),
            kilobytes_per_second: measured.kilobytes_per_second.value().map(f64::round),
            success: (measured.success.value()).map(|share| (share * 1_000.0).round() / 1_000.0),
            p95_milliseconds: entry
                .quantile(95)
                .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            timestamp: entry.timestamp,
        }
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
    const fn is_known(&self) -> bool {
        self.profile.is_given || self.profile.is_listed
    }

    /// Whether it has what is wanted, and nobody forbids to ask.
    fn may_be_asked(&self, wanted: Carries) -> bool {
        let has_it = wanted == Carries::Files || self.profile.carries == Carries::SignedTree;
        self.is_known() && !self.is_banned && has_it
    }

    fn rated(&self) -> Rated<'_> {
        Rated {
            name: &self.profile.name,
            is_given: self.profile.is_given,
            is_pinned: self.is_pinned,
            prior: self.profile.prior,
            measured: self.measured,
            timestamp: self.timestamp,
        }
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
        let mut book = Book::new(&Limits::default(), 1);
        for number in 0..mirrors {
            book.add(Profile {
                name: format!("https://{number}.example/"),
                is_given: true,
                ..Profile::default()
            });
        }
        book
    }

    fn ids(ranked: &[MirrorId]) -> Vec<usize> {
        ranked.iter().map(|id| id.0).collect()
    }

    fn answers(book: &mut Book, id: usize, milliseconds: u64) {
        for _ in 0..SAMPLES_MIN {
            book.note(MirrorId(id), Verdict::Good, Some(took(milliseconds)), 0);
        }
    }

    fn took(milliseconds: u64) -> Given {
        Given {
            elapsed: Duration::from_millis(milliseconds),
            size_bytes: 1_000,
        }
    }

    #[test]
    fn the_users_order_stands_until_something_is_known() {
        let mut book = book(3);
        assert_eq!(ids(&book.ranked(0)), [0, 1, 2]);
        answers(&mut book, 0, 30);
        answers(&mut book, 1, 20);
        answers(&mut book, 2, 10);
        assert_eq!(ids(&book.ranked(0)), [2, 1, 0]);
    }

    #[test]
    fn a_failure_costs_a_while_and_several_a_longer_one() {
        let mut book = book(2);
        book.note(MirrorId(0), Verdict::Outage, None, 100);
        book.note(MirrorId(1), Verdict::Outage, None, 100);
        book.note(MirrorId(1), Verdict::Outage, None, 100);
        assert_eq!(ids(&book.ranked(102)), [0, 1]);
        for _ in 0..40 {
            book.note(MirrorId(0), Verdict::Outage, None, 103);
        }
        assert_eq!(ids(&book.ranked(110)), [1, 0]);
        assert_eq!(ids(&book.ranked(103 + 1_400)), [1, 0]);
        // Then one request may try, and the next ones know that one does.
        let later = 103 + 2_200;
        book.note(MirrorId(1), Verdict::Outage, None, later);
        assert_eq!(ids(&book.draw(later, Purpose::Steady)), [0, 1]);
        assert_eq!(ids(&book.draw(later, Purpose::Steady)), [1, 0]);
        book.note(MirrorId(0), Verdict::Good, None, later);
        assert_eq!(ids(&book.ranked(later)), [0, 1]);
    }

    #[test]
    fn a_liar_is_not_asked_while_there_is_another() {
        let mut book = book(2);
        book.drop_until(MirrorId(0), DAY, "it lied".to_owned());
        assert_eq!(ids(&book.ranked(0)), [1]);
        assert_eq!(ids(&book.ranked(DAY)), [0, 1]);
        book.drop_until(MirrorId(1), DAY, "it lied, too".to_owned());
        assert_eq!(ids(&book.ranked(0)), [0, 1], "better than nobody");
    }

    #[test]
    fn who_has_the_newest_state_comes_first() {
        let mut book = book(2);
        book.saw_timestamp(MirrorId(0), 9);
        book.saw_timestamp(MirrorId(1), 10);
        answers(&mut book, 1, 90);
        answers(&mut book, 0, 10);
        assert_eq!(ids(&book.ranked(0)), [1, 0]);
    }

    #[test]
    fn a_plain_mirror_is_asked_for_files_only() {
        let mut book = book(2);
        book.profile_mut(MirrorId(0)).carries = Carries::Files;
        assert_eq!(ids(&book.ranked(0)), [1]);
        assert_eq!(ids(&book.draw(0, Purpose::Document)), [1]);
        assert_eq!(ids(&book.draw_round(0)), [1]);
        assert_eq!(ids(&book.draw(0, Purpose::Steady)), [0, 1]);
        assert_eq!(book.standings(0).len(), 2);
        book.choose(|_| false, |mirror| mirror.contains("1.example"));
        assert!(book.is_empty(), "nobody is left who has what is signed");
        assert_eq!(ids(&book.draw(0, Purpose::Steady)), [0]);
    }

    #[test]
    fn hedging_waits_for_the_p95_within_bounds() {
        let mut book = book(1);
        let id = MirrorId(0);
        assert_eq!(book.hedge_after(id), Duration::from_secs(1));
        answers(&mut book, 0, 300);
        assert_eq!(book.hedge_after(id), Duration::from_millis(300));
        for _ in 0..SAMPLES_MAX {
            book.note(id, Verdict::Good, Some(took(1)), 0);
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
