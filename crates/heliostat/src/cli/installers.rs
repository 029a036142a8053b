//! Options of the commands that stand beside installers: attest, lock, exec, doctor.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use url::Url;

use super::{SourceArgs, UpstreamArgs};

/// `heliostat attest …`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum AttestCommand {
    /// Verify, without any network, who published files (PEP 740)
    Verify(AttestVerifyArgs),
    /// Write into heliostat.trust who publishes what a lock file names; what it has of other projects stays
    Record(Box<AttestMemoryArgs>),
    /// Tell where somebody else publishes than heliostat.trust says, or a release is less attested than the last
    Check(Box<AttestMemoryArgs>),
}

/// Options of `heliostat attest record` and `heliostat attest check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AttestMemoryArgs {
    /// The lock file: uv.lock, pylock.toml, poetry.lock or Pipfile.lock
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: PathBuf,
    /// Where publishers are remembered [default: heliostat.trust beside the lock file]
    #[arg(long, value_name = "FILE")]
    pub(crate) memory: Option<PathBuf>,
    /// Verify provenance against this `trusted_root.json` of Sigstore's [default: the one this program was built with]
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// Verify provenance against the trusted root that the signed upstream names, verified from this root of its notary
    #[arg(long, value_name = "FILE", conflicts_with = "trusted_root")]
    pub(crate) root: Option<PathBuf>,
    /// What follows from a change, which is told: exit with 1, or with 4; with `refuse`, `record` writes nothing where it
    /// exits with 4
    #[arg(long, value_name = "POLICY", default_value = "warn")]
    pub(crate) policy: PublisherPolicy,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,
}

/// What follows from a change of publishers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PublisherPolicy {
    /// Tell, and exit with 1.
    Warn,
    /// Tell, and exit with 4.
    Refuse,
}

/// Options of `heliostat attest verify`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AttestVerifyArgs {
    /// The files: wheels or source distributions
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The file's provenance document [default: FILE.provenance]
    #[arg(long, value_name = "FILE")]
    pub(crate) provenance: Option<PathBuf>,
    /// Sigstore's trusted root [default: its public instance, as this program was built with it]
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// Take Sigstore's trusted root from this signed tree, a directory with `tuf/`
    #[arg(
        long,
        value_name = "DIR",
        requires = "root",
        conflicts_with = "trusted_root"
    )]
    pub(crate) tree: Option<PathBuf>,
    /// The root of the notary who signed `--tree`
    #[arg(long, value_name = "FILE", requires = "tree")]
    pub(crate) root: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `heliostat lock …`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LockCommand {
    /// Make the addresses of a proxy or mirror in lock files those of the index that everybody can reach
    Normalize(LockNormalizeArgs),
}

/// Options of `heliostat lock normalize`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LockNormalizeArgs {
    /// uv.lock, pylock.toml, poetry.lock, Pipfile.lock or pixi.lock
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Change nothing; exit with 1 where something would be changed
    #[arg(long)]
    pub(crate) check: bool,
    /// A proxy's or mirror's Simple API root whose addresses are replaced, besides everything on loopback; may be given
    /// more than once
    #[arg(long, value_name = "URL")]
    pub(crate) from: Vec<Url>,
    /// The Simple API root that takes their place
    #[arg(long, value_name = "URL", default_value = crate::PYPI_SIMPLE_ROOT)]
    pub(crate) to: Url,
    /// The proxy's `--origin-url`, the index of packages whose files are elsewhere [default: their index stays, is told,
    /// and the exit code is 1]
    #[arg(long, value_name = "URL")]
    pub(crate) origin_url: Option<Url>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `heliostat doctor`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {
    /// The proxy's Simple API root, which every installer must be told of [default: any index on loopback is taken for
    /// the proxy]
    #[arg(long, value_name = "URL")]
    pub(crate) index: Option<Url>,
    /// A further index that is meant, such as a company's own; may be given more than once
    #[arg(long, value_name = "URL")]
    pub(crate) allow: Vec<Url>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `heliostat exec`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExecArgs {
    /// The Simple API root of a proxy that runs already [default: one is started for this command]
    #[arg(long, value_name = "URL")]
    pub(crate) index: Option<Url>,
    #[command(flatten, next_help_heading = "The proxy that is started")]
    pub(crate) source: SourceArgs,
    /// A further index that is meant, such as a company's own; may be given more than once
    #[arg(long, value_name = "URL")]
    pub(crate) allow: Vec<Url>,
    /// The command and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<OsString>,
}
