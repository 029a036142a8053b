//! Files that are on the disk already.

use std::fs;
use std::ops::ControlFlow;

use heliostat_pypi::Sha256;
use heliostat_store::{Admission, Change, Expected, Keeper, Part, Put, Store};

use crate::world::*;

#[test]
fn files_in_place_are_adopted_where_they_stand() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let entry = entry("acme", 1);
    let place = directory.path().join("web").join(entry.path.to_string());
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, bytes("acme", 1)).unwrap();
    fs::write(
        format!("{}.metadata", place.display()),
        metadata_bytes("acme", 1),
    )
    .unwrap();
    let blobs = [Part::File, Part::Metadata].map(|part| {
        let blob = store
            .admit_existing(&name("acme"), &entry.path, part, &Expected::default())
            .unwrap()
            .unwrap();
        Admission {
            path: entry.path.clone(),
            part,
            blob,
        }
    });
    let record = record("acme", 1, &[1], Keeper::Mirror);
    commit(
        &store,
        vec![Change::Put(Box::new(Put {
            record,
            blobs: blobs.into(),
            failures: vec![],
        }))],
    );
    assert_whole(&store);
    let absent = store.admit_existing(
        &name("acme"),
        &crate::world::entry("acme", 2).path,
        Part::File,
        &Expected::default(),
    );
    assert!(absent.unwrap().is_none());
}

#[test]
fn files_of_another_tree_are_linked_in_and_stay_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("data")).unwrap();
    let source = directory.path().join("source");
    fs::write(&source, bytes("acme", 1)).unwrap();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&source, &link).unwrap();
    let entry = entry("acme", 1);
    let expected = Expected {
        sha256: entry.sha256,
        size_bytes: entry.size_bytes,
    };
    let blob = store.link_in(&link, &expected).unwrap();
    assert_eq!(Some(blob.sha256()), entry.sha256);
    let metadata = store
        .blob_from_bytes(&metadata_bytes("acme", 1), &Expected::default())
        .unwrap();
    let blobs = vec![
        Admission {
            path: entry.path.clone(),
            part: Part::File,
            blob,
        },
        Admission {
            path: entry.path,
            part: Part::Metadata,
            blob: metadata,
        },
    ];
    let record = record("acme", 1, &[1], Keeper::Mirror);
    commit(
        &store,
        vec![Change::Put(Box::new(Put {
            record,
            blobs,
            failures: vec![],
        }))],
    );
    assert_whole(&store);
    assert_eq!(fs::read(&source).unwrap(), bytes("acme", 1));
    let wrong = Expected {
        sha256: Some(Sha256::of(b"")),
        size_bytes: None,
    };
    assert!(store.link_in(&source, &wrong).unwrap_err().is_mismatch());
    assert_whole(&store);
}

#[test]
fn hashing_tells_both_digests_and_can_be_broken_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("abc");
    fs::write(&path, "abc").unwrap();
    let digest = heliostat_store::hash(&path, |_| ControlFlow::Continue(()))
        .unwrap()
        .unwrap();
    assert_eq!((digest.sha256, digest.size_bytes), (Sha256::of(b"abc"), 3));
    // BLAKE2b-256 of `abc`, from RFC 7693's reference implementation with a 32-byte digest.
    let hex = "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319";
    assert_eq!(Sha256::from_bytes(digest.blake2b_256).to_hex(), hex);
    assert_eq!(
        heliostat_store::hash(&path, |_| ControlFlow::Break(())).unwrap(),
        None
    );
    assert_eq!(
        heliostat_store::hash(&directory.path().join("x"), |_| ControlFlow::Continue(())).unwrap(),
        None
    );
}
