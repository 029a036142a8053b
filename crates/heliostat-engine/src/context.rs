//! What every use-case works with: the store, the upstream, who listens, and the clock.

use std::sync::Arc;

use heliostat_client::Clock;
use heliostat_store::Store;
use heliostat_trust::attest::Attestations;
use heliostat_upstream::Upstream;

use crate::error::EngineError;
use crate::events::Events;
use crate::publish::Notary;

/// What every use-case works with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// The disk and the catalog.
    pub store: Store,
    /// Where we take from.
    pub upstream: Upstream,
    /// Who listens.
    pub events: Events,
    /// The time.
    pub clock: Clock,
    /// Who signs here, where somebody does.
    pub notary: Option<Arc<Notary>>,
    /// What is done about provenance that does not hold.
    pub attestations: Attestations,
}

impl Context {
    /// Runs blocking work on the store off the async threads.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, heliostat_store::StoreError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let store = self.store.clone();
        blocking(move || work(&store))
            .await?
            .map_err(EngineError::Store)
    }
}

/// Work on up to this many bytes in memory is done where it stands: handing it to another thread costs more than one
/// write into the page cache.
const INLINE_BYTES_MAX: u64 = 1 << 20;

/// Runs work that blocks in proportion to `size_bytes`, off the async threads when that is much.
pub(crate) async fn blocking_if_large<T: Send + 'static>(
    size_bytes: u64,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EngineError> {
    if size_bytes <= INLINE_BYTES_MAX {
        return Ok(work());
    }
    blocking(work).await
}

/// Runs blocking work off the async threads; a panic in it is an error here, not a hang.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| EngineError::Worker(error.to_string()))
}
