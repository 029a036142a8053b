//! Options of `heliostat directory`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::DirectoryProbeArgs;

/// What is done with the list of mirrors.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DirectoryCommand {
    /// Begin a list: a folder with a policy and a place for entries, to be kept in git
    Init(DirectoryInitArgs),
    /// Check every entry, and tell who is on the list
    List(DirectoryListArgs),
    /// Look at the mirrors, as installers do and closer, and write down what was seen
    Probe(Box<DirectoryProbeArgs>),
    /// Tell how every mirror stands, from what probes saw
    Score(DirectoryScoreArgs),
    /// Write the list for people and programs, as a folder of static files
    Publish(DirectoryPublishArgs),
}

/// Options of `heliostat directory init`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryInitArgs {
    /// The folder; made where it is missing
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) registry: PathBuf,
    /// The list's own registrable domain, under which no mirror may stand (PEP 449)
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) own_domain: Option<String>,
}

/// Where the list is.
#[derive(Debug, Clone, Args)]
pub(crate) struct RegistryArgs {
    /// The list's folder, with `policy.toml` and `mirrors.d`
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) registry: PathBuf,
}

/// Options of `heliostat directory list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryListArgs {
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
    /// One JSON object for each mirror
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `heliostat directory score`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryScoreArgs {
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
    /// What probes saw: one round as JSON on each line, the oldest first; several files follow each other
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) replay: Vec<PathBuf>,
    /// Print every term of this endpoint's health, and every rule that moved it
    #[arg(long, value_name = "ENDPOINT", conflicts_with = "json")]
    pub(crate) explain: Option<String>,
    /// One JSON object for each endpoint
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `heliostat directory publish`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryPublishArgs {
    /// The folder to write, replaced as a whole: `DATA/web/directory` where a mirror carries the list
    #[arg(value_name = "DIR")]
    pub(crate) published: PathBuf,
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
    /// What probes saw, instead of the list's own `history` folder; several files are joined
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Vec<PathBuf>,
    /// The moment to tell about, as `2026-11-25T12:00:00Z`, instead of now; the same moment gives the same bytes
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
}
