//! Options of `heliostat serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

#[cfg(feature = "migrate")]
use super::RetiredArgs;
use super::filter::parse_size;
use super::{AttestationArgs, MirrorArgs, SigningArgs, UpstreamArgs};

/// Options of `heliostat serve`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 picks one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Make no request to the upstream: serve what is held
    #[arg(long)]
    pub(crate) offline: bool,
    /// Serve HTTPS with this certificate chain (PEM); changed files are picked up
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Connections served at once
    #[arg(long, value_name = "N", default_value = "4096", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Wait so long for requests under way when stopping
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    pub(crate) drain: u64,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) attestations: AttestationArgs,
    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,
    #[command(flatten)]
    pub(crate) signing: SigningArgs,
    #[cfg(feature = "migrate")]
    #[command(flatten)]
    pub(crate) retired: RetiredArgs,
    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,
}

/// How pages and files taken on demand are kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct CacheArgs {
    /// Ask the upstream again about a page after so long
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    pub(crate) max_age: u64,
    /// Serve an old page for so long while the upstream cannot be reached [default: for ever]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) stale_for: Option<u64>,
    /// Remember for so long that the upstream does not know a project
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub(crate) negative_age: u64,
    /// Bytes of files taken on demand to keep (suffixes k, M, G); the least recently used go first [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub(crate) cache_size: Option<u64>,
    /// Never evict files of this project; may be given more than once
    #[arg(long, value_name = "PROJECT")]
    pub(crate) pin: Vec<String>,
}
