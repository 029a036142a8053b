//! Histories, and where they lead.

use proptest::prelude::*;

use super::*;
use crate::observe::{Count, Outcome, VantageId};

const MINUTES_5: i64 = 300;
const DAY: i64 = 86_400;

fn endpoint(name: &str) -> EndpointId {
    name.to_owned().try_into().unwrap()
}

fn sample(name: &str, outcome: Outcome) -> Sample {
    Sample {
        lag_seconds: Some(60),
        present: Count { ok: 32, n: 32 },
        intact: Count { ok: 4, n: 4 },
        certificate_days: Some(60),
        ..Sample::new(endpoint(name), VantageId("a".to_owned()), outcome)
    }
}

fn round(at: i64, samples: Vec<Sample>) -> Round {
    Round {
        at,
        control: Outcome::Alive,
        samples,
    }
}

/// A history of one endpoint that is being written.
struct Story {
    at: i64,
    rounds: Vec<Round>,
    decided: Decided,
}

impl Story {
    fn begin() -> Self {
        Self {
            at: 0,
            rounds: Vec::new(),
            decided: Decided {
                admitted_at: Some(0),
                ..Decided::default()
            },
        }
    }

    /// An endpoint that has become active.
    fn active() -> Self {
        Self::begin().then(8 * DAY, |_| sample("m", Outcome::Alive))
    }

    fn then(mut self, seconds: i64, of: impl Fn(i64) -> Sample) -> Self {
        let until = self.at + seconds;
        while self.at < until {
            self.at += MINUTES_5;
            self.rounds.push(round(self.at, vec![of(self.at)]));
        }
        self
    }

    fn up(self, seconds: i64) -> Self {
        self.then(seconds, |_| sample("m", Outcome::Alive))
    }

    fn down(self, seconds: i64) -> Self {
        self.then(seconds, |_| sample("m", Outcome::Failed))
    }

    fn replay(&self) -> Replayed {
        let decided = BTreeMap::from([(endpoint("m"), self.decided.clone())]);
        replay(&decided, &self.rounds, &Policy::default())
    }

    #[track_caller]
    fn ends(&self, state: State, rule: Rule) {
        let standing = self.replay().standings[&endpoint("m")];
        assert_eq!(
            (standing.state, standing.rule),
            (state, rule),
            "{:?}",
            self.replay().transitions
        );
    }

    fn path(&self) -> Vec<State> {
        let replayed = self.replay();
        replayed
            .transitions
            .iter()
            .map(|(_, transition)| transition.to.state)
            .collect()
    }
}

#[test]
fn a_new_mirror_is_watched_for_a_week_and_then_active() {
    Story::begin()
        .up(MINUTES_5)
        .ends(State::Probation, Rule::Admitted);
    Story::begin()
        .up(7 * DAY)
        .ends(State::Probation, Rule::Admitted);
    Story::active().ends(State::Active, Rule::Proven);
    let mut unaudited = Story::active();
    unaudited.decided.admitted_at = None;
    unaudited.ends(State::Candidate, Rule::Added);
    Story::begin()
        .then(8 * DAY, |_| Sample {
            lag_seconds: Some(7200),
            ..sample("m", Outcome::Alive)
        })
        .ends(State::Probation, Rule::Admitted);
}

#[test]
fn a_mirror_falls_with_hysteresis_and_comes_back_by_itself() {
    let active = || Story::active();
    active()
        .down(2 * MINUTES_5)
        .ends(State::Active, Rule::Proven);
    active()
        .down(3 * MINUTES_5)
        .ends(State::Degraded, Rule::FailsInARow);
    active()
        .down(900)
        .up(11 * MINUTES_5)
        .ends(State::Degraded, Rule::FailsInARow);
    active()
        .down(900)
        .up(12 * MINUTES_5)
        .ends(State::Active, Rule::CleanInARow);
    active()
        .down(DAY + 900)
        .ends(State::Suspended, Rule::DegradedTooLong);
    active()
        .down(DAY + 900)
        .up(DAY)
        .ends(State::Suspended, Rule::DegradedTooLong);
    active()
        .down(DAY + 900)
        .up(DAY + 600)
        .ends(State::Active, Rule::CleanAgain);
    active()
        .down(31 * DAY + 1800)
        .ends(State::Retired, Rule::SuspendedTooLong);
    active()
        .down(31 * DAY + 1800)
        .up(30 * DAY)
        .ends(State::Retired, Rule::SuspendedTooLong);
}

#[test]
fn time_in_which_nobody_looked_moves_nobody() {
    let unwatched = |mut story: Story, seconds: i64| {
        story.at += seconds;
        story
    };
    // The prober was off for two days: what fails after that is told, and suspended when a day was watched.
    let degraded = unwatched(Story::active().down(900), 2 * DAY).down(900);
    degraded.ends(State::Degraded, Rule::FailsInARow);
    let standing = degraded.replay().standings[&endpoint("m")];
    let (at, _) = standing.next_action(&Policy::default()).unwrap();
    assert!(at > degraded.at + 12 * 3600, "{standing:?}");
    degraded
        .down(DAY)
        .ends(State::Suspended, Rule::DegradedTooLong);
    // For a month and a half, while a mirror was suspended: nobody was told that it is going to be retired.
    let suspended = || unwatched(Story::active().down(DAY + 900), 45 * DAY);
    suspended()
        .down(2 * DAY)
        .ends(State::Suspended, Rule::DegradedTooLong);
    suspended()
        .up(DAY + 600)
        .ends(State::Active, Rule::CleanAgain);
    suspended()
        .down(31 * DAY)
        .ends(State::Retired, Rule::SuspendedTooLong);
    // Two clean looks with a day between them are no clean day, and a week without looks no probation.
    unwatched(Story::active().down(DAY + 900).up(MINUTES_5), DAY)
        .up(2 * MINUTES_5)
        .ends(State::Suspended, Rule::DegradedTooLong);
    unwatched(Story::begin().up(DAY), 7 * DAY)
        .up(DAY)
        .ends(State::Probation, Rule::Admitted);
    // Whoever looks once in an hour looks all the time.
    let mut hourly = Story::active();
    for _ in 0..30 {
        hourly = unwatched(hourly.down(MINUTES_5), 3300);
    }
    hourly.ends(State::Suspended, Rule::DegradedTooLong);
}

#[test]
fn what_is_stale_or_about_to_lose_its_certificate_is_degraded() {
    Story::active()
        .then(MINUTES_5, |_| Sample {
            lag_seconds: Some(7 * 3600),
            ..sample("m", Outcome::Alive)
        })
        .ends(State::Degraded, Rule::Stale);
    Story::active()
        .then(MINUTES_5, |_| Sample {
            certificate_days: Some(2),
            ..sample("m", Outcome::Alive)
        })
        .ends(State::Degraded, Rule::CertificateEnds);
    // Five hours behind is no reason by itself; for an hour on end it is, by what it does to health.
    Story::active()
        .then(2 * 3600, |_| Sample {
            lag_seconds: Some(5 * 3600),
            ..sample("m", Outcome::Alive)
        })
        .ends(State::Degraded, Rule::LowHealth);
}

#[test]
fn four_episodes_in_a_week_suspend() {
    let mut story = Story::active();
    for _ in 0..3 {
        story = story.down(900).up(4 * 3600);
    }
    story.ends(State::Active, Rule::CleanInARow);
    story
        .down(1200)
        .ends(State::Suspended, Rule::DegradedTooOften);
}

#[test]
fn dishonesty_is_for_people_to_judge() {
    let lie = |_| Sample {
        gates: std::collections::BTreeSet::from([Gate::Integrity]),
        ..sample("m", Outcome::Alive)
    };
    let mut story = Story::active().then(MINUTES_5, lie).up(40 * DAY);
    story.ends(State::Quarantined, Rule::Gate(Gate::Integrity));
    story.decided.lifted_at = vec![story.at - DAY];
    story.ends(State::Probation, Rule::Lifted);
    // Whoever still lies is let back with the first round without a lie.
    let mut lying = Story::active().then(DAY, lie);
    lying.decided.lifted_at = vec![lying.at - DAY / 2];
    lying.ends(State::Quarantined, Rule::Gate(Gate::Integrity));
    lying.up(MINUTES_5).ends(State::Probation, Rule::Lifted);
    story.decided.admin_state = AdminState::Vetoed;
    story.ends(State::Vetoed, Rule::People);
}

#[test]
fn a_declared_maintenance_counts_for_nothing_and_not_for_ever() {
    let mut story = Story::active();
    let from = story.at;
    story.decided.maintenance = vec![(from, from + 30 * DAY)];
    let story = story.down(6 * DAY);
    story.ends(State::Maintenance, Rule::MaintenanceBegins);
    story
        .up(DAY + 600)
        .ends(State::Active, Rule::MaintenanceEnds);
}

#[test]
fn one_vantage_of_several_moves_nobody() {
    let mut rounds = Story::active().rounds;
    let mut at = rounds.last().unwrap().at;
    for _ in 0..50 {
        at += MINUTES_5;
        let from = |name: &str, outcome| Sample {
            vantage: VantageId(name.to_owned()),
            ..sample("m", outcome)
        };
        let samples = vec![
            from("a", Outcome::Alive),
            from("b", Outcome::Alive),
            from("c", Outcome::Failed),
        ];
        rounds.push(round(at, samples));
    }
    let decided = BTreeMap::from([(
        endpoint("m"),
        Decided {
            admitted_at: Some(0),
            ..Decided::default()
        },
    )]);
    let replayed = replay(&decided, &rounds, &Policy::default());
    assert_eq!(replayed.standings[&endpoint("m")].state, State::Active);
}

#[test]
fn when_nearly_all_fail_the_prober_is_ill_and_when_many_do_none_is_moved() {
    let names: Vec<String> = (0..20).map(|index| format!("m-{index:02}")).collect();
    let decided: BTreeMap<EndpointId, Decided> = names
        .iter()
        .map(|name| {
            (
                endpoint(name),
                Decided {
                    admitted_at: Some(0),
                    ..Decided::default()
                },
            )
        })
        .collect();
    let at_once = |failing: usize| {
        let mut rounds = Vec::new();
        for index in 1..=(8 * DAY / MINUTES_5 + 6) {
            let ill = index > 8 * DAY / MINUTES_5;
            let samples = names
                .iter()
                .enumerate()
                .map(|(number, name)| {
                    let outcome = if ill && number < failing {
                        Outcome::Failed
                    } else {
                        Outcome::Alive
                    };
                    sample(name, outcome)
                })
                .collect();
            rounds.push(round(index * MINUTES_5, samples));
        }
        replay(&decided, &rounds, &Policy::default())
    };
    let degraded = |replayed: &Replayed| {
        replayed
            .standings
            .values()
            .filter(|standing| standing.state == State::Degraded)
            .count()
    };
    let few = at_once(4);
    assert_eq!((degraded(&few), few.braked.len()), (4, 0));
    let many = at_once(8);
    assert_eq!(degraded(&many), 0);
    assert!(!many.braked.is_empty());
    let nearly_all = at_once(16);
    assert_eq!((degraded(&nearly_all), nearly_all.discarded.len()), (0, 6));
}

#[test]
fn what_comes_next_is_told_beforehand() {
    let policy = Policy::default();
    let degraded = Story::active().down(900).replay().standings[&endpoint("m")];
    let (at, state) = degraded.next_action(&policy).unwrap();
    assert_eq!((at - degraded.since, state), (DAY, State::Suspended));
    let active = Story::active().replay().standings[&endpoint("m")];
    assert_eq!(active.next_action(&policy), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_becomes_active_but_by_the_gates_and_nobody_flaps(pattern in proptest::collection::vec(0_u8..4, 1..400)) {
        let mut story = Story::active();
        let before = story.path().len();
        for kind in &pattern {
            let of = |_| match kind {
                0 => sample("m", Outcome::Failed),
                1 => Sample { lag_seconds: Some(5 * 3600), ..sample("m", Outcome::Alive) },
                _ => sample("m", Outcome::Alive),
            };
            story = story.then(MINUTES_5, of);
        }
        let replayed = story.replay();
        for (_, transition) in &replayed.transitions {
            let allowed = match transition.to.state {
                State::Active => matches!(transition.from, State::Probation | State::Degraded | State::Suspended),
                State::Probation => transition.from == State::Candidate,
                _ => true,
            };
            prop_assert!(allowed, "{transition:?}");
        }
        // Coming back takes twelve rounds, falling three: no more than two moves in fifteen rounds.
        prop_assert!(story.path().len() - before <= pattern.len() / 15 * 2 + 2);
        prop_assert_eq!(story.replay(), replayed);
    }

    #[test]
    fn nobody_is_active_with_a_gate_that_did_not_pass_within_the_window(blocks in proptest::collection::vec(0_u8..12, 20..50)) {
        let mut story = Story::begin();
        for kind in &blocks {
            let gate = match kind {
                0 => Some(Gate::Tls),
                1 => Some(Gate::Deletions),
                _ => None,
            };
            let of = |_| Sample { gates: gate.into_iter().collect(), ..sample("m", Outcome::Alive) };
            // Mostly well, for half a day; a gate fails for one round.
            story = if gate.is_some() { story.then(MINUTES_5, of) } else { story.then(DAY / 2, of) };
        }
        for (_, transition) in story.replay().transitions {
            if transition.to.state == State::Active {
                let window = transition.to.since - Policy::default().score.window_seconds;
                let seen = story.rounds.iter().filter(|round| round.at > window && round.at <= transition.to.since);
                prop_assert!(seen.flat_map(|round| &round.samples).all(|sample| sample.gates.is_empty()));
            }
        }
    }

    #[test]
    fn without_an_audit_nothing_leads_to_probation(pattern in proptest::collection::vec(any::<bool>(), 1..100)) {
        let mut story = Story::begin();
        story.decided.admitted_at = None;
        for up in pattern {
            story = story.then(MINUTES_5, |_| sample("m", if up { Outcome::Alive } else { Outcome::Failed }));
        }
        prop_assert_eq!(story.path(), vec![]);
    }
}

#[test]
fn a_mirror_that_is_to_leave_is_watched_until_then() {
    let rounds: Vec<Round> = [1000, 2000, 3000]
        .map(|at| round(at, vec![sample("m", Outcome::Alive)]))
        .into();
    let decided = Decided {
        admitted_at: Some(0),
        retires_at: Some(2500),
        ..Decided::default()
    };
    let decided = BTreeMap::from([(endpoint("m"), decided)]);
    let state = |rounds: &[Round]| {
        replay(&decided, rounds, &Policy::default()).standings[&endpoint("m")].state
    };
    assert_eq!(state(&rounds[..2]), State::Probation);
    assert_eq!(state(&rounds), State::Retired);
}
