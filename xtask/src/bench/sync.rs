//! `cargo xtask bench sync`: the first sync, one with nothing new, one with 1 % changed; beside bandersnatch, and
//! shadowmire where its program is named.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Ground;
use super::dataset::{Dataset, Set, State};
use super::measure::{self, Cost};
use super::peers::{Bandersnatch, mirror_with_shadowmire};
use super::table::{Better, Table};

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
    /// A shadowmire that is installed somewhere, to be measured too: it is not on the package index.
    #[arg(long, value_name = "PROGRAM")]
    shadowmire: Option<PathBuf>,
    /// shadowmire's workers.
    #[arg(long, default_value_t = 10)]
    shadowmire_workers: u32,
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

/// What a program runs in a directory of its own.
type Starts<'a> = dyn Fn(&Path) -> Result<Command> + 'a;

/// One program that is measured.
struct Contender<'a> {
    title: String,
    /// Where in its directory the tree stands.
    tree: &'a str,
    /// What it runs, for a directory.
    command: Box<Starts<'a>>,
    taking: Taking,
}

/// Runs all rounds and prints the table.
pub(super) fn run(ground: &Ground<'_>, arguments: &Arguments) -> Result<()> {
    let dataset = Dataset::ensure(ground, arguments.set)?;
    let upstream = dataset.address();
    let mut contenders = vec![Contender {
        title: "heliostat".to_owned(),
        tree: "web",
        command: Box::new(|home| {
            let mut command = Command::new(&ground.heliostat);
            let index = format!("{upstream}/simple/");
            command
                .args(["sync", "--all", "--upstream", &index, "--data"])
                .arg(home);
            Ok(command)
        }),
        taking: Taking::default(),
    }];
    if !arguments.alone {
        let peer = Bandersnatch::install(ground)?;
        contenders.push(Contender {
            title: peer.title.clone(),
            tree: "web",
            command: Box::new({
                let upstream = &upstream;
                move |home| peer.mirror(home, upstream, arguments.workers)
            }),
            taking: Taking::default(),
        });
    }
    if let Some(program) = &arguments.shadowmire {
        let workers = arguments.shadowmire_workers;
        contenders.push(Contender {
            title: format!("shadowmire, {workers} workers"),
            tree: ".",
            command: Box::new({
                let upstream = &upstream;
                move |home| mirror_with_shadowmire(program, home, upstream, workers)
            }),
            taking: Taking::default(),
        });
    }
    // Names of their own for every round: ext4 is slow for minutes where much has been deleted, so nothing is deleted
    // before the end.
    let runs = ground.directory.join("sync-runs");
    for round in 1..=arguments.rounds {
        for (number, contender) in contenders.iter_mut().enumerate() {
            ground
                .console
                .step(&format!("round {round}: {}", contender.title));
            let home = runs.join(format!("{}-{round}-{number}", std::process::id()));
            measure_round(&dataset, &home, contender)?;
        }
    }
    let titles: Vec<String> = contenders
        .iter()
        .map(|contender| contender.title.clone())
        .collect();
    let takings: Vec<Taking> = contenders
        .into_iter()
        .map(|contender| contender.taking)
        .collect();
    println!("{}", table(&titles, &takings).to_markdown());
    std::fs::remove_dir_all(&runs).with_context(|| format!("failed to remove `{}`", runs.display()))
}

/// One round in a new directory; the tree must hold every file at the end, or the times would be worth nothing.
fn measure_round(dataset: &Dataset, home: &Path, contender: &mut Contender<'_>) -> Result<()> {
    std::fs::create_dir_all(home)
        .with_context(|| format!("failed to make `{}`", home.display()))?;
    for ((title, state), step) in STEPS.iter().zip(&mut contender.taking.steps) {
        let nginx = dataset.serve(*state)?;
        let cost = measure::run(&mut (contender.command)(home)?)
            .with_context(|| format!("step `{title}`"))?;
        // No set comes near the 2^52 requests from which on a float is not exact.
        #[expect(
            clippy::cast_precision_loss,
            reason = "a count of requests is far below 2^52"
        )]
        let requests = nginx.stop()? as f64;
        step.push(Taken { cost, requests });
    }
    let tree = home.join(contender.tree);
    let (held, wanted) = (
        Dataset::file_count(&tree)?,
        Dataset::file_count(dataset.directory())?,
    );
    if held != wanted {
        bail!("`{}` holds {held} files of {wanted}", tree.display());
    }
    Ok(())
}

fn table(titles: &[String], takings: &[Taking]) -> Table {
    let mut table = Table::new(titles);
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
