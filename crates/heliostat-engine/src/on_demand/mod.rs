//! Answers any project from the upstream, keeping pages and files as they pass.
//!
//! Owns when a page is fresh enough, what happens while the upstream is down, and that each thing is asked for once
//! however many wait for it. Does not speak HTTP to clients; `heliostat-serve` does.

mod file;
mod gate;
mod live;
mod page;
mod provenance;
mod remembered;
mod root;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use heliostat_pypi::page::{Format, ProjectPage, render_page};
use heliostat_pypi::{ProjectName, Serial, TreePath};
use heliostat_store::Part;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use gate::{Gate, Unproved};
pub use live::{LiveDownload, LiveError};

use crate::context::Context;
use crate::error::EngineError;
use crate::take::TakeError;
use heliostat_client::Single;
use heliostat_upstream::UpstreamError;
use remembered::Remembered;

/// How on-demand answers are kept.
#[derive(Debug, Clone)]
pub struct OnDemandOptions {
    /// A page confirmed no longer ago than this is served without asking.
    pub max_age: Duration,
    /// How long an old page is served while the upstream cannot be reached; `None` is for ever.
    pub stale_for: Option<Duration>,
    /// How long a 404 from the upstream is remembered.
    pub negative_age: Duration,
    /// How long a client waits for a fresh page while an old one is at hand.
    pub patience: Duration,
    /// How long a client waits for a page that is not at hand; the upstream is asked on, for whoever comes next.
    pub patience_without_page: Duration,
    /// Bytes of on-demand files to keep; `None` keeps everything.
    pub cache_bytes_max: Option<u64>,
    /// Projects whose files are never evicted.
    pub pinned: Vec<ProjectName>,
}

impl Default for OnDemandOptions {
    fn default() -> Self {
        Self {
            max_age: Duration::from_mins(10),
            stale_for: None,
            negative_age: Duration::from_mins(1),
            patience: Duration::from_secs(5),
            patience_without_page: Duration::from_mins(1),
            cache_bytes_max: None,
            pinned: Vec::new(),
        }
    }
}

/// Takes from the upstream what clients ask for. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OnDemand {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    context: Context,
    options: OnDemandOptions,
    tasks: TaskTracker,
    cancel: CancellationToken,
    negative: Remembered<ProjectName>,
    gate: Option<Gate>,
    pages: Single<ProjectName, Result<page::Refreshed, Arc<OnDemandError>>>,
    parts: Single<(TreePath, Part), Result<Option<Bytes>, Arc<OnDemandError>>>,
    live: live::LiveTable,
    root: root::RootKeeper,
}

/// A page that has just come and is on its way into the tree.
#[derive(Debug)]
pub struct Passing {
    page: ProjectPage,
    json: OnceLock<Bytes>,
    html: OnceLock<Bytes>,
}

impl Passing {
    fn new(page: ProjectPage) -> Self {
        Self {
            page,
            json: OnceLock::new(),
            html: OnceLock::new(),
        }
    }

    /// The document as it will stand in the tree. Made when it is first asked for, because most pages are asked for in
    /// one form, and somebody waits.
    pub fn document(&self, format: Format) -> Bytes {
        let made = match format {
            Format::Json => &self.json,
            Format::Html => &self.html,
        };
        made.get_or_init(|| render_page(&self.page, format).into())
            .clone()
    }

    /// The serial it claims.
    pub const fn serial(&self) -> Option<Serial> {
        self.page.serial
    }
}

/// Where a page stands.
#[derive(Debug, Clone)]
pub enum PageState {
    /// In the tree, fresh enough.
    Ready,
    /// In the tree, old; the upstream cannot be reached.
    Stale,
    /// Just fetched; the tree has it in a moment.
    Passing(Arc<Passing>),
    /// The upstream says that there is no such project.
    NoSuchProject,
}

/// Where a file stands.
#[derive(Debug)]
pub enum FileState {
    /// In the tree.
    Held,
    /// On its way; stream it.
    Live(LiveDownload),
    /// A small document that just came; the tree has it in a moment.
    Passing(Bytes),
    /// Pages only are kept here; the upstream has the file at this address.
    Redirect(String),
    /// No page we or the upstream know names it.
    NotFound,
}

/// Why something cannot be had on demand.
#[derive(Debug, thiserror::Error)]
pub enum OnDemandError {
    /// The upstream, for a page.
    #[error(transparent)]
    Upstream(UpstreamError),
    /// A file.
    #[error(transparent)]
    Take(TakeError),
    /// What the page offers to prove a file with does not prove it, and such a file is not wanted here.
    #[error("`{file}` is refused: {reason}")]
    Refused {
        /// The file's name.
        file: String,
        /// Why.
        reason: String,
    },
    /// The engine or the disk.
    #[error(transparent)]
    Engine(EngineError),
    /// Somebody else's request for the same thing failed.
    #[error("{0}")]
    Shared(Arc<Self>),
    /// The upstream has not answered yet, and is still asked.
    #[error("the upstream has not answered within {} s", .waited.as_secs())]
    Slow {
        /// How long the client was kept.
        waited: Duration,
    },
    /// This server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl OnDemandError {
    /// Whether the upstream could not be reached or was not able to answer (502 or 503, never 404).
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Upstream(_) | Self::Slow { .. } | Self::Stopping => true,
            Self::Take(error) => !error.is_integrity(),
            Self::Refused { .. } | Self::Engine(_) => false,
            Self::Shared(error) => error.is_outage(),
        }
    }

    /// Whether bytes were not what they should be (422: installers stop).
    pub fn is_integrity(&self) -> bool {
        match self {
            Self::Take(error) => error.is_integrity(),
            Self::Refused { .. } => true,
            Self::Shared(error) => error.is_integrity(),
            _ => false,
        }
    }

    /// The name of a file that is refused for its provenance, and why, in words that may be told to anybody.
    pub fn refusal(&self) -> Option<(&str, &str)> {
        match self {
            Self::Refused { file, reason } => Some((file, reason)),
            Self::Shared(error) => error.refusal(),
            _ => None,
        }
    }
}

impl OnDemand {
    /// Nothing is asked for until somebody asks.
    pub fn new(context: Context, options: OnDemandOptions) -> Self {
        let negative = Remembered::new(options.negative_age);
        let gate = Gate::new(context.store.clone(), context.attestations.clone());
        let inner = Inner {
            context,
            options,
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            negative,
            gate,
            pages: Single::default(),
            parts: Single::default(),
            live: live::LiveTable::default(),
            root: root::RootKeeper::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// For how long a confirmed page is served without asking.
    pub fn max_age(&self) -> Duration {
        self.inner.options.max_age
    }

    /// Makes sure that the page can be served.
    pub async fn page(&self, name: &ProjectName) -> Result<PageState, OnDemandError> {
        page::page(&self.inner, name).await
    }

    /// Waits until nothing is under way for a page: what was passing is then in the tree and in the catalog.
    pub async fn settle(&self, name: &ProjectName) {
        self.inner.pages.settle(name).await;
    }

    /// What may be given of what is here, where something is refused.
    pub fn gate(&self) -> Option<Gate> {
        self.inner.gate.clone()
    }

    /// Asks the upstream for what proves a file that is here, or that is redirected to.
    pub async fn prove(&self, unproved: Unproved) -> Result<(), OnDemandError> {
        provenance::prove_once(&self.inner, &unproved.project, &unproved.entry).await
    }

    /// Makes sure that a file or its metadata can be served.
    pub async fn file(&self, path: &TreePath, part: Part) -> Result<FileState, OnDemandError> {
        file::file(&self.inner, path, part).await
    }

    /// Stops taking: downloads under way are cut, commits under way are finished.
    pub async fn stop(&self) {
        self.inner.cancel.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}
