//! The check of a tree on disk. Goes on past whatever cannot be read, and opens nothing but regular files.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use heliostat_pypi::page::{ProjectPage, read_signed};
use heliostat_pypi::{ProjectName, RelPath, Sha256};
use heliostat_store::{Expected, Foreign, StoreError, document_places};
use heliostat_trust::check::ProblemKind;
use heliostat_trust::metadata::TargetFile;
use heliostat_upstream::Limits;

use super::derived::{self, LISTS, Source};
use super::finding::Teller;
use super::parts::{Draw, Part, parts};
use super::strays::{Known, strays};
use super::{Doubts, FilesChecked, Finding, FindingKind, State, TreeCheck, TreeReport};
use super::{NAMED, NOT_SIGNED, NOT_THERE, consistent, holds_all, of, project_of};
use crate::error::EngineError;
use crate::ledger::reason_of;

/// Checks the tree at `tree`, where `simple/` and `tuf/` are, and tells every finding as it is met. Blocking.
pub fn check_tree(
    tree: &Path,
    what: &TreeCheck<'_>,
    tell: impl FnMut(&Finding),
) -> Result<TreeReport, EngineError> {
    let mut looker = Looker {
        tree: Foreign::new(tree),
        teller: Teller {
            report: TreeReport::default(),
            tell,
        },
        known: Known::default(),
        draw: Draw::new(what.files),
        holds_all: false,
        doubts: Doubts::new(),
        unknown_pages: 0,
    };
    let state = looker.state(what)?;
    for problem in &state.metadata.problems {
        looker.teller.find(&Finding::from(problem));
    }
    looker.holds_all = holds_all(&state.metadata);
    for (path, file) in &state.targets {
        looker.target(path, *file);
    }
    for part in std::mem::replace(&mut looker.draw, Draw::new(FilesChecked::Nothing)).drawn() {
        looker.part(&part);
    }
    looker.rest(what, &state)?;
    Ok(looker.teller.report)
}

struct Looker<F> {
    tree: Foreign,
    teller: Teller<F>,
    known: Known,
    draw: Draw,
    holds_all: bool,
    doubts: Doubts,
    /// Signed pages that are not there as they were signed: nobody knows what they name.
    unknown_pages: u64,
}

impl<F: FnMut(&Finding)> Looker<F> {
    fn find(&mut self, path: &str, kind: FindingKind, reason: &str) {
        self.teller.find(&Finding::new(path, kind, reason));
    }

    fn read(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match path.parse::<RelPath>() {
            Ok(path) => self.tree.read(&path, limit_bytes),
            Err(_) => Ok(None),
        }
    }

    fn state(&mut self, what: &TreeCheck<'_>) -> Result<State, EngineError> {
        let mut check = what.begin()?;
        let mut timestamp = None;
        let mut targets = BTreeMap::new();
        while let Some(wanted) = check.wanted() {
            let path = format!("tuf/{}", wanted.file);
            let read = self.read(&path, wanted.max_bytes);
            self.known.add(&path);
            match read {
                Ok(bytes) => {
                    check.take(bytes.as_deref());
                    if wanted.file == "timestamp.json" {
                        timestamp = bytes.map(Bytes::from);
                    }
                }
                Err(error @ StoreError::TooLarge { .. }) => {
                    check.refuse(ProblemKind::Invalid, &error.to_string());
                }
                Err(error) => check.refuse(ProblemKind::Unread, &reason_of(&error)),
            }
            targets.extend(check.take_targets());
        }
        Ok(State::new(timestamp, targets, check.finish()))
    }

    /// One signed target: its consistent copy, its plain one, and what it names.
    fn target(&mut self, path: &str, file: TargetFile) {
        let copy = consistent(path, file);
        self.known.add(path);
        self.known.add(&copy);
        let project = project_of(path);
        self.teller.report.pages += u64::from(project.is_some());
        for (_, path) in project.iter().flat_map(document_places) {
            self.known.add(&path);
        }
        let bytes = match self.signed(&copy, file) {
            Ok(bytes) => bytes,
            Err(finding) => {
                self.unknown_pages += u64::from(project.is_some());
                return self.teller.find(&finding);
            }
        };
        let Some(project) = project else {
            match self.read(path, file.size_bytes) {
                Ok(Some(plain)) if plain != bytes => {
                    self.find(path, FindingKind::Differs, NOT_SIGNED);
                }
                Ok(_) => {}
                Err(error) => self.teller.find(&unread(path, &error)),
            }
            return;
        };
        let page = match read_signed(&project, &bytes) {
            Ok(page) => page,
            Err(error) => {
                self.unknown_pages += 1;
                return self.find(&copy, FindingKind::Wrong, &error.to_string());
            }
        };
        let doubts = self.plain(&project, Some((&page, &bytes)));
        if !doubts.is_empty() {
            self.doubts.insert(project.clone(), doubts);
        }
        for part in parts(&project, &page) {
            self.teller.report.named += 1;
            self.known.add(&part.path);
            for (path, _) in &part.beside {
                self.known.add(path);
            }
            if let Some(part) = self.draw.take(part) {
                self.part(&part);
            }
        }
    }

    /// The consistent copy of a target.
    fn signed(&self, copy: &str, file: TargetFile) -> Result<Vec<u8>, Finding> {
        match self.read(copy, file.size_bytes) {
            Ok(Some(bytes)) if Sha256::of(&bytes) == file.sha256 => Ok(bytes),
            Ok(Some(_)) | Err(StoreError::TooLarge { .. }) => {
                Err(Finding::new(copy, FindingKind::Wrong, NOT_SIGNED))
            }
            Ok(None) => Err(Finding::new(copy, FindingKind::Missing, NOT_THERE)),
            Err(error) => Err(unread(copy, &error)),
        }
    }

    /// What is wrong with a project's plain documents.
    fn plain(&self, project: &ProjectName, signed: Option<(&ProjectPage, &[u8])>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let limit_bytes = Limits::default().page_bytes_max;
        let found: Vec<_> = (document_places(project).iter())
            .map(|(_, path)| self.plain_or_told(path, limit_bytes, &mut findings))
            .collect();
        let judged = derived::judge(project, signed, &found, Source::Files);
        // What is there and cannot be read is not missing.
        let is_new = |finding: &Finding| findings.iter().all(|known| known.path != finding.path);
        let judged: Vec<_> = judged.into_iter().filter(is_new).collect();
        findings.extend(judged);
        findings
    }

    /// A document; what is longer than any can be counts as one that is empty.
    fn plain_or_told(
        &self,
        path: &str,
        limit_bytes: u64,
        findings: &mut Vec<Finding>,
    ) -> Option<Vec<u8>> {
        match self.read(path, limit_bytes) {
            Ok(bytes) => bytes,
            Err(StoreError::TooLarge { .. }) => Some(Vec::new()),
            Err(error) => {
                findings.push(unread(path, &error));
                None
            }
        }
    }

    /// A file, and where it is there what stands beside it.
    fn part(&mut self, part: &Part) {
        if self.file(&part.path, &part.expected) {
            for (path, sha256) in &part.beside {
                self.file(path, &of(*sha256));
            }
        }
    }

    /// Whether a file is there; told where it should be and is not, or is another one.
    fn file(&mut self, path: &str, expected: &Expected) -> bool {
        let place = self.tree.root().join(path);
        let found = match heliostat_store::hash(&place, |_| ControlFlow::Continue(())) {
            Ok(Some(found)) => found,
            Ok(None) => {
                if self.holds_all {
                    self.find(path, FindingKind::Missing, NAMED);
                } else {
                    self.teller.report.absent += 1;
                }
                return false;
            }
            Err(error) => {
                self.teller.find(&unread(path, &error));
                return true;
            }
        };
        self.teller.report.files += 1;
        self.teller.report.size_bytes += found.size_bytes;
        if let Err(error) = expected.check(found.sha256, found.size_bytes) {
            self.find(path, FindingKind::Wrong, &error.to_string());
        }
        true
    }

    /// Root lists, what else lies in the tree, and what was doubted until then: a tree in use goes on while it is looked
    /// at, and what is right in its newer state is right.
    fn rest(&mut self, what: &TreeCheck<'_>, state: &State) -> Result<(), EngineError> {
        let mut findings = Vec::new();
        let limit_bytes = Limits::default().list_bytes_max;
        let lists = LISTS.map(|path| {
            self.known.add(path);
            self.plain_or_told(path, limit_bytes, &mut findings)
        });
        let mut listed = derived::judge_lists(&lists, Source::Files);
        let is_new = |finding: &Finding| findings.iter().all(|known| known.path != finding.path);
        listed.findings.retain(is_new);
        findings.append(&mut listed.findings);
        let projects = listed.projects.filter(|_| self.holds_all);
        let mut about_metadata = Vec::new();
        // Without valid metadata everything would count as unsigned.
        if state.is_whole() {
            about_metadata = self.strays(what, state, &mut findings);
            if let Some(projects) = &projects {
                state.doubt_listed(projects, &mut self.doubts);
            }
        }
        let newer = self.newer(what, state)?;
        if newer.is_none() {
            findings.extend(about_metadata);
        }
        for (project, doubts) in std::mem::take(&mut self.doubts) {
            findings.extend(self.resolved(&project, doubts, newer.as_ref()));
        }
        let last = newer.as_ref().unwrap_or(state);
        if let Some(projects) = projects.filter(|_| last.is_whole()) {
            findings.extend(last.lacking(&projects));
        }
        for finding in &findings {
            self.teller.find(finding);
        }
        Ok(())
    }

    /// What lies about: told, doubted where it is a page, and given back where it is metadata.
    fn strays(
        &mut self,
        what: &TreeCheck<'_>,
        state: &State,
        findings: &mut Vec<Finding>,
    ) -> Vec<Finding> {
        self.known.settle();
        let mut about_metadata = Vec::new();
        let unknown = self.unknown_pages + state.unknown_bins();
        let mut unexplained: Option<(u64, Finding)> = None;
        for stray in strays(&self.tree, &self.known, what.root, &state.metadata) {
            let path = &stray.finding.path;
            let is_file = path.starts_with("packages/") || path.starts_with("integrity/");
            match stray.project {
                Some(project) if state.is_unsigned(&project) => {
                    self.doubts.entry(project).or_default().push(stray.finding);
                }
                // Its bin was told to be what it must not be.
                Some(_) => {}
                None if path.starts_with("tuf/") => about_metadata.push(stray.finding),
                None if is_file && unknown > 0 => {
                    unexplained.get_or_insert((0, stray.finding)).0 += 1;
                }
                None => findings.push(stray.finding),
            }
        }
        if let Some((count, first)) = unexplained {
            let reason = format!(
                "{count} files may be named by signed pages that cannot be read, first `{}`",
                first.path
            );
            findings.push(Finding::new("packages", FindingKind::Unanswered, reason));
        }
        about_metadata
    }

    /// The state that the tree has gone on to, where it has.
    fn newer(&mut self, what: &TreeCheck<'_>, state: &State) -> Result<Option<State>, EngineError> {
        let limit_bytes = heliostat_trust::check::Limits::default().timestamp_bytes;
        let timestamp = self.read("tuf/timestamp.json", limit_bytes).ok().flatten();
        if timestamp.as_deref() == state.timestamp.as_deref() {
            return Ok(None);
        }
        Ok(Some(self.state(what)?).filter(|newer| newer.metadata.problems.is_empty()))
    }

    fn resolved(
        &self,
        project: &ProjectName,
        doubts: Vec<Finding>,
        newer: Option<&State>,
    ) -> Vec<Finding> {
        let Some(newer) = newer else {
            return doubts;
        };
        let Some(file) = newer.page(project) else {
            return self.plain(project, None);
        };
        let copy = consistent(&super::page_of(project), file);
        let bytes = match self.signed(&copy, file) {
            Ok(bytes) => bytes,
            Err(finding) => return vec![finding],
        };
        match read_signed(project, &bytes) {
            Ok(page) => self.plain(project, Some((&page, &bytes))),
            Err(error) => vec![Finding::new(copy, FindingKind::Wrong, error.to_string())],
        }
    }
}

fn unread(path: &str, error: &StoreError) -> Finding {
    Finding::new(path, FindingKind::Unanswered, reason_of(error))
}
