//! Options that choose among the files of the selected projects.

use clap::Args;

/// Which files of the selected projects are wanted.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Only versions that match, for every project or one: `>=2`, `numpy>=1.26,<3`; may be given more than once
    #[arg(long, value_name = "SPEC")]
    pub(crate) versions: Vec<String>,
    /// Only the newest N versions of each project
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) latest: Option<u32>,
    /// Leave pre-releases out
    #[arg(long)]
    pub(crate) no_prereleases: bool,
    /// Leave yanked files out
    #[arg(long)]
    pub(crate) no_yanked: bool,
    /// Only wheels
    #[arg(long)]
    pub(crate) wheels_only: bool,
    /// Only files uploaded in the last N days
    #[arg(long, value_name = "DAYS")]
    pub(crate) newer_than: Option<u32>,
    /// Only files uploaded more than N days ago
    #[arg(long, value_name = "DAYS")]
    pub(crate) older_than: Option<u32>,
    /// Only files of at most so many bytes (suffixes k, M, G)
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub(crate) max_file_size: Option<u64>,
    /// Only files that install on this Python, e.g. 3.12; may be given more than once
    #[arg(long, value_name = "VERSION")]
    pub(crate) python: Vec<String>,
    /// Only files that install on this platform, e.g. `manylinux_2_28_x86_64`, `win_amd64`; may be given more than once
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Vec<String>,
    /// Leave out wheels for this family: windows, macos, linux, musllinux, freebsd, or an architecture
    #[arg(long, value_name = "FAMILY")]
    pub(crate) exclude_platform: Vec<String>,
}

/// Bytes, with the usual suffixes: `500k`, `20M`, `5G` are powers of 1,000; `Ki`, `Mi`, `Gi` of 1,024.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let split = text
        .find(|character: char| !character.is_ascii_digit() && character != '_')
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(split);
    let number: u64 = digits
        .replace('_', "")
        .parse()
        .map_err(|_| format!("`{text}` does not start with a number"))?;
    let factor = match suffix.trim().trim_end_matches(['B', 'b']) {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => {
            return Err(format!(
                "`{suffix}` is not a size suffix; use k, M, G, T or Ki, Mi, Gi, Ti"
            ));
        }
    };
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("`{text}` is too large"))
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("500k"), Ok(500_000));
        assert_eq!(parse_size("2 GiB"), Ok(2 << 30));
        assert_eq!(parse_size("20MB"), Ok(20_000_000));
        for text in ["", "M", "1x", "-1", "99999999999T"] {
            assert!(parse_size(text).is_err(), "{text:?} was accepted");
        }
    }
}
