//! The list itself.

use askama::Template;

use super::super::graphics::{Bar, Blocks, Spark};
use super::super::view::{DAY, EndpointView, Freshness, Point, View, median};
use super::super::words;
use super::{Frame, class, place};
use crate::score::float;
use crate::state::State;

/// Rounds in a sparkline.
const POINTS: usize = 60;

#[derive(Template)]
#[template(path = "list.html")]
pub(super) struct List {
    frame: Frame,
    rows: Vec<Row>,
    mirrors: usize,
    active: usize,
    fresh: usize,
    median_lag: String,
    vantages: String,
    is_single_vantage: bool,
    last_round: Option<String>,
}

struct Row {
    page: String,
    name: String,
    place: String,
    country: String,
    state: State,
    state_class: String,
    freshness: String,
    freshness_class: String,
    lag: Option<String>,
    health: Option<u8>,
    bar: Bar,
    days: Blocks,
    age: Spark,
    response: Spark,
    response_text: String,
    uptime: String,
    uptime_days: i64,
}

impl List {
    pub(super) fn of(view: &View<'_>) -> Self {
        let rows: Vec<Row> = view.ranked().into_iter().map(Row::of).collect();
        let active = view.usable().count();
        let fresh = view
            .usable()
            .filter(|endpoint| endpoint.freshness() == Freshness::Fresh)
            .count();
        let lags: Vec<u64> = view
            .usable()
            .filter_map(EndpointView::lag_seconds)
            .collect();
        Self {
            frame: Frame::new(view, "", "list"),
            rows,
            mirrors: view.endpoints.len(),
            active,
            fresh,
            median_lag: median(lags).map_or_else(|| "–".to_owned(), words::span),
            vantages: words::plural(view.vantages.len(), "place"),
            is_single_vantage: view.vantages.len() == 1,
            last_round: view.last_round_at.map(words::moment),
        }
    }
}

impl Row {
    fn of(view: &EndpointView<'_>) -> Self {
        let freshness = view.freshness();
        let health = view.current_health().map(|health| whole(health.value));
        let mut points = view.points(7 * DAY);
        points.drain(..points.len().saturating_sub(POINTS));
        let uptime_days = view.days_seen(90);
        let uptime = view.answered(90 * DAY);
        let country = view.country();
        let times: Vec<u32> = points
            .iter()
            .filter_map(|point| point.first_byte_milliseconds)
            .collect();
        let response_text =
            median(times).map_or_else(|| "–".to_owned(), |time| format!("{time} ms"));
        Self {
            page: format!("mirrors/{}.html#{}", view.mirror.id, view.endpoint.id),
            name: view.mirror.operator.name.clone(),
            place: place(view),
            country: country.map_or_else(String::new, |country| country.to_string()),
            state: view.standing.state,
            state_class: class(&view.standing.state),
            freshness: freshness.to_string(),
            freshness_class: class(&freshness),
            lag: view.lag_seconds().map(words::span),
            health,
            bar: Bar {
                value: health.unwrap_or(0),
            },
            days: Blocks::of(&view.days(14)),
            age: age(&points),
            response: response(&points, &response_text),
            response_text,
            uptime: words::percent(uptime.ok, uptime.n),
            uptime_days,
        }
    }
}

/// 0 to 100 without a fraction; 100 only where nothing is missing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is held between 0 and 100 first"
)]
pub(super) fn whole(value: f64) -> u8 {
    value.clamp(0.0, 100.0).floor() as u8
}

/// Ages between a minute and a week lie evenly by their logarithm.
fn age(points: &[Point]) -> Spark {
    let lags: Vec<Option<u64>> = points.iter().map(|point| point.lag_seconds).collect();
    let top = lags.iter().flatten().max().copied();
    let label = match top {
        None => "Age: nothing was proved".to_owned(),
        Some(top) => format!(
            "Age in the last {}: at most {}",
            words::plural(points.len(), "round"),
            words::span(top)
        ),
    };
    let full = 604_800_f64.ln() - 60_f64.ln();
    let share = |lag: u64| (float(lag.max(60)).ln() - 60_f64.ln()) / full;
    let shares: Vec<Option<f64>> = lags.into_iter().map(|lag| lag.map(share)).collect();
    Spark::of(label, &shares)
}

fn response(points: &[Point], median: &str) -> Spark {
    let times: Vec<Option<u32>> = points
        .iter()
        .map(|point| point.first_byte_milliseconds)
        .collect();
    let top = times.iter().flatten().max().copied().unwrap_or(0).max(1);
    let shares: Vec<Option<f64>> = times
        .iter()
        .map(|time| time.map(|time| f64::from(time) / f64::from(top)))
        .collect();
    let label = if times.iter().flatten().next().is_none() {
        "Response: nothing came".to_owned()
    } else {
        format!(
            "Time to the first byte in the last {}: {median} at the median, at most {top} ms",
            words::plural(points.len(), "round")
        )
    };
    Spark::of(label, &shares)
}
