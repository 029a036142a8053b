//! A second opinion on a mirrored tree, in bandersnatch's layout as heliostat writes it.
//!
//! Owns reading what is on disk and saying what is wrong with it. Reads pages with its own code on purpose: nothing
//! here is shared with the code that wrote them.

mod check;
mod compare;
mod disk;
mod page;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::universe::Universe;

pub use check::check_tree;
pub use compare::compare_with;
pub use page::{Entry, Offer, Page};

/// What a right tree is expected to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expect {
    /// Which of the listed files must be there.
    pub files: Held,
    /// Whether files that no page lists may be there.
    pub orphans: Orphans,
    /// The projects that were asked for, by normalised name; `None` is all.
    pub projects: Option<BTreeSet<String>>,
    /// Where files lie.
    pub paths: Paths,
}

/// Which of the listed files must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Held {
    /// Every one: a mirror.
    #[default]
    Every,
    /// Any; those that are must be right: pages only, or on demand.
    Some,
}

/// Whether files that no page lists may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orphans {
    /// No.
    #[default]
    Forbidden,
    /// Yes: within the grace period of a deletion.
    Allowed,
}

/// Where files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paths {
    /// Under the BLAKE2b-256 of their content, as at PyPI.
    #[default]
    ByContent,
    /// Under any 64 digits: an upstream with other paths.
    Any,
}

/// Something wrong with a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What it concerns: a path below the tree, or a project.
    pub place: String,
    /// What is wrong.
    pub what: What,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A page names it and it is not there: a client gets an error.
    Missing,
    /// It is there and its bytes are not those that a page promises: a client gets wrong bytes.
    WrongBytes(String),
    /// It lies under `packages/` and no page names it.
    Orphan,
    /// It is no part of a tree.
    Litter,
    /// A document cannot be read, or says what it must not.
    BadDocument(String),
    /// Two documents of the tree disagree.
    Disagree(String),
    /// The upstream has it and the tree does not.
    Lacking(String),
    /// The tree has it and the upstream does not.
    Surplus(String),
    /// The upstream says otherwise.
    Differs(String),
}

impl What {
    /// Whether a client that follows the tree's own pages gets an error or wrong bytes: the "bad" of the robustness table.
    pub fn is_bad_for_clients(&self) -> bool {
        matches!(
            self,
            Self::Missing | Self::WrongBytes(_) | Self::BadDocument(_)
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, what } = self;
        match what {
            What::Missing => write!(formatter, "{place}: listed, but not there"),
            What::WrongBytes(how) => write!(formatter, "{place}: wrong bytes: {how}"),
            What::Orphan => write!(formatter, "{place}: no page lists it"),
            What::Litter => write!(formatter, "{place}: no part of a tree"),
            What::BadDocument(why) => write!(formatter, "{place}: {why}"),
            What::Disagree(how) => write!(formatter, "{place}: documents disagree: {how}"),
            What::Lacking(what) => write!(formatter, "{place}: the upstream has {what}"),
            What::Surplus(what) => write!(formatter, "{place}: the upstream does not have {what}"),
            What::Differs(how) => write!(formatter, "{place}: not as upstream: {how}"),
        }
    }
}

/// Checks a data directory: its tree, and that nothing temporary is left in `state/`.
pub fn check_data(data: &Path, expect: &Expect) -> Vec<Problem> {
    let mut problems = check_tree(&data.join("web"), expect);
    problems.extend(
        disk::files_below(&data.join("state/incoming"))
            .into_iter()
            .map(|path| Problem {
                place: format!("state/incoming/{path}"),
                what: What::Litter,
            }),
    );
    problems
}

/// Fails the test, with every problem, unless a data directory is right in itself and as the upstream has it.
#[track_caller]
pub fn assert_mirrors(data: &Path, upstream: &Universe, expect: &Expect) {
    let mut problems = check_data(data, expect);
    problems.extend(compare_with(&data.join("web"), upstream, expect));
    assert_none(&problems);
}

/// Fails the test, with every problem, unless there is none.
#[track_caller]
pub fn assert_none(problems: &[Problem]) {
    let lines: Vec<_> = problems.iter().take(50).map(Problem::to_string).collect();
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        lines.join("\n")
    );
}

#[cfg(test)]
mod tests;
