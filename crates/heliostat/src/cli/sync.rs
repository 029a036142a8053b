//! Options of `heliostat sync`.

use std::path::PathBuf;

use clap::Args;

use super::{AttestationArgs, FilterArgs, MirrorArgs, SigningArgs, UpstreamArgs};

/// Options of `heliostat sync`. What is selected is remembered: a later `sync` without a selection brings the same up
/// to date. Each requirements or lock file is a source of its own; when it is given again, what it no longer names
/// is removed.
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
#[derive(Debug, Clone, Args)]
pub(crate) struct SyncArgs {
    /// Keep pages only; files redirect to the upstream; remembered until `--no-files=false`
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    pub(crate) no_files: Option<bool>,
    /// Print what would be done, with counts and bytes, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Remove at most N projects in this run [default: a fifth of what is held, at least 2]
    #[arg(long, value_name = "N")]
    pub(crate) max_delete: Option<u64>,
    /// Keep files of removed releases for so long after their page let go of them
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    pub(crate) grace: u32,
    /// Look at every page again, also those at the serial the upstream lists
    #[arg(long)]
    pub(crate) recheck: bool,
    /// The upstream is a signed tree: verify everything against this notary's root, and trust nobody on the way;
    /// remembered until another is given, or `--unverified`
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    /// Verify nothing against a root from now on, although an earlier sync did
    #[arg(long, conflicts_with = "root")]
    pub(crate) unverified: bool,
    /// Sync again after so many minutes, until stopped
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=10_080))]
    pub(crate) watch: Option<u32>,
    // Groups stand last: the heading of one holds for everything after it.
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) attestations: AttestationArgs,
    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,
    #[command(flatten)]
    pub(crate) signing: SigningArgs,
    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,
}

/// What is mirrored.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectionArgs {
    /// Projects to mirror, besides those selected before; `*` and `?` match as in file names
    #[arg(value_name = "PROJECT")]
    pub(crate) projects: Vec<String>,
    /// Mirror what this requirements file, uv.lock, pylock.toml, poetry.lock or Pipfile.lock names
    #[arg(short = 'r', long = "requirement", value_name = "FILE")]
    pub(crate) requirement: Vec<PathBuf>,
    /// Keep to the versions that this constraints file allows
    #[arg(short = 'c', long = "constraint", value_name = "FILE")]
    pub(crate) constraint: Vec<PathBuf>,
    /// Mirror everything
    #[arg(long)]
    pub(crate) all: bool,
    /// Leave projects out that match; may be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Forget everything selected and filtered before
    #[arg(long)]
    pub(crate) only: bool,
    /// Mirror what the named requirements depend on too, for the Pythons and platforms given
    #[arg(long)]
    pub(crate) with_deps: bool,
}
