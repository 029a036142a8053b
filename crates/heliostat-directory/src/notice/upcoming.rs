//! What is going to happen to an endpoint if nothing changes, and what its operator hears before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{NoticeKind, retirement_notices, suspension_notice_at, time};
use crate::policy::Policy;
use crate::state::{Rule, Standing, State};

/// One thing to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NextAction {
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: Action,
    /// By which rule, or what the notice is about.
    pub reason: Reason,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Its operator is told something.
    Notice,
    /// It is suspended.
    Suspend,
    /// It is retired.
    Retire,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reason {
    /// What the notice is about.
    Notice(NoticeKind),
    /// The rule that will move it.
    Rule(Rule),
}

/// Everything to come if nothing changes, in the order of time. `retires_at` is when people take it off, where they
/// said so. What is over stays as long as its time has come and no round has made it true.
pub fn next_actions(
    standing: &Standing,
    retires_at: Option<i64>,
    policy: &Policy,
    now: i64,
) -> Vec<NextAction> {
    let mut actions = Vec::new();
    let since = standing.counts_from();
    let mut notice = |at: i64, kind: NoticeKind| {
        if at > now {
            actions.push(action(at, Action::Notice, Reason::Notice(kind)));
        }
    };
    match standing.state {
        State::Degraded => notice(
            suspension_notice_at(since, policy),
            NoticeKind::SuspensionNear,
        ),
        State::Suspended => {
            for (_, at) in retirement_notices(since, policy) {
                notice(at, NoticeKind::RetirementNear);
            }
        }
        _ => {}
    }
    match standing.next_action(policy) {
        Some((at, State::Suspended)) => {
            actions.push(action(
                at,
                Action::Suspend,
                Reason::Rule(Rule::DegradedTooLong),
            ));
        }
        Some((at, _)) => {
            actions.push(action(
                at,
                Action::Retire,
                Reason::Rule(Rule::SuspendedTooLong),
            ));
        }
        None => {}
    }
    let leaves = retires_at.filter(|_| !matches!(standing.state, State::Retired | State::Vetoed));
    actions.extend(leaves.map(|at| action(at, Action::Retire, Reason::Rule(Rule::People))));
    actions.sort_by_key(|action| action.at);
    actions
}

fn action(at: i64, action: Action, reason: Reason) -> NextAction {
    NextAction {
        at: time(at),
        action,
        reason,
    }
}
