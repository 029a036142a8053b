//! Trees and catalogs that somebody else has changed, and clocks that jump.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;

use heliostat_pypi::{RelPath, Serial};
use heliostat_store::{
    Admission, Blobs, Change, CommitPolicy, ErrorKind, Keeper, PageKind, Part, Put, Store,
    StoreError,
};

use crate::world::*;

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let changes = vec![
        mirror(&store, "acme", 1, &[1]),
        mirror(&store, "other", 1, &[1]),
    ];
    commit(&store, changes);
    (directory, store)
}

#[test]
fn a_file_that_was_replaced_is_seen_and_put_right() {
    let (_directory, store) = new_store();
    let entry = entry("acme", 1);
    fs::write(store.web().join(entry.path.to_string()), "rubbish").unwrap();
    let go_on = |_| ControlFlow::Continue(());
    let digest = store
        .hash_file(&name("acme"), &entry.path, Part::File, go_on)
        .unwrap()
        .unwrap();
    assert_ne!(Some(digest.sha256), entry.sha256);
    let blobs = Blobs {
        project: name("acme"),
        blobs: admissions(&store, "acme", 1),
        learned: vec![],
    };
    commit(&store, vec![Change::Blobs(blobs)]);
    assert_whole(&store);
}

#[test]
fn lost_and_altered_documents_are_written_again() {
    let (_directory, store) = new_store();
    fs::remove_file(store.web().join("simple/acme/index.v1_json")).unwrap();
    fs::remove_file(store.web().join("simple/acme/index.html")).unwrap();
    fs::write(store.web().join("pypi/acme/json"), "{}").unwrap();
    assert!(store.republish(&name("acme")).unwrap());
    assert_whole(&store);
    assert!(!store.republish(&name("nobody")).unwrap());
}

#[test]
fn a_directory_in_the_way_stops_only_its_own_project() {
    let (_directory, store) = new_store();
    let way = store.web().join("simple/third/index.v1_json");
    fs::create_dir_all(way.join("in the way")).unwrap();
    let changes = vec![
        mirror(&store, "third", 1, &[1]),
        mirror(&store, "acme", 2, &[1, 2]),
    ];
    let committed = store.commit(changes, &CommitPolicy::at(NOW)).unwrap();
    assert_eq!(committed.refused.len(), 1, "{:?}", committed.refused);
    assert_eq!(committed.refused[0].project, Some(name("third")));
    assert!(!committed.refused[0].error.is_general());
    assert_eq!(store.project(&name("third")).unwrap(), None);
    assert_eq!(listed(store.data())["acme"].len(), 2);
    fs::remove_dir_all(way.parent().unwrap()).unwrap();
    assert!(store.recover(NOW).unwrap().discarded_temporaries <= 1);
    assert_whole(&store);
}

#[test]
fn a_document_in_the_way_takes_the_others_of_its_project_back() {
    let (_directory, store) = new_store();
    // The JSON page can be replaced, the HTML page cannot: the project must stay as it was in both.
    let way = store.web().join("simple/acme/index.v1_html");
    let html = fs::read(&way).unwrap();
    fs::remove_file(&way).unwrap();
    fs::create_dir(&way).unwrap();
    let new = mirror(&store, "third", 1, &[1]);
    fs::create_dir_all(store.web().join("simple/third/index.v1_html")).unwrap();
    let changes = vec![
        mirror(&store, "acme", 2, &[2]),
        Change::Drop {
            name: name("other"),
        },
        new,
    ];
    let committed = store.commit(changes, &CommitPolicy::at(NOW)).unwrap();
    assert_eq!(committed.refused.len(), 2, "{:?}", committed.refused);
    assert_readers_are_safe(store.data(), |_| Keeper::Mirror);
    assert_eq!(
        listed(store.data()).into_keys().collect::<Vec<_>>(),
        ["acme"]
    );
    assert_eq!(
        store
            .project(&name("acme"))
            .unwrap()
            .unwrap()
            .published_serial,
        Some(Serial(1))
    );
    fs::remove_dir(&way).unwrap();
    fs::write(&way, html).unwrap();
    fs::remove_dir_all(store.web().join("simple/third")).unwrap();
    assert_whole(&store);
}

#[test]
fn nothing_is_removed_that_the_catalog_answers_for() {
    let (_directory, store) = new_store();
    let path = entry("acme", 1).path.to_string();
    for kept in [
        path.as_str(),
        &format!("{path}.metadata"),
        "simple/acme/index.html",
        "pypi/acme/json",
        "last-modified",
    ] {
        let kept: RelPath = kept.parse().unwrap();
        assert!(
            matches!(
                store.remove_unlisted(&kept),
                Err(StoreError::StillListed(_))
            ),
            "{kept}"
        );
    }
    let orphan = entry("acme", 9).path.to_string();
    for gone in [
        orphan.as_str(),
        "simple/nobody/index.html",
        "integrity/acme/1/x/provenance",
        "packages/readme",
    ] {
        let place = store.web().join(gone);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, "x").unwrap();
        assert!(
            store.remove_unlisted(&gone.parse().unwrap()).unwrap(),
            "{gone}"
        );
        assert!(
            !store.remove_unlisted(&gone.parse().unwrap()).unwrap(),
            "{gone}"
        );
    }
    fs::remove_dir(store.web().join("integrity")).unwrap();
    assert_whole(&store);
}

#[test]
fn a_link_out_of_the_tree_is_not_followed() {
    let (directory, store) = new_store();
    let secret = directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let page = store.web().join("simple/acme/index.v1_json");
    fs::remove_file(&page).unwrap();
    symlink(&secret, &page).unwrap();
    assert!(
        store
            .open_page(&name("acme"), PageKind::Json)
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .page_stamp(&name("acme"), PageKind::Json)
            .unwrap()
            .is_none()
    );
    symlink(directory.path(), store.web().join("way-out")).unwrap();
    assert!(
        store
            .open_public(&"way-out/secret".parse().unwrap())
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .open_public(&"simple".parse().unwrap())
            .unwrap()
            .is_none(),
        "a directory is not a file"
    );
    assert!(
        store
            .open_public(&"a/b/c".parse().unwrap())
            .unwrap()
            .is_none()
    );
    fs::remove_file(store.web().join("way-out")).unwrap();
    assert!(store.republish(&name("acme")).unwrap());
    assert_eq!(fs::read_to_string(secret).unwrap(), "secret");
    assert_whole(&store);
}

#[test]
fn provenance_stands_where_pypi_has_it() {
    let (_directory, store) = new_store();
    let path = entry("acme", 1).path;
    let blob = store
        .blob_from_bytes(b"{}", &heliostat_store::Expected::default())
        .unwrap();
    let blobs = vec![Admission {
        path: path.clone(),
        part: Part::Provenance,
        blob,
    }];
    commit(
        &store,
        vec![Change::Blobs(Blobs {
            project: name("acme"),
            blobs,
            learned: vec![],
        })],
    );
    let found = store
        .open_provenance(&name("acme"), "1", path.filename())
        .unwrap()
        .unwrap();
    assert_eq!(std::io::read_to_string(found.file).unwrap(), "{}");
    assert!(
        store
            .open_provenance(&name("acme"), "..", path.filename())
            .unwrap()
            .is_none()
    );
    assert!(store.open_file(&path, Part::Provenance).unwrap().is_some());
    commit(&store, vec![Change::Drop { name: name("acme") }]);
    assert_whole(&store);
}

#[test]
fn a_clock_that_jumps_back_loses_nothing() {
    let (_directory, store) = new_store();
    let later = CommitPolicy {
        now: NOW + 1_000_000,
        grace_seconds: 100,
    };
    let change = mirror(&store, "acme", 2, &[2]);
    let _committed = store.commit(vec![change], &later).unwrap();
    let change = mirror(&store, "acme", 3, &[2, 3]);
    let committed = store
        .commit(
            vec![change],
            &CommitPolicy {
                now: -5,
                grace_seconds: 100,
            },
        )
        .unwrap();
    assert_eq!(committed.swept.files, 0);
    assert!(
        store
            .open_file(&entry("acme", 1).path, Part::File)
            .unwrap()
            .is_some()
    );
    assert_eq!(store.recover(i64::MAX).unwrap().swept.files, 1);
    assert_whole(&store);
}

#[test]
fn a_damaged_catalog_is_named_with_a_way_out() {
    let (directory, store) = new_store();
    drop(store);
    let catalog = directory.path().join("state/catalog.sqlite");
    fs::write(
        &catalog,
        "this is not a database, and long enough to look at for a while".repeat(200),
    )
    .unwrap();
    for log in ["state/catalog.sqlite-wal", "state/catalog.sqlite-shm"] {
        drop(fs::remove_file(directory.path().join(log)));
    }
    let error = Store::open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().contains("catalog.sqlite"), "{error}");
    assert!(error.hint().unwrap().contains("adopt"));
}

#[test]
fn a_newer_catalog_is_refused() {
    let (directory, store) = new_store();
    drop(store);
    let connection =
        rusqlite::Connection::open(directory.path().join("state/catalog.sqlite")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = Store::open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Newer);
    assert!(error.to_string().contains("schema 99"), "{error}");
}

#[test]
fn one_damaged_record_is_told_and_the_next_put_heals_it() {
    let (directory, store) = new_store();
    let connection =
        rusqlite::Connection::open(directory.path().join("state/catalog.sqlite")).unwrap();
    let changed = connection.execute(
        "UPDATE record SET body = x'00' WHERE project = (SELECT id FROM project WHERE name = 'acme')",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
    assert_eq!(
        store.project(&name("acme")).unwrap_err().kind(),
        ErrorKind::Damaged
    );
    let mut seen = Vec::new();
    let each = |name: &heliostat_pypi::ProjectName, record: Result<_, StoreError>| {
        seen.push((name.to_string(), record.is_ok()));
        ControlFlow::Continue(())
    };
    store.for_each_project(None, each).unwrap();
    assert_eq!(
        seen,
        [("acme".to_owned(), false), ("other".to_owned(), true)]
    );
    let blobs = admissions(&store, "acme", 2);
    let record = record("acme", 2, &[2], Keeper::Mirror);
    let committed = commit_all(
        &store,
        vec![Change::Put(Box::new(Put {
            record,
            blobs,
            failures: vec![],
        }))],
    );
    assert_eq!(
        committed.swept.files, 1,
        "the file that the damaged record listed is still known"
    );
    assert_whole(&store);
}

#[test]
fn a_store_that_is_opened_to_read_reads_beside_its_owner_and_refuses_to_change() {
    let directory = tempfile::tempdir().unwrap();
    // What stands for something else in a database's address.
    let data = directory.path().join("50 %? #a");
    let names = |store: &Store| store.project_states().unwrap().len();
    let owner = Store::open(&data).unwrap();
    commit(&owner, vec![mirror(&owner, "acme", 1, &[1])]);
    let beside = Store::open_to_read(&data).unwrap();
    assert_eq!(names(&beside), 1);
    commit(&owner, vec![mirror(&owner, "other", 1, &[1])]);
    assert_eq!(names(&beside), 2);
    drop(beside);
    drop(owner);
    // Whoever closes last and may write puts the log into the file and removes it.
    let last = rusqlite::Connection::open(data.join("state/catalog.sqlite")).unwrap();
    let _rows: i64 = last
        .query_row("SELECT count(*) FROM project", [], |row| row.get(0))
        .unwrap();
    last.close().unwrap();
    assert!(!data.join("state/catalog.sqlite-wal").exists());
    let alone = Store::open_to_read(&data).unwrap();
    assert_eq!(names(&alone), 2);
    let refused = alone.set_meta("key", &1).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused:?}");
    assert!(Store::open_to_read(&directory.path().join("none")).is_err());
    assert!(!directory.path().join("none").exists());
}
