//! tough, a TUF client in Rust, on the same tree: what it costs to open it and look one page up. It has no program for that
//! and brings a cryptographic library that is none of ours, so a small one of its own is built below `target/bench`.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::Ground;
use super::super::measure::{self, Cost};
use super::super::table::{Better, Table};
use super::peers::{Ours, asked, page};
use super::proxy::mirror;
use super::tree::{Tree, packages};
use crate::command::{self, cargo};

const PROGRAM: &str = include_str!("tough/main.rs");
const MANIFEST: &str = include_str!("tough/manifest.toml");

/// Has one page, and has tough look it up, and prints the table. tough reads from the disk, we through a mirror.
pub(super) fn run(ground: &Ground<'_>, tree: &Tree) -> Result<()> {
    let home = ground.directory.join("tough");
    std::fs::create_dir_all(home.join("src"))
        .and_then(|()| std::fs::write(home.join("src/main.rs"), PROGRAM))
        .and_then(|()| std::fs::write(home.join("Cargo.toml"), MANIFEST))
        .with_context(|| format!("failed to write `{}`", home.display()))?;
    ground.console.step("build tough (release)");
    let mut build = cargo(ground.workspace, &["build", "--release", "--manifest-path"]);
    build.arg(home.join("Cargo.toml"));
    command::run(build.arg("--target-dir").arg(home.join("target")))?;

    ground.console.step("one target had by clients");
    let target = page(&packages()[0]);
    let mirror = mirror(ground, tree, "mirror")?;
    let url = format!("{}/", mirror.server.address);
    let ours = asked(
        &mirror,
        &mut Ours::begin(ground, tree, &url)?.download(&target),
    )?;
    let mut tough = Command::new(home.join("target/release/peer-tough"));
    tough
        .arg(tree.root())
        .arg(tree.data.join("web"))
        .arg(&target);
    let (cost, said) = measure::run_heard(&mut tough)?;
    let said: Value = serde_json::from_str(&said).context("its answer is not JSON")?;
    let bytes = said["bytes"].as_f64().context("its answer has no bytes")?;
    let costs = [ours, (cost, bytes / 1000.0)];
    let mut table = Table::new(&[
        "heliostat".to_owned(),
        "tough 0.24.0, from disk, without the page".to_owned(),
    ]);
    let mut row = |what: &str, number: fn(&(Cost, f64)) -> f64| {
        let values: Vec<Vec<f64>> = costs.iter().map(|cost| vec![number(cost)]).collect();
        table.row(&format!("first target: {what}"), Better::Lower, &values);
    };
    row("wall, s", |(cost, _)| cost.wall_seconds);
    row("processor, s", |(cost, _)| cost.processor_seconds);
    row("memory, MB", |(cost, _)| cost.memory_mb);
    row("read, kB", |(_, kb)| *kb);
    println!("{}", table.to_markdown());
    println!("tough opened {} files", said["files"]);
    Ok(())
}
