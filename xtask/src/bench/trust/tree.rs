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
    /// The same before anything synthetic was signed.
    filled: PathBuf,
    /// Projects in it.
    pub(super) projects: u64,
    /// What it cost to sign all of it, where that was done just now.
    pub(super) signing: Option<Cost>,
    scale: PathBuf,
}

impl Tree {
    /// A tree in which nothing synthetic has been signed yet; what signing it cost is printed.
    pub(super) fn make(ground: &Ground<'_>, projects: u64) -> Result<Self> {
        let mut tree = Self::at(ground, projects)?;
        tree.fill(ground)?;
        // Filling takes longest, and is no part of what is measured: it is done once and kept.
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--no-target-directory"])
            .arg(&tree.filled);
        empty_directory(&tree.data)?;
        command::run(copy.arg(&tree.data))?;
        println!("| step | result | goal |\n|---|---|---|");
        tree.signing = Some(tree.step("sign")?);
        write_mark(&tree.finished())?;
        Ok(tree)
    }

    /// Forty real projects signed, and the others in the catalog.
    fn fill(&self, ground: &Ground<'_>) -> Result<()> {
        let finished = self.filled.join("finished");
        if finished.is_file() {
            return Ok(());
        }
        let projects = self.projects;
        empty_directory(&self.filled)?;
        ground
            .console
            .step(&format!("a signed mirror of {projects} projects"));
        let heliostat = |arguments: &[&str]| {
            let mut heliostat = Command::new(&ground.heliostat);
            heliostat.args(arguments).arg("--data").arg(&self.filled);
            heliostat.args(["--log", "warn"]);
            heliostat.stdin(Stdio::null()).stdout(Stdio::null());
            command::run(&mut heliostat)
        };
        heliostat(&["trust", "init", "--projects", &projects.to_string()])?;
        let fake = start_fake(ground)?;
        let upstream = format!("{}/simple/", fake.address);
        heliostat(&["sync", "--all", "--upstream", &upstream])?;
        drop(fake);
        self.step_in("fill", &self.filled)?;
        write_mark(&finished)
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
            filled: home.join(format!("filled-{projects}")),
            projects,
            signing: None,
            scale: scale::build(ground)?,
        })
    }

    fn finished(&self) -> PathBuf {
        self.data.join("signed")
    }

    fn step(&self, step: &str) -> Result<Cost> {
        self.step_in(step, &self.data)
    }

    fn step_in(&self, step: &str, data: &Path) -> Result<Cost> {
        let synthetic = self.projects - u64::from(PACKAGES);
        let mut scale = Command::new(&self.scale);
        scale.arg("--data").arg(data);
        scale.args(["--projects", &synthetic.to_string()]);
        scale.args(["--files", &(synthetic * FILES_EACH).to_string()]);
        measure::run_shown(scale.args(["--step", step]))
    }
}

/// Written last, so that what broke off is begun again.
fn write_mark(path: &Path) -> Result<()> {
    fs::write(path, "").with_context(|| format!("failed to write `{}`", path.display()))
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
