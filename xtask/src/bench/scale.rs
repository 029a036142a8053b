//! `cargo xtask bench scale`: as many projects and files as PyPI has, in synthetic metadata.
//!
//! The work itself is the example `scale` of heliostat-engine, since only that crate can plan without a network; here
//! it is built, measured from outside and set beside the goals.

use std::path::PathBuf;

use anyhow::{Result, bail};
use cargo_metadata::TargetKind;

use super::Ground;
use super::measure;
use crate::command::{self, cargo};

/// The package and the example that does the work.
const PACKAGE: &str = "heliostat-engine";
const EXAMPLE: &str = "scale";

/// Arguments of `cargo xtask bench scale`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Projects in the catalog.
    #[arg(long, default_value_t = 890_000)]
    projects: u64,
    /// Files in the catalog.
    #[arg(long, default_value_t = 16_000_000)]
    files: u64,
}

/// Builds the example and runs it; it prints its own rows, one for each step.
pub(super) fn run(ground: &Ground<'_>, arguments: &Arguments) -> Result<()> {
    let program = build(ground)?;
    ground.console.step(&format!(
        "{} projects, {} files",
        arguments.projects, arguments.files
    ));
    let directory = ground.directory.join("scale");
    crate::python::empty_directory(&directory)?;
    let mut scale = std::process::Command::new(program);
    scale.arg("--data").arg(&directory);
    scale.args([
        "--projects",
        &arguments.projects.to_string(),
        "--files",
        &arguments.files.to_string(),
    ]);
    let cost = measure::run_shown(&mut scale)?;
    // Five gigabytes that nobody needs any more.
    crate::python::empty_directory(&directory)?;
    // Its steps are processes of their own and tell their own memory.
    println!(
        "whole run: {:.1} s, {:.1} s of processor time",
        cost.wall_seconds, cost.processor_seconds
    );
    Ok(())
}

/// Builds the example that does the work, and gives its path.
pub(super) fn build(ground: &Ground<'_>) -> Result<PathBuf> {
    let is_it = |target: &cargo_metadata::Target| {
        target.name == EXAMPLE && target.kind.contains(&TargetKind::Example)
    };
    let exists = ground
        .workspace
        .metadata
        .packages
        .iter()
        .any(|package| package.name.as_str() == PACKAGE && package.targets.iter().any(is_it));
    if !exists {
        bail!("{PACKAGE} has no example `{EXAMPLE}` yet, so there is nothing to measure");
    }
    ground.console.step("build (release)");
    let build = [
        "build",
        "--release",
        "--locked",
        "--package",
        PACKAGE,
        "--example",
        EXAMPLE,
    ];
    command::run(&mut cargo(ground.workspace, &build))?;
    Ok(ground
        .workspace
        .target_directory()
        .join("release/examples")
        .join(EXAMPLE))
}
