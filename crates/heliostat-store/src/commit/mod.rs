//! The one committer: everything that changes the tree or the catalog's picture of it goes through `Store::commit`,
//! one batch at a time across threads and processes.
//!
//! The order, so that a kill at any point leaves readers at the state before or after:
//!
//! 1. blobs reach the disk under their temporary names;
//! 2. the redo log is written: from here on the batch will be carried out, by us or by recovery;
//! 3. blobs are renamed into place;
//! 4. pages are replaced, or removed;
//! 5. one catalog transaction applies the batch and clears the redo log;
//! 6. files that nothing lists any more, and whose grace is over, are unlinked.
//!
//! What a step wrote is on the disk before the next one begins.

mod execute;
mod plan;
mod sweep;
mod work;

use heliostat_pypi::page::CoreMetadata;
use heliostat_pypi::{ProjectName, Sha256, TreePath};

use crate::error::StoreError;
use crate::intake::VerifiedBlob;
use crate::record::{LedgerEntry, Part, ProjectRecord, Validators};
use crate::store::Store;

pub use sweep::Swept;

/// One thing to be committed.
#[derive(Debug)]
pub enum Change {
    /// A project's page and whatever came with it. One that came on demand never replaces one that a sync answers for.
    Put(Box<Put>),
    /// Files taken for a page that is known already; a newer record stays as it is.
    Blobs(Blobs),
    /// The upstream said that a page has not changed.
    Touch {
        /// The project.
        name: ProjectName,
        /// When, in seconds since 1970.
        confirmed_at: i64,
        /// For the next conditional request.
        validators: Validators,
    },
    /// The project goes, with its page, its files and its ledger.
    Drop {
        /// The project.
        name: ProjectName,
    },
    /// The same for a project taken on demand; one that a sync answers for stays.
    DropOnDemand {
        /// The project.
        name: ProjectName,
    },
    /// An on-demand file goes from the disk; the page goes on listing it.
    Evict {
        /// The file.
        path: TreePath,
    },
    /// Something failed.
    Failed(LedgerEntry),
    /// What failed has been made good.
    Settled {
        /// The project.
        project: ProjectName,
    },
}

/// A project's page and whatever came with it.
#[derive(Debug)]
pub struct Put {
    /// The whole record. Digests and sizes that it lacks are filled in from the blobs.
    pub record: ProjectRecord,
    /// What was taken.
    pub blobs: Vec<Admission>,
    /// What failed; replaces the project's entries in the ledger.
    pub failures: Vec<LedgerEntry>,
}

/// Files taken for a page that is known already.
#[derive(Debug)]
pub struct Blobs {
    /// The project.
    pub project: ProjectName,
    /// What was taken.
    pub blobs: Vec<Admission>,
    /// What was learned of its files.
    pub learned: Vec<Learned>,
}

/// A verified blob and the place it is for.
#[derive(Debug)]
pub struct Admission {
    /// The file.
    pub path: TreePath,
    /// Which part of it.
    pub part: Part,
    /// The bytes.
    pub blob: VerifiedBlob,
}

/// What was learned of a file that the upstream did not tell. Digest and size are taken only where the record has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// The file.
    pub path: TreePath,
    /// Its digest.
    pub sha256: Option<Sha256>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// What our page is to say about its metadata from now on.
    pub core_metadata: Option<CoreMetadata>,
}

/// How to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitPolicy {
    /// Seconds since 1970.
    pub now: i64,
    /// How long files stay on disk after the last page that listed them changed, for clients that still hold that
    /// page. Eviction does not wait.
    pub grace_seconds: u32,
}

/// What a commit did.
#[derive(Debug, Default)]
#[must_use = "refused changes must be told to somebody"]
pub struct Committed {
    /// The catalog's generation afterwards.
    pub generation: u64,
    /// Projects whose record changed or went.
    pub projects: u64,
    /// Parts that were admitted.
    pub admitted: u64,
    /// Their bytes.
    pub admitted_bytes: u64,
    /// What was unlinked at the end.
    pub swept: Swept,
    /// What was not done, each with its reason; everything else was.
    pub refused: Vec<Refusal>,
}

/// A change, or a part of one, that was not made.
#[derive(Debug)]
pub struct Refusal {
    /// The project, where the change named one that we know.
    pub project: Option<ProjectName>,
    /// The file, or empty for the page.
    pub item: String,
    /// Why.
    pub error: StoreError,
}

impl CommitPolicy {
    /// Unlinks at the end of the commit what nothing lists any more.
    pub const fn at(now: i64) -> Self {
        Self {
            now,
            grace_seconds: 0,
        }
    }
}

impl Store {
    /// Commits a batch. A change that contradicts the catalog is refused alone and told in the answer; trouble with
    /// the disk or the catalog is an error, after which the batch is either undone or finished by the next commit or
    /// recovery.
    pub fn commit(
        &self,
        changes: Vec<Change>,
        policy: &CommitPolicy,
    ) -> Result<Committed, StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        let only_frees = changes
            .iter()
            .all(|change| matches!(change, Change::Evict { .. }));
        match self.redo() {
            // A full disk must not keep anybody from freeing space.
            Err(error) if only_frees && error.is_general() => {
                tracing::warn!(error = %error, "an unfinished commit waits for space");
            }
            redone => drop(redone?),
        }
        let batch = plan::plan(self, changes, policy)?;
        self.execute(batch)
    }
}
