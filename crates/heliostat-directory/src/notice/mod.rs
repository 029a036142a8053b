//! What operators are told, and when: before something happens to their mirror wherever that can be known before.
//!
//! Pure: what is due follows from how everybody stands, the policy and the time. Carrying it to people, and remembering
//! that it was carried, is the program's matter; a notice's id stays the same as long as its cause does.

#[cfg(test)]
mod tests;
mod text;
mod upcoming;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::observe::{Outcome, Sample, VantageId};
use crate::policy::Policy;
use crate::registry::{AdminState, Contact, Endpoint, EndpointId, Mirror, MirrorId, Registry};
use crate::state::{Replay, Replayed, Rule, Standing, State};

pub use upcoming::{Action, NextAction, Reason, next_actions};

/// Lines of a probe's log in one notice.
const LOG_LINES_MAX: usize = 20;
/// The longest of them, in characters.
const LOG_CHARS_MAX: usize = 300;
/// People say so long before that a mirror leaves.
const LEAVING_SECONDS: i64 = 14 * DAY;
/// What came and went longer ago is no news to anybody.
const PASSED_SECONDS: i64 = 7 * DAY;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// Clients are sent to others first.
    Degraded,
    /// It is going to be suspended.
    SuspensionNear,
    /// It is no longer given to clients.
    Suspended,
    /// It is going to be retired; one for each day that the policy names.
    RetirementNear,
    /// It is off the list for good, as its suspension lasted too long.
    Retired,
    /// Only people can let it back.
    Quarantined,
    /// People are going to take it off the list, or did.
    Leaving,
    /// It is active again, of which its operator had heard that it was not.
    Recovered,
    /// Its certificate is about to end.
    CertificateNear,
    /// Nobody knows any more whether its operator can be reached.
    ContactOld,
}

/// One thing to tell one mirror's operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Notice {
    /// `heliostat.directory.notice/1`.
    pub schema: String,
    /// The same as long as the cause is the same: letters, digits, dots and dashes.
    pub id: String,
    /// What it is about.
    pub kind: NoticeKind,
    /// Whose operator is told.
    pub mirror: MirrorId,
    /// Which endpoint it is about, where not all.
    pub endpoint: Option<EndpointId>,
    /// Its address.
    pub base: Option<String>,
    /// Since when it was to be told.
    pub due_at: Timestamp,
    /// How the endpoint stands.
    pub state: Option<State>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Until when, where it is over already: what came and went before anybody could be told.
    pub until: Option<Timestamp>,
    /// What moved it there, in words.
    pub reason: Option<String>,
    /// What comes next, and when, if nothing changes.
    pub next: Vec<NextAction>,
    /// What probes saw last that was wrong, the newest first; at most 20 lines.
    pub log: Vec<String>,
    /// What the operator can run to see the same.
    pub check: Option<String>,
    /// All of it, for people.
    pub text: String,
}

/// What is known when it is asked what is due.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Who is on the list.
    pub registry: &'a Registry,
    /// The rules.
    pub policy: &'a Policy,
    /// The history, walked through to its end.
    pub replay: &'a Replay<'a>,
    /// Ids of notices that reached somebody.
    pub told: &'a BTreeSet<String>,
    /// Until when everybody was told everything, in seconds since 1970; nothing before the first time.
    pub told_until: Option<i64>,
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// Every notice whose time has come and whose cause still holds, or came and went since everybody was told everything,
/// in the order in which things happened to an endpoint; also those that were told already: whom each of them still has
/// to reach is known only to who carries them. Of several of one kind about one cause, only the newest.
pub fn notices(known: &Known<'_>) -> Vec<Notice> {
    let replayed = known.replay.end();
    let mut due = Vec::new();
    for mirror in known.registry.mirrors() {
        due.extend(contact_old(mirror, known));
        for endpoint in &mirror.endpoints {
            let Some(standing) = replayed.standings.get(&endpoint.id) else {
                continue;
            };
            let of = Of {
                mirror,
                endpoint,
                standing: *standing,
                until: None,
                known,
            };
            let passed = of.passed(&replayed);
            let told: BTreeSet<&str> = (known.told.iter().map(String::as_str))
                .chain(passed.iter().map(|notice| notice.id.as_str()))
                .collect();
            let causes = of.causes(&replayed, &told);
            let now: Vec<Notice> = (causes.iter())
                .map(|cause| of.notice(cause, &replayed))
                .collect();
            due.extend(passed.into_iter().chain(now));
        }
    }
    due
}

/// Why an operator is told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cause {
    kind: NoticeKind,
    /// What tells it from another of its kind: a moment, or a moment and a day.
    mark: (i64, Option<u32>),
    due_at: i64,
}

/// One endpoint.
#[derive(Clone, Copy)]
struct Of<'a> {
    mirror: &'a Mirror,
    endpoint: &'a Endpoint,
    standing: Standing,
    /// When it came to stand otherwise, where it does.
    until: Option<i64>,
    known: &'a Known<'a>,
}

impl Of<'_> {
    /// What came and went since everybody was told everything, the oldest first.
    fn passed(&self, replayed: &Replayed) -> Vec<Notice> {
        let Some(told_until) = self.known.told_until else {
            return Vec::new();
        };
        let from = told_until.max(self.known.now - PASSED_SECONDS);
        let own: Vec<Standing> = (replayed.transitions.iter())
            .filter(|(id, _)| *id == self.endpoint.id)
            .map(|(_, moved)| moved.to)
            .collect();
        let mut passed: Vec<Notice> = Vec::new();
        for (index, pair) in own.windows(2).enumerate() {
            let [standing, next] = pair else { continue };
            let of = Of {
                standing: *standing,
                until: Some(next.since),
                ..*self
            };
            let told: BTreeSet<&str> = (self.known.told.iter().map(String::as_str))
                .chain(passed.iter().map(|notice| notice.id.as_str()))
                .collect();
            let kind = match standing.state {
                State::Degraded => NoticeKind::Degraded,
                State::Suspended => NoticeKind::Suspended,
                State::Quarantined => NoticeKind::Quarantined,
                State::Active if self.was_told_it_is_out(&own[..index], &told) => {
                    NoticeKind::Recovered
                }
                _ => continue,
            };
            if standing.since > from {
                passed.push(of.notice(&of.at_once(kind), replayed));
            }
        }
        passed
    }

    /// What is told as soon as it is so.
    const fn at_once(&self, kind: NoticeKind) -> Cause {
        Cause {
            kind,
            mark: (self.standing.since, None),
            due_at: self.standing.since,
        }
    }

    fn causes(&self, replayed: &Replayed, told: &BTreeSet<&str>) -> Vec<Cause> {
        let (policy, now) = (self.known.policy, self.known.now);
        let Standing {
            state, since, rule, ..
        } = self.standing;
        let counts_from = self.standing.counts_from();
        let at_once = |kind| self.at_once(kind);
        let mut causes = Vec::new();
        match state {
            State::Degraded => {
                causes.push(at_once(NoticeKind::Degraded));
                let due_at = suspension_notice_at(counts_from, policy);
                causes.extend((due_at <= now).then_some(Cause {
                    due_at,
                    ..at_once(NoticeKind::SuspensionNear)
                }));
            }
            State::Suspended => {
                causes.push(at_once(NoticeKind::Suspended));
                let days = retirement_notices(counts_from, policy);
                let newest = days.into_iter().rfind(|(_, due_at)| *due_at <= now);
                causes.extend(newest.map(|(day, due_at)| Cause {
                    kind: NoticeKind::RetirementNear,
                    mark: (since, Some(day)),
                    due_at,
                }));
            }
            State::Quarantined => causes.push(at_once(NoticeKind::Quarantined)),
            State::Retired if rule == Rule::SuspendedTooLong => {
                causes.push(at_once(NoticeKind::Retired));
            }
            State::Active => {
                let own: Vec<Standing> = (replayed.transitions.iter())
                    .filter(|(id, _)| *id == self.endpoint.id)
                    .map(|(_, moved)| moved.to)
                    .collect();
                let before = own.split_last().map_or(&[][..], |(_, before)| before);
                let back = self.was_told_it_is_out(before, told);
                causes.extend(back.then(|| at_once(NoticeKind::Recovered)));
            }
            _ => {}
        }
        causes.extend(self.leaving());
        if !matches!(state, State::Retired | State::Vetoed | State::Candidate) {
            causes.extend(self.certificate_near());
        }
        causes
    }

    /// Whether its operator heard, or is about to, of what it has recovered from; `before` is how it stood before.
    fn was_told_it_is_out(&self, before: &[Standing], told: &BTreeSet<&str>) -> bool {
        let is_out = |one: &&Standing| matches!(one.state, State::Degraded | State::Suspended);
        before.iter().rev().take_while(is_out).any(|standing| {
            let kind = match standing.state {
                State::Suspended => NoticeKind::Suspended,
                _ => NoticeKind::Degraded,
            };
            told.contains(self.id(kind, (standing.since, None)).as_str())
        })
    }

    fn leaving(&self) -> Option<Cause> {
        let retires = self.mirror.retires.as_ref()?;
        let at = retires.at.as_second();
        // What happened long ago is no news to anybody.
        (self.mirror.admin_state == AdminState::Listed && self.known.now - at < 30 * DAY).then_some(
            Cause {
                kind: NoticeKind::Leaving,
                mark: (at, None),
                due_at: at - LEAVING_SECONDS,
            },
        )
    }

    fn certificate_near(&self) -> Option<Cause> {
        let rules = &self.known.policy.notices;
        let (at, days, not_after) =
            self.known
                .replay
                .window(&self.endpoint.id)
                .rev()
                .find_map(|(at, sample)| {
                    let not_after = sample.certificate.as_ref().map(|one| one.not_after);
                    Some((at, sample.certificate_days?, not_after))
                })?;
        let ends = not_after.unwrap_or(at + days * DAY);
        // Days are rounded down from another hour each time, so that only a coarse measure of them stays the same.
        let mark = not_after.unwrap_or(ends.div_euclid(30 * DAY));
        (days < rules.certificate_days).then_some(Cause {
            kind: NoticeKind::CertificateNear,
            mark: (mark, None),
            due_at: ends - rules.certificate_days * DAY,
        })
    }

    fn id(&self, kind: NoticeKind, (at, day): (i64, Option<u32>)) -> String {
        let day = day.map_or_else(String::new, |day| format!(".day-{day}"));
        format!("{}.{kind}.{at}{day}", self.endpoint.id)
    }

    fn notice(&self, cause: &Cause, replayed: &Replayed) -> Notice {
        let fails = matches!(
            cause.kind,
            NoticeKind::Degraded
                | NoticeKind::SuspensionNear
                | NoticeKind::Suspended
                | NoticeKind::RetirementNear
                | NoticeKind::Quarantined
        );
        let mut notice = Notice {
            schema: SCHEMA.to_owned(),
            id: self.id(cause.kind, cause.mark),
            kind: cause.kind,
            mirror: self.mirror.id.clone(),
            endpoint: Some(self.endpoint.id.clone()),
            base: Some(self.endpoint.base.to_string()),
            due_at: time(cause.due_at),
            state: Some(self.standing.state),
            since: Some(time(self.standing.since)),
            until: self.until.map(time),
            reason: Some(self.standing.rule.to_string()),
            next: if self.until.is_none() {
                self.next()
            } else {
                Vec::new()
            },
            log: if fails { self.log() } else { Vec::new() },
            check: (fails || cause.kind == NoticeKind::CertificateNear)
                .then(|| format!("heliostat directory probe --me {}", self.endpoint.base)),
            text: String::new(),
        };
        notice.text = text::of(&notice, self, replayed);
        notice
    }

    fn next(&self) -> Vec<NextAction> {
        let retires_at = self
            .mirror
            .retires
            .as_ref()
            .map(|retires| retires.at.as_second());
        next_actions(
            &self.standing,
            retires_at,
            self.known.policy,
            self.known.now,
        )
    }

    /// What was wrong, the newest first, the same only once for each vantage, with how often and since when.
    fn log(&self) -> Vec<String> {
        let mut order: Vec<(VantageId, String)> = Vec::new();
        let mut seen: BTreeMap<(VantageId, String), (i64, i64, usize)> = BTreeMap::new();
        for (at, sample) in self.known.replay.window(&self.endpoint.id).rev() {
            if !is_bad(sample) || self.until.is_some_and(|until| at > until) {
                continue;
            }
            let key = (sample.vantage.clone(), what(sample));
            let (_, first_at, rounds) = seen.entry(key.clone()).or_insert_with(|| {
                order.push(key);
                (at, at, 0)
            });
            *first_at = at;
            *rounds += 1;
        }
        order
            .iter()
            .take(LOG_LINES_MAX)
            .filter_map(|key| Some((key, seen.get(key)?)))
            .map(|((vantage, what), (last_at, first_at, rounds))| {
                let often = if *rounds > 1 {
                    format!(
                        " ({rounds} rounds, the first at {})",
                        text::moment(*first_at)
                    )
                } else {
                    String::new()
                };
                let line = format!("{} from {vantage}: {what}", text::moment(*last_at));
                let line: String = line
                    .chars()
                    .map(|char| if char.is_control() { ' ' } else { char })
                    .take(LOG_CHARS_MAX)
                    .collect();
                line + &often
            })
            .collect()
    }
}

const SCHEMA: &str = "heliostat.directory.notice/1";

fn is_bad(sample: &Sample) -> bool {
    sample.outcome == Outcome::Failed || !sample.gates.is_empty() || !sample.faults.is_empty()
}

fn what(sample: &Sample) -> String {
    let gates = sample
        .gates
        .iter()
        .map(|gate| format!("does not pass the gate `{gate}`"));
    let proofs = sample
        .findings
        .iter()
        .filter_map(|finding| finding.evidence.as_ref());
    let proofs = proofs.map(|digest| format!("evidence {digest}"));
    let words: Vec<String> = gates
        .chain(sample.faults.iter().cloned())
        .chain(proofs)
        .collect();
    if words.is_empty() {
        return "did not answer as a mirror does".to_owned();
    }
    words.join("; ")
}

/// When it is told that a mirror that is degraded since then is going to be suspended.
fn suspension_notice_at(since: i64, policy: &Policy) -> i64 {
    let ends = since + policy.states.degraded_max_seconds;
    (ends - policy.notices.suspension_seconds_before).max(since)
}

/// The days of a suspension on which is told what follows, and when they are.
fn retirement_notices(since: i64, policy: &Policy) -> Vec<(u32, i64)> {
    let days = policy.notices.retirement_days.iter();
    days.map(|&day| (day, since + i64::from(day) * DAY))
        .filter(|(_, at)| *at < since + policy.states.suspended_max_seconds)
        .collect()
}

fn contact_old(mirror: &Mirror, known: &Known<'_>) -> Option<Notice> {
    if mirror.admin_state != AdminState::Listed {
        return None;
    }
    // One way that is known to work is enough.
    let confirmed = mirror
        .contacts
        .iter()
        .filter_map(Contact::confirmed)
        .max()?;
    let confirmed_at = confirmed
        .to_zoned(TimeZone::UTC)
        .ok()?
        .timestamp()
        .as_second();
    let due_at = confirmed_at + known.policy.notices.contact_days * DAY;
    if due_at > known.now {
        return None;
    }
    let text = format!(
        "Nobody has confirmed since {confirmed} that the contacts of the mirror {} still reach whoever runs it. Please \
         answer the keepers of the list, who then write today's date as `confirmed` into its entry. Nothing happens to \
         the mirror because of this.\n",
        mirror.id
    );
    Some(Notice {
        schema: SCHEMA.to_owned(),
        id: format!("{}.{}.{confirmed_at}", mirror.id, NoticeKind::ContactOld),
        kind: NoticeKind::ContactOld,
        mirror: mirror.id.clone(),
        endpoint: None,
        base: None,
        due_at: time(due_at),
        state: None,
        since: None,
        until: None,
        reason: None,
        next: Vec::new(),
        log: Vec::new(),
        check: None,
        text,
    })
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Notice {
    /// One line for people, of plain characters only.
    pub fn subject(&self) -> String {
        let about = self
            .endpoint
            .as_ref()
            .map_or_else(|| self.mirror.to_string(), ToString::to_string);
        format!("PyPI mirror {about}: {}", self.kind.words())
    }
}

impl NoticeKind {
    /// In words, after a name and a colon.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Degraded => "degraded",
            Self::SuspensionNear => "will be suspended",
            Self::Suspended => "suspended",
            Self::RetirementNear => "will be retired",
            Self::Retired => "retired",
            Self::Quarantined => "quarantined",
            Self::Leaving => "leaves the list",
            Self::Recovered => "active again",
            Self::CertificateNear => "its certificate is about to end",
            Self::ContactOld => "please confirm how you can be reached",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Degraded => "degraded",
            Self::SuspensionNear => "suspension-near",
            Self::Suspended => "suspended",
            Self::RetirementNear => "retirement-near",
            Self::Retired => "retired",
            Self::Quarantined => "quarantined",
            Self::Leaving => "leaving",
            Self::Recovered => "recovered",
            Self::CertificateNear => "certificate-near",
            Self::ContactOld => "contact-old",
        })
    }
}
