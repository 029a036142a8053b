//! Options of `heliostat attack-lab`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

/// Options of `heliostat attack-lab`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AttackLabArgs {
    /// Attacks to run, by name
    #[arg(value_name = "ATTACK", conflicts_with = "all")]
    pub(crate) attacks: Vec<String>,
    /// Run every attack
    #[arg(long)]
    pub(crate) all: bool,
    /// A Python that has pip; without one pip is left out
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    pub(crate) pip: PathBuf,
    /// The uv to use; without one uv is left out
    #[arg(long, value_name = "PROGRAM", default_value = "uv")]
    pub(crate) uv: PathBuf,
    /// Run so many attacks at a time [default: twice the number of processors; they mostly wait]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Print the board as Markdown
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}
