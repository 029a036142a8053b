//! Which processors serve and which put the load on.
//!
//! A load that takes a whole processor, beside servers with a thread for each, makes the system take turns between
//! them: a request then waits for somebody's turn of some milliseconds to end, and a slow percentile tells how many
//! threads a server has and not how it serves. So the load has the first processor and the servers have the others.

use std::process::Command;
use std::thread;

use anyhow::{Context, Result};

use super::Ground;
use crate::command;

/// While it stands, whatever is started stays off the first processor. On a machine with one, nothing is kept apart.
#[derive(Debug)]
pub(super) struct Apart {
    processors: usize,
}

impl Apart {
    /// Takes the first processor away from us and what we start from now on.
    pub(super) fn begin() -> Result<Self> {
        let processors = count()?;
        if 1 < processors {
            stay_on(&format!("1-{}", processors - 1))?;
        }
        Ok(Self { processors })
    }

    /// Gives it back.
    pub(super) fn end(self) -> Result<()> {
        if 1 < self.processors {
            stay_on(&format!("0-{}", self.processors - 1))?;
        }
        Ok(())
    }
}

/// A program that is to run on the first processor, wherever we are.
pub(super) fn on_the_first(program: &str) -> Result<Command> {
    let mut taskset = Command::new(Ground::tool("taskset")?);
    taskset
        .args(["--cpu-list", "0"])
        .arg(Ground::tool(program)?);
    Ok(taskset)
}

/// How many processors we and what we start may use.
pub(super) fn count() -> Result<usize> {
    let count = thread::available_parallelism().context("failed to count processors")?;
    Ok(count.get())
}

/// Children are where the thread was that started them, which is this one.
fn stay_on(list: &str) -> Result<()> {
    let mut taskset = Command::new(Ground::tool("taskset")?);
    taskset
        .args(["--cpu-list", "--pid", list])
        .arg(std::process::id().to_string());
    command::stdout_of(&mut taskset).map(drop)
}
