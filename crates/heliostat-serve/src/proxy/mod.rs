//! The proxy's front: the Simple API on loopback, from mirrors that nobody trusts.
//!
//! `heliostat-client` fetches and verifies; this decides what an installer is told. A status is a promise here: 404
//! only where the signed state says that there is no such thing, 422 where something was refused, so that pip and uv
//! stop, and 502 or 503 where nothing is known.

mod answer;
mod handlers;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heliostat_client::Client;
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::error::ServeError;
use crate::front::Front;
use crate::listen::Bound;
use crate::metrics::Metrics;
use crate::options::{Limits, ServeOptions};

pub(crate) use handlers::dispatch;

/// A proxy, before it has an address.
#[derive(Debug)]
pub struct ProxyServer {
    options: ServeOptions,
    client: Client,
}

/// What the handlers work with.
pub(crate) struct ProxySite {
    client: Client,
    /// Where the client works: what it does outlives the request that asked for it.
    runtime: Handle,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    page_cache_control: HeaderValue,
    draining: AtomicBool,
}

impl ProxyServer {
    /// A proxy in front of `client`.
    pub const fn new(options: ServeOptions, client: Client) -> Self {
        Self { options, client }
    }

    /// Takes the address and reads the certificate. Must be called within a Tokio runtime with time and network.
    pub fn bind(self) -> Result<Bound, ServeError> {
        let Self { options, client } = self;
        let site = ProxySite {
            client,
            runtime: Handle::current(),
            metrics: Arc::new(Metrics::new(&options.version)),
            // What a new state says must be seen at once; asking again costs a loopback request.
            page_cache_control: HeaderValue::from_static("no-cache"),
            limits: options.limits.clone(),
            draining: AtomicBool::new(false),
        };
        Bound::new(&options, Front::Proxy(Arc::new(site)))
    }
}

impl ProxySite {
    /// From now on the server is not ready: it is stopping.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Does the client's work where it belongs, for as long as somebody here waits. `None` where that runtime is
    /// ending.
    async fn run<T, F>(&self, work: impl FnOnce(Client) -> F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work(self.client.clone()), &self.runtime);
        match tasks.join_next().await? {
            Ok(outcome) => Some(outcome),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => None,
        }
    }
}

impl fmt::Debug for ProxySite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySite")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
