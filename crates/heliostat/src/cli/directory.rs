//! Options of `heliostat directory`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use heliostat_trust::keys::SignerSource;
use jiff::Timestamp;
use url::Url;

use super::{
    DirectoryAddArgs, DirectoryDiffArgs, DirectoryExportArgs, DirectoryImportArgs,
    DirectoryLiftArgs, DirectoryMaintenanceArgs, DirectoryMergeArgs, DirectoryNotifyArgs,
    DirectoryProbeArgs, DirectoryRemoveArgs, DirectoryRunArgs, DirectoryShowArgs, PassphraseArgs,
    ServeArgs, TreePlace,
};

/// What is done with the list of mirrors.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DirectoryCommand {
    /// Begin a list: a folder with a policy and a place for entries, to be kept in git
    Init(DirectoryInitArgs),
    /// Check every entry, and tell who is on the list
    List(DirectoryListArgs),
    /// Look at the mirrors, as installers do and closer, and write down what was seen
    Probe(Box<DirectoryProbeArgs>),
    /// Look again and again, every five minutes, until told to stop
    Run(Box<DirectoryRunArgs>),
    /// Join what another vantage saw with the history
    Merge(DirectoryMergeArgs),
    /// Audit a mirror and, where it passes, put it on the list
    Add(Box<DirectoryAddArgs>),
    /// Take a mirror off the list, in 14 days or now
    Remove(DirectoryRemoveArgs),
    /// Announce that an operator works on a mirror, in which time nothing counts against it
    Maintenance(DirectoryMaintenanceArgs),
    /// Let a mirror back that is in quarantine, to be watched like a new one
    Lift(DirectoryLiftArgs),
    /// Tell what a newer state of a list changes, before signing it; exit code 1 where anything does
    Diff(DirectoryDiffArgs),
    /// Show a mirror's entry, how it stands and what was seen of it last
    Show(DirectoryShowArgs),
    /// Write candidates from another list
    Import(DirectoryImportArgs),
    /// Print the list for other programs
    Export(DirectoryExportArgs),
    /// Tell how every mirror stands, from what probes saw
    Score(DirectoryScoreArgs),
    /// Tell operators what is about to happen to their mirrors, each thing once
    Notify(Box<DirectoryNotifyArgs>),
    /// Write the list for people and programs, as a folder of static files
    Publish(DirectoryPublishArgs),
    /// Serve a mirror that sends clients to the others on a published list for files
    Serve(Box<DirectoryServeArgs>),
    /// Sign who is on the list, as one of the people who answer for it
    Sign(DirectorySignArgs),
    /// Check a published list against its root: who is on it was signed by people, how they do by the prober
    Verify(DirectoryVerifyArgs),
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
    /// What probes saw, instead of the list's own `history` folder: one round as JSON on each line, the oldest first;
    /// several files follow each other
    #[arg(long, value_name = "FILE")]
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
    /// The prober's key, of a list that people sign: `file:PATH`, `env:NAME` or `command:PROGRAM ARG…`, which gets the
    /// bytes on stdin and prints the signature in hexadecimal; may be given more than once
    #[arg(long, value_name = "SOURCE")]
    pub(crate) online_key: Vec<SignerSource>,
    /// Read that key's passphrase from this file [default: the variable `HELIOSTAT_PASSPHRASE`]
    #[arg(long, value_name = "FILE")]
    pub(crate) online_passphrase_file: Option<PathBuf>,
}

/// Options of `heliostat directory sign`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectorySignArgs {
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
    /// Your private key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Put this root into the list first: the one it begins with, or the one that follows
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// How long a new version holds: days as in `90d`, to the end of the day, or a time
    #[arg(long, value_name = "EXPIRY", default_value = "90d")]
    pub(crate) expires: String,
    /// Begin a new version though nothing has changed; the others then sign without this
    #[arg(long)]
    pub(crate) renew: bool,
}

/// Options of `heliostat directory verify`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryVerifyArgs {
    /// The published list: its folder, or its address
    #[arg(value_name = "DIR|URL")]
    pub(crate) list: TreePlace,
    /// The list's root that everything is checked against
    #[arg(long, value_name = "FILE")]
    pub(crate) root: PathBuf,
    /// Judge what has expired as of this moment, as `2026-11-25T12:00:00Z`, instead of now
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Reach the list through this proxy [default: what the environment's usual variables say]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<Url>,
    /// One JSON object a line: findings, then what was seen
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `heliostat directory serve`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryServeArgs {
    /// The published list, as `directory publish` wrote it; read again when it has changed
    #[arg(value_name = "DIR")]
    pub(crate) list: PathBuf,
    /// Answer 302 for a file that an active mirror is known to have; pages, and files that none is known to have, are
    /// answered from here. `?trace=1` tells why, `?avoid=ru,kestrel-main` leaves out countries and endpoints
    #[arg(long, required = true)]
    pub(crate) redirect: bool,
    /// The list's root: clients are sent only where people and the prober signed that they may be. Without it the folder
    /// is trusted
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}
