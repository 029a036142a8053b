//! The option of commands that take or hold provenance.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A program that cannot verify does not pretend to.
const DEFAULT: &str = if cfg!(feature = "attestations") {
    "warn"
} else {
    "ignore"
};

/// What follows where provenance does not hold.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Attestations")]
pub(crate) struct AttestationArgs {
    /// What to do about a file whose provenance (PEP 740) does not hold: carry it unseen, carry it and warn, or leave
    /// the file out
    #[arg(long, value_name = "POLICY", default_value = DEFAULT)]
    pub(crate) attestations: AttestationsWord,
    /// Verify provenance against this `trusted_root.json` of Sigstore's [default: the one that the signed tree names, else
    /// the one this program was built with]
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
}

/// The options of the proxy, which hands on what others took.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Attestations")]
pub(crate) struct ProofArgs {
    /// What to do about a file whose provenance (PEP 740) does not hold, or that is by others than `--publishers` says:
    /// do not look, hand it on and warn, or refuse it (422)
    #[arg(long, value_name = "POLICY", default_value = "ignore")]
    pub(crate) attestations: AttestationsWord,
    /// Verify provenance against this `trusted_root.json` of Sigstore's [default: the one that the signed tree names, else
    /// the one this program was built with]
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// Who published before: a heliostat.trust, as `heliostat attest record` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) publishers: Option<PathBuf>,
}

/// What follows where provenance does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AttestationsWord {
    /// Nobody looks.
    Ignore,
    /// It is told, and stands in the ledger as a warning.
    Warn,
    /// The file is not taken, and its project fails.
    Refuse,
}
