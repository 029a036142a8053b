//! Options that say where we take from.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use url::Url;

/// Where projects come from, and how to get there.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Upstream")]
pub(crate) struct UpstreamArgs {
    /// The upstream's Simple API root [default: what `sync` took from last in this data directory, else PyPI's]
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<Url>,
    /// Try files here first: a base under which packages/… is found; may be given more than once
    #[arg(long, value_name = "URL")]
    pub(crate) file_mirror: Vec<Url>,
    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Use this proxy [default: what the environment's usual variables say]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<Url>,
    /// Take credentials from this file [default: ~/.netrc]
    #[arg(long, value_name = "FILE")]
    pub(crate) netrc: Option<PathBuf>,
    /// Name this mirror and a way to reach you in every request
    #[arg(long, value_name = "TEXT")]
    pub(crate) user_agent: Option<String>,
    /// Requests under way at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Tries of one request before it counts as failed
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) tries: u32,
    /// Give up on a connection that sends nothing for so long
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) read_timeout: u64,
    /// Give up on connecting after so long
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) connect_timeout: u64,
    /// The longest Retry-After that is waited for inside a run
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) retry_after_max: u64,
}

impl UpstreamArgs {
    /// Where to take from, where no data directory has a say in it.
    pub(crate) fn root(&self) -> anyhow::Result<Url> {
        match &self.upstream {
            Some(upstream) => Ok(upstream.clone()),
            None => crate::PYPI_SIMPLE_ROOT.parse().context("PyPI's address"),
        }
    }
}
