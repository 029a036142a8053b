//! Checks a whole signed tree, as anybody might carry it, against a root: metadata, every signed page, every file that
//! a page names. Needs no catalog; changes nothing.
//!
//! A tree on disk is looked at by `directory`, where whatever lies about is seen, too (`strays`), one behind an address by
//! `mirror`; what follows from signed pages and must be there as it does, `derived` judges for both.

mod derived;
mod directory;
mod finding;
mod mirror;
mod parts;
mod strays;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use heliostat_pypi::{ProjectName, Sha256};
use heliostat_store::Expected;
use heliostat_trust::bins::{Bin, BinCount};
use heliostat_trust::check::{Check, Found, Limits, Report};
use heliostat_trust::metadata::{Extent, TargetFile};
use jiff::Timestamp;

pub use directory::check_tree;
pub use finding::{Finding, FindingKind, TreeReport};
pub use mirror::check_mirror;
pub use parts::FilesChecked;

use crate::error::EngineError;

const NOT_THERE: &str = "it is signed and not there";
const NOT_SIGNED: &str = "it is not what was signed";
const LISTED: &str = "the root list names it, and no signed target is its page";
const NAMED: &str = "a signed page names it";

/// What a tree is checked against, and how far.
#[derive(Debug, Clone, Copy)]
pub struct TreeCheck<'a> {
    /// The root that is trusted because of where it comes from.
    pub root: &'a [u8],
    /// Which files are looked at.
    pub files: FilesChecked,
    /// The time, in seconds since 1970.
    pub now: i64,
}

impl TreeCheck<'_> {
    fn begin(&self) -> Result<Check, EngineError> {
        let now = Timestamp::from_second(self.now).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Check::begin(self.root, now, Limits::default())?)
    }
}

/// What a tree's metadata says.
struct State {
    timestamp: Option<Bytes>,
    targets: BTreeMap<String, TargetFile>,
    metadata: Report,
    /// The bins that are valid: what no other bin names, nobody knows.
    bins: BTreeSet<u32>,
}

impl State {
    fn new(
        timestamp: Option<Bytes>,
        targets: BTreeMap<String, TargetFile>,
        metadata: Report,
    ) -> Self {
        let bin = |role: &Found| Bin::of_role(&role.role.parse().ok()?);
        let bins = metadata.roles.iter().filter_map(bin);
        let bins = bins.filter(|bin| Some(bin.count()) == metadata.bins);
        Self {
            timestamp,
            targets,
            bins: bins.map(Bin::index).collect(),
            metadata,
        }
    }

    /// How many bins there should be and are not valid.
    fn unknown_bins(&self) -> u64 {
        let bins = self.metadata.bins.map_or(0, |bins| u64::from(bins.get()));
        bins.saturating_sub(self.bins.len() as u64)
    }

    /// Whether nobody signed a page of this project.
    fn is_unsigned(&self, project: &ProjectName) -> bool {
        let bin = |bins: BinCount| bins.bin_of(&page_of(project)).index();
        self.page(project).is_none()
            && (self.metadata.bins).is_some_and(|bins| self.bins.contains(&bin(bins)))
    }

    /// Whether all of it is valid so far that what is not among its targets is not signed.
    const fn is_whole(&self) -> bool {
        self.metadata.bins.is_some()
    }

    /// Whether it has a page of this project.
    fn page(&self, project: &ProjectName) -> Option<TargetFile> {
        self.targets.get(&page_of(project)).copied()
    }

    /// What a root list lacks, in a tree that says that it holds everything.
    fn lacking(&self, listed: &BTreeSet<ProjectName>) -> Option<Finding> {
        let signed = self.targets.keys().filter_map(|path| project_of(path));
        let mut lacking = signed.filter(|project| !listed.contains(project));
        let first = lacking.next()?;
        let reason = format!(
            "{} projects whose pages are signed are not in it, first `{first}`",
            1 + lacking.count()
        );
        let list = derived::LISTS[0];
        Some(Finding::new(list, FindingKind::Missing, reason))
    }

    /// Notes which projects of a root list nobody signed, but for those of which that is known.
    fn doubt_listed(&self, listed: &BTreeSet<ProjectName>, doubts: &mut Doubts) {
        for project in listed {
            if self.is_unsigned(project) {
                doubts.entry(project.clone()).or_insert_with(|| {
                    let path = page_of(project);
                    vec![Finding::new(path, FindingKind::Unsigned, LISTED)]
                });
            }
        }
    }
}

/// What is wrong with plain pages, unless the tree has gone on to a newer state in the meantime.
type Doubts = BTreeMap<ProjectName, Vec<Finding>>;

/// Whether a file that a page names and that is not there is a finding.
fn holds_all(metadata: &Report) -> bool {
    metadata
        .coverage
        .as_ref()
        .is_some_and(|coverage| coverage.extent != Extent::Partial)
}

/// The consistent copy of a target: its digest stands before the last segment.
fn consistent(path: &str, file: TargetFile) -> String {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{directory}/{}.{name}", file.sha256)
}

/// The project whose page a target is.
fn project_of(path: &str) -> Option<ProjectName> {
    let (directory, _) = path.rsplit_once('/')?;
    directory.strip_prefix("simple/")?.parse().ok()
}

fn page_of(project: &ProjectName) -> String {
    format!("simple/{project}/index.v1_json")
}

const fn of(sha256: Sha256) -> Expected {
    Expected {
        sha256: Some(sha256),
        size_bytes: None,
    }
}
