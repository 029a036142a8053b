//! One round: every endpoint that is wanted, many at once, within bounds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use heliostat_directory::{EndpointId, Outcome, Round, Sample};
use http::StatusCode;
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::Url;

use crate::evidence::Evidence;
use crate::line::{Ask, Line};
use crate::look::look;
use crate::memory::Memory;
use crate::options::{ProberOptions, Target};
use crate::reference::Reference;
use crate::reply::Reply;
use crate::trouble::Trouble;

/// Looks at mirrors.
#[derive(Debug)]
pub struct Prober {
    options: ProberOptions,
}

/// What a round gave.
#[derive(Debug)]
pub struct Probed {
    /// For the history.
    pub round: Round,
    /// What proves what the round says.
    pub evidence: Vec<Evidence>,
    /// What was seen of the reference, for the next round; nothing where it could not be asked.
    pub memory: Option<Memory>,
}

impl Prober {
    /// A prober that looks as it is told.
    pub const fn new(options: ProberOptions) -> Self {
        Self { options }
    }

    /// Looks at every target but those that asked for a pause that is not over. `before` is the last sample that this vantage took of each, `control` whether the sites
    /// that are no mirrors answered.
    pub async fn round(
        &self,
        targets: &[Target],
        reference: &Reference,
        before: &BTreeMap<EndpointId, Sample>,
        (now, control): (i64, Outcome),
    ) -> Probed {
        let paused = |target: &&Target| {
            let before = before.get(&target.endpoint);
            before.is_some_and(|before| before.pause_until > Some(now))
        };
        let wanted = targets.iter().filter(|target| !paused(target));
        let looks = wanted.map(|target| {
            let before = before.get(&target.endpoint);
            look(target, &self.options, reference, before, now)
        });
        let mut looked: Vec<_> = futures_util::stream::iter(looks)
            .buffer_unordered(self.options.limits.endpoints_at_once)
            .collect()
            .await;
        looked.sort_by(|one, other| one.sample.endpoint.cmp(&other.sample.endpoint));
        let mut probed = Probed {
            round: Round {
                at: now,
                control,
                samples: Vec::new(),
            },
            evidence: Vec::new(),
            memory: Some(reference.learn(&self.options.limits, now).await),
        };
        for one in looked {
            probed.round.samples.push(one.sample);
            probed.evidence.extend(one.evidence);
        }
        probed
    }
}

impl Prober {
    /// The first of these sites that does not answer; a site that answers an error is there.
    pub async fn silent_control<'u>(&self, sites: &'u [Url]) -> Option<&'u Url> {
        for site in sites {
            if !self.answers(site).await {
                return Some(site);
            }
        }
        None
    }

    async fn answers(&self, site: &Url) -> bool {
        let limit = self.options.limits.page_bytes_max;
        let asked = self.ask(site, limit).await;
        matches!(asked, Some(Ok(_) | Err(Trouble::TooLarge)))
    }

    /// A small file of a host, from the first of its addresses that answers; `None` where it is not there or not whole.
    pub async fn fetch(&self, url: &Url, limit_bytes: usize) -> Option<Bytes> {
        let reply = self.ask(url, limit_bytes).await?.ok()?;
        (reply.status == StatusCode::OK && reply.whole).then_some(reply.body)
    }

    /// Asks the first address that takes a connection; redirects are not followed.
    async fn ask(&self, url: &Url, limit_bytes: usize) -> Option<Result<Reply, Trouble>> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        let limits = &self.options.limits;
        let addresses: Vec<SocketAddr> = match self.options.resolve.get(host) {
            Some(given) => given.iter().map(|&ip| SocketAddr::new(ip, port)).collect(),
            None => match timeout(limits.connect_timeout, lookup_host((host, port))).await {
                Ok(Ok(found)) => found.take(limits.addresses_max).collect(),
                _ => Vec::new(),
            },
        };
        let mut last = None;
        for address in addresses {
            let tls = (url.scheme() == "https").then(|| Arc::clone(&self.options.tls));
            let mut line = Line::new((address, host), tls, limits, limit_bytes.max(1));
            let ask = Ask::get(url, &self.options.user_agent, limit_bytes);
            let asked = line.ask(&ask).await;
            let refused = matches!(asked, Err(Trouble::Connect(_) | Trouble::NoRoute));
            last = Some(asked);
            if !refused {
                break;
            }
        }
        last
    }
}
