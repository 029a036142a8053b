//! What people are told: a calendar, and notices as text and as data for mail and issue trackers.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::timeline::{StepKind, TimelinePlan};
use crate::map::Retired;

/// So long after its day a notice does not say any more how many months are left.
const LATE_SECONDS: i64 = 2 * 86_400;

/// One notice that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The host it is about.
    pub host: String,
    /// Since when it is due.
    pub due: Timestamp,
    /// A line for a subject.
    pub subject: String,
    /// What to say.
    pub body: String,
}

/// The plan as lines.
pub fn text(plan: &TimelinePlan) -> String {
    let mut out = format!("{}\n", plan.host);
    if let Some(stay) = &plan.stay {
        let _infallible = writeln!(
            out,
            "  stayed until {} for {}: {}",
            stay.until, stay.owner, stay.why
        );
    }
    for step in &plan.steps {
        let end = step
            .end
            .map(|end| format!(" to {}", end.strftime("%H:%M UTC")))
            .unwrap_or_default();
        let _infallible = writeln!(
            out,
            "  {}{end}  {}",
            step.begin.strftime("%Y-%m-%d %H:%M UTC"),
            words(step.kind)
        );
    }
    out
}

/// The plans as one iCalendar file (RFC 5545).
pub fn ics(plans: &[TimelinePlan]) -> String {
    let mut out = String::from(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//heliostat//migrate timeline//EN\r\n",
    );
    for plan in plans {
        for step in &plan.steps {
            let begin = step.begin.strftime("%Y%m%dT%H%M%SZ").to_string();
            let _infallible = write!(
                out,
                "BEGIN:VEVENT\r\nUID:{begin}-{}@heliostat\r\nDTSTAMP:{begin}\r\nDTSTART:{begin}\r\n",
                plan.host
            );
            if let Some(end) = step.end {
                let _infallible = write!(out, "DTEND:{}\r\n", end.strftime("%Y%m%dT%H%M%SZ"));
            }
            let _infallible = write!(
                out,
                "SUMMARY:{}: {}\r\nEND:VEVENT\r\n",
                plan.host,
                words(step.kind)
            );
        }
    }
    out.push_str("END:VCALENDAR\r\n");
    out
}

/// The notices of an entry that are due at `now`, in seconds since 1970: the latest one of each host.
pub fn notices(entry: &Retired, plan: &TimelinePlan, now: i64) -> Option<Notice> {
    let off = plan
        .steps
        .iter()
        .find(|step| step.kind == StepKind::Off)?
        .begin;
    let due = plan.steps.iter().rfind(|step| {
        matches!(
            step.kind,
            StepKind::Announced | StepKind::Notice { .. } | StepKind::Off
        ) && step.begin.as_second() <= now
    })?;
    let day = off.strftime("%Y-%m-%d");
    let is_late = now - due.begin.as_second() >= LATE_SECONDS;
    let subject = match due.kind {
        StepKind::Off => format!("{} is gone since {day}", plan.host),
        StepKind::Notice { months: 1 } if !is_late => {
            format!("{} will be gone in a month, on {day}", plan.host)
        }
        StepKind::Notice { months } if !is_late => {
            format!("{} will be gone in {months} months, on {day}", plan.host)
        }
        _ => format!("{} will be gone on {day}", plan.host),
    };
    let mut body = format!("{subject}.\n\n");
    if !entry.why.is_empty() {
        let _infallible = writeln!(body, "Why: {}.\n", entry.why);
    }
    push_stay_and_windows(&mut body, plan, now);
    push_targets(&mut body, entry);
    body.push_str(
        "To find and move every reference to it, run in each repository and on each machine:\n\n    \
         heliostat migrate scan\n    heliostat migrate diff\n    heliostat migrate apply\n\n\
         Logins do not follow a redirect: give the new host its own. An extra index on a dead host is skipped by pip \
         without a word, which lets packages of the same name come from elsewhere.\n",
    );
    Some(Notice {
        host: plan.host.clone(),
        due: due.begin,
        subject,
        body,
    })
}

/// Who asked for a later end, and when the name is dark for practice.
fn push_stay_and_windows(body: &mut String, plan: &TimelinePlan, now: i64) {
    if let Some(stay) = &plan.stay {
        let why = if stay.why.is_empty() { "" } else { ": " };
        let _infallible = writeln!(
            body,
            "The end was put off until {} for {}{why}{}.\n",
            stay.until, stay.owner, stay.why
        );
    }
    let ends_later = |end: Option<Timestamp>| end.is_some_and(|end| end.as_second() > now);
    let window = plan.steps.iter().find(|step| ends_later(step.end));
    if let Some(window) = window {
        let _infallible = writeln!(
            body,
            "From {} on it answers nothing but 410 for some minutes of each day, for practice; the calendar of `heliostat \
             migrate timeline ics` has the minutes.\n",
            window.begin.strftime("%Y-%m-%d")
        );
    }
}

/// What is where now, by the map.
fn push_targets(body: &mut String, entry: &Retired) {
    let moved: Vec<(&str, &str, String)> = entry
        .rules
        .iter()
        .filter_map(|rule| {
            let kinds: Vec<&str> = rule.kinds.iter().map(|kind| kind.word()).collect();
            let uses = if kinds.is_empty() {
                String::new()
            } else {
                format!(" ({})", kinds.join(", "))
            };
            Some((rule.prefix.as_str(), rule.to.as_ref()?.as_str(), uses))
        })
        .collect();
    if moved.is_empty() {
        return;
    }
    body.push_str("What was there is at:\n\n");
    for (prefix, to, uses) in moved {
        let from = if prefix.is_empty() { "/" } else { prefix };
        let _infallible = writeln!(body, "    {from} -> {to}{uses}");
    }
    body.push('\n');
}

fn words(kind: StepKind) -> String {
    match kind {
        StepKind::Announced => "announced".to_owned(),
        StepKind::Notice { months: 1 } => "notice: one month left".to_owned(),
        StepKind::Notice { months } => format!("notice: {months} months left"),
        StepKind::BrownOut => "dark for practice (410)".to_owned(),
        StepKind::Off => "off (410)".to_owned(),
        StepKind::Parked => "parked: the name is only kept".to_owned(),
    }
}
