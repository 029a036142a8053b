//! Dies at every named step of a commit, and at random times, and looks at what readers see and what recovery does.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use heliostat_pypi::Serial;
use heliostat_store::{
    Blobs, Change, CommitPolicy, KILL_POINTS, Keeper, MetadataFile, MetadataStep, Origin, Store,
    StoreError,
};

use crate::notary;
use crate::world::*;

const CHILD_DATA: &str = "HELIOSTAT_STORE_TEST_DATA";
const CHILD_SEED: &str = "HELIOSTAT_STORE_TEST_SEED";

/// The times that each step is died at; beyond the script's last, the child ends well and that is checked too.
const TIMES: [u32; 3] = [1, 2, 5];

/// Runs one of the ignored tests below as another process.
pub(crate) fn child(test: &str, data: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(CHILD_DATA, data);
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command
}

pub(crate) fn child_store() -> Store {
    Store::open(Path::new(&std::env::var(CHILD_DATA).unwrap())).unwrap()
}

#[test]
#[ignore = "run by the other tests as a child process"]
fn scripted_child() {
    script(&child_store());
}

#[test]
#[ignore = "run by the other tests as a child process"]
fn random_child() {
    let seed: u64 = std::env::var(CHILD_SEED).unwrap().parse().unwrap();
    random_commits(&child_store(), seed, u32::MAX);
}

#[test]
#[ignore = "run by the other tests as a child process"]
fn bounded_child() {
    let seed: u64 = std::env::var(CHILD_SEED).unwrap().parse().unwrap();
    random_commits(&child_store(), seed, 25);
}

/// A little of everything that commits do. May be run again from any state that it can be interrupted in.
fn script(store: &Store) {
    drop(store.recover(NOW).unwrap());
    let first = vec![
        mirror(store, "alpha", 1, &[1, 2]),
        mirror(store, "beta", 2, &[1]),
        on_demand("gamma", 3, &[1, 2]),
    ];
    commit(store, first);
    store.begin_notary(Origin::Own, NOW).unwrap();
    store.index_targets(NOW).unwrap();
    let root = MetadataFile {
        name: "1.root.json".to_owned(),
        bytes: b"{}".to_vec(),
    };
    store
        .write_metadata(MetadataStep::Offline, &[root])
        .unwrap();
    notary::publish(store, NOW);
    store.publish_root(Some(Serial(3)), NOW).unwrap();
    let taken = Blobs {
        project: name("gamma"),
        blobs: admissions(store, "gamma", 1),
        learned: vec![],
    };
    let second = vec![
        mirror(store, "alpha", 4, &[2, 3]),
        Change::Drop { name: name("beta") },
        Change::Blobs(taken),
    ];
    commit(store, second);
    let third = vec![
        Change::Evict {
            path: entry("gamma", 1).path,
        },
        mirror(store, "delta", 5, &[7]),
    ];
    commit(store, third);
    notary::publish(store, NOW);
    // Long after, so that something is due; and once more, because what a kill kept from being noted is due only then.
    store.sweep_retired(NOW + 10_000_000).unwrap();
    store.publish_root(Some(Serial(5)), NOW + 1).unwrap();
    store.describe(|| Ok(b"{}".to_vec())).unwrap();
}

/// What the tree lists when the script has run to its end.
fn script_outcome() -> BTreeMap<String, BTreeSet<String>> {
    [("alpha", &[2, 3][..]), ("delta", &[7]), ("gamma", &[1, 2])]
        .into_iter()
        .map(|(project, releases)| {
            (
                project.to_owned(),
                releases
                    .iter()
                    .map(|release| filename(project, *release))
                    .collect(),
            )
        })
        .collect()
}

fn keeper_of(project: &str) -> Keeper {
    if project == "gamma" {
        Keeper::OnDemand
    } else {
        Keeper::Mirror
    }
}

/// Every page is one that the script publishes at some time, never a mixture.
fn assert_before_or_after(data: &Path) {
    for (project, files) in listed(data) {
        let releases: Vec<u32> = files
            .iter()
            .map(|file| file.split('-').nth(1).unwrap().parse().unwrap())
            .collect();
        let known: &[&[u32]] = match project.as_str() {
            "alpha" => &[&[1, 2], &[2, 3]],
            "beta" => &[&[1]],
            "gamma" => &[&[1, 2]],
            "delta" => &[&[7]],
            other => panic!("{other} was never published"),
        };
        assert!(
            known.contains(&releases.as_slice()),
            "{project} lists {releases:?}"
        );
    }
}

fn die_at(step: &str, times: u32) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let status: ExitStatus = child("kill::scripted_child", data)
        .env("HELIOSTAT_KILL_AT", format!("{step}:{times}"))
        .status()
        .unwrap();
    // SIGABRT, or the step comes fewer times than that.
    assert!(
        status.signal() == Some(6) || (status.success() && times > 1),
        "{step}:{times} ended with {status}"
    );
    assert_readers_are_safe(data, keeper_of);
    assert_before_or_after(data);
    notary::seen(data);
    let store = Store::open(data).unwrap();
    let recovery = store.recover(NOW).unwrap();
    assert!(
        recovery.refused.is_empty(),
        "{step}:{times}: {:?}",
        recovery.refused
    );
    assert_whole(&store);
    assert_before_or_after(data);
    assert!(
        store.recover(NOW).unwrap().is_clean(),
        "{step}:{times}: recovery is not at rest"
    );
    script(&store);
    assert_whole(&store);
    assert_eq!(listed(data), script_outcome(), "{step}:{times}");
    assert_eq!(
        notary::seen(data).unwrap(),
        notary::current(&store),
        "{step}:{times}"
    );
    assert!(!store.is_root_behind().unwrap());
}

/// The steps shared out over a few tests, which run side by side.
fn die_at_every(share: usize) {
    for step in KILL_POINTS.iter().skip(share).step_by(4) {
        for times in TIMES {
            die_at(step, times);
        }
    }
}

#[test]
fn dying_at_any_step_leaves_readers_safe_and_is_recovered_from_1() {
    die_at_every(0);
}

#[test]
fn dying_at_any_step_leaves_readers_safe_and_is_recovered_from_2() {
    die_at_every(1);
}

#[test]
fn dying_at_any_step_leaves_readers_safe_and_is_recovered_from_3() {
    die_at_every(2);
}

#[test]
fn dying_at_any_step_leaves_readers_safe_and_is_recovered_from_4() {
    die_at_every(3);
}

#[test]
fn the_script_passes_every_step() {
    // A step that is never reached would make the tests above pass for nothing.
    for step in KILL_POINTS {
        let directory = tempfile::tempdir().unwrap();
        let status = child("kill::scripted_child", directory.path())
            .env("HELIOSTAT_KILL_AT", step)
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(6), "{step} is never reached");
    }
}

#[test]
fn dying_at_random_times_leaves_readers_safe_and_is_recovered_from() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    for round in 0..12_u64 {
        let mut running = child("kill::random_child", data)
            .env(CHILD_SEED, round.to_string())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(40 + 37 * round % 200));
        running.kill().unwrap();
        running.wait().unwrap();
        assert_readers_are_safe(data, |_| Keeper::Mirror);
        let store = Store::open(data).unwrap();
        let recovery = store.recover(NOW).unwrap();
        assert!(recovery.refused.is_empty(), "{:?}", recovery.refused);
        assert_whole(&store);
    }
    let store = Store::open(data).unwrap();
    assert!(store.generation().unwrap() > 0, "no child ever committed");
}

#[test]
fn several_processes_commit_side_by_side() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let running: Vec<_> = (100..103_u64)
        .map(|seed| {
            child("kill::bounded_child", data)
                .env(CHILD_SEED, seed.to_string())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_readers_are_safe(data, |_| Keeper::Mirror);
    let store = Store::open(data).unwrap();
    assert!(
        store.recover(NOW).unwrap().discarded_temporaries == 0,
        "somebody left litter"
    );
    assert_whole(&store);
    assert!(store.generation().unwrap() >= 25);
}

/// Random pages of a few mirrored projects. Others may be committing to the same ones, so that a file which was there
/// when the page was made may be gone when it is committed; that must be refused and may be nothing worse.
fn random_commits(store: &Store, seed: u64, commits: u32) {
    drop(store.recover(NOW).unwrap());
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    for serial in 0..commits {
        let mut changes = Vec::new();
        for _ in 0..=next(3) {
            let project = ["alpha", "beta", "delta", "epsilon"][usize::try_from(next(4)).unwrap()];
            if next(5) == 0 {
                changes.push(Change::Drop {
                    name: name(project),
                });
                continue;
            }
            let releases: Vec<u32> = (1..=5).filter(|_| next(2) == 0).collect();
            changes.push(mirror(store, project, u64::from(serial), &releases));
        }
        let committed = store.commit(changes, &CommitPolicy::at(NOW)).unwrap();
        for refusal in committed.refused {
            assert!(
                matches!(refusal.error, StoreError::NotHeld { .. }),
                "{:?}",
                refusal.error
            );
        }
        if next(8) == 0 {
            store
                .publish_root(Some(Serial(serial.into())), NOW)
                .unwrap();
        }
    }
}
