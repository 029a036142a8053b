//! One round: every endpoint that is wanted, many at once, within bounds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use heliostat_directory::{EndpointId, Outcome, Round, Sample};
use http::StatusCode;
use url::Url;

use crate::evidence::Evidence;
use crate::line::{Ask, Line};
use crate::look::look;
use crate::memory::Memory;
use crate::names::{addresses_of, is_wildcard};
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

    /// Looks at every target but those that asked for a pause that is not over, or have cost enough today. `before` is the last sample that this vantage took of each, `control` whether the sites
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
        let affordable = |target: &&Target| self.options.left_bytes(&target.endpoint) > 0;
        let wanted = targets.iter().filter(affordable);
        let wanted = wanted.filter(|target| !paused(target));
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
    /// The first of these sites that is no control, and why: it does not answer, or any name beside it would. A site
    /// that answers an error is there.
    pub async fn failed_control<'u>(&self, sites: &'u [Url]) -> Option<(&'u Url, &'static str)> {
        for site in sites {
            if !self.answers(site).await {
                return Some((site, "does not answer"));
            }
            let host = site.host_str().unwrap_or_default();
            let port = site.port_or_known_default().unwrap_or(443);
            if is_wildcard((host, port), &self.options, self.options.seed).await {
                let text = "proves nothing, for any name beside it leads to the same address, as where a network \
                            answers for all names";
                return Some((site, text));
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
        let found = addresses_of((host, port), &self.options).await;
        let addresses = found.unwrap_or_default().into_iter();
        let addresses = addresses.map(|ip| SocketAddr::new(ip, port));
        let mut last = None;
        for address in addresses.take(limits.addresses_max) {
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
