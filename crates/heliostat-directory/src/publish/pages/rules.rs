//! The rules in words, with the figures of the policy that is in force, and the policy itself.

use askama::Template;

use super::super::view::View;
use super::super::words;
use super::Frame;
use crate::policy::Policy;

#[derive(Template)]
#[template(path = "policy.html")]
pub(super) struct Rules {
    frame: Frame,
    version: u32,
    window: String,
    lag_half: String,
    present_floor: String,
    warning_cost: String,
    hygiene_min: String,
    moves: Vec<(&'static str, &'static str, String)>,
    failed_share: String,
    leaving_share: String,
    operator_share: String,
    network_share: String,
    notices: Vec<String>,
    text: String,
}

impl Rules {
    pub(super) fn of(view: &View<'_>) -> Self {
        let policy = view.policy;
        let (score, states, active) = (&policy.score, &policy.states, &policy.active);
        let share = |value: f64| format!("{:.0} %", value * 100.0);
        let moves = vec![
            ("candidate", "probation", "its audit passed, and its first probes are clean".to_owned()),
            (
                "probation",
                "active",
                format!(
                    "for {}: available at least {}, complete at least {}, at the median less than {} behind, every gate passed",
                    span(active.probation_seconds),
                    active.available_min,
                    active.present_min,
                    words::span(active.lag_median_max_seconds),
                ),
            ),
            (
                "active",
                "degraded",
                format!(
                    "{} rounds in a row fail, or it is more than {} behind, or its certificate has less than {} days, \
                     or health is below {} for {}",
                    states.failures_in_a_row,
                    words::span(states.lag_max_seconds),
                    states.certificate_days_min,
                    states.health_min,
                    span(states.health_low_seconds),
                ),
            ),
            (
                "degraded",
                "active",
                format!("{} rounds in a row are clean and health is good, by itself", states.clean_in_a_row),
            ),
            (
                "degraded",
                "suspended",
                format!(
                    "after {}, or when it was degraded {} times within {}",
                    span(states.degraded_max_seconds),
                    states.episodes_max,
                    span(states.episodes_window_seconds),
                ),
            ),
            (
                "suspended",
                "active",
                format!("clean for {}, by itself", span(states.suspended_clean_seconds)),
            ),
            ("suspended", "retired", format!("after {}", span(states.suspended_max_seconds))),
            (
                "any",
                "quarantined",
                "wrong bytes, cookies, a redirect that leaves the mirror, other bytes for pip or uv than for everybody, \
                 or receipts that contradict each other; only people let it back, to probation"
                    .to_owned(),
            ),
            (
                "active, degraded",
                "maintenance",
                "its operator declared it; at most seven days, in which nothing counts against it".to_owned(),
            ),
        ];
        Self {
            frame: Frame::new(view, "", "policy"),
            version: policy.version,
            window: span(score.window_seconds),
            lag_half: format!("{:.0} s", score.lag_half_seconds),
            present_floor: format!("{}", score.present_floor),
            warning_cost: format!("{}", score.warning_cost),
            hygiene_min: format!("{}", score.hygiene_min),
            moves,
            failed_share: share(policy.rounds.failed_share_max),
            leaving_share: share(states.leaving_share_max),
            operator_share: share(policy.caps.operator_share_max),
            network_share: share(policy.caps.network_share_max),
            notices: notices(policy),
            text: view.policy_text.to_owned(),
        }
    }
}

/// What operators hear before something happens, and when.
fn notices(policy: &Policy) -> Vec<String> {
    let rules = &policy.notices;
    let days: Vec<String> = rules
        .retirement_days
        .iter()
        .map(ToString::to_string)
        .collect();
    vec![
        "at once when it is degraded, suspended, in quarantine or retired, when the keepers take it off, and when it is \
         active again"
            .to_owned(),
        format!("{} before it is suspended", span(rules.suspension_seconds_before)),
        format!("that it is going to be retired, on these days of a suspension: {}", days.join(", ")),
        format!("when less than {} days of its certificate are left", rules.certificate_days),
        format!("when nobody confirmed for {} days that its contacts reach anybody", rules.contact_days),
    ]
}

fn span(seconds: i64) -> String {
    words::span(seconds.unsigned_abs())
}
