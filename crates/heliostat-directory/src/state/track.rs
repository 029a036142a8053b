//! What is remembered of one endpoint while a history is walked through.

use std::collections::VecDeque;

use super::{AdminState, Decided, Rule, Standing, State, Transition, WATCHED_SECONDS};
use crate::observe::{Gate, Outcome, Sample};
use crate::policy::{Policy, StateRules};
use crate::score::{Health, Tally};

/// One endpoint on its way through a history.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) standing: Standing,
    /// What it comes back to after a maintenance.
    pub(super) before_maintenance: State,
    /// Rounds in a row that failed.
    pub(super) failures: u32,
    /// Rounds in a row that were clean, and since when.
    pub(super) clean: u32,
    pub(super) clean_since: Option<i64>,
    /// Since when its health is low.
    pub(super) low_since: Option<i64>,
    /// When somebody looked last.
    looked_at: Option<i64>,
    /// When it was degraded.
    pub(super) episodes: VecDeque<i64>,
    /// What this round showed.
    pub(super) seen: Seen,
    /// Everything of the window.
    window: VecDeque<(i64, Sample)>,
    tally: Tally,
    pub(super) health: Option<Health>,
}

/// What one round showed of an endpoint, after its vantages were heard.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Whether any vantage looked.
    pub(super) looked: bool,
    /// The lag that enough vantages agree on.
    pub(super) lag_seconds: Option<u64>,
    /// The fewest days a certificate has left.
    pub(super) certificate_days: Option<i64>,
    /// A gate that only people can judge; one proof is enough.
    pub(super) dishonest: Option<Gate>,
}

impl Track {
    pub(super) fn begin(decided: &Decided) -> Self {
        let (state, rule) = match decided.admin_state {
            AdminState::Listed => (State::Candidate, Rule::Added),
            AdminState::Retired => (State::Retired, Rule::People),
            AdminState::Vetoed => (State::Vetoed, Rule::People),
        };
        Self {
            standing: Standing {
                state,
                since: decided.added_at,
                rule,
                unwatched_seconds: 0,
            },
            before_maintenance: state,
            failures: 0,
            clean: 0,
            clean_since: None,
            low_since: None,
            looked_at: None,
            episodes: VecDeque::new(),
            seen: Seen::default(),
            window: VecDeque::new(),
            tally: Tally::default(),
            health: None,
        }
    }

    /// Takes in a round's samples of this endpoint.
    pub(super) fn see(&mut self, at: i64, samples: &[&Sample], policy: &Policy) {
        let rules = &policy.states;
        self.seen = Seen::of(samples, rules);
        if !self.seen.looked {
            return;
        }
        self.leave_out_unwatched(at);
        if self.standing.state == State::Maintenance {
            return;
        }
        for sample in samples {
            self.tally.add(sample);
            self.window.push_back((at, (*sample).clone()));
        }
        let since = at - policy.score.window_seconds;
        while let Some((_, oldest)) = self.window.pop_front_if(|(seen_at, _)| *seen_at <= since) {
            self.tally.remove(&oldest);
        }
        let down = is_down(samples, rules);
        let clean =
            !down && is_clean(samples) && !self.seen.is_stale(rules) && !self.seen.ends_soon(rules);
        self.failures = if down {
            self.failures.saturating_add(1)
        } else {
            0
        };
        self.clean = if clean {
            self.clean.saturating_add(1)
        } else {
            0
        };
        self.clean_since = clean.then(|| self.clean_since.unwrap_or(at));
        let health = self.tally.health(&policy.score);
        let low = health.value < rules.health_min;
        self.low_since = low.then(|| self.low_since.unwrap_or(at));
        self.health = Some(health);
    }

    /// While nobody looked, nobody knew, and nobody could be told: such time is neither good nor bad.
    fn leave_out_unwatched(&mut self, at: i64) {
        let looked_at = self.looked_at.replace(at).unwrap_or(at);
        let unwatched_seconds = at
            .saturating_sub(looked_at)
            .saturating_sub(WATCHED_SECONDS)
            .max(0);
        self.standing.unwatched_seconds += unwatched_seconds;
        for since in [&mut self.clean_since, &mut self.low_since] {
            *since = since.map(|since| since + unwatched_seconds);
        }
    }

    /// Moves to a state.
    pub(super) fn enter(&mut self, state: State, rule: Rule, at: i64) -> Transition {
        let from = self.standing.state;
        if state == State::Maintenance {
            self.before_maintenance = from;
        }
        if state == State::Degraded {
            self.episodes.push_back(at);
        }
        self.failures = 0;
        self.low_since = None;
        if !matches!(state, State::Degraded | State::Suspended) {
            self.clean = 0;
            self.clean_since = None;
        }
        self.standing = Standing {
            state,
            since: at,
            rule,
            unwatched_seconds: 0,
        };
        Transition {
            from,
            to: self.standing,
        }
    }

    /// What was seen within the window, the oldest first.
    pub(super) fn window(&self) -> impl DoubleEndedIterator<Item = (i64, &Sample)> {
        self.window.iter().map(|(at, sample)| (*at, sample))
    }

    /// The median of the lags that were proved within the window.
    pub(super) fn lag_median_seconds(&self) -> Option<u64> {
        let mut lags: Vec<u64> = self
            .window
            .iter()
            .filter_map(|(_, sample)| sample.lag_seconds)
            .collect();
        lags.sort_unstable();
        lags.get(lags.len() / 2).copied()
    }
}

impl Seen {
    fn of(samples: &[&Sample], rules: &StateRules) -> Self {
        let mut lags: Vec<u64> = samples
            .iter()
            .filter_map(|sample| sample.lag_seconds)
            .collect();
        lags.sort_unstable_by(|one, other| other.cmp(one));
        let agreed = agreeing(lags.len(), rules);
        Self {
            looked: !samples.is_empty(),
            lag_seconds: agreed
                .checked_sub(1)
                .and_then(|index| lags.get(index))
                .copied(),
            certificate_days: samples
                .iter()
                .filter_map(|sample| sample.certificate_days)
                .min(),
            dishonest: samples
                .iter()
                .flat_map(|sample| sample.gates.iter().copied())
                .find(|gate| gate.needs_people()),
        }
    }

    pub(super) fn is_stale(&self, rules: &StateRules) -> bool {
        self.lag_seconds
            .is_some_and(|lag| lag > rules.lag_max_seconds)
    }

    pub(super) fn ends_soon(&self, rules: &StateRules) -> bool {
        self.certificate_days
            .is_some_and(|days| days < rules.certificate_days_min)
    }
}

/// How many of so many vantages must say a thing.
fn agreeing(vantages: usize, rules: &StateRules) -> usize {
    vantages.min(rules.vantages_min.max(1))
}

/// Whether enough vantages found it failing, or not passing a gate.
fn is_down(samples: &[&Sample], rules: &StateRules) -> bool {
    let failing = samples
        .iter()
        .filter(|sample| sample.outcome == Outcome::Failed || !sample.gates.is_empty())
        .count();
    failing > 0 && failing >= agreeing(samples.len(), rules)
}

fn is_clean(samples: &[&Sample]) -> bool {
    samples
        .iter()
        .all(|sample| sample.outcome == Outcome::Alive && sample.gates.is_empty())
}
