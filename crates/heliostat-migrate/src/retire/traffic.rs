//! Who still comes to an old name: one visit a line in a log, rolled up by day, client and use, and whether the name
//! can go. Pure over lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::told::Told;

/// Clients that are not people's installers: browsers, and what says nothing of itself.
const NOT_REAL: [&str; 3] = ["browser", "none", "other"];

/// What no log of an old name can tell.
pub(super) const BLIND: &str = "clients that kept an older redirect, jobs that run once a month or less, images of \
                                disaster recovery";

/// Seconds of a day.
pub(super) const DAY_SECONDS: i64 = 86_400;

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathClass {
    /// Pages of an index.
    Simple,
    /// Files.
    Packages,
    /// Anything else.
    Other,
}

impl PathClass {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Packages => "packages",
            Self::Other => "other",
        }
    }

    /// The class of a path.
    pub fn of(path: &str) -> Self {
        if path.contains("/simple") {
            Self::Simple
        } else if path.starts_with("/packages")
            || matches!(path.rsplit('.').next(), Some("whl" | "gz" | "zip"))
        {
            Self::Packages
        } else {
            Self::Other
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// When, in seconds since 1970.
    pub at: i64,
    /// The name asked for.
    pub host: String,
    /// What for.
    pub class: PathClass,
    /// Product and version.
    pub client: String,
    /// Whether over TLS.
    pub encrypted: bool,
    /// The address, a salted hash of it, or nothing, by policy.
    pub address: String,
    /// What was answered.
    pub status: u16,
    /// What else the client told of itself.
    #[serde(flatten)]
    pub told: Told,
}

/// How much of an address is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressPolicy {
    /// All of it.
    Keep,
    /// A hash with this salt: the same client is seen to come again, and is not named.
    Hash(String),
    /// Nothing.
    Drop,
}

impl AddressPolicy {
    /// The visit as it is written down.
    pub fn applied(&self, mut visit: Visit) -> Visit {
        match self {
            Self::Keep => {}
            Self::Drop => visit.address.clear(),
            Self::Hash(salt) => {
                let digest = Sha256::digest(format!("{salt}\0{}", visit.address).as_bytes());
                visit.address = digest[..8].iter().fold(String::new(), |mut hex, byte| {
                    let _infallible = write!(hex, "{byte:02x}");
                    hex
                });
            }
        }
        visit
    }
}

/// The traffic of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Requests of real clients by day.
    pub days: BTreeMap<String, u64>,
    /// Requests by client, others than real ones included.
    pub clients: BTreeMap<String, u64>,
    /// Requests of real clients by the system they told of.
    pub systems: BTreeMap<String, u64>,
    /// Requests of real clients by the Python they told of.
    pub pythons: BTreeMap<String, u64>,
    /// Requests of real clients that a CI ran.
    pub from_ci: u64,
    /// Requests by use.
    pub classes: BTreeMap<PathClass, u64>,
    /// Requests in the clear.
    pub in_the_clear: u64,
    /// Different addresses of real clients.
    pub addresses: usize,
    /// The last request of a real client, in seconds since 1970.
    pub last_real: Option<i64>,
    /// The last request of a real client that was redirected, in seconds since 1970: one that retiring breaks.
    pub last_redirected: Option<i64>,
    /// The first line of the log about this host.
    pub first: Option<i64>,
}

/// A log rolled up by host, line by line.
#[derive(Debug, Default)]
pub struct RollUp {
    hosts: BTreeMap<String, Traffic>,
    addresses: BTreeMap<String, BTreeSet<String>>,
    unread: u64,
}

impl RollUp {
    /// Takes one line of the log; an empty one is none, one that is no visit is counted.
    pub fn add(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let Ok(visit) = serde_json::from_str::<Visit>(line) else {
            self.unread += 1;
            return;
        };
        let traffic = self.hosts.entry(visit.host.clone()).or_default();
        traffic.count(&visit);
        if is_real(&visit.client) && !visit.address.is_empty() {
            let seen = self.addresses.entry(visit.host).or_default();
            seen.insert(visit.address);
            traffic.addresses = seen.len();
        }
    }

    /// The traffic of each host, and how many lines were no visits.
    pub fn end(self) -> (BTreeMap<String, Traffic>, u64) {
        (self.hosts, self.unread)
    }
}

fn is_real(client: &str) -> bool {
    !NOT_REAL.contains(&client)
}

impl Traffic {
    fn count(&mut self, visit: &Visit) {
        self.first = Some(self.first.map_or(visit.at, |first| first.min(visit.at)));
        *self.clients.entry(visit.client.clone()).or_default() += 1;
        *self.classes.entry(visit.class).or_default() += 1;
        self.in_the_clear += u64::from(!visit.encrypted);
        if !is_real(&visit.client) {
            return;
        }
        let later = |last: Option<i64>| Some(last.map_or(visit.at, |last| last.max(visit.at)));
        self.last_real = later(self.last_real);
        if matches!(visit.status, 301 | 308) {
            self.last_redirected = later(self.last_redirected);
        }
        *self.days.entry(day(visit.at)).or_default() += 1;
        for (counts, text) in [
            (&mut self.systems, &visit.told.system),
            (&mut self.pythons, &visit.told.python),
        ] {
            if !text.is_empty() {
                *counts.entry(text.clone()).or_default() += 1;
            }
        }
        self.from_ci += u64::from(visit.told.ci == Some(true));
    }

    /// Whether no real client came for so many days before `now`, and the log is as old as that.
    pub fn is_clear(&self, now: i64, days: i64) -> bool {
        let since = now - days * DAY_SECONDS;
        self.last_real.is_none_or(|last| last < since)
            && self.first.is_some_and(|first| first < since)
    }
}

/// The report for people.
pub fn traffic_text(hosts: &BTreeMap<String, Traffic>, now: i64, days: i64) -> String {
    let mut out = String::new();
    for (host, traffic) in hosts {
        let verdict = if traffic.is_clear(now, days) {
            format!("clear: no installer for {days} days")
        } else {
            let last = traffic.last_real.map_or_else(
                || "the log is not old enough".to_owned(),
                |last| format!("an installer last came on {}", day(last)),
            );
            format!("not clear: {last}")
        };
        let _infallible = writeln!(out, "{host}: {verdict}");
        for (day, count) in traffic.days.iter().rev().take(30) {
            let _infallible = writeln!(out, "  {day} {count}");
        }
        for (name, count) in traffic.clients.iter().chain(&traffic.systems) {
            let _infallible = writeln!(out, "  {name}: {count}");
        }
        let _infallible = writeln!(
            out,
            "  different addresses: {}; requests in the clear: {}; of installers in CI: {}",
            traffic.addresses, traffic.in_the_clear, traffic.from_ci
        );
    }
    let _infallible = writeln!(out, "what this cannot see: {BLIND}");
    out
}

/// The day of a moment in seconds since 1970, in UTC.
pub fn day(at: i64) -> String {
    Timestamp::from_second(at).map_or_else(
        |_| "?".to_owned(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(at: i64, client: &str) -> Visit {
        Visit {
            at,
            host: "old.example".to_owned(),
            class: PathClass::of("/simple/x/"),
            client: client.to_owned(),
            encrypted: false,
            address: "192.0.2.1".to_owned(),
            status: 301,
            told: Told::default(),
        }
    }

    #[test]
    fn a_name_is_clear_when_no_installer_came_for_long() {
        let lines: String = [visit(0, "pip/26.3"), visit(40 * DAY_SECONDS, "browser")]
            .iter()
            .map(|visit| serde_json::to_string(visit).unwrap() + "\n")
            .collect();
        let mut roll_up = RollUp::default();
        (lines + "{torn").lines().for_each(|line| roll_up.add(line));
        let (hosts, unread) = roll_up.end();
        let traffic = &hosts["old.example"];
        assert_eq!((unread, traffic.addresses, traffic.in_the_clear), (1, 1, 2));
        assert!(traffic.is_clear(41 * DAY_SECONDS, 30));
        assert!(!traffic.is_clear(20 * DAY_SECONDS, 30));
        assert!(!Traffic::default().is_clear(41 * DAY_SECONDS, 30));
        assert!(
            traffic_text(&hosts, 41 * DAY_SECONDS, 30).contains("clear: no installer for 30 days")
        );
    }

    #[test]
    fn an_address_is_kept_as_the_policy_says() {
        assert_eq!(AddressPolicy::Drop.applied(visit(0, "a")).address, "");
        let hashed = |salt: &str| {
            AddressPolicy::Hash(salt.to_owned())
                .applied(visit(0, "a"))
                .address
        };
        assert_eq!(hashed("a"), hashed("a"));
        assert_ne!(hashed("a"), hashed("b"));
        assert_eq!(hashed("a").len(), 16);
    }
}
