//! `cargo xtask bench trust`: what signing costs a notary, and what checking costs those who install; beside
//! python-tuf and tough, and with the goals beside the figures.

mod failover;
mod install;
mod log;
mod peers;
mod proxy;
mod rank;
mod tough;
mod tree;

use anyhow::Result;
use clap::ValueEnum;

use super::{Ground, table};
use tree::Tree;

/// Arguments of `cargo xtask bench trust`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure; everything where nothing is named. May be given more than once.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Projects in the signed tree, nearly all of them synthetic.
    #[arg(long, default_value_t = 890_000)]
    projects: u64,
    /// How often an installation is measured, in turn; medians are shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// All pages signed at once; one changed project published.
    Sign,
    /// Forty packages through the proxy beside a plain mirror, cold and warm.
    Install,
    /// The mirror in use killed in the middle of that.
    Failover,
    /// 10,000 listed mirrors put in order.
    Rank,
    /// The same tree signed and read by python-tuf.
    Peers,
    /// A page of it had by tough, where that is asked for by name: its build takes minutes.
    Tough,
}

/// A figure beside what it should be.
struct Goal {
    what: String,
    value: f64,
    unit: &'static str,
    /// The most that is wanted; `None` where the figure is only told.
    most: Option<f64>,
}

/// Measures what was asked for.
pub(super) fn run(ground: &mut Ground<'_>, arguments: &Arguments) -> Result<()> {
    ground.prepare(&["heliostat", "heliostat-testkit"])?;
    let wants = |part| arguments.part.is_empty() || arguments.part.contains(&part);
    if wants(Part::Rank) {
        rank::run(ground, arguments.rounds)?;
    }
    if arguments.part == [Part::Rank] {
        return Ok(());
    }
    // Only what was measured in one run may stand side by side.
    let tree = if wants(Part::Sign) || wants(Part::Peers) {
        Tree::make(ground, arguments.projects)?
    } else {
        Tree::ensure(ground, arguments.projects)?
    };
    if wants(Part::Sign) {
        tree.publish_one_by_one()?;
    }
    if wants(Part::Install) {
        install::run(ground, &tree, arguments.rounds)?;
    }
    if wants(Part::Failover) {
        failover::run(ground, &tree, arguments.rounds)?;
    }
    if wants(Part::Peers) {
        peers::run(ground, &tree)?;
    }
    if arguments.part.contains(&Part::Tough) {
        tough::run(ground, &tree)?;
    }
    Ok(())
}

/// Prints figures as a table, each with its goal and whether it was met.
fn print(goals: &[Goal]) {
    println!("| step | result | goal |\n|---|---|---|");
    for goal in goals {
        let verdict = goal.most.map_or_else(String::new, |most| {
            let met = if goal.value <= most { "met" } else { "missed" };
            format!("{} {}: {met}", table::short(most), goal.unit)
        });
        println!(
            "| {} | {} {} | {verdict} |",
            goal.what,
            table::short(goal.value),
            goal.unit
        );
    }
    println!();
}
