//! How fresh a mirror is, by which changes can be seen; what it claims is held against that.

use heliostat_directory::{Check, Coverage};
use heliostat_pypi::page::{ListRead, read_list};
use heliostat_pypi::{ProjectName, Serial};
use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{Method, StatusCode};

use super::passable;
use super::samples::{Judged, look_at};
use crate::agents::{self, PIP};
use crate::line::Ask;
use crate::reference::{Reference, Right};
use crate::trouble::Trouble;
use crate::walk::Visit;

/// Looks for the newest changes, and where one is missing for the oldest that is.
pub(super) async fn check(visit: &mut Visit<'_, '_>, reference: &Reference) -> Result<(), Trouble> {
    claimed(visit).await?;
    let limits = &visit.options.limits;
    let changes = reference.changes();
    let newest = limits.changes.min(changes.len());
    if newest == 0 {
        return Ok(());
    }
    if visit.target.coverage == Coverage::Subset {
        return of_a_part(visit, reference).await;
    }
    let back = limits.changes_back_max.min(changes.len());
    let mut oldest: Option<(usize, Option<i64>)> = None;
    let mut seen = 0;
    for (index, (_, project)) in changes[..newest].iter().enumerate() {
        match look_at(visit, reference, project).await? {
            Judged::Visible => seen += 1,
            Judged::Lacking(at) => oldest = Some((index, at)),
            Judged::Unknown => {}
        }
    }
    if oldest.is_none() {
        if seen > 0 {
            visit.seen.lag_seconds = Some(0);
            visit.seen.serial_proved = Some(changes[0].0.0);
        }
        return Ok(());
    }
    if oldest.is_some_and(|(index, _)| index + 1 == newest) {
        let (mut lacking, mut visible) = (newest - 1, back);
        while visible - lacking > 1 {
            let middle = usize::midpoint(lacking, visible);
            match look_at(visit, reference, &changes[middle].1).await? {
                Judged::Visible => visible = middle,
                Judged::Lacking(at) => {
                    lacking = middle;
                    oldest = Some((middle, at));
                }
                Judged::Unknown => break,
            }
        }
    }
    if let Some((index, at)) = oldest {
        visit.seen.serial_proved = changes.get(index + 1).map(|(serial, _)| serial.0);
        lags(visit, &changes[index], at);
    }
    Ok(())
}

/// How far a mirror of a part followed: up to the newest change that it shows. What it lacks of older ones is what it
/// does not hold, which is no fault; what it lacks of newer ones, of projects that it has, is late.
async fn of_a_part(visit: &mut Visit<'_, '_>, reference: &Reference) -> Result<(), Trouble> {
    let listed = listed(visit).await?;
    let has = |project: &ProjectName| {
        let found = |listed: &ListRead| {
            listed
                .projects
                .binary_search_by(|(name, _)| name.cmp(project))
        };
        listed.as_ref().is_none_or(|listed| found(listed).is_ok())
    };
    let changes = reference.changes().iter().filter(|(_, name)| has(name));
    let mut oldest = None;
    for change in changes.take(visit.options.limits.pages) {
        // That a project is gone is seen on every mirror that never had it.
        if !matches!(reference.right(&change.1).await, Right::Page(_)) {
            continue;
        }
        match look_at(visit, reference, &change.1).await? {
            Judged::Visible => {
                visit.seen.serial_proved = Some(change.0.0);
                visit.seen.lag_seconds = Some(0);
                break;
            }
            Judged::Lacking(at) => oldest = Some((change, at)),
            Judged::Unknown => {}
        }
    }
    if let Some((change, at)) = oldest {
        lags(visit, change, at);
    }
    Ok(())
}

/// The list of projects of a mirror, where it is small enough to be asked for each time.
async fn listed(visit: &mut Visit<'_, '_>) -> Result<Option<ListRead>, Trouble> {
    let limits = &visit.options.limits;
    // The other half is for pages.
    let limit_bytes = limits.budget_bytes_of(visit.options.class) / 2;
    let plain_bytes_max = limits.page_bytes_max;
    let ask = Ask::get(&visit.target.index, PIP.header, limit_bytes)
        .with(ACCEPT, agents::ACCEPT)
        .with(ACCEPT_ENCODING, "gzip");
    let Ok(reply) = passable(visit.follow(ask).await)? else {
        return Ok(None);
    };
    if reply.status != StatusCode::OK || !reply.whole {
        return Ok(None);
    }
    let plain = reply.plain(plain_bytes_max).ok();
    let read = plain.zip(reply.media());
    Ok(read.and_then(|(plain, media)| read_list(&plain, media).ok()))
}

/// Notes the oldest change that is missing. Its age is that of the upload, or else for how long it has been missed.
fn lags(visit: &mut Visit<'_, '_>, (serial, project): &(Serial, ProjectName), at: Option<i64>) {
    let address = Some(visit.address());
    let at = at.unwrap_or_else(|| visit.notes.since(Check::Serial, address));
    let lag = u64::try_from(visit.now - at).unwrap_or(0);
    visit.seen.lag_seconds = Some(lag);
    let text = format!("lacks the change {serial} of `{project}`, which is {lag} s old");
    visit.note_of(Check::Serial, project, text);
    if visit.seen.serial_claimed >= Some(serial.0) {
        let claimed = visit.seen.serial_claimed.unwrap_or_default();
        let text =
            format!("claims the serial {claimed}, and lacks the change {serial} of `{project}`");
        visit.warn_of(Check::Serial, project, text);
    }
}

/// The serial that the root list or the mirror's own description claims.
async fn claimed(visit: &mut Visit<'_, '_>) -> Result<(), Trouble> {
    let mut ask = Ask::get(&visit.target.index, &visit.options.user_agent, 0);
    ask.method = Method::HEAD;
    let Ok(reply) = passable(visit.follow(ask).await)? else {
        return Ok(());
    };
    let described = visit
        .seen
        .receipt
        .as_ref()
        .and_then(|receipt| receipt.serial);
    visit.seen.serial_claimed = reply.serial().map(|serial| serial.0).or(described);
    Ok(())
}
