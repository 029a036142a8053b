//! In the place of the names of retired hosts where the server is built without the feature `retired`: there are none.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;

use crate::metrics::Metrics;
use crate::options::Limits;
use crate::reply::Reply;
use crate::service::Scheme;

/// Would be names of retired hosts; cannot be made in this build.
#[derive(Debug)]
pub struct RetiredNames(Infallible);

/// Would answer for them.
pub(crate) struct RetiredSite {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    never: Infallible,
}

impl fmt::Debug for RetiredSite {
    fn fmt(&self, _formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.never {}
    }
}

impl RetiredSite {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it stands in for one that keeps them"
    )]
    pub(crate) const fn new(names: RetiredNames, _metrics: Arc<Metrics>, _limits: Limits) -> Self {
        match names.0 {}
    }

    pub(crate) const fn is_asked(&self, _request: &Request<Incoming>) -> bool {
        match self.never {}
    }
}

pub(crate) const fn answer(
    site: &RetiredSite,
    _request: &Request<Incoming>,
    _peer: SocketAddr,
    _scheme: Scheme,
) -> (Reply, Option<ReasonPhrase>) {
    match site.never {}
}
