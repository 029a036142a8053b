//! What can be typed. Nothing here acts; each command's own file in `commands` does.
//!
//! Every option is also an environment variable (`HELIOSTAT_` and its name) and a key of `heliostat.toml`; `settings`
//! derives both from these definitions, so an option is declared once.

#[cfg(feature = "attack-lab")]
mod attack;
mod attestations;
mod bundle;
mod client;
#[cfg(feature = "directory")]
mod directory;
#[cfg(feature = "directory")]
mod directory_notify;
#[cfg(feature = "directory")]
mod directory_probe;
#[cfg(feature = "directory")]
mod directory_registry;
mod filter;
mod installers;
#[cfg(feature = "migrate")]
mod migrate;
mod mirror;
mod mirrors;
mod serve;
mod setup;
mod signing;
mod sync;
mod tend;
mod trust;
mod upstream;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "attack-lab")]
pub(crate) use attack::AttackLabArgs;
pub(crate) use attestations::{AttestationArgs, AttestationsWord, ProofArgs};
pub(crate) use bundle::{ExportArgs, ImportArgs};
#[cfg(feature = "directory")]
pub(crate) use client::MirrorListArgs;
pub(crate) use client::{OriginWhen, ProxyAction, ProxyArgs, SourceArgs, TufAction, TufClientArgs};
#[cfg(feature = "directory")]
pub(crate) use directory::{
    DirectoryCommand, DirectoryInitArgs, DirectoryListArgs, DirectoryPublishArgs,
    DirectoryScoreArgs, DirectoryServeArgs, DirectorySignArgs, DirectoryVerifyArgs, RegistryArgs,
};
#[cfg(feature = "directory")]
pub(crate) use directory_notify::{DirectoryNotifyArgs, NoticeArgs};
#[cfg(feature = "directory")]
pub(crate) use directory_probe::{
    DirectoryMergeArgs, DirectoryProbeArgs, DirectoryRunArgs, ProberArgs,
};
#[cfg(feature = "directory")]
pub(crate) use directory_registry::{
    DirectoryAddArgs, DirectoryDiffArgs, DirectoryExportArgs, DirectoryImportArgs,
    DirectoryLiftArgs, DirectoryMaintenanceArgs, DirectoryRemoveArgs, DirectoryShowArgs,
    ExportWord,
};
pub(crate) use filter::FilterArgs;
pub(crate) use installers::{
    AttestCommand, AttestMemoryArgs, AttestVerifyArgs, DoctorArgs, ExecArgs, LockCommand,
    LockNormalizeArgs, PublisherPolicy,
};
#[cfg(feature = "migrate")]
pub(crate) use migrate::{
    AddressKept, MigrateApplyArgs, MigrateCommand, MigrateFormat, MigrateMapCommand,
    MigrateRedirectArgs, MigrateScanArgs, MigrateTargetArgs, MigrateTimelineCommand,
    MigrateTimelinePlanArgs, MigrateTrafficCommand, RetiredArgs,
};
pub(crate) use mirror::MirrorArgs;
pub(crate) use mirrors::{MirrorChoiceArgs, MirrorsCommand, MirrorsTestArgs};
pub(crate) use serve::ServeArgs;
pub(crate) use setup::SetupArgs;
pub(crate) use signing::{OnlineKeyArgs, SigningArgs};
pub(crate) use sync::SyncArgs;
pub(crate) use tend::{AdoptArgs, ConfigCommand, ReferencePart, StatusArgs, VerifyArgs};
pub(crate) use trust::{
    DelegateCommand, DraftsArgs, FilesWanted, KeysCommand, PassphraseArgs, RebinArgs, RevokeArgs,
    RootCommand, RootDraftArgs, RootSignArgs, RotateCommand, ShowArgs, SignArgs, TreePlace,
    TrustCommand, TrustCompareArgs, TrustInitArgs, TrustVerifyArgs, TrustedRootArgs,
};
pub(crate) use upstream::UpstreamArgs;

/// Keep a mirror of PyPI, serve it, prove it, and move people onto it.
#[derive(Debug, Parser)]
#[command(name = "heliostat", version, long_version = crate::VERSION_LONG, max_term_width = 100)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 everything asked for is done; 1 done, but with findings or failed projects; \
    2 wrong usage or configuration; 3 could not run; 4 something failed verification."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct CommonArgs {
    /// The data directory [default: the platform's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The configuration file [default: heliostat.toml here, in the user's or in the system's configuration directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How much is logged on stderr
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    pub(crate) log: LogLevel,
    /// How log lines look
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the mirror over HTTP, taking what is missing from the upstream when it is asked for
    Serve(Box<ServeArgs>),
    /// Bring the mirror in step with the upstream
    Sync(Box<SyncArgs>),
    /// Check every file and page against the catalog
    Verify(Box<VerifyArgs>),
    /// Take over a tree made by bandersnatch, shadowmire or by hand, without downloading what is right
    Adopt(Box<AdoptArgs>),
    /// Write what the mirror holds, or what changed of it, into one file, for where no network goes
    Export(Box<ExportArgs>),
    /// Check a bundle that `export` wrote, and take it over
    Import(Box<ImportArgs>),
    /// Tell what the mirror holds, how fresh it is and what failed
    Status(StatusArgs),
    /// Keys, the ceremony in which people sign, and what expires when
    #[command(subcommand)]
    Trust(Box<TrustCommand>),
    /// Answer installers on this machine from mirrors that are not trusted, verifying everything
    Proxy(Box<ProxyArgs>),
    /// Tell how the proxy's mirrors do, and decide about them
    #[command(subcommand)]
    Mirrors(MirrorsCommand),
    /// Run one command with a proxy behind it, and leave its lock files with addresses that everybody can use
    Exec(ExecArgs),
    /// Tell what of the installers' configuration here would bypass the proxy
    Doctor(DoctorArgs),
    /// Have pip and uv on this machine ask the verifying proxy, or take that back
    Setup(SetupArgs),
    /// Work on lock files
    #[command(subcommand)]
    Lock(LockCommand),
    /// Work on attestations: who published a file
    #[command(subcommand)]
    Attest(AttestCommand),
    /// Refresh the metadata of any TUF repository and download its targets, verified
    TufClient(Box<TufClientArgs>),
    /// Move off a retired index host: find every reference, rewrite it safely
    #[cfg(feature = "migrate")]
    #[command(subcommand)]
    Migrate(Box<MigrateCommand>),
    /// Keep a list of mirrors: who is on it, how each does by the policy
    #[cfg(feature = "directory")]
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// Attack the proxy with evil mirrors on loopback and real installers, and print what came of it
    #[cfg(feature = "attack-lab")]
    AttackLab(AttackLabArgs),
    /// Write or explain the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// Print the reference documentation as Markdown
    #[command(hide = true)]
    Reference {
        /// Which part
        part: ReferencePart,
    },
}
