//! What the check of a tree tells.

use heliostat_trust::check::{Problem, ProblemKind};
use serde::Serialize;

/// Something in a tree that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file it is about, below the tree.
    pub path: String,
    /// What kind of thing.
    pub kind: FindingKind,
    /// What exactly.
    pub reason: String,
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Something that is signed, or that a signed page names, is not there.
    Missing,
    /// It cannot be had now, and nothing is known of it: an error, a refusal, silence, no file that could be read.
    Unanswered,
    /// The tree is right and too old.
    Expired,
    /// A file lies there that nothing signed names, so that nobody is led to it.
    Stray,
    /// A page or the like stands there, where installers look, and nobody signed it.
    Unsigned,
    /// A page's plain copy lists fewer files than the signed one, and no others.
    Fewer,
    /// What must follow from a signed page, its plain copy first of all, is something else.
    Differs,
    /// Metadata of a kind that clients would not find.
    Odd,
    /// Not what was signed.
    Wrong,
}

impl FindingKind {
    /// Whether bytes that nobody signed stand where installers look, rather than none or old ones.
    pub const fn is_integrity(self) -> bool {
        matches!(self, Self::Unsigned | Self::Differs | Self::Wrong)
    }
}

impl Finding {
    pub(super) fn new(
        path: impl Into<String>,
        kind: FindingKind,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            kind,
            reason: reason.into(),
        }
    }
}

impl From<&Problem> for Finding {
    fn from(problem: &Problem) -> Self {
        let kind = match problem.kind {
            ProblemKind::Missing => FindingKind::Missing,
            ProblemKind::Unread => FindingKind::Unanswered,
            ProblemKind::Expired => FindingKind::Expired,
            ProblemKind::Invalid => FindingKind::Wrong,
            ProblemKind::Odd => FindingKind::Odd,
        };
        Self::new(
            format!("tuf/{}", problem.file),
            kind,
            problem.reason.as_str(),
        )
    }
}

/// What the check of a tree came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TreeReport {
    /// Signed pages.
    pub pages: u64,
    /// Files that pages name.
    pub named: u64,
    /// Files that were hashed, with what stands beside them.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Files that pages name and a tree that holds only what was asked for does not have.
    pub absent: u64,
    /// Findings told.
    pub findings: u64,
    /// Those of them that are about bytes that nobody signed, where installers look.
    pub integrity: u64,
    /// Those of them that are about files which nothing signed names.
    pub strays: u64,
}

/// Counts what is told.
pub(super) struct Teller<F> {
    pub(super) report: TreeReport,
    pub(super) tell: F,
}

impl<F: FnMut(&Finding)> Teller<F> {
    pub(super) fn find(&mut self, finding: &Finding) {
        self.report.findings += 1;
        self.report.strays += u64::from(finding.kind == FindingKind::Stray);
        self.report.integrity += u64::from(finding.kind.is_integrity());
        (self.tell)(finding);
    }
}
