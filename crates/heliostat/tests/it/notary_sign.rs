//! Signing as its user sees it: sync and serve publish, any TUF client takes, and what comes later is taken too.

use heliostat_testkit::pypi::Lack;
use heliostat_testkit::universe::Release;

use crate::notary_world::{begin, root, take};
use crate::sync_world::small;
use crate::world::{World, assert_says, until};

#[test]
fn what_sync_brings_is_signed_and_a_client_takes_it() {
    let world = World::new(small());
    begin(&world.heliostat, 16);
    world.sync(&["--all"]).assert_code(0);
    let serving = world.heliostat.serve(["--offline"]);
    take(&world, &root(&world.heliostat), &serving, "client", "alpha").assert_code(0);
    world
        .pypi
        .add_release("alpha", &Release::simple("6.0").provenance());
    world.pypi.delete_project("delta");
    world.sync(&[]).assert_code(0);
    take(&world, &root(&world.heliostat), &serving, "client", "alpha").assert_code(0);
    let taken = std::fs::read_dir(world.place("taken"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let pages: Vec<String> = taken.collect();
    assert!(
        pages
            .iter()
            .any(|page| page.contains("alpha-6.0") && page.contains("_provenance-sha256")),
        "{pages:?}"
    );
    take(&world, &root(&world.heliostat), &serving, "client", "delta").assert_code(1);
    // Nothing new: nothing is signed.
    let version =
        |world: &World| std::fs::read(world.heliostat.web().join("tuf/timestamp.json")).unwrap();
    let before = version(&world);
    world.sync(&[]).assert_code(0);
    assert_eq!(version(&world), before);
}

#[test]
fn what_serve_takes_on_demand_is_signed_while_it_runs() {
    let world = World::new(small());
    begin(&world.heliostat, 1);
    let serving = world.serve(&[]);
    let page = format!("{}/simple/alpha/", serving.url);
    let timestamp = world.heliostat.web().join("tuf/timestamp.json");
    until("the empty tree is signed", || timestamp.exists());
    take(&world, &root(&world.heliostat), &serving, "client", "alpha").assert_code(1);
    assert_eq!(crate::http::get(&page).status, 200);
    until("the page is signed", || {
        take(&world, &root(&world.heliostat), &serving, "client", "alpha").code() == Some(0)
    });
}

#[test]
fn a_key_that_is_gone_is_told_before_anything_is_done() {
    let world = World::new(small());
    begin(&world.heliostat, 1);
    std::fs::remove_file(world.heliostat.data().join("state/keys/online.key")).unwrap();
    let run = world.sync(&["--all"]);
    run.assert_code(3);
    assert_says(&run.stderr, &["online.key", "signed"]);
    assert!(!world.heliostat.web().join("simple/alpha").exists());
}

#[test]
fn status_tells_what_is_signed_and_names_what_cannot_be() {
    let world = World::new(small());
    world.sync(&["alpha"]).assert_code(0);
    assert!(world.status()["signing"].is_null());
    begin(&world.heliostat, 16);
    world.sync(&["alpha"]).assert_code(0);
    let status = world.heliostat.command("status").run();
    status.assert_code(0);
    assert_says(
        &status.stdout,
        &[
            "signed       1 page by this mirror\n",
            "snapshot     version 1, until ",
            "timestamp    version 1, until ",
            "bins         16, 1 would fit 1 project\n",
            "not signable 0\n",
        ],
    );
    world.pypi.set_lacks([Lack::Hashes]);
    let serving = world.serve(&[]);
    assert_eq!(
        crate::http::get(&format!("{}/simple/beta/", serving.url)).status,
        200
    );
    until("beta's page is committed", || {
        world.status()["signing"]["unsignable_count"] == 1
    });
    drop(serving);
    let status = world.heliostat.command("status").run();
    status.assert_code(1);
    assert_says(
        &status.stdout,
        &["not signable 1\n  beta: ", "beta-1.0", "sha256"],
    );
    let signing = &world.status()["signing"];
    assert_eq!(signing["origin"], "own");
    assert_eq!(signing["unsignable"][0]["project"], "beta");
    assert_eq!(signing["bins"]["bins"], 16);
    assert!(signing["timestamp"]["expires_at"].is_i64());
}
