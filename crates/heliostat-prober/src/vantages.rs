//! What one mirror told several vantages: two statements that it signed and that contradict each other prove that it
//! says one thing here and another there, which nobody sees who looks from one place. Pure.

use std::collections::BTreeMap;

use heliostat_directory::{
    Check, EndpointId, FINDING_CHARS_MAX, FINDINGS_MAX, Finding, Gate, Level, Receipt, Round,
    Sample,
};
use heliostat_trust::receipt::{Receipt as Signed, Statement};
use serde_json::json;

use crate::checks::{proof, states};
use crate::evidence::Evidence;
use crate::notes::faults;

/// One statement, verified.
#[derive(Debug, Clone)]
struct Told {
    statement: Statement,
    receipt: Receipt,
}

/// Everything that was signed with one key in the name of one endpoint, by the mirror's own count of its commits.
#[derive(Debug)]
struct Words {
    told: Vec<Told>,
    /// For each place, where the highest snapshot up to there is, and the lowest from there on.
    highest: Vec<usize>,
    lowest: Vec<usize>,
    /// Statements by the snapshot that they name.
    by_version: BTreeMap<u64, Vec<usize>>,
}

/// Holds what mirrors told others against what they told us: a sample of theirs whose receipt contradicts another one
/// gets the gate, and gives the evidence. Only what verifies counts. The same twice comes to the same.
pub fn compare_vantages(ours: &[Round], theirs: &mut [Round]) -> Vec<Evidence> {
    let mut told: BTreeMap<(EndpointId, String), BTreeMap<(u64, String), Told>> = BTreeMap::new();
    let rounds = ours.iter().chain(theirs.iter());
    for sample in rounds.flat_map(|round| &round.samples) {
        if let Some((key, one)) = told_by(sample) {
            let place = (one.statement.generation, signed_text(&one.receipt));
            let all = told.entry((sample.endpoint.clone(), key)).or_default();
            all.entry(place).or_insert(one);
        }
    }
    let words: BTreeMap<_, Words> = told
        .into_iter()
        .map(|(whose, told)| (whose, Words::new(told.into_values().collect())))
        .collect();
    let mut evidence = Vec::new();
    for round in theirs {
        for sample in &mut round.samples {
            let Some((key, one)) = told_by(sample) else {
                continue;
            };
            let words = words.get(&(sample.endpoint.clone(), key));
            let found = words.and_then(|words| words.against(&one.statement));
            if let Some((other, fault)) = found
                && !sample.gates.contains(&Gate::Receipts)
            {
                evidence.push(charge(sample, (other, &one), &fault, round.at));
            }
        }
    }
    evidence
}

/// What a sample has of a mirror's signed word, if that verifies and is of what was shown.
fn told_by(sample: &Sample) -> Option<(String, Told)> {
    let receipt = sample.receipt.as_ref()?;
    let signed = receipt.signed.as_ref()?;
    let statement = Signed {
        key: signed.key.clone(),
        statement: signed.statement.clone(),
        signature: signed.signature.clone(),
    };
    let statement = statement.verify().ok()?;
    statement.snapshot.as_ref()?;
    let told = Told {
        receipt: receipt.clone(),
        statement,
    };
    states(&told.statement, receipt).then(|| (signed.key.clone(), told))
}

fn signed_text(receipt: &Receipt) -> String {
    let signed = receipt.signed.as_ref();
    signed.map_or_else(String::new, |signed| signed.statement.clone())
}

impl Words {
    /// Of statements by their count of commits, the lowest first.
    fn new(told: Vec<Told>) -> Self {
        let version = |index: usize| version_of(&told[index]);
        let mut highest: Vec<usize> = Vec::new();
        for index in 0..told.len() {
            let best = highest.last().copied().unwrap_or(index);
            highest.push(if version(index) > version(best) {
                index
            } else {
                best
            });
        }
        let mut lowest: Vec<usize> = Vec::new();
        for index in (0..told.len()).rev() {
            let best = lowest.last().copied().unwrap_or(index);
            lowest.push(if version(index) < version(best) {
                index
            } else {
                best
            });
        }
        lowest.reverse();
        let mut by_version: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for index in 0..told.len() {
            by_version.entry(version(index)).or_default().push(index);
        }
        Self {
            told,
            highest,
            lowest,
            by_version,
        }
    }

    /// A statement that cannot be true where this one is, and why.
    fn against(&self, one: &Statement) -> Option<(&Told, String)> {
        let version = one.snapshot.as_ref()?.version;
        let same = self.by_version.get(&version).into_iter().flatten();
        let count = |told: &Told| told.statement.generation;
        let before = self
            .told
            .partition_point(|told| count(told) < one.generation);
        let after = self
            .told
            .partition_point(|told| count(told) <= one.generation);
        let before = before
            .checked_sub(1)
            .and_then(|last| self.highest.get(last));
        let candidates = same.chain(before).chain(self.lowest.get(after));
        candidates
            .map(|&index| &self.told[index])
            .find_map(|other| Some((other, other.statement.contradicts(one)?)))
    }
}

fn version_of(told: &Told) -> u64 {
    let snapshot = told.statement.snapshot.as_ref();
    snapshot.map_or(0, |snapshot| snapshot.version)
}

/// Closes the gate of a sample, with both receipts as the proof, that of fewer commits first.
fn charge(sample: &mut Sample, (one, other): (&Told, &Told), fault: &str, at: i64) -> Evidence {
    let (older, newer) = if one.statement.generation <= other.statement.generation {
        (one, other)
    } else {
        (other, one)
    };
    let text = format!("tells two vantages different things: {fault}");
    let text: String = text.chars().take(FINDING_CHARS_MAX).collect();
    let kind = (Check::Equivocation, Gate::Receipts);
    let expected = json!("one state after the other, for everybody");
    let evidence = {
        let proof = proof(sample, kind, (&text, expected), at);
        Evidence::of_receipts(&proof, (&older.receipt, &newer.receipt))
    };
    sample.gates.insert(Gate::Receipts);
    sample.findings.truncate(FINDINGS_MAX - 1);
    sample.findings.push(Finding {
        check: kind.0,
        level: Level::Fault,
        gate: Some(kind.1),
        address: None,
        since: at,
        text,
        project: None,
        evidence: Some(evidence.sha256.to_hex()),
    });
    sample.faults = faults(&sample.findings);
    evidence
}

#[cfg(test)]
mod tests {
    use heliostat_pypi::Sha256;
    use heliostat_trust::receipt::StatedSnapshot;
    use proptest::prelude::*;

    use super::*;

    fn told((generation, version, digit): (u64, u64, u8)) -> Told {
        let snapshot = StatedSnapshot {
            version,
            sha256: Sha256::of(&[digit]),
        };
        Told {
            statement: Statement::new(None, generation, None, Some(snapshot)),
            receipt: Receipt {
                generation: Some(generation),
                serial: None,
                snapshot_version: Some(version),
                snapshot_sha256: None,
                signed: None,
            },
        }
    }

    proptest! {
        /// The shortcuts find a contradiction where looking at every pair does.
        #[test]
        fn what_every_pair_shows_is_found(
            all in proptest::collection::vec((0_u64..6, 0_u64..6, 0_u8..2), 1..12),
        ) {
            let mut all: Vec<Told> = all.into_iter().map(told).collect();
            all.sort_by_key(|told| told.statement.generation);
            let words = Words::new(all.clone());
            for one in &all {
                let pairs = all.iter().any(|other| other.statement.contradicts(&one.statement).is_some());
                prop_assert_eq!(words.against(&one.statement).is_some(), pairs);
            }
        }
    }
}
