//! Measures planning, publishing and committing with as many projects and files as PyPI has, and prints a table with
//! the goals beside the results.
//!
//! `cargo xtask bench scale`, or `scale --data DIR --projects N --files M [--step fill|plan|root|change]`. Without
//! `--step` every step is run, each in a process of its own, and the changes once more among a tenth of the projects.
//! `cargo xtask bench trust` asks for the steps `fill`, `sign`, `publish` and `publish-hour` of a signed mirror.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring tool prints its figures, and reads and writes files of its own"
)]

mod report;
mod signing;
mod steps;
mod world;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Any trouble: there is nothing to do but to tell.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// How much, and where.
#[derive(Debug, Clone)]
struct Size {
    data: PathBuf,
    projects: u32,
    files: u32,
}

impl Size {
    /// Where the upstream's next list waits.
    fn list(&self) -> PathBuf {
        self.data.join("upstream-list.json")
    }
}

fn main() -> Result<(), Fault> {
    let (size, step) = read_arguments(std::env::args().skip(1))?;
    match step.as_deref() {
        None => run_all(&size),
        Some("fill") => steps::fill(&size),
        Some("plan") => steps::plan_all(&size),
        Some("root") => steps::root(&size),
        Some("change") => steps::change(&size),
        Some("sign") => signing::sign(&size),
        Some("publish") => signing::publish_changes(&size),
        Some("publish-hour") => signing::publish_hour(&size),
        Some(other) => Err(format!("there is no step {other}").into()),
    }
}

fn run_all(size: &Size) -> Result<(), Fault> {
    let whole = Size {
        data: size.data.join("whole"),
        ..size.clone()
    };
    let tenth = Size {
        data: size.data.join("tenth"),
        projects: size.projects / 10,
        files: size.files / 10,
    };
    report::head();
    for (size, step) in [
        (&tenth, "fill"),
        (&tenth, "change"),
        (&whole, "fill"),
        (&whole, "plan"),
        (&whole, "root"),
        (&whole, "change"),
    ] {
        run(size, step)?;
    }
    Ok(())
}

/// Runs one step in a process of its own.
fn run(size: &Size, step: &str) -> Result<(), Fault> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--data").arg(&size.data);
    command.args(["--projects", &size.projects.to_string()]);
    command.args(["--files", &size.files.to_string()]);
    let status = command.args(["--step", step]).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the step {step} failed ({status})").into())
    }
}

fn read_arguments(
    mut arguments: impl Iterator<Item = String>,
) -> Result<(Size, Option<String>), Fault> {
    let mut size = Size {
        data: Path::new("scale").to_owned(),
        projects: 890_000,
        files: 16_000_000,
    };
    let mut step = None;
    while let Some(argument) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{argument} lacks its value"))?;
        match argument.as_str() {
            "--data" => size.data = value.into(),
            "--projects" => size.projects = value.parse()?,
            "--files" => size.files = value.parse()?,
            "--step" => step = Some(value),
            _ => return Err(format!("there is no argument {argument}").into()),
        }
    }
    Ok((size, step))
}
