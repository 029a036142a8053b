//! Another number of bins: when it is told, how it is done with one key and with several, and that every client goes on.

use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::Finished;

use crate::notary_world::{begin, root};
use crate::other_clients::{Proxy, PythonTuf};
use crate::sync_world::many;
use crate::world::{World, assert_says, bare};

/// So many that four bins fit, which is far more than one.
const PROJECTS: usize = 300;

fn status(world: &World) -> Finished {
    world.heliostat.command("trust status").run()
}

/// The command that `trust status` names, as it is typed.
#[track_caller]
fn next(status: &Finished) -> Vec<String> {
    let line = status
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("next: heliostat "));
    let line = line.unwrap_or_else(|| panic!("no next command: {status}"));
    line.split(' ').map(str::to_owned).collect()
}

/// Lets every client take these pages, each with the state that it had.
#[track_caller]
fn all_take(world: &World, mirror: &TreeMirror, python: Option<&PythonTuf>, projects: &[&str]) {
    let ours: Vec<_> = projects
        .iter()
        .map(|name| {
            std::fs::read(
                world
                    .heliostat
                    .web()
                    .join(format!("simple/{name}/index.v1_json")),
            )
            .unwrap()
        })
        .collect();
    if let Some(python) = python {
        let theirs = python.pages(world, &mirror.url(), projects);
        assert_eq!(theirs, ours.into_iter().map(Some).collect::<Vec<_>>());
    }
    let proxy = Proxy::new(world).start(world, mirror);
    for project in projects {
        let page = crate::http::get(&format!("{}/simple/{project}/", proxy.url));
        assert_eq!(page.status, 200, "{page:?}");
    }
    proxy.stop().assert_code(0);
    world
        .heliostat
        .bare()
        .args(["trust", "verify"])
        .arg(world.heliostat.web())
        .arg("--root")
        .arg(root(&world.heliostat))
        .run()
        .assert_code(0);
}

#[test]
fn projects_outgrow_the_bins_and_every_client_goes_on() {
    let world = World::new(many(PROJECTS));
    begin(&world.heliostat, 1);
    world
        .sync(&["project-00000", "project-00001"])
        .assert_code(0);
    status(&world).assert_code(0);
    let mirror = TreeMirror::serve(world.heliostat.web());
    let python = PythonTuf::new(&world);
    all_take(&world, &mirror, python.as_ref(), &["project-00000"]);

    world.sync(&["--all"]).assert_code(0);
    let outgrown = status(&world);
    outgrown.assert_code(1);
    assert_says(
        &outgrown.stdout,
        &[
            "1 bin, 4 would fit 300 projects  DUE",
            "next: heliostat trust rebin --data ",
        ],
    );
    let rebinned = bare().args(next(&outgrown)).run();
    rebinned.assert_code(0);
    assert_says(&rebinned.stderr, &["4 bins, 4 would fit 300 projects"]);
    let fits = status(&world);
    fits.assert_code(0);
    assert_says(&fits.stdout, &["4 bins, first bin-4-"]);
    all_take(
        &world,
        &mirror,
        python.as_ref(),
        &["project-00000", "project-00077", "project-00229"],
    );
    assert!(
        world
            .heliostat
            .web()
            .join("tuf")
            .read_dir()
            .unwrap()
            .any(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .ends_with(".bin-1-.json")
            })
    );

    // There is nothing to do twice, and the way back is open: the one bin's name is used again with a higher version.
    let again = bare().args(next(&outgrown)).run();
    again.assert_code(0);
    assert_says(&again.stderr, &["nothing to do"]);
    let back = world
        .heliostat
        .command("trust rebin")
        .args(["--bins", "1"])
        .run();
    back.assert_code(0);
    all_take(
        &world,
        &mirror,
        python.as_ref(),
        &["project-00001", "project-00077"],
    );
    let odd = world
        .heliostat
        .command("trust rebin")
        .args(["--bins", "3"])
        .run();
    odd.assert_code(2);
    assert_says(&odd.stderr, &["power of two"]);
}

#[test]
fn fewer_projects_than_were_planned_for_are_told_once_the_mirror_is_whole() {
    let world = World::new(many(2));
    begin(&world.heliostat, 16);
    status(&world).assert_code(0);
    world.sync(&["--all"]).assert_code(0);
    let shrunk = status(&world);
    shrunk.assert_code(1);
    assert_says(&shrunk.stdout, &["16 bins, 1 would fit 2 projects  DUE"]);
    let json = world.heliostat.command("trust status").arg("--json").run();
    json.assert_code(1);
    let json = json.json();
    assert_eq!(json["bins"]["fitting"], 1);
    assert_says(
        json["next"].as_str().unwrap(),
        &["heliostat trust rebin --data "],
    );
    // A server that runs beside may be the one that publishes it.
    let serving = world.heliostat.serve(["--offline"]);
    let rebinned = bare().args(next(&shrunk)).run();
    rebinned.assert_code(0);
    let snapshot = &world.status()["signing"]["snapshot"]["version"];
    assert_says(
        &rebinned.stderr,
        &[&format!("snapshot {snapshot} has them")],
    );
    serving.stop().assert_code(0);
    status(&world).assert_code(0);
    let mirror = TreeMirror::serve(world.heliostat.web());
    all_take(
        &world,
        &mirror,
        PythonTuf::new(&world).as_ref(),
        &["project-00000", "project-00001"],
    );
}
