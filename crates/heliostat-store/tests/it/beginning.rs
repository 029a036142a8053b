//! A data directory that was made for nothing is taken away again, and no other.

use heliostat_store::{Beginning, Store};
use tempfile::TempDir;

use crate::world::NOW;

#[test]
fn what_opening_made_is_taken_away() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("a/b");
    let beginning = Beginning::look(&data);
    let store = Store::open(&data).unwrap();
    store.recover(NOW).unwrap();
    let lock = store.lock_sync("a test", NOW).unwrap();
    assert!(beginning.undo(&store).unwrap());
    drop((lock, store));
    assert!(!directory.path().join("a").exists());
    // And the next one finds nothing odd.
    drop(Store::open(&data).unwrap());
}

#[test]
fn what_anybody_wrote_stays() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let undo = |packages_were_there: bool| {
        let beginning = Beginning::look(&data);
        let store = Store::open(&data).unwrap();
        std::fs::write(data.join("web/robots.txt"), "mine").unwrap();
        assert!(beginning.undo(&store).unwrap());
        drop(store);
        assert_eq!(std::fs::read(data.join("web/robots.txt")).unwrap(), b"mine");
        assert!(!data.join("state").exists());
        assert_eq!(data.join("web/packages").exists(), packages_were_there);
    };
    undo(false);
    // The tree is there by now, and what stands in it.
    std::fs::create_dir(data.join("web/packages")).unwrap();
    undo(true);
    // Private state that was there before is somebody's.
    drop(Store::open(&data).unwrap());
    let later = Beginning::look(&data);
    let store = Store::open(&data).unwrap();
    assert!(!later.undo(&store).unwrap());
    assert!(data.join("state/catalog.sqlite").exists());
}

#[test]
fn what_was_noted_or_is_open_elsewhere_stays() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let beginning = Beginning::look(&data);
    let store = Store::open(&data).unwrap();
    let other = Store::open(&data).unwrap();
    assert!(!beginning.undo(&store).unwrap());
    drop(other);
    store.set_meta("anything", &"else").unwrap();
    assert!(!beginning.undo(&store).unwrap());
    drop(store);
    let store = Store::open(&data).unwrap();
    let noted: Option<String> = store.meta("anything").unwrap();
    assert_eq!(noted.as_deref(), Some("else"));
}
