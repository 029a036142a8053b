use std::collections::BTreeMap;

use heliostat_pypi::Serial;
use proptest::prelude::*;
use serde_json::Value;
use sigstore_tuf::TrustedMetadataSet;

use super::*;
use crate::bins::BinCount;
use crate::keys::{PublicKey, SigningKey};

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn now() -> jiff::Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn later() -> Expiry {
    "2026-12-25T12:00:00Z".parse().unwrap()
}

fn two_of(numbers: &[u8]) -> Authority {
    let keys = numbers.iter().map(|number| key(*number).public().clone());
    Authority::new(keys, 2).unwrap()
}

fn root() -> Root {
    Root {
        version: Version::FIRST,
        expires: later(),
        root: two_of(&[1, 2, 3]),
        targets: two_of(&[1, 2, 3]),
        snapshot: Authority::single(key(9).public().clone()),
        timestamp: Authority::single(key(9).public().clone()),
    }
}

fn targets() -> Targets {
    let bins = Delegation {
        name: RoleName::bins(),
        authority: two_of(&[1, 2, 3]),
        scope: Scope::Paths(vec!["simple/*/*".into(), "heliostat/*".into()]),
        terminating: false,
    };
    Targets {
        role: RoleName::targets(),
        version: Version::FIRST,
        expires: later(),
        targets: BTreeMap::new(),
        delegations: vec![bins],
    }
}

fn snapshot() -> Snapshot {
    let roles = [RoleName::targets(), RoleName::bins()]
        .map(|name| (name, Pin::version(Version::FIRST)))
        .into();
    Snapshot {
        version: Version::FIRST,
        expires: later(),
        roles,
        coverage: Some(Coverage {
            extent: Extent::selection(vec!["numpy".into(), "acme-*".into()]),
            upstream: "https://index.example/simple/".to_owned(),
            serial: Some(Serial(7)),
        }),
    }
}

fn timestamp() -> Timestamp {
    Timestamp {
        version: Version::FIRST,
        expires: later(),
        snapshot: Pin::exact(Version::FIRST, b"{}"),
        signed_at: Some(now()),
    }
}

/// What every file must be: read back as it was, canonical as others compute it, its signature over exactly that.
fn check<T: Metadata + PartialEq + std::fmt::Debug>(value: &T) {
    let file = value.unsigned().sign(&key(9)).to_file();
    let parsed: Value = serde_json::from_slice(&file).unwrap();
    let canonical = sigstore_tuf::canonical_json::to_canonical_bytes(&parsed["signed"]).unwrap();
    assert_eq!(value.unsigned().to_sign(), canonical);
    crate::crypto::install();
    let signed = Signed::<T>::read(&file).unwrap();
    assert_eq!(signed.value, *value);
    assert_eq!(signed.canonical, canonical);
    let signature = &signed.signatures[&key(9).id()];
    key(9).public().verify(&canonical, signature).unwrap();
}

#[test]
fn every_kind_is_read_back_as_it_was() {
    check(&root());
    check(&targets());
    check(&snapshot());
    check(&Timestamp {
        version: Version::FIRST,
        expires: later(),
        snapshot: Pin::exact(Version::FIRST, b"{}"),
        signed_at: None,
    });
    check(&timestamp());
    let online = Authority::single(key(9).public().clone());
    check(&Targets {
        delegations: BinCount::new(32).unwrap().delegations(&online),
        ..targets()
    });
}

#[test]
fn files_look_like_this() {
    let text = |file: Vec<u8>| String::from_utf8(file).unwrap();
    insta::assert_snapshot!(text(
        root().unsigned().sign(&key(1)).sign(&key(2)).to_file()
    ));
    insta::assert_snapshot!(text(targets().unsigned().to_file()));
    insta::assert_snapshot!(text(snapshot().unsigned().to_file()));
    insta::assert_snapshot!(text(timestamp().unsigned().to_file()));
}

#[test]
fn when_a_timestamp_was_signed_is_read_as_far_as_it_is_understood() {
    let read = |text: &str| Timestamp::signed_at(&serde_json::from_str(text).unwrap());
    let then = "2026-11-25T12:00:00Z".parse().unwrap();
    assert_eq!(
        read(r#"{"format":1,"signed":"2026-11-25T12:00:00.75Z","more":[]}"#),
        Some(then)
    );
    for other in [
        r#"{"format":2,"signed":"2026-11-25T12:00:00Z"}"#,
        r#"{"signed":"2026-11-25T12:00:00Z"}"#,
        r#"{"format":1,"signed":"yesterday"}"#,
        r#"{"format":1,"signed":1764072000}"#,
        "[]",
    ] {
        assert_eq!(read(other), None, "{other}");
    }
}

#[test]
fn keys_with_line_ends_make_valid_json() {
    let pem = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n\
        Yfps5mliLmDyn7Z5A/4QCLi8maQa6akatdIpWGEfyCvOiBKkNHRVlpBZlg==\n\
        -----END PUBLIC KEY-----\n";
    let kms = crate::keys::PublicKey::from_file(pem).unwrap();
    check(&Root {
        snapshot: Authority::single(kms),
        ..root()
    });
}

#[test]
fn a_client_takes_what_enough_keys_signed() {
    crate::crypto::install();
    let file = root().unsigned().sign(&key(1)).sign(&key(2)).to_file();
    let mut client = TrustedMetadataSet::from_root(&file).unwrap();

    let snapshot = snapshot().unsigned().sign(&key(9)).to_file();
    let timestamp = Timestamp {
        version: Version::FIRST,
        expires: later(),
        snapshot: Pin::exact(Version::FIRST, &snapshot),
        signed_at: Some(now()),
    };
    let timestamp = timestamp.unsigned().sign(&key(9)).to_file();
    client.update_timestamp(&timestamp, now()).unwrap();
    client.update_snapshot(&snapshot, now()).unwrap();
    let one = targets().unsigned().sign(&key(1));
    client.update_targets(&one.to_file(), now()).unwrap_err();
    let two = one.sign(&key(2)).to_file();
    client.update_targets(&two, now()).unwrap();
}

#[test]
fn a_foreign_signature_is_refused_before_it_is_written() {
    let unsigned = root().unsigned();
    let right = key(1).sign(unsigned.to_sign());
    let wrong = key(1).sign(b"something else");
    unsigned
        .clone()
        .with_signature(key(1).public(), right.clone())
        .unwrap();
    unsigned
        .clone()
        .with_signature(key(1).public(), wrong)
        .unwrap_err();
    unsigned.with_signature(key(2).public(), right).unwrap_err();
}

#[test]
fn thresholds_that_nobody_or_anybody_meets_cannot_be() {
    let one = || [key(1).public().clone(), key(1).public().clone()];
    Authority::new(one(), 0).unwrap_err();
    Authority::new(one(), 2).unwrap_err();
    Authority::new([], 1).unwrap_err();
    assert_eq!(Authority::new(one(), 1).unwrap().keys().len(), 1);
}

#[test]
fn a_key_under_two_ids_is_refused() {
    let file = String::from_utf8(root().unsigned().to_file()).unwrap();
    let id = key(1).id().to_string();
    let twice = file.replace(&id, &"0".repeat(64));
    let error = Signed::<Root>::read(twice.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("under another id"), "{error}");
}

/// A key's id is the digest of its object; clients that compute it from all that stands there must come to the same.
#[test]
fn labels_stand_beside_the_keys_and_not_in_them() {
    let alice = key(1).public().clone().with_label("alice").unwrap();
    let mut root = root();
    root.root = Authority::new([alice, key(2).public().clone()], 2).unwrap();
    let file = root.unsigned().to_file();
    let document: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let keys = document["signed"]["keys"].as_object().unwrap();
    for (id, key) in keys {
        let canonical = crate::metadata::canonical(key);
        assert_eq!(*id, heliostat_pypi::Sha256::of(&canonical).to_string());
    }
    let id = key(1).id().to_string();
    assert_eq!(document["signed"]["x-heliostat-labels"][&id], "alice");
    let again = Signed::<Root>::read(&file).unwrap().value;
    let labels: Vec<_> = again.root.keys().map(PublicKey::label).collect();
    assert!(labels.contains(&Some("alice")) && labels.contains(&None));
    assert_eq!(again.root, root.root);
    // So it was before.
    let text = String::from_utf8(file).unwrap();
    let inside = text.replacen(
        "\"scheme\":\"ed25519\"",
        "\"scheme\":\"ed25519\",\"x-heliostat-label\":\"old\"",
        1,
    );
    Signed::<Root>::read(inside.as_bytes()).unwrap();
}

#[test]
fn too_few_signatures_are_told_with_names() {
    let alice = key(1).public().clone().with_label("alice").unwrap();
    let authority = Authority::new([alice, key(2).public().clone()], 2).unwrap();
    let unsigned = root().unsigned().sign(&key(1)).sign(&key(5));
    let error = authority
        .check("root", unsigned.to_sign(), unsigned.signatures())
        .unwrap_err()
        .to_string();
    assert!(error.contains("root: 1 of 2"), "{error}");
    assert!(error.contains("alice"), "{error}");
}

#[test]
fn coverage_that_is_not_understood_claims_nothing() {
    let read = |text: &str| Coverage::from_value(&serde_json::from_str(text).unwrap());
    let complete = r#"{"coverage":"complete","format":1,"upstream":"u"}"#;
    assert_eq!(read(complete).unwrap().extent, Extent::Complete);
    for bad in [
        r"{}",
        r#"{"coverage":"complete","format":2,"upstream":"u"}"#,
        r#"{"coverage":"complete","format":1}"#,
        r#"{"coverage":"all","format":1,"upstream":"u"}"#,
        r#"{"coverage":"complete","format":1,"upstream":"u","serial":"7"}"#,
        r#"{"coverage":"complete","format":1,"upstream":"u","selection":[]}"#,
        r#"{"coverage":"selection","format":1,"upstream":"u"}"#,
        r#"{"coverage":"selection","format":1,"upstream":"u","selection":[7]}"#,
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
    let long = Extent::selection((0..1_001).map(|number| number.to_string()).collect());
    assert!(matches!(long, Extent::LongSelection(_)));
}

#[test]
fn names_that_would_leave_the_folder_are_refused() {
    for bad in [
        "",
        "root",
        "snapshot",
        "timestamp",
        "a/b",
        "../x",
        ".x",
        "é",
        "a b",
        "a%2f",
    ] {
        bad.parse::<RoleName>().unwrap_err();
    }
    for fine in ["targets", "bins", "bin-1-", "project-zope.interface"] {
        fine.parse::<RoleName>().unwrap();
    }
}

proptest! {
    #[test]
    fn any_targets_are_read_back(
        version in 1..u64::MAX,
        seconds in 0..4_000_000_000_i64,
        paths in prop::collection::btree_map("\\PC{1,40}|[\"\\\\\n\t\u{8}/a-z]{1,20}", any::<u64>(), 0..20),
    ) {
        let targets = paths.into_iter().map(|(path, size_bytes)| {
            let sha256 = heliostat_pypi::Sha256::of(path.as_bytes());
            (path, TargetFile { sha256, size_bytes })
        });
        check(&Targets {
            role: RoleName::bins(),
            version: Version::new(version).unwrap(),
            expires: Expiry::at(jiff::Timestamp::from_second(seconds).unwrap()),
            targets: targets.collect(),
            delegations: Vec::new(),
        });
    }

    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Signed::<Root>::read(&bytes));
        drop(Signed::<Targets>::read(&bytes));
        drop(Signed::<Snapshot>::read(&bytes));
        drop(Signed::<Timestamp>::read(&bytes));
    }
}
