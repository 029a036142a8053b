//! Signing as its user sees it: sync and serve publish, any TUF client takes, and what comes later is taken too.

use heliostat_testkit::process::Invocation;
use heliostat_testkit::pypi::{Kind, Lack};
use heliostat_testkit::universe::Release;

use crate::notary_world::{begin, root, take};
use crate::other_clients::PythonTuf;
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

#[test]
fn a_mirror_that_init_takes_over_signs_the_provenance_it_holds_without_taking_it_again() {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    let taken = world.pypi.count(Kind::Provenance);
    assert!(taken > 0);
    begin(&world.heliostat, 1);
    let page = std::fs::read_to_string(world.heliostat.web().join("simple/beta/index.v1_json"));
    let page: serde_json::Value = serde_json::from_str(&page.unwrap()).unwrap();
    for file in page["files"].as_array().unwrap() {
        let (document, digest) = (&file["provenance"], &file["_provenance-sha256"]);
        assert_eq!(document.is_null(), digest.is_null(), "{page}");
    }
    assert!(page.to_string().contains("_provenance-sha256"), "{page}");
    world
        .heliostat
        .bare()
        .args(["trust", "verify"])
        .arg(world.heliostat.web())
        .arg("--root")
        .arg(root(&world.heliostat))
        .run()
        .assert_code(0);
    world.sync(&[]).assert_code(0);
    assert_eq!(world.pypi.count(Kind::Provenance), taken);
}

#[test]
fn python_tuf_takes_every_page_of_what_the_program_signed() {
    for bins in [1, 16] {
        let world = World::new(small());
        begin(&world.heliostat, bins);
        let Some(python) = PythonTuf::new(&world) else {
            return;
        };
        let serving = world.heliostat.serve(["--offline"]);
        let take = |projects: &[&str]| python.pages(&world, &serving.url, projects);
        assert_eq!(take(&["alpha"]), [None], "the empty tree");
        world.sync(&["--all"]).assert_code(0);
        let names = ["alpha", "beta", "gamma-core", "delta", "epsilon", "zeta"];
        let ours: Vec<_> = names
            .iter()
            .map(|name| {
                let page = world
                    .heliostat
                    .web()
                    .join(format!("simple/{name}/index.v1_json"));
                Some(std::fs::read(page).unwrap())
            })
            .collect();
        assert_eq!(take(&names), ours, "{bins} bins");
        world.pypi.add_release("alpha", &Release::simple("6.0"));
        world.pypi.delete_project("delta");
        world.sync(&[]).assert_code(0);
        let after = take(&names);
        assert_ne!(after[0], ours[0]);
        assert_eq!(after[1], ours[1]);
        assert_eq!(after[3], None, "delta is gone");
    }
}

#[test]
fn sync_that_watches_signs_what_comes_and_what_is_due_until_it_is_stopped() {
    let world = World::new(small());
    begin(&world.heliostat, 4);
    let mut watching = world
        .heliostat
        .command("sync")
        .args(["--upstream", &world.pypi.index_url(), "alpha"])
        .args(["--watch", "60", "--publish-every", "0"])
        .start();
    let signed = |role: &str, key: &str| world.status()["signing"][role][key].as_i64().unwrap();
    let has = |project: &str| {
        let serving = world.heliostat.serve(["--offline"]);
        take(&world, &root(&world.heliostat), &serving, "client", project).code() == Some(0)
    };
    until("what it brought is signed", || {
        signed("snapshot", "version") >= 2
    });
    assert!(has("alpha"));
    let version = signed("timestamp", "version");
    // An hour later, as far as the catalog knows.
    age(&world, "timestamp", 3_700);
    until("the timestamp is signed again", || {
        signed("timestamp", "version") > version
    });
    let snapshot = signed("snapshot", "version");
    age(&world, "snapshot", 100_000);
    until("the snapshot is signed again at half of its life", || {
        signed("snapshot", "version") > snapshot
    });
    assert!(has("alpha"));
    assert!(watching.is_running());
    watching.terminate().assert_code(0);
    world.assert_sound();
}

/// Whichever of the two is over: clients refuse the tree, so whoever keeps it is told, by line and by exit code.
#[test]
fn status_tells_that_snapshot_or_timestamp_have_expired() {
    let world = World::new(small());
    begin(&world.heliostat, 1);
    world.sync(&["--all"]).assert_code(0);
    let status = |code: i32| {
        let status = world.heliostat.command("status").run();
        status.assert_code(code);
        let json = world.heliostat.command("status").arg("--json").run();
        json.assert_code(code);
        status.stdout
    };
    let line = |text: &str, role: &str| {
        let mut lines = text.lines().map(str::to_owned);
        lines.find(|line| line.starts_with(role)).unwrap()
    };
    let roles = ["snapshot", "timestamp"];
    for role in roles {
        assert!(!line(&status(0), role).contains("EXPIRED"));
    }
    for (at, role) in roles.into_iter().enumerate() {
        age(&world, role, 400_000);
        let text = status(1);
        assert_says(&line(&text, role), &["EXPIRED", "clients refuse the tree"]);
        assert!(!line(&text, roles[1 - at]).contains("EXPIRED"), "{text}");
        // Signed again, it is well.
        world.sync(&["--all"]).assert_code(0);
        status(0);
    }
}

/// Has the catalog say that a role was signed so many seconds earlier.
fn age(world: &World, role: &str, seconds: u32) {
    let script = "import sqlite3, sys\n\
                  catalog = sqlite3.connect(sys.argv[1], timeout=30)\n\
                  with catalog:\n    \
                  catalog.execute('UPDATE role SET signed_at = signed_at - ?, expires_at = expires_at - ? WHERE name = ?', \
                  (int(sys.argv[3]), int(sys.argv[3]), sys.argv[2]))";
    Invocation::new("python3")
        .args(["-c", script])
        .arg(world.heliostat.data().join("state/catalog.sqlite"))
        .args([role, &seconds.to_string()])
        .run()
        .assert_code(0);
}
