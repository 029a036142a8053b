//! Options of `heliostat migrate`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;

/// `heliostat migrate …`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MigrateCommand {
    /// List every reference to a retired host
    Scan(MigrateScanArgs),
    /// Print what `apply` would change as a unified diff
    Diff(MigrateTargetArgs),
    /// Rewrite every reference that can be rewritten safely
    Apply(MigrateApplyArgs),
    /// Look at the map of retired hosts
    #[command(subcommand)]
    Map(MigrateMapCommand),
    /// Serve retired names: redirect by the map, count who comes, say when they are gone
    Redirect(Box<MigrateRedirectArgs>),
    /// Tell who still comes to retired names
    #[command(subcommand)]
    Traffic(MigrateTrafficCommand),
    /// Tell when retired names are announced, dark for practice, off and parked
    #[command(subcommand)]
    Timeline(MigrateTimelineCommand),
}

/// What is looked at, and by which map.
#[derive(Debug, Clone, Args)]
pub(crate) struct MigrateTargetArgs {
    /// Files and directories [default: the current directory]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// A map of retired hosts whose entries win over the built-in ones [default: migrate.toml here, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Look into directories of other people's code too (`vendor`, `node_modules`, `site-packages`)
    #[arg(long)]
    pub(crate) vendored: bool,
    /// Look at this machine's own configuration of pip, uv and the like too
    #[arg(long)]
    pub(crate) host_env: bool,
}

/// Options of `heliostat migrate scan`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MigrateScanArgs {
    #[command(flatten)]
    pub(crate) target: MigrateTargetArgs,
    /// How findings are printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: MigrateFormat,
    /// Print one JSON document; the same as `--format json`
    #[arg(long)]
    pub(crate) json: bool,
    /// Read one file from standard input and take it for this path
    #[arg(long, value_name = "PATH", conflicts_with_all = ["paths", "host_env", "git_history"])]
    pub(crate) stdin_filename: Option<String>,
    /// Report what any commit of the git repository holds, in place of the files that are there now
    #[arg(long)]
    pub(crate) git_history: bool,
}

/// Options of `heliostat migrate apply`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MigrateApplyArgs {
    #[command(flatten)]
    pub(crate) target: MigrateTargetArgs,
    /// Write although the git repository has uncommitted changes
    #[arg(long)]
    pub(crate) allow_dirty: bool,
    /// Only say what would be written
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Keep each file as it was beside it, with this ending
    #[arg(long, value_name = "ENDING")]
    pub(crate) backup: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MigrateFormat {
    /// One line each, for people.
    Text,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// Workflow commands that GitHub shows beside the code.
    Github,
    /// The code quality report of GitLab.
    Gitlab,
}

/// `heliostat migrate map …`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MigrateMapCommand {
    /// Read the map and say what is wrong with it
    Check {
        #[command(flatten)]
        map: MigrateMapArgs,
        /// Ask every new address of your entries (of the built-in ones where you have none) whether it answers
        #[arg(long)]
        online: bool,
    },
    /// Tell what becomes of one address, for each use
    Test {
        /// The address
        #[arg(value_name = "URL")]
        url: String,
        #[command(flatten)]
        map: MigrateMapArgs,
    },
    /// Print the map in force
    Show {
        #[command(flatten)]
        map: MigrateMapArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Which map.
#[derive(Debug, Clone, Args)]
pub(crate) struct MigrateMapArgs {
    /// A map of retired hosts whose entries win over the built-in ones [default: migrate.toml here, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
}

/// Options of `heliostat migrate redirect`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MigrateRedirectArgs {
    /// A map of retired hosts whose entries win over the built-in ones [default: migrate.toml here, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Where to listen; port 0 picks one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8082")]
    pub(crate) listen: SocketAddr,
    /// The certificate and its chain as PEM, for TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's key as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Write who comes to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) traffic: Option<PathBuf>,
    /// How much of a client's address is written
    #[arg(long, value_name = "HOW", default_value = "drop")]
    pub(crate) addresses: AddressKept,
    /// What addresses are hashed with
    #[arg(long, value_name = "TEXT")]
    pub(crate) salt: Option<String>,
}

/// How much of a client's address is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AddressKept {
    /// Nothing.
    Drop,
    /// A salted hash.
    Hash,
    /// All of it.
    Keep,
}

/// `heliostat migrate traffic …`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MigrateTrafficCommand {
    /// Tell day by day and client by client who comes, and whether a name can go; exit code 1 while one cannot
    Report(MigrateTrafficArgs),
}

/// Options of `heliostat migrate traffic report`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MigrateTrafficArgs {
    /// The log that `migrate redirect --traffic` wrote
    #[arg(value_name = "FILE")]
    pub(crate) visits: PathBuf,
    /// A name is clear when no installer came for so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=3650))]
    pub(crate) clear_days: i64,
    /// Print one JSON document
    #[arg(long, conflicts_with = "html")]
    pub(crate) json: bool,
    /// Print one page of HTML with charts
    #[arg(long)]
    pub(crate) html: bool,
}

/// `heliostat migrate timeline …`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MigrateTimelineCommand {
    /// Propose the dates of a retirement as a section of the map; exit code 1 when the end has come and extra indexes
    /// or installers remain
    Plan(Box<MigrateTimelinePlanArgs>),
    /// Print every step of every retirement
    Show {
        #[command(flatten)]
        map: MigrateMapArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print the steps as a calendar
    Ics {
        #[command(flatten)]
        map: MigrateMapArgs,
    },
    /// Print the notices that are due today
    Notices {
        #[command(flatten)]
        map: MigrateMapArgs,
        /// Print one JSON document
        #[arg(long, conflicts_with = "html")]
        json: bool,
        /// Print one page of HTML, for mail
        #[arg(long)]
        html: bool,
    },
}

/// Options of `heliostat migrate timeline plan`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MigrateTimelinePlanArgs {
    /// The host that goes, or its entry's name in the map
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    #[command(flatten)]
    pub(crate) target: MigrateTargetArgs,
    /// The first day without it [default: what the map says]
    #[arg(long, value_name = "DATE")]
    pub(crate) off: Option<Date>,
    /// When people are told [default: what the map says, else today]
    #[arg(long, value_name = "DATE")]
    pub(crate) announced: Option<Date>,
    /// From when on the name is only kept
    #[arg(long, value_name = "DATE")]
    pub(crate) parked: Option<Date>,
    /// The log that `migrate redirect --traffic` writes
    #[arg(long, value_name = "FILE")]
    pub(crate) traffic: Option<PathBuf>,
    /// A name is clear when no installer came for so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=3650))]
    pub(crate) clear_days: i64,
    /// Retire although extra indexes or installers remain: why, and who decided
    #[arg(long, value_name = "WHY")]
    pub(crate) force: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// The names of retired hosts that `serve` answers for beside its mirror.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retired")]
pub(crate) struct RetiredArgs {
    /// Answer for the names of retired hosts by this map too: redirect them, or say that they are gone
    #[arg(id = "retired_map", long = "retired-map", value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Write who comes to retired names to this file, one JSON object a line
    #[arg(id = "retired_traffic", long = "retired-traffic", value_name = "FILE")]
    pub(crate) traffic: Option<PathBuf>,
    /// How much of a client's address is written
    #[arg(
        id = "retired_addresses",
        long = "retired-addresses",
        value_name = "HOW",
        default_value = "drop"
    )]
    pub(crate) addresses: AddressKept,
    /// What addresses are hashed with
    #[arg(id = "retired_salt", long = "retired-salt", value_name = "TEXT")]
    pub(crate) salt: Option<String>,
}
