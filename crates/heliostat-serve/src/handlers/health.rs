//! What machines ask about the server itself.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use super::{blocking, failed};
use crate::metrics::{self, Metrics};
use crate::problem::Problem;
use crate::reply::{NO_STORE, Reply};
use crate::site::Site;

const TEXT: &str = "text/plain; charset=utf-8";

/// `/healthz`: whoever answers is alive.
pub(crate) fn liveness() -> Reply {
    Reply::bytes(TEXT, Bytes::from_static(b"ok\n")).with(CACHE_CONTROL, NO_STORE)
}

/// `/readyz`: the catalog can be read and the server is not stopping.
pub(crate) async fn readiness(site: &Arc<Site>) -> Result<Reply, Problem> {
    let not_ready = |detail: &str| {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        Reply::problem(&problem).with(RETRY_AFTER, HeaderValue::from_static("5"))
    };
    if site.is_draining() {
        return Ok(not_ready("The server is stopping."));
    }
    let store = site.tree.store.clone();
    match blocking(move || store.generation()).await? {
        Ok(_generation) => {
            Ok(Reply::bytes(TEXT, Bytes::from_static(b"ready\n")).with(CACHE_CONTROL, NO_STORE))
        }
        Err(error) => {
            failed(&error);
            Ok(not_ready("The catalog cannot be read."))
        }
    }
}

/// `/metrics`
pub(crate) fn metrics(metrics: &Metrics) -> Reply {
    Reply::bytes(metrics::CONTENT_TYPE, metrics.encode()).with(CACHE_CONTROL, NO_STORE)
}

/// `/robots.txt`: crawlers find nothing here that PyPI does not have, and millions of files of it.
pub(crate) fn robots() -> Reply {
    let rules = b"User-agent: *\nDisallow: /\nAllow: /$\n";
    Reply::bytes(TEXT, Bytes::from_static(rules)).with(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=86400"),
    )
}
