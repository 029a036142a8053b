//! The format of `migrate.toml`, read once into [`Map`].

use jiff::civil::Date;
use serde::Deserialize;
use url::Url;

use super::{Address, DEFAULT_PORTS, Decision, Login, MAP_LIMITS, Map, Retired, Rule};
use crate::error::MigrateError;
use crate::kind::Kind;
use crate::retire::Timeline;

/// The map that comes with heliostat, in the format of a user's.
const BUILTIN: &str = include_str!("builtin.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    /// Whether the built-in map counts too.
    #[serde(default = "yes")]
    builtin: bool,
    #[serde(default)]
    retired: Vec<EntryText>,
}

const fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryText {
    name: Option<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    patterns: Vec<String>,
    #[serde(default)]
    ports: Vec<u16>,
    retired: Option<Date>,
    #[serde(default)]
    why: String,
    source: Option<String>,
    region: Option<String>,
    /// The rules of this other entry hold here too.
    like: Option<String>,
    timeline: Option<Timeline>,
    #[serde(default)]
    rule: Vec<RuleText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    #[serde(default)]
    kinds: Vec<Kind>,
    #[serde(default)]
    ports: Vec<u16>,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    exact: bool,
    to: Option<String>,
    #[serde(default)]
    to_hosts: Vec<String>,
    #[serde(default)]
    credentials: Login,
    region: Option<String>,
    #[serde(default)]
    region_acknowledged: bool,
}

impl Map {
    /// Reads a user's map: `name` is for errors, `text` the file. The built-in map's entries follow unless it says
    /// `builtin = false`.
    pub fn parse(name: &str, text: &str) -> Result<Self, MigrateError> {
        let file: FileText = toml::from_str(text).map_err(|source| MigrateError::ReadMap {
            name: name.to_owned(),
            source: Box::new(source),
        })?;
        let mut entries = judge(name, file.retired)?;
        if file.builtin {
            entries.extend(builtin());
        }
        let hosts: usize = entries
            .iter()
            .map(|entry| entry.hosts.len() + entry.patterns.len())
            .sum();
        if entries.len() > MAP_LIMITS.entries_max || hosts > MAP_LIMITS.hosts_max {
            return Err(MigrateError::JudgeMap {
                name: name.to_owned(),
                entry: "(all)".to_owned(),
                fault: format!(
                    "{} entries with {hosts} hosts; at most {} and {} are taken",
                    entries.len(),
                    MAP_LIMITS.entries_max,
                    MAP_LIMITS.hosts_max
                ),
            });
        }
        let map = Self { entries };
        match map.circle() {
            Some((entry, fault)) => Err(MigrateError::JudgeMap {
                name: name.to_owned(),
                entry,
                fault,
            }),
            None => Ok(map),
        }
    }

    /// A rule of the user's that leads to an address which the map moves too: no rewrite would ever be the last.
    fn circle(&self) -> Option<(String, String)> {
        let own = self.entries.iter().filter(|entry| !entry.builtin);
        own.flat_map(|entry| entry.rules.iter().map(move |rule| (entry, rule)))
            .find_map(|(entry, rule)| {
                let to = rule.to.as_ref()?;
                let (next, decision) = self.decide(&Address {
                    host: to.host_str()?,
                    port: to.port_or_known_default(),
                    path: to.path(),
                    kind: rule.kinds.first().copied().unwrap_or(Kind::Index),
                })?;
                matches!(decision, Decision::Rewrite { .. }).then(|| {
                    let fault = format!(
                        "`to = \"{to}\"` is moved by the map too, by the entry `{}`: write where that leads",
                        next.name
                    );
                    (entry.name.clone(), fault)
                })
            })
    }
}

/// The entries that come with heliostat; a test holds that they can be read.
pub(super) fn builtin() -> Vec<Retired> {
    let entries = toml::from_str::<FileText>(BUILTIN)
        .ok()
        .and_then(|file| judge("built in", file.retired).ok());
    let mut entries = entries.unwrap_or_default();
    for entry in &mut entries {
        entry.builtin = true;
    }
    entries
}

fn judge(name: &str, texts: Vec<EntryText>) -> Result<Vec<Retired>, MigrateError> {
    let mut entries = Vec::with_capacity(texts.len());
    let mut likes = Vec::new();
    for text in texts {
        let entry = text
            .name
            .clone()
            .or_else(|| text.hosts.first().cloned())
            .unwrap_or_else(|| "(without a name)".to_owned());
        let like = text.like.clone();
        let read = judge_entry(&entry, text).map_err(|fault| MigrateError::JudgeMap {
            name: name.to_owned(),
            entry: entry.clone(),
            fault,
        })?;
        entries.push(read);
        likes.push(like);
    }
    for (index, like) in likes.into_iter().enumerate() {
        let Some(like) = like else { continue };
        let Some(other) = entries.iter().find(|other| other.name == like) else {
            return Err(MigrateError::JudgeMap {
                name: name.to_owned(),
                entry: entries[index].name.clone(),
                fault: format!("`like = \"{like}\"` names no entry of this map"),
            });
        };
        let rules = other.rules.clone();
        entries[index].rules.extend(rules);
    }
    Ok(entries)
}

fn judge_entry(name: &str, text: EntryText) -> Result<Retired, String> {
    if text.hosts.is_empty() && text.patterns.is_empty() {
        return Err("names no host: write `hosts = [\"old.example\"]`".to_owned());
    }
    let hosts = text
        .hosts
        .iter()
        .map(|host| judge_host(host))
        .collect::<Result<_, _>>()?;
    let patterns = text
        .patterns
        .iter()
        .map(|pattern| match pattern.strip_prefix("*.") {
            Some(domain) => judge_host(domain).map(|domain| format!("*.{domain}")),
            None => Err(format!(
                "`{pattern}` is no pattern: `*.old.example` is for every host below old.example"
            )),
        })
        .collect::<Result<_, _>>()?;
    if let Some(fault) = text.timeline.as_ref().and_then(Timeline::fault) {
        return Err(fault);
    }
    let region = text.region;
    let rules = text
        .rule
        .into_iter()
        .map(judge_rule)
        .collect::<Result<_, _>>()?;
    Ok(Retired {
        name: name.to_owned(),
        hosts,
        patterns,
        ports: if text.ports.is_empty() {
            DEFAULT_PORTS.to_vec()
        } else {
            text.ports
        },
        retired: text.retired,
        why: text.why,
        source: text.source,
        region,
        rules,
        timeline: text.timeline,
        builtin: false,
    })
}

/// A host as it is compared: a name, also of one label as machines of a company's own network have, or an address, in
/// lower case.
fn judge_host(host: &str) -> Result<String, String> {
    let lower = host.trim_end_matches('.').to_ascii_lowercase();
    let fine = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if lower.len() <= 253 && lower.split('.').all(fine) {
        Ok(lower)
    } else if host.starts_with("*.") {
        Err(format!(
            "`{host}` stands for many hosts: write it under `patterns`"
        ))
    } else {
        Err(format!(
            "`{host}` is no host name: write it without scheme, port and path, international names in their `xn--` form"
        ))
    }
}

fn judge_rule(text: RuleText) -> Result<Rule, String> {
    if text.to.is_none() && text.to_hosts.is_empty() {
        return Err(
            "a rule without `to`: write where the prefix is now, or leave the rule out".to_owned(),
        );
    }
    let to = text.to.as_deref().map(judge_target).transpose()?;
    let prefix = text.prefix.trim_end_matches('/').to_owned();
    if !prefix.is_empty() && !prefix.starts_with('/') {
        return Err(format!("`prefix = \"{prefix}\"` begins with no slash"));
    }
    if prefix.contains(['?', '#', '%', '\\']) || prefix.contains("//") {
        return Err(format!("`prefix = \"{prefix}\"` is no plain path"));
    }
    Ok(Rule {
        kinds: text.kinds,
        ports: text.ports,
        prefix,
        exact: text.exact,
        to,
        to_hosts: text
            .to_hosts
            .iter()
            .map(|host| judge_host(host))
            .collect::<Result<_, _>>()?,
        credentials: text.credentials,
        region: text.region,
        region_acknowledged: text.region_acknowledged,
    })
}

/// A target is https, or http on this machine only, and has nothing that a path could not follow.
fn judge_target(text: &str) -> Result<Url, String> {
    let url: Url = text
        .parse()
        .map_err(|error| format!("`to = \"{text}\"` is no URL: {error}"))?;
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err(format!(
            "`to = \"{text}\"`: nothing is moved to plain http; write an https address"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("`to` with a login in it: keep logins in netrc or a keyring".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`to = \"{text}\"` has a query or fragment"));
    }
    Ok(url)
}
