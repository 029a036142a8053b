//! The front of a retired host: redirects by the map, or says that the name is gone, and counts who still comes.
//!
//! `heliostat-migrate` decides; this turns its answer into HTTP: never to be kept, with the reason phrase that uv
//! shows. A request's `Authorization`, query and body go nowhere.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use heliostat_engine::Clock;
use heliostat_migrate::map::Map;
use heliostat_migrate::retire::{self, Answer, Asked, Method, PathClass, Told, Visit};
use http::header::{CACHE_CONTROL, HOST, HeaderName, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;

use crate::error::ServeError;
use crate::front::Front;
use crate::listen::Bound;
use crate::metrics::Metrics;
use crate::options::{Limits, ServeOptions};
use crate::reply::{NO_STORE, Reply};
use crate::service::Scheme;
use crate::user_agent;

/// The names of retired hosts that a server answers for.
#[derive(Debug, Clone)]
pub struct RetiredNames {
    /// Which, and where they lead.
    pub map: Map,
    /// The time.
    pub clock: Clock,
    /// Who is told of each request; never waited for.
    pub visits: Option<SyncSender<Visit>>,
}

/// A server of retired names, before it has an address.
#[derive(Debug)]
pub struct RetiredServer {
    options: ServeOptions,
    names: RetiredNames,
}

/// What answers.
pub(crate) struct RetiredSite {
    names: RetiredNames,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
}

impl RetiredServer {
    /// A server of these names and nothing else.
    pub const fn new(options: ServeOptions, names: RetiredNames) -> Self {
        Self { options, names }
    }

    /// Takes the address and reads the certificate. Must be called within a Tokio runtime.
    pub fn bind(self) -> Result<Bound, ServeError> {
        let metrics = Arc::new(Metrics::new(&self.options.version));
        let site = RetiredSite::new(self.names, metrics, self.options.limits.clone());
        Bound::new(&self.options, Front::Retired(Arc::new(site)))
    }
}

impl RetiredSite {
    pub(crate) const fn new(names: RetiredNames, metrics: Arc<Metrics>, limits: Limits) -> Self {
        Self {
            names,
            metrics,
            limits,
        }
    }

    /// Whether a request asks for one of the names.
    pub(crate) fn is_asked(&self, request: &Request<Incoming>) -> bool {
        let host = retire::host_of(host(request));
        self.names.map.find(&host).is_some()
    }
}

/// The host that a request names, perhaps with a port.
fn host(request: &Request<Incoming>) -> &str {
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    authority
        .or_else(|| header(request, &HOST))
        .unwrap_or_default()
}

fn header<'a>(request: &'a Request<Incoming>, name: &HeaderName) -> Option<&'a str> {
    request
        .headers()
        .get(name)
        .and_then(|value: &HeaderValue| value.to_str().ok())
}

/// Answers one request, with a reason phrase where the status alone says too little.
pub(crate) fn answer(
    site: &RetiredSite,
    request: &Request<Incoming>,
    peer: SocketAddr,
    scheme: Scheme,
) -> (Reply, Option<ReasonPhrase>) {
    let host = host(request);
    let path = request.uri().path();
    let now = site.names.clock.now();
    let answer = retire::answer(
        &site.names.map,
        &Asked {
            method: match *request.method() {
                http::Method::GET | http::Method::HEAD => Method::Read,
                http::Method::POST => Method::Upload,
                _ => Method::Other,
            },
            host,
            encrypted: scheme == Scheme::Https,
            path,
            now,
        },
    );
    let (reply, reason) = reply(answer);
    let name = retire::host_of(host);
    // Names that nobody retired are whoever's who asks for them, and no traffic of an old one.
    let visits = site.names.visits.as_ref();
    if let Some(visits) = visits.filter(|_| site.names.map.find(&name).is_some()) {
        let user_agent = header(request, &USER_AGENT);
        let visit = Visit {
            at: now,
            host: name,
            class: PathClass::of(path),
            client: user_agent::summarise(user_agent).to_owned(),
            encrypted: scheme == Scheme::Https,
            address: peer.ip().to_string(),
            status: reply.status.as_u16(),
            told: user_agent.map(Told::of).unwrap_or_default(),
        };
        if visits.try_send(visit).is_err() {
            tracing::warn!(
                "a visit was not counted: the traffic log cannot be written fast enough"
            );
        }
    }
    (reply, reason)
}

fn reply(answer: Answer) -> (Reply, Option<ReasonPhrase>) {
    let status = |number| StatusCode::from_u16(number).unwrap_or(StatusCode::GONE);
    match answer {
        Answer::Redirect {
            status: number,
            location,
        } => match Reply::redirect(status(number), &location) {
            Ok(reply) => (reply.with(CACHE_CONTROL, NO_STORE), None),
            Err(problem) => (Reply::problem(&problem), None),
        },
        Answer::Refuse {
            status: number,
            reason,
        } => {
            let mut reply = Reply::bytes("text/plain; charset=utf-8", format!("{reason}\n"))
                .with(CACHE_CONTROL, NO_STORE);
            reply.status = status(number);
            (reply, ReasonPhrase::try_from(reason).ok())
        }
    }
}

impl fmt::Debug for RetiredSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetiredSite").finish_non_exhaustive()
    }
}
