//! Options of `heliostat directory probe` and `directory run`.

use std::net::IpAddr;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use heliostat_directory::Class;
use url::Url;

use super::{RegistryArgs, UpstreamArgs};

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
    /// Ask these addresses for a host, instead of those that its name has; may be given more than once
    #[arg(long, value_name = "HOST=ADDRESS[,ADDRESS…]")]
    pub(crate) resolve: Vec<Resolve>,
    /// Give up on one request to a mirror after so long
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) request_timeout: u64,
    /// Draw the same samples as another round with this number
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
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
