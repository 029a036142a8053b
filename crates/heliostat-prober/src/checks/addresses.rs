//! The addresses of one name against each other: the same serial is the same page, the same snapshot the same bytes.

use std::net::IpAddr;

use heliostat_directory::{Check, Gate, Sample};
use serde_json::json;

use super::compare::listed;
use super::receipt::{close, contradiction, proof};
use crate::evidence::Evidence;
use crate::notes::Notes;
use crate::walk::Seen;

/// Bytes of each of two pages that are kept to prove that they differ.
const BODY_BYTES_MAX: usize = 128_000;

/// Notes where two addresses of a name say different things.
pub(crate) fn compare_addresses<D>(
    sample: &Sample,
    all: &[(IpAddr, D, Seen)],
    notes: &mut Notes<'_>,
    now: i64,
) {
    for (index, (address, _, seen)) in all.iter().enumerate() {
        for (other_address, _, other) in &all[index + 1..] {
            let pair = format!("{address} and {other_address}");
            if let (Some(one), Some(other)) = (&seen.receipt, &other.receipt)
                && let Some(fault) = contradiction(one, other)
            {
                let text = format!("{pair} say different things: {fault}");
                let found = ((one, other), now);
                close(sample, notes, (Check::Equivocation, text), found);
            }
            if let (Some((one, reply)), Some((other, other_reply))) = (&seen.canary, &other.canary)
                && one.serial.is_some()
                && one.serial == other.serial
                && listed(one) != listed(other)
            {
                let text = format!(
                    "{pair} give different pages of `{}` at the same serial",
                    one.name
                );
                let kind = (Check::Equivocation, Gate::Integrity);
                let expected = json!({"project": one.name, "serial": one.serial});
                let proof = proof(sample, kind, (&text, expected), now);
                let pair = [(*address, reply), (*other_address, other_reply)];
                let evidence = Evidence::of_pair(&proof, pair, BODY_BYTES_MAX);
                notes.prove(kind, None, text, evidence);
            }
            if let (Some(one), Some(other)) = (seen.serial_proved, other.serial_proved)
                && one != other
            {
                let text = format!("{pair} are at different serials, {one} and {other}");
                notes.note(Check::Dns, None, text);
            }
        }
    }
}
