//! A mirror, a proxy before it, and uv, each as a person would start it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use super::super::measure::{self, Cost};
use super::super::{AREA, Ground};
use super::log::Log;
use super::tree::{Tree, packages};
use crate::python::{Environment, empty_directory};
use crate::server::Server;

/// A running server of ours and what it says.
#[derive(Debug)]
pub(super) struct Speaking {
    pub(super) server: Server,
    pub(super) log: Log,
}

/// uv, and where it puts things.
#[derive(Debug)]
pub(super) struct Uv {
    /// Name and version.
    pub(super) title: String,
    program: PathBuf,
    python: PathBuf,
    home: PathBuf,
    installations: AtomicU32,
}

/// `heliostat serve` of the tree, as a mirror that asks nobody.
pub(super) fn mirror(ground: &Ground<'_>, tree: &Tree, name: &str) -> Result<Speaking> {
    let mut serve = Command::new(&ground.heliostat);
    serve
        .args(["serve", "--offline", "--listen", "127.0.0.1:0", "--data"])
        .arg(&tree.data);
    start(ground, name, serve)
}

/// `heliostat proxy` before mirrors, with its state in `data`.
pub(super) fn proxy(
    ground: &Ground<'_>,
    tree: &Tree,
    data: &Path,
    mirrors: &[&Speaking],
) -> Result<Speaking> {
    let mut proxy = Command::new(&ground.heliostat);
    proxy
        .args(["proxy", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .arg("--root")
        .arg(tree.root());
    for mirror in mirrors {
        proxy.args(["--mirror", &format!("{}/", mirror.server.address)]);
    }
    start(ground, "proxy", proxy)
}

/// A directory of this bench, empty.
pub(super) fn place(ground: &Ground<'_>, name: &str) -> Result<PathBuf> {
    let place = ground.directory.join("trust").join(name);
    empty_directory(&place)?;
    Ok(place)
}

fn start(ground: &Ground<'_>, name: &str, mut command: Command) -> Result<Speaking> {
    let path = ground.directory.join("trust").join(format!("{name}.log"));
    let log = Log::of(&mut command, &path)?;
    let server =
        Server::start(name, &mut command).with_context(|| format!("see `{}`", path.display()))?;
    Ok(Speaking { server, log })
}

impl Uv {
    /// The newest uv that pip installs here.
    pub(super) fn install(ground: &Ground<'_>) -> Result<Self> {
        let environment = Environment::ensure(ground.workspace, AREA, "uv", &["uv"])?;
        Ok(Self {
            title: environment.version("uv")?,
            program: environment.program("uv"),
            python: environment.program("python"),
            home: place(ground, "uv")?,
            installations: AtomicU32::new(0),
        })
    }

    /// Where the last installation went.
    pub(super) fn installed(&self) -> PathBuf {
        self.home_of_last().join("installed")
    }

    fn home_of_last(&self) -> PathBuf {
        let number = self.installations.load(Ordering::Relaxed);
        self.home.join(number.to_string())
    }

    /// Installs all packages from a server of ours, with nothing in uv's own cache. Each goes to a place of its own, and
    /// all stay to the end: for minutes after much was deleted, ext4 takes several times as long to make a file, which
    /// would be measured instead.
    pub(super) fn install_all(&self, from: &Speaking) -> Result<Cost> {
        self.installations.fetch_add(1, Ordering::Relaxed);
        let cache = self.home_of_last().join("cache");
        for place in [&cache, &self.installed()] {
            empty_directory(place)?;
        }
        let mut install = Command::new(&self.program);
        install
            .args(["pip", "install", "--no-config", "--no-progress"])
            .args([
                "--default-index",
                &format!("{}/simple/", from.server.address),
            ])
            .arg("--python")
            .arg(&self.python)
            .arg("--target")
            .arg(self.installed())
            .arg("--cache-dir")
            .arg(cache)
            .env("UV_PYTHON_DOWNLOADS", "never")
            .args(packages());
        measure::run(&mut install)
    }
}

impl Drop for Uv {
    fn drop(&mut self) {
        let _the_next_bench_empties_it = std::fs::remove_dir_all(&self.home);
    }
}
