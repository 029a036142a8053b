//! `heliostat migrate timeline`: the dates of retirements: planned, shown, as a calendar, as notices.

use std::fmt::Write as _;

use heliostat_migrate::map::{Map, Retired};
use heliostat_migrate::retire::{self, Standing, Timeline, TimelinePlan};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::redirect::read_log;
use super::{UsageError, look, read_map, scanner};
use crate::cli::{MigrateTimelineCommand, MigrateTimelinePlanArgs};
use crate::outcome::Outcome;
use crate::{reporter, wire};

pub(super) fn run(command: &MigrateTimelineCommand) -> anyhow::Result<Outcome> {
    let named = match command {
        MigrateTimelineCommand::Plan(args) => return plan(args),
        MigrateTimelineCommand::Show { map, .. }
        | MigrateTimelineCommand::Ics { map }
        | MigrateTimelineCommand::Notices { map, .. } => map,
    };
    let map = read_map(named.map.as_deref())?;
    let plans = plans(&map);
    if plans.is_empty() {
        return Err(UsageError(
            "no entry of the map has a `[retired.timeline]` with `announced` and `off`: \
             `heliostat migrate timeline plan` writes one"
                .to_owned(),
        )
        .into());
    }
    match command {
        MigrateTimelineCommand::Show { json: true, .. } => reporter::json_line(&plans),
        MigrateTimelineCommand::Ics { .. } => reporter::print(&retire::ics(&plans)),
        MigrateTimelineCommand::Notices { json, html, .. } => {
            let now = wire::clock().now();
            let notices: Vec<_> = plans
                .iter()
                .filter_map(|plan| retire::notices(map.find(&plan.host)?, plan, now))
                .collect();
            if *json {
                reporter::json_line(&notices);
            } else if *html {
                reporter::print(&retire::notices_html(&notices));
            } else {
                for notice in &notices {
                    reporter::print(&format!("Subject: {}\n\n{}\n", notice.subject, notice.body));
                }
            }
        }
        _ => {
            for plan in &plans {
                reporter::print(&retire::text(plan));
            }
        }
    }
    Ok(Outcome::Done)
}

fn plans(map: &Map) -> Vec<TimelinePlan> {
    map.entries()
        .iter()
        .filter_map(|entry| Some((entry, entry.timeline.as_ref()?)))
        .flat_map(|(entry, timeline)| entry.hosts.iter().map(|host| timeline.plan(host)))
        .collect()
}

/// What `timeline plan --json` prints.
#[derive(Debug, Serialize)]
struct Planned<'a> {
    entry: &'a str,
    timeline: &'a Timeline,
    plans: Vec<TimelinePlan>,
    standing: &'a Standing,
    refused: bool,
}

fn plan(args: &MigrateTimelinePlanArgs) -> anyhow::Result<Outcome> {
    let map = read_map(args.target.map.as_deref())?;
    let host = args.host.trim_end_matches('.').to_ascii_lowercase();
    let entry = map
        .entries()
        .iter()
        .find(|entry| entry.name == args.host || entry.hosts.contains(&host))
        .ok_or_else(|| {
            UsageError(format!(
                "the map has no entry `{}`: write one with `hosts` and where they lead first",
                args.host
            ))
        })?;
    let now = wire::clock().now();
    let today = Timestamp::from_second(now)?.to_zoned(TimeZone::UTC).date();
    let timeline = timeline_of(args, entry, today)?;
    let standing = look_around(args, entry, now)?;
    let due = timeline.end() <= today;
    let refused = due && !standing.is_clear() && timeline.forced.is_none();
    if args.json {
        reporter::json_line(&Planned {
            entry: &entry.name,
            timeline: &timeline,
            plans: entry.hosts.iter().map(|host| timeline.plan(host)).collect(),
            standing: &standing,
            refused,
        });
    } else if !refused {
        reporter::print(&lines(entry, &timeline));
    }
    let left = words(&standing);
    if refused {
        reporter::talk(&format!(
            "refused: {} does not go off on {} while this remains:\n{left}give the last ones a stay with an owner and an \
             end date, or say `--force \"why, and who decided\"`",
            entry.name,
            timeline.end()
        ));
        return Ok(Outcome::Findings);
    }
    if !left.is_empty() {
        let when = if due {
            "forced, although this remains"
        } else {
            "to be gone by then"
        };
        reporter::talk(&format!("{when}:\n{}", left.trim_end()));
    }
    Ok(Outcome::Done)
}

/// The dates asked for, over those that the map has.
fn timeline_of(
    args: &MigrateTimelinePlanArgs,
    entry: &Retired,
    today: Date,
) -> anyhow::Result<Timeline> {
    let known = entry.timeline.as_ref();
    let off = args
        .off
        .or_else(|| known.map(|known| known.off))
        .ok_or_else(|| UsageError("give the end: `--off YYYY-MM-DD`".to_owned()))?;
    let announced = args
        .announced
        .or_else(|| known.map(|known| known.announced));
    let timeline = Timeline {
        announced: announced.unwrap_or(today),
        off,
        parked: args.parked.or_else(|| known.and_then(|known| known.parked)),
        stay: known.and_then(|known| known.stay.clone()),
        http_until: known.and_then(|known| known.http_until),
        forced: args
            .force
            .clone()
            .or_else(|| known.and_then(|known| known.forced.clone())),
    };
    match timeline.fault() {
        Some(fault) => Err(UsageError(fault).into()),
        None => Ok(timeline),
    }
}

fn look_around(
    args: &MigrateTimelinePlanArgs,
    entry: &Retired,
    now: i64,
) -> anyhow::Result<Standing> {
    let findings = if args.target.paths.is_empty() && !args.target.host_env {
        reporter::talk("no PATH was given: nothing was looked into for extra indexes");
        Vec::new()
    } else {
        let scanner = scanner(args.target.map.as_deref())?;
        look(&scanner, &args.target)?.1.findings
    };
    let hosts = match &args.traffic {
        Some(path) => Some(read_log(path)?.0),
        None => None,
    };
    let traffic = |host: &str| hosts.as_ref()?.get(host).cloned();
    Ok(retire::standing(
        entry,
        &findings,
        traffic,
        now,
        args.clear_days,
    ))
}

/// The section for the map, with the steps as comments.
fn lines(entry: &Retired, timeline: &Timeline) -> String {
    let mut out = format!(
        "# for the entry \"{}\" of the map\n[retired.timeline]\n",
        entry.name
    );
    let mut date = |key: &str, date: Option<Date>| {
        if let Some(date) = date {
            let _infallible = writeln!(out, "{key} = \"{date}\"");
        }
    };
    date("announced", Some(timeline.announced));
    date("off", Some(timeline.off));
    date("parked", timeline.parked);
    date("http_until", timeline.http_until);
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    if let Some(why) = &timeline.forced {
        let _infallible = writeln!(out, "forced = {}", quoted(why));
    }
    if let Some(stay) = &timeline.stay {
        let _infallible = writeln!(
            out,
            "stay = {{ owner = {}, until = \"{}\", why = {} }}",
            quoted(&stay.owner),
            stay.until,
            quoted(&stay.why)
        );
    }
    for host in &entry.hosts {
        for line in retire::text(&timeline.plan(host)).lines() {
            let _infallible = writeln!(out, "# {line}");
        }
    }
    out
}

/// What stands in the way, one line each.
fn words(standing: &Standing) -> String {
    let mut out = String::new();
    for one in &standing.extra_indexes {
        let _infallible = writeln!(
            out,
            "  {}:{}:{} extra index on {}: pip would go on without it, without a word",
            one.file, one.line, one.column, one.host
        );
    }
    for (host, last) in &standing.visited {
        let _infallible = writeln!(
            out,
            "  an installer came to {host} on {}",
            retire::day(*last)
        );
    }
    for host in &standing.unseen {
        let _infallible = writeln!(
            out,
            "  nobody can say who comes to {host}: `--traffic` has too little of it, or was not given"
        );
    }
    out
}
