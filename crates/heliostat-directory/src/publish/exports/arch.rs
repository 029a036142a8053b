//! Arch Linux's `/mirrors/status/json/`, version 3. Seconds, hours and shares mean what they mean there.

use std::net::IpAddr;

use serde::Serialize;

use super::super::view::{DAY, EndpointView, View};
use super::super::words;
use crate::score::{float, wilson_lower};

/// The document.
#[derive(Serialize)]
pub(super) struct Status {
    cutoff: i64,
    last_check: Option<String>,
    num_checks: usize,
    check_frequency: u64,
    version: u8,
    urls: Vec<Address>,
}

/// One address.
#[derive(Serialize)]
struct Address {
    url: String,
    protocol: &'static str,
    last_sync: Option<String>,
    completion_pct: f64,
    delay: Option<u64>,
    duration_avg: Option<f64>,
    duration_stddev: Option<f64>,
    score: Option<f64>,
    active: bool,
    country: String,
    country_code: String,
    #[serde(flatten)]
    has: Has,
    details: String,
}

/// What an address offers besides.
#[derive(Serialize)]
struct Has {
    isos: bool,
    ipv4: bool,
    ipv6: bool,
}

impl Status {
    pub(super) fn of(view: &View<'_>) -> Self {
        let mut times: Vec<i64> = view
            .endpoints
            .iter()
            .flat_map(|endpoint| endpoint.within(DAY))
            .map(|(at, _)| *at)
            .collect();
        times.sort_unstable();
        times.dedup();
        let frequency = match (times.first(), times.last()) {
            (Some(first), Some(last)) if times.len() > 1 => {
                last.abs_diff(*first) / (times.len() as u64 - 1)
            }
            _ => 0,
        };
        let offered = view.ranked().into_iter().filter(|view| view.is_offered());
        Self {
            cutoff: DAY,
            last_check: view.last_round_at.map(words::rfc3339),
            num_checks: times.len(),
            check_frequency: frequency,
            version: 3,
            urls: offered.map(|of| Address::of(of, view.at)).collect(),
        }
    }
}

impl Address {
    fn of(view: &EndpointView<'_>, now: i64) -> Self {
        let delay = view.lag_seconds();
        let seconds: Vec<f64> = view
            .within(DAY)
            .iter()
            .filter_map(|(_, sample)| sample.first_byte_milliseconds)
            .map(|time| f64::from(time) / 1000.0)
            .collect();
        let completion = wilson_lower(view.answered(DAY));
        let spread = spread(&seconds);
        let score =
            delay
                .zip(spread)
                .filter(|_| completion > 0.0)
                .map(|(delay, (mean, deviation))| {
                    (float(delay) / 3600.0 + mean + deviation) / completion
                });
        let code = view
            .country()
            .map_or_else(String::new, |country| country.to_string());
        Self {
            url: view.endpoint.base.to_string(),
            protocol: "https",
            last_sync: delay.map(|delay| words::rfc3339(now.saturating_sub_unsigned(delay))),
            completion_pct: rounded(completion),
            delay,
            duration_avg: spread.map(|(mean, _)| rounded(mean)),
            duration_stddev: spread.map(|(_, deviation)| rounded(deviation)),
            score: score.map(rounded),
            active: view.is_usable(),
            country: code.clone(),
            country_code: code,
            has: Has::of(view),
            details: format!("../mirrors/{}.html", view.mirror.id),
        }
    }
}

impl Has {
    /// By the addresses that were asked within a day. Where probes told none, IPv4 is what every mirror has.
    fn of(view: &EndpointView<'_>) -> Self {
        let samples = view.within(DAY).iter();
        let addresses: Vec<&IpAddr> = samples.flat_map(|(_, sample)| &sample.addresses).collect();
        Self {
            isos: false,
            ipv4: addresses.is_empty() || addresses.iter().any(|address| address.is_ipv4()),
            ipv6: addresses.iter().any(|address| address.is_ipv6()),
        }
    }
}

/// The mean and the standard deviation.
fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let count = float(values.len() as u64);
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    Some((mean, variance.sqrt()))
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
