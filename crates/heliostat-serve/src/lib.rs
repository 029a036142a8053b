//! HTTP in: what pip, uv, other mirrors and people are answered.
//!
//! Reads the tree through `heliostat-store` and asks `heliostat-engine` for what the tree lacks. Decides about media
//! types, codings, preconditions, ranges, caching and what a failure looks like outside; owns the sockets, TLS and
//! the tasks behind them. Writes nothing but download statistics, and reads no configuration.
//!
//! A request goes `listen` → `workers` → `connection` → `service` → `route` → one of `handlers` → `reply`; the modules
//! `negotiate`, `encoding`, `conditional`, `range`, `host`, `route` and `user_agent` are pure.

mod account;
mod body;
mod conditional;
mod connection;
#[cfg(test)]
mod corpus;
mod documents;
mod downloads;
mod encoding;
mod engine;
mod error;
mod front;
mod handlers;
mod host;
mod listen;
mod metrics;
mod negotiate;
mod on_demand;
mod options;
mod problem;
mod proxy;
mod range;
mod redirector;
mod reply;
#[cfg(feature = "retired")]
mod retired;
#[cfg(not(feature = "retired"))]
#[path = "retired_without.rs"]
mod retired;
mod route;
mod service;
mod site;
mod stall;
mod tls;
mod tree;
mod user_agent;
mod workers;

use std::sync::Arc;

use heliostat_engine::Clock;
use heliostat_engine::on_demand::{Gate, OnDemand};
use heliostat_engine::publish::Notary;
use heliostat_store::Store;

use front::Front;
use retired::RetiredSite;

pub use error::ServeError;
pub use listen::{Bound, Drained};
pub use options::{Limits, ServeOptions, TlsFiles};
pub use proxy::ProxyServer;
pub use redirector::{Elsewhere, ReadList, Redirector};
pub use retired::RetiredNames;
#[cfg(feature = "retired")]
pub use retired::RetiredServer;

/// A server, before it has an address.
#[derive(Debug)]
pub struct Server {
    options: ServeOptions,
    store: Store,
    on_demand: Option<OnDemand>,
    notary: Option<Arc<Notary>>,
    clock: Clock,
    retired: Option<RetiredNames>,
    redirector: Option<Redirector>,
    gate: Option<Gate>,
}

impl Server {
    /// A server of `store`'s tree. Without `on_demand` it is offline: it makes no request of its own.
    pub fn new(
        options: ServeOptions,
        store: Store,
        on_demand: Option<OnDemand>,
        clock: Clock,
    ) -> Self {
        Self {
            options,
            store,
            on_demand,
            notary: None,
            clock,
            retired: None,
            redirector: None,
            gate: None,
        }
    }

    /// With the notary whose keys are at hand: `/serverkey` and `/serversig/` are answered with them.
    #[must_use]
    pub fn with_notary(self, notary: Option<Arc<Notary>>) -> Self {
        Self { notary, ..self }
    }

    /// Answers for the names of retired hosts too.
    #[must_use]
    pub fn with_retired(self, retired: Option<RetiredNames>) -> Self {
        Self { retired, ..self }
    }

    /// Sends clients to other mirrors for files, where one is known to have them.
    #[must_use]
    pub fn with_redirector(self, redirector: Option<Redirector>) -> Self {
        Self { redirector, ..self }
    }

    /// Gives no file that does not pass.
    #[must_use]
    pub fn with_gate(self, gate: Option<Gate>) -> Self {
        Self { gate, ..self }
    }

    /// Takes the address and reads the certificate. Must be called within a Tokio runtime with time and network.
    pub fn bind(self) -> Result<Bound, ServeError> {
        let Self {
            options,
            store,
            on_demand,
            notary,
            clock,
            retired,
            redirector,
            gate,
        } = self;
        let site = site::Site::new(&options, store, on_demand, notary, clock)
            .with_redirector(redirector.map(Arc::new))
            .with_gate(gate);
        let retired = retired.map(|names| {
            let metrics = Arc::clone(&site.metrics);
            Arc::new(RetiredSite::new(names, metrics, options.limits.clone()))
        });
        Bound::new(&options, Front::Mirror(Arc::new(site), retired))
    }
}
