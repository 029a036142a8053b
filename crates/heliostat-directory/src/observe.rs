//! What probes saw: samples of one endpoint from one vantage, gathered in rounds.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::error::DirectoryError;
use crate::finding::{Certificate, Class, Finding, Receipt};
use crate::policy::RoundRules;
use crate::registry::EndpointId;
use crate::score::float;

/// Samples of one round: every endpoint of a full registry from four places.
const SAMPLES_MAX: usize = 40_000;

/// A place that probes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VantageId(pub String);

/// What one probe of one endpoint came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sample {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// From where.
    pub vantage: VantageId,
    /// Whether it answered as a mirror does.
    pub outcome: Outcome,
    /// The age of the oldest change that it lacks, proved by what is visible; `None` where nothing was proved.
    #[serde(default)]
    pub lag_seconds: Option<u64>,
    /// Pages and files of the signed snapshot that were asked for, and how many came.
    #[serde(default)]
    pub present: Count,
    /// Bodies that were hashed, and how many were right.
    #[serde(default)]
    pub intact: Count,
    /// Gates it does not pass.
    #[serde(default)]
    pub gates: BTreeSet<Gate>,
    /// Things that are wrong and keep nobody from using it.
    #[serde(default)]
    pub warnings: u32,
    /// Days until its certificate ends.
    #[serde(default)]
    pub certificate_days: Option<i64>,
    /// How much was looked at this time.
    #[serde(default)]
    pub class: Class,
    /// Until the first byte of a page came, where one came. No part of health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_milliseconds: Option<u32>,
    /// The serial that the mirror says it is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_claimed: Option<u64>,
    /// The newest serial up to which every change that was looked for is visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_proved: Option<u64>,
    /// What failed, each in a few words for people; at most eight, of at most 200 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// How fast the bytes of one file came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodput_bytes_per_second: Option<u64>,
    /// Bytes of all bodies that it sent for this sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_bytes: Option<u64>,
    /// Until when it asked not to be asked again, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_until: Option<i64>,
    /// The certificate that ends first, of all addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// The addresses that were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// What it says of its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// What there is to say, also what slower checks found the last time they looked; `warnings` counts those of them
    /// that are warnings, each once for all addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Whether an endpoint answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As a mirror does.
    Alive,
    /// Not, or with something else.
    Failed,
}

/// How many of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Those that were right.
    pub ok: u64,
    /// All of them.
    pub n: u64,
}

/// What a mirror must pass before any score counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// A certificate that clients accept.
    Tls,
    /// A host name of the operator's own (PEP 449).
    Names,
    /// No `Set-Cookie`, ever.
    Cookies,
    /// No redirect that leaves the mirror.
    Redirects,
    /// The same bytes for pip and uv as for everybody.
    UserAgents,
    /// Every byte as the notary signed it.
    Integrity,
    /// What was deleted or yanked upstream is so here.
    Deletions,
    /// Receipts that never go back nor contradict each other.
    Receipts,
}

impl Sample {
    /// A sample in which nothing but this was seen.
    pub const fn new(endpoint: EndpointId, vantage: VantageId, outcome: Outcome) -> Self {
        Self {
            endpoint,
            vantage,
            outcome,
            lag_seconds: None,
            present: Count { ok: 0, n: 0 },
            intact: Count { ok: 0, n: 0 },
            gates: BTreeSet::new(),
            warnings: 0,
            certificate_days: None,
            class: Class::Minutes,
            first_byte_milliseconds: None,
            serial_claimed: None,
            serial_proved: None,
            faults: Vec::new(),
            goodput_bytes_per_second: None,
            received_bytes: None,
            pause_until: None,
            certificate: None,
            addresses: Vec::new(),
            receipt: None,
            findings: Vec::new(),
        }
    }
}

impl Gate {
    /// Whether only people may let a mirror back that failed this: it was dishonest, or somebody acted in its name.
    pub const fn needs_people(self) -> bool {
        matches!(
            self,
            Self::Cookies | Self::Redirects | Self::UserAgents | Self::Integrity | Self::Receipts
        )
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "tls",
            Self::Names => "names",
            Self::Cookies => "cookies",
            Self::Redirects => "redirects",
            Self::UserAgents => "user-agents",
            Self::Integrity => "integrity",
            Self::Deletions => "deletions",
            Self::Receipts => "receipts",
        })
    }
}

impl Count {
    /// Both added up.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            ok: self.ok.saturating_add(other.ok),
            n: self.n.saturating_add(other.n),
        }
    }

    /// One taken from the other.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self {
            ok: self.ok.saturating_sub(other.ok),
            n: self.n.saturating_sub(other.n),
        }
    }

    /// Those that were wrong.
    pub const fn bad(self) -> u64 {
        self.n.saturating_sub(self.ok)
    }
}

/// Everything that was seen in one run of the prober.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// When, in seconds since 1970.
    pub at: i64,
    /// Whether the upstream and the control sites answered; where they did not, the fault is the vantage's.
    pub control: Outcome,
    /// One for each endpoint and vantage.
    pub samples: Vec<Sample>,
}

impl Round {
    /// Reads a history: one round as JSON on each line, the oldest first. `name` is what an error calls it.
    pub fn read_all(name: &str, text: &str) -> Result<Vec<Self>, DirectoryError> {
        let mut reader = HistoryReader::new(name);
        text.lines()
            .filter_map(|line| reader.take(line).transpose())
            .collect()
    }

    /// Why a round says nothing about mirrors, where that is so: when nearly all fail at once, the prober is ill.
    pub fn discarded(&self, rules: &RoundRules) -> Option<&'static str> {
        if self.control == Outcome::Failed {
            return Some("the reference or a control site failed, so the fault is the prober's");
        }
        let failed = self
            .samples
            .iter()
            .filter(|sample| sample.outcome == Outcome::Failed)
            .count();
        let share = float(failed as u64) / float(self.samples.len().max(1) as u64);
        (self.samples.len() >= rules.samples_min && share > rules.failed_share_max)
            .then_some("nearly all mirrors failed at once, so the fault is the prober's")
    }
}

/// Reads a history line by line, for one that is too long to be held.
#[derive(Debug)]
pub struct HistoryReader {
    name: String,
    lines: usize,
    last_at: Option<i64>,
}

impl HistoryReader {
    /// Begins; `name` is what an error calls the history.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            lines: 0,
            last_at: None,
        }
    }

    /// The round on the next line; nothing on an empty one.
    pub fn take(&mut self, line: &str) -> Result<Option<Round>, DirectoryError> {
        self.lines += 1;
        if line.trim().is_empty() {
            return Ok(None);
        }
        let refuse = |fault: String| DirectoryError::ReadHistory {
            name: self.name.clone(),
            line: self.lines,
            fault,
        };
        let round: Round = serde_json::from_str(line).map_err(|error| refuse(error.to_string()))?;
        if self.last_at.is_some_and(|last_at| last_at >= round.at) {
            return Err(refuse("is not later than the round before it".to_owned()));
        }
        if round.samples.len() > SAMPLES_MAX {
            return Err(refuse(format!("has more than {SAMPLES_MAX} samples")));
        }
        self.last_at = Some(round.at);
        Ok(Some(round))
    }
}

impl fmt::Display for VantageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_read_line_by_line_and_its_faults_have_a_place() {
        let line = |at: i64| {
            format!(
                r#"{{"at":{at},"control":"alive","samples":[{{"endpoint":"m","vantage":"a","outcome":"failed"}}]}}"#
            )
        };
        let good = format!("{}\n\n{}\n", line(1), line(2));
        let rounds = Round::read_all("history", &good).unwrap();
        assert_eq!(rounds.len(), 2);
        assert_eq!(rounds[1].samples[0].outcome, Outcome::Failed);
        for (text, place) in [
            (format!("{}\n{}\n", line(2), line(2)), 2),
            (format!("{}\n{{\n", line(2)), 2),
            (line(1).replace("vantage", "place"), 1),
        ] {
            match Round::read_all("history", &text) {
                Err(DirectoryError::ReadHistory { line, .. }) => assert_eq!(line, place),
                other => panic!("{other:?}"),
            }
        }
    }
}
