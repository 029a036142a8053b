//! The account of one answer: closed once, when its body is dropped, into metrics, access log and downloads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use heliostat_pypi::TreePath;
use http::{Method, StatusCode};

use crate::downloads::Downloads;
use crate::metrics::Metrics;
use crate::route::RouteKind;
use crate::user_agent;

/// What is written down about one answer.
pub(crate) struct Account {
    metrics: Arc<Metrics>,
    started: Instant,
    route: RouteKind,
    status: StatusCode,
    planned_bytes: Option<u64>,
    sent_bytes: u64,
    request: Option<Box<RequestLine>>,
    download: Option<Download>,
}

/// What the access log tells of a request; only kept when somebody reads that log.
pub(crate) struct RequestLine {
    method: Method,
    path: String,
    user_agent: String,
    peer: SocketAddr,
}

/// A file that counts as downloaded once all of the answer was handed over.
pub(crate) struct Download {
    downloads: Arc<Downloads>,
    path: TreePath,
    user_agent: String,
}

impl RequestLine {
    /// The line of `request`, or nothing when the access log is off.
    pub(crate) fn of<B>(request: &http::Request<B>, peer: SocketAddr) -> Option<Box<Self>> {
        tracing::enabled!(target: "access", tracing::Level::INFO).then(|| {
            Box::new(Self {
                method: request.method().clone(),
                path: request.uri().path().to_owned(),
                user_agent: user_agent::summarise(agent_of(request.headers())).to_owned(),
                peer,
            })
        })
    }
}

impl Download {
    /// A download of `path` that is to be counted in `downloads`.
    pub(crate) fn new(
        downloads: &Arc<Downloads>,
        path: TreePath,
        headers: &http::HeaderMap,
    ) -> Self {
        let user_agent = user_agent::summarise(agent_of(headers)).to_owned();
        Self {
            downloads: Arc::clone(downloads),
            path,
            user_agent,
        }
    }
}

impl Account {
    /// Opens the account of a request that has just been read.
    pub(crate) fn open(
        metrics: &Arc<Metrics>,
        started: Instant,
        request: Option<Box<RequestLine>>,
    ) -> Self {
        metrics.in_flight.inc();
        Self {
            metrics: Arc::clone(metrics),
            started,
            route: RouteKind::NotFound,
            status: StatusCode::INTERNAL_SERVER_ERROR,
            planned_bytes: None,
            sent_bytes: 0,
            request,
            download: None,
        }
    }

    /// The request was recognised.
    pub(crate) const fn routed(&mut self, route: RouteKind) {
        self.route = route;
    }

    /// The head of the answer is known.
    pub(crate) fn answered(
        &mut self,
        status: StatusCode,
        planned_bytes: Option<u64>,
        download: Option<Download>,
    ) {
        self.status = status;
        self.planned_bytes = planned_bytes;
        self.download = download;
    }

    /// Bytes were handed over.
    pub(crate) const fn add(&mut self, bytes: u64) {
        self.sent_bytes += bytes;
    }

    /// The body broke off on our side.
    pub(crate) fn broken(&self, error: &(dyn std::error::Error + 'static)) {
        self.metrics.bodies_broken.inc();
        tracing::warn!(
            route = self.route.label(),
            sent_bytes = self.sent_bytes,
            error,
            "an answer broke off"
        );
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        self.metrics.in_flight.dec();
        self.metrics
            .answered(self.route, self.status, self.sent_bytes, elapsed);
        if self
            .planned_bytes
            .is_none_or(|planned| planned == self.sent_bytes)
            && let Some(download) = self.download.take()
        {
            let Download {
                downloads,
                path,
                user_agent,
            } = download;
            if downloads.count(path, user_agent) {
                self.metrics.downloads.inc();
            } else {
                self.metrics.downloads_dropped.inc();
            }
        }
        if let Some(request) = &self.request {
            tracing::info!(
                target: "access",
                method = %request.method,
                path = request.path,
                status = self.status.as_u16(),
                bytes = self.sent_bytes,
                ms = milliseconds(elapsed),
                user_agent = request.user_agent,
                peer = %request.peer,
            );
        }
    }
}

/// Milliseconds to the microsecond: more digits are noise.
fn milliseconds(elapsed: std::time::Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e6).round() / 1000.0
}

/// The text of `User-Agent`.
pub(crate) fn agent_of(headers: &http::HeaderMap) -> Option<&str> {
    headers.get(http::header::USER_AGENT)?.to_str().ok()
}
