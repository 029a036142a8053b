//! What cannot be true together. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::look::Look;

/// A signed document as a source shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Who shows it.
    pub source: String,
    /// Its role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// The document.
    #[serde(skip)]
    pub bytes: Bytes,
}

/// Documents, all signed with the notary's keys, that cannot be true together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// In words.
    pub what: String,
    /// The proof.
    pub documents: Vec<Document>,
}

/// Compares roots, timestamps, snapshots and targets roles.
pub(super) fn heads(looks: &[Look]) -> Vec<Conflict> {
    let mut of_version = BTreeMap::<(String, u64), Vec<Document>>::new();
    for look in looks {
        for document in &look.heads {
            // Where people gave the online role to other keys, versions may begin again.
            let keys = look.keys_of(&document.role);
            let key = (format!("{} {keys}", document.role), document.version);
            of_version.entry(key).or_default().push(document.clone());
        }
    }
    let mut conflicts: Vec<Conflict> = of_version
        .into_values()
        .filter_map(two_of_one_version)
        .collect();
    for (at, one) in looks.iter().enumerate() {
        for other in &looks[at + 1..] {
            conflicts.extend(out_of_order(one, other));
        }
    }
    conflicts
}

/// Bins that at least two sources pin at one version, with the places of those that do.
pub(super) fn shared_bins(looks: &[Look]) -> Vec<(String, u64, Vec<usize>)> {
    let mut of_version = BTreeMap::<(String, u64, String), Vec<usize>>::new();
    for (at, look) in looks.iter().enumerate() {
        for (role, version) in look.bins() {
            let keys = look.keys_of("snapshot");
            of_version
                .entry((role, version, keys))
                .or_default()
                .push(at);
        }
    }
    of_version
        .into_iter()
        .filter(|(_, of)| of.len() > 1)
        .map(|((role, version, _), of)| (role, version, of))
        .collect()
}

/// Whether documents of one role and version say different things; of those that say the same one is enough.
pub(super) fn two_of_one_version(
    documents: impl IntoIterator<Item = Document>,
) -> Option<Conflict> {
    let mut different: Vec<(Value, Document)> = Vec::new();
    for document in documents {
        // It has verified, so it can be read.
        let mut file: Value = serde_json::from_slice(&document.bytes).ok()?;
        let signed = file["signed"].take();
        if different.iter().all(|(known, _)| *known != signed) {
            different.push((signed, document));
        }
    }
    let documents: Vec<Document> = different.into_iter().map(|(_, one)| one).collect();
    let first = documents.first().filter(|_| documents.len() > 1)?;
    Some(Conflict {
        what: format!(
            "{} different documents of `{}` have version {}",
            documents.len(),
            first.role,
            first.version
        ),
        documents,
    })
}

/// Whether one of two states is neither the other one's past nor its future.
fn out_of_order(one: &Look, other: &Look) -> Option<Conflict> {
    if one.keys_of("snapshot") != other.keys_of("snapshot") {
        return None;
    }
    let (older, newer) = if one.view().timestamp <= other.view().timestamp {
        (one, other)
    } else {
        (other, one)
    };
    let pins = newer.pins();
    let back = older.pins().iter().find_map(|(role, version)| {
        let later = pins.get(role).copied();
        (later < Some(*version)).then(|| format!("`{role}` back from version {version}"))
    });
    let back = back.or_else(|| {
        let (before, after) = (older.view().snapshot, newer.view().snapshot);
        (after < before).then(|| format!("`snapshot` back from version {before}"))
    })?;
    let of = |look: &Look| {
        let heads = look.heads.iter();
        let online = |document: &&Document| ["timestamp", "snapshot"].contains(&&*document.role);
        heads.filter(online).cloned().collect::<Vec<_>>()
    };
    Some(Conflict {
        what: format!(
            "the newer timestamp {} takes {back} of timestamp {}",
            newer.view().timestamp,
            older.view().timestamp
        ),
        documents: [of(older), of(newer)].concat(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(source: &str, text: &'static str) -> Document {
        Document {
            source: source.to_owned(),
            role: "timestamp".to_owned(),
            version: 7,
            bytes: Bytes::from_static(text.as_bytes()),
        }
    }

    #[test]
    fn other_signatures_are_no_other_statement() {
        let one = document("a", r#"{"signed":{"version":7,"x":1},"signatures":[]}"#);
        let respelt = document("b", r#"{"signatures":[1],"signed":{"x":1,"version":7}}"#);
        let other = document("c", r#"{"signed":{"version":7,"x":2},"signatures":[]}"#);
        assert_eq!(two_of_one_version([one.clone(), respelt.clone()]), None);
        let conflict = two_of_one_version([one, respelt, other]).expect("two statements");
        let sources: Vec<&str> = conflict.documents.iter().map(|one| &*one.source).collect();
        assert_eq!(sources, ["a", "c"]);
        assert_eq!(
            conflict.what,
            "2 different documents of `timestamp` have version 7"
        );
    }
}
