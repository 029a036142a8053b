//! One mirror's page: how each of its endpoints stands and why, what every vantage sees, what failed, and how to use it.

use askama::Template;

use super::super::graphics::{Blocks, Lines};
use super::super::view::{DAY, EndpointView, Failure, Told, View, median, percentile};
use super::super::words;
use super::{Frame, class, lag, place};
use crate::observe::Count;
use crate::score::{Term, Why, float};
use crate::state::State;

/// Medians of so many hours make one point of a line.
const BUCKET_SECONDS: i64 = 2 * 3600;
/// A line goes back so far.
const LINE_SECONDS: i64 = 7 * DAY;
/// Lines in one picture; more cannot be told apart.
const LINES_MAX: usize = 4;

#[derive(Template)]
#[template(path = "mirror.html")]
pub(super) struct MirrorPage {
    frame: Frame,
    id: String,
    name: String,
    organisation: Option<String>,
    url: Option<String>,
    country: Option<String>,
    inception: String,
    endpoints: Vec<Section>,
}

struct Section {
    id: String,
    place: String,
    index: String,
    base: String,
    state: State,
    state_class: String,
    since: String,
    rule: String,
    next: Option<String>,
    freshness: String,
    freshness_class: String,
    lag: String,
    health: Option<String>,
    terms: Vec<(&'static str, String, String)>,
    gates: Vec<String>,
    serials: Option<String>,
    certificate: Option<String>,
    facts: Vec<(&'static str, String)>,
    days: Blocks,
    uptime: String,
    uptime_days: i64,
    /// What is left of the failures that the policy allows, and what they are.
    budget: Option<(String, String)>,
    findings: Vec<FindingRow>,
    lines: Option<Chart>,
    vantages: Vec<VantageRow>,
    failures: Vec<FailureRow>,
    moves: Vec<(String, String, String, String)>,
    is_offered: bool,
}

/// Lines with what stands around them.
struct Chart {
    lines: Lines,
    names: Vec<(usize, String)>,
    top: String,
    from: String,
    to: String,
}

struct VantageRow {
    name: String,
    answered: String,
    lag: String,
    p50: String,
    p95: String,
    seen: String,
}

struct FindingRow {
    level: String,
    what: String,
    about: String,
    since: String,
    last: String,
    vantages: String,
    evidence: Option<String>,
}

struct FailureRow {
    when: String,
    count: String,
    vantage: String,
    what: String,
}

impl MirrorPage {
    pub(super) fn of(view: &View<'_>, endpoints: &[EndpointView<'_>]) -> Self {
        let mirror = endpoints[0].mirror;
        Self {
            frame: Frame::new(view, "../", "mirror"),
            id: mirror.id.to_string(),
            name: mirror.operator.name.clone(),
            organisation: mirror.operator.organisation.clone(),
            url: mirror
                .operator
                .url
                .as_ref()
                .filter(|url| matches!(url.scheme(), "https" | "http"))
                .map(ToString::to_string),
            country: mirror.operator.country.map(|country| country.to_string()),
            inception: mirror.inception.to_string(),
            endpoints: endpoints
                .iter()
                .map(|endpoint| Section::of(endpoint, view))
                .collect(),
        }
    }
}

impl Section {
    fn of(view: &EndpointView<'_>, all: &View<'_>) -> Self {
        let endpoint = view.endpoint;
        let freshness = view.freshness();
        let uptime = view.answered(90 * DAY);
        Self {
            id: endpoint.id.to_string(),
            place: place(view),
            index: view.index(),
            base: endpoint.base.to_string(),
            state: view.standing.state,
            state_class: class(&view.standing.state),
            since: words::moment(view.standing.since),
            rule: view.standing.rule.to_string(),
            next: view
                .next
                .map(|(at, state)| format!("{state} on {} UTC", words::moment(at))),
            freshness: freshness.to_string(),
            freshness_class: class(&freshness),
            lag: lag(view.lag_seconds()),
            health: view
                .current_health()
                .map(|health| format!("{:.1}", health.value)),
            terms: terms(view),
            gates: view
                .current_health()
                .into_iter()
                .flat_map(|health| &health.gates)
                .map(ToString::to_string)
                .collect(),
            serials: serials(view),
            certificate: view
                .newest(|sample| sample.certificate_days)
                .map(|days| format!("ends in {days} days")),
            facts: facts(view, all),
            days: Blocks::of(&view.days(90)),
            uptime: words::percent(uptime.ok, uptime.n),
            uptime_days: view.days_seen(90),
            budget: budget(uptime, all),
            findings: view
                .findings(all.evidence)
                .iter()
                .map(FindingRow::of)
                .collect(),
            lines: chart(view, all.at),
            vantages: vantages(view),
            failures: view.failures().iter().map(FailureRow::of).collect(),
            moves: view
                .transitions
                .iter()
                .map(|moved| {
                    (
                        words::moment(moved.to.since),
                        moved.from.to_string(),
                        moved.to.state.to_string(),
                        moved.to.rule.to_string(),
                    )
                })
                .collect(),
            is_offered: view.is_offered() || view.standing.state == State::Probation,
        }
    }
}

/// How much of the failures that the policy allows within 90 days is left: none where more failed.
fn budget(uptime: Count, all: &View<'_>) -> Option<(String, String)> {
    let allowed = 1.0 - all.policy.active.available_min;
    if uptime.n == 0 || allowed <= 0.0 {
        return None;
    }
    let spent = float(uptime.bad()) / float(uptime.n) / allowed;
    let left = ((1.0 - spent) * 100.0).clamp(0.0, 100.0).floor();
    Some((
        format!("{left:.0} %"),
        format!("of {} % that may fail", (allowed * 1000.0).round() / 10.0),
    ))
}

impl FindingRow {
    fn of(told: &Told<'_>) -> Self {
        let finding = told.finding;
        let address = finding.address.map(|address| address.to_string());
        let about: Vec<String> = finding.project.clone().into_iter().chain(address).collect();
        let vantages: Vec<String> = told.vantages.iter().map(ToString::to_string).collect();
        Self {
            level: finding.level.to_string(),
            what: format!("{}: {}", finding.check, finding.text),
            about: about.join(", "),
            since: words::moment(finding.since),
            last: words::moment(told.last_at),
            vantages: vantages.join(", "),
            evidence: told.evidence.map(ToOwned::to_owned),
        }
    }
}

fn terms(view: &EndpointView<'_>) -> Vec<(&'static str, String, String)> {
    let Some(health) = view.current_health() else {
        return Vec::new();
    };
    let row = |name, term: &Term| {
        let why = match term.why {
            Why::Lag {
                seconds: Some(seconds),
            } => format!("the oldest change it lacks is {} old", words::span(seconds)),
            Why::Warnings(1) => "1 warning".to_owned(),
            why => why.to_string(),
        };
        (name, format!("{:.3}", term.value), why)
    };
    vec![
        row("Available", &health.available),
        row("Fresh", &health.fresh),
        row("Complete", &health.complete),
        row("Hygiene", &health.hygiene),
    ]
}

fn serials(view: &EndpointView<'_>) -> Option<String> {
    let claimed = view.newest(|sample| sample.serial_claimed);
    let proved = view.newest(|sample| sample.serial_proved);
    match (claimed, proved) {
        (None, None) => None,
        (Some(claimed), None) => Some(format!("says {claimed}, nothing proved")),
        (None, Some(proved)) => Some(format!("{proved} proved")),
        (Some(claimed), Some(proved)) if claimed == proved => Some(format!("{proved}, proved")),
        (Some(claimed), Some(proved)) => Some(format!("says {claimed}, {proved} proved")),
    }
}

fn facts(view: &EndpointView<'_>, all: &View<'_>) -> Vec<(&'static str, String)> {
    let endpoint = view.endpoint;
    let mut facts = vec![
        ("Address", endpoint.base.to_string()),
        (
            "Holds",
            match endpoint.coverage {
                crate::registry::Coverage::Full => "everything".to_owned(),
                crate::registry::Coverage::Subset => "a part".to_owned(),
            },
        ),
    ];
    facts.extend(
        endpoint
            .country
            .map(|country| ("Country", country.to_string())),
    );
    facts.extend(endpoint.asn.map(|asn| ("Network", format!("AS{asn}"))));
    facts.extend(
        endpoint
            .bandwidth_mbps
            .map(|rate| ("Line, as its operator says", format!("{rate} Mbit/s"))),
    );
    facts.extend(all.weights.of.get(&endpoint.id).map(|weight| {
        let share = format!("{:.1} %", weight.share * 100.0);
        let held = weight.held_by.as_ref().map_or_else(String::new, |group| {
            format!(
                ", held down from {:.1} %, as {group} has no more",
                weight.uncapped * 100.0
            )
        });
        ("Share of clients", format!("{share}{held}"))
    }));
    facts
}

fn vantages(view: &EndpointView<'_>) -> Vec<VantageRow> {
    let time = |time: Option<u32>| time.map_or_else(|| "–".to_owned(), |time| format!("{time} ms"));
    view.vantages()
        .iter()
        .map(|seen| VantageRow {
            name: seen.vantage.to_string(),
            answered: words::percent(seen.answered.ok, seen.answered.n),
            lag: lag(seen.lag_seconds),
            p50: time(percentile(&seen.first_byte_milliseconds, 50)),
            p95: time(percentile(&seen.first_byte_milliseconds, 95)),
            seen: words::moment(seen.seen_at),
        })
        .collect()
}

/// The time to the first byte from each vantage, by medians.
fn chart(view: &EndpointView<'_>, now: i64) -> Option<Chart> {
    let begin = now - LINE_SECONDS;
    let buckets = usize::try_from(LINE_SECONDS / BUCKET_SECONDS).ok()?;
    let names: Vec<String> = view
        .vantages()
        .iter()
        .map(|seen| seen.vantage.to_string())
        .take(LINES_MAX)
        .collect();
    let mut lines: Vec<Vec<Option<u32>>> = Vec::new();
    for name in &names {
        let mut times: Vec<Vec<u32>> = vec![Vec::new(); buckets];
        for (at, sample) in view.within(LINE_SECONDS) {
            let bucket = usize::try_from((at - begin - 1) / BUCKET_SECONDS).ok()?;
            if sample.vantage.0 == *name
                && let Some(times) = times.get_mut(bucket)
            {
                times.extend(sample.first_byte_milliseconds);
            }
        }
        lines.push(times.into_iter().map(median).collect());
    }
    let top = round_up(lines.iter().flatten().flatten().max().copied()?);
    let share = |time: &Option<u32>| time.map(|time| f64::from(time) / float(u64::from(top)));
    let paths = lines
        .iter()
        .map(|line| Lines::path(&line.iter().map(share).collect::<Vec<_>>()))
        .enumerate()
        .collect();
    Some(Chart {
        lines: Lines {
            label: format!(
                "Time to the first byte over seven days, from {}; the tables have the figures",
                names.join(" and ")
            ),
            paths,
        },
        names: names.into_iter().enumerate().collect(),
        top: format!("{top} ms"),
        from: words::day(begin),
        to: words::day(now),
    })
}

/// The next number of 1, 2 or 5 and zeros.
fn round_up(value: u32) -> u32 {
    let mut top = 10_u32;
    loop {
        for factor in [1, 2, 5] {
            let candidate = top.saturating_mul(factor);
            if candidate >= value {
                return candidate;
            }
        }
        top = top.saturating_mul(10);
    }
}

impl FailureRow {
    fn of(failure: &Failure<'_>) -> Self {
        Self {
            when: if failure.from == failure.to {
                words::moment(failure.from)
            } else {
                format!(
                    "{} to {}",
                    words::moment(failure.from),
                    words::moment(failure.to)
                )
            },
            count: words::plural(failure.count, "time"),
            vantage: failure.vantage.to_string(),
            what: failure.what.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_a_round_number() {
        assert_eq!(
            [0, 10, 11, 51, 200, 201, 999].map(round_up),
            [10, 10, 20, 100, 200, 500, 1000]
        );
    }
}
