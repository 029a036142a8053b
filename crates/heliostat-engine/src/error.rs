//! Everything that can go wrong in a use-case as a whole. What goes wrong with one project stands in the ledger.

use heliostat_pypi::ProjectName;
use heliostat_pypi::bundle::BundleError;
use heliostat_store::StoreError;
use heliostat_trust::TrustError;
use heliostat_upstream::UpstreamError;

/// Why a use-case could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The disk or the catalog.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The upstream as a whole.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The upstream has no root list where one is needed.
    #[error("the upstream `{root}` has no list of projects (it answered 404)")]
    NoList {
        /// The upstream's root, redacted.
        root: String,
    },
    /// Nothing was selected, now or before.
    #[error("nothing is selected to be mirrored")]
    NothingSelected,
    /// Dependencies cannot be resolved.
    #[error("the requirements cannot be resolved for {target}: {report}")]
    Unresolvable {
        /// The Python and platform.
        target: String,
        /// Why, in words.
        report: String,
    },
    /// A project that dependency resolution needs.
    #[error("cannot read what `{project}` depends on: {reason}")]
    ResolveMetadata {
        /// The project.
        project: ProjectName,
        /// Why.
        reason: String,
    },
    /// Keys or metadata are not what they should be.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A signature could not be made.
    #[error("cannot sign {what}: {reason}")]
    Sign {
        /// A role, or a key.
        what: String,
        /// Why.
        reason: String,
    },
    /// Metadata in the tree cannot be used.
    #[error("`{file}`: {reason}")]
    Metadata {
        /// Which file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A project that is to be exported is not mirrored here.
    #[error("`{project}` cannot be exported: {reason}")]
    NotMirrored {
        /// The project.
        project: ProjectName,
        /// Why.
        reason: &'static str,
    },
    /// A pattern that is to be exported selects nothing.
    #[error(
        "no project that is mirrored whole here, and signed where the mirror is, matches `{pattern}`"
    )]
    NothingMatches {
        /// The pattern.
        pattern: String,
    },
    /// The state that a bundle is to build on is no earlier one of this mirror.
    #[error("`--since` is a state of `{theirs}`, and nothing here is from there but from `{ours}`")]
    BaseElsewhere {
        /// The upstream that it names.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// What a bundle does not have says nothing.
    #[error("`--prune` needs a bundle of all that its mirror holds, and this one {reason}")]
    PruneByPart {
        /// What it is instead.
        reason: &'static str,
    },
    /// A bundle cannot be read, written or trusted.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// What is to be exported is not what the catalog says.
    #[error("what the mirror holds is not what it should be")]
    NotAsHeld(#[source] BundleError),
    /// A bundle builds on what is not here.
    #[error("the bundle builds on {lacks} things that this mirror does not have")]
    BundleLacks {
        /// How many.
        lacks: u64,
    },
    /// A bundle is not what a notary signed.
    #[error("the bundle does not prove what it holds: {reason}")]
    BundleUnproven {
        /// What is wrong with it.
        reason: String,
    },
    /// A bundle was right once.
    #[error("the bundle proves nothing as of {as_of}: {reason}")]
    BundleExpired {
        /// What had expired.
        reason: String,
        /// The moment that was asked about.
        as_of: String,
    },
    /// The signed state of a bundle does not fit what is here.
    #[error(
        "the mirror holds {pages} pages otherwise than the bundle's signed state has them, and the bundle does not bring them"
    )]
    BundleUnlike {
        /// How many.
        pages: u64,
    },
    /// A bundle does not fit on the disk.
    #[error("the bundle brings {wanted_bytes} bytes, and the disk has {free_bytes} free")]
    NoRoom {
        /// What it needs.
        wanted_bytes: u64,
        /// What there is.
        free_bytes: u64,
    },
    /// A root is given that is not of the notary whose state the data carries.
    #[error(
        "this data carries the signed state of another notary, whose root {version} and `--root` do not lead to each other"
    )]
    OtherNotary {
        /// The version of the root that the data has.
        version: u64,
    },
    /// Another notary's signatures would take the place of the mirror's own.
    #[error(
        "this mirror signs with keys of its own, and `sync --root` brings another notary's signatures"
    )]
    SignsItself,
    /// What an upstream says is signed does not verify.
    #[error("the upstream's signed state is refused: {reason}")]
    Untrusted {
        /// What is wrong with it.
        reason: String,
    },
    /// What a tree on disk says is signed does not verify.
    #[error("the tree's signed state is refused: {reason}")]
    UntrustedTree {
        /// What is wrong with it.
        reason: String,
    },
    /// The run was asked to stop.
    #[error("stopped before anything was changed")]
    Stopped,
    /// A worker died.
    #[error("a worker stopped unexpectedly: {0}")]
    Worker(String),
}

impl EngineError {
    /// The same trouble, met while a bundle is made: then it is the tree's.
    pub(crate) fn not_as_held(self) -> Self {
        match self {
            Self::Bundle(error) if !error.is_io() => Self::NotAsHeld(error),
            other => other,
        }
    }
}
