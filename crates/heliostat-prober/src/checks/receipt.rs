//! What a mirror says of itself at `.well-known/heliostat-mirror.json`: that it never goes back, and never says two things.

use heliostat_directory::{Check, Gate, Receipt, Sample};
use http::StatusCode;
use serde::Deserialize;

use super::passable;
use crate::line::Ask;
use crate::notes::Notes;
use crate::trouble::Trouble;
use crate::walk::Visit;

/// Where it is, below the tree's root.
const PATH: &str = ".well-known/heliostat-mirror.json";
/// The schema that is read.
const SCHEMA: &str = "heliostat.mirror/1";
/// Bytes of it.
const BYTES_MAX: usize = 64 * 1024;

/// The part of it that is looked at.
#[derive(Debug, Deserialize)]
struct Description {
    schema: String,
    state: State,
}

#[derive(Debug, Deserialize)]
struct State {
    serial: Option<u64>,
    snapshot: Option<Snapshot>,
}

#[derive(Debug, Deserialize)]
struct Snapshot {
    version: u64,
    sha256: String,
}

/// Reads it. A mirror need not have one.
pub(super) async fn check(visit: &mut Visit<'_, '_>) -> Result<(), Trouble> {
    let Ok(url) = visit.target.base.join(PATH) else {
        return Ok(());
    };
    let ask = Ask::get(&url, &visit.options.user_agent, BYTES_MAX);
    let Ok(reply) = passable(visit.follow(ask).await)? else {
        return Ok(());
    };
    if reply.status != StatusCode::OK || !reply.whole || reply.is_html() {
        return Ok(());
    }
    let address = Some(visit.address());
    match serde_json::from_slice::<Description>(&reply.body) {
        Ok(description) if description.schema == SCHEMA => {
            let State { serial, snapshot } = description.state;
            visit.seen.receipt = Some(Receipt {
                serial,
                snapshot_version: snapshot.as_ref().map(|snapshot| snapshot.version),
                snapshot_sha256: snapshot
                    .map(|snapshot| snapshot.sha256.chars().take(64).collect()),
            });
        }
        _ => {
            let text = format!("`{PATH}` is not of the schema `{SCHEMA}`");
            visit.notes.note(Check::Receipt, address, text);
        }
    }
    Ok(())
}

/// Holds what a mirror says now against what it said before.
pub(crate) fn judge_receipt(sample: &Sample, before: Option<&Sample>, notes: &mut Notes<'_>) {
    let (Some(now), Some(before)) = (
        sample.receipt.as_ref(),
        before.and_then(|before| before.receipt.as_ref()),
    ) else {
        return;
    };
    if let (Some(version), Some(old)) = (now.snapshot_version, before.snapshot_version) {
        if version < old {
            let text = format!("went back from snapshot {old} to snapshot {version}");
            notes.close(Check::Receipt, Gate::Receipts, None, text);
        } else if contradict(now, before) {
            let text = format!("says two things of snapshot {version}, one after the other");
            notes.close(Check::Receipt, Gate::Receipts, None, text);
        }
        return;
    }
    if now.serial < before.serial {
        let text = format!(
            "went back from serial {} to serial {}",
            before.serial.unwrap_or_default(),
            now.serial.unwrap_or_default()
        );
        notes.warn(Check::Receipt, None, text);
    }
}

/// Whether two descriptions name the same snapshot with different bytes.
pub(super) fn contradict(one: &Receipt, other: &Receipt) -> bool {
    one.snapshot_version.is_some()
        && one.snapshot_version == other.snapshot_version
        && one.snapshot_sha256 != other.snapshot_sha256
}
