//! `cargo xtask bench`: heliostat and its peers on the same work, in one run, one after the other in turn.
//!
//! It prints tables and writes nothing; docs/benchmarks.md is kept by people. No test depends on a time taken here.

mod bundle;
mod cores;
mod dataset;
mod directory;
mod load;
mod measure;
mod migrate;
mod nginx;
mod peers;
mod scale;
mod serve;
mod sync;
mod table;
mod trust;
mod upstream;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::command::{self, cargo, find};
use crate::console::Console;
use crate::debian;
use crate::workspace::{Profile, Workspace};

/// Where environments, data sets and results of a run stand under `target/`.
const AREA: &str = "bench";

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// First sync, nothing new, 1 % changed; beside bandersnatch.
    Sync(sync::Arguments),
    /// Carrying a signed mirror in one file, whole and 1 % of it; beside tar.
    Bundle(bundle::Arguments),
    /// Pages and files, plain and over TLS, warm and cold; beside nginx, devpi and proxpi.
    Serve(serve::Arguments),
    /// Planning and rendering with as many projects and files as PyPI has.
    Scale(scale::Arguments),
    /// Signing, installing through the proxy, losing a mirror; beside python-tuf.
    Trust(trust::Arguments),
    /// A list's mirrors looked at, and a long history published; beside a loop of curl.
    Directory(directory::Arguments),
    /// Looking for retired hosts in 100,000 files; beside ripgrep.
    Migrate(migrate::Arguments),
    /// Make a data set and serve it with nginx until interrupted, to try things by hand.
    Upstream(upstream::Arguments),
}

/// Our programs and directories.
#[derive(Debug)]
struct Ground<'a> {
    workspace: &'a Workspace,
    console: Console,
    /// The product.
    heliostat: PathBuf,
    /// `target/bench`
    directory: PathBuf,
}

/// Runs one bench.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let mut ground = Ground {
        workspace,
        console: Console::new(),
        heliostat: workspace.program("heliostat", Profile::Release),
        directory: workspace.target_directory().join(AREA),
    };
    std::fs::create_dir_all(&ground.directory)
        .with_context(|| format!("failed to make `{}`", ground.directory.display()))?;
    match &arguments.bench {
        Bench::Sync(arguments) => {
            ground.prepare(&["heliostat", "heliostat-testkit"])?;
            sync::run(&ground, arguments)
        }
        Bench::Bundle(arguments) => {
            ground.prepare(&["heliostat", "heliostat-testkit"])?;
            bundle::run(&ground, arguments)
        }
        Bench::Serve(arguments) => {
            ground.prepare(&["heliostat", "heliostat-testkit"])?;
            serve::run(&ground, arguments)
        }
        Bench::Scale(arguments) => scale::run(&ground, arguments),
        Bench::Trust(arguments) => trust::run(&mut ground, arguments),
        Bench::Directory(arguments) => directory::run(&mut ground, arguments),
        Bench::Migrate(arguments) => {
            ground.prepare(&["heliostat"])?;
            migrate::run(&mut ground, arguments)
        }
        Bench::Upstream(arguments) => {
            ground.prepare(&["heliostat-testkit"])?;
            upstream::run(&ground, arguments)
        }
    }
}

impl Ground<'_> {
    /// Builds the packages' programs and sees that the tools are there.
    fn prepare(&mut self, packages: &[&str]) -> Result<()> {
        self.console.step("build (release)");
        // One at a time: built together, each would get the features that the other asks of what both depend on.
        for package in packages {
            command::run(&mut cargo(
                self.workspace,
                &["build", "--release", "--locked", "--package", package],
            ))?;
        }
        self.console.step("tools");
        debian::ensure(&mut self.console, &debian::FOR_BENCHES);
        for tool in debian::FOR_BENCHES {
            if find(tool.program).is_none() {
                bail!("`{}` is needed (Debian: {})", tool.program, tool.package);
            }
        }
        Ok(())
    }

    /// A program's path; `prepare` has seen that it exists.
    fn tool(name: &str) -> Result<PathBuf> {
        find(name).with_context(|| format!("`{name}` is not installed"))
    }
}
