//! A user who may read a mirror's data and not write it: told so, and able to see how it does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use heliostat_testkit::clients::{Skip, or_skip};
use heliostat_testkit::process::{Heliostat, Invocation};
use heliostat_testkit::universe::Release;
use serde_json::Value;

use crate::sync_world::small;
use crate::world::{World, assert_says};

/// The user and group `nobody`, who own nothing.
const NOBODY: u32 = 65_534;

/// The mirror as a stranger meets it: the program where they may run it, the data where they may look.
struct Stranger {
    heliostat: Heliostat,
}

/// Only root can run a program as somebody else.
fn root() -> Result<(), Skip> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(Skip(
            "not root, so nothing can be run as another user".to_owned(),
        ))
    }
}

impl Stranger {
    /// `None` where we are not root, and so cannot become somebody else.
    fn of(world: &World) -> Option<Self> {
        or_skip(root())?;
        let program = world.place("heliostat");
        let built = Path::new(env!("CARGO_BIN_EXE_heliostat"));
        if std::fs::hard_link(built, &program).is_err() {
            std::fs::copy(built, &program).unwrap();
        }
        let mut above: PathBuf = world.heliostat.data().to_owned();
        while above.pop()
            && above.starts_with(std::env::temp_dir())
            && above != std::env::temp_dir()
        {
            std::fs::set_permissions(&above, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let heliostat = Heliostat::new(program, world.heliostat.data());
        Some(Self { heliostat })
    }

    fn command(&self, subcommand: &str) -> Invocation {
        self.heliostat.command(subcommand).as_user(NOBODY)
    }
}

#[test]
fn who_may_only_read_sees_the_status_and_changes_nothing() {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    let Some(stranger) = Stranger::of(&world) else {
        return;
    };
    let own: Value = {
        let status = world.heliostat.command("status").arg("--json").run();
        serde_json::from_str(&status.stdout).unwrap()
    };
    let before = world.tree();
    let theirs = stranger.command("status").arg("--json").run();
    theirs.assert_code(0);
    let theirs: Value = serde_json::from_str(&theirs.stdout).unwrap();
    assert_eq!(theirs["projects"], own["projects"]);
    assert_eq!(theirs["size_bytes"], own["size_bytes"]);
    assert_eq!(theirs["runs"], own["runs"]);

    // While another process has the catalog open, its log is read along.
    let serving = world.serve(&[]);
    world.pypi.add_release("alpha", &Release::simple("6.0"));
    world.sync(&[]).assert_code(0);
    let beside = stranger.command("status").arg("--json").run();
    beside.assert_code(0);
    let beside: Value = serde_json::from_str(&beside.stdout).unwrap();
    assert_eq!(beside["runs"].as_array().unwrap().len(), 2);
    serving.stop().assert_code(0);
    assert_ne!(world.tree(), before);
}

#[test]
fn who_may_not_write_is_told_what_and_where_and_nothing_is_lost() {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    let Some(stranger) = Stranger::of(&world) else {
        return;
    };
    world.pypi.add_release("alpha", &Release::simple("6.0"));
    world.pypi.clear_log();
    let before = world.tree();
    let data = world.heliostat.data().display().to_string();
    for subcommand in ["sync", "verify", "serve"] {
        let refused = stranger
            .command(subcommand)
            .args(["--upstream", &world.pypi.index_url()])
            .run();
        refused.assert_code(3);
        assert_says(
            &refused.stderr,
            &[
                &data,
                "Permission denied",
                "hint: run it as the user who owns the data directory",
            ],
        );
    }
    assert_eq!(world.pypi.count_all(), 0);
    assert_eq!(world.tree(), before);
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
}
