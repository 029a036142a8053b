//! Options of `heliostat directory probe` and `directory run`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use heliostat_directory::Class;
use url::Url;

use super::{NoticeArgs, RegistryArgs, UpstreamArgs};

/// Options of `heliostat directory probe`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryProbeArgs {
    /// Look only at these, by the id of a mirror or of an endpoint [default: the whole list]
    #[arg(value_name = "ID")]
    pub(crate) id: Vec<String>,
    /// How much is looked at: m is what is looked at every five minutes, h what every hour, d what every day
    #[arg(long, value_name = "CLASS", default_value = "h")]
    pub(crate) class: ProbeClass,
    /// Look at this mirror instead of the list's, as its operator would, and write nothing
    #[arg(long, value_name = "URL", conflicts_with_all = ["id", "registry", "vantage"])]
    pub(crate) me: Option<Url>,
    /// The Simple API's root below the tree's, of `--me`: `+simple/` for devpi [default: simple/]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) simple: Option<String>,
    /// One sample as JSON for each endpoint, as in the history
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) prober: ProberArgs,
}

/// How the prober looks.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProberArgs {
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
    /// The name of the place that is probed from
    #[arg(long, value_name = "NAME", default_value = "here")]
    pub(crate) vantage: String,
    /// A site that is no mirror and always answers; where it does not, the round does not count
    #[arg(long, value_name = "URL")]
    pub(crate) control: Vec<Url>,
    /// Ask these addresses for a host, instead of those that its name has; `*.example.edu` is any name beside it; may be
    /// given more than once
    #[arg(long, value_name = "HOST=ADDRESS[,ADDRESS…]")]
    pub(crate) resolve: Vec<Resolve>,
    /// Give up on one request to a mirror after so long
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) request_timeout: u64,
    /// Look at this port for content that is served without TLS
    #[arg(long, value_name = "PORT", default_value = "80")]
    pub(crate) http_port: u16,
    /// Draw the same samples as another round with this number
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The root of the notary that signs `--upstream`: nothing of that counts but what verifies, and of mirrors that carry
    /// the signed tree each page must be a signed one
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    /// Mirrors are compared with `--upstream`, best a mirror of your own; `--cacert` is trusted for both
    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProbeClass {
    /// What is looked at every five minutes
    M,
    /// What is looked at every hour
    H,
    /// What is looked at every day
    D,
}

/// Addresses of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolve {
    pub(crate) host: String,
    pub(crate) addresses: Vec<IpAddr>,
}

impl From<ProbeClass> for Class {
    fn from(class: ProbeClass) -> Self {
        match class {
            ProbeClass::M => Self::Minutes,
            ProbeClass::H => Self::Hourly,
            ProbeClass::D => Self::Daily,
        }
    }
}

impl FromStr for Resolve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, addresses) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not HOST=ADDRESS[,ADDRESS…]"))?;
        let address = |text: &str| {
            text.parse()
                .map_err(|_| format!("`{text}` is no IP address"))
        };
        Ok(Self {
            host: host.to_ascii_lowercase(),
            addresses: addresses
                .split(',')
                .map(address)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Options of `heliostat directory run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryRunArgs {
    /// Seconds from one round to the next; every 12th round looks at what is looked at every hour, every 288th at all
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) every: u64,
    /// Ask the reference for its list again in every so manyth round: 1 where it is your own, near mirror
    #[arg(long, value_name = "N", default_value = "12", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) reference_every: u64,
    /// End after so many rounds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: Option<u64>,
    /// After each round, operators are told what is due, where there is a way to
    #[command(flatten)]
    pub(crate) notices: NoticeArgs,
    #[command(flatten)]
    pub(crate) prober: ProberArgs,
}

/// Options of `heliostat directory merge`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirectoryMergeArgs {
    /// Histories of other vantages, or whole folders of lists, of which evidence is taken too
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Take nothing where any other vantage than this speaks
    #[arg(long, value_name = "VANTAGE")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) place: RegistryArgs,
}
