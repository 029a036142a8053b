//! `cargo xtask bench upstream`: a data set served by nginx, for trying things by hand.

use std::thread;

use anyhow::Result;

use super::Ground;
use super::dataset::{Dataset, Set, State};

/// Arguments of `cargo xtask bench upstream`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The data set.
    #[arg(long, value_enum, default_value_t = Set::R)]
    set: Set,
    /// Which of its two states: `after` has one more file in every hundredth project.
    #[arg(long, value_enum, default_value_t = State::Before)]
    state: State,
}

/// Serves until interrupted.
pub(super) fn run(ground: &Ground<'_>, arguments: &Arguments) -> Result<()> {
    let dataset = Dataset::ensure(ground, arguments.set)?;
    let _nginx = dataset.serve(arguments.state)?;
    println!("listening on {}/simple/", dataset.address());
    loop {
        // The interrupt that ends us reaches nginx too.
        thread::park();
    }
}
