//! What commits do to the tree and the catalog when all goes well, and what they refuse.

use std::fs;

use heliostat_pypi::page::CoreMetadata;
use heliostat_pypi::{Serial, Sha256};
use heliostat_store::{
    Admission, Blobs, Change, CommitPolicy, Expected, Keeper, Learned, LedgerEntry, PageKind, Part,
    Put, RootKind, RootState, Store, StoreError, Swept, Validators, Weight,
};

use crate::world::*;

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

#[test]
fn a_mirrored_project_comes_changes_and_goes() {
    let (_directory, store) = new_store();
    let change = mirror(&store, "acme", 5, &[1, 2]);
    let committed = commit_all(&store, vec![change]);
    assert_eq!(
        (committed.projects, committed.admitted, committed.generation),
        (1, 4, 1)
    );
    assert_whole(&store);
    let page = store
        .open_page(&name("acme"), PageKind::Json)
        .unwrap()
        .unwrap();
    assert_eq!(page.stamp.len_bytes, page.file.metadata().unwrap().len());

    let change = mirror(&store, "acme", 6, &[2, 3]);
    let committed = commit_all(&store, vec![change]);
    assert_eq!(committed.admitted, 2);
    assert_eq!(committed.swept.files, 1);
    assert_whole(&store);
    assert_eq!(
        store.project_states().unwrap()[0].published_serial,
        Some(Serial(6))
    );

    let committed = commit_all(&store, vec![Change::Drop { name: name("acme") }]);
    assert_eq!(committed.swept.files, 2);
    assert_whole(&store);
    assert_eq!(store.totals().unwrap(), heliostat_store::Totals::default());
    assert!(
        store
            .open_page(&name("acme"), PageKind::Html)
            .unwrap()
            .is_none()
    );
}

#[test]
fn the_record_comes_back_as_it_was_put() {
    let (_directory, store) = new_store();
    let mut record = record("acme", 5, &[1, 2], Keeper::PagesOnly);
    record.hidden.insert(filename("acme", 2));
    record.published_serial = None;
    record.validators = Validators {
        etag: Some("\"e\"".to_owned()),
        last_modified: Some("then".to_owned()),
    };
    let put = Put {
        record: record.clone(),
        blobs: vec![],
        failures: vec![],
    };
    commit(&store, vec![Change::Put(Box::new(put))]);
    assert_eq!(store.project(&name("acme")).unwrap(), Some(record.clone()));
    let validators = Validators {
        etag: Some("\"f\"".to_owned()),
        last_modified: None,
    };
    let touch = Change::Touch {
        name: name("acme"),
        confirmed_at: NOW + 9,
        validators: validators.clone(),
    };
    commit(&store, vec![touch]);
    record.validators = validators;
    record.confirmed_at = NOW + 9;
    assert_eq!(store.project(&name("acme")).unwrap(), Some(record));
    assert_eq!(listed(store.data())["acme"].len(), 1);
    assert_whole(&store);
}

#[test]
fn a_page_that_names_what_is_not_held_is_refused_alone() {
    let (_directory, store) = new_store();
    let incomplete = Change::Put(Box::new(Put {
        record: record("bad", 1, &[1], Keeper::Mirror),
        blobs: admissions(&store, "bad", 1).into_iter().take(1).collect(),
        failures: vec![],
    }));
    let good = mirror(&store, "good", 1, &[1]);
    let committed = store
        .commit(vec![incomplete, good], &CommitPolicy::at(NOW))
        .unwrap();
    assert!(
        matches!(committed.refused[..], [ref refusal]
            if matches!(refusal.error, StoreError::NotHeld { part: Part::Metadata, .. })),
        "{:?}",
        committed.refused
    );
    assert_eq!(store.project(&name("bad")).unwrap(), None);
    assert_eq!(
        listed(store.data()).into_keys().collect::<Vec<_>>(),
        ["good"]
    );
    assert_whole(&store);
}

#[test]
fn bytes_that_are_not_those_promised_never_come_in() {
    let (_directory, store) = new_store();
    let expected = Expected {
        sha256: Some(Sha256::of(b"right")),
        size_bytes: Some(5),
    };
    let error = store.blob_from_bytes(b"wrong", &expected).unwrap_err();
    assert!(error.is_mismatch());
    assert!(
        error.to_string().contains(&Sha256::of(b"wrong").to_hex()),
        "{error}"
    );
    // A blob that is sound in itself but not the one that the page promises.
    let blob = store
        .blob_from_bytes(b"wrong", &Expected::default())
        .unwrap();
    let path = entry("acme", 1).path;
    commit(&store, vec![on_demand("acme", 1, &[1])]);
    let blobs = vec![Admission {
        path: path.clone(),
        part: Part::File,
        blob,
    }];
    let change = Change::Blobs(Blobs {
        project: name("acme"),
        blobs,
        learned: vec![],
    });
    let committed = store.commit(vec![change], &CommitPolicy::at(NOW)).unwrap();
    assert!(committed.refused[0].error.is_mismatch());
    assert!(store.open_file(&path, Part::File).unwrap().is_none());
    assert_whole(&store);
}

#[test]
fn what_comes_on_demand_never_changes_what_a_sync_committed_since() {
    let (_directory, store) = new_store();
    // Whoever takes on demand looked before: there was no such project.
    assert_eq!(store.project_state(&name("acme")).unwrap(), None);
    let late = on_demand("acme", 5, &[1]);
    let change = mirror(&store, "acme", 6, &[1, 2]);
    commit(&store, vec![change]);
    let before = store.project(&name("acme")).unwrap();

    let gone = Change::DropOnDemand { name: name("acme") };
    for change in [late, gone] {
        let committed = store.commit(vec![change], &CommitPolicy::at(NOW)).unwrap();
        assert_eq!(committed.refused.len(), 1);
        assert!(committed.refused[0].error.is_synced());
    }
    // The same in one batch with the sync's own change.
    let change = mirror(&store, "acme", 7, &[1, 2, 3]);
    let committed = store
        .commit(
            vec![change, on_demand("acme", 5, &[1])],
            &CommitPolicy::at(NOW),
        )
        .unwrap();
    assert!(committed.refused[0].error.is_synced());
    let after = store.project(&name("acme")).unwrap().unwrap();
    assert_ne!(Some(&after), before.as_ref());
    assert_eq!(
        (after.keeper, after.published_serial),
        (Keeper::Mirror, Some(Serial(7)))
    );
    assert_whole(&store);

    // A project that only ever came on demand comes and goes.
    commit(&store, vec![on_demand("other", 1, &[1])]);
    commit(
        &store,
        vec![Change::DropOnDemand {
            name: name("other"),
        }],
    );
    assert_eq!(store.project_state(&name("other")).unwrap(), None);
    assert_whole(&store);
}

#[test]
fn on_demand_files_come_are_learned_from_and_are_evicted() {
    let (_directory, store) = new_store();
    let mut page = record("acme", 1, &[1, 2], Keeper::OnDemand);
    page.page.files[0].sha256 = None;
    page.page.files[0].size_bytes = None;
    page.page.files[0].core_metadata = CoreMetadata::Absent;
    commit(
        &store,
        vec![Change::Put(Box::new(Put {
            record: page,
            blobs: vec![],
            failures: vec![],
        }))],
    );
    let wanted = entry("acme", 1);
    let learned = Learned {
        path: wanted.path.clone(),
        sha256: None,
        size_bytes: None,
        core_metadata: Some(wanted.core_metadata),
    };
    let blobs = Blobs {
        project: name("acme"),
        blobs: admissions(&store, "acme", 1),
        learned: vec![learned],
    };
    commit(&store, vec![Change::Blobs(blobs)]);
    assert_eq!(
        store.project(&name("acme")).unwrap().unwrap().page.files[0],
        wanted
    );
    let blobs = Blobs {
        project: name("acme"),
        blobs: admissions(&store, "acme", 2),
        learned: vec![],
    };
    commit(&store, vec![Change::Blobs(blobs)]);
    assert_whole(&store);

    store
        .touch_used(std::slice::from_ref(&wanted.path), NOW + 50)
        .unwrap();
    let candidates = store.eviction_candidates(1, &[]).unwrap();
    assert_eq!(candidates[0].path, entry("acme", 2).path);
    assert_eq!(store.eviction_candidates(1, &[name("acme")]).unwrap(), []);
    let committed = commit_all(
        &store,
        vec![Change::Evict {
            path: entry("acme", 2).path,
        }],
    );
    assert_eq!(committed.swept.files, 1);
    assert!(
        store
            .open_file(&entry("acme", 2).path, Part::File)
            .unwrap()
            .is_none()
    );
    assert_eq!(listed(store.data())["acme"].len(), 2);
    assert_whole(&store);
}

#[test]
fn a_mirrored_file_is_not_evicted() {
    let (_directory, store) = new_store();
    let change = mirror(&store, "acme", 1, &[1]);
    commit(&store, vec![change]);
    let change = Change::Evict {
        path: entry("acme", 1).path,
    };
    let committed = store.commit(vec![change], &CommitPolicy::at(NOW)).unwrap();
    assert!(matches!(
        committed.refused[0].error,
        StoreError::NotEvictable(_)
    ));
    assert_whole(&store);
}

#[test]
fn a_file_stays_as_long_as_any_page_lists_it() {
    let (_directory, store) = new_store();
    let change = mirror(&store, "acme", 1, &[1]);
    commit(&store, vec![change]);
    let mut alias = record("acme", 1, &[1], Keeper::PagesOnly);
    alias.page.name = name("alias");
    commit(
        &store,
        vec![Change::Put(Box::new(Put {
            record: alias,
            blobs: vec![],
            failures: vec![],
        }))],
    );
    let committed = commit_all(&store, vec![Change::Drop { name: name("acme") }]);
    assert_eq!(committed.swept, Swept::default());
    assert!(
        store
            .open_file(&entry("acme", 1).path, Part::File)
            .unwrap()
            .is_some()
    );
    assert_eq!(store.totals().unwrap().files_held, 1);
    let committed = commit_all(
        &store,
        vec![Change::Drop {
            name: name("alias"),
        }],
    );
    assert_eq!(committed.swept.files, 1);
    assert_whole(&store);
}

#[test]
fn grace_keeps_files_for_a_while_and_takes_them_back() {
    let (_directory, store) = new_store();
    let change = mirror(&store, "acme", 1, &[1, 2]);
    commit(&store, vec![change]);
    let policy = CommitPolicy {
        now: NOW,
        grace_seconds: 100,
    };
    let change = mirror(&store, "acme", 2, &[2]);
    let _committed = store.commit(vec![change], &policy).unwrap();
    assert_eq!(store.totals().unwrap().files_doomed, 1);
    assert!(
        store
            .open_file(&entry("acme", 1).path, Part::File)
            .unwrap()
            .is_some()
    );
    // Listed again, as after a quarantine that was lifted: nothing has to be fetched.
    let record = record("acme", 3, &[1, 2], Keeper::Mirror);
    commit(
        &store,
        vec![Change::Put(Box::new(Put {
            record,
            blobs: vec![],
            failures: vec![],
        }))],
    );
    assert_whole(&store);
    let change = mirror(&store, "acme", 4, &[1]);
    let _committed = store.commit(vec![change], &policy).unwrap();
    assert_eq!(store.sweep_doomed(NOW + 99).unwrap().0.files, 0);
    assert_eq!(store.sweep_doomed(NOW + 100).unwrap().0.files, 1);
    assert_whole(&store);
}

#[test]
fn a_doomed_file_that_went_meanwhile_is_not_taken_back() {
    let (directory, store) = new_store();
    let change = mirror(&store, "acme", 1, &[1]);
    commit(&store, vec![change]);
    let policy = CommitPolicy {
        now: NOW,
        grace_seconds: 100,
    };
    let _committed = store
        .commit(vec![Change::Drop { name: name("acme") }], &policy)
        .unwrap();
    fs::remove_file(
        directory
            .path()
            .join("web")
            .join(entry("acme", 1).path.to_string()),
    )
    .unwrap();
    let record = record("acme", 2, &[1], Keeper::Mirror);
    let change = Change::Put(Box::new(Put {
        record,
        blobs: vec![],
        failures: vec![],
    }));
    let committed = store.commit(vec![change], &policy).unwrap();
    assert!(matches!(
        committed.refused[0].error,
        StoreError::NotHeld { .. }
    ));
    assert_eq!(store.sweep_doomed(NOW + 100).unwrap().0.files, 1);
    assert_whole(&store);
}

#[test]
fn several_changes_of_one_project_in_one_batch_add_up() {
    let (_directory, store) = new_store();
    commit(&store, vec![on_demand("acme", 1, &[1, 2, 3])]);
    let blobs = |release| {
        let blobs = admissions(&store, "acme", release);
        Change::Blobs(Blobs {
            project: name("acme"),
            blobs,
            learned: vec![],
        })
    };
    let changes = vec![
        blobs(1),
        blobs(2),
        Change::Evict {
            path: entry("acme", 1).path,
        },
        on_demand("acme", 2, &[2, 3]),
        blobs(3),
    ];
    let committed = store.commit(changes, &CommitPolicy::at(NOW)).unwrap();
    assert!(committed.refused.is_empty(), "{:?}", committed.refused);
    let held: Vec<bool> = store
        .project_files(&name("acme"))
        .unwrap()
        .iter()
        .map(|row| !row.held.is_empty())
        .collect();
    assert_eq!(held, [true, true]);
    assert_whole(&store);
}

#[test]
fn the_ledger_holds_what_failed_until_it_is_made_good() {
    let (_directory, store) = new_store();
    let failure = |item: &str, tries| LedgerEntry {
        project: name("acme"),
        item: item.to_owned(),
        reason: "HTTP 500".to_owned(),
        tries,
        first_failed_at: NOW,
        next_try_at: NOW + 60,
        wanted_serial: Some(Serial(9)),
        weight: Weight::Failure,
    };
    commit(
        &store,
        vec![
            Change::Failed(failure("", 1)),
            Change::Failed(failure("", 2)),
        ],
    );
    assert_eq!(store.ledger().unwrap(), [failure("", 2)]);
    let put = Put {
        record: record("acme", 1, &[], Keeper::Mirror),
        blobs: vec![],
        failures: vec![failure("b", 1), failure("a", 1)],
    };
    commit(&store, vec![Change::Put(Box::new(put))]);
    assert_eq!(store.ledger().unwrap(), [failure("a", 1), failure("b", 1)]);
    let warning = LedgerEntry {
        weight: Weight::Warning,
        ..failure("c", 1)
    };
    commit(&store, vec![Change::Failed(warning.clone())]);
    assert_eq!(store.ledger().unwrap(), [failure("a", 1), failure("b", 1)]);
    assert_eq!(store.warnings().unwrap(), [warning]);
    commit(
        &store,
        vec![Change::Settled {
            project: name("acme"),
        }],
    );
    assert_eq!(store.ledger().unwrap(), []);
    assert_eq!(store.warnings().unwrap(), []);
}

#[test]
fn the_root_list_and_the_stamp_are_published_together() {
    let (_directory, store) = new_store();
    let changes = vec![mirror(&store, "b", 7, &[1]), on_demand("a", 3, &[])];
    commit(&store, changes);
    assert!(store.is_root_behind().unwrap());
    store.publish_root(Some(Serial(7)), NOW).unwrap();
    assert!(!store.is_root_behind().unwrap());
    let list: serde_json::Value =
        serde_json::from_reader(store.open_root(RootKind::Json).unwrap().unwrap().file).unwrap();
    assert_eq!(list["meta"]["_last-serial"], 7);
    assert_eq!(list["projects"][0]["name"], "a");
    assert_eq!(list["projects"][1]["_last-serial"], 7);
    let stamp = store
        .open_public(&"last-modified".parse().unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(
        std::io::read_to_string(stamp.file).unwrap(),
        "20260921T141320\n".replace("T141320", "T14:13:20")
    );
    assert_eq!(store.root().unwrap().unwrap().serial, Some(Serial(7)));
    // A commit that changes the list makes it stale, and recovery renders it with the serial it had.
    commit(&store, vec![Change::Drop { name: name("a") }]);
    assert_eq!(store.recover(NOW).unwrap().root, RootState::Rendered);
    assert!(store.recover(NOW).unwrap().is_clean());
    assert_whole(&store);
}

#[test]
fn an_unchanged_page_keeps_its_identity() {
    let (_directory, store) = new_store();
    let change = mirror(&store, "acme", 1, &[1]);
    commit(&store, vec![change]);
    let before = store.page_stamp(&name("acme"), PageKind::Json).unwrap();
    let change = mirror(&store, "acme", 1, &[1]);
    commit(&store, vec![change]);
    assert_eq!(
        store.page_stamp(&name("acme"), PageKind::Json).unwrap(),
        before
    );
    let change = mirror(&store, "acme", 2, &[1]);
    commit(&store, vec![change]);
    assert_ne!(
        store.page_stamp(&name("acme"), PageKind::Json).unwrap(),
        before
    );
}

#[test]
fn the_later_page_of_a_batch_is_the_word_on_what_is_wanted() {
    let (_directory, store) = new_store();
    let changes = vec![
        mirror(&store, "acme", 1, &[1, 2]),
        mirror(&store, "acme", 2, &[2]),
    ];
    commit(&store, changes);
    assert!(
        store
            .open_file(&entry("acme", 1).path, Part::File)
            .unwrap()
            .is_none()
    );
    assert_whole(&store);
}
