//! Everything that the answers of one server share. Built once; no part of it is global.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heliostat_engine::Clock;
use heliostat_engine::on_demand::{Gate, OnDemand};
use heliostat_engine::publish::Notary;
use heliostat_store::{Access, Store};
use http::HeaderValue;
use tokio_util::sync::CancellationToken;

use crate::documents::Documents;
use crate::downloads::Downloads;
use crate::metrics::Metrics;
use crate::on_demand::Demand;
use crate::options::{Limits, ServeOptions};
use crate::redirector::Redirector;
use crate::tree::Tree;

/// What the handlers work with.
pub(crate) struct Site {
    /// The public tree.
    pub(crate) tree: Tree,
    /// What is asked where the tree has no answer.
    pub(crate) demand: Demand,
    /// Documents and small files in memory.
    pub(crate) documents: Arc<Documents>,
    /// Download statistics not yet written.
    pub(crate) downloads: Arc<Downloads>,
    /// What `/metrics` tells.
    pub(crate) metrics: Arc<Metrics>,
    /// Who signs here, where somebody does.
    pub(crate) notary: Option<Arc<Notary>>,
    /// The time.
    pub(crate) clock: Clock,
    /// Every bound.
    pub(crate) limits: Limits,
    /// The program's version.
    pub(crate) version: String,
    /// `Cache-Control` of pages.
    pub(crate) page_cache_control: HeaderValue,
    /// Where else files are, where clients are sent there.
    pub(crate) redirector: Option<Arc<Redirector>>,
    draining: AtomicBool,
}

impl Site {
    /// Joins the parts. Without `on_demand` the server is offline: it answers from the tree alone.
    pub(crate) fn new(
        options: &ServeOptions,
        store: Store,
        on_demand: Option<OnDemand>,
        notary: Option<Arc<Notary>>,
        clock: Clock,
    ) -> Self {
        let limits = options.limits.clone();
        let metrics = Arc::new(Metrics::new(&options.version));
        let cache_control = format!("public, max-age={}", limits.page_max_age_seconds);
        Self {
            demand: Demand::new(on_demand, store.clone(), Arc::clone(&metrics)),
            documents: Arc::new(Documents::new(&limits, Arc::clone(&metrics))),
            downloads: Arc::new(Downloads::new(limits.download_rows_max)),
            tree: Tree { store },
            metrics,
            notary,
            clock,
            version: options.version.clone(),
            page_cache_control: HeaderValue::try_from(cache_control)
                .unwrap_or_else(|_| HeaderValue::from_static("no-cache")),
            limits,
            redirector: None,
            draining: AtomicBool::new(false),
        }
    }

    /// The same with other mirrors to send clients to.
    pub(crate) fn with_redirector(self, redirector: Option<Arc<Redirector>>) -> Self {
        Self { redirector, ..self }
    }

    /// The same, giving nothing that does not pass.
    pub(crate) fn with_gate(self, gate: Option<Gate>) -> Self {
        let demand = self.demand.with_gate(gate);
        Self { demand, ..self }
    }

    /// From now on the server is not ready: it is stopping.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server is stopping.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Writes the download statistics now and then, and once more when asked to stop.
    pub(crate) async fn keep_statistics(self: Arc<Self>, stop: CancellationToken) {
        if self.tree.store.access() == Access::ReadOnly {
            return;
        }
        let mut ticks = tokio::time::interval(self.limits.download_flush_interval);
        loop {
            let stopping = stop.run_until_cancelled(ticks.tick()).await.is_none();
            let site = Arc::clone(&self);
            let flush = move || site.downloads.flush(&site.tree.store, site.clock.now());
            match tokio::task::spawn_blocking(flush).await {
                Ok(Ok(flushed)) => {
                    self.metrics.downloads_dropped.inc_by(flushed.dropped);
                }
                Ok(Err(error)) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the download statistics cannot be written; they are kept for the next time"
                ),
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "writing the statistics failed"
                    );
                }
            }
            if stopping {
                return;
            }
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
