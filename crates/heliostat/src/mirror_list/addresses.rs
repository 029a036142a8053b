//! What the hosts of mirrors stand for, where a rule about ranges of addresses must be judged.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use heliostat_directory::MirrorList;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

/// Names that are looked up at once.
const LOOKUPS_MAX: usize = 16;
/// How long all of them together may take; a name that has not come by then is not known.
const LOOKUPS_FOR: Duration = Duration::from_secs(15);

/// Addresses by host.
#[derive(Debug, Default)]
pub(super) struct Addresses(BTreeMap<String, Vec<IpAddr>>);

impl Addresses {
    /// Looks up every name on a list.
    pub(super) async fn look_up(list: &MirrorList) -> Self {
        let endpoints = list.mirrors.iter().flat_map(|mirror| &mirror.endpoints);
        let bases: BTreeSet<&Url> = endpoints.map(|endpoint| &endpoint.base).collect();
        let until = Instant::now() + LOOKUPS_FOR;
        let looked_up = futures_util::stream::iter(bases).map(|base| async move {
            let addresses = timeout_at(until, addresses(base)).await;
            let host = base.host_str().unwrap_or_default().to_owned();
            (host, addresses.unwrap_or_default())
        });
        Self(looked_up.buffer_unordered(LOOKUPS_MAX).collect().await)
    }

    /// Those of the host of an address; none where they are not known.
    pub(super) fn of(&self, base: &Url) -> &[IpAddr] {
        let host = base.host_str().unwrap_or_default();
        self.0.get(host).map_or(&[], Vec::as_slice)
    }
}

async fn addresses(base: &Url) -> Vec<IpAddr> {
    match base.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain(name)) => {
            let port = base.port_or_known_default().unwrap_or_default();
            match tokio::net::lookup_host((name, port)).await {
                Ok(found) => found.map(|address| address.ip()).collect(),
                Err(error) => {
                    tracing::debug!(name, %error, "a listed mirror's name cannot be looked up");
                    Vec::new()
                }
            }
        }
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_and_addresses_are_looked_up_alike() {
        let list: MirrorList = serde_json::from_value(serde_json::json!({
            "schema": "heliostat.directory.mirrors/1", "policy-version": 1, "policy-sha256": "",
            "mirrors": [{
                "id": "campus", "operator": {"name": "Campus"}, "inception": "2026-10-01",
                "endpoints": [
                    {"id": "campus-name", "base": "https://localhost/"},
                    {"id": "campus-four", "base": "https://127.0.0.7:8443/"},
                    {"id": "campus-six", "base": "https://[2001:db8::7]/"},
                ],
            }],
        }))
        .unwrap();
        let addresses = Addresses::look_up(&list).await;
        let of = |at: usize| addresses.of(&list.mirrors[0].endpoints[at].base);
        assert!(!of(0).is_empty() && of(0).iter().all(IpAddr::is_loopback));
        assert_eq!(of(1), ["127.0.0.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(of(2), ["2001:db8::7".parse::<IpAddr>().unwrap()]);
        assert!(
            addresses
                .of(&"https://other.example/".parse().unwrap())
                .is_empty()
        );
    }
}
