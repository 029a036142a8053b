//! Clients of a signed tree that know nothing of heliostat's keeping it: python-tuf, and our proxy with a state of its
//! own.

use std::path::PathBuf;

use heliostat_testkit::clients::{Tool, or_skip};
use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::{Heliostat, Invocation, Serving};
use serde_json::Value;

use crate::notary_world::root;
use crate::world::{World, heliostat};

/// python-tuf's client, with a state that lasts from one use to the next.
#[derive(Debug)]
pub(crate) struct PythonTuf {
    python: PathBuf,
    place: PathBuf,
}

impl PythonTuf {
    /// One that has seen nothing yet.
    pub(crate) fn new(world: &World) -> Option<Self> {
        let python = or_skip(Tool::PythonTuf.find())?;
        let place = world.place("python-tuf");
        Some(Self { python, place })
    }

    /// Refreshes and downloads the pages of these projects: their bytes, or `None` where the signed state has no such
    /// project. Whatever the client refuses fails the test.
    #[track_caller]
    pub(crate) fn pages(
        &self,
        world: &World,
        base: &str,
        projects: &[&str],
    ) -> Vec<Option<Vec<u8>>> {
        let targets = projects
            .iter()
            .map(|project| format!("simple/{project}/index.v1_json"));
        let run = Invocation::new(&self.python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/it/python_tuf.py"
            ))
            .arg(self.place.join("kept"))
            .arg(root(&world.heliostat))
            .arg(base.trim_end_matches('/'))
            .arg(self.place.join("taken"))
            .args(targets)
            .run();
        run.assert_code(0);
        run.stdout
            .lines()
            .map(|line| {
                let found: Value = serde_json::from_str(line).unwrap();
                found["path"]
                    .as_str()
                    .map(|path| std::fs::read(path).unwrap())
            })
            .collect()
    }
}

/// A proxy whose state lasts from one start to the next.
#[derive(Debug)]
pub(crate) struct Proxy(Heliostat);

impl Proxy {
    /// One that has seen nothing yet.
    pub(crate) fn new(world: &World) -> Self {
        Self(heliostat(&world.place("proxy-client")))
    }

    /// Starts it in front of a mirror.
    #[track_caller]
    pub(crate) fn start(&self, world: &World, mirror: &TreeMirror) -> Serving {
        Serving::wait(
            self.0
                .command("proxy")
                .args(["--listen", "127.0.0.1:0", "--mirror", &mirror.url()])
                .arg("--root")
                .arg(root(&world.heliostat))
                .start(),
        )
    }
}
