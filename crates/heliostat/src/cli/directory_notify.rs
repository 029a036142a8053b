//! Options of `heliostat directory notify`, and of the notices of `directory run`.

use std::path::PathBuf;

use clap::Args;
use heliostat_trust::keys::SignerSource;
use jiff::Timestamp;
use url::Url;

use super::RegistryArgs;

/// Options of `heliostat directory notify`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryNotifyArgs {
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
    /// Only print what is due and whom it would reach
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// One JSON object for each notice
    #[arg(long)]
    pub(crate) json: bool,
    /// What is due at this moment, as `2026-11-25T12:00:00Z`, instead of now
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) notices: NoticeArgs,
    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Reach webhooks through this proxy [default: what the environment's usual variables say]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<Url>,
}

/// How notices reach people.
#[derive(Debug, Clone, Args)]
pub(crate) struct NoticeArgs {
    /// Post every notice to this address too, for the keepers of the list; may be given more than once
    #[arg(long, value_name = "URL", requires = "webhook_key")]
    pub(crate) webhook: Vec<Url>,
    /// The ed25519 key that webhooks are signed with, best the prober's: `file:PATH`, `env:NAME` or
    /// `command:PROGRAM ARG…`; without it none is posted to
    #[arg(long, value_name = "SOURCE")]
    pub(crate) webhook_key: Option<SignerSource>,
    /// Read that key's passphrase from this file [default: the variable `HELIOSTAT_PASSPHRASE`]
    #[arg(long, value_name = "FILE")]
    pub(crate) webhook_passphrase_file: Option<PathBuf>,
    /// Hand mail to this program on its stdin, as `sendmail -t`; words are split at spaces, there is no quoting
    #[arg(long, value_name = "PROGRAM ARG…", requires = "mail_addresses")]
    pub(crate) mail_command: Option<String>,
    /// The operators' addresses, one on each line; entries of the list have their digests only. Keep it out of git
    #[arg(long, value_name = "FILE", requires = "mail_command")]
    pub(crate) mail_addresses: Option<PathBuf>,
    /// Whom mail is from [default: whom the program says]
    #[arg(long, value_name = "ADDRESS", requires = "mail_command")]
    pub(crate) mail_from: Option<String>,
}
