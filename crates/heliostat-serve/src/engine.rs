//! The engine's on-demand half, kept on the runtime that the server was bound in.
//!
//! What is taken on demand outlives the request that asked for it, and may keep a thread busy for a while; the
//! threads that serve connections must notice neither.

use std::future::Future;
use std::time::Duration;

use heliostat_engine::on_demand::{FileState, OnDemand, OnDemandError, PageState, Unproved};
use heliostat_pypi::{ProjectName, TreePath};
use heliostat_store::Part;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// The engine, from another runtime.
pub(crate) struct Engine {
    on_demand: OnDemand,
    runtime: Handle,
}

impl Engine {
    /// Must be called within the runtime where the work is to be done.
    pub(crate) fn new(on_demand: OnDemand) -> Self {
        Self {
            on_demand,
            runtime: Handle::current(),
        }
    }

    /// For how long a confirmed page is served without asking.
    pub(crate) fn max_age(&self) -> Duration {
        self.on_demand.max_age()
    }

    /// Makes sure that the page can be served.
    pub(crate) async fn page(&self, name: &ProjectName) -> Result<PageState, OnDemandError> {
        let (on_demand, name) = (self.on_demand.clone(), name.clone());
        self.run(async move { on_demand.page(&name).await })
            .await
            .unwrap_or(Err(OnDemandError::Stopping))
    }

    /// Waits until nothing is under way for a page.
    pub(crate) async fn settle(&self, name: &ProjectName) {
        let (on_demand, name) = (self.on_demand.clone(), name.clone());
        self.run(async move { on_demand.settle(&name).await }).await;
    }

    /// Makes sure that a file or its metadata can be served.
    pub(crate) async fn file(
        &self,
        path: &TreePath,
        part: Part,
    ) -> Result<FileState, OnDemandError> {
        let (on_demand, path) = (self.on_demand.clone(), path.clone());
        self.run(async move { on_demand.file(&path, part).await })
            .await
            .unwrap_or(Err(OnDemandError::Stopping))
    }

    /// Asks for what proves a file.
    pub(crate) async fn prove(&self, unproved: Unproved) -> Result<(), OnDemandError> {
        let on_demand = self.on_demand.clone();
        self.run(async move { on_demand.prove(unproved).await })
            .await
            .unwrap_or(Err(OnDemandError::Stopping))
    }

    /// Does the work over there, for as long as somebody here waits. `None` where that runtime is ending.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, &self.runtime);
        match tasks.join_next().await? {
            Ok(outcome) => Some(outcome),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => None,
        }
    }
}
