//! Options of `heliostat setup`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use url::Url;

#[cfg(feature = "directory")]
use super::MirrorListArgs;

/// Options of `heliostat setup`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SetupArgs {
    /// For whoever runs this, which is what happens without words too
    #[arg(long, conflicts_with = "system")]
    pub(crate) user: bool,
    /// For everybody on this machine
    #[arg(long)]
    pub(crate) system: bool,
    /// Take back what an earlier setup wrote
    #[arg(long, conflicts_with_all = ["root", "mirror", "index"])]
    #[cfg_attr(feature = "directory", arg(conflicts_with = "directory"))]
    pub(crate) undo: bool,
    /// The notary's root, against which the proxy checks everything
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    /// A mirror for the proxy; may be given more than once
    #[arg(long, value_name = "URL", requires = "root")]
    pub(crate) mirror: Vec<Url>,
    #[cfg(feature = "directory")]
    #[command(flatten)]
    pub(crate) list: MirrorListArgs,
    /// Where the proxy is to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,
    /// Use this index, which somebody else runs, and set up no proxy
    #[arg(long, value_name = "URL", conflicts_with_all = ["root", "mirror"])]
    #[cfg_attr(feature = "directory", arg(conflicts_with = "directory"))]
    pub(crate) index: Option<Url>,
    /// Put everything below this directory, as into the image of a machine
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
}
