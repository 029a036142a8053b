//! A tree that was damaged behind the program's back, and disks that refuse: noticed, told, and made right.

use std::path::{Path, PathBuf};
use std::process::Command;

use heliostat_testkit::clients::{Skip, or_skip};
use heliostat_testkit::process::Invocation;
use heliostat_testkit::pypi::{Fault, Kind, Rule};
use heliostat_testkit::universe::Release;

use crate::http::{get, get_json};
use crate::sync_world::{asked, many, small};
use crate::world::{World, assert_says};

fn synced() -> World {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    world.pypi.clear_log();
    world
}

/// Each of these is lost, or no longer as long as it was.
fn lose(world: &World) {
    let web = world.heliostat.web();
    let remove = |path: PathBuf| std::fs::remove_file(path).unwrap();
    remove(world.path_in_tree("alpha-1.0.tar.gz"));
    std::fs::write(world.path_in_tree("zeta-3.0-py3-none-any.whl"), "short").unwrap();
    let wheel = world.path_in_tree("gamma_core-1.0-py3-none-any.whl");
    remove(wheel.with_extension("whl.metadata"));
    remove(web.join("integrity/beta/1.0/beta-1.0.tar.gz/provenance"));
    remove(web.join("simple/delta/index.v1_json"));
    std::fs::remove_dir_all(web.join("simple/epsilon")).unwrap();
    remove(web.join("simple/index.v1_json"));
}

#[test]
fn what_is_missing_is_taken_again_by_the_next_sync() {
    let world = synced();
    lose(&world);
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
    assert_eq!(world.files_fetched().len(), 2);
    world.pypi.clear_log();
    world.sync(&[]).assert_code(0);
    assert_eq!(
        asked(&world.pypi).into_iter().collect::<Vec<_>>(),
        [(Kind::List, 1)]
    );
}

#[test]
fn what_is_missing_and_cannot_be_had_again_is_no_longer_promised() {
    let world = synced();
    lose(&world);
    world
        .pypi
        .misbehave(Rule::new(Fault::Status(503)).on(Kind::File));
    let run = world.sync(&[]);
    run.assert_code(1);
    world.assert_honest(&run);
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn damage_that_was_found_by_a_run_that_was_killed_is_not_forgotten() {
    let world = synced();
    lose(&world);
    let hang = Rule::new(Fault::Hang)
        .on(Kind::File)
        .path("alpha-1.0.tar.gz");
    world.pypi.misbehave(hang);
    let arguments = ["--upstream", &world.pypi.index_url()];
    let mut running = world.heliostat.command("sync").args(arguments).start();
    while world.pypi.count(Kind::File) < 1 && running.is_running() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    running.kill();
    world.pypi.behave();
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
    assert_eq!(world.ledger().len(), 0);
}

#[test]
fn verify_finds_wrong_bytes_of_the_right_length_and_repairs_them() {
    let world = synced();
    let path = world.path_in_tree("zeta-3.0.tar.gz");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    lose(&world);
    let found = world.verify(&[]);
    found.assert_code(1);
    assert_says(
        &found.stdout,
        &["zeta-3.0.tar.gz", "alpha-1.0.tar.gz", "delta", "epsilon"],
    );
    world.verify(&["--repair"]);
    world.assert_in_step();
    world.verify(&[]).assert_code(0);
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn a_lost_catalog_is_built_again_from_the_upstream_without_a_second_download_being_visible() {
    let world = synced();
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let path = world.heliostat.data().join("state").join(name);
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
    }
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
}

/// A small file system of its own, unmounted when dropped.
struct Mount {
    directory: tempfile::TempDir,
}

impl Mount {
    fn new(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "heliostat-test"])
            .arg(directory.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self { directory });
        }
        or_skip(Err(Skip(
            "no right to mount a small file system".to_owned(),
        )))
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn remount(&self, options: &str) {
        let run = Invocation::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(self.path())
            .run();
        run.assert_code(0);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _leftover = Command::new("umount").arg(self.path()).status();
    }
}

/// A world whose data directory lies on a mount.
fn world_on(mount: &Mount, projects: usize) -> World {
    World::new(many(projects)).kept_in(&mount.path().join("data"))
}

#[test]
fn a_full_disk_ends_the_run_with_3_and_loses_nothing() {
    let Some(mount) = Mount::new("3m") else {
        return;
    };
    let world = world_on(&mount, 8);
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
    for index in 0..8 {
        let release = Release::simple("5.0").payload_bytes(600_000);
        world
            .pypi
            .add_release(&format!("project-{index:05}"), &release);
    }
    for _ in 0..2 {
        let run = world.sync(&[]);
        run.assert_code(3);
        assert_says(
            &run.stderr,
            &["No space left on device", "hint: free some space"],
        );
        world.assert_safe_for_clients();
    }
    mount.remount("size=64m");
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn a_read_only_disk_ends_the_run_with_3_and_is_served_as_it_is() {
    let Some(mount) = Mount::new("16m") else {
        return;
    };
    let world = world_on(&mount, 4);
    world.sync(&["--all"]).assert_code(0);
    world
        .pypi
        .add_release("project-00000", &Release::simple("5.0"));
    mount.remount("ro");
    let before = world.tree();
    let run = world.sync(&[]);
    run.assert_code(3);
    assert_says(
        &run.stderr,
        &[
            "Read-only file system",
            "hint: mount the data directory writable",
        ],
    );
    assert_eq!(world.tree(), before);
    let serving = world.serve(&["--offline"]);
    let page = get_json(&format!("{}/simple/project-00000/", serving.url)).json();
    let file = page["files"][0]["url"].as_str().unwrap();
    let file = file.trim_start_matches("../");
    assert_eq!(get(&format!("{}/{file}", serving.url)).status, 200);
    let stopped = serving.stop();
    stopped.assert_code(0);
    assert_says(
        &stopped.stderr,
        &["cannot be written: it is served as it stands"],
    );
    assert_eq!(world.tree(), before);
    mount.remount("rw");
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn a_data_directory_that_is_a_file_ends_the_run_with_3() {
    let world = World::new(small());
    std::fs::write(world.heliostat.data(), "not a directory").unwrap();
    let run = world.sync(&["--all"]);
    run.assert_code(3);
    assert_says(&run.stderr, &["data"]);
    assert_eq!(world.pypi.count_all(), 0);
}
