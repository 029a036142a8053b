//! What shells and documentation need: completions, the manual page, the reference.

use clap::CommandFactory as _;

use crate::cli::{Cli, ReferencePart};
use crate::outcome::Outcome;
use crate::{reference, reporter, settings};

pub(super) fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut settings::command(), "heliostat", &mut script);
    reporter::print(&String::from_utf8_lossy(&script));
    Outcome::Done
}

pub(super) fn manual() -> anyhow::Result<Outcome> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    reporter::print(&String::from_utf8_lossy(&page));
    Ok(Outcome::Done)
}

pub(super) fn reference(part: ReferencePart) -> Outcome {
    let text = match part {
        ReferencePart::Cli => reference::command_line(&settings::command()),
        ReferencePart::Config => reference::configuration(&settings::keys()),
    };
    reporter::print(&text);
    Outcome::Done
}
