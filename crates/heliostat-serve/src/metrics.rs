//! What `/metrics` tells. Owns its registry: there are no globals, so two servers in one process do not mix.
//!
//! Counters of the hot path are looked up once, here, and then are plain atomics in an array.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::route::RouteKind;

/// The `Content-Type` of the text that `encode` writes.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const ROUTES: usize = RouteKind::ALL.len();
const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Every number the server keeps about itself.
pub(crate) struct Metrics {
    registry: Registry,
    requests: [[Counter; STATUS_CLASSES.len()]; ROUTES],
    sent_bytes: [Counter; ROUTES],
    seconds: [Histogram; ROUTES],
    /// Requests whose answer is not finished.
    pub(crate) in_flight: Gauge,
    /// Connections open.
    pub(crate) connections: Gauge,
    /// Documents and small files answered from memory.
    pub(crate) cache_hits: Counter,
    /// Documents and small files that had to be read.
    pub(crate) cache_misses: Counter,
    /// Answers that broke off on our side.
    pub(crate) bodies_broken: Counter,
    /// Connections cut because the client took nothing.
    pub(crate) stalled: Counter,
    /// TLS handshakes that failed.
    pub(crate) handshakes_failed: Counter,
    /// Files downloaded whole.
    pub(crate) downloads: Counter,
    /// Downloads that no longer fitted into the day's statistics.
    pub(crate) downloads_dropped: Counter,
    /// Connections that could not be accepted.
    pub(crate) accepts_failed: Counter,
    on_demand: Family<OnDemandLabels, Counter>,
}

/// What came of asking for something that is taken on demand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OnDemandLabels {
    wanted: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

impl From<RouteKind> for RouteLabels {
    fn from(route: RouteKind) -> Self {
        Self {
            route: route.label(),
        }
    }
}

impl Metrics {
    /// All zero.
    pub(crate) fn new(version: &str) -> Self {
        let mut registry = Registry::with_prefix("heliostat");
        let requests = Family::<RequestLabels, Counter>::default();
        let sent_bytes = Family::<RouteLabels, Counter>::default();
        let seconds = Family::<RouteLabels, Histogram, fn() -> Histogram>::new_with_constructor(
            new_histogram,
        );
        let on_demand = Family::<OnDemandLabels, Counter>::default();
        let build = Info::new(vec![("version", version.to_owned())]);
        registry.register("build", "The program that answers", build);
        registry.register(
            "requests",
            "Requests answered, by route and status class",
            requests.clone(),
        );
        registry.register_with_unit(
            "sent",
            "Bytes of bodies handed over",
            Unit::Bytes,
            sent_bytes.clone(),
        );
        registry.register_with_unit(
            "request",
            "Time to the end of an answer",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register(
            "on_demand",
            "What came of asking the upstream on demand",
            on_demand.clone(),
        );
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::<u64, AtomicU64>::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            cache_hits: counter(
                "cache_hits",
                "Documents and small files answered from memory",
            ),
            cache_misses: counter(
                "cache_misses",
                "Documents and small files that had to be read",
            ),
            bodies_broken: counter("bodies_broken", "Answers that broke off on our side"),
            stalled: counter(
                "connections_stalled",
                "Connections cut because the client took nothing",
            ),
            handshakes_failed: counter("handshakes_failed", "TLS handshakes that failed"),
            downloads: counter("downloads", "Files downloaded whole"),
            downloads_dropped: counter(
                "downloads_dropped",
                "Downloads missing from the day's statistics",
            ),
            accepts_failed: counter("accepts_failed", "Connections that could not be accepted"),
            in_flight: gauge(
                &mut registry,
                "in_flight",
                "Requests whose answer is not finished",
            ),
            connections: gauge(&mut registry, "connections", "Connections open"),
            requests: RouteKind::ALL.map(|route| {
                let route = route.label();
                STATUS_CLASSES
                    .map(|status| requests.get_or_create_owned(&RequestLabels { route, status }))
            }),
            sent_bytes: RouteKind::ALL.map(|route| sent_bytes.get_or_create_owned(&route.into())),
            seconds: RouteKind::ALL.map(|route| seconds.get_or_create_owned(&route.into())),
            on_demand,
            registry,
        }
    }

    /// An answer ended.
    pub(crate) fn answered(
        &self,
        route: RouteKind,
        status: StatusCode,
        sent_bytes: u64,
        elapsed: Duration,
    ) {
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        self.requests[route as usize][class].inc();
        self.sent_bytes[route as usize].inc_by(sent_bytes);
        self.seconds[route as usize].observe(elapsed.as_secs_f64());
    }

    /// Something was asked for on demand.
    pub(crate) fn on_demand(&self, wanted: &'static str, outcome: &'static str) {
        self.on_demand
            .get_or_create(&OnDemandLabels { wanted, outcome })
            .inc();
    }

    /// Everything as text.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(std::fmt::Error) => "# EOF\n".to_owned(),
        }
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn new_histogram() -> Histogram {
    Histogram::new([0.000_25, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted_where_it_belongs() {
        let metrics = Metrics::new("1.2.3");
        metrics.answered(
            RouteKind::Page,
            StatusCode::NOT_MODIFIED,
            7,
            Duration::from_micros(300),
        );
        metrics.on_demand("page", "ready");
        let text = metrics.encode();
        for line in [
            "heliostat_requests_total{route=\"page\",status=\"3xx\"} 1",
            "heliostat_requests_total{route=\"page\",status=\"2xx\"} 0",
            "heliostat_sent_bytes_total{route=\"page\"} 7",
            "heliostat_request_seconds_bucket{le=\"0.001\",route=\"page\"} 1",
            "heliostat_on_demand_total{wanted=\"page\",outcome=\"ready\"} 1",
            "heliostat_build_info{version=\"1.2.3\"} 1",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "`{line}` is not in\n{text}"
            );
        }
    }
}
