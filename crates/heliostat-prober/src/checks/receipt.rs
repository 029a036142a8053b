//! What a mirror says of itself at `.well-known/heliostat-mirror.json`: that it never goes back, and never says two things.
//!
//! Where it signs that, two statements that cannot both be true prove it to everybody; where it does not, the prober says
//! what it was told.

use heliostat_directory::{Check, Gate, Receipt, Sample, SignedReceipt};
use heliostat_trust::receipt::{Receipt as Signed, Statement};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::passable;
use crate::evidence::{Evidence, Proof};
use crate::line::Ask;
use crate::notes::Notes;
use crate::reply::Reply;
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
    receipt: Option<Signed>,
}

#[derive(Debug, Deserialize)]
struct State {
    generation: Option<u64>,
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
            let State {
                generation,
                serial,
                snapshot,
            } = description.state;
            let shown = Receipt {
                generation,
                serial,
                snapshot_version: snapshot.as_ref().map(|snapshot| snapshot.version),
                snapshot_sha256: snapshot
                    .map(|snapshot| snapshot.sha256.chars().take(64).collect()),
                signed: None,
            };
            let signed = signed(visit, &shown, description.receipt, &reply);
            visit.seen.receipt = Some(Receipt { signed, ..shown });
        }
        _ => {
            let text = format!("`{PATH}` is not of the schema `{SCHEMA}`");
            visit.notes.note(Check::Receipt, address, text);
        }
    }
    Ok(())
}

/// The signed statement, where it is one, of the state that is shown, by the key that the list has.
fn signed(
    visit: &mut Visit<'_, '_>,
    shown: &Receipt,
    receipt: Option<Signed>,
    reply: &Reply,
) -> Option<SignedReceipt> {
    let key = visit.target.receipt_key.as_deref();
    let Some(receipt) = receipt else {
        if key.is_some() {
            let text = "signs no receipt any more, though the list has its key";
            let address = Some(visit.address());
            visit.notes.warn(Check::Receipt, address, text);
        }
        return None;
    };
    let fault = match receipt.verify() {
        Err(error) => error.to_string(),
        Ok(statement) if !states(&statement, shown) => {
            "the receipt signs another state than is shown beside it".to_owned()
        }
        Ok(_) if key.is_some_and(|key| key != receipt.key) => {
            "the receipt is signed with another key than the list has".to_owned()
        }
        Ok(_) => {
            return Some(SignedReceipt {
                key: receipt.key,
                statement: receipt.statement,
                signature: receipt.signature,
            });
        }
    };
    let text = format!("`{PATH}`: {fault}");
    let expected = json!({"key": key});
    let agent = visit.options.user_agent.clone();
    let kind = (Check::Receipt, Gate::Receipts);
    visit.prove(kind, text, (reply, &agent), expected);
    None
}

/// Whether a statement is of the state that is shown.
pub(crate) fn states(statement: &Statement, shown: &Receipt) -> bool {
    let snapshot = statement.snapshot.as_ref();
    Some(statement.generation) == shown.generation
        && statement.serial == shown.serial
        && snapshot.map(|snapshot| snapshot.version) == shown.snapshot_version
        && snapshot.map(|snapshot| snapshot.sha256.to_hex()) == shown.snapshot_sha256
}

/// Holds what a mirror says now against what it said before.
pub(crate) fn judge_receipt(
    sample: &Sample,
    before: Option<&Sample>,
    notes: &mut Notes<'_>,
    now: i64,
) {
    let (Some(newer), Some(older)) = (
        sample.receipt.as_ref(),
        before.and_then(|before| before.receipt.as_ref()),
    ) else {
        return;
    };
    if let (Some(one), Some(other)) = (&newer.signed, &older.signed)
        && one.key != other.key
    {
        let text = "signs its receipt with another key than before";
        notes.warn(Check::Receipt, None, text);
    }
    let back = match (newer.snapshot_version, older.snapshot_version) {
        (Some(version), Some(old)) if version < old => Some(format!(
            "went back from snapshot {old} to snapshot {version}"
        )),
        _ => contradiction(older, newer),
    };
    if let Some(text) = back {
        let pair = (older, newer);
        close(sample, notes, (Check::Receipt, text), (pair, now));
        return;
    }
    if newer.snapshot_version.is_none() && newer.serial < older.serial {
        let text = format!(
            "went back from serial {} to serial {}",
            older.serial.unwrap_or_default(),
            newer.serial.unwrap_or_default()
        );
        notes.warn(Check::Receipt, None, text);
    }
}

/// Closes the gate with both receipts as the proof.
pub(super) fn close(
    sample: &Sample,
    notes: &mut Notes<'_>,
    (check, text): (Check, String),
    (pair, now): ((&Receipt, &Receipt), i64),
) {
    let kind = (check, Gate::Receipts);
    let expected = json!("one state after the other");
    let proof = proof(sample, kind, (&text, expected), now);
    let evidence = Evidence::of_receipts(&proof, pair);
    notes.prove(kind, None, text, evidence);
}

/// What is proved of a mirror in all its addresses.
pub(crate) fn proof<'a>(
    sample: &'a Sample,
    (check, gate): (Check, Gate),
    (text, expected): (&'a str, serde_json::Value),
    now: i64,
) -> Proof<'a> {
    Proof {
        endpoint: &sample.endpoint,
        vantage: &sample.vantage,
        at: now,
        check,
        gate,
        address: None,
        agent: "",
        text,
        expected,
    }
}

/// Why two receipts of one mirror cannot both be honest, where that is so: by what was signed where both are, else by
/// what was shown.
pub(super) fn contradiction(one: &Receipt, other: &Receipt) -> Option<String> {
    if let (Some(first), Some(second)) = (&one.signed, &other.signed)
        && first.key == second.key
    {
        let read = |signed: &SignedReceipt| -> Option<Statement> {
            serde_json::from_str(&signed.statement).ok()
        };
        let found = read(first)?.contradicts(&read(second)?)?;
        return Some(format!("signed receipts contradict each other: {found}"));
    }
    let version = one.snapshot_version?;
    (Some(version) == other.snapshot_version && one.snapshot_sha256 != other.snapshot_sha256)
        .then(|| format!("says two things of snapshot {version}"))
}
