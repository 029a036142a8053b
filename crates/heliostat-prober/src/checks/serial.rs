//! How fresh a mirror is, by which changes can be seen; what it claims is held against that.

use heliostat_directory::{Check, Coverage};
use http::Method;

use super::passable;
use super::samples::{Judged, look_at};
use crate::line::Ask;
use crate::reference::Reference;
use crate::trouble::Trouble;
use crate::walk::Visit;

/// Looks for the newest changes, and where one is missing for the oldest that is.
pub(super) async fn check(visit: &mut Visit<'_, '_>, reference: &Reference) -> Result<(), Trouble> {
    claimed(visit).await?;
    let limits = &visit.options.limits;
    let changes = reference.changes();
    let newest = limits.changes.min(changes.len());
    // Where a mirror holds a part, what it lacks is no proof of anything.
    if newest == 0 || visit.target.coverage == Coverage::Subset {
        return Ok(());
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
    lags(visit, reference, oldest);
    Ok(())
}

/// Notes the oldest change that is missing. Its age is that of the upload, or else for how long it has been missed.
fn lags(visit: &mut Visit<'_, '_>, reference: &Reference, oldest: Option<(usize, Option<i64>)>) {
    let Some((index, at)) = oldest else { return };
    let address = Some(visit.address());
    let at = at.unwrap_or_else(|| visit.notes.since(Check::Serial, address));
    let lag = u64::try_from(visit.now - at).unwrap_or(0);
    visit.seen.lag_seconds = Some(lag);
    let changes = reference.changes();
    let (serial, project) = &changes[index];
    visit.seen.serial_proved = changes.get(index + 1).map(|(serial, _)| serial.0);
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
