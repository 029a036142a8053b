//! The rules as a file: every threshold that a state or a score depends on, versioned, with its unit in its name.

use serde::{Deserialize, Serialize};

use crate::error::DirectoryError;

/// All rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Counts up with every change, so that a score names the rules it was made by.
    pub version: u32,
    /// The directory's own registrable domain, under which no mirror may stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_domain: Option<String>,
    /// What probes may cost a mirror.
    pub probes: ProbeRules,
    /// When a round counts.
    pub rounds: RoundRules,
    /// How health is made.
    pub score: ScoreRules,
    /// When states change.
    pub states: StateRules,
    /// What a new mirror must show.
    pub active: ActiveRules,
    /// When operators are told.
    pub notices: NoticeRules,
    /// What one operator or one network may have of all clients.
    pub caps: CapRules,
}

/// What probes may cost a mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeRules {
    /// Bytes of bodies that one vantage takes from one endpoint in 24 hours.
    pub daily_bytes_max: u64,
}

/// When a round of probes is thrown away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoundRules {
    /// More failures than this share, 0 to 1, and the prober is what failed.
    pub failed_share_max: f64,
    /// With fewer samples no share is taken.
    pub samples_min: usize,
}

/// How the terms of health are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreRules {
    /// What is looked back on.
    pub window_seconds: i64,
    /// The lag at which freshness is one half.
    pub lag_half_seconds: f64,
    /// The share of samples present, by its lower bound, that counts as nothing.
    pub present_floor: f64,
    /// What one warning costs.
    pub warning_cost: f64,
    /// What all warnings cost at most: the least that hygiene can be.
    pub hygiene_min: f64,
}

/// When a mirror that was once active changes its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateRules {
    /// Rounds in a row that fail before it is degraded.
    pub failures_in_a_row: u32,
    /// Rounds in a row that are clean before it is active again.
    pub clean_in_a_row: u32,
    /// A lag above this degrades.
    pub lag_max_seconds: u64,
    /// Fewer days left of the certificate degrade.
    pub certificate_days_min: i64,
    /// A health below this, for as long as `health_low_seconds`, degrades.
    pub health_min: f64,
    /// See there.
    pub health_low_seconds: i64,
    /// Degraded for so long is suspended.
    pub degraded_max_seconds: i64,
    /// So many times degraded within `episodes_window_seconds` is suspended.
    pub episodes_max: u32,
    /// See there.
    pub episodes_window_seconds: i64,
    /// Clean for so long ends a suspension.
    pub suspended_clean_seconds: i64,
    /// Suspended for so long is retired.
    pub suspended_max_seconds: i64,
    /// Vantages that must agree on a failure, where there are so many.
    pub vantages_min: usize,
    /// The share of active endpoints that one round may move out, 0 to 1; two may always.
    pub leaving_share_max: f64,
}

/// What a mirror on probation must show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActiveRules {
    /// For how long it is watched.
    pub probation_seconds: i64,
    /// The least availability, by its lower bound.
    pub available_min: f64,
    /// The least completeness.
    pub present_min: f64,
    /// The largest median lag.
    pub lag_median_max_seconds: u64,
}

/// What one operator or one network may have of all clients, as far as there are enough others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CapRules {
    /// One operator, 0 to 1.
    pub operator_share_max: f64,
    /// One autonomous system, 0 to 1.
    pub network_share_max: f64,
}

/// When operators are told what is about to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoticeRules {
    /// So long before a suspension.
    pub suspension_seconds_before: i64,
    /// On these days of a suspension, counted from 1, that it is going to be retired.
    pub retirement_days: Vec<u32>,
    /// With so many days left of the certificate.
    pub certificate_days: i64,
    /// When a contact was confirmed so many days ago.
    pub contact_days: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: 1,
            own_domain: None,
            probes: ProbeRules::default(),
            rounds: RoundRules::default(),
            score: ScoreRules::default(),
            states: StateRules::default(),
            active: ActiveRules::default(),
            notices: NoticeRules::default(),
            caps: CapRules::default(),
        }
    }
}

impl Default for ProbeRules {
    fn default() -> Self {
        Self {
            daily_bytes_max: 50_000_000,
        }
    }
}

impl Default for CapRules {
    fn default() -> Self {
        Self {
            operator_share_max: 0.25,
            network_share_max: 0.25,
        }
    }
}

impl Default for NoticeRules {
    fn default() -> Self {
        Self {
            suspension_seconds_before: 12 * 3600,
            retirement_days: vec![1, 7, 16, 29],
            certificate_days: 14,
            contact_days: 180,
        }
    }
}

impl Default for RoundRules {
    fn default() -> Self {
        Self {
            failed_share_max: 0.7,
            samples_min: 4,
        }
    }
}

impl Default for ScoreRules {
    fn default() -> Self {
        Self {
            window_seconds: 86_400,
            lag_half_seconds: 7200.0,
            present_floor: 0.95,
            warning_cost: 0.05,
            hygiene_min: 0.7,
        }
    }
}

impl Default for StateRules {
    fn default() -> Self {
        Self {
            failures_in_a_row: 3,
            clean_in_a_row: 12,
            lag_max_seconds: 6 * 3600,
            certificate_days_min: 3,
            health_min: 40.0,
            health_low_seconds: 3600,
            degraded_max_seconds: 86_400,
            episodes_max: 4,
            episodes_window_seconds: 7 * 86_400,
            suspended_clean_seconds: 86_400,
            suspended_max_seconds: 30 * 86_400,
            vantages_min: 2,
            leaving_share_max: 0.2,
        }
    }
}

impl Default for ActiveRules {
    fn default() -> Self {
        Self {
            probation_seconds: 7 * 86_400,
            available_min: 0.95,
            present_min: 0.8,
            lag_median_max_seconds: 3600,
        }
    }
}

impl Policy {
    /// Reads a policy; keys that are not named keep their defaults.
    pub fn read(text: &str) -> Result<Self, DirectoryError> {
        let policy: Self = toml::from_str(text).map_err(|source| DirectoryError::ReadPolicy {
            source: Box::new(source),
        })?;
        policy.judge()?;
        Ok(policy)
    }

    fn judge(&self) -> Result<(), DirectoryError> {
        let shares = [
            ("rounds.failed_share_max", self.rounds.failed_share_max),
            ("score.present_floor", self.score.present_floor),
            ("score.warning_cost", self.score.warning_cost),
            ("score.hygiene_min", self.score.hygiene_min),
            ("states.leaving_share_max", self.states.leaving_share_max),
            ("active.available_min", self.active.available_min),
            ("active.present_min", self.active.present_min),
            ("caps.operator_share_max", self.caps.operator_share_max),
            ("caps.network_share_max", self.caps.network_share_max),
        ];
        for (key, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(fault(key, format!("{value} is no share; write 0 to 1")));
            }
        }
        if self.score.present_floor >= 1.0 {
            return Err(fault(
                "score.present_floor",
                "must be less than 1".to_owned(),
            ));
        }
        if !(self.score.lag_half_seconds.is_finite() && self.score.lag_half_seconds > 0.0) {
            return Err(fault(
                "score.lag_half_seconds",
                "must be more than 0".to_owned(),
            ));
        }
        let spans = [
            ("score.window_seconds", self.score.window_seconds),
            ("states.health_low_seconds", self.states.health_low_seconds),
            (
                "states.degraded_max_seconds",
                self.states.degraded_max_seconds,
            ),
            (
                "states.episodes_window_seconds",
                self.states.episodes_window_seconds,
            ),
            (
                "states.suspended_clean_seconds",
                self.states.suspended_clean_seconds,
            ),
            (
                "states.suspended_max_seconds",
                self.states.suspended_max_seconds,
            ),
            ("active.probation_seconds", self.active.probation_seconds),
            (
                "notices.suspension_seconds_before",
                self.notices.suspension_seconds_before,
            ),
            ("notices.contact_days", self.notices.contact_days),
        ];
        for (key, value) in spans {
            if value <= 0 {
                return Err(fault(
                    key,
                    format!("{value} is no span; write seconds above 0"),
                ));
            }
        }
        if self.probes.daily_bytes_max == 0 {
            let text = "must be more than 0; without probes there is no list".to_owned();
            return Err(fault("probes.daily_bytes_max", text));
        }
        self.judge_counts()
    }

    fn judge_counts(&self) -> Result<(), DirectoryError> {
        let rows = [
            ("states.failures_in_a_row", self.states.failures_in_a_row),
            ("states.clean_in_a_row", self.states.clean_in_a_row),
            ("states.episodes_max", self.states.episodes_max),
        ];
        for (key, value) in rows {
            if value == 0 {
                return Err(fault(key, "must be at least 1".to_owned()));
            }
        }
        if self.states.clean_in_a_row < self.states.failures_in_a_row {
            return Err(fault(
                "states.clean_in_a_row",
                "must not be less than `failures_in_a_row`, or mirrors flap".to_owned(),
            ));
        }
        if !self
            .notices
            .retirement_days
            .is_sorted_by(|one, next| one < next)
        {
            return Err(fault(
                "notices.retirement_days",
                "must rise, each day once".to_owned(),
            ));
        }
        Ok(())
    }
}

fn fault(key: &'static str, fault: String) -> DirectoryError {
    DirectoryError::JudgePolicy { key, fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read_and_the_rest_stays() {
        assert_eq!(Policy::read("").unwrap(), Policy::default());
        let written = toml::to_string(&Policy::default()).unwrap();
        assert_eq!(Policy::read(&written).unwrap(), Policy::default());
        let stricter = Policy::read("version = 2\n[states]\nlag_max_seconds = 60\n").unwrap();
        assert_eq!(stricter.states.lag_max_seconds, 60);
        assert_eq!(stricter.score, ScoreRules::default());
    }

    #[test]
    fn rules_that_cannot_be_are_refused_by_their_key() {
        for (text, key) in [
            (
                "[rounds]\nfailed_share_max = 70.0",
                "rounds.failed_share_max",
            ),
            ("[score]\npresent_floor = 1.0", "score.present_floor"),
            ("[score]\nlag_half_seconds = 0.0", "score.lag_half_seconds"),
            ("[score]\nwindow_seconds = 0", "score.window_seconds"),
            ("[states]\nclean_in_a_row = 1", "states.clean_in_a_row"),
            ("[states]\nepisodes_max = 0", "states.episodes_max"),
            ("[score]\nlag_half_seconds = nan", "score.lag_half_seconds"),
            (
                "[notices]\nretirement_days = [7, 1]",
                "notices.retirement_days",
            ),
            ("[notices]\ncontact_days = 0", "notices.contact_days"),
            ("[probes]\ndaily_bytes_max = 0", "probes.daily_bytes_max"),
        ] {
            match Policy::read(text) {
                Err(DirectoryError::JudgePolicy { key: found, .. }) => assert_eq!(found, key),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(matches!(
            Policy::read("[states]\nlag_max = 1"),
            Err(DirectoryError::ReadPolicy { .. })
        ));
    }
}
