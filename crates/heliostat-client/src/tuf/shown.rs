//! What mirrors show as their timestamp, and in which order it is tried. Pure.
//!
//! Two documents of one version, both rightly signed, are the proof of a split view: whoever holds the online key
//! tells different clients different things. Neither can be preferred, so neither is.

use bytes::Bytes;
use serde::Deserialize;
use sigstore_tuf::metadata::Timestamp;

use super::trusted::{Naming, Trusted};
use crate::mirrors::MirrorId;

/// One timestamp that may be trusted, as far as it goes by itself.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) version: u64,
    pub(crate) body: Bytes,
    /// Who shows it.
    pub(crate) by: Vec<MirrorId>,
    /// Whether it is the one that is trusted already.
    pub(crate) held: bool,
    /// What would be trusted with it.
    pub(crate) trusted: Trusted,
}

/// Every timestamp seen in one refresh.
#[derive(Debug)]
pub(crate) struct ShownTimestamps {
    naming: Naming,
    list: Vec<Shown>,
    splits: Vec<Split>,
}

/// Two signed documents of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) version: u64,
    /// The one that was seen first, then the other one.
    pub(crate) documents: [Bytes; 2],
}

impl ShownTimestamps {
    /// Nothing so far. Split views are looked for in trees of ours; of any other repository the specification asks for
    /// nothing more than that versions do not go back.
    pub(crate) const fn new(naming: Naming) -> Self {
        Self {
            naming,
            list: Vec::new(),
            splits: Vec::new(),
        }
    }

    /// Begins with what is trusted already: whatever differs from it is the other one.
    pub(crate) fn hold(&mut self, body: Bytes, trusted: Trusted) {
        if let Some(version) = trusted.timestamp_version() {
            self.list.push(Shown {
                version,
                body,
                by: Vec::new(),
                held: true,
                trusted,
            });
        }
    }

    /// Takes note of a timestamp that a mirror shows and that verifies. Gives the split that it proves.
    pub(crate) fn add(&mut self, id: MirrorId, body: &Bytes, trusted: Trusted) -> Option<Split> {
        let version = trusted.timestamp_version()?;
        let Some(known) = self.list.iter_mut().find(|known| known.version == version) else {
            self.list.push(Shown {
                version,
                body: body.clone(),
                by: vec![id],
                held: false,
                trusted,
            });
            return None;
        };
        let same = || statement(body).as_ref() == known.trusted.set().timestamp();
        if self.naming == Naming::Any || same() {
            known.by.push(id);
            return None;
        }
        let split = Split {
            version,
            documents: [known.body.clone(), body.clone()],
        };
        self.splits.push(split.clone());
        Some(split)
    }

    /// The timestamps to try, the newest first. One that is new and split is left out, since nothing tells which half
    /// is right; for each such half the mirror that showed it first is given. One that was trusted before stays so.
    pub(crate) fn in_order(self) -> (Vec<Shown>, Vec<(MirrorId, Split)>) {
        let Self { list, splits, .. } = self;
        let mut fine = Vec::new();
        let mut split = Vec::new();
        // What no mirror shows is nothing to go on with.
        for shown in list.into_iter().filter(|shown| !shown.by.is_empty()) {
            let proof = splits.iter().find(|split| split.version == shown.version);
            match proof.filter(|_| !shown.held) {
                None => fine.push(shown),
                Some(proof) => split.extend(shown.by.iter().map(|id| (*id, proof.clone()))),
            }
        }
        fine.sort_by_key(|shown| std::cmp::Reverse(shown.version));
        (fine, split)
    }
}

/// What a document signs: other signatures of it, or another spelling, are no other statement.
fn statement(body: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Envelope {
        signed: Timestamp,
    }
    serde_json::from_slice(body)
        .ok()
        .map(|Envelope { signed }| signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_and_spelling_are_no_statement() {
        let document = |before: &str, expires: &str| {
            format!(
                r#"{{{before}"signed":{{"_type":"timestamp","spec_version":"1.0.34","version":1,
                "expires":"{expires}","meta":{{"snapshot.json":{{"version":1}}}}}}}}"#
            )
        };
        let one = statement(document("", "2030-01-01T00:00:00Z").as_bytes());
        let respelt = statement(document("\"signatures\":[], ", "2030-01-01T00:00:00Z").as_bytes());
        let other = statement(document("", "2030-01-02T00:00:00Z").as_bytes());
        assert!(one.is_some());
        assert_eq!(one, respelt);
        assert_ne!(one, other);
    }
}
