//! Options of the commands that take from mirrors without trusting them: `tuf-client` and `proxy`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use url::Url;

use super::ProofArgs;
#[cfg(feature = "directory")]
use super::TreePlace;
#[cfg(feature = "directory")]
use crate::mirror_list::{INTERVAL_SECONDS, MirrorRule};

/// Options of `heliostat tuf-client`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TufClientArgs {
    /// Where the trusted metadata is kept
    #[arg(long, value_name = "DIR")]
    pub(crate) metadata_dir: PathBuf,
    /// Where the repository's metadata is
    #[arg(long, value_name = "URL")]
    pub(crate) metadata_url: Option<Url>,
    /// Download this target; may be given more than once
    #[arg(long, value_name = "PATH")]
    pub(crate) target_name: Vec<String>,
    /// Where the repository's targets are [default: the metadata's address]
    #[arg(long, value_name = "URL")]
    pub(crate) target_base_url: Option<Url>,
    /// Where downloaded targets go
    #[arg(long, value_name = "DIR")]
    pub(crate) target_dir: Option<PathBuf>,
    /// What to do
    pub(crate) action: TufAction,
    /// The root to trust from now on, for `init`
    #[arg(required_if_eq("action", "init"))]
    pub(crate) root: Option<PathBuf>,
}

/// What a TUF client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TufAction {
    /// Trust a root; no network.
    Init,
    /// Bring the metadata up to date.
    Refresh,
    /// Download targets.
    Download,
}

/// Options of `heliostat proxy`.
#[derive(Debug, Clone, Args)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct ProxyArgs {
    #[command(subcommand)]
    pub(crate) action: Option<ProxyAction>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// When to ask a plain index beside the mirrors, nothing of which is signed; it decides for a project as a whole
    /// [default: never]
    #[arg(long, value_name = "WHEN")]
    pub(crate) origin: Option<OriginWhen>,
    /// The plain index's Simple API root, with `--origin first` or `--origin last` [default: PyPI's]
    #[arg(long, value_name = "URL")]
    pub(crate) origin_url: Option<Url>,
    /// Where to listen; port 0 picks one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,
    /// Refuse a state that was signed longer ago than this, also one that has not expired
    #[arg(long, value_name = "SECONDS", default_value = "86400")]
    pub(crate) max_staleness: u64,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
}

/// Where a proxy takes from, what it checks and how it gets there: the same for every command that opens one.
#[derive(Debug, Clone, Args)]
pub(crate) struct SourceArgs {
    /// The notary's root, against which everything is checked
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    /// A mirror: where tuf/, simple/ and packages/ are found; may be given more than once, nobody of them is trusted
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Vec<Url>,
    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Reach the mirrors through this proxy [default: what the environment's usual variables say]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<Url>,
    #[cfg(feature = "directory")]
    #[command(flatten)]
    pub(crate) list: MirrorListArgs,
}

/// Where a list of mirrors is, and which of it may be used.
#[cfg(feature = "directory")]
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "List of mirrors")]
pub(crate) struct MirrorListArgs {
    /// A published list of mirrors, an address or a folder; may be given more than once, the first that holds is taken
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) directory: Vec<TreePlace>,
    /// The root of the list's keepers, against which the list is checked
    #[arg(long, value_name = "FILE")]
    pub(crate) directory_root: Option<PathBuf>,
    /// Look for a newer list this often
    #[arg(long, value_name = "SECONDS", default_value_t = INTERVAL_SECONDS, value_parser = clap::value_parser!(u64).range(10..=604_800))]
    pub(crate) directory_interval: u64,
    /// Of the list, use only mirrors of which this holds: `country=CH`, `operator=NAME`, `network=AS64500`,
    /// `network=192.0.2.0/24` or `mirror=ID`; may be given more than once
    #[arg(long, value_name = "RULE")]
    pub(crate) mirrors_only: Vec<MirrorRule>,
    /// Of the list, never use mirrors of which this holds; rules as for `--mirrors-only`
    #[arg(long, value_name = "RULE")]
    pub(crate) mirrors_never: Vec<MirrorRule>,
}

/// When the origin is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OriginWhen {
    /// For everything, before the mirrors.
    First,
    /// For what the mirrors' signed state does not have.
    Last,
    /// For nothing.
    Never,
}

/// What else the proxy can tell.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ProxyAction {
    /// Tell what each mirror answered about a file or a project
    Why {
        /// The file's or the project's name
        file: String,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}
