//! Whether an address answers as a mirror does, and the time stamp that the tree carries.

use heliostat_directory::{Check, Coverage};
use http::StatusCode;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::passable;
use crate::agents::PIP;
use crate::line::{Ask, millis};
use crate::reference::Reference;
use crate::reply::{Reply, short};
use crate::trouble::Trouble;
use crate::walk::{Freshness, Visit};

/// The project that nearly every index has.
pub(crate) const CANARY: &str = "pip";
/// Clocks differ.
const FUTURE_SECONDS_MAX: i64 = 120;
/// Bytes of the time stamp.
const STAMP_BYTES_MAX: usize = 200;

/// Asks for one page as pip does. Anything but that page means that the address does not work.
pub(super) async fn check(visit: &mut Visit<'_, '_>, reference: &Reference) -> Result<(), Trouble> {
    let canary = reference.canary(CANARY).clone();
    let reply = visit.page(&canary, &PIP, Freshness::Any).await?;
    visit.seen.first_byte_milliseconds = Some(millis(reply.first_byte));
    let missing = matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::GONE);
    if missing && visit.target.coverage == Coverage::Subset {
        return Ok(());
    }
    if reply.status != StatusCode::OK {
        return Err(Trouble::Answer(refusal(&reply)));
    }
    match reply.page(&canary, visit.options.limits.page_bytes_max) {
        Ok(page) => {
            visit.seen.canary = Some((page, reply));
            Ok(())
        }
        Err(fault) => Err(Trouble::Answer(format!("`{}` {fault}", reply.url.path()))),
    }
}

fn refusal(reply: &Reply) -> String {
    format!(
        "answers {} for `{}`",
        reply.status.as_u16(),
        reply.url.path()
    )
}

/// Reads the time stamp of the tree, in both forms that mirrors write. Only what cannot be is told.
pub(super) async fn last_modified(visit: &mut Visit<'_, '_>) -> Result<(), Trouble> {
    let Ok(url) = visit.target.base.join("last-modified") else {
        return Ok(());
    };
    let ask = Ask::get(&url, &visit.options.user_agent, STAMP_BYTES_MAX);
    let Ok(reply) = passable(visit.follow(ask).await)? else {
        return Ok(());
    };
    if reply.status != StatusCode::OK {
        return Ok(());
    }
    let address = Some(visit.address());
    let text = String::from_utf8_lossy(&reply.body).trim().to_owned();
    match stamp(&text) {
        Some(at) if at > visit.now + FUTURE_SECONDS_MAX => {
            let text = format!("says it was brought up to date at {text}, which is to come");
            visit.notes.warn(Check::LastModified, address, text);
        }
        Some(_) => {}
        None => {
            let text = format!("`last-modified` is no time: `{}`", short(&text));
            visit.notes.note(Check::LastModified, address, text);
        }
    }
    Ok(())
}

/// `20260131T10:20:30`, as bandersnatch writes it, or `2026-01-31T10:20:30`, with or without a `Z`; in UTC.
fn stamp(text: &str) -> Option<i64> {
    let text = text.trim_end_matches('Z');
    ["%Y%m%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S"]
        .iter()
        .find_map(|form| DateTime::strptime(form, text).ok())
        .and_then(|time| time.to_zoned(TimeZone::UTC).ok())
        .map(|time| time.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_stamp_are_read() {
        for text in [
            "20260131T10:20:30",
            "2026-01-31T10:20:30",
            "2026-01-31T10:20:30Z",
        ] {
            assert_eq!(stamp(text), Some(1_769_854_830), "{text}");
        }
        assert_eq!(stamp("yesterday"), None);
    }
}
