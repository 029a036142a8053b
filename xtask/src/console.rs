//! What a person at the terminal sees of a task: numbered steps, and what was skipped.

use std::env;
use std::io::IsTerminal;
use std::time::Instant;

/// Prints steps to stderr and remembers what was left out.
#[derive(Debug)]
pub(crate) struct Console {
    colour: Colour,
    started: Instant,
    skipped: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Plain,
    Ansi,
}

impl Console {
    /// Colours only on a terminal, and never where `CI` or `NO_COLOR` is set.
    pub(crate) fn new() -> Self {
        let plain =
            env::var_os("NO_COLOR").is_some() || in_ci() || !std::io::stderr().is_terminal();
        let colour = if plain { Colour::Plain } else { Colour::Ansi };
        Self {
            colour,
            started: Instant::now(),
            skipped: Vec::new(),
        }
    }

    /// Announces a step.
    pub(crate) fn step(&self, title: &str) {
        let seconds = self.started.elapsed().as_secs();
        let line = format!("==> [{:02}:{:02}] {title}", seconds / 60, seconds % 60);
        match self.colour {
            Colour::Plain => eprintln!("{line}"),
            Colour::Ansi => eprintln!("\x1b[1;36m{line}\x1b[0m"),
        }
    }

    /// Says a thing under the current step.
    pub(crate) fn note(&self, text: &str) {
        match self.colour {
            Colour::Plain => eprintln!("    {text}"),
            Colour::Ansi => eprintln!("    \x1b[2m{text}\x1b[0m"),
        }
    }

    /// Says what is not done and why, now and again in the list at the end.
    pub(crate) fn skip(&mut self, what: &str) {
        match self.colour {
            Colour::Plain => eprintln!("    SKIPPED: {what}"),
            Colour::Ansi => eprintln!("    \x1b[1;33mSKIPPED: {what}\x1b[0m"),
        }
        self.skipped.push(what.to_owned());
    }

    /// Prints the list of what was skipped.
    pub(crate) fn print_skipped(&self) {
        if self.skipped.is_empty() {
            self.note("nothing was skipped so far");
        }
        for what in &self.skipped {
            self.note(&format!("skipped: {what}"));
        }
    }
}

/// Whether a machine watches instead of a person: `CI` is set and is not `false`.
pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value != "false" && !value.is_empty())
}
