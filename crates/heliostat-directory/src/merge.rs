//! Joining what several vantages saw into one history.
//!
//! A state changes by what the vantages of one round agree on, so that rounds of two vantages at about the same time
//! must become one round.

use crate::observe::{Round, Sample};
use crate::policy::RoundRules;

/// Rounds of two vantages that are no further apart are one round: half of the shortest cadence.
const APART_SECONDS_MAX: i64 = 150;

/// What joining came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// All of it, the oldest first.
    pub rounds: Vec<Round>,
    /// Rounds that were there already.
    pub known: usize,
    /// Rounds that became part of another vantage's.
    pub joined: usize,
    /// Rounds that stand by themselves.
    pub added: usize,
}

/// Joins the rounds of another vantage, in any order, with ours. The same rounds twice change nothing.
pub fn merge(ours: Vec<Round>, theirs: Vec<Round>, rules: &RoundRules) -> Merged {
    let mut merged = Merged {
        rounds: ours,
        known: 0,
        joined: 0,
        added: 0,
    };
    merged.rounds.sort_by_key(|round| round.at);
    for round in theirs {
        merged.take(round, rules);
    }
    merged
}

impl Merged {
    fn take(&mut self, round: Round, rules: &RoundRules) {
        let from = self
            .rounds
            .partition_point(|one| one.at < round.at - APART_SECONDS_MAX);
        let near = self.rounds[from..]
            .iter_mut()
            .take_while(|one| one.at <= round.at + APART_SECONDS_MAX);
        let mut host: Option<&mut Round> = None;
        for one in near {
            if holds(one, &round) {
                self.known += 1;
                return;
            }
            let free = round.discarded(rules).is_none()
                && one.discarded(rules).is_none()
                && !share_a_vantage(one, &round);
            let distance = |other: &Round| (other.at - round.at).abs();
            if free
                && host
                    .as_deref()
                    .is_none_or(|host| distance(one) < distance(host))
            {
                host = Some(one);
            }
        }
        if let Some(host) = host {
            host.samples.extend(round.samples);
            self.joined += 1;
            return;
        }
        self.insert(round);
        self.added += 1;
    }

    /// A history has one round for each second; a round that meets another moves on to the next free one.
    fn insert(&mut self, mut round: Round) {
        let mut place = self.rounds.partition_point(|one| one.at < round.at);
        while self.rounds.get(place).is_some_and(|one| one.at == round.at) {
            round.at += 1;
            place += 1;
        }
        self.rounds.insert(place, round);
    }
}

fn holds(one: &Round, round: &Round) -> bool {
    if round.samples.is_empty() {
        return one.control == round.control && one.samples.is_empty();
    }
    one.control == round.control
        && round
            .samples
            .iter()
            .all(|sample| one.samples.contains(sample))
}

fn share_a_vantage(one: &Round, round: &Round) -> bool {
    let stands = |sample: &Sample| {
        one.samples
            .iter()
            .any(|other| other.vantage == sample.vantage)
    };
    round.samples.iter().any(stands)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Outcome, VantageId};

    fn round(at: i64, vantage: &str, outcome: Outcome) -> Round {
        let endpoint = "m".to_owned().try_into().unwrap();
        Round {
            at,
            control: Outcome::Alive,
            samples: vec![Sample::new(
                endpoint,
                VantageId(vantage.to_owned()),
                outcome,
            )],
        }
    }

    #[test]
    fn rounds_of_two_vantages_at_about_one_time_are_one_round() {
        let up = Outcome::Alive;
        let rules = RoundRules::default();
        let ours = vec![round(1000, "a", up), round(1300, "a", Outcome::Failed)];
        let theirs = vec![
            round(1290, "b", up),
            round(1010, "b", up),
            round(2000, "b", up),
        ];
        let merged = merge(ours, theirs.clone(), &rules);
        assert_eq!((merged.joined, merged.added, merged.known), (2, 1, 0));
        let shape: Vec<(i64, usize)> = merged
            .rounds
            .iter()
            .map(|round| (round.at, round.samples.len()))
            .collect();
        assert_eq!(shape, [(1000, 2), (1300, 2), (2000, 1)]);
        let again = merge(merged.rounds.clone(), theirs, &rules);
        assert_eq!((again.joined, again.added, again.known), (0, 0, 3));
        assert_eq!(again.rounds, merged.rounds);
    }

    #[test]
    fn rounds_that_say_nothing_join_no_other_and_one_vantage_keeps_its_rounds_apart() {
        let up = Outcome::Alive;
        let ill = Round {
            control: Outcome::Failed,
            ..round(1000, "b", up)
        };
        let rules = RoundRules::default();
        let merged = merge(vec![round(1000, "a", up)], vec![ill], &rules);
        assert_eq!((merged.joined, merged.added), (0, 1));
        assert_eq!(merged.rounds[1].at, 1001);
        let merged = merge(
            vec![round(1000, "a", up)],
            vec![round(1010, "a", Outcome::Failed)],
            &rules,
        );
        assert_eq!((merged.joined, merged.added), (0, 1));
    }
}
