//! Checks a whole signed tree, as anybody might carry it, against a root: metadata, every signed page, every file that
//! a page names. Needs no catalog; changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use heliostat_pypi::page::{CoreMetadata, read_signed};
use heliostat_pypi::{ProjectName, RelPath, Sha256};
use heliostat_store::{Expected, Foreign, StoreError};
use heliostat_trust::check::{Check, Limits, ProblemKind};
use heliostat_trust::metadata::{Extent, TargetFile};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::EngineError;

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
    /// The tree is right and too old.
    Expired,
    /// A page stands there that nobody signed.
    Unsigned,
    /// A page's plain copy is not the signed one: newer or older.
    Differs,
    /// Metadata of a kind that clients would not find.
    Odd,
    /// Not what was signed.
    Wrong,
}

impl FindingKind {
    /// Whether bytes are not what somebody signed, rather than not there or too old.
    pub const fn is_integrity(self) -> bool {
        matches!(self, Self::Wrong)
    }
}

/// What the check of a tree came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TreeReport {
    /// Signed pages.
    pub pages: u64,
    /// Files that were hashed, with what stands beside them.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Files that pages name and a tree that holds only what was asked for does not have.
    pub absent: u64,
    /// Findings told.
    pub findings: u64,
    /// Those of them that are about bytes that are not what was signed.
    pub integrity: u64,
}

/// Checks the tree at `tree`, where `simple/` and `tuf/` are, and tells every finding as it is met. Blocking. `now` is in
/// seconds since 1970.
pub fn check_tree(
    tree: &Path,
    root: &[u8],
    now: i64,
    tell: impl FnMut(&Finding),
) -> Result<TreeReport, EngineError> {
    let now = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut check = Check::begin(root, now, Limits::default())?;
    let mut looker = Looker {
        tree: Foreign::new(tree),
        report: TreeReport::default(),
        signed: BTreeSet::new(),
        tell,
    };
    let mut targets: Vec<(String, TargetFile)> = Vec::new();
    while let Some(wanted) = check.wanted() {
        let bytes = looker.read(&format!("tuf/{}", wanted.file), wanted.max_bytes)?;
        check.take(bytes.as_deref());
        targets.append(&mut check.take_targets());
    }
    let metadata = check.finish();
    for problem in &metadata.problems {
        let kind = match problem.kind {
            ProblemKind::Missing => FindingKind::Missing,
            ProblemKind::Expired => FindingKind::Expired,
            ProblemKind::Invalid => FindingKind::Wrong,
            ProblemKind::Odd => FindingKind::Odd,
        };
        looker.find(&format!("tuf/{}", problem.file), kind, &problem.reason);
    }
    let holds_all = metadata
        .coverage
        .as_ref()
        .is_some_and(|coverage| coverage.extent != Extent::Partial);
    for (path, file) in targets {
        looker.target(&path, file, holds_all)?;
    }
    // Without valid metadata everything would count as unsigned.
    if metadata.bins.is_some() {
        looker.unsigned()?;
    }
    Ok(looker.report)
}

struct Looker<F> {
    tree: Foreign,
    report: TreeReport,
    signed: BTreeSet<String>,
    tell: F,
}

impl<F: FnMut(&Finding)> Looker<F> {
    fn find(&mut self, path: &str, kind: FindingKind, reason: &str) {
        self.report.findings += 1;
        self.report.integrity += u64::from(kind.is_integrity());
        (self.tell)(&Finding {
            path: path.to_owned(),
            kind,
            reason: reason.to_owned(),
        });
    }

    fn read(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match path.parse::<RelPath>() {
            // One byte more is read than is allowed, so that what is too long is seen to be.
            Ok(path) => self.tree.read(&path, limit_bytes.saturating_add(1)),
            Err(_) => Ok(None),
        }
    }

    /// One signed target: its consistent copy, and what that names.
    fn target(&mut self, path: &str, file: TargetFile, holds_all: bool) -> Result<(), EngineError> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let copy = format!("{directory}/{}.{name}", file.sha256);
        self.report.pages += 1;
        let project = directory
            .strip_prefix("simple/")
            .and_then(|name| name.parse::<ProjectName>().ok());
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
            let reason = "the plain page is not the signed one; installers that verify nothing see another state";
            self.find(path, FindingKind::Differs, reason);
        }
        let page = match read_signed(&project, &bytes) {
            Ok(page) => page,
            Err(error) => {
                self.find(&copy, FindingKind::Wrong, &error.to_string());
                return Ok(());
            }
        };
        for file in &page.files {
            let path = file.path.to_string();
            let expected = Expected {
                sha256: file.sha256,
                size_bytes: file.size_bytes,
            };
            if !self.file(&path, &expected, holds_all)? {
                continue;
            }
            if let CoreMetadata::Sha256(sha256) = file.core_metadata {
                self.file(&format!("{path}.metadata"), &of(sha256), holds_all)?;
            }
            if let (Some(sha256), Some(path)) =
                (file.provenance_sha256, file.provenance_path(&project))
            {
                self.file(path.as_str(), &of(sha256), holds_all)?;
            }
        }
        Ok(())
    }

    /// Whether a file is there; told where it should be and is not, or is another one.
    fn file(
        &mut self,
        path: &str,
        expected: &Expected,
        holds_all: bool,
    ) -> Result<bool, EngineError> {
        let place = self.tree.root().join(path);
        let found = heliostat_store::hash(&place, |_| std::ops::ControlFlow::Continue(()))?;
        let Some(found) = found else {
            if holds_all {
                self.find(path, FindingKind::Missing, "a signed page names it");
            } else {
                self.report.absent += 1;
            }
            return Ok(false);
        };
        self.report.files += 1;
        self.report.size_bytes += found.size_bytes;
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
                self.find(
                    &path,
                    FindingKind::Unsigned,
                    "no signed target is this page",
                );
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
