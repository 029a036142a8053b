//! Prometheus's text format: the same figures as `status.json`, to be scraped as a static file.

use std::fmt::{Display, Write as _};

use super::super::view::{DAY, EndpointView, View, percentile};
use crate::score::float;

/// Every family with what it means; each is a gauge.
const FAMILIES: [(&str, &str); 10] = [
    ("health", "Health, 0 to 100."),
    ("state", "1 for the state that an endpoint is in."),
    (
        "lag_seconds",
        "The age of the oldest change that is missing.",
    ),
    (
        "probes_answered_ratio",
        "Share of probes answered within a day.",
    ),
    (
        "samples_present_ratio",
        "Share of pages and files that were there within a day.",
    ),
    (
        "serial_proved",
        "The newest serial up to which every change that was looked for is visible.",
    ),
    (
        "warnings",
        "Things that are wrong and keep nobody from using it.",
    ),
    (
        "weight_ratio",
        "Which share of clients the list sends there.",
    ),
    ("certificate_seconds", "Time until the certificate ends."),
    (
        "first_byte_seconds",
        "Time to the first byte within a day, by vantage.",
    ),
];

pub(super) fn of(view: &View<'_>) -> String {
    let mut text = String::new();
    for (family, help) in FAMILIES {
        let name = format!("heliostat_directory_{family}");
        let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for endpoint in &view.endpoints {
            samples(&mut text, (family, &name), endpoint, view);
        }
    }
    let name = "heliostat_directory_at_seconds";
    let _infallible = writeln!(
        text,
        "# HELP {name} The moment that all of this tells about.\n# TYPE {name} gauge\n{name} {}",
        view.at
    );
    text
}

fn samples(
    text: &mut String,
    (family, name): (&str, &str),
    view: &EndpointView<'_>,
    all: &View<'_>,
) {
    let labels = format!(
        "endpoint=\"{}\",mirror=\"{}\"",
        view.endpoint.id, view.mirror.id
    );
    let mut sample = |more: &str, value: &dyn Display| {
        let _infallible = writeln!(text, "{name}{{{labels}{more}}} {value}");
    };
    let mut maybe = |value: Option<&dyn Display>| {
        if let Some(value) = value {
            sample("", value);
        }
    };
    let ratio = |count: crate::observe::Count| {
        (count.n > 0).then(|| ((float(count.ok) / float(count.n)) * 10_000.0).round() / 10_000.0)
    };
    match family {
        "health" => {
            let health = view
                .current_health()
                .map(|health| (health.value * 10.0).round() / 10.0);
            maybe(health.as_ref().map(|value| value as &dyn Display));
        }
        "state" => sample(&format!(",state=\"{}\"", view.standing.state), &1),
        "lag_seconds" => maybe(
            view.lag_seconds()
                .as_ref()
                .map(|value| value as &dyn Display),
        ),
        "probes_answered_ratio" => {
            maybe(
                ratio(view.answered(DAY))
                    .as_ref()
                    .map(|value| value as &dyn Display),
            );
        }
        "samples_present_ratio" => {
            let present = ratio(view.total(DAY, |sample| sample.present));
            maybe(present.as_ref().map(|value| value as &dyn Display));
        }
        "serial_proved" => {
            let serial = view.newest(|sample| sample.serial_proved);
            maybe(serial.as_ref().map(|value| value as &dyn Display));
        }
        "warnings" => {
            let warnings = view.newest(|sample| Some(sample.warnings));
            maybe(warnings.as_ref().map(|value| value as &dyn Display));
        }
        "weight_ratio" => {
            let weight = all.weights.of.get(&view.endpoint.id);
            let share = weight.map(|weight| (weight.share * 10_000.0).round() / 10_000.0);
            maybe(share.as_ref().map(|value| value as &dyn Display));
        }
        "certificate_seconds" => {
            let seconds = view
                .newest(|sample| sample.certificate_days)
                .map(|days| days * DAY);
            maybe(seconds.as_ref().map(|value| value as &dyn Display));
        }
        _ => {
            for seen in view.vantages() {
                for percent in [50, 95] {
                    if let Some(time) = percentile(&seen.first_byte_milliseconds, percent) {
                        let vantage = escaped(&seen.vantage.0);
                        let more = format!(",vantage=\"{vantage}\",percentile=\"{percent}\"");
                        sample(&more, &(f64::from(time) / 1000.0));
                    }
                }
            }
        }
    }
}

/// A label's value as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
