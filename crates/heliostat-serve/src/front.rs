//! What stands behind the connections of one server: a mirror with a tree, or the proxy that checks other mirrors.
//! Sends each route to its handler.

use std::sync::Arc;

use http::header::CACHE_CONTROL;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use crate::handlers;
use crate::metrics::Metrics;
use crate::negotiate::SimpleType;
use crate::options::Limits;
use crate::problem::Problem;
use crate::proxy::{self, ProxySite};
use crate::reply::{IMMUTABLE, Reply};
use crate::retired::RetiredSite;
use crate::route::Route;
use crate::service::Asked;
use crate::site::Site;

/// What answers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Front {
    /// A mirror, from its tree, and the names of retired hosts beside it.
    Mirror(Arc<Site>, Option<Arc<RetiredSite>>),
    /// The proxy, from mirrors that nobody trusts.
    Proxy(Arc<ProxySite>),
    /// Names of retired hosts, by the map.
    #[cfg_attr(
        not(feature = "retired"),
        expect(dead_code, reason = "without them nobody makes such a front")
    )]
    Retired(Arc<RetiredSite>),
}

impl Front {
    /// Every bound.
    pub(crate) fn limits(&self) -> &Limits {
        match self {
            Self::Mirror(site, _) => &site.limits,
            Self::Proxy(site) => &site.limits,
            Self::Retired(site) => &site.limits,
        }
    }

    /// What `/metrics` tells.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        match self {
            Self::Mirror(site, _) => &site.metrics,
            Self::Proxy(site) => &site.metrics,
            Self::Retired(site) => &site.metrics,
        }
    }

    /// What answers a request for the name of a retired host.
    pub(crate) fn retired(&self, request: &Request<Incoming>) -> Option<&Arc<RetiredSite>> {
        match self {
            Self::Retired(site) => Some(site),
            Self::Mirror(_, site) => site.as_ref().filter(|site| site.is_asked(request)),
            Self::Proxy(_) => None,
        }
    }

    /// From now on the server is not ready: it is stopping.
    pub(crate) fn start_draining(&self) {
        match self {
            Self::Mirror(site, _) => site.start_draining(),
            Self::Proxy(site) => site.start_draining(),
            // It has no readiness of its own: it answers to the end.
            Self::Retired(_) => {}
        }
    }

    /// Does what has to be done beside answering, until asked to stop.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        match self {
            Self::Mirror(site, _) => site.keep_statistics(stop).await,
            Self::Proxy(_) | Self::Retired(_) => stop.cancelled().await,
        }
    }

    /// Answers a route.
    pub(crate) async fn dispatch(&self, route: Route, asked: &Asked<'_>) -> Result<Reply, Problem> {
        match route {
            Route::Liveness => Ok(handlers::health::liveness()),
            Route::Metrics => Ok(handlers::health::metrics(self.metrics())),
            Route::Robots => Ok(handlers::health::robots()),
            Route::Favicon => {
                Ok(Reply::empty(StatusCode::NOT_FOUND).with(CACHE_CONTROL, IMMUTABLE))
            }
            Route::Moved(path) => {
                let target = asked.query.map(|query| format!("{path}?{query}"));
                Reply::redirect(
                    StatusCode::MOVED_PERMANENTLY,
                    target.as_deref().unwrap_or(&path),
                )
            }
            Route::NotFound => Err(Problem::not_found()),
            route => match self {
                Self::Mirror(site, _) => mirror(site, route, asked).await,
                Self::Proxy(site) => proxy::dispatch(site, route, asked).await,
                // Retired names answer before routes are looked at.
                Self::Retired(_) => Err(Problem::not_found()),
            },
        }
    }
}

async fn mirror(site: &Arc<Site>, route: Route, asked: &Asked<'_>) -> Result<Reply, Problem> {
    match route {
        Route::SimplePage(name) => handlers::simple::page(site, name, asked).await,
        Route::File(path, part) => handlers::file::file(site, path, part, asked).await,
        Route::SimpleList => handlers::simple::list(site, asked).await,
        Route::PlainPage(name, format) => {
            handlers::simple::page_as(site, name, SimpleType::plain(format), asked).await
        }
        Route::PlainList(format) => {
            handlers::simple::list_as(site, SimpleType::plain(format), asked).await
        }
        Route::Provenance(provenance) => {
            handlers::simple::provenance(site, provenance, asked).await
        }
        Route::Legacy(name, version) => handlers::legacy::legacy(site, name, version, asked).await,
        Route::LastModified | Route::LocalStats(_) | Route::WellKnown(_) | Route::Signed(_) => {
            handlers::public::public(site, route, asked).await
        }
        Route::Directory(path) => handlers::directory::directory(site, path, asked).await,
        Route::ServerKey => handlers::server_signature::key(site),
        Route::ServerSignature(name) => handlers::server_signature::signature(site, name).await,
        Route::Home => handlers::home::home(site, asked).await,
        Route::Readiness => handlers::health::readiness(site).await,
        _ => Err(Problem::not_found()),
    }
}
