//! The project's own commands: `cargo xtask test | tidy | docs | bench | online`.
//!
//! It owns the order in which the project is checked and nothing of the product: it depends on none of our crates
//! and reaches them only as built programs, so that it compiles while they do not.
#![expect(
    clippy::disallowed_methods,
    reason = "a build tool reads files and its environment; it is no part of the product"
)]
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "talking to the person at the terminal is its purpose"
)]

mod bench;
mod command;
mod console;
mod debian;
mod docs;
mod online;
mod python;
mod server;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check everything: format, lints, documentation, house rules, generated files, tests.
    Test(test::Arguments),
    /// Check the house rules: edges between crates, module heads, file sizes, words that must not stand.
    Tidy,
    /// Write the generated reference, or with `--check` say where it has drifted.
    Docs(docs::Arguments),
    /// Measure heliostat beside its peers, in one run.
    Bench(bench::Arguments),
    /// Install twenty small real packages from PyPI through heliostat. A person starts this; it needs the network.
    Online(online::Arguments),
}

fn main() -> ExitCode {
    let outcome = Workspace::find().and_then(|workspace| match Arguments::parse().task {
        Task::Test(arguments) => test::run(&workspace, &arguments),
        Task::Tidy => tidy::run(&workspace),
        Task::Docs(arguments) => docs::run(&workspace, &arguments),
        Task::Bench(arguments) => bench::run(&workspace, &arguments),
        Task::Online(arguments) => online::run(&workspace, &arguments),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A test runner that failed has said so itself, and its summary stays the last thing on the screen.
            if !error.is::<test::TestsFailed>() {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
