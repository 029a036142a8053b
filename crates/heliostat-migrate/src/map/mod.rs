//! The map: which hosts are retired, and what stands in their place for each kind of use.
//!
//! A rule is found by (host, port, path prefix, kind): the longest prefix wins, then the rule that names the kind.
//! Owns the format of `migrate.toml` and the built-in map in it. Does not know where addresses stand.

mod decide;
mod file;
#[cfg(test)]
mod tests;

use jiff::civil::Date;
use serde::Serialize;
use url::Url;

use crate::kind::Kind;
use crate::retire::Timeline;

pub use decide::{Address, Decision, Login};

/// The map's limits.
#[derive(Debug, Clone, Copy)]
pub struct MapLimits {
    /// Entries of one map, built-in ones included.
    pub entries_max: usize,
    /// Hosts and patterns of one map.
    pub hosts_max: usize,
}

/// What every map is held to.
pub const MAP_LIMITS: MapLimits = MapLimits {
    entries_max: 10_000,
    hosts_max: 100_000,
};

/// The ports of an index when a map names none: those of http and https.
pub const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// Retired hosts with their rules, those of the user first.
#[derive(Debug, Clone)]
pub struct Map {
    entries: Vec<Retired>,
}

/// One retired service: hosts that share a fate.
#[derive(Debug, Clone, Serialize)]
pub struct Retired {
    /// What reports call it.
    pub name: String,
    /// Exact host names, in lower case.
    pub hosts: Vec<String>,
    /// `*.domain`: every host below the domain, not the domain.
    pub patterns: Vec<String>,
    /// The ports it answered on.
    pub ports: Vec<u16>,
    /// Since when.
    pub retired: Option<Date>,
    /// What became of it.
    pub why: String,
    /// Where that is written.
    pub source: Option<String>,
    /// The jurisdiction its users chose, as a country code.
    pub region: Option<String>,
    /// What stands in its place; empty when nothing does.
    pub rules: Vec<Rule>,
    /// The dates of its end, for the name's own server.
    pub timeline: Option<Timeline>,
    /// Whether it came with heliostat.
    pub builtin: bool,
}

/// What stands in the place of a part of a retired host.
#[derive(Debug, Clone, Serialize)]
pub struct Rule {
    /// The kinds it is for; empty for every kind.
    pub kinds: Vec<Kind>,
    /// The ports it is for; empty for every port of the entry.
    pub ports: Vec<u16>,
    /// The path it is for, by whole segments, without a slash at the end.
    pub prefix: String,
    /// Whether it is for the path itself only, not for what lies below.
    pub exact: bool,
    /// The replacement of everything up to and with the prefix; `None` for a rule about bare hosts.
    pub to: Option<Url>,
    /// The replacements of a bare host in a list of hosts.
    pub to_hosts: Vec<String>,
    /// What becomes of a login in the address.
    pub credentials: Login,
    /// The jurisdiction of the replacement.
    pub region: Option<String>,
    /// Whether somebody has said that the change of jurisdiction is meant.
    pub region_acknowledged: bool,
}

impl Map {
    /// The map that comes with heliostat.
    pub fn builtin() -> Self {
        Self {
            entries: file::builtin(),
        }
    }

    /// Every entry; of two with the same host the first holds.
    pub fn entries(&self) -> &[Retired] {
        &self.entries
    }

    /// The entry for a host in lower case without a dot at its end.
    pub fn find(&self, host: &str) -> Option<&Retired> {
        let exact = |entry: &&Retired| entry.hosts.iter().any(|name| name == host);
        let below = |entry: &&Retired| {
            entry
                .patterns
                .iter()
                .any(|pattern| matches_pattern(host, pattern))
        };
        self.entries
            .iter()
            .find(exact)
            .or_else(|| self.entries.iter().find(below))
    }
}

impl Retired {
    /// How its name is shown.
    pub fn first_host(&self) -> &str {
        self.hosts
            .iter()
            .chain(&self.patterns)
            .next()
            .map_or("", String::as_str)
    }
}

/// `*.domain` stands for at least one label more.
fn matches_pattern(host: &str, pattern: &str) -> bool {
    pattern.strip_prefix('*').is_some_and(|suffix| {
        host.strip_suffix(suffix)
            .is_some_and(|labels| !labels.is_empty())
    })
}
