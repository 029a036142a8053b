//! `heliostat verify --repair`: what can be had again is made good, what cannot is no longer promised, nothing else
//! is touched. And stopping, going on, keeping to a rate.

use std::path::{Path, PathBuf};

use heliostat_testkit::pypi::{Fault, Kind, Rule};
use heliostat_testkit::universe::{Release, Universe};

use crate::http::get_json;
use crate::world::{World, assert_says};

const WHEEL: &str = "alpha-1.0-py3-none-any.whl";

fn world() -> World {
    let mut universe = Universe::new();
    universe.add_project(
        "alpha",
        &[Release::simple("1.0").payload_bytes(60_000).provenance()],
    );
    universe.add_project("beta", &[Release::simple("1.0"), Release::simple("2.0")]);
    let world = World::new(universe);
    world.sync(&["--all"]).assert_code(0);
    world.pypi.clear_log();
    world
}

fn web(world: &World, path: &str) -> PathBuf {
    world.heliostat.web().join(path)
}

fn beside(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".metadata");
    path.into()
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn every_damage_at_once_is_made_good() {
    let world = world();
    flip(&world.path_in_tree(WHEEL));
    std::fs::remove_file(world.path_in_tree("alpha-1.0.tar.gz")).unwrap();
    flip(&beside(&world.path_in_tree("beta-1.0-py3-none-any.whl")));
    std::fs::remove_file(beside(&world.path_in_tree("beta-2.0-py3-none-any.whl"))).unwrap();
    let provenance = web(&world, &format!("integrity/alpha/1.0/{WHEEL}/provenance"));
    std::fs::remove_file(provenance).unwrap();
    std::fs::remove_dir_all(web(&world, "simple/beta")).unwrap();
    flip(&web(&world, "simple/alpha/index.v1_json"));
    flip(&web(&world, "simple/index.v1_json"));
    std::fs::remove_file(web(&world, "simple/index.v1_html")).unwrap();
    let finished = world.verify(&["--repair"]);
    finished.assert_code(0);
    assert_says(&finished.stdout, &["[made good]"]);
    assert!(!finished.stdout.contains("dropped"), "{finished}");
    // Only what was wrong is asked for again.
    assert_eq!(
        world.pypi.count(Kind::File),
        2,
        "{:?}",
        world.pypi.requests()
    );
    world.assert_mirrors();
    world.verify(&[]).assert_code(0);
    world.sync(&[]).assert_code(0);
}

#[test]
fn pages_are_made_good_without_asking_anybody() {
    let world = world();
    world.pypi.stop();
    std::fs::remove_dir_all(web(&world, "simple")).unwrap();
    std::fs::remove_dir_all(web(&world, "pypi")).unwrap();
    world.verify(&["--repair"]).assert_code(0);
    world.assert_mirrors();
}

#[test]
fn what_the_upstream_no_longer_has_is_no_longer_promised() {
    let world = world();
    flip(&world.path_in_tree("beta-1.0.tar.gz"));
    flip(&world.path_in_tree("beta-2.0.tar.gz"));
    let gone = world.path_in_tree("beta-1.0.tar.gz");
    world.pypi.delete_file("beta", "beta-1.0.tar.gz");
    let finished = world.verify(&["--repair"]);
    finished.assert_code(1);
    assert_says(
        &finished.stdout,
        &["[made good]", "[dropped from its page]"],
    );
    assert!(!gone.exists());
    world.assert_mirrors();
    world.verify(&[]).assert_code(0);
}

#[test]
fn while_the_upstream_is_down_wrong_bytes_are_no_longer_served_and_later_they_heal() {
    let world = world();
    flip(&world.path_in_tree(WHEEL));
    flip(&beside(&world.path_in_tree("beta-1.0-py3-none-any.whl")));
    world.pypi.stop();
    let finished = world.verify(&["--repair"]);
    finished.assert_code(1);
    assert!(!finished.stdout.contains("2 made good"), "{finished}");
    // Right bytes stay, wrong ones are not promised.
    world.assert_sound();
    for filename in ["alpha-1.0.tar.gz", "beta-1.0.tar.gz", "beta-2.0.tar.gz"] {
        assert!(world.path_in_tree(filename).is_file(), "{filename}");
    }
    let serving = world.serve(&["--offline"]);
    let page = get_json(&format!("{}alpha/", serving.index_url()));
    assert_eq!(page.filenames(), ["alpha-1.0.tar.gz"]);
    serving.stop().assert_code(0);
    let status = world.heliostat.command("status").run();
    status.assert_code(1);
    assert_says(&status.stdout, &["alpha"]);
    world.pypi.start();
    world.sync(&[]).assert_code(0);
    world.assert_mirrors();
    world.heliostat.command("status").run().assert_code(0);
}

#[test]
fn an_upstream_that_gives_wrong_bytes_repairs_nothing() {
    let world = world();
    flip(&world.path_in_tree(WHEEL));
    world
        .pypi
        .misbehave(Rule::new(Fault::Corrupt).on(Kind::File));
    let finished = world.verify(&["--repair"]);
    finished.assert_code(1);
    assert!(!finished.stdout.contains("[made good]"), "{finished}");
    world.assert_sound();
    world.pypi.behave();
    world.sync(&[]).assert_code(0);
    world.assert_mirrors();
}

#[test]
fn a_repair_and_a_sync_exclude_each_other() {
    let world = world();
    world.pypi.misbehave(Rule::new(Fault::Hang).on(Kind::List));
    let upstream = world.pypi.index_url();
    let mut sync = world
        .heliostat
        .command("sync")
        .args(["--upstream", &upstream, "--read-timeout", "3600", "--json"])
        .start();
    crate::world::until("the sync asks for the list", || {
        world.pypi.in_flight_max() > 0
    });
    let refused = world.verify(&["--repair"]);
    refused.assert_code(3);
    assert_says(&refused.stderr, &["heliostat sync"]);
    // Looking is always possible.
    world.verify(&[]).assert_code(0);
    assert!(sync.is_running());
    sync.kill();
    world.verify(&["--repair"]).assert_code(0);
}

#[test]
fn an_interrupted_verify_goes_on_where_it_stopped() {
    let mut universe = Universe::new();
    for number in 10..40 {
        universe.add_project(
            &format!("p{number}"),
            &[Release::new("1.0").wheel().payload_bytes(50_000)],
        );
    }
    let world = World::new(universe);
    world.sync(&["--all"]).assert_code(0);
    flip(&world.path_in_tree("p10-1.0-py3-none-any.whl"));
    flip(&world.path_in_tree("p39-1.0-py3-none-any.whl"));
    // At this rate the whole would take half a minute.
    let mut verify = world
        .heliostat
        .command("verify")
        .args(["--rate", "50k", "--readers", "1"])
        .start();
    verify.wait_for_line("packages/");
    verify.interrupt();
    let stopped = verify.wait();
    stopped.assert_code(1);
    assert_says(&stopped.stdout, &["stopped, `--resume` goes on from here"]);
    assert_says(
        &stopped.stdout,
        &[&world.file("p10-1.0-py3-none-any.whl").path()],
    );
    let resumed = world.verify(&["--resume"]);
    resumed.assert_code(1);
    let missed = world.file("p10-1.0-py3-none-any.whl").path();
    assert!(!resumed.stdout.contains(&missed), "{resumed}");
    let found = world.file("p39-1.0-py3-none-any.whl").path();
    assert_says(&resumed.stdout, &[&found, "1 problem found"]);
    // After a whole run there is nothing to go on from: it begins anew.
    let again = world.verify(&["--resume"]);
    assert_says(&again.stdout, &["30 projects, ", "2 problems found"]);
}

#[test]
fn a_verify_that_was_killed_goes_on_too() {
    let world = world();
    let mut verify = world
        .heliostat
        .command("verify")
        .args(["--rate", "1", "--readers", "1", "--log", "debug"])
        .start();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(verify.is_running(), "at one byte a second it takes a day");
    verify.kill();
    world.verify(&["--resume"]).assert_code(0);
    world.assert_mirrors();
}
