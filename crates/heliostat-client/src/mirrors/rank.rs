//! In which order mirrors are asked: a pure function of what was measured, what a list says beforehand, the policy, the
//! time and a seed.
//!
//! A list is a hint: it moves a mirror, and takes none away. What was measured here weighs more with every answer and
//! less with every minute that passes.

use std::cmp::{Ordering, Reverse};

use serde::{Deserialize, Serialize};

/// What a list advises about a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// Nothing: it is not known, or not recent enough.
    #[default]
    None,
    /// It does well.
    Use,
    /// There are better ones at the moment.
    Spare,
    /// Others first, whatever was measured.
    Avoid,
}

/// What is expected of a mirror before it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Prior {
    /// What the list advises.
    pub advice: Advice,
    /// Its health by the list's policy, 0 to 1.
    pub health: Option<f64>,
    /// The age of the oldest change that it lacks.
    pub lag_seconds: Option<u64>,
    /// Until the first byte, in the middle of what vantages saw.
    pub first_byte_milliseconds: Option<u32>,
}

/// A mean that forgets: a sample's weight halves with every half-life.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Average {
    value: f64,
    weight: f64,
    at: i64,
}

/// What was measured of a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Of small documents, in milliseconds.
    pub(crate) latency_milliseconds: Average,
    /// Of files, in kilobytes per second.
    pub(crate) kilobytes_per_second: Average,
    /// 1 for what it gave, 0 for what it did not.
    pub(crate) success: Average,
    /// Failures since it last gave something.
    pub(crate) failures_in_a_row: u32,
    /// When the last of them was.
    pub(crate) failed_at: i64,
    /// Since when one request tries out whether it is back.
    pub(crate) tried_at: i64,
}

/// The figures of ranking.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RankPolicy {
    /// A measurement's weight halves in this time.
    pub(crate) half_life_seconds: f64,
    /// As many answers weigh as much as what was expected.
    pub(crate) prior_weight: f64,
    /// The answer whose time is estimated, in kilobytes.
    pub(crate) nominal_kilobytes: f64,
    /// What is expected of a mirror that the user gave, and of one that is listed, in milliseconds.
    pub(crate) latency_milliseconds: (f64, f64),
    /// What is expected of any, in kilobytes per second.
    pub(crate) kilobytes_per_second: f64,
    /// How much better one listed mirror may look to this client than to another, before and after it was measured.
    pub(crate) spread: (f64, f64),
    /// The share of documents that are asked for at a mirror of which little is known.
    pub(crate) epsilon: f64,
    /// The best of so many are tried out.
    pub(crate) tried_among: usize,
    /// Failures in a row after which a mirror is left alone.
    pub(crate) failures_max: u32,
    /// For how long: the first time, the second, and so on; a fifth more or less.
    pub(crate) open_seconds: [i64; 4],
    /// How long one request has to show that it is back.
    pub(crate) trial_seconds: i64,
}

impl Default for RankPolicy {
    fn default() -> Self {
        Self {
            half_life_seconds: 600.0,
            prior_weight: 4.0,
            nominal_kilobytes: 64.0,
            latency_milliseconds: (60.0, 120.0),
            kilobytes_per_second: 1_600.0,
            spread: (1.0, 0.1),
            epsilon: 0.05,
            tried_among: 16,
            failures_max: 3,
            open_seconds: [30, 120, 480, 1_800],
            trial_seconds: 10,
        }
    }
}

/// Makes clients differ, and a client the same for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seed {
    /// This client's, for as long as its state is kept.
    pub(crate) client: u64,
    /// This request's; `None` tries out nothing.
    pub(crate) draw: Option<u64>,
}

/// One mirror as ranking sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rated<'a> {
    /// Its address.
    pub(crate) name: &'a str,
    /// Whether the user gave it, rather than a list.
    pub(crate) is_given: bool,
    /// Whether the user wants it before others.
    pub(crate) is_pinned: bool,
    /// What is expected.
    pub(crate) prior: Prior,
    /// What was measured.
    pub(crate) measured: Measured,
    /// The newest timestamp that it has shown, 0 for none.
    pub(crate) timestamp: u64,
}

/// Whether a mirror is asked at all, for people too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Circuit {
    /// It works.
    Closed,
    /// It failed often; the next request tries whether it is back.
    HalfOpen,
    /// It failed just now.
    Cooling,
    /// It failed often: it is left alone while there is another.
    Open,
}

/// What ranking makes of a mirror.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judged {
    /// The lower the earlier.
    class: u8,
    behind: Reverse<u64>,
    /// The time that an answer is expected to take, in milliseconds, failures counted in.
    pub(crate) cost_milliseconds: f64,
    /// The same as this client sees it beside others.
    spread_cost: f64,
    /// Whether it is asked.
    pub(crate) circuit: Circuit,
}

/// The mirrors to ask, by their place in `mirrors`, the best first: those the user pinned, those that work before those
/// that just failed, those with the newest state before those behind, the fast and reliable before the others, and in
/// the order given where nothing else decides.
pub(crate) fn rank(
    mirrors: &[Rated<'_>],
    policy: &RankPolicy,
    now: i64,
    seed: Seed,
) -> Vec<(usize, Judged)> {
    let newest = mirrors.iter().map(|rated| rated.timestamp).max();
    let newest = newest.unwrap_or_default();
    let mut ranked: Vec<(usize, Judged)> = mirrors
        .iter()
        .enumerate()
        .map(|(at, rated)| (at, judge(rated, newest, policy, now, seed.client)))
        .collect();
    ranked.sort_by(|(_, one), (_, other)| one.before(other));
    if let Some(at) = tried(mirrors, &ranked, policy, now, seed) {
        ranked[..=at].rotate_right(1);
    }
    ranked
}

/// The place in the order of a mirror that is to be tried out now, if any: one of the best of those that a list names,
/// of which the least is known.
fn tried(
    mirrors: &[Rated<'_>],
    ranked: &[(usize, Judged)],
    policy: &RankPolicy,
    now: i64,
    seed: Seed,
) -> Option<usize> {
    let draw = seed.draw?;
    if unit(mix(seed.client, draw)) >= policy.epsilon {
        return None;
    }
    let first = ranked.first()?.1;
    let fit = |judged: &Judged| judged.class == first.class && judged.behind == first.behind;
    let places = ranked.iter().enumerate().skip(1).take(policy.tried_among);
    let known = |at: usize| {
        let success = mirrors[at].measured.success;
        (
            success.weight_at(now, policy.half_life_seconds),
            mix(draw, at as u64),
        )
    };
    places
        .filter(|(_, (at, judged))| fit(judged) && !mirrors[*at].is_given)
        .min_by(|(_, (one, _)), (_, (other, _))| {
            known(*one)
                .partial_cmp(&known(*other))
                .unwrap_or(Ordering::Equal)
        })
        .map(|(place, _)| place)
}

fn judge(rated: &Rated<'_>, newest: u64, policy: &RankPolicy, now: i64, client: u64) -> Judged {
    let own = mix(client, name_hash(rated.name));
    let circuit = circuit(&rated.measured, policy, now, own);
    let is_behind = (1..newest).contains(&rated.timestamp);
    let class = match circuit {
        Circuit::Open => 4,
        Circuit::Cooling => 3,
        _ if rated.is_pinned => 0,
        _ if rated.prior.advice == Advice::Avoid => 2,
        _ => 1,
    };
    let cost_milliseconds = cost(rated, policy, now);
    let known = rated
        .measured
        .success
        .weight_at(now, policy.half_life_seconds);
    let expected = policy.prior_weight / (policy.prior_weight + known);
    let (wide, narrow) = policy.spread;
    let spread = if rated.is_given {
        0.0
    } else {
        unit(own) * (narrow + (wide - narrow) * expected)
    };
    Judged {
        class,
        behind: Reverse(if is_behind { rated.timestamp } else { u64::MAX }),
        cost_milliseconds,
        spread_cost: cost_milliseconds * (1.0 + spread),
        circuit,
    }
}

fn cost(rated: &Rated<'_>, policy: &RankPolicy, now: i64) -> f64 {
    let prior = &rated.prior;
    let (given, listed) = policy.latency_milliseconds;
    let expected = match prior.first_byte_milliseconds {
        Some(milliseconds) => f64::from(milliseconds),
        None if rated.is_given => given,
        None => listed,
    };
    let reliable = match (prior.health, prior.advice) {
        _ if rated.is_given => 1.0,
        (Some(health), _) if health.is_finite() => health.clamp(0.05, 1.0),
        (_, Advice::Use) => 0.9,
        _ => 0.6,
    };
    let spare = if prior.advice == Advice::Spare {
        2.0
    } else {
        1.0
    };
    let hours_behind = prior.lag_seconds.unwrap_or(0).min(86_400) / 3_600;
    let behind = 1.0 + f64::from(u32::try_from(hours_behind).unwrap_or(24)) / 4.0;
    let blend = |average: &Average, prior| {
        average.blended(prior, policy.prior_weight, now, policy.half_life_seconds)
    };
    let measured = &rated.measured;
    let latency = blend(&measured.latency_milliseconds, expected);
    let speed = blend(&measured.kilobytes_per_second, policy.kilobytes_per_second).max(1.0);
    let success = blend(&measured.success, reliable).clamp(0.01, 1.0);
    (latency + 1_000.0 * policy.nominal_kilobytes / speed) * behind * spare / success
}

/// Whether a mirror is asked: it is left alone after failures in a row, for longer each time.
pub(crate) fn circuit(measured: &Measured, policy: &RankPolicy, now: i64, own: u64) -> Circuit {
    let failures = measured.failures_in_a_row;
    if failures == 0 {
        return Circuit::Closed;
    }
    let since = now.saturating_sub(measured.failed_at);
    if failures < policy.failures_max {
        let cooling = 1_i64 << (failures - 1).min(5);
        return if (0..=cooling).contains(&since) {
            Circuit::Cooling
        } else {
            Circuit::Closed
        };
    }
    let times = (failures - policy.failures_max) as usize;
    let seconds = policy.open_seconds[times.min(policy.open_seconds.len() - 1)];
    // A fifth more or less, so that not everybody comes back at the same moment.
    let share = 800 + i64::try_from(mix(own, u64::from(failures)) % 401).unwrap_or(200);
    if (0..=seconds * share / 1_000).contains(&since) {
        return Circuit::Open;
    }
    let trying = now.saturating_sub(measured.tried_at);
    if measured.tried_at > measured.failed_at && (0..=policy.trial_seconds).contains(&trying) {
        return Circuit::Open;
    }
    Circuit::HalfOpen
}

impl Judged {
    fn before(&self, other: &Self) -> Ordering {
        (self.class, self.behind)
            .cmp(&(other.class, other.behind))
            .then(self.spread_cost.total_cmp(&other.spread_cost))
    }
}

impl Average {
    /// Takes a sample in. What is no number counts for nothing.
    pub(crate) fn add(&mut self, sample: f64, now: i64, half_life_seconds: f64) {
        /// The most that all samples before weigh against the next.
        const WEIGHT_MAX: f64 = 24.0;
        if !sample.is_finite() {
            return;
        }
        let weight = self.weight_at(now, half_life_seconds).min(WEIGHT_MAX);
        self.value = (self.value * weight + sample) / (weight + 1.0);
        self.weight = weight + 1.0;
        self.at = now;
    }

    /// What all samples weigh now.
    pub(crate) fn weight_at(&self, now: i64, half_life_seconds: f64) -> f64 {
        let seconds = now.saturating_sub(self.at).clamp(0, 31_536_000);
        let age = f64::from(i32::try_from(seconds).unwrap_or(i32::MAX));
        if self.weight.is_finite() && self.weight > 0.0 {
            self.weight * (-age / half_life_seconds).exp2()
        } else {
            0.0
        }
    }

    /// The mean; `None` without samples.
    pub(crate) fn value(&self) -> Option<f64> {
        (self.weight > 0.0 && self.value.is_finite()).then_some(self.value)
    }

    fn blended(&self, prior: f64, prior_weight: f64, now: i64, half_life_seconds: f64) -> f64 {
        let weight = self.weight_at(now, half_life_seconds);
        match self.value() {
            Some(value) => (prior * prior_weight + value * weight) / (prior_weight + weight),
            None => prior,
        }
    }
}

/// Between 0 and 1.
fn unit(bits: u64) -> f64 {
    f64::from(u32::try_from(bits >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

/// Two numbers as one that looks like chance (the finaliser of splitmix64).
pub(crate) const fn mix(one: u64, other: u64) -> u64 {
    let mut bits = one.wrapping_add(other.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        mix(hash, u64::from(byte))
    })
}
