//! Each snapshot is judged twice: over its text, as those of trees of ours are, and by the state machine, as all others
//! are. Both must come to the same end.

use std::collections::BTreeMap;

use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{
    self as ours, Authority, Expiry, Metadata as _, RoleName, Version,
};
use jiff::SignedDuration;
use serde_json::json;

use super::super::trusted::{Naming, Trusted};
use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn key(number: u8) -> SigningKey {
    heliostat_trust::crypto::install();
    SigningKey::from_seed(&[number; 32])
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

fn expires(hours: i64) -> Expiry {
    Expiry::after(NOW, SignedDuration::from_hours(hours)).unwrap()
}

/// A snapshot that pins these roles, for two hours.
fn snapshot(number: u64, roles: &[(&str, u64)]) -> ours::Snapshot {
    let roles = roles.iter().map(|(name, number)| {
        let name: RoleName = name.parse().unwrap();
        (name, ours::Pin::version(version(*number)))
    });
    ours::Snapshot {
        version: version(number),
        expires: expires(2),
        roles: roles.collect(),
        coverage: None,
    }
}

fn signed(value: &impl ours::Metadata) -> Vec<u8> {
    value.unsigned().sign(&key(7)).to_file()
}

/// A field of the signed part changed, and signed again.
fn changed(snapshot: &ours::Snapshot, field: &str, value: Value) -> Vec<u8> {
    let mut file: Value = serde_json::from_slice(&signed(snapshot)).unwrap();
    file["signed"][field] = value;
    let text = sigstore_tuf::canonical_json::to_canonical_bytes(&file["signed"]).unwrap();
    file["signatures"][0]["sig"] = json!(key(7).sign(&text).to_string());
    let signatures = serde_json::to_vec(&file["signatures"]).unwrap();
    [
        b"{\"signatures\":",
        &*signatures,
        b",\"signed\":",
        &text,
        b"}",
    ]
    .concat()
}

/// The same document spelt with a space, which says the same and is not what was signed, byte for byte.
fn respelt(file: &[u8]) -> Vec<u8> {
    [b"{ ", &file[1..]].concat()
}

/// Clients of both kinds that trust a timestamp of an hour, which pins this file, and have trusted `before`.
fn clients(before: Option<&[u8]>, pinned: ours::Pin) -> [Trusted; 2] {
    let single = Authority::single(key(7).public().clone());
    let root = signed(&ours::Root {
        version: version(1),
        expires: expires(9),
        root: single.clone(),
        targets: single.clone(),
        snapshot: single.clone(),
        timestamp: single,
    });
    let timestamp = |number: u64, snapshot: ours::Pin| {
        signed(&ours::Timestamp {
            version: version(number),
            expires: expires(1),
            snapshot,
            signed_at: None,
        })
    };
    [Naming::Ours, Naming::Any].map(|naming| {
        let mut client = Trusted::from_root(&root, naming).unwrap();
        if let Some(before) = before {
            let pin = ours::Pin::version(version(1));
            client.update_timestamp(&timestamp(1, pin), NOW).unwrap();
            client.update_snapshot(before, NOW).unwrap();
        }
        let newer = timestamp(2, pinned);
        client.update_timestamp(&newer, NOW).unwrap();
        client
    })
}

/// What both say of a file, as it is and respelt, where its version alone is pinned.
fn judged(
    before: Option<&[u8]>,
    number: u64,
    file: &[u8],
    now: Timestamp,
) -> Vec<Result<(), Error>> {
    let mut judged = Vec::new();
    for file in [file.to_vec(), respelt(file)] {
        for mut client in clients(before, ours::Pin::version(version(number))) {
            let trusted_before = client.snapshot_version();
            let outcome = client.update_snapshot(&file, now);
            let expected = outcome.as_ref().map_or(trusted_before, |()| Some(number));
            assert_eq!(client.snapshot_version(), expected, "{outcome:?}");
            judged.push(outcome);
        }
    }
    judged
}

const ROLES: [(&str, u64); 3] = [("targets", 1), ("bins", 1), ("bin-16-a", 4)];

#[test]
fn what_the_state_machine_takes_is_taken_and_found() {
    let file = signed(&snapshot(2, &ROLES));
    let before = signed(&snapshot(1, &ROLES[..2]));
    for before in [None, Some(&*before)] {
        for outcome in judged(before, 2, &file, NOW) {
            outcome.unwrap();
        }
    }
    let mut found = Vec::new();
    for file in [file.clone(), respelt(&file)] {
        for mut client in clients(None, ours::Pin::exact(version(2), &file)) {
            client.update_snapshot(&file, NOW).unwrap();
            let pins = client.pins().unwrap().clone();
            let versions: BTreeMap<_, _> = pins.versions().collect();
            assert_eq!(versions, BTreeMap::from(ROLES));
            for (role, number) in ROLES {
                assert_eq!(pins.get(role).unwrap().version, number);
            }
            assert_eq!(pins.get("bin-16-b"), None);
            assert_eq!(pins.get("targets.json"), None);
            found.push(pins);
        }
    }
    // Another spelling is no other statement.
    assert!(found[0].says_the_same(&found[2]));
    let mut other = clients(None, ours::Pin::version(version(2)));
    let more = snapshot(2, &[("targets", 1), ("bins", 1), ("bin-16-a", 5)]);
    other[0].update_snapshot(&signed(&more), NOW).unwrap();
    assert!(!found[0].says_the_same(other[0].pins().unwrap()));
}

/// What is wrong with a file, the file, when it comes, and the error that it makes.
type Case<'a> = (&'a str, Vec<u8>, Timestamp, fn(&Error) -> bool);

/// Both refuse, however it is spelt, where the snapshot before pinned [`ROLES`].
fn refused(cases: Vec<Case<'_>>) {
    let before = signed(&snapshot(1, &ROLES));
    for (what, file, now, is_right) in cases {
        for (at, outcome) in judged(Some(&before), 2, &file, now).into_iter().enumerate() {
            let error = outcome.unwrap_err();
            assert!(is_right(&error), "{what}, {at}: {error:?}");
        }
    }
}

#[test]
fn what_the_right_key_did_not_sign_once_is_refused() {
    let right = snapshot(2, &ROLES);
    let text = String::from_utf8(signed(&right)).unwrap();
    let (start, end) = (text.find('[').unwrap() + 1, text.find(']').unwrap());
    let one = &text[start..end];
    let twice = format!("{one},{one}");
    let unsigned: fn(&Error) -> bool = |error| matches!(error, Error::ThresholdNotMet { .. });
    let with = |from: &str, to: &str| text.replacen(from, to, 1).into_bytes();
    let other = right.unsigned().sign(&key(8)).to_file();
    refused(vec![
        ("altered", with("n\":4", "n\":5"), NOW, unsigned),
        ("another key", other, NOW, unsigned),
        ("no signature", with(one, ""), NOW, unsigned),
        ("a key twice", with(one, &twice), NOW, |error| {
            matches!(error, Error::DuplicateSignature { .. })
        }),
    ]);
}

#[test]
fn what_a_snapshot_must_not_say_is_refused() {
    let file = |number, roles: &[(&str, u64)]| signed(&snapshot(number, roles));
    let right = snapshot(2, &ROLES);
    let with = |field: &str, value| changed(&right, field, value);
    let mismatch: fn(&Error) -> bool = |error| matches!(error, Error::IntegrityMismatch(_));
    let ended: fn(&Error) -> bool = |error| matches!(error, Error::Expired { .. });
    let malformed: fn(&Error) -> bool = |error| matches!(error, Error::Malformed(_));
    let unread: fn(&Error) -> bool = |error| matches!(error, Error::Json(_));
    let back = [ROLES[0], ROLES[1], ("bin-16-a", 3)];
    let cut = file(2, &ROLES)[..200].to_vec();
    let past = json!("1969-12-31T23:59:59Z");
    let later = NOW + SignedDuration::from_hours(2);
    refused(vec![
        ("another version", file(3, &ROLES), NOW, mismatch),
        ("a role gone", file(2, &ROLES[..2]), NOW, mismatch),
        ("a role gone back", file(2, &back), NOW, |error| {
            matches!(
                error,
                Error::Rollback {
                    trusted: 4,
                    new: 3,
                    ..
                }
            )
        }),
        ("a timestamp that ended", file(2, &ROLES), later, ended),
        ("its own end", with("expires", past), NOW, ended),
        ("its kind", with("_type", json!("root")), NOW, malformed),
        (
            "the next TUF",
            with("spec_version", json!("2.0")),
            NOW,
            malformed,
        ),
        ("no roles", with("meta", Value::Null), NOW, unread),
        ("cut", cut, NOW, unread),
    ]);
}

#[test]
fn a_file_that_is_not_the_pinned_one_is_refused_before_it_is_read() {
    let file = signed(&snapshot(2, &ROLES));
    let other = signed(&snapshot(2, &ROLES[..2]));
    for mut client in clients(None, ours::Pin::exact(version(2), &other)) {
        let refused = client.update_snapshot(&file, NOW);
        assert!(
            matches!(refused, Err(Error::IntegrityMismatch(_))),
            "{refused:?}"
        );
    }
}

/// Names come in any order, and none twice.
#[test]
fn roles_are_put_in_order() {
    let said = |meta: &str| serde_json::from_str::<Files>(meta).map(|Files(files)| files);
    let files = said(
        r#"{"b.json":{"version":2},"a.json":{"version":1,"length":7,"hashes":{"sha256":"00"}}}"#,
    );
    let files = files.unwrap();
    assert_eq!((&*files[0].0, files[0].1.length_bytes), ("a.json", Some(7)));
    assert_eq!((&*files[1].0, files[1].1.version), ("b.json", 2));
    assert!(said(r#"{"b.json":{"version":2},"b.json":{"version":2}}"#).is_err());
    assert!(said(r#"{"b.json":{"version":-2}}"#).is_err());
}
