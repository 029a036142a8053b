//! Full and read-only file systems. They are small ones of their own, which only root can mount; without that right
//! these tests say so and do nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use heliostat_store::{Blobs, Change, CommitPolicy, ErrorKind, Keeper, Store};

use crate::world::*;

/// A mounted file system, unmounted when dropped.
struct Mount {
    directory: tempfile::TempDir,
}

impl Mount {
    fn new(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size}"),
                "heliostat-test",
            ])
            .arg(directory.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self { directory });
        }
        eprintln!("skipped: no right to mount a small file system");
        None
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(self.path())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.path()).status());
    }
}

/// Leaves only so much space.
fn leave_free(mount: &Path, bytes: u64) {
    let ballast = mount.join("ballast");
    drop(fs::remove_file(&ballast));
    let file = fs::File::create(&ballast).unwrap();
    let usage = rustix::fs::fstatvfs(&file).unwrap();
    let free = usage.f_bavail * usage.f_frsize;
    fs::write(
        &ballast,
        vec![0; usize::try_from(free.saturating_sub(bytes)).unwrap()],
    )
    .unwrap();
}

#[test]
fn a_full_disk_loses_nothing_at_whatever_step_it_fills() {
    let Some(mount) = Mount::new("12m") else {
        return;
    };
    let data = mount.path().join("data");
    let store = Store::open(&data).unwrap();
    let change = mirror(&store, "acme", 1, &[1]);
    commit(&store, vec![change]);
    let (mut full, mut done) = (0, 0);
    for round in 2..30_u32 {
        leave_free(mount.path(), u64::from(round - 2) * 8192);
        // The whole of a commit, from the first byte on; any part of it may meet the full disk.
        let outcome = attempt(&store, round);
        assert_readers_are_safe(&data, |_| Keeper::Mirror);
        match outcome {
            Ok(()) => done += 1,
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    ErrorKind::DiskFull,
                    "round {round}: {error:?}"
                );
                assert!(error.hint().is_some());
                full += 1;
            }
        }
        fs::remove_file(mount.path().join("ballast")).unwrap();
        let recovery = store.recover(NOW).unwrap();
        assert!(recovery.refused.is_empty(), "{:?}", recovery.refused);
        assert_whole(&store);
        let change = mirror(&store, "other", round.into(), &[round]);
        commit(&store, vec![change]);
        assert_whole(&store);
    }
    assert!(
        full > 0 && done > 0,
        "{full} times full, {done} times not: the test does not test what it says"
    );
}

fn attempt(store: &Store, release: u32) -> Result<(), heliostat_store::StoreError> {
    let mut blobs = Vec::new();
    let entry = entry("acme", release);
    for (part, content) in [
        (heliostat_store::Part::File, bytes("acme", release)),
        (
            heliostat_store::Part::Metadata,
            metadata_bytes("acme", release),
        ),
    ] {
        let blob = store.blob_from_bytes(&content, &heliostat_store::Expected::default())?;
        blobs.push(heliostat_store::Admission {
            path: entry.path.clone(),
            part,
            blob,
        });
    }
    let record = record("acme", release.into(), &[release], Keeper::Mirror);
    let put = heliostat_store::Put {
        record,
        blobs,
        failures: vec![],
    };
    let committed = store.commit(vec![Change::Put(Box::new(put))], &CommitPolicy::at(NOW))?;
    assert!(committed.refused.is_empty(), "{:?}", committed.refused);
    Ok(())
}

#[test]
fn a_full_disk_can_be_freed_by_evicting() {
    let Some(mount) = Mount::new("12m") else {
        return;
    };
    let store = Store::open(&mount.path().join("data")).unwrap();
    commit(&store, vec![on_demand("acme", 1, &[1])]);
    let blobs = Blobs {
        project: name("acme"),
        blobs: admissions(&store, "acme", 1),
        learned: vec![],
    };
    commit(&store, vec![Change::Blobs(blobs)]);
    // What the catalog's log needs is there already; it is written over.
    leave_free(mount.path(), 0);
    let blob = store.blob_from_bytes(&vec![1; 100_000], &heliostat_store::Expected::default());
    assert_eq!(blob.unwrap_err().kind(), ErrorKind::DiskFull);
    match store.commit(
        vec![Change::Evict {
            path: entry("acme", 1).path,
        }],
        &CommitPolicy::at(NOW),
    ) {
        Ok(committed) => assert_eq!(committed.swept.files, 1),
        Err(error) => assert_eq!(error.kind(), ErrorKind::DiskFull, "{error:?}"),
    }
    fs::remove_file(mount.path().join("ballast")).unwrap();
    drop(store.recover(NOW).unwrap());
    assert_whole(&store);
}

#[test]
fn a_read_only_directory_is_told_as_such() {
    let Some(mount) = Mount::new("12m") else {
        return;
    };
    let data = mount.path().join("data");
    let store = Store::open(&data).unwrap();
    let change = mirror(&store, "acme", 1, &[1]);
    commit(&store, vec![change]);
    drop(store);
    mount.remount("ro");
    let error = Store::open(&data).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error:?}");
    assert_readers_are_safe(&data, |_| Keeper::Mirror);
    mount.remount("rw");
    assert_whole(&Store::open(&data).unwrap());
}

#[test]
fn a_tree_on_another_file_system_is_refused_at_once() {
    let Some(mount) = Mount::new("12m") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("web")).unwrap();
    std::os::unix::fs::symlink(mount.path(), directory.path().join("web/packages")).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Layout, "{error:?}");
    assert!(error.hint().is_some());
}
