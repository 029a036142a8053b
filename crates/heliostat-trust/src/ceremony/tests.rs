use std::collections::BTreeMap;

use super::*;
use crate::bins::BinCount;
use crate::check::Found;
use crate::error::TrustError;
use crate::keys::SigningKey;
use crate::metadata::{Authority, Expiry, Metadata, Root, Signed, Version};

fn key(number: u8) -> SigningKey {
    let label = ["zero", "alice", "bob", "carol", "dave"]
        .get(usize::from(number))
        .copied()
        .unwrap_or("online");
    SigningKey::from_seed(&[number; 32])
        .with_label(label)
        .unwrap()
}

fn people(numbers: &[u8], threshold: u32) -> Authority {
    let keys = numbers.iter().map(|number| key(*number).public().clone());
    Authority::new(keys, threshold).unwrap()
}

fn wish(numbers: &[u8], online: u8) -> RootWish {
    RootWish {
        people: people(numbers, 2),
        online: Authority::single(key(online).public().clone()),
        expires: "2027-11-26T00:00:00Z".parse().unwrap(),
    }
}

fn first() -> Root {
    match &root(None, &wish(&[1, 2, 3], 9)).documents()[0] {
        Document::Root(root) => root.clone(),
        Document::Targets(_) => panic!("a root"),
    }
}

fn signed_by(draft: &Draft, numbers: &[u8]) -> Vec<DraftSignatures> {
    numbers
        .iter()
        .map(|number| sign(draft, &key(*number)))
        .collect()
}

fn existing() -> Existing {
    Existing {
        root: Some(first()),
    }
}

#[test]
fn two_of_three_make_a_first_root_and_its_delegations() {
    let draft = root(None, &wish(&[1, 2, 3], 9));
    let made = assemble(&draft, &signed_by(&draft, &[1, 3]), &Existing::default()).unwrap();
    assert_eq!(made[0].file, "1.root.json");
    crate::crypto::install();
    sigstore_tuf::TrustedMetadataSet::from_root(&made[0].bytes).unwrap();

    let expires = "2027-11-26T00:00:00Z".parse().unwrap();
    let draft = delegations(
        &first(),
        BinCount::new(16).unwrap(),
        expires,
        (None, None),
        BTreeMap::new(),
    );
    let made = assemble(&draft, &signed_by(&draft, &[2, 3]), &existing()).unwrap();
    let names: Vec<_> = made.iter().map(|made| made.file.as_str()).collect();
    assert_eq!(names, ["1.targets.json", "1.bins.json"]);
}

#[test]
fn a_draft_is_the_same_wherever_it_is_made() {
    let draft = || root(Some(&first()), &wish(&[2, 3, 4], 9));
    assert_eq!(draft().to_file(), draft().to_file());
    assert_eq!(Draft::from_file(&draft().to_file()).unwrap(), draft());
    let reordered = root(Some(&first()), &wish(&[4, 3, 2], 9));
    assert_eq!(reordered.digest(), draft().digest());
}

#[test]
fn nothing_is_signed_that_is_not_shown() {
    let file = root(None, &wish(&[1, 2], 9)).to_file();
    let spaced = file.replacen(':', ": ", 1);
    let extra = file.replacen("\"version\":1", "\"version\":1,\"x-hidden\":1", 1);
    let twice = file.replacen("\"version\":1", "\"version\":7,\"version\":1", 1);
    for changed in [
        &spaced,
        &extra,
        &twice,
        "",
        "{}",
        "[]",
        "{\"heliostat-draft\":1}",
    ] {
        let error = Draft::from_file(changed).unwrap_err();
        assert!(matches!(error, TrustError::ReadDraft(_)), "{error}");
    }
}

#[test]
fn what_lacks_power_is_refused() {
    let draft = root(Some(&first()), &wish(&[2, 3, 4], 9));
    let refused = |signers: &[u8]| {
        assemble(&draft, &signed_by(&draft, signers), &existing())
            .unwrap_err()
            .to_string()
    };
    assert!(
        refused(&[3, 4]).contains("by the old keys"),
        "old threshold"
    );
    assert!(
        refused(&[1, 2]).contains("2.root.json: 1 of 2"),
        "new threshold"
    );
    assert!(refused(&[]).contains("0 of 2"));
    assert!(refused(&[3, 3]).contains("1 of 2"), "one key twice");
    assert!(refused(&[2, 3, 9]).contains("has no say"));
    assemble(&draft, &signed_by(&draft, &[2, 3]), &existing()).unwrap();
    assemble(&draft, &signed_by(&draft, &[1, 2, 4]), &existing()).unwrap();

    let other = root(Some(&first()), &wish(&[1, 2], 9));
    let strangers = signed_by(&other, &[2, 3]);
    assert!(matches!(
        assemble(&draft, &strangers, &existing()),
        Err(TrustError::OtherDraft { .. })
    ));
    let mut forged = signed_by(&draft, &[2, 3]);
    forged[0].signatures = forged[1].signatures.clone();
    assert!(matches!(
        assemble(&draft, &forged, &existing()),
        Err(TrustError::BadSignature { .. })
    ));
    let skipped = root(
        Some(&Root {
            version: Version::new(4).unwrap(),
            ..first()
        }),
        &wish(&[1, 2, 3], 9),
    );
    let error = assemble(&skipped, &signed_by(&skipped, &[1, 2]), &existing()).unwrap_err();
    assert!(error.to_string().contains("after 1 comes 2"), "{error}");
}

#[test]
fn signature_files_are_read_back() {
    let draft = root(None, &wish(&[1, 2], 9));
    let signatures = sign(&draft, &key(1));
    let again = DraftSignatures::from_file(&signatures.to_file()).unwrap();
    assert_eq!(again, signatures);
    for bad in ["", "{}", "[]", "{\"heliostat-signatures\":1}"] {
        DraftSignatures::from_file(bad).unwrap_err();
    }
}

#[test]
fn a_draft_says_who_gains_and_who_loses() {
    let draft = root(Some(&first()), &wish(&[2, 3, 4], 8));
    insta::assert_snapshot!(describe(&draft, Some(&first())));
    let expires = "2027-11-26T00:00:00Z".parse().unwrap();
    let draft = delegations(
        &first(),
        BinCount::new(256).unwrap(),
        expires,
        (None, None),
        BTreeMap::new(),
    );
    insta::assert_snapshot!(describe(&draft, None));
    let single = RootWish {
        people: people(&[1], 1),
        ..wish(&[1, 2], 9)
    };
    assert!(describe(&root(None, &single), None).contains("single-key"));
}

#[test]
fn what_is_due_is_told_in_time() {
    let now: jiff::Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    let due_in = |role: &str, hours: i64| {
        let found = Found {
            role: role.to_owned(),
            version: Version::FIRST,
            expires: Expiry::after(now, jiff::SignedDuration::from_hours(hours)).unwrap(),
        };
        due(&found, &Lives::default(), now)
    };
    assert_eq!(due_in("root", 31 * 24), Due::Not);
    assert_eq!(due_in("root", 29 * 24), Due::Soon);
    assert_eq!(due_in("root", -1), Due::Expired);
    assert_eq!(due_in("bins", 100 * 24), Due::Not);
    assert_eq!(due_in("bins", 80 * 24), Due::Soon);
    assert_eq!(due_in("bin-16-a", 3 * 24), Due::Soon);
    assert_eq!(due_in("bin-16-a", 8 * 24), Due::Not);
    assert_eq!(due_in("snapshot", 13), Due::Not);
    assert_eq!(due_in("timestamp", 5), Due::Soon);
    let whole = |now: &str| {
        let now = now.parse().unwrap();
        Lives::whole_days(now, jiff::SignedDuration::from_hours(24)).unwrap()
    };
    assert_eq!(
        whole("2026-11-25T00:00:01Z").to_string(),
        "2026-11-27T00:00:00Z"
    );
    assert_eq!(whole("2026-11-25T23:59:59Z"), whole("2026-11-25T00:00:01Z"));
}

#[test]
fn what_was_assembled_reads_back() {
    let draft = root(None, &wish(&[1, 2, 3], 9));
    let made = assemble(&draft, &signed_by(&draft, &[1, 2]), &Existing::default()).unwrap();
    let read = Signed::<Root>::read(&made[0].bytes).unwrap();
    assert_eq!(read.value, first());
    assert_eq!(read.value.version(), Version::FIRST);
}
