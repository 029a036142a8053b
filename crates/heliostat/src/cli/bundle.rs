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
    /// The day (in UTC), or the moment, at which the bundle had been signed and nothing in it had expired [default: now]
    #[arg(long, value_name = "DATE", requires = "root", value_parser = as_of)]
    pub(crate) as_of: Option<AsOf>,
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

/// A moment, or a day from its beginning to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AsOf {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

/// `2026-11-25`, a day in UTC, or a moment as RFC 3339 writes it. Nothing that is only near to either: half of it would
/// be passed over, and another moment meant.
fn as_of(text: &str) -> Result<AsOf, String> {
    let shape: String = text
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    let refused = || "a day as in 2026-11-25, or a moment as in 2026-11-25T12:00:00Z".to_owned();
    if shape == "0000-00-00" {
        let day = text.parse::<Date>().map_err(|_| refused())?;
        let begin = |day: Date| day.to_zoned(TimeZone::UTC).map(|day| day.timestamp());
        let next = day.tomorrow().and_then(begin);
        return match (begin(day), next) {
            (Ok(first), Ok(last)) => Ok(AsOf { first, last }),
            _ => Err(refused()),
        };
    }
    let rest = shape.strip_prefix("0000-00-00T00:00:00");
    let rest = rest.ok_or_else(refused)?;
    let offset = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        _ => rest,
    };
    let moment = ["Z", "+00:00", "-00:00"]
        .contains(&offset)
        .then(|| text.parse::<Timestamp>().ok())
        .flatten()
        .ok_or_else(refused)?;
    Ok(AsOf {
        first: moment,
        last: moment,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_or_a_moment_and_nothing_else() {
        let day = as_of("2026-11-25").unwrap();
        assert_eq!(day.first.to_string(), "2026-11-25T00:00:00Z");
        assert_eq!(day.last.to_string(), "2026-11-26T00:00:00Z");
        for (text, moment) in [
            ("2026-11-25T09:25:20Z", "2026-11-25T09:25:20Z"),
            ("2026-11-25T09:25:20.5Z", "2026-11-25T09:25:20.5Z"),
            ("2026-11-25T09:25:20+02:00", "2026-11-25T07:25:20Z"),
        ] {
            let read = as_of(text).unwrap();
            assert_eq!(
                (read.first, read.last.to_string()),
                (read.last, moment.to_owned())
            );
        }
        for text in [
            "2026-11-26 09:25:20",
            "2026-11-26T09:25:20",
            "2026-11-26T09:25Z",
            "2026-11-26T09Z",
            "2026-11-26T09:25:20.Z",
            "2026-11-26T09:25:20Z[UTC]",
            "2026-11-26T09:25:20+02",
            "2026-11-26 ",
            "2026-13-01",
            "2026-02-30T00:00:00Z",
            "20261126",
            "yesterday",
            "",
        ] {
            assert!(as_of(text).is_err(), "{text}");
        }
    }
}
