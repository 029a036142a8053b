//! `cargo xtask bench sync`: the first sync, one with nothing new, one with 1 % changed; beside bandersnatch.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Ground;
use super::dataset::{Dataset, Set, State};
use super::measure::{self, Cost};
use super::peers::Bandersnatch;
use super::table::{Better, Table};
use crate::python::empty_directory;

/// Arguments of `cargo xtask bench sync`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The data set.
    #[arg(long, value_enum, default_value_t = Set::A)]
    set: Set,
    /// How often everything is done, in turn; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// bandersnatch's workers; it takes 10 at most.
    #[arg(long, default_value_t = 10)]
    workers: u32,
    /// Measure us alone.
    #[arg(long)]
    alone: bool,
}

/// The steps of one round, in order, each with the upstream's state.
const STEPS: [(&str, State); 3] = [
    ("first", State::Before),
    ("nothing new", State::Before),
    ("1 % changed", State::After),
];

/// What one step cost, and how many requests the upstream saw.
#[derive(Debug, Clone, Copy)]
struct Taken {
    cost: Cost,
    requests: f64,
}

/// All rounds of one program: `taken[step][round]`.
#[derive(Debug, Default)]
struct Taking {
    steps: [Vec<Taken>; STEPS.len()],
}

/// Runs all rounds and prints the table.
pub(super) fn run(ground: &Ground<'_>, arguments: &Arguments) -> Result<()> {
    let dataset = Dataset::ensure(ground, arguments.set)?;
    let peer = if arguments.alone {
        None
    } else {
        Some(Bandersnatch::install(ground)?)
    };
    let mut ours = Taking::default();
    let mut theirs = Taking::default();
    for round in 1..=arguments.rounds {
        ground.console.step(&format!("round {round}: heliostat"));
        let data = ground.directory.join("run-heliostat");
        let upstream = format!("{}/simple/", dataset.address());
        measure_round(&dataset, &data, &data.join("web"), &mut ours, || {
            let mut command = Command::new(&ground.heliostat);
            command
                .args(["sync", "--all", "--upstream", &upstream, "--data"])
                .arg(&data);
            Ok(command)
        })?;
        let Some(peer) = &peer else { continue };
        ground
            .console
            .step(&format!("round {round}: {}", peer.title));
        let home = ground.directory.join("run-bandersnatch");
        measure_round(&dataset, &home, &home.join("web"), &mut theirs, || {
            peer.mirror(&home, &dataset.address(), arguments.workers)
        })?;
    }
    let titles: Vec<String> = std::iter::once("heliostat".to_owned())
        .chain(peer.map(|peer| peer.title))
        .collect();
    println!("{}", table(&titles, &[ours, theirs]).to_markdown());
    Ok(())
}

/// One round in an empty directory; the tree must hold every file at the end, or the times would be worth nothing.
fn measure_round(
    dataset: &Dataset,
    home: &Path,
    tree: &Path,
    taking: &mut Taking,
    command: impl Fn() -> Result<Command>,
) -> Result<()> {
    empty_directory(home)?;
    for ((title, state), step) in STEPS.iter().zip(&mut taking.steps) {
        let nginx = dataset.serve(*state)?;
        let cost = measure::run(&mut command()?).with_context(|| format!("step `{title}`"))?;
        // No set comes near the 2^52 requests from which on a float is not exact.
        #[expect(
            clippy::cast_precision_loss,
            reason = "a count of requests is far below 2^52"
        )]
        let requests = nginx.stop()? as f64;
        step.push(Taken { cost, requests });
    }
    let (held, wanted) = (
        Dataset::file_count(tree)?,
        Dataset::file_count(dataset.directory())?,
    );
    if held != wanted {
        bail!("`{}` holds {held} files of {wanted}", tree.display());
    }
    Ok(())
}

fn table(titles: &[String], takings: &[Taking]) -> Table {
    let mut table = Table::new(titles);
    let takings = &takings[..titles.len()];
    for (at, (title, _)) in STEPS.iter().enumerate() {
        let mut row = |what: &str, number: fn(&Taken) -> f64| {
            let rounds: Vec<Vec<f64>> = takings
                .iter()
                .map(|taking| taking.steps[at].iter().map(number).collect())
                .collect();
            table.row(&format!("{title}: {what}"), Better::Lower, &rounds);
        };
        row("wall, s", |taken| taken.cost.wall_seconds);
        row("processor, s", |taken| taken.cost.processor_seconds);
        row("memory, MB", |taken| taken.cost.memory_mb);
        row("requests", |taken| taken.requests);
    }
    table
}
