//! A mirror whose pages are signed, with one key for everything.

use std::path::{Path, PathBuf};

use heliostat_testkit::process::{Finished, Heliostat, Serving};

use crate::world::World;

/// Switches signing on in a data directory, with so many bins.
#[track_caller]
pub(crate) fn begin(heliostat: &Heliostat, bins: u64) {
    heliostat
        .command("trust init")
        .args(["--bins", &bins.to_string()])
        .run()
        .assert_code(0);
}

/// The first root, as a client is given it by a way it trusts.
pub(crate) fn root(heliostat: &Heliostat) -> PathBuf {
    heliostat.web().join("tuf/1.root.json")
}

/// A TUF client with a state of its own that downloads the page of a project.
pub(crate) fn take(
    world: &World,
    root: &Path,
    serving: &Serving,
    state: &str,
    project: &str,
) -> Finished {
    let state = world.place(state);
    let invocation = || {
        world
            .heliostat
            .bare()
            .args(["tuf-client", "--metadata-dir"])
            .arg(&state)
    };
    if !state.exists() {
        invocation().arg("init").arg(root).run().assert_code(0);
    }
    let into = world.place("taken");
    std::fs::create_dir_all(&into).unwrap();
    invocation()
        .args(["--metadata-url", &format!("{}/tuf/", serving.url)])
        .args(["--target-base-url", &format!("{}/", serving.url)])
        .args(["--target-name", &format!("simple/{project}/index.v1_json")])
        .arg("--target-dir")
        .arg(into)
        .arg("download")
        .run()
}

/// Copies a tree as a mirror does that knows nothing of it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
