//! Where the tree has no answer, the engine is asked; this module turns what it says into what a client is told.
//!
//! A client that is told 404 goes on to its next index, so 404 is only for what the upstream itself does not have:
//! an outage is 502 or 503, and bytes that are not what they should be are 422, at which pip and uv both stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use heliostat_engine::on_demand::{
    FileState, Gate, LiveDownload, OnDemand, OnDemandError, PageState, Passing,
};
use heliostat_pypi::{ProjectName, TreePath};
use heliostat_store::{Keeper, Part, Store, StoreError};
use http::StatusCode;
use moka::sync::Cache;

use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::problem::Problem;

/// How long a page that was found fresh, or stale while the upstream is away, is not asked about again at the most.
/// The engine has to look into the catalog for each question; a busy page must cost a `stat`.
const SETTLED_FOR: Duration = Duration::from_secs(5);

/// Names that are remembered as settled.
const SETTLED_MAX: u64 = 100_000;

/// The engine's on-demand half, or nothing when the server is offline.
pub(crate) struct Demand {
    engine: Option<Engine>,
    /// What is given only once its provenance holds, where that is wanted.
    gate: Option<Gate>,
    /// Until when a page is not asked about again.
    settled: Cache<ProjectName, Instant>,
    store: Store,
    metrics: Arc<Metrics>,
}

/// Where a page's bytes are.
pub(crate) enum PageSource {
    /// In the tree, if anywhere.
    Tree,
    /// Here, on their way into the tree.
    Passing(Arc<Passing>),
}

/// Where a file's bytes are.
pub(crate) enum FileSource {
    /// In the tree.
    Held,
    /// Arriving.
    Live(LiveDownload),
    /// Here, on their way into the tree.
    Passing(Bytes),
    /// At this address of the upstream: only pages are kept here.
    Redirect(String),
}

impl Demand {
    /// Asks `engine` where there is one.
    pub(crate) fn new(engine: Option<OnDemand>, store: Store, metrics: Arc<Metrics>) -> Self {
        let settled = Cache::builder()
            .max_capacity(SETTLED_MAX)
            .time_to_live(SETTLED_FOR)
            .build();
        Self {
            engine: engine.map(Engine::new),
            gate: None,
            settled,
            store,
            metrics,
        }
    }

    /// The same, giving nothing that does not pass.
    pub(crate) fn with_gate(self, gate: Option<Gate>) -> Self {
        Self { gate, ..self }
    }

    /// Makes sure that what is here of a file, or redirected to, may be given; 422 where it may not.
    pub(crate) async fn may_be_given(&self, path: &TreePath) -> Result<(), Problem> {
        let Some(gate) = &self.gate else {
            return Ok(());
        };
        let looked = gate.look(path).await;
        let Some(unproved) = looked.map_err(|error| problem(&error, path))? else {
            return Ok(());
        };
        let proved = match &self.engine {
            Some(engine) => engine.prove(unproved).await,
            None => Err(unproved.refused()),
        };
        proved.map_err(|error| problem(&error, path))
    }

    /// Whether anything is ever asked for.
    pub(crate) const fn is_offline(&self) -> bool {
        self.engine.is_none()
    }

    /// Makes sure that a page can be served; 404 where the upstream has no such project.
    pub(crate) async fn page(&self, name: &ProjectName) -> Result<PageSource, Problem> {
        let Some(engine) = &self.engine else {
            return Ok(PageSource::Tree);
        };
        if self
            .settled
            .get(name)
            .is_some_and(|until| Instant::now() < until)
        {
            return Ok(PageSource::Tree);
        }
        let state = engine.page(name).await;
        self.metrics.on_demand(
            "page",
            match &state {
                Ok(PageState::Ready) => "ready",
                Ok(PageState::Stale) => "stale",
                Ok(PageState::Passing(_)) => "fetched",
                Ok(PageState::NoSuchProject) => "missing",
                Err(error) => failure(error),
            },
        );
        match state.map_err(|error| problem(&error, name))? {
            PageState::Ready => {
                // Whoever wants pages to be asked about sooner than that gets what they want.
                self.settle(name, SETTLED_FOR.min(engine.max_age()));
                Ok(PageSource::Tree)
            }
            PageState::Stale => {
                self.settle(name, SETTLED_FOR);
                Ok(PageSource::Tree)
            }
            PageState::Passing(passing) => Ok(PageSource::Passing(passing)),
            PageState::NoSuchProject => Err(no_such_project(name)),
        }
    }

    /// Makes sure that the catalog has a page's record, also when the page came only this moment.
    pub(crate) async fn recorded_page(&self, name: &ProjectName) -> Result<(), Problem> {
        if let (PageSource::Passing(_), Some(engine)) = (self.page(name).await?, &self.engine) {
            engine.settle(name).await;
        }
        Ok(())
    }

    fn settle(&self, name: &ProjectName, span: Duration) {
        if !span.is_zero() {
            self.settled.insert(name.clone(), Instant::now() + span);
        }
    }

    /// Finds where a file that is not in the tree can be had; 404 where no page names it.
    pub(crate) async fn file(&self, path: &TreePath, part: Part) -> Result<FileSource, Problem> {
        let Some(engine) = &self.engine else {
            return self.elsewhere(path.clone(), part).await;
        };
        let state = engine.file(path, part).await;
        self.metrics.on_demand(
            "file",
            match &state {
                Ok(FileState::Held) => "ready",
                Ok(FileState::Live(_) | FileState::Passing(_)) => "fetched",
                Ok(FileState::Redirect(_)) => "redirected",
                Ok(FileState::NotFound) => "missing",
                Err(error) => failure(error),
            },
        );
        match state.map_err(|error| problem(&error, path))? {
            FileState::Held => Ok(FileSource::Held),
            FileState::Live(live) => Ok(FileSource::Live(live)),
            FileState::Passing(bytes) => Ok(FileSource::Passing(bytes)),
            FileState::Redirect(target) => Ok(FileSource::Redirect(target)),
            FileState::NotFound => Err(Problem::not_found()),
        }
    }

    /// The path of a file by its name in a project's page, for addresses that do not spell it.
    pub(crate) async fn path_of(
        &self,
        project: &ProjectName,
        filename: String,
    ) -> Result<Option<TreePath>, Problem> {
        self.recorded_page(project).await?;
        let (store, project) = (self.store.clone(), project.clone());
        let found = move || -> Result<_, StoreError> {
            let record = store.project(&project)?;
            Ok(record.and_then(|record| {
                record
                    .page
                    .files
                    .into_iter()
                    .map(|file| file.path)
                    .find(|path| path.filename() == filename)
            }))
        };
        crate::handlers::blocking(found)
            .await?
            .map_err(|error| crate::handlers::failed(&error))
    }

    /// Offline, a file of a project whose pages alone are kept is still where its page came from.
    async fn elsewhere(&self, path: TreePath, part: Part) -> Result<FileSource, Problem> {
        let store = self.store.clone();
        let look = move || -> Result<_, StoreError> {
            let Some(row) = store.file(&path)?.filter(|row| row.path == path) else {
                return Ok(None);
            };
            let Some(record) = store.project(&row.project)? else {
                return Ok(None);
            };
            let kept =
                record.keeper == Keeper::PagesOnly && !record.hidden.contains(path.filename());
            Ok(record
                .page
                .files
                .into_iter()
                .find(|file| kept && file.path == path))
        };
        let found = crate::handlers::blocking(look)
            .await?
            .map_err(|error| crate::handlers::failed(&error))?;
        let file = found.ok_or_else(Problem::not_found)?;
        match part {
            Part::File => Ok(FileSource::Redirect(file.url)),
            Part::Metadata if !file.core_metadata.is_absent() => {
                Ok(FileSource::Redirect(format!("{}.metadata", file.url)))
            }
            Part::Provenance => file
                .provenance
                .map(FileSource::Redirect)
                .ok_or_else(Problem::not_found),
            Part::Metadata => Err(Problem::not_found()),
        }
    }
}

/// The project is nowhere.
pub(crate) fn no_such_project(name: &ProjectName) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("There is no project `{name}` here."),
    )
}

fn failure(error: &OnDemandError) -> &'static str {
    if error.is_integrity() {
        "integrity"
    } else if error.is_outage() {
        "outage"
    } else {
        "failed"
    }
}

fn problem(error: &OnDemandError, wanted: &dyn std::fmt::Display) -> Problem {
    let cause = error as &dyn std::error::Error;
    if let Some((file, reason)) = error.refusal() {
        tracing::warn!(%wanted, error = cause, "a file is refused");
        return Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("`{file}` is not handed out: {reason}."),
        );
    }
    if error.is_integrity() {
        tracing::error!(%wanted, error = cause, "what the upstream sent is not what it promised");
        return Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "What the upstream sent failed verification, so it is not passed on.",
        );
    }
    if matches!(error, OnDemandError::Stopping) {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The server is stopping.");
    }
    if matches!(error, OnDemandError::Slow { .. }) {
        tracing::warn!(%wanted, error = cause, "the upstream keeps somebody waiting");
        return Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The upstream has not answered yet. It is still being asked: try again soon.",
        );
    }
    if error.is_outage() {
        tracing::warn!(%wanted, error = cause, "the upstream could not answer");
        return Problem::new(
            StatusCode::BAD_GATEWAY,
            "The upstream cannot be reached or could not answer.",
        );
    }
    tracing::error!(%wanted, error = cause, "a request on demand failed");
    Problem::internal()
}
