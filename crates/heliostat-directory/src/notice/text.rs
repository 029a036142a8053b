//! A notice in words.

use std::fmt::Write as _;

use super::upcoming::Action;
use super::{Notice, NoticeKind, Of, time};
use crate::state::{Replayed, State};

/// `2026-11-25 12:05 UTC`.
pub(super) fn moment(seconds: i64) -> String {
    time(seconds).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

pub(super) fn of(notice: &Notice, of: &Of<'_>, replayed: &Replayed) -> String {
    let mut text = match of.until {
        Some(until) => passed(notice.kind, of, until),
        None => opening(notice.kind, of),
    };
    text.push('\n');
    if let Some(warning) = again(of, replayed).filter(|_| notice.kind == NoticeKind::Degraded) {
        let _infallible = writeln!(text, "{warning}");
    }
    for next in &notice.next {
        let what = match next.action {
            Action::Notice => continue,
            Action::Suspend => "it is suspended",
            Action::Retire => "it is retired",
        };
        let at = moment(next.at.as_second());
        let _infallible = writeln!(text, "If nothing changes, {what} at {at}.");
    }
    if !notice.log.is_empty() {
        text.push_str("\nWhat probes saw, the newest first:\n\n");
        for line in &notice.log {
            let _infallible = writeln!(text, "    {line}");
        }
    }
    if let Some(check) = &notice.check {
        let _infallible = write!(
            text,
            "\nTo see the same from where you are:\n\n    {check}\n"
        );
    }
    text
}

/// What came and went.
fn passed(kind: NoticeKind, of: &Of<'_>, until: i64) -> String {
    let about = format!("Your PyPI mirror {} ({})", of.endpoint.id, of.endpoint.base);
    let since = moment(of.standing.since);
    let what = match kind {
        NoticeKind::Recovered => "active again",
        kind => kind.words(),
    };
    let (why, until) = (of.standing.rule, moment(until));
    format!("{about} was {what} from {since} until {until}: {why}.")
}

fn opening(kind: NoticeKind, of: &Of<'_>) -> String {
    let about = format!("Your PyPI mirror {} ({})", of.endpoint.id, of.endpoint.base);
    let since = moment(of.standing.since);
    let why = of.standing.rule;
    let policy = of.known.policy;
    match kind {
        NoticeKind::Degraded => format!(
            "{about} is degraded since {since}: {why}. Clients are sent to others first. It is active again by itself \
             after {} clean rounds of probes.",
            policy.states.clean_in_a_row
        ),
        NoticeKind::SuspensionNear => format!(
            "{about} is degraded since {since}: {why}. It is about to be suspended, and clients are then no longer sent \
             there."
        ),
        NoticeKind::Suspended => format!(
            "{about} is suspended since {since}: {why}. Clients are not sent there. It is active again by itself after \
             {} hours without a fault.",
            policy.states.suspended_clean_seconds / 3600
        ),
        NoticeKind::RetirementNear => format!(
            "{about} is still suspended, since {since}: {why}. A mirror that stays so is retired, and has to be listed \
             anew to come back."
        ),
        NoticeKind::Retired => format!(
            "{about} is off the list since {since}: {why}. To come back it has to be listed anew."
        ),
        NoticeKind::Quarantined => format!(
            "{about} is in quarantine since {since}: {why}. Clients are not sent there. Please tell the keepers of the \
             list what happened; when it is mended, they let it back."
        ),
        NoticeKind::Leaving => {
            let retires = of.mirror.retires.as_ref();
            let at = retires.map_or_else(String::new, |retires| moment(retires.at.as_second()));
            let reason = retires.map_or("", |retires| retires.reason.as_str());
            format!("{about} leaves the list at {at}. The keepers of the list say why: {reason}")
        }
        NoticeKind::Recovered => format!("{about} is active again since {since}: {why}."),
        NoticeKind::CertificateNear => format!(
            "The certificate of {about} ends in less than {} days. With less than {} days left it is degraded.",
            policy.notices.certificate_days, policy.states.certificate_days_min
        ),
        NoticeKind::ContactOld => String::new(),
    }
}

/// How near it is to being suspended for being degraded too often, which leaves no time for a notice of its own.
fn again(of: &Of<'_>, replayed: &Replayed) -> Option<String> {
    let rules = &of.known.policy.states;
    let from = of.known.now - rules.episodes_window_seconds;
    let episodes = replayed
        .transitions
        .iter()
        .filter(|(id, moved)| {
            *id == of.endpoint.id && moved.to.state == State::Degraded && moved.to.since > from
        })
        .count();
    let left = (rules.episodes_max as usize).saturating_sub(episodes);
    (episodes > 1).then(|| {
        format!(
            "It was degraded {episodes} times within {} days; {left} more within that time, and it is suspended at once.",
            rules.episodes_window_seconds / super::DAY
        )
    })
}
