//! How fast changes get around: how far behind mirrors are, now and over a month.

use std::collections::BTreeMap;

use askama::Template;

use super::super::graphics::{Column, Part, Stack};
use super::super::view::{DAY, EndpointView, View, percentile};
use super::super::words;
use super::{Frame, class, lag, place};
use crate::registry::MirrorId;
use crate::score::float;
use crate::state::State;

/// Ages below this are told apart; what is older is one, and what was not proved another.
const BUCKETS: [(u64, &str); 4] = [
    (300, "less than 5 minutes"),
    (3600, "less than an hour"),
    (6 * 3600, "less than 6 hours"),
    (24 * 3600, "less than a day"),
];
const WORDS: [&str; 6] = [
    BUCKETS[0].1,
    BUCKETS[1].1,
    BUCKETS[2].1,
    BUCKETS[3].1,
    "a day and more",
    "not proved",
];
/// Days in the picture.
const DAYS: i64 = 30;

#[derive(Template)]
#[template(path = "propagation.html")]
pub(super) struct Propagation {
    frame: Frame,
    now: Vec<(usize, &'static str, usize)>,
    stack: Stack,
    from: String,
    to: String,
    rows: Vec<Row>,
    /// Who takes from whom, below PyPI; empty where nobody said so.
    tree: Vec<Branch>,
}

/// One mirror in the tree, before those that take from it.
struct Branch {
    page: String,
    name: String,
    state: String,
    state_class: String,
    lag: String,
    /// Whether others take from it.
    opens: bool,
    /// How many branches end with it.
    closes: usize,
}

struct Row {
    page: String,
    name: String,
    place: String,
    state: State,
    state_class: String,
    now: String,
    p50: String,
    p95: String,
    most: String,
}

impl Propagation {
    pub(super) fn of(view: &View<'_>) -> Self {
        let counted = |endpoint: &&EndpointView<'_>| {
            !matches!(
                endpoint.standing.state,
                State::Retired | State::Vetoed | State::Candidate
            )
        };
        let endpoints: Vec<_> = view.ranked().into_iter().filter(counted).collect();
        let mut now = [0; WORDS.len()];
        for endpoint in &endpoints {
            now[bucket(endpoint.lag_seconds())] += 1;
        }
        let today = view.at.div_euclid(DAY) * DAY;
        let columns: Vec<Column> = (0..DAYS)
            .rev()
            .enumerate()
            .map(|(index, back)| column(&endpoints, index * 12, today - back * DAY))
            .collect();
        Self {
            frame: Frame::new(view, "", "propagation"),
            now: (0..WORDS.len())
                .map(|index| (index, WORDS[index], now[index]))
                .collect(),
            stack: Stack {
                label: format!(
                    "For each of the last {DAYS} days, how far behind mirrors were when they were looked at, as shares of all looks"
                ),
                width: columns.len() * 12,
                columns,
            },
            from: words::day(today - (DAYS - 1) * DAY),
            to: words::day(today),
            rows: endpoints.into_iter().map(Row::of).collect(),
            tree: tree(view),
        }
    }
}

/// Every mirror that is still on the list below the one that it takes from. The registry lets nobody take from
/// themselves, by whatever way.
fn tree(view: &View<'_>) -> Vec<Branch> {
    let listed: BTreeMap<&MirrorId, &[EndpointView<'_>]> = view
        .by_mirror()
        .filter(|endpoints| {
            !endpoints
                .iter()
                .all(|of| matches!(of.standing.state, State::Retired | State::Vetoed))
        })
        .map(|endpoints| (&endpoints[0].mirror.id, endpoints))
        .collect();
    let mut below: BTreeMap<Option<&MirrorId>, Vec<&MirrorId>> = BTreeMap::new();
    for (id, endpoints) in &listed {
        let upstream = endpoints[0].mirror.upstream.as_ref();
        below
            .entry(upstream.filter(|of| listed.contains_key(of)))
            .or_default()
            .push(id);
    }
    if below.len() < 2 {
        return Vec::new();
    }
    let mut branches = Vec::new();
    // Those still to come, the next one last, with how many branches each of them ends.
    let come = |of: Option<&MirrorId>, closes: usize| -> Vec<(&MirrorId, usize)> {
        let mut ids: Vec<_> = below
            .get(&of)
            .into_iter()
            .flatten()
            .map(|id| (*id, 0))
            .collect();
        if let Some(last) = ids.last_mut() {
            last.1 = closes + usize::from(of.is_some());
        }
        ids.reverse();
        ids
    };
    let mut open = come(None, 0);
    while let Some((id, closes)) = open.pop() {
        let Some(endpoints) = listed.get(id) else {
            continue;
        };
        let opens = below.contains_key(&Some(id));
        let best = endpoints.iter().min_by_key(|of| of.standing.state);
        branches.push(Branch {
            page: format!("mirrors/{id}.html"),
            name: endpoints[0].mirror.operator.name.clone(),
            state: best.map_or_else(String::new, |of| of.standing.state.to_string()),
            state_class: best.map_or_else(String::new, |of| class(&of.standing.state)),
            lag: lag(endpoints.iter().filter_map(EndpointView::lag_seconds).max()),
            opens,
            closes: if opens { 0 } else { closes },
        });
        if opens {
            open.extend(come(Some(id), closes));
        }
    }
    branches
}

/// What a day's looks came to, the freshest at the bottom.
fn column(endpoints: &[&EndpointView<'_>], x: usize, begins: i64) -> Column {
    let mut counts = [0_u64; WORDS.len()];
    for endpoint in endpoints {
        let from = endpoint.samples.partition_point(|(at, _)| *at < begins);
        let to = endpoint
            .samples
            .partition_point(|(at, _)| *at < begins + DAY);
        for (_, sample) in &endpoint.samples[from..to] {
            counts[bucket(sample.lag_seconds)] += 1;
        }
    }
    let all: u64 = counts.iter().sum();
    let hour: u64 = counts[..2].iter().sum();
    let mut parts = Vec::new();
    let mut top = 100.0;
    for (class, &count) in counts.iter().enumerate() {
        if count > 0 {
            let height = 100.0 * float(count) / float(all);
            top -= height;
            parts.push(Part {
                y: tenth(top.max(0.0)),
                height: tenth(height),
                class,
            });
        }
    }
    Column {
        x,
        title: format!(
            "{}: {} within an hour",
            words::day(begins),
            words::percent(hour, all)
        ),
        parts,
    }
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn bucket(lag_seconds: Option<u64>) -> usize {
    let Some(lag) = lag_seconds else {
        return WORDS.len() - 1;
    };
    BUCKETS
        .iter()
        .position(|(below, _)| lag < *below)
        .unwrap_or(BUCKETS.len())
}

impl Row {
    fn of(view: &EndpointView<'_>) -> Self {
        let mut lags: Vec<u64> = view
            .within(DAY)
            .iter()
            .filter_map(|(_, sample)| sample.lag_seconds)
            .collect();
        lags.sort_unstable();
        Self {
            page: format!("mirrors/{}.html#{}", view.mirror.id, view.endpoint.id),
            name: view.mirror.operator.name.clone(),
            place: place(view),
            state: view.standing.state,
            state_class: class(&view.standing.state),
            now: lag(view.lag_seconds()),
            p50: lag(percentile(&lags, 50)),
            p95: lag(percentile(&lags, 95)),
            most: lag(lags.last().copied()),
        }
    }
}
