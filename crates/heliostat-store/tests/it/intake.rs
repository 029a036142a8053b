//! Bytes on their way in.

use std::io::Read as _;

use heliostat_pypi::Sha256;
use heliostat_store::{Expected, Store, StoreError};

use crate::world::*;

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

#[test]
fn chunks_of_any_size_add_up() {
    let (_directory, store) = new_store();
    for chunk in [1, 7, 4096, 131_071, 131_072, 200_000] {
        let content: Vec<u8> = (0..300_000_u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        let mut intake = store.intake(300_000).unwrap();
        for piece in content.chunks(chunk) {
            intake.write(piece).unwrap();
        }
        assert_eq!(intake.len_bytes(), 300_000);
        let expected = Expected {
            sha256: Some(Sha256::of(&content)),
            size_bytes: Some(300_000),
        };
        let blob = intake.finish(&expected).unwrap();
        let mut found = Vec::new();
        blob.open().unwrap().read_to_end(&mut found).unwrap();
        assert!(found == content, "chunks of {chunk}");
    }
    assert_whole(&store);
}

#[test]
fn a_small_file_can_be_had_from_memory_and_a_large_one_cannot() {
    let (_directory, store) = new_store();
    for (length, is_small) in [
        (0, true),
        (20_000, true),
        (131_072, false),
        (300_000, false),
    ] {
        let bytes: Vec<u8> = (0..length)
            .map(|number: u32| number.to_le_bytes()[0])
            .collect();
        let mut intake = store.intake(300_000).unwrap();
        for piece in bytes.chunks(8_192) {
            intake.write(piece).unwrap();
        }
        let (blob, content) = intake.finish_with_content(&Expected::default()).unwrap();
        let mut on_disk = Vec::new();
        blob.open().unwrap().read_to_end(&mut on_disk).unwrap();
        assert!(on_disk == bytes, "{length} bytes on the disk");
        assert_eq!(content.is_some(), is_small, "{length} bytes");
        assert!(content.is_none_or(|content| content == bytes), "{length}");
    }
    // What was written early and forgotten is not taken for the content.
    let mut intake = store.intake(300_000).unwrap();
    intake.write(&vec![1; 200_000]).unwrap();
    intake.restart().unwrap();
    intake.write(b"acme").unwrap();
    let (_blob, content) = intake.finish_with_content(&Expected::default()).unwrap();
    assert_eq!(content.as_deref(), Some(&b"acme"[..]));
}

#[test]
fn starting_over_forgets_everything() {
    let (_directory, store) = new_store();
    let mut intake = store.intake(1 << 20).unwrap();
    intake.write(&vec![1; 500_000]).unwrap();
    intake.write(b"and a little more").unwrap();
    intake.restart().unwrap();
    intake.write(b"acme").unwrap();
    let expected = Expected {
        sha256: Some(Sha256::of(b"acme")),
        size_bytes: Some(4),
    };
    let blob = intake.finish(&expected).unwrap();
    assert_eq!(
        std::io::read_to_string(blob.open().unwrap()).unwrap(),
        "acme"
    );
}

#[test]
fn readers_see_what_was_written_also_after_it_moved_into_place() {
    let (_directory, store) = new_store();
    let mut intake = store.intake(1 << 20).unwrap();
    let mut reader = intake.reader().unwrap();
    intake.write(b"first ").unwrap();
    assert_eq!(intake.readable_bytes(), 0);
    intake.flush().unwrap();
    assert_eq!(intake.readable_bytes(), 6);
    let mut found = String::new();
    reader.read_to_string(&mut found).unwrap();
    intake.write(b"second").unwrap();
    drop(intake.finish(&Expected::default()).unwrap());
    reader.read_to_string(&mut found).unwrap();
    assert_eq!(found, "first second");
}

#[test]
fn more_than_the_limit_is_an_error() {
    let (_directory, store) = new_store();
    let mut intake = store.intake(10).unwrap();
    intake.write(&[0; 10]).unwrap();
    assert!(matches!(
        intake.write(&[0]),
        Err(StoreError::TooLarge { limit_bytes: 10 })
    ));
    drop(intake);
    assert_whole(&store);
}

#[test]
fn a_mismatch_tells_both_sides_and_leaves_nothing() {
    let (_directory, store) = new_store();
    let error = store
        .blob_from_bytes(
            b"acme",
            &Expected {
                sha256: None,
                size_bytes: Some(5),
            },
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the file is not what was promised: expected 5 bytes, found sha256:{} of 4 bytes",
            Sha256::of(b"acme")
        )
    );
    assert_whole(&store);
}
