//! Checks a whole signed tree, as anybody might carry it, against a root: metadata, every signed page, every file that
//! a page names. Needs no catalog; changes nothing.
//!
//! A tree on disk is looked at here, one behind an address by `mirror`; what is told of both is the same.

mod finding;
mod mirror;
mod parts;

use std::collections::BTreeSet;
use std::path::Path;

use heliostat_pypi::page::read_signed;
use heliostat_pypi::{ProjectName, RelPath, Sha256};
use heliostat_store::{Expected, Foreign, StoreError};
use heliostat_trust::check::{Check, Limits};
use heliostat_trust::metadata::{Extent, TargetFile};
use jiff::Timestamp;

pub use finding::{Finding, FindingKind, TreeReport};
pub use mirror::check_mirror;
pub use parts::FilesChecked;

use crate::error::EngineError;
use finding::Teller;
use parts::{Draw, Part, parts};

const PLAIN_DIFFERS: &str =
    "the plain page is not the signed one; installers that verify nothing see another state";
const NOT_SIGNED: &str = "no signed target is this page";

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

/// Checks the tree at `tree`, where `simple/` and `tuf/` are, and tells every finding as it is met. Blocking.
pub fn check_tree(
    tree: &Path,
    what: &TreeCheck<'_>,
    tell: impl FnMut(&Finding),
) -> Result<TreeReport, EngineError> {
    let mut check = what.begin()?;
    let report = TreeReport::default();
    let mut looker = Looker {
        tree: Foreign::new(tree),
        teller: Teller { report, tell },
        signed: BTreeSet::new(),
        draw: Draw::new(what.files),
        holds_all: false,
    };
    let mut targets: Vec<(String, TargetFile)> = Vec::new();
    while let Some(wanted) = check.wanted() {
        let bytes = looker.read(&format!("tuf/{}", wanted.file), wanted.max_bytes)?;
        check.take(bytes.as_deref());
        targets.append(&mut check.take_targets());
    }
    let metadata = check.finish();
    for problem in &metadata.problems {
        looker.teller.find(&Finding::from(problem));
    }
    looker.holds_all = holds_all(&metadata);
    for (path, file) in targets {
        looker.target(&path, file)?;
    }
    for part in std::mem::replace(&mut looker.draw, Draw::new(FilesChecked::Nothing)).drawn() {
        looker.part(&part)?;
    }
    // Without valid metadata everything would count as unsigned.
    if metadata.bins.is_some() {
        looker.unsigned()?;
    }
    Ok(looker.teller.report)
}

/// Whether a file that a page names and that is not there is a finding.
fn holds_all(metadata: &heliostat_trust::check::Report) -> bool {
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

struct Looker<F> {
    tree: Foreign,
    teller: Teller<F>,
    signed: BTreeSet<String>,
    draw: Draw,
    holds_all: bool,
}

impl<F: FnMut(&Finding)> Looker<F> {
    fn find(&mut self, path: &str, kind: FindingKind, reason: &str) {
        self.teller.find(&Finding::new(path, kind, reason));
    }

    fn read(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Ok(path) = path.parse::<RelPath>() else {
            return Ok(None);
        };
        // One byte more than is allowed stands for what is too long, so that it is seen to be, and told as a finding.
        let length = limit_bytes.saturating_add(1);
        match self.tree.read(&path, length) {
            Err(StoreError::TooLarge { .. }) => {
                Ok(Some(vec![0; usize::try_from(length).unwrap_or_default()]))
            }
            read => read,
        }
    }

    /// One signed target: its consistent copy, and what that names.
    fn target(&mut self, path: &str, file: TargetFile) -> Result<(), EngineError> {
        let copy = consistent(path, file);
        let project = project_of(path);
        self.teller.report.pages += u64::from(project.is_some());
        self.signed
            .extend(project.as_ref().map(ToString::to_string));
        let Some(bytes) = self.read(&copy, file.size_bytes)? else {
            self.find(&copy, FindingKind::Missing, "it is signed and not there");
            return Ok(());
        };
        if Sha256::of(&bytes) != file.sha256 {
            self.find(&copy, FindingKind::Wrong, "it is not what was signed");
            return Ok(());
        }
        let Some(project) = project else {
            return Ok(());
        };
        if self.read(path, file.size_bytes)?.as_ref() != Some(&bytes) {
            self.find(path, FindingKind::Differs, PLAIN_DIFFERS);
        }
        let page = match read_signed(&project, &bytes) {
            Ok(page) => page,
            Err(error) => {
                self.find(&copy, FindingKind::Wrong, &error.to_string());
                return Ok(());
            }
        };
        for part in parts(&project, &page) {
            self.teller.report.named += 1;
            if let Some(part) = self.draw.take(part) {
                self.part(&part)?;
            }
        }
        Ok(())
    }

    /// A file, and where it is there what stands beside it.
    fn part(&mut self, part: &Part) -> Result<(), EngineError> {
        if self.file(&part.path, &part.expected)? {
            for (path, sha256) in &part.beside {
                self.file(path, &of(*sha256))?;
            }
        }
        Ok(())
    }

    /// Whether a file is there; told where it should be and is not, or is another one.
    fn file(&mut self, path: &str, expected: &Expected) -> Result<bool, EngineError> {
        let place = self.tree.root().join(path);
        let found = heliostat_store::hash(&place, |_| std::ops::ControlFlow::Continue(()))?;
        let Some(found) = found else {
            if self.holds_all {
                self.find(path, FindingKind::Missing, "a signed page names it");
            } else {
                self.teller.report.absent += 1;
            }
            return Ok(false);
        };
        self.teller.report.files += 1;
        self.teller.report.size_bytes += found.size_bytes;
        if let Err(error) = expected.check(found.sha256, found.size_bytes) {
            self.find(path, FindingKind::Wrong, &error.to_string());
        }
        Ok(true)
    }

    /// Pages that stand in the tree and that no target is.
    fn unsigned(&mut self) -> Result<(), EngineError> {
        let Ok(simple) = "simple".parse::<RelPath>() else {
            return Ok(());
        };
        for name in self.tree.names(Some(&simple))? {
            let path = format!("simple/{name}/index.v1_json");
            let is_page = path
                .parse::<RelPath>()
                .is_ok_and(|path| self.tree.root().join(path.as_str()).is_file());
            if is_page && !self.signed.contains(&name) {
                self.find(&path, FindingKind::Unsigned, NOT_SIGNED);
            }
        }
        Ok(())
    }
}

const fn of(sha256: Sha256) -> Expected {
    Expected {
        sha256: Some(sha256),
        size_bytes: None,
    }
}
