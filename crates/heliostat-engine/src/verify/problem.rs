//! What can be wrong with a mirror, each with the object, what was expected and what was found.

use heliostat_pypi::ProjectName;
use heliostat_trust::attest::AttestationPolicy;
use serde::Serialize;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What kind of thing.
    pub kind: ProblemKind,
    /// The project, where it belongs to one.
    pub project: Option<ProjectName>,
    /// The path in the tree.
    pub path: String,
    /// What should be there.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// What was done about it.
    pub repaired: Repaired,
}

impl Problem {
    /// Whether it is told and counts for nothing more: provenance that does not hold, where the policy is to warn.
    pub fn is_warning(&self, policy: AttestationPolicy) -> bool {
        self.kind == ProblemKind::Unproved && policy != AttestationPolicy::Refuse
    }
}

/// What kinds of things can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// A file that a page lists is not there.
    Missing,
    /// A file has other bytes than it should.
    Corrupt,
    /// A page is not there.
    PageMissing,
    /// A page is not what the catalog says.
    PageDiffers,
    /// The root list is not what the catalog says.
    RootDiffers,
    /// A file that no page lists.
    Orphan,
    /// A page of a project that the catalog does not have.
    Unlisted,
    /// Provenance that does not hold for its file.
    Unproved,
    /// Something failed before and stands in the ledger.
    Failed,
}

/// What was done about a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repaired {
    /// Nothing.
    No,
    /// It was fetched or written again.
    Again,
    /// It could not be had again; the page no longer lists it.
    Dropped,
}

impl ProblemKind {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Corrupt => "corrupt",
            Self::PageMissing => "page missing",
            Self::PageDiffers => "page differs from the catalog",
            Self::RootDiffers => "root list differs from the catalog",
            Self::Orphan => "orphan: no page lists it",
            Self::Unlisted => "page of a project that the catalog does not have",
            Self::Unproved => "provenance does not hold",
            Self::Failed => "failed before",
        }
    }
}
