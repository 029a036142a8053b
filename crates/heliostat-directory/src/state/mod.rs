//! States, from candidate to retired, as a pure function of what was seen, the policy and what people decided.
//!
//! `replay` walks through rounds from the first to the last, so that the same history always gives the same states, and
//! anybody can check ours.

mod step;
#[cfg(test)]
mod tests;
mod track;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::observe::{Gate, Round, Sample};
use crate::policy::Policy;
use crate::registry::{AdminState, EndpointId, Mirror, Registry};
use crate::score::{Health, float};
use track::Track;

/// How an endpoint stands on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Asked for, not audited.
    Candidate,
    /// Audited, being watched.
    Probation,
    /// Clients may use it.
    Active,
    /// Clients had better use others; comes back by itself.
    Degraded,
    /// Not given to clients; comes back by itself.
    Suspended,
    /// Declared by its operator; nothing counts against it.
    Maintenance,
    /// Dishonest, or somebody acted in its name; only people let it back.
    Quarantined,
    /// Taken off by people.
    Vetoed,
    /// Gone.
    Retired,
}

/// The rule that moved an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// It came onto the list.
    Added,
    /// Its audit passed and its first probes are clean.
    Admitted,
    /// It showed for long enough what the policy asks of a new mirror.
    Proven,
    /// Too many rounds in a row failed.
    FailsInARow,
    /// It lacks changes that are too old.
    Stale,
    /// Its certificate is about to end.
    CertificateEnds,
    /// Its health was low for too long.
    LowHealth,
    /// Enough rounds in a row were clean, and its health is good again.
    CleanInARow,
    /// It was degraded for too long.
    DegradedTooLong,
    /// It was degraded too often.
    DegradedTooOften,
    /// It was clean for long enough to end a suspension.
    CleanAgain,
    /// It was suspended for too long.
    SuspendedTooLong,
    /// A gate failed that only people can judge.
    Gate(Gate),
    /// Its operator declared a maintenance.
    MaintenanceBegins,
    /// The declared time is over.
    MaintenanceEnds,
    /// People took it off.
    People,
    /// People let it back after a quarantine.
    Lifted,
}

/// How an endpoint stands, since when, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// The state.
    pub state: State,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// What moved it there.
    pub rule: Rule,
    /// Seconds since then in which nobody looked, and which bring it nearer to nothing.
    #[serde(default)]
    pub unwatched_seconds: i64,
}

/// One move from a state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Where it stood.
    pub from: State,
    /// Where it stands now.
    pub to: Standing,
}

/// What people decided about an endpoint; everything else follows from probes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decided {
    /// When it came onto the list, in seconds since 1970.
    pub added_at: i64,
    /// When its audit passed.
    pub admitted_at: Option<i64>,
    /// Whether it is off by decision.
    pub admin_state: AdminState,
    /// When it leaves the list.
    pub retires_at: Option<i64>,
    /// Declared maintenance, from and to, in seconds since 1970.
    pub maintenance: Vec<(i64, i64)>,
    /// When people let it back after a quarantine.
    pub lifted_at: Vec<i64>,
}

impl Decided {
    /// What a mirror's entry says about each of its endpoints.
    pub fn of(mirror: &Mirror) -> Self {
        let added = mirror.inception.to_zoned(TimeZone::UTC);
        Self {
            added_at: added.map_or(0, |added| added.timestamp().as_second()),
            admitted_at: mirror.admitted.map(Timestamp::as_second),
            admin_state: mirror.admin_state,
            retires_at: mirror.retires.as_ref().map(|one| one.at.as_second()),
            maintenance: mirror
                .maintenance
                .iter()
                .map(|time| (time.from.as_second(), time.to.as_second()))
                .collect(),
            lifted_at: mirror.lifted.iter().map(|at| at.as_second()).collect(),
        }
    }

    /// The same for every endpoint of a registry.
    pub fn of_all(registry: &Registry) -> BTreeMap<EndpointId, Self> {
        registry
            .endpoints()
            .map(|(mirror, endpoint)| (endpoint.id.clone(), Self::of(mirror)))
            .collect()
    }
}

/// What a history came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// How healthy every endpoint is at the end that was ever looked at.
    pub health: BTreeMap<EndpointId, Health>,
    /// How every endpoint stands at the end.
    pub standings: BTreeMap<EndpointId, Standing>,
    /// Every move, the oldest first.
    pub transitions: Vec<(EndpointId, Transition)>,
    /// Rounds that said nothing about mirrors, with the reason.
    pub discarded: Vec<(i64, &'static str)>,
    /// Rounds that would have taken too many out at once.
    pub braked: Vec<Braked>,
}

/// A round that would have taken too many out at once, and took none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Braked {
    /// When.
    pub at: i64,
    /// Who would have been degraded, and by which rule.
    pub held: Vec<(EndpointId, Rule)>,
}

/// The longest declared maintenance that counts.
const MAINTENANCE_SECONDS_MAX: i64 = 7 * 86_400;
/// So long a look speaks for: what comes after it, until the next one, is time in which nobody looked.
const WATCHED_SECONDS: i64 = 6 * 3600;
/// So many may always leave in one round.
const LEAVING_ALWAYS: usize = 2;

/// A history being walked through, round by round.
#[derive(Debug)]
pub struct Replay<'a> {
    decided: &'a BTreeMap<EndpointId, Decided>,
    policy: &'a Policy,
    tracks: BTreeMap<&'a EndpointId, Track>,
    replayed: Replayed,
}

impl<'a> Replay<'a> {
    /// Before the first round.
    pub fn begin(decided: &'a BTreeMap<EndpointId, Decided>, policy: &'a Policy) -> Self {
        Self {
            decided,
            policy,
            tracks: decided
                .iter()
                .map(|(id, decided)| (id, Track::begin(decided)))
                .collect(),
            replayed: Replayed {
                health: BTreeMap::new(),
                standings: BTreeMap::new(),
                transitions: Vec::new(),
                discarded: Vec::new(),
                braked: Vec::new(),
            },
        }
    }

    /// Takes in the next round, later than all before.
    pub fn take(&mut self, round: &Round) {
        let policy = self.policy;
        if let Some(reason) = round.discarded(&policy.rounds) {
            self.replayed.discarded.push((round.at, reason));
            return;
        }
        let mut samples: BTreeMap<&EndpointId, Vec<&Sample>> = BTreeMap::new();
        for sample in &round.samples {
            samples.entry(&sample.endpoint).or_default().push(sample);
        }
        let mut moves = Vec::new();
        let mut active = 0;
        for (id, track) in &mut self.tracks {
            active += usize::from(track.standing.state == State::Active);
            track.see(round.at, samples.get(id).map_or(&[], Vec::as_slice), policy);
            if let Some((to, rule)) = track.next(round.at, &self.decided[*id], policy) {
                moves.push((*id, to, rule));
            }
        }
        let leaving: Vec<(EndpointId, Rule)> = moves
            .iter()
            .filter(|(_, to, _)| *to == State::Degraded)
            .map(|(id, _, rule)| ((*id).clone(), *rule))
            .collect();
        let brake = leaves_too_many(leaving.len(), active, policy.states.leaving_share_max);
        if brake {
            self.replayed.braked.push(Braked {
                at: round.at,
                held: leaving,
            });
        }
        for (id, to, rule) in moves {
            if brake && to == State::Degraded {
                continue;
            }
            if let Some(track) = self.tracks.get_mut(id) {
                let transition = track.enter(to, rule, round.at);
                self.replayed.transitions.push((id.clone(), transition));
            }
        }
    }

    /// What people decided by then comes true without waiting for the next round.
    pub fn decide(&mut self, at: i64) {
        for (id, track) in &mut self.tracks {
            if let Some((to, rule)) = track.by_people(at, &self.decided[*id]) {
                let transition = track.enter(to, rule, at);
                self.replayed.transitions.push(((*id).clone(), transition));
            }
        }
    }

    /// What was seen of an endpoint within the policy's window, the oldest first.
    pub fn window(&self, id: &EndpointId) -> impl DoubleEndedIterator<Item = (i64, &Sample)> {
        self.tracks.get(id).into_iter().flat_map(Track::window)
    }

    /// How every endpoint stands now.
    pub fn end(&self) -> Replayed {
        let mut replayed = self.replayed.clone();
        for (id, track) in &self.tracks {
            replayed.standings.insert((*id).clone(), track.standing);
            if let Some(health) = &track.health {
                replayed.health.insert((*id).clone(), health.clone());
            }
        }
        replayed
    }
}

/// Walks through rounds, the oldest first, and answers how every endpoint that people decided on stands at the end.
pub fn replay(
    decided: &BTreeMap<EndpointId, Decided>,
    rounds: &[Round],
    policy: &Policy,
) -> Replayed {
    let mut replay = Replay::begin(decided, policy);
    for round in rounds {
        replay.take(round);
    }
    replay.end()
}

/// When so many fall at once, it is more likely that we are wrong, or that clients need every one that still answers.
fn leaves_too_many(leaving: usize, active: usize, share_max: f64) -> bool {
    leaving > LEAVING_ALWAYS && float(leaving as u64) > share_max * float(active as u64)
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Candidate => "candidate",
            Self::Probation => "probation",
            Self::Active => "active",
            Self::Degraded => "degraded",
            Self::Suspended => "suspended",
            Self::Maintenance => "maintenance",
            Self::Quarantined => "quarantined",
            Self::Vetoed => "vetoed",
            Self::Retired => "retired",
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "came onto the list",
            Self::Admitted => "its audit passed and its first probes are clean",
            Self::Proven => "showed for long enough what a new mirror must",
            Self::FailsInARow => "too many rounds in a row failed",
            Self::Stale => "lacks changes that are too old",
            Self::CertificateEnds => "its certificate is about to end",
            Self::LowHealth => "its health was low for too long",
            Self::CleanInARow => "enough rounds in a row were clean",
            Self::DegradedTooLong => "was degraded for too long",
            Self::DegradedTooOften => "was degraded too often",
            Self::CleanAgain => "was clean for long enough to end a suspension",
            Self::SuspendedTooLong => "was suspended for too long",
            Self::Gate(gate) => {
                return write!(
                    f,
                    "does not pass the gate `{gate}`, which only people can judge"
                );
            }
            Self::MaintenanceBegins => "its operator declared a maintenance",
            Self::MaintenanceEnds => "the declared maintenance is over",
            Self::People => "people took it off",
            Self::Lifted => "people let it back",
        })
    }
}

impl Standing {
    /// From when the time in this state counts: later by what nobody watched.
    pub fn counts_from(&self) -> i64 {
        self.since.saturating_add(self.unwatched_seconds)
    }

    /// What comes next, and when, if nothing changes.
    pub fn next_action(&self, policy: &Policy) -> Option<(i64, State)> {
        let rules = &policy.states;
        match self.state {
            State::Degraded => Some((
                self.counts_from() + rules.degraded_max_seconds,
                State::Suspended,
            )),
            State::Suspended => Some((
                self.counts_from() + rules.suspended_max_seconds,
                State::Retired,
            )),
            _ => None,
        }
    }
}
