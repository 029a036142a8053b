//! Options of the commands that look after a mirror: verify, adopt, status, config.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::filter::parse_size;
use super::{AttestationArgs, UpstreamArgs};

/// Options of `heliostat verify`.
#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArgs {
    /// Fetch what is missing or damaged again, and write pages anew
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Only these projects
    #[arg(value_name = "PROJECT")]
    pub(crate) projects: Vec<String>,
    /// Go on where an interrupted verify stopped
    #[arg(long)]
    pub(crate) resume: bool,
    /// Read at most so many bytes a second (suffixes k, M, G)
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub(crate) rate: Option<u64>,
    /// Files hashed at once [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) readers: Option<u16>,
    #[command(flatten)]
    pub(crate) attestations: AttestationArgs,
    /// Verify provenance against the trusted root that this tree's own signed metadata names, verified from this root of
    /// its notary
    #[arg(long, value_name = "FILE", conflicts_with = "trusted_root")]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,
}

/// Options of `heliostat adopt`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AdoptArgs {
    /// The tree: a directory with `simple/` and `packages/`, or a bandersnatch home with `web/`
    #[arg(value_name = "TREE")]
    pub(crate) tree: PathBuf,
    /// Tell what would be taken over, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Read this bandersnatch.conf and print the same wishes as a heliostat.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) bandersnatch_conf: Option<PathBuf>,
}

/// Options of `heliostat status`.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatusArgs {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// `heliostat config …`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write a commented heliostat.toml
    Init {
        /// Where to [default: heliostat.toml here]
        #[arg(value_name = "FILE", default_value = "heliostat.toml")]
        file: PathBuf,
    },
    /// Print what is in force and where each value came from
    Show {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Parts of the reference documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReferencePart {
    /// Commands and options.
    Cli,
    /// Keys of heliostat.toml and environment variables.
    Config,
}
