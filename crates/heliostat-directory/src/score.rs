//! Health, 0 to 100, out of what was seen: availability, proved freshness, sampled completeness and hygiene. A gate that
//! is not passed makes it 0. Latency is no part of it, for it is the client's business.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::observe::{Count, Gate, Outcome, Sample, VantageId};
use crate::policy::ScoreRules;

/// The normal distribution's 97.5 % quantile.
const Z_95: f64 = 1.959_964;

/// How an endpoint does, with every term that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// 0 to 100.
    pub value: f64,
    /// The lower bound of the share of probes answered, 0 to 1.
    pub available: Term,
    /// 1 at the newest, one half at the policy's lag.
    pub fresh: Term,
    /// How much of what was sampled is there, above the policy's floor, 0 to 1.
    pub complete: Term,
    /// What warnings leave, 0 to 1.
    pub hygiene: Term,
    /// Gates that were not passed in the window.
    pub gates: BTreeSet<Gate>,
}

/// One factor and what it was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// 0 to 1.
    pub value: f64,
    /// What it was made of; shown as `280 of 288 probes answered, from 2 vantages`.
    pub why: Why,
}

/// The figures that a factor was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Probes.
    Answered {
        /// Those that were answered.
        count: Count,
        /// From how many places.
        vantages: usize,
    },
    /// The age of the oldest change that is missing, where it was proved.
    Lag {
        /// In seconds.
        seconds: Option<u64>,
    },
    /// Pages and files asked for.
    Present(Count),
    /// Things that are wrong and keep nobody from using it.
    Warnings(u32),
}

/// The lower end of Wilson's 95 % interval for a share (Wilson 1927); 0 where nothing was counted.
pub fn wilson_lower(count: Count) -> f64 {
    if count.n == 0 {
        return 0.0;
    }
    let n = float(count.n);
    let share = float(count.ok.min(count.n)) / n;
    let square = Z_95 * Z_95;
    let middle = share + square / (2.0 * n);
    let spread = Z_95 * ((share * (1.0 - share) + square / (4.0 * n)) / n).sqrt();
    ((middle - spread) / (1.0 + square / n)).clamp(0.0, 1.0)
}

/// A count or a span as a number to reckon with.
#[expect(
    clippy::cast_precision_loss,
    reason = "what is counted here stays far below 2^52"
)]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// The health that these samples of one endpoint, those of the window, come to.
pub fn health<'a>(samples: impl IntoIterator<Item = &'a Sample>, rules: &ScoreRules) -> Health {
    let mut tally = Tally::default();
    for sample in samples {
        tally.add(sample);
    }
    tally.health(rules)
}

/// The samples of a window added up, so that a window may move on without being gone through again.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    vantages: BTreeMap<VantageId, OfVantage>,
    present: Count,
    gates: BTreeMap<Gate, u64>,
}

/// What one vantage saw within the window.
#[derive(Debug, Default)]
struct OfVantage {
    answered: Count,
    /// The newest that was proved, and how many proofs there are.
    lag_seconds: Option<u64>,
    proofs: u64,
    /// The newest count.
    warnings: u32,
}

impl Tally {
    /// Takes in a sample newer than all others.
    pub(crate) fn add(&mut self, sample: &Sample) {
        let of_vantage = self.vantages.entry(sample.vantage.clone()).or_default();
        of_vantage.answered = of_vantage.answered.plus(answered(sample));
        of_vantage.warnings = sample.warnings;
        if sample.lag_seconds.is_some() {
            of_vantage.lag_seconds = sample.lag_seconds;
            of_vantage.proofs += 1;
        }
        self.present = self.present.plus(sample.present);
        for &gate in &sample.gates {
            *self.gates.entry(gate).or_default() += 1;
        }
    }

    /// Lets go of the oldest sample.
    pub(crate) fn remove(&mut self, sample: &Sample) {
        if let Some(of_vantage) = self.vantages.get_mut(&sample.vantage) {
            of_vantage.answered = of_vantage.answered.less(answered(sample));
            of_vantage.proofs -= u64::from(sample.lag_seconds.is_some());
            if of_vantage.proofs == 0 {
                of_vantage.lag_seconds = None;
            }
            if of_vantage.answered.n == 0 {
                self.vantages.remove(&sample.vantage);
            }
        }
        self.present = self.present.less(sample.present);
        for gate in &sample.gates {
            if let Some(count) = self.gates.get_mut(gate) {
                *count -= 1;
            }
        }
        self.gates.retain(|_, count| *count > 0);
    }

    /// What all of it comes to.
    pub(crate) fn health(&self, rules: &ScoreRules) -> Health {
        let gates: BTreeSet<Gate> = self.gates.keys().copied().collect();
        let available = self.available();
        let fresh = self.fresh(rules);
        let complete = self.complete(rules);
        let hygiene = self.hygiene(rules);
        let value = if gates.is_empty() {
            100.0 * available.value * fresh.value * complete.value.sqrt() * hygiene.value
        } else {
            0.0
        };
        Health {
            value,
            available,
            fresh,
            complete,
            hygiene,
            gates,
        }
    }

    /// The median of the vantages' lower bounds; the second lowest of four and more, so that one bad line hurts nobody
    /// and one good line hides nothing.
    fn available(&self) -> Term {
        let mut bounds: Vec<f64> = self
            .vantages
            .values()
            .map(|of_vantage| wilson_lower(of_vantage.answered))
            .collect();
        bounds.sort_by(f64::total_cmp);
        let value = match bounds.len() {
            0 => 0.0,
            n @ 1..=3 => bounds[(n - 1) / 2],
            _ => bounds[1],
        };
        let all = self
            .vantages
            .values()
            .fold(Count::default(), |count, of_vantage| {
                count.plus(of_vantage.answered)
            });
        Term {
            value,
            why: Why::Answered {
                count: all,
                vantages: self.vantages.len(),
            },
        }
    }

    /// By the newest proof of every vantage, the oldest of which counts.
    fn fresh(&self, rules: &ScoreRules) -> Term {
        let lag = self
            .vantages
            .values()
            .filter_map(|of_vantage| of_vantage.lag_seconds)
            .max();
        Term {
            value: lag.map_or(0.0, |lag| (-float(lag) / rules.lag_half_seconds).exp2()),
            why: Why::Lag { seconds: lag },
        }
    }

    fn complete(&self, rules: &ScoreRules) -> Term {
        let above = wilson_lower(self.present) - rules.present_floor;
        Term {
            value: (above / (1.0 - rules.present_floor)).clamp(0.0, 1.0),
            why: Why::Present(self.present),
        }
    }

    /// By the newest sample of every vantage, the worst of which counts.
    fn hygiene(&self, rules: &ScoreRules) -> Term {
        let warnings = self
            .vantages
            .values()
            .map(|of_vantage| of_vantage.warnings)
            .max();
        let warnings = warnings.unwrap_or(0);
        Term {
            value: (1.0 - rules.warning_cost * f64::from(warnings)).max(rules.hygiene_min),
            why: Why::Warnings(warnings),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { count, vantages } => {
                let places = if *vantages == 1 {
                    "vantage"
                } else {
                    "vantages"
                };
                write!(
                    f,
                    "{} of {} probes answered, from {vantages} {places}",
                    count.ok, count.n
                )
            }
            Self::Lag { seconds: None } => f.write_str("no probe proved how fresh it is"),
            Self::Lag { seconds: Some(lag) } => {
                write!(f, "the oldest change it lacks is {lag} s old")
            }
            Self::Present(count) => write!(f, "{} of {} samples were there", count.ok, count.n),
            Self::Warnings(1) => f.write_str("1 warning"),
            Self::Warnings(count) => write!(f, "{count} warnings"),
        }
    }
}

fn answered(sample: &Sample) -> Count {
    Count {
        ok: u64::from(sample.outcome == Outcome::Alive),
        n: 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(vantage: &str) -> Sample {
        Sample::new(
            "campus-main".to_owned().try_into().unwrap(),
            VantageId(vantage.to_owned()),
            Outcome::Alive,
        )
    }

    /// A day of probes from one vantage.
    fn day(answered: Count, lag_seconds: u64, present: Count) -> Vec<Sample> {
        let mut samples: Vec<Sample> = (0..answered.n)
            .map(|index| Sample {
                outcome: if index < answered.ok {
                    Outcome::Alive
                } else {
                    Outcome::Failed
                },
                ..sample("a")
            })
            .collect();
        if let Some(last) = samples.last_mut() {
            last.lag_seconds = Some(lag_seconds);
            last.present = present;
        }
        samples
    }

    fn health_of(samples: &[Sample]) -> Health {
        health(samples, &ScoreRules::default())
    }

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 0.0005, "{found} is not {wanted}");
    }

    #[test]
    fn the_terms_are_those_that_were_worked_out_by_hand() {
        let good = health_of(&day(
            Count { ok: 288, n: 288 },
            300,
            Count { ok: 768, n: 768 },
        ));
        close(good.available.value, 0.98684);
        close(good.fresh.value, 0.9715);
        close(good.complete.value, 0.9004);
        assert!((good.value - 91.0).abs() < 0.05, "{good:?}");
        let poor = health_of(&day(
            Count { ok: 280, n: 288 },
            6 * 3600,
            Count { ok: 765, n: 768 },
        ));
        close(poor.available.value, 0.94615);
        close(poor.fresh.value, 0.125);
        // sqrt of this is the 0.8784 of the worked example.
        close(poor.complete.value.sqrt(), 0.8784);
        assert!((poor.value - 10.4).abs() < 0.05, "{poor:?}");
    }

    #[test]
    fn nothing_seen_is_no_health_and_a_gate_is_none_either() {
        close(health_of(&[]).value, 0.0);
        let mut samples = day(Count { ok: 288, n: 288 }, 0, Count { ok: 768, n: 768 });
        samples[7].gates.insert(Gate::Cookies);
        let found = health_of(&samples);
        close(found.value, 0.0);
        assert_eq!(found.gates, BTreeSet::from([Gate::Cookies]));
    }

    #[test]
    fn one_bad_line_hurts_nobody_and_one_good_line_hides_nothing() {
        let from = |vantage: &str, outcome| -> Vec<Sample> {
            (0..100)
                .map(|_| Sample {
                    outcome,
                    ..sample(vantage)
                })
                .collect()
        };
        let (up, down) = (Outcome::Alive, Outcome::Failed);
        let one_bad = [from("a", up), from("b", up), from("c", up), from("d", down)].concat();
        assert!(health_of(&one_bad).available.value > 0.9);
        let one_good = [
            from("a", up),
            from("b", down),
            from("c", down),
            from("d", down),
        ]
        .concat();
        assert!(health_of(&one_good).available.value < 0.1);
    }

    proptest! {
           #[test]
           fn wilson_stays_below_the_share_and_rises_with_it(n in 1_u64..5000, ok in 0_u64..5000) {
               let ok = ok.min(n);
               let bound = wilson_lower(Count { ok, n });
               let with_one_more = wilson_lower(Count { ok: ok + 1, n: n.max(ok + 1) });
               prop_assert!(bound <= float(ok) / float(n) + 1e-12);
               prop_assert!(bound <= with_one_more);
           }

           #[test]
           fn a_window_that_moves_on_is_a_window_begun_later(
               kinds in proptest::collection::vec((0_u8..3, 0_u8..4, 0_u32..3), 1..60), gone in 0_usize..60,
           ) {
               let samples: Vec<Sample> = kinds
                   .iter()
                   .map(|&(vantage, kind, warnings)| Sample {
                       outcome: if kind == 0 { Outcome::Failed } else { Outcome::Alive },
                       lag_seconds: (kind == 1).then_some(60),
                       present: Count { ok: u64::from(kind), n: 4 },
                       gates: if kind == 3 { BTreeSet::from([Gate::Tls]) } else { BTreeSet::new() },
                       warnings,
                       ..sample(&vantage.to_string())
                   })
                   .collect();
               let gone = gone.min(samples.len());
               let mut moved = Tally::default();
               for sample in &samples {
    moved.add(sample);
    }
               for sample in &samples[..gone] {
    moved.remove(sample);
    }
               prop_assert_eq!(moved.health(&ScoreRules::default()), health_of(&samples[gone..]));
           }

           #[test]
           fn health_never_rises_when_something_gets_worse(
               ok in 0_u64..200, lag in 0_u64..100_000, present in 0_u64..500, warnings in 0_u32..9,
           ) {
               let of = |ok, lag, present, warnings| {
                   let mut samples = day(Count { ok, n: 200 }, lag, Count { ok: present, n: 500 });
                   samples[199].warnings = warnings;
                   health_of(&samples).value
               };
               let now = of(ok, lag, present, warnings);
               prop_assert!((0.0..=100.0).contains(&now));
               prop_assert!(of(ok + 1, lag, present, warnings) >= now);
               prop_assert!(of(ok, lag + 60, present, warnings) <= now);
               prop_assert!(of(ok, lag, (present + 1).min(500), warnings) >= now);
               prop_assert!(of(ok, lag, present, warnings + 1) <= now);
           }
       }
}
