//! Options of `heliostat export` and `heliostat import`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::OnlineKeyArgs;

/// Options of `heliostat export`. Without a selection everything that is mirrored is exported.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExportArgs {
    /// Where the bundle goes; it appears there only when it is whole
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Leave out what this bundle has, or what the manifest of the other side says is there
    #[arg(long, value_name = "FILE")]
    pub(crate) since: Option<PathBuf>,
    /// Write only the manifest: what is held here, for the other side's `--since`
    #[arg(long)]
    pub(crate) manifest_only: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Only these projects of those that are mirrored; `*` and `?` match as in file names, `name==1.0` takes versions
    #[arg(value_name = "PROJECT")]
    pub(crate) projects: Vec<String>,
    /// Only what this requirements file, uv.lock, pylock.toml, poetry.lock or Pipfile.lock names
    #[arg(short = 'r', long = "requirement", value_name = "FILE")]
    pub(crate) requirement: Vec<PathBuf>,
    /// Keep to the versions that this constraints file allows
    #[arg(short = 'c', long = "constraint", value_name = "FILE")]
    pub(crate) constraint: Vec<PathBuf>,
}

/// Options of `heliostat import`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImportArgs {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// Prove the bundle against this root of the notary, and carry its signatures; what does not verify is refused
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    /// The day, or the moment, on which nothing in the bundle may have expired [default: now]
    #[arg(long, value_name = "DATE", requires = "root", value_parser = moment)]
    pub(crate) as_of: Option<Timestamp>,
    /// Check the bundle, tell what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove projects that earlier bundles brought and this one, which must be of all that its mirror holds, does not have
    #[arg(long)]
    pub(crate) prune: bool,
    /// Remove at most N projects in this run [default: a fifth of what is held, at least 2]
    #[arg(long, value_name = "N")]
    pub(crate) max_delete: Option<u64>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) keys: OnlineKeyArgs,
}

/// `2026-11-25`, which is when that day begins in UTC, or `2026-11-25T12:00:00Z`.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    text.parse::<Date>()
        .and_then(|day| day.to_zoned(TimeZone::UTC))
        .map(|day| day.timestamp())
        .map_err(|_| "a day as in 2026-11-25, or a moment as in 2026-11-25T12:00:00Z".to_owned())
}
