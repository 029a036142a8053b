//! What the map says of one address. Pure: an address in, a decision out.

use serde::{Deserialize, Serialize};

use super::{Map, Retired, Rule};
use crate::kind::Kind;

/// What becomes of a login that stands in an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Login {
    /// It is left out: the new host has not been told that it may have it.
    #[default]
    Drop,
    /// It is for the new host too.
    Keep,
}

/// One address as the map sees it.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    /// The host, in lower case, without a dot at its end.
    pub host: &'a str,
    /// The port, the scheme's when none stands there; `None` when the scheme is not known.
    pub port: Option<u16>,
    /// The path with its slash, unescaped from the file's quoting; empty when there is none.
    pub path: &'a str,
    /// What it is there for.
    pub kind: Kind,
}

/// What the map says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Everything up to `path_length` bytes of the path is replaced by `to`.
    Rewrite {
        /// The new beginning.
        to: String,
        /// How many bytes of the path it stands for.
        path_length: usize,
        /// What becomes of a login.
        login: Login,
    },
    /// A bare host is replaced by these.
    Hosts(Vec<String>),
    /// The setting goes.
    Remove,
    /// A person has to decide.
    Report {
        /// Why.
        reason: String,
    },
}

impl Map {
    /// Decides about one address; `None` when its host or port is not retired.
    pub fn decide(&self, address: &Address<'_>) -> Option<(&Retired, Decision)> {
        let entry = self.find(address.host)?;
        if address
            .port
            .is_some_and(|port| !entry.ports.contains(&port))
        {
            return None;
        }
        Some((entry, entry.decide(address)))
    }
}

impl Retired {
    fn decide(&self, address: &Address<'_>) -> Decision {
        match address.kind {
            Kind::TrustedHost => return Decision::Remove,
            Kind::DeadSetting => {
                return report("no current tool reads this setting: delete it");
            }
            Kind::Credential => {
                return report(
                    "a login for the retired host: add one for the new host where it needs one, then delete this",
                );
            }
            Kind::Host => {
                return report("a host alone: what it becomes depends on where it is used");
            }
            _ => {}
        }
        let rules = self.rules.iter().filter(|rule| rule.covers(address));
        let Some(rule) = rules.max_by_key(|rule| {
            (
                rule.prefix.len(),
                rule.exact,
                !rule.kinds.is_empty(),
                !rule.ports.is_empty(),
            )
        }) else {
            return report(&self.no_rule());
        };
        if let (Some(old), new) = (&self.region, &rule.region)
            && new.as_ref() != Some(old)
            && !rule.region_acknowledged
        {
            return report(&format!(
                "leaves the jurisdiction {old} for {}: say `region_acknowledged = true` in the rule when that is meant",
                new.as_deref().unwrap_or("an unnamed one")
            ));
        }
        if address.kind == Kind::AllowedHost {
            return if rule.to_hosts.is_empty() {
                report("the map has no hosts to allow in its place")
            } else {
                Decision::Hosts(rule.to_hosts.clone())
            };
        }
        match &rule.to {
            Some(to) => rule.rewrite(to.as_str(), address.path),
            None => report(&self.no_rule()),
        }
    }

    fn no_rule(&self) -> String {
        if self.rules.is_empty() {
            format!("the map names nothing in its place: {}", self.why)
        } else {
            "the map has no rule for this path and use".to_owned()
        }
    }
}

impl Rule {
    fn covers(&self, address: &Address<'_>) -> bool {
        let kind = if self.kinds.is_empty() {
            address.kind != Kind::AllowedHost
        } else {
            self.kinds.contains(&address.kind)
        };
        if address.kind == Kind::AllowedHost {
            return kind;
        }
        let port =
            self.ports.is_empty() || address.port.is_none_or(|port| self.ports.contains(&port));
        let below = path_below(address.path, &self.prefix);
        let depth = below.is_some_and(|rest| !self.exact || rest.is_empty() || rest == "/");
        kind && port && depth && self.to.is_some()
    }

    /// Joins target and what follows the prefix, with one slash between them.
    fn rewrite(&self, to: &str, path: &str) -> Decision {
        let rest = &path[self.prefix.len().min(path.len())..];
        let (to, eaten) = if self.exact {
            (to, rest.len())
        } else if rest.starts_with('/') {
            (to.trim_end_matches('/'), 0)
        } else {
            (to, 0)
        };
        Decision::Rewrite {
            to: to.to_owned(),
            path_length: self.prefix.len().min(path.len()) + eaten,
            login: self.credentials,
        }
    }
}

/// What follows `prefix` in `path`, when the prefix ends where a segment does.
fn path_below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
}

fn report(reason: &str) -> Decision {
    Decision::Report {
        reason: reason.to_owned(),
    }
}
