//! `heliostat migrate map`: check, try and show the map of retired hosts.

use std::fmt::Write as _;

use heliostat_migrate::Kind;
use heliostat_migrate::map::{Address, Decision, Map};
use url::Url;

use super::{UsageError, online, read_map};
use crate::cli::MigrateMapCommand;
use crate::outcome::Outcome;
use crate::render::plural;
use crate::reporter;

/// The uses that `map test` tells of.
const USES: [Kind; 9] = [
    Kind::Index,
    Kind::ExtraIndex,
    Kind::FindLinks,
    Kind::TrustedHost,
    Kind::Upload,
    Kind::Search,
    Kind::DirectUrl,
    Kind::LockSource,
    Kind::LockArtifact,
];

pub(super) fn run(command: &MigrateMapCommand) -> anyhow::Result<Outcome> {
    match command {
        MigrateMapCommand::Check { map, online } => {
            let map = read_map(map.map.as_deref())?;
            let own = map.entries().iter().filter(|entry| !entry.builtin).count();
            reporter::talk(&format!(
                "the map is right: {}, {own} of them yours",
                plural(map.entries().len() as u64, "entry")
            ));
            if *online {
                return online::check(&map);
            }
            Ok(Outcome::Done)
        }
        MigrateMapCommand::Test { url, map } => test(&read_map(map.map.as_deref())?, url),
        MigrateMapCommand::Show { map, json } => {
            let map = read_map(map.map.as_deref())?;
            if *json {
                reporter::json_line(&map.entries());
            } else {
                reporter::print(&shown(&map));
            }
            Ok(Outcome::Done)
        }
    }
}

fn test(map: &Map, text: &str) -> anyhow::Result<Outcome> {
    let url: Url = text
        .parse()
        .map_err(|error| UsageError(format!("`{text}` is no URL: {error}")))?;
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let mut out = String::new();
    let mut retired = false;
    for kind in USES {
        // A URL library writes `/` where there is no path; the map tells the two apart no more than installers do.
        let Some((entry, decision)) = map.decide(&Address {
            host,
            port: url.port_or_known_default(),
            path: url.path(),
            kind,
        }) else {
            continue;
        };
        if !retired {
            retired = true;
            let _infallible = writeln!(out, "{host}: {} ({})", entry.name, entry.why);
        }
        let _infallible = writeln!(
            out,
            "  {:<14} {}",
            kind.word(),
            words(&decision, url.path())
        );
    }
    if retired {
        reporter::print(&out);
        Ok(Outcome::Findings)
    } else {
        reporter::print(&format!("{host}: not retired\n"));
        Ok(Outcome::Done)
    }
}

fn words(decision: &Decision, path: &str) -> String {
    match decision {
        Decision::Rewrite {
            to, path_length, ..
        } => format!("{to}{}", &path[*path_length..]),
        Decision::Hosts(hosts) => hosts.join(" "),
        Decision::Remove => "(removed)".to_owned(),
        Decision::Report { reason } => format!("by hand: {reason}"),
    }
}

fn shown(map: &Map) -> String {
    let mut out = String::new();
    for entry in map.entries() {
        let since = entry
            .retired
            .map_or_else(|| "date not known".to_owned(), |date| date.to_string());
        let _infallible = writeln!(
            out,
            "{} ({since}{}): {}",
            entry.name,
            if entry.builtin { "" } else { ", yours" },
            entry.why
        );
        let hosts: Vec<&str> = entry
            .hosts
            .iter()
            .chain(&entry.patterns)
            .map(String::as_str)
            .collect();
        let _infallible = writeln!(out, "  hosts: {}", hosts.join(" "));
        if let Some(source) = &entry.source {
            let _infallible = writeln!(out, "  source: {source}");
        }
        for rule in &entry.rules {
            let kinds: Vec<&str> = rule.kinds.iter().map(|kind| kind.word()).collect();
            let kinds = if kinds.is_empty() {
                "any use".to_owned()
            } else {
                kinds.join(", ")
            };
            let to = rule
                .to
                .as_ref()
                .map_or_else(|| rule.to_hosts.join(" "), Url::to_string);
            let prefix = if rule.prefix.is_empty() {
                "/"
            } else {
                &rule.prefix
            };
            let only = if rule.exact { " only" } else { "" };
            let _infallible = writeln!(out, "  {prefix}{only} [{kinds}] -> {to}");
        }
    }
    out
}
