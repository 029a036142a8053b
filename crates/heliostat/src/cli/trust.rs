//! Options of `heliostat trust`.

use clap::{Args, Subcommand};

/// What there is to do about trust.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Begin to sign this mirror with a single key that is made and kept here
    Init(TrustInitArgs),
}

/// Options of `heliostat trust init`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrustInitArgs {
    /// Spread the pages over so many bins, a power of two [default: about a hundred projects a bin, of those held now]
    #[arg(long, value_name = "N")]
    pub(crate) bins: Option<u64>,
    /// Spread the pages over as many bins as so many projects want; 900000 for all of PyPI
    #[arg(long, value_name = "N", conflicts_with = "bins")]
    pub(crate) projects: Option<u64>,
}
