//! What a caller may set: how a mirror is reached, who we say we are, and every limit.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use heliostat_directory::{Class, Coverage, Endpoint, EndpointId, Layout, Mirror, VantageId};
use url::Url;

/// How the prober looks.
#[derive(Clone)]
pub struct ProberOptions {
    /// From where.
    pub vantage: VantageId,
    /// How much.
    pub class: Class,
    /// Whom to trust with TLS. What it says about ALPN is not used.
    pub tls: Arc<rustls::ClientConfig>,
    /// Addresses of hosts that are not asked the resolver for.
    pub resolve: BTreeMap<String, Vec<IpAddr>>,
    /// The directory's own domain, under which no mirror may stand.
    pub own_domain: Option<String>,
    /// Who we are, where we do not look as an installer does.
    pub user_agent: String,
    /// The port that plain http is looked for at. 80.
    pub plain_port: u16,
    /// What samples are drawn by; the same seed draws the same samples.
    pub seed: u64,
    /// What one endpoint may cost in a day, in bytes; one that has cost so much is not looked at.
    pub day_bytes_max: u64,
    /// What endpoints have cost in the last day.
    pub spent_bytes: BTreeMap<EndpointId, u64>,
    /// Everything that bounds what a mirror may do to us, and we to it.
    pub limits: Limits,
}

/// Every number that bounds a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Endpoints looked at at once; each is asked over one connection at a time. 32.
    pub endpoints_at_once: usize,
    /// Addresses of one name that are looked at. 8.
    pub addresses_max: usize,
    /// Time to connect, TLS included. 10 s.
    pub connect_timeout: Duration,
    /// Time for one request, its body included. 20 s.
    pub request_timeout: Duration,
    /// Time for one address of one endpoint. 5 minutes.
    pub address_timeout: Duration,
    /// The largest page, in bytes as sent and again after decompression. 4 MB.
    pub page_bytes_max: usize,
    /// The largest file that is fetched whole. 256 KB.
    pub file_bytes_max: usize,
    /// What one address of one endpoint may cost in one round, by class. With the usual cadences these come to less
    /// than 50 MB a day: 96 KB every five minutes, 768 KB every hour, 4 MB every day.
    pub budget_bytes: [usize; 3],
    /// Redirects followed for one request. 5.
    pub redirects_max: usize,
    /// Newest changes looked for. 8.
    pub changes: usize,
    /// How far back the oldest missing change is looked for, in projects. 4096.
    pub changes_back_max: usize,
    /// Pages sampled every hour. 32.
    pub pages: usize,
    /// Files sampled every hour. 4.
    pub files: usize,
    /// Files that upstream took away which are asked for every hour. 4.
    pub withdrawn: usize,
    /// Remembered projects whose pages are asked the reference for again in one round, because they changed. 32.
    pub remembered: usize,
    /// The largest body kept as evidence. 256 KB.
    pub evidence_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            endpoints_at_once: 32,
            addresses_max: 8,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(20),
            address_timeout: Duration::from_mins(5),
            page_bytes_max: 4_000_000,
            file_bytes_max: 256_000,
            budget_bytes: [96_000, 768_000, 4_000_000],
            redirects_max: 5,
            changes: 8,
            changes_back_max: 4096,
            pages: 32,
            files: 4,
            withdrawn: 4,
            remembered: 32,
            evidence_bytes_max: 256_000,
        }
    }
}

/// One endpoint that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name on the list.
    pub endpoint: EndpointId,
    /// The tree's root.
    pub base: Url,
    /// The Simple API's root.
    pub index: Url,
    /// How the tree is laid out.
    pub layout: Layout,
    /// What it means to hold.
    pub coverage: Coverage,
    /// Every host that the mirror declares; redirects stay among them.
    pub hosts: Vec<String>,
    /// The key that it signs its receipts with, where the list has it, in hex.
    pub receipt_key: Option<String>,
}

impl Target {
    /// What a mirror's entry says of one of its endpoints.
    pub fn of(mirror: &Mirror, endpoint: &Endpoint) -> Self {
        let hosts = mirror
            .endpoints
            .iter()
            .filter_map(|one| one.base.host_str());
        Self {
            endpoint: endpoint.id.clone(),
            base: endpoint.base.clone(),
            // An entry is refused whose root of the Simple API is no folder below the base.
            index: (endpoint.base.join(&endpoint.simple)).unwrap_or_else(|_| endpoint.base.clone()),
            layout: endpoint.layout,
            coverage: endpoint.coverage,
            hosts: hosts.map(str::to_owned).collect(),
            receipt_key: endpoint.receipt_key.clone(),
        }
    }
}

impl Limits {
    /// What one address of one endpoint may cost in a round of a class.
    pub const fn budget_bytes_of(&self, class: Class) -> usize {
        let [minutes, hourly, daily] = self.budget_bytes;
        match class {
            Class::Minutes => minutes,
            Class::Hourly => hourly,
            Class::Daily => daily,
        }
    }
}

impl ProberOptions {
    /// What an endpoint may still cost today, in bytes.
    pub fn left_bytes(&self, endpoint: &EndpointId) -> u64 {
        let spent = self.spent_bytes.get(endpoint).copied().unwrap_or(0);
        self.day_bytes_max.saturating_sub(spent)
    }
}

impl fmt::Debug for ProberOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProberOptions")
            .field("vantage", &self.vantage)
            .field("class", &self.class)
            .field("resolve", &self.resolve)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
