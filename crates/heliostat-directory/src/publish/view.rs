//! What a history says about each endpoint, gathered once for everything that is published.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Published;
use crate::finding::{Check, Finding};
use crate::observe::{Count, Outcome, Sample, VantageId};
use crate::policy::Policy;
use crate::registry::{CountryCode, Endpoint, Mirror};
use crate::score::Health;
use crate::state::{Decided, Replay, Replayed, Standing, State, Transition};
use crate::weight::{Weights, weights};

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;
/// What a page tells of failures goes back so far.
const FAILURES_SECONDS: i64 = 7 * DAY;
/// Failures on one page.
const FAILURES_MAX: usize = 40;
/// Two failures of one kind that lie this far apart are two.
const GAP_SECONDS: i64 = 2 * 3600;

/// How old what a mirror shows is, in the words of the lists of old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freshness {
    /// Less than an hour.
    Fresh,
    /// Less than a day.
    Aging,
    /// A day and more.
    Old,
    /// Nothing was proved within a day.
    Unknown,
}

/// Everything that is published is made of this.
pub(super) struct View<'a> {
    pub(super) at: i64,
    pub(super) policy: &'a Policy,
    pub(super) policy_text: &'a str,
    pub(super) evidence: &'a [String],
    pub(super) generator: &'a str,
    pub(super) replayed: Replayed,
    pub(super) weights: Weights,
    /// In the order of the registry.
    pub(super) endpoints: Vec<EndpointView<'a>>,
    pub(super) vantages: BTreeSet<&'a VantageId>,
    /// Rounds that were read, those that do not count among them.
    pub(super) rounds: usize,
    pub(super) last_round_at: Option<i64>,
}

/// One endpoint.
pub(super) struct EndpointView<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) endpoint: &'a Endpoint,
    pub(super) standing: Standing,
    health: Option<Health>,
    pub(super) next: Option<(i64, State)>,
    /// The oldest first; none of rounds that do not count.
    pub(super) samples: Vec<(i64, &'a Sample)>,
    /// The newest first.
    pub(super) transitions: Vec<Transition>,
    at: i64,
}

/// What one vantage saw of one endpoint within a day.
pub(super) struct VantageView<'a> {
    pub(super) vantage: &'a VantageId,
    pub(super) answered: Count,
    pub(super) lag_seconds: Option<u64>,
    pub(super) first_byte_milliseconds: Vec<u32>,
    pub(super) seen_at: i64,
}

/// One round's samples of one endpoint, from every vantage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) lag_seconds: Option<u64>,
    pub(super) first_byte_milliseconds: Option<u32>,
}

/// One day of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    /// Its first second.
    pub(super) begins: i64,
    pub(super) kind: DayKind,
    pub(super) answered: Count,
}

/// What a day was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayKind {
    /// Nobody looked.
    Unseen,
    /// At least 99 of 100 probes answered, at the median less than an hour behind.
    Good,
    /// Neither good nor poor.
    Fair,
    /// Fewer than 90 of 100 probes answered, or at the median a day behind.
    Poor,
    /// A gate was not passed.
    Gate,
}

/// One thing that probes had to say about an endpoint within a week, the same from all vantages.
pub(super) struct Told<'a> {
    pub(super) finding: &'a Finding,
    /// When it was last so.
    pub(super) last_at: i64,
    pub(super) vantages: BTreeSet<&'a VantageId>,
    /// The digest of what proves it, where that is published.
    pub(super) evidence: Option<&'a str>,
}

/// The same failure in rounds that follow each other.
pub(super) struct Failure<'a> {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) count: usize,
    pub(super) vantage: &'a VantageId,
    pub(super) what: String,
}

impl<'a> View<'a> {
    pub(super) fn of(published: &Published<'a>) -> Self {
        let at = published.at.as_second();
        let until = published.rounds.partition_point(|round| round.at <= at);
        let rounds = &published.rounds[..until];
        let policy = published.policy;
        let decided = Decided::of_all(published.registry);
        let mut replay = Replay::begin(&decided, policy);
        for round in rounds {
            replay.take(round);
        }
        replay.decide(at);
        let replayed = replay.end();
        let weights = weights(published.registry, &replayed, policy);
        let mut samples: BTreeMap<_, Vec<(i64, &Sample)>> = BTreeMap::new();
        let mut vantages = BTreeSet::new();
        for round in rounds {
            if round.discarded(&policy.rounds).is_some() {
                continue;
            }
            for sample in &round.samples {
                vantages.insert(&sample.vantage);
                samples
                    .entry(&sample.endpoint)
                    .or_default()
                    .push((round.at, sample));
            }
        }
        let mut transitions: BTreeMap<_, Vec<Transition>> = BTreeMap::new();
        for (id, transition) in replayed.transitions.iter().rev() {
            transitions.entry(id).or_default().push(*transition);
        }
        let endpoints = published
            .registry
            .endpoints()
            .filter_map(|(mirror, endpoint)| {
                let standing = *replayed.standings.get(&endpoint.id)?;
                Some(EndpointView {
                    mirror,
                    endpoint,
                    standing,
                    health: replayed.health.get(&endpoint.id).cloned(),
                    next: standing.next_action(policy),
                    samples: samples.remove(&endpoint.id).unwrap_or_default(),
                    transitions: transitions.remove(&endpoint.id).unwrap_or_default(),
                    at,
                })
            })
            .collect();
        Self {
            at,
            policy,
            policy_text: published.policy_text,
            evidence: published.evidence,
            generator: published.generator,
            endpoints,
            vantages,
            rounds: rounds.len(),
            last_round_at: rounds.last().map(|round| round.at),
            replayed,
            weights,
        }
    }

    /// Those that clients may be told of first, then the others; within a state the healthiest first.
    pub(super) fn ranked(&self) -> Vec<&EndpointView<'a>> {
        let mut ranked: Vec<_> = self.endpoints.iter().collect();
        ranked.sort_by(|one, other| {
            let order = |view: &EndpointView<'_>| rank(view.standing.state);
            order(one)
                .cmp(&order(other))
                .then_with(|| other.health_value().total_cmp(&one.health_value()))
        });
        ranked
    }

    /// Endpoints of one mirror together.
    pub(super) fn by_mirror(&self) -> impl Iterator<Item = &[EndpointView<'a>]> {
        self.endpoints
            .chunk_by(|one, other| one.mirror.id == other.mirror.id)
    }

    /// Those that clients may use now.
    pub(super) fn usable(&self) -> impl Iterator<Item = &EndpointView<'a>> {
        self.ranked().into_iter().filter(|view| view.is_usable())
    }
}

const fn rank(state: State) -> u8 {
    match state {
        State::Active => 0,
        State::Maintenance => 1,
        State::Degraded => 2,
        State::Probation => 3,
        State::Candidate => 4,
        State::Suspended => 5,
        State::Quarantined => 6,
        State::Vetoed => 7,
        State::Retired => 8,
    }
}

impl<'a> EndpointView<'a> {
    /// Whether the list sends clients there.
    pub(super) fn is_usable(&self) -> bool {
        self.standing.state == State::Active
    }

    /// Whether people are told how to use it: all but those that nobody should, or that nobody knows yet.
    pub(super) fn is_offered(&self) -> bool {
        matches!(
            self.standing.state,
            State::Active | State::Degraded | State::Maintenance
        )
    }

    /// Where it stands, else where its operator does.
    pub(super) fn country(&self) -> Option<CountryCode> {
        self.endpoint.country.or(self.mirror.operator.country)
    }

    /// The root of its Simple API.
    pub(super) fn index(&self) -> String {
        let base = &self.endpoint.base;
        base.join(&self.endpoint.simple)
            .map_or_else(|_| base.to_string(), |url| url.to_string())
    }

    /// The moment whose state it shows.
    pub(super) fn synced_at(&self) -> Option<i64> {
        self.lag_seconds()
            .map(|lag| self.at.saturating_sub_unsigned(lag))
    }

    /// Its health, where somebody looked within a day: what was long ago says nothing about now.
    pub(super) fn current_health(&self) -> Option<&Health> {
        self.health
            .as_ref()
            .filter(|_| !self.within(DAY).is_empty())
    }

    /// Below 0 where nobody looked.
    pub(super) fn health_value(&self) -> f64 {
        self.current_health().map_or(-1.0, |health| health.value)
    }

    /// What was seen in so many seconds until now.
    pub(super) fn within(&self, seconds: i64) -> &[(i64, &'a Sample)] {
        let begin = self
            .samples
            .partition_point(|(at, _)| *at <= self.at - seconds);
        &self.samples[begin..]
    }

    /// By vantage, within a day.
    pub(super) fn vantages(&self) -> Vec<VantageView<'a>> {
        let mut by_vantage: BTreeMap<&VantageId, VantageView<'a>> = BTreeMap::new();
        for &(at, sample) in self.within(DAY) {
            let view = by_vantage
                .entry(&sample.vantage)
                .or_insert_with(|| VantageView {
                    vantage: &sample.vantage,
                    answered: Count::default(),
                    lag_seconds: None,
                    first_byte_milliseconds: Vec::new(),
                    seen_at: at,
                });
            view.answered = view.answered.plus(answered(sample));
            view.lag_seconds = sample.lag_seconds.or(view.lag_seconds);
            view.first_byte_milliseconds
                .extend(sample.first_byte_milliseconds);
            view.seen_at = at;
        }
        for view in by_vantage.values_mut() {
            view.first_byte_milliseconds.sort_unstable();
        }
        by_vantage.into_values().collect()
    }

    /// The newest proof of each vantage within a day, the oldest of which counts.
    pub(super) fn lag_seconds(&self) -> Option<u64> {
        self.vantages()
            .iter()
            .filter_map(|view| view.lag_seconds)
            .max()
    }

    pub(super) fn freshness(&self) -> Freshness {
        Freshness::of(self.lag_seconds())
    }

    /// The newest of what any sample of a day says.
    pub(super) fn newest<T>(&self, pick: impl Fn(&Sample) -> Option<T>) -> Option<T> {
        self.within(DAY)
            .iter()
            .rev()
            .find_map(|(_, sample)| pick(sample))
    }

    pub(super) fn total(&self, seconds: i64, pick: impl Fn(&Sample) -> Count) -> Count {
        self.within(seconds)
            .iter()
            .fold(Count::default(), |count, (_, sample)| {
                count.plus(pick(sample))
            })
    }

    /// Probes and how many were answered.
    pub(super) fn answered(&self, seconds: i64) -> Count {
        self.total(seconds, answered)
    }

    /// Days from the first sample on, at most so many.
    pub(super) fn days_seen(&self, days_max: i64) -> i64 {
        self.samples
            .first()
            .map_or(0, |(at, _)| ((self.at - at) / DAY + 1).clamp(1, days_max))
    }

    /// One point for each round, the oldest first, of so many seconds until now.
    pub(super) fn points(&self, seconds: i64) -> Vec<Point> {
        self.within(seconds)
            .chunk_by(|(one, _), (other, _)| one == other)
            .map(|chunk| Point {
                lag_seconds: chunk
                    .iter()
                    .filter_map(|(_, sample)| sample.lag_seconds)
                    .max(),
                first_byte_milliseconds: median(
                    chunk
                        .iter()
                        .filter_map(|(_, sample)| sample.first_byte_milliseconds)
                        .collect(),
                ),
            })
            .collect()
    }

    /// The last days, today as the last one, the oldest first.
    pub(super) fn days(&self, count: i64) -> Vec<Day> {
        let today = self.at.div_euclid(DAY) * DAY;
        (0..count)
            .rev()
            .map(|back| self.day(today - back * DAY))
            .collect()
    }

    fn day(&self, begins: i64) -> Day {
        let from = self.samples.partition_point(|(at, _)| *at < begins);
        let to = self.samples.partition_point(|(at, _)| *at < begins + DAY);
        let samples = &self.samples[from..to];
        let count = samples.iter().fold(Count::default(), |count, (_, sample)| {
            count.plus(answered(sample))
        });
        let lag = median(
            samples
                .iter()
                .filter_map(|(_, sample)| sample.lag_seconds)
                .collect(),
        );
        let kind = if count.n == 0 {
            DayKind::Unseen
        } else if samples.iter().any(|(_, sample)| !sample.gates.is_empty()) {
            DayKind::Gate
        } else if count.ok * 10 < count.n * 9 || lag.is_some_and(|lag| lag >= 86_400) {
            DayKind::Poor
        } else if count.ok * 100 < count.n * 99 || lag.is_none_or(|lag| lag >= 3600) {
            DayKind::Fair
        } else {
            DayKind::Good
        };
        Day {
            begins,
            kind,
            answered: count,
        }
    }

    /// What probes had to say within a week, what keeps people from using it first, then the newest first.
    pub(super) fn findings(&self, published: &'a [String]) -> Vec<Told<'a>> {
        let mut told: BTreeMap<(Check, &str, Option<IpAddr>), Told<'a>> = BTreeMap::new();
        for &(at, sample) in self.within(FAILURES_SECONDS) {
            for finding in &sample.findings {
                let key = (finding.check, finding.text.as_str(), finding.address);
                let told = told.entry(key).or_insert_with(|| Told {
                    finding,
                    last_at: at,
                    vantages: BTreeSet::new(),
                    evidence: None,
                });
                told.last_at = at;
                told.finding = finding;
                told.vantages.insert(&sample.vantage);
                let is_published = |digest: &&str| {
                    published
                        .iter()
                        .any(|name| name.strip_suffix(".json") == Some(*digest))
                };
                told.evidence = finding
                    .evidence
                    .as_deref()
                    .filter(is_published)
                    .or(told.evidence);
            }
        }
        let mut told: Vec<Told<'a>> = told.into_values().collect();
        told.sort_by_key(|told| (Reverse(told.finding.level), Reverse(told.last_at)));
        told.truncate(FAILURES_MAX);
        told
    }

    /// What failed within a week, the newest first.
    pub(super) fn failures(&self) -> Vec<Failure<'a>> {
        let mut open: BTreeMap<(&VantageId, String), Failure<'a>> = BTreeMap::new();
        let mut done: Vec<Failure<'a>> = Vec::new();
        for &(at, sample) in self.within(FAILURES_SECONDS) {
            for what in faults(sample) {
                let key = (&sample.vantage, what.clone());
                let begun = Failure {
                    from: at,
                    to: at,
                    count: 0,
                    vantage: &sample.vantage,
                    what,
                };
                if let Some(gone) = open.remove(&key) {
                    if at - gone.to <= GAP_SECONDS {
                        open.insert(key.clone(), gone);
                    } else {
                        done.push(gone);
                    }
                }
                let failure = open.entry(key).or_insert(begun);
                failure.to = at;
                failure.count += 1;
            }
        }
        done.extend(open.into_values());
        done.sort_by(|one, other| {
            (other.to, other.from, &one.what, one.vantage).cmp(&(
                one.to,
                one.from,
                &other.what,
                other.vantage,
            ))
        });
        done.truncate(FAILURES_MAX);
        done
    }
}

/// What a sample says went wrong.
fn faults(sample: &Sample) -> Vec<String> {
    let mut faults: Vec<String> = sample
        .gates
        .iter()
        .map(|gate| format!("does not pass the gate {gate}"))
        .collect();
    faults.extend(sample.faults.iter().cloned());
    if faults.is_empty() && sample.outcome == Outcome::Failed {
        faults.push("did not answer as a mirror does".to_owned());
    }
    faults
}

pub(super) fn answered(sample: &Sample) -> Count {
    Count {
        ok: u64::from(sample.outcome == Outcome::Alive),
        n: 1,
    }
}

/// The middle of what was counted, the upper one of two.
pub(super) fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// The value that so many of a hundred do not exceed; `sorted` from low to high.
pub(super) fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied()
}

impl Freshness {
    /// By the age of the oldest change that is missing.
    pub const fn of(lag_seconds: Option<u64>) -> Self {
        match lag_seconds {
            None => Self::Unknown,
            Some(0..3600) => Self::Fresh,
            Some(3600..86_400) => Self::Aging,
            Some(_) => Self::Old,
        }
    }
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fresh => "Fresh",
            Self::Aging => "Aging",
            Self::Old => "Old",
            Self::Unknown => "Unknown",
        })
    }
}
