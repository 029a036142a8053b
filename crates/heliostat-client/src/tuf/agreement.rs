//! What judges over the text, and the state machine, are given the same changed files: what one of them takes, the other
//! takes, and both understand the same by it.

use std::collections::BTreeMap;

use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{
    self as ours, Authority, Delegation, Expiry, Pin, RoleName, Scope, Version,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::trusted::{Naming, Trusted};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// What is done to a file before it is offered.
#[derive(Debug, Clone)]
struct Change {
    /// A member of the signed part, by the names that lead to it.
    member: &'static [&'static str],
    /// What it is replaced with; without it, it is taken away.
    value: Option<Value>,
    signer: Signer,
    spelling: Spelling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signer {
    Right,
    Twice,
    Wrong,
    Nobody,
    /// The signature of the file before it was changed.
    Before,
}

#[derive(Debug, Clone, Copy)]
enum Spelling {
    AsWritten,
    SignedFirst,
    Pretty,
    LineAfter,
}

fn changes() -> impl Strategy<Value = Change> {
    let member = prop::sample::select(vec![
        &["_type"][..],
        &["spec_version"],
        &["version"],
        &["expires"],
        &["meta"],
        &["meta", "targets.json"],
        &["meta", "targets.json", "version"],
        &["meta", "targets.json", "length"],
        &["meta", "bins.json"],
        &["meta", "bins.json", "version"],
        &["meta", "bins.json", "hashes"],
        &["meta", "more.json"],
        &["x-heliostat"],
        &["x-heliostat-role"],
        &["targets"],
        &["targets", "a"],
        &["delegations"],
        &["delegations", "keys"],
        &["delegations", "roles"],
        &["more"],
    ]);
    let value = prop::sample::select(vec![
        None,
        Some(Value::Null),
        Some(json!(0)),
        Some(json!(1)),
        Some(json!(2)),
        Some(json!(3)),
        Some(json!(-1)),
        Some(json!(true)),
        Some(json!("")),
        Some(json!("1.0.31")),
        Some(json!("2.0.0")),
        Some(json!("targets")),
        Some(json!("snapshot")),
        Some(json!("1960-01-01T00:00:00Z")),
        Some(json!("2030-01-01T00:00:00Z")),
        Some(json!({})),
        Some(json!([])),
        Some(json!({ "version": 1 })),
        Some(json!({ "version": 1, "length": 7, "hashes": { "sha256": "00" } })),
        Some(json!({ "sha256": "00" })),
    ]);
    // Mostly as it should be, so that what was changed is looked at.
    let signer = prop::sample::select(vec![
        Signer::Right,
        Signer::Right,
        Signer::Right,
        Signer::Twice,
        Signer::Wrong,
        Signer::Nobody,
        Signer::Before,
    ]);
    let spelling = prop::sample::select(vec![
        Spelling::AsWritten,
        Spelling::AsWritten,
        Spelling::SignedFirst,
        Spelling::Pretty,
        Spelling::LineAfter,
    ]);
    (member, value, signer, spelling).prop_map(|(member, value, signer, spelling)| Change {
        member,
        value,
        signer,
        spelling,
    })
}

impl Change {
    fn of(&self, file: &[u8]) -> Vec<u8> {
        let mut file: Value = serde_json::from_slice(file).unwrap();
        let (last, before) = self.member.split_last().unwrap();
        let holder = before
            .iter()
            .try_fold(&mut file["signed"], |holder, name| holder.get_mut(*name));
        if let Some(Value::Object(holder)) = holder {
            match &self.value {
                Some(value) => drop(holder.insert((*last).to_owned(), value.clone())),
                None => drop(holder.remove(*last)),
            }
        }
        let text = sigstore_tuf::canonical_json::to_canonical_bytes(&file["signed"]).unwrap();
        let by = |key: SigningKey| json!({ "keyid": key.public().id().to_string(), "sig": key.sign(&text).to_string() });
        let signatures = match self.signer {
            Signer::Right => json!([by(key(7))]),
            Signer::Twice => json!([by(key(7)), by(key(7))]),
            Signer::Wrong => json!([by(key(8))]),
            Signer::Nobody => json!([]),
            Signer::Before => file["signatures"].clone(),
        };
        let text = String::from_utf8(text).unwrap();
        match self.spelling {
            Spelling::AsWritten => format!("{{\"signatures\":{signatures},\"signed\":{text}}}"),
            Spelling::SignedFirst => format!("{{\"signed\":{text},\"signatures\":{signatures}}}"),
            Spelling::LineAfter => format!("{{\"signatures\":{signatures},\"signed\":{text}}}\n"),
            Spelling::Pretty => {
                let whole = json!({ "signatures": signatures, "signed": file["signed"] });
                serde_json::to_string_pretty(&whole).unwrap()
            }
        }
        .into_bytes()
    }
}

fn key(number: u8) -> SigningKey {
    heliostat_trust::crypto::install();
    SigningKey::from_seed(&[number; 32])
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

fn expires() -> Expiry {
    Expiry::after(NOW, SignedDuration::from_hours(1)).unwrap()
}

fn signed(value: &impl ours::Metadata) -> Vec<u8> {
    value.unsigned().sign(&key(7)).to_file()
}

fn snapshot(number: u64) -> Vec<u8> {
    let roles = [RoleName::targets(), RoleName::bins()];
    signed(&ours::Snapshot {
        version: version(number),
        expires: expires(),
        roles: roles
            .map(|role| (role, Pin::version(version(number))))
            .into(),
        coverage: None,
    })
}

fn targets() -> Vec<u8> {
    let page = ours::TargetFile {
        sha256: heliostat_pypi::Sha256::of(b"page"),
        size_bytes: 4,
    };
    signed(&ours::Targets {
        role: RoleName::targets(),
        version: version(2),
        expires: expires(),
        targets: BTreeMap::from([("a".to_owned(), page)]),
        delegations: vec![Delegation {
            name: RoleName::bins(),
            authority: Authority::single(key(7).public().clone()),
            scope: Scope::Paths(vec!["simple/*/*".to_owned()]),
            terminating: false,
        }],
    })
}

/// Of trees of ours and of any other: both trust the first snapshot and the second timestamp.
fn clients() -> [Trusted; 2] {
    let single = Authority::single(key(7).public().clone());
    let root = signed(&ours::Root {
        version: version(1),
        expires: expires(),
        root: single.clone(),
        targets: single.clone(),
        snapshot: single.clone(),
        timestamp: single,
    });
    let timestamp = |number| {
        signed(&ours::Timestamp {
            version: version(number),
            expires: expires(),
            snapshot: Pin::version(version(number)),
            signed_at: None,
        })
    };
    [Naming::Ours, Naming::Any].map(|naming| {
        let mut client = Trusted::from_root(&root, naming).unwrap();
        client.update_timestamp(&timestamp(1), NOW).unwrap();
        client.update_snapshot(&snapshot(1), NOW).unwrap();
        client.update_timestamp(&timestamp(2), NOW).unwrap();
        client
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn about_snapshots(change in changes()) {
        let file = change.of(&snapshot(2));
        let [mut over_text, mut state_machine] = clients();
        let (one, other) =
            (over_text.update_snapshot(&file, NOW), state_machine.update_snapshot(&file, NOW));
        prop_assert_eq!(one.is_ok(), other.is_ok(), "{:?}, {:?}", one, other);
        let pins = |client: &Trusted| {
            let pins = client.pins().unwrap().clone();
            let roles: Vec<_> = pins.versions().map(|(role, _)| role.to_owned()).collect();
            roles.into_iter().map(|role| (pins.get(&role).cloned(), role)).collect::<Vec<_>>()
        };
        prop_assert_eq!(pins(&over_text), pins(&state_machine));
        prop_assert_eq!(over_text.snapshot_version(), state_machine.snapshot_version());
    }

    #[test]
    fn about_targets(change in changes()) {
        let file = change.of(&targets());
        let [mut over_text, mut state_machine] = clients();
        for client in [&mut over_text, &mut state_machine] {
            client.update_snapshot(&snapshot(2), NOW).unwrap();
        }
        let (one, other) =
            (over_text.update_targets(&file, NOW), state_machine.update_targets(&file, NOW));
        // Ours must say whose they are beside.
        let says_its_name = !change.member.contains(&"x-heliostat-role")
            || change.value == Some(json!("targets"));
        prop_assert_eq!(one.is_ok(), other.is_ok() && says_its_name, "{:?}, {:?}", one, other);
        if one.is_ok() {
            let found = |client: &mut Trusted| {
                (client.named_by_targets("a"), client.resolve("simple/a/index.v1_json", 8, NOW).ok())
            };
            prop_assert_eq!(found(&mut over_text), found(&mut state_machine));
        }
    }
}
