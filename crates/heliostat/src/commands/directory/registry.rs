//! `heliostat directory remove`, `show`, `import` and `export`: who is on the list.

use std::fmt::Write as _;

use anyhow::Context as _;
use heliostat_directory::{
    Coverage, Endpoint, EndpointId, Imported, ListForm, Mirror, MirrorId, Registry, Round, Sample,
};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::history;
use crate::cli::{
    DirectoryExportArgs, DirectoryImportArgs, DirectoryRemoveArgs, DirectoryShowArgs, ExportWord,
    RegistryArgs,
};
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

/// Between a notice and a removal.
const NOTICE_HOURS: i64 = 14 * 24;

/// Writes into an entry when the mirror leaves. Everything else in the file stays as it is.
pub(super) fn remove(args: &DirectoryRemoveArgs) -> anyhow::Result<Outcome> {
    let (_, registry) = super::read(&args.place)?;
    let mirror = mirror(&registry, &args.mirror)?;
    if let Some(retires) = &mirror.retires {
        return Err(UsageError(format!(
            "`{}` leaves the list at {} already; change `retires` in its file",
            mirror.id, retires.at
        ))
        .into());
    }
    let notice = if args.now { 0 } else { NOTICE_HOURS };
    let at = Timestamp::from_second(wire::clock().now())? + SignedDuration::from_hours(notice);
    let reason = toml::Value::String(args.reason.clone());
    let line = format!("retires = {{ at = \"{at}\", reason = {reason} }}\n");
    let path = super::entry_path(&args.place.registry, &mirror.id);
    let text = super::read_text(&path)?;
    let text = with_line(&text, &line);
    write(&args.place, &registry, (&mirror.id, &text))?;
    reporter::talk(&format!(
        "`{}` leaves the list at {}; commit `{}`",
        mirror.id,
        render::moment(at.as_second()),
        path.display()
    ));
    Ok(Outcome::Done)
}

/// An entry's text with one more line before its first table: a key after that would be that table's.
pub(super) fn with_line(text: &str, line: &str) -> String {
    let before = text
        .lines()
        .take_while(|line| !line.trim_start().starts_with('['))
        .map(|line| line.len() + 1)
        .sum::<usize>()
        .min(text.len());
    let (top, rest) = text.split_at(before);
    format!("{}\n{line}\n{rest}", top.trim_end_matches('\n'))
}

/// Puts an entry's text in its place, if the list is right with it.
pub(super) fn write(
    place: &RegistryArgs,
    registry: &Registry,
    (id, text): (&MirrorId, &str),
) -> anyhow::Result<()> {
    let others = registry.mirrors().filter(|one| one.id != *id);
    check(others, (id, text))?;
    history::put(&super::entry_path(&place.registry, id), text.as_bytes())
}

/// Whether the list is right with this text as an entry.
fn check<'m>(
    others: impl Iterator<Item = &'m Mirror>,
    (id, text): (&MirrorId, &str),
) -> anyhow::Result<()> {
    let mut texts = vec![(format!("{id}.toml"), text.to_owned())];
    for one in others {
        let text = toml::to_string(one).context("cannot write an entry as TOML")?;
        texts.push((format!("{}.toml", one.id), text));
    }
    let texts = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    Registry::read(texts, None)?;
    Ok(())
}

pub(super) fn mirror<'r>(registry: &'r Registry, id: &str) -> anyhow::Result<&'r Mirror> {
    let found = registry.mirrors().find(|mirror| {
        mirror.id.as_str() == id || mirror.endpoints.iter().any(|one| one.id.as_str() == id)
    });
    found.ok_or_else(|| {
        UsageError(format!(
            "no mirror and no endpoint of the list is called `{id}`; `heliostat directory list` has them"
        ))
        .into()
    })
}

/// Everything that is known of one mirror: its entry, how it stands, what was seen last.
pub(super) fn show(args: &DirectoryShowArgs) -> anyhow::Result<Outcome> {
    let (policy, registry) = super::read(&args.place)?;
    let mirror = mirror(&registry, &args.mirror)?;
    let list = &args.place.registry;
    let mut rounds = history::recent(list, wire::clock().now())?;
    let ours = |id: &EndpointId| mirror.endpoints.iter().any(|one| one.id == *id);
    let replayed = super::replay_own(list, &registry, &policy)?;
    let seen = last_of_vantages(&mut rounds, ours);
    if args.json {
        let standings: Vec<_> = replayed
            .standings
            .iter()
            .filter(|(id, _)| ours(id))
            .map(|(id, standing)| {
                let health = replayed.health.get(id).map(|health| health.value);
                json!({"endpoint": id, "state": standing.state, "since": standing.since,
                    "rule": standing.rule, "health": health})
            })
            .collect();
        reporter::json_line(&json!({"mirror": mirror, "standings": standings, "samples": seen}));
        return Ok(Outcome::Done);
    }
    let mut text = toml::to_string(mirror).context("cannot write an entry as TOML")?;
    text.push('\n');
    for (id, standing) in replayed.standings.iter().filter(|(id, _)| ours(id)) {
        let _infallible = writeln!(
            text,
            "# {id} is {} since {}: {}",
            standing.state,
            render::moment(standing.since),
            standing.rule
        );
    }
    for (at, sample) in &seen {
        let row = super::probe::row(sample);
        let _infallible = writeln!(
            text,
            "# seen from {} at {}:",
            sample.vantage,
            render::moment(*at)
        );
        for line in row.lines() {
            let _infallible = writeln!(text, "# {line}");
        }
    }
    reporter::print(&text);
    Ok(Outcome::Done)
}

/// The last sample of each endpoint and vantage, with its time.
fn last_of_vantages(
    rounds: &mut Vec<Round>,
    ours: impl Fn(&EndpointId) -> bool,
) -> Vec<(i64, Sample)> {
    let mut last: std::collections::BTreeMap<_, (i64, Sample)> = std::collections::BTreeMap::new();
    for round in rounds.drain(..) {
        for sample in round.samples.into_iter().filter(|one| ours(&one.endpoint)) {
            let key = (sample.endpoint.clone(), sample.vantage.clone());
            last.insert(key, (round.at, sample));
        }
    }
    last.into_values().collect()
}

/// Writes an entry for each mirror of another list that is not here yet; each is a candidate.
pub(super) fn import(args: &DirectoryImportArgs) -> anyhow::Result<Outcome> {
    let (policy, registry) = super::read(&args.place)?;
    let text = super::read_text(&args.file)?;
    let imported = Imported::read(ListForm::from(args.form), &text)
        .map_err(|fault| UsageError(format!("`{}` {fault}", args.file.display())))?;
    let today = Timestamp::from_second(wire::clock().now())?
        .to_zoned(TimeZone::UTC)
        .date();
    let mut left_out = imported.left_out;
    let mut written = 0_u64;
    for proposed in imported.proposed {
        let base = proposed.base.clone();
        if registry
            .endpoints()
            .any(|(_, endpoint)| endpoint.base == base)
            || registry.get(&proposed.id).is_some()
        {
            left_out.push((
                proposed.id.to_string(),
                "it is on the list already".to_owned(),
            ));
            continue;
        }
        let id = proposed.id.clone();
        let mirror = candidate(proposed, today)?;
        let text = toml::to_string(&mirror).context("cannot write an entry as TOML")?;
        let name = format!("{id}.toml");
        let judged = Registry::read(
            [(name.as_str(), text.as_str())],
            policy.own_domain.as_deref(),
        );
        if let Err(error) = judged {
            left_out.push((id.to_string(), error.to_string()));
            continue;
        }
        reporter::print(&format!("{id:<24} {base}\n"));
        written += 1;
        if !args.dry_run {
            let path = super::entry_path(&args.place.registry, &id);
            history::put(&path, text.as_bytes())?;
        }
    }
    for (name, reason) in &left_out {
        reporter::talk(&format!("`{name}` is left out: {reason}"));
    }
    let count = render::plural(written, "candidate");
    reporter::talk(&format!(
        "{count}; `heliostat directory add` audits a mirror before it is listed"
    ));
    Ok(if left_out.is_empty() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

fn candidate(
    proposed: heliostat_directory::Proposed,
    today: jiff::civil::Date,
) -> anyhow::Result<Mirror> {
    let endpoint = Endpoint {
        id: EndpointId::try_from(proposed.id.to_string()).map_err(UsageError)?,
        base: proposed.base,
        layout: proposed.layout,
        simple: proposed.simple,
        coverage: Coverage::Full,
        asn: None,
        country: proposed.country,
        bandwidth_mbps: None,
        receipt_key: None,
    };
    Ok(Mirror::listed(
        proposed.id,
        proposed.operator,
        today,
        endpoint,
    ))
}

/// Prints the list for other programs.
pub(super) fn export(args: &DirectoryExportArgs) -> anyhow::Result<Outcome> {
    let (_, registry) = super::read(&args.place)?;
    match args.format {
        ExportWord::Json => {
            let mirrors: Vec<&Mirror> = registry.mirrors().collect();
            reporter::json_line(&mirrors);
        }
        ExportWord::Csv => {
            let mut text = "id,base,operator,country,simple\n".to_owned();
            for (mirror, endpoint) in registry.endpoints() {
                let country = endpoint.country.or(mirror.operator.country);
                let country = country.map_or_else(String::new, |code| code.to_string());
                let _infallible = writeln!(
                    text,
                    "{},{},{},{country},{}",
                    endpoint.id,
                    quoted(endpoint.base.as_str()),
                    quoted(&mirror.operator.name),
                    quoted(&endpoint.simple)
                );
            }
            reporter::print(&text);
        }
    }
    Ok(Outcome::Done)
}

/// A field of CSV (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
