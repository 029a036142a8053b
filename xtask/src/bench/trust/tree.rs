//! The signed tree that everything is measured on: forty packages that can be installed, and as many synthetic projects
//! as PyPI has in the catalog and in the signed metadata, without pages and files of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::super::Ground;
use super::super::measure::{self, Cost};
use super::super::scale;
use crate::command;
use crate::python::empty_directory;
use crate::server::Server;
use crate::workspace::Profile;

/// Packages that are installed.
pub(super) const PACKAGES: u32 = 40;
/// The size of each one's wheel.
const WHEEL_BYTES: u32 = 500_000;
/// Files of a synthetic project. What is signed is one page for each project, whatever it lists.
const FILES_EACH: u64 = 2;

/// A notary's data directory.
#[derive(Debug)]
pub(super) struct Tree {
    /// The data directory.
    pub(super) data: PathBuf,
    /// Projects in it.
    pub(super) projects: u64,
    /// What it cost to sign all of it, where that was done just now.
    pub(super) signing: Option<Cost>,
    scale: PathBuf,
}

impl Tree {
    /// A new tree; what signing it cost is printed.
    pub(super) fn make(ground: &Ground<'_>, projects: u64) -> Result<Self> {
        let mut tree = Self::at(ground, projects)?;
        empty_directory(&tree.data)?;
        ground
            .console
            .step(&format!("a signed mirror of {projects} projects"));
        let heliostat = |arguments: &[&str]| {
            let mut heliostat = Command::new(&ground.heliostat);
            heliostat.args(arguments).arg("--data").arg(&tree.data);
            heliostat.args(["--log", "warn"]);
            heliostat.stdin(Stdio::null()).stdout(Stdio::null());
            command::run(&mut heliostat)
        };
        heliostat(&["trust", "init", "--projects", &projects.to_string()])?;
        let fake = start_fake(ground)?;
        let upstream = format!("{}/simple/", fake.address);
        heliostat(&["sync", "--all", "--upstream", &upstream])?;
        drop(fake);
        println!("| step | result | goal |\n|---|---|---|");
        tree.step("fill")?;
        tree.signing = Some(tree.step("sign")?);
        fs::write(tree.finished(), "")
            .with_context(|| format!("failed to write `{}`", tree.finished().display()))?;
        Ok(tree)
    }

    /// The tree that an earlier run made, else a new one.
    pub(super) fn ensure(ground: &Ground<'_>, projects: u64) -> Result<Self> {
        let tree = Self::at(ground, projects)?;
        if !tree.finished().is_file() {
            return Self::make(ground, projects);
        }
        // What expires within days is signed again.
        tree.step("publish-hour")?;
        Ok(tree)
    }

    /// Prints what it costs to publish single changes.
    pub(super) fn publish_one_by_one(&self) -> Result<()> {
        self.step("publish")?;
        println!();
        Ok(())
    }

    /// As many changes as an hour brings, published at once.
    pub(super) fn an_hour_passes(&self) -> Result<()> {
        self.step("publish-hour").map(drop)
    }

    /// What its clients trust.
    pub(super) fn root(&self) -> PathBuf {
        self.data.join("web/tuf/1.root.json")
    }

    fn at(ground: &Ground<'_>, projects: u64) -> Result<Self> {
        if projects <= u64::from(PACKAGES) {
            bail!("`--projects` must be more than {PACKAGES}");
        }
        let home = ground.directory.join("trust");
        Ok(Self {
            data: home.join(format!("tree-{projects}")),
            projects,
            signing: None,
            scale: scale::build(ground)?,
        })
    }

    fn finished(&self) -> PathBuf {
        self.data.join("finished")
    }

    fn step(&self, step: &str) -> Result<Cost> {
        let synthetic = self.projects - u64::from(PACKAGES);
        let mut scale = Command::new(&self.scale);
        scale.arg("--data").arg(&self.data);
        scale.args(["--projects", &synthetic.to_string()]);
        scale.args(["--files", &(synthetic * FILES_EACH).to_string()]);
        measure::run_shown(scale.args(["--step", step]))
    }
}

/// The names of the packages that can be installed.
pub(super) fn packages() -> Vec<String> {
    (0..PACKAGES)
        .map(|number| format!("project-{number:05}"))
        .collect()
}

/// Whether all packages stand in a directory.
pub(super) fn check_installed(directory: &Path) -> Result<()> {
    for name in packages() {
        let package = directory.join(name.replace('-', "_"));
        if !package.is_dir() {
            bail!("`{}` was not installed", package.display());
        }
    }
    Ok(())
}

fn start_fake(ground: &Ground<'_>) -> Result<Server> {
    let program = ground
        .workspace
        .program("heliostat-testkit", Profile::Release);
    let mut fake = Command::new(program);
    fake.args(["pypi", "--projects", &PACKAGES.to_string()]);
    fake.args(["--files", "1", "--size", &WHEEL_BYTES.to_string()]);
    Server::start("heliostat-testkit", &mut fake)
}
