//! What the outside may watch while a use-case runs. The engine tells; the program decides how to show it.

use std::fmt;
use std::sync::Arc;

use heliostat_pypi::{ProjectName, Serial};
use serde::Serialize;

use crate::publish::Published;

/// Something that happened. Shapes are part of `--json`: fields are added, never renamed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// An earlier run was cut off; this was finished or discarded.
    Recovered {
        /// Projects whose commit was finished.
        redone: u64,
        /// Temporary files removed.
        discarded: u64,
    },
    /// The upstream's root list was read, or found unchanged.
    Listed {
        /// Projects listed; `None` when unchanged or not asked for.
        projects: Option<u64>,
        /// The list's serial.
        serial: Option<Serial>,
        /// Names in it that are not project names.
        rejected: u64,
    },
    /// Dependencies are being resolved.
    Resolving {
        /// The target, as typed.
        target: String,
        /// Projects looked at so far.
        projects: u64,
    },
    /// What will be done.
    Planned {
        /// Pages to ask for.
        refresh: u64,
        /// Projects to remove.
        drop: u64,
        /// Projects that need nothing.
        keep: u64,
        /// Failed before, waiting for their next try.
        waiting: u64,
    },
    /// A page was read and files are wanted.
    Wanted {
        /// The project.
        project: ProjectName,
        /// Files to fetch.
        files: u64,
        /// Their bytes, where known.
        size_bytes: u64,
    },
    /// Bytes of files arrived.
    Bytes {
        /// How many.
        count: u64,
    },
    /// A file is complete and verified.
    File {
        /// The project.
        project: ProjectName,
        /// Its name.
        file: String,
        /// Its bytes.
        size_bytes: u64,
    },
    /// A project is done: committed, unchanged or removed.
    Project {
        /// The project.
        project: ProjectName,
        /// What came of it.
        outcome: ProjectOutcome,
    },
    /// Something failed and stands in the ledger.
    Failed {
        /// The project.
        project: ProjectName,
        /// The file; empty for the page.
        item: String,
        /// Why.
        reason: String,
        /// Runs that failed so far.
        tries: u32,
    },
    /// Something was taken and is doubted; it stands in the ledger as a warning.
    Warned {
        /// The project.
        project: ProjectName,
        /// The file.
        item: String,
        /// Why.
        reason: String,
    },
    /// Entries of a page that were left out because they could hurt.
    Rejected {
        /// The project.
        project: ProjectName,
        /// How many.
        count: u64,
        /// The first of them.
        first: String,
    },
    /// What changed was signed and published.
    Signed {
        /// What.
        #[serde(flatten)]
        published: Published,
    },
    /// An export or import goes on to its next part. Counts that are not known yet are 0.
    Stage {
        /// Which.
        stage: Stage,
        /// Projects to go through.
        projects: u64,
        /// Bytes to be carried.
        size_bytes: u64,
    },
    /// The root list was published.
    Published {
        /// The serial it claims.
        serial: Option<Serial>,
    },
}

/// The parts of an export and of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// What goes into a bundle is decided.
    Planning,
    /// The bundle is written.
    Packing,
    /// The bundle is read and checked.
    Checking,
    /// What is new in it is taken.
    Taking,
}

/// What came of one project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectOutcome {
    /// A new or changed page was committed.
    Updated,
    /// The upstream had nothing new.
    Unchanged,
    /// It was removed.
    Dropped,
    /// Something failed; see the ledger.
    Failed,
}

/// Where events go.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Events go to `listener`, which must not block.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Nobody listens.
    pub fn none() -> Self {
        Self::new(|_| {})
    }

    /// Tells something that happened outside the engine's own use-cases, such as a recovery at the start.
    pub fn announce(&self, event: Event) {
        self.tell(event);
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
