//! Files that verify and files that must not, each also the long way.

use std::collections::BTreeMap;

use heliostat_pypi::Sha256;
use heliostat_trust::bins::BinCount;
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{self as ours, Expiry, Metadata as _, RoleName, Version};
use jiff::SignedDuration;
use serde_json::json;
use sigstore_tuf::Metadata;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn key(number: u8) -> SigningKey {
    heliostat_trust::crypto::install();
    SigningKey::from_seed(&[number; 32])
}

fn pin(version: u64) -> Pin {
    serde_json::from_value(json!({ "version": version })).unwrap()
}

fn role(name: &str, bins: u64, target: &str, signer: &SigningKey) -> Vec<u8> {
    let online = Authority::single(key(7).public().clone());
    let file = ours::TargetFile {
        sha256: Sha256::of(b"page"),
        size_bytes: 4,
    };
    let delegations = match bins {
        0 => Vec::new(),
        bins => BinCount::new(bins).unwrap().delegations(&online),
    };
    ours::Targets {
        role: name.parse::<RoleName>().unwrap(),
        version: Version::new(3).unwrap(),
        expires: Expiry::after(NOW, SignedDuration::from_hours(1)).unwrap(),
        targets: BTreeMap::from([(target.to_owned(), file)]),
        delegations,
    }
    .unsigned()
    .sign(signer)
    .to_file()
}

/// What `bins` says: 16 bins, all signed with the seventh key.
fn delegations() -> Delegations {
    let file = role("bins", 16, "x", &key(1));
    let read = Metadata::<Targets>::from_slice(&file).unwrap();
    read.into_signed().delegations.unwrap()
}

fn verify(bytes: &[u8], pin: &Pin, now: Timestamp) -> Result<Delegated, Error> {
    let claim = Claim {
        role: "bin-16-a",
        delegator: "bins",
        delegations: &delegations(),
        pin,
        now,
    };
    Delegated::verify(bytes, &claim)
}

/// The same document spelt with a space, which says the same and is not what was signed, byte for byte.
fn respelt(file: &[u8]) -> Vec<u8> {
    [b"{ ", &file[1..]].concat()
}

#[test]
fn a_role_verifies_as_it_was_signed_and_as_it_may_be_spelt() {
    let file = role("bin-16-a", 0, "simple/a/index.v1_json", &key(7));
    for (bytes, is_bin) in [(file.clone(), true), (respelt(&file), false)] {
        let role = verify(&bytes, &pin(3), NOW).unwrap();
        assert_eq!(!role.is_delegator(), is_bin);
        let found = role.target("simple/a/index.v1_json").unwrap().unwrap();
        assert_eq!(found.length, 4);
        assert_eq!(found.hashes["sha256"], Sha256::of(b"page").to_hex());
        assert_eq!(role.target("simple/b/index.v1_json").unwrap(), None);
        // Names of other members of a role are no targets.
        assert_eq!(role.target("version").unwrap(), None);
    }
}

/// A file, what pins it, when, and how it is refused.
type Case<'a> = (&'a [u8], Pin, Timestamp, fn(&Error) -> bool);

#[test]
fn what_must_not_verify_does_not_either_way() {
    let now = NOW;
    let later = NOW + SignedDuration::from_hours(2);
    let right = role("bin-16-a", 0, "a", &key(7));
    let text = String::from_utf8(right.clone()).unwrap();
    let altered = text.replace("\"length\":4", "\"length\":5").into_bytes();
    let (start, end) = (text.find('[').unwrap() + 1, text.find(']').unwrap());
    let one = &text[start..end];
    let twice = text.replacen(one, &format!("{one},{one}"), 1).into_bytes();
    let other_key = role("bin-16-a", 0, "a", &key(8));
    let other_role = role("bin-16-b", 0, "a", &key(7));
    let other_digest = serde_json::from_value(
        json!({ "version": 3, "length": right.len(), "hashes": { "sha256": "00" } }),
    )
    .unwrap();
    let other_length =
        serde_json::from_value(json!({ "version": 3, "length": right.len() + 7 })).unwrap();
    let cases: Vec<Case<'_>> = vec![
        (&altered, pin(3), now, |e| {
            matches!(
                e,
                Error::ThresholdNotMet {
                    found: 0,
                    threshold: 1,
                    ..
                }
            )
        }),
        (&twice, pin(3), now, |e| {
            matches!(e, Error::DuplicateSignature { .. })
        }),
        (&other_key, pin(3), now, |e| {
            matches!(e, Error::ThresholdNotMet { .. })
        }),
        (
            &other_role,
            pin(3),
            now,
            |e| matches!(e, Error::IntegrityMismatch(said) if said.contains("bin-16-b")),
        ),
        (&right, pin(4), now, |e| {
            matches!(e, Error::IntegrityMismatch(_))
        }),
        (&right, pin(3), later, |e| {
            matches!(e, Error::Expired { .. })
        }),
        (&right, other_digest, now, |e| {
            matches!(e, Error::IntegrityMismatch(_))
        }),
        (&right, other_length, now, |e| {
            matches!(e, Error::IntegrityMismatch(_))
        }),
        (b"{\"signatures\":[],\"signed\":{}}", pin(3), now, |e| {
            matches!(e, Error::Json(_))
        }),
    ];
    for (at, (bytes, pin, now, is_right)) in cases.into_iter().enumerate() {
        for bytes in [bytes.to_vec(), respelt(bytes)] {
            let error = verify(&bytes, &pin, now).unwrap_err();
            assert!(is_right(&error), "{at}: {error:?}");
        }
    }
    assert!(verify(&right, &pin(3), now).is_ok());
}

#[test]
fn only_whom_the_delegator_names_is_taken() {
    let file = role("bin-16-a", 0, "a", &key(7));
    let pin = pin(3);
    let verify = |change: fn(&mut Delegations)| {
        let mut delegations = delegations();
        change(&mut delegations);
        let claim = Claim {
            role: "bin-16-a",
            delegator: "bins",
            delegations: &delegations,
            pin: &pin,
            now: NOW,
        };
        Delegated::verify(&file, &claim)
    };
    verify(|_| ()).unwrap();
    for threshold_off in [
        |delegations: &mut Delegations| delegations.roles[10].threshold = 0,
        |delegations: &mut Delegations| delegations.roles[10].threshold = 2,
        |delegations: &mut Delegations| delegations.keys.clear(),
    ] {
        let nobody = verify(threshold_off);
        assert!(matches!(nobody, Err(Error::Malformed(_))), "{nobody:?}");
    }
    let unknown = verify(|delegations| delegations.roles.clear());
    assert!(matches!(unknown, Err(Error::UnknownRole(_))), "{unknown:?}");
}

#[test]
fn the_one_candidate_of_sorted_bins_is_the_one_that_covers_a_path() {
    for count in [1_u64, 2, 16, 32, 256] {
        let file = role("bins", count, "x", &key(1));
        let read = Metadata::<Targets>::from_slice(&file)
            .unwrap()
            .into_signed();
        let roles = read.delegations.clone().unwrap().roles;
        assert!(is_sorted(read.delegations.as_ref().unwrap()));
        let bins = Delegated {
            delegator: "targets".to_owned(),
            expires: read.expires,
            taken: 0,
            content: Content::Delegator {
                is_sorted: true,
                targets: Box::new(read),
            },
        };
        for name in 0..200 {
            let path = format!("simple/p{name}/index.v1_json");
            let digest = Sha256::of(path.as_bytes()).to_hex();
            let found = bins.candidates(&digest);
            let covers = |role: &&DelegatedRole| role.matches_path(&path).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(Some(&found[0]), roles.iter().find(covers), "{path} {count}");
        }
    }
    let mut odd = delegations();
    odd.roles.swap(0, 1);
    assert!(!is_sorted(&odd));
    odd.roles.clear();
    assert!(!is_sorted(&odd));
}
