//! Options of commands that publish a signed tree.

use std::path::PathBuf;

use clap::Args;
use heliostat_trust::keys::SignerSource;

/// How what changes is signed, in a data directory that `heliostat trust init` has set up.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Signing")]
pub(crate) struct SigningArgs {
    #[command(flatten)]
    pub(crate) keys: OnlineKeyArgs,
    /// Let so much time pass between two publications while changes come in [default: 60 for sync, 0 for serve]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) publish_every: Option<u64>,
}

/// With which key.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Signing")]
pub(crate) struct OnlineKeyArgs {
    /// Sign with this key: `file:PATH`, `env:NAME` or `command:PROGRAM ARG…`, which gets the bytes on stdin and prints
    /// the signature in hexadecimal, within a minute and 64 KiB; its words are split at blanks, and nothing is quoted. May
    /// be given more than once [default: state/keys/online.key in the data directory]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) online_key: Vec<SignerSource>,
    /// Read the online key's passphrase from this file [default: the variable `HELIOSTAT_PASSPHRASE`]
    #[arg(long, value_name = "FILE")]
    pub(crate) online_passphrase_file: Option<PathBuf>,
}
