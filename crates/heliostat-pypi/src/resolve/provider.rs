//! What the solver asks, answered from what is known; and what it would have asked next.
//!
//! Packages whose page or metadata is not known are decided last. So when the solver comes to one of them, all that
//! could be decided is decided, and everything it lacked on the way can be fetched at once.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use pubgrub::{
    Dependencies, DependencyProvider, PackageResolutionStatistics, PubGrubError, Ranges,
};

use super::candidates::{Candidate, Candidates, Prereleases};
use super::{Known, KnownMetadata, MetadataRequest, Need, Resolver, report};
use crate::{ExtraName, ProjectName, Requirement, RequirementSource};

type Version = pep440_rs::Version;
type Range = Ranges<Version>;

/// How many decisions a resolution may take. Real ones take some thousands.
const DECISIONS_MAX: u32 = 500_000;
/// From how many conflicts on a project's older versions are asked for ahead, and how many at most.
const CONFLICTS_BEFORE_PREFETCH: u32 = 3;
const PREFETCH_MAX: u32 = 32;

/// What the solver gives versions to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Package {
    /// What was asked for.
    Root,
    /// A project.
    Project(ProjectName),
    /// An extra of a project: needs the project in the same version, and what the extra requires.
    Extra(ProjectName, ExtraName),
}

/// What requirements said of a project, wherever the solver met them.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Projects of which some requirement names a pre-release.
    asks_prereleases: HashSet<ProjectName>,
    /// The ranges of single requirements.
    ranges: HashMap<ProjectName, Vec<Range>>,
}

/// How a run of the solver ended.
pub(super) enum Outcome {
    Solved(HashMap<Package, Version>),
    Suspended(Need),
    Conflict { report: String, seen: Seen },
    GaveUp,
}

/// Why the solver was stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("something has to be fetched first")]
    Suspended,
    #[error("too many decisions")]
    TooManyDecisions,
}

pub(super) struct Provider<'a> {
    resolver: &'a Resolver,
    known: &'a Known,
    seen: RefCell<Seen>,
    /// By project, so that a range that narrows replaces what was wanted before.
    lacking: RefCell<BTreeMap<ProjectName, Lack>>,
    decisions: Cell<u32>,
}

/// What is lacking of one project.
enum Lack {
    Page,
    /// Metadata of these files of the page, with their versions.
    Metadata(Vec<MetadataRequest>),
}

/// What stands for a package in a range.
enum Choice<'a> {
    NoPage,
    NoVersion,
    Version {
        candidate: &'a Candidate,
        metadata: Option<&'a KnownMetadata>,
    },
}

impl Seen {
    /// Grows whenever something new was seen.
    pub(super) fn extent(&self) -> (usize, usize) {
        (
            self.asks_prereleases.len(),
            self.ranges.values().map(Vec::len).sum(),
        )
    }

    fn note(&mut self, requirement: &Requirement, range: &Range) {
        if requirement
            .specifiers()
            .is_some_and(crate::Specifiers::name_prereleases)
        {
            self.asks_prereleases.insert(requirement.name.clone());
        }
        let ranges = self.ranges.entry(requirement.name.clone()).or_default();
        if !ranges.contains(range) {
            ranges.push(range.clone());
        }
    }
}

impl<'a> Provider<'a> {
    pub(super) fn new(resolver: &'a Resolver, known: &'a Known, seen: Seen) -> Self {
        Self {
            resolver,
            known,
            seen: RefCell::new(seen),
            lacking: RefCell::default(),
            decisions: Cell::new(0),
        }
    }

    pub(super) fn solve(self) -> Outcome {
        match pubgrub::resolve(&self, Package::Root, Version::new([0])) {
            Ok(solved) => Outcome::Solved(solved.into_iter().collect()),
            Err(PubGrubError::NoSolution(tree)) => {
                let report = report::explain(&tree, &self.resolver.candidates, self.known);
                Outcome::Conflict {
                    report,
                    seen: self.seen.into_inner(),
                }
            }
            Err(
                PubGrubError::ErrorRetrievingDependencies { source, .. }
                | PubGrubError::ErrorChoosingVersion { source, .. }
                | PubGrubError::ErrorInShouldCancel(source),
            ) => match source {
                Stop::Suspended => match need(self.lacking.into_inner()) {
                    // The solver only waits for what it noted; asking for nothing would never end.
                    need if need == Need::default() => Outcome::GaveUp,
                    need => Outcome::Suspended(need),
                },
                Stop::TooManyDecisions => Outcome::GaveUp,
            },
        }
    }

    fn candidates(&self, name: &ProjectName) -> Option<&'a Arc<Candidates>> {
        self.resolver.candidates.get(name)
    }

    fn prereleases(&self, name: &ProjectName, candidates: &Candidates) -> Prereleases {
        let is_asked_at_root = |requirement: &Requirement| {
            requirement.name == *name
                && requirement
                    .specifiers()
                    .is_some_and(crate::Specifiers::name_prereleases)
                && requirement.may_apply(&self.resolver.environment, None)
        };
        let question = &self.resolver.question;
        if question
            .requirements
            .iter()
            .chain(&question.constraints)
            .any(is_asked_at_root)
        {
            return Prereleases::Always;
        }
        let seen = self.seen.borrow();
        let lacks_final =
            |ranges: &Vec<Range>| ranges.iter().any(|range| !candidates.has_final(range));
        if seen.asks_prereleases.contains(name) || seen.ranges.get(name).is_some_and(lacks_final) {
            Prereleases::LastResort
        } else {
            Prereleases::Never
        }
    }

    fn choose(&self, name: &ProjectName, range: &Range) -> Choice<'a> {
        if !self.known.has_page(name) {
            return Choice::NoPage;
        }
        let Some(candidates) = self.candidates(name) else {
            return Choice::NoVersion;
        };
        let in_order = candidates.in_order(range, self.prereleases(name, candidates));
        match in_order.first() {
            Some(candidate) => Choice::Version {
                candidate,
                metadata: self.metadata(name, candidates, candidate),
            },
            None => Choice::NoVersion,
        }
    }

    fn metadata(
        &self,
        name: &ProjectName,
        candidates: &Candidates,
        candidate: &Candidate,
    ) -> Option<&'a KnownMetadata> {
        self.known.metadata(
            name,
            candidates.page().files[candidate.deciding_file()].filename(),
        )
    }

    /// Notes which documents to fetch: that of the version to choose, and after repeated conflicts those of the
    /// versions that will be tried next.
    fn note_metadata(&self, name: &ProjectName, range: &Range, conflicts: u32) {
        let Some(candidates) = self.candidates(name) else {
            return;
        };
        let ahead = if conflicts < CONFLICTS_BEFORE_PREFETCH {
            0
        } else {
            conflicts.min(PREFETCH_MAX)
        };
        let in_order = candidates.in_order(range, self.prereleases(name, candidates));
        let requests = in_order
            .into_iter()
            .take(1 + usize::try_from(ahead).unwrap_or(0))
            .filter(|candidate| self.metadata(name, candidates, candidate).is_none())
            .map(|candidate| candidates.request(candidate));
        self.lacking
            .borrow_mut()
            .insert(name.clone(), Lack::Metadata(requests.collect()));
    }

    /// Makes sure that the document which the solver waits for is among those to fetch.
    fn insist_on_metadata(&self, name: &ProjectName, candidate: &Candidate) {
        let Some(candidates) = self.candidates(name) else {
            return;
        };
        let request = candidates.request(candidate);
        match self
            .lacking
            .borrow_mut()
            .entry(name.clone())
            .or_insert(Lack::Page)
        {
            Lack::Metadata(requests) if requests.contains(&request) => {}
            Lack::Metadata(requests) => requests.push(request),
            lack @ Lack::Page => *lack = Lack::Metadata(vec![request]),
        }
    }

    /// Requirements as the solver wants them, one by one, so that a conflict names each. `extra` is the extra asked
    /// for of the project that has them.
    fn constraints<'b>(
        &self,
        requirements: impl Iterator<Item = &'b Requirement>,
        extra: Option<&ExtraName>,
    ) -> Vec<(Package, Range)> {
        let mut constraints = Vec::new();
        for requirement in requirements {
            let RequirementSource::Index(specifiers) = &requirement.source else {
                continue;
            };
            if !requirement.may_apply(&self.resolver.environment, extra) {
                continue;
            }
            let mut range = specifiers.range();
            if let Some(constraint) = self.resolver.constraints.get(&requirement.name) {
                range = range.intersection(&constraint.range());
            }
            self.seen.borrow_mut().note(requirement, &range);
            let extras = requirement
                .extras
                .iter()
                .map(|extra| Package::Extra(requirement.name.clone(), extra.clone()));
            for package in extras.chain([Package::Project(requirement.name.clone())]) {
                let constraint = (package, range.clone());
                if !constraints.contains(&constraint) {
                    constraints.push(constraint);
                }
            }
        }
        constraints
    }

    fn dependencies(
        &self,
        name: &ProjectName,
        version: &Version,
        extra: Option<&ExtraName>,
    ) -> Result<Dependencies<Package, Range, String>, Stop> {
        let candidates = self.candidates(name).ok_or(Stop::Suspended)?;
        let candidate = candidates.get(version).ok_or(Stop::Suspended)?;
        let filename = candidates.page().files[candidate.deciding_file()].filename();
        let mut constraints = match self.known.metadata(name, filename) {
            None => return Err(Stop::Suspended),
            Some(KnownMetadata::Unavailable(reason)) if candidate.has_wheel => {
                return Ok(Dependencies::Unavailable(format!(
                    "the metadata of {filename} cannot be had: {reason}"
                )));
            }
            // A source distribution that does not tell is taken as it is, and noted in the solution.
            Some(KnownMetadata::Unavailable(_)) => Vec::new(),
            Some(KnownMetadata::Read(metadata)) => {
                if !self
                    .resolver
                    .question
                    .target
                    .python
                    .satisfies(&metadata.requires_python)
                {
                    let reason = format!("it requires Python {}", metadata.requires_python);
                    return Ok(Dependencies::Unavailable(reason));
                }
                self.constraints(metadata.requires_dist.iter(), extra)
            }
        };
        // The solver knows no package that needs itself: such a requirement holds, or the version is unusable.
        let own = match extra {
            Some(extra) => Package::Extra(name.clone(), extra.clone()),
            None => Package::Project(name.clone()),
        };
        if constraints
            .iter()
            .any(|(package, range)| *package == own && !range.contains(version))
        {
            return Ok(Dependencies::Unavailable(
                "it requires another version of itself".to_owned(),
            ));
        }
        constraints.retain(|(package, _)| *package != own);
        if extra.is_some() {
            constraints.push((
                Package::Project(name.clone()),
                Ranges::singleton(version.clone()),
            ));
        }
        Ok(Dependencies::Available(constraints.into_iter().collect()))
    }
}

impl DependencyProvider for Provider<'_> {
    type P = Package;
    type V = Version;
    type VS = Range;
    /// What is known first; then what was in conflicts; then what has the fewest versions left.
    type Priority = (bool, u32, Reverse<usize>);
    type M = String;
    type Err = Stop;

    fn prioritize(
        &self,
        package: &Package,
        range: &Range,
        statistics: &PackageResolutionStatistics,
    ) -> Self::Priority {
        let (Package::Project(name) | Package::Extra(name, _)) = package else {
            return (true, u32::MAX, Reverse(0));
        };
        let conflicts = statistics.conflict_count();
        match self.choose(name, range) {
            Choice::NoPage => {
                self.lacking.borrow_mut().insert(name.clone(), Lack::Page);
                (false, 0, Reverse(0))
            }
            Choice::NoVersion => (true, u32::MAX, Reverse(0)),
            Choice::Version { metadata: None, .. } => {
                self.note_metadata(name, range, conflicts);
                (false, 0, Reverse(0))
            }
            Choice::Version {
                metadata: Some(_), ..
            } => {
                let left = self.candidates(name).map_or(0, |candidates| {
                    candidates
                        .versions()
                        .filter(|version| range.contains(version))
                        .count()
                });
                (true, conflicts, Reverse(left))
            }
        }
    }

    fn choose_version(&self, package: &Package, range: &Range) -> Result<Option<Version>, Stop> {
        let (Package::Project(name) | Package::Extra(name, _)) = package else {
            return Ok(Some(Version::new([0])));
        };
        match self.choose(name, range) {
            Choice::NoPage => {
                self.lacking.borrow_mut().insert(name.clone(), Lack::Page);
                Err(Stop::Suspended)
            }
            Choice::NoVersion => Ok(None),
            Choice::Version {
                candidate,
                metadata: None,
            } => {
                self.insist_on_metadata(name, candidate);
                Err(Stop::Suspended)
            }
            Choice::Version {
                candidate,
                metadata: Some(_),
            } => Ok(candidate.version.as_pep440().cloned()),
        }
    }

    fn get_dependencies(
        &self,
        package: &Package,
        version: &Version,
    ) -> Result<Dependencies<Package, Range, String>, Stop> {
        match package {
            Package::Root => {
                let constraints =
                    self.constraints(self.resolver.question.requirements.iter(), None);
                Ok(Dependencies::Available(constraints.into_iter().collect()))
            }
            Package::Project(name) => self.dependencies(name, version, None),
            Package::Extra(name, extra) => self.dependencies(name, version, Some(extra)),
        }
    }

    fn should_cancel(&self) -> Result<(), Stop> {
        self.decisions.set(self.decisions.get() + 1);
        if self.decisions.get() > DECISIONS_MAX {
            Err(Stop::TooManyDecisions)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("what was asked for"),
            Self::Project(name) => name.fmt(f),
            Self::Extra(name, extra) => write!(f, "{name}[{extra}]"),
        }
    }
}

fn need(lacking: BTreeMap<ProjectName, Lack>) -> Need {
    let mut need = Need::default();
    let mut seen = BTreeSet::new();
    for (name, lack) in lacking {
        match lack {
            Lack::Page => need.pages.push(name),
            Lack::Metadata(requests) => {
                for request in requests {
                    if seen.insert((request.project.clone(), request.file.filename().to_owned())) {
                        need.metadata.push(request);
                    }
                }
            }
        }
    }
    need
}
