//! Locks between processes, and the difference between the temporary files of the living and of the dead.

use std::process::Stdio;

use heliostat_store::{Expected, Store, StoreError};

use crate::kill::{child, child_store};
use crate::world::*;

#[test]
#[ignore = "run by the other tests as a child process"]
fn holding_child() {
    let store = child_store();
    let _lock = store.lock_sync("a test", NOW).unwrap();
    let mut intake = store.intake(1 << 20).unwrap();
    intake.write(b"half a file").unwrap();
    intake.flush().unwrap();
    println!("ready");
    std::thread::sleep(std::time::Duration::from_mins(1));
}

#[test]
fn what_a_living_process_holds_stays_and_what_a_dead_one_held_goes() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut running = child("processes::holding_child", directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(running.stdout.take().unwrap()));
    assert!(
        lines.any(|line| line.unwrap().ends_with("ready")),
        "the child did not get ready"
    );

    let error = store.lock_sync("another test", NOW).unwrap_err();
    let StoreError::LockHeld { holder, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        holder.contains(&format!("process {}", running.id())),
        "{holder}"
    );
    assert!(
        holder.ends_with("since 2026-09-21T14:13:20Z (a test)"),
        "{holder}"
    );
    assert_eq!(store.recover(NOW).unwrap().discarded_temporaries, 0);

    running.kill().unwrap();
    running.wait().unwrap();
    let lock = store.lock_sync("another test", NOW).unwrap();
    assert_eq!(store.recover(NOW).unwrap().discarded_temporaries, 1);
    assert_whole(&store);
    drop(lock);
    drop(store.lock_sync("a third", NOW).unwrap());
}

#[test]
fn recovery_leaves_the_files_of_another_store_of_this_process_alone() {
    let directory = tempfile::tempdir().unwrap();
    let one = Store::open(directory.path()).unwrap();
    let other = Store::open(directory.path()).unwrap();
    let mut intake = one.intake(100).unwrap();
    intake.write(b"acme").unwrap();
    assert_eq!(other.recover(NOW).unwrap().discarded_temporaries, 0);
    let blob = intake.finish(&Expected::default()).unwrap();
    assert_eq!(other.recover(NOW).unwrap().discarded_temporaries, 0);
    assert_eq!(
        std::io::read_to_string(blob.open().unwrap()).unwrap(),
        "acme"
    );
    drop(blob);
    drop(one);
    assert!(other.recover(NOW).unwrap().is_clean());
    assert_whole(&other);
}

#[test]
fn a_commit_of_one_store_is_seen_by_another() {
    let directory = tempfile::tempdir().unwrap();
    let one = Store::open(directory.path()).unwrap();
    let other = Store::open(directory.path()).unwrap();
    assert_eq!(other.generation().unwrap(), 0);
    let change = mirror(&one, "acme", 1, &[1]);
    commit(&one, vec![change]);
    assert_eq!(other.generation().unwrap(), 1);
    assert_eq!(
        other.project(&name("acme")).unwrap(),
        one.project(&name("acme")).unwrap()
    );
}
