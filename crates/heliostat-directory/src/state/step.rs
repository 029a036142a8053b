//! The table of moves: where an endpoint goes from where it stands.

use super::track::Track;
use super::{AdminState, Decided, MAINTENANCE_SECONDS_MAX, Rule, State};
use crate::policy::Policy;

impl Track {
    /// The move that a round leads to, if one.
    pub(super) fn next(
        &self,
        at: i64,
        decided: &Decided,
        policy: &Policy,
    ) -> Option<(State, Rule)> {
        let by_people = self.by_people(at, decided);
        if by_people.is_some() {
            return by_people;
        }
        let state = self.standing.state;
        if matches!(state, State::Vetoed | State::Retired) {
            return None;
        }
        if let Some(gate) = self.seen.dishonest
            && state != State::Quarantined
        {
            return Some((State::Quarantined, Rule::Gate(gate)));
        }
        match state {
            State::Quarantined => self.lifted(at, decided),
            State::Maintenance if !declared(at, decided) => {
                Some((self.before_maintenance, Rule::MaintenanceEnds))
            }
            State::Active | State::Degraded if declared(at, decided) => {
                Some((State::Maintenance, Rule::MaintenanceBegins))
            }
            State::Candidate => self.admitted(at, decided),
            State::Probation => self.proven(at, policy),
            State::Active => self.failing(at, policy).map(|rule| (State::Degraded, rule)),
            State::Degraded => self.after_degraded(at, policy),
            State::Suspended => self.after_suspended(at, policy),
            State::Maintenance | State::Vetoed | State::Retired => None,
        }
    }

    /// The move that people alone decide.
    pub(super) fn by_people(&self, at: i64, decided: &Decided) -> Option<(State, Rule)> {
        let state = self.standing.state;
        match decided.admin_state {
            AdminState::Vetoed => {
                return (state != State::Vetoed).then_some((State::Vetoed, Rule::People));
            }
            AdminState::Retired => {
                return (state != State::Retired).then_some((State::Retired, Rule::People));
            }
            AdminState::Listed => {}
        }
        let leaves = decided
            .retires_at
            .is_some_and(|retires_at| retires_at <= at);
        (leaves && !matches!(state, State::Retired | State::Vetoed))
            .then_some((State::Retired, Rule::People))
    }

    fn lifted(&self, at: i64, decided: &Decided) -> Option<(State, Rule)> {
        let is_lifted = decided
            .lifted_at
            .iter()
            .any(|&lifted_at| lifted_at >= self.standing.since && lifted_at <= at);
        (is_lifted && self.seen.dishonest.is_none()).then_some((State::Probation, Rule::Lifted))
    }

    fn admitted(&self, at: i64, decided: &Decided) -> Option<(State, Rule)> {
        let audited = decided
            .admitted_at
            .is_some_and(|admitted_at| admitted_at <= at);
        (audited && self.clean > 0).then_some((State::Probation, Rule::Admitted))
    }

    fn proven(&self, at: i64, policy: &Policy) -> Option<(State, Rule)> {
        let rules = &policy.active;
        let health = self.health.as_ref()?;
        if at - self.standing.counts_from() < rules.probation_seconds {
            return None;
        }
        let fresh = self
            .lag_median_seconds()
            .is_some_and(|lag| lag < rules.lag_median_max_seconds);
        let good = health.gates.is_empty()
            && health.available.value >= rules.available_min
            && health.complete.value >= rules.present_min
            && fresh
            && self.failing(at, policy).is_none();
        (good && self.clean > 0).then_some((State::Active, Rule::Proven))
    }

    /// What keeps an endpoint from being active, if something does.
    fn failing(&self, at: i64, policy: &Policy) -> Option<Rule> {
        let rules = &policy.states;
        if self.failures >= rules.failures_in_a_row {
            return Some(Rule::FailsInARow);
        }
        if self.seen.is_stale(rules) {
            return Some(Rule::Stale);
        }
        if self.seen.ends_soon(rules) {
            return Some(Rule::CertificateEnds);
        }
        let low_for = self.low_since.map_or(0, |since| at - since);
        (low_for >= rules.health_low_seconds).then_some(Rule::LowHealth)
    }

    fn after_degraded(&self, at: i64, policy: &Policy) -> Option<(State, Rule)> {
        let rules = &policy.states;
        let healthy = self
            .health
            .as_ref()
            .is_some_and(|health| health.value >= rules.health_min);
        if self.clean >= rules.clean_in_a_row && healthy {
            return Some((State::Active, Rule::CleanInARow));
        }
        if !self.seen.looked {
            return None;
        }
        if at - self.standing.counts_from() >= rules.degraded_max_seconds {
            return Some((State::Suspended, Rule::DegradedTooLong));
        }
        let episodes = self
            .episodes
            .iter()
            .filter(|&&since| since > at - rules.episodes_window_seconds)
            .count();
        (episodes >= rules.episodes_max as usize)
            .then_some((State::Suspended, Rule::DegradedTooOften))
    }

    fn after_suspended(&self, at: i64, policy: &Policy) -> Option<(State, Rule)> {
        let rules = &policy.states;
        let clean_for = self
            .clean_since
            .map_or(0, |since| at - since.max(self.standing.since));
        let healthy = self
            .health
            .as_ref()
            .is_some_and(|health| health.value >= rules.health_min);
        if clean_for >= rules.suspended_clean_seconds && healthy {
            return Some((State::Active, Rule::CleanAgain));
        }
        (self.seen.looked && at - self.standing.counts_from() >= rules.suspended_max_seconds)
            .then_some((State::Retired, Rule::SuspendedTooLong))
    }
}

fn declared(at: i64, decided: &Decided) -> bool {
    decided
        .maintenance
        .iter()
        .any(|&(from, to)| from <= at && at < to.min(from.saturating_add(MAINTENANCE_SECONDS_MAX)))
}
