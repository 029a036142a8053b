//! The closure of requirements over their dependencies, for one target (`--with-deps`).
//!
//! Owns the question "which files must a mirror hold so that these requirements install on this machine, offline?".
//! Does no I/O: [`Resolver::step`] says which pages and metadata documents it lacks, the caller fetches them into
//! [`Known`] and steps again. One [`Known`] serves the resolvers of many targets.
//!
//! As installers do: the newest version wins; extras, markers, `Requires-Python`, yanks (PEP 592: only when pinned)
//! and pre-releases (PEP 440: only when asked for or nothing else exists) are respected. A marker that depends on
//! what a target does not tell (its patch release, its kernel) counts as holding, so that the closure is rather too
//! large than too small.
//!
//! Out of scope are the build requirements of source distributions: they stand in `pyproject.toml`, inside the
//! archive. A mirror that must build takes them as requirements of their own (`setuptools`, `wheel`, …).

mod candidates;
mod known;
mod provider;
mod report;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::page::PageFile;
use crate::tags::Target;
use crate::{
    ExtraName, MarkerEnvironment, ProjectName, Requirement, RequirementSource, Specifiers, Version,
};

use candidates::Candidates;
use provider::{Package, Provider, Seen};

pub use known::{Known, KnownMetadata};

/// How many metadata documents one resolution may ask for before it gives up. Real ones stay below two thousand.
pub const METADATA_REQUESTS_MAX: usize = 50_000;

/// What is to be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What must install.
    pub requirements: Vec<Requirement>,
    /// What narrows versions of projects, wherever they come in (pip's `-c`).
    pub constraints: Vec<Requirement>,
    /// Where it must install.
    pub target: Target,
    /// Whether source distributions may be used.
    pub sdists: SdistPolicy,
}

/// Whether a version that has no wheel for the target may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SdistPolicy {
    /// Never.
    Never,
    /// Only where no version with a wheel is in range.
    #[default]
    LastResort,
    /// Whenever it is the newest, as installers do.
    Newest,
}

/// Answers one [`Question`].
#[derive(Debug)]
pub struct Resolver {
    question: Question,
    environment: MarkerEnvironment,
    constraints: HashMap<ProjectName, Specifiers>,
    candidates: HashMap<ProjectName, Arc<Candidates>>,
    requested: BTreeSet<(ProjectName, String)>,
}

/// Where a resolution stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These must be put into [`Known`] before the next step. Never empty; all of it can be fetched at once.
    Need(Need),
    /// Done.
    Done(Solution),
    /// It cannot be: an explanation in several lines.
    Conflict(String),
}

/// What is lacking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Need {
    /// Pages, sorted.
    pub pages: Vec<ProjectName>,
    /// Core metadata of these files, sorted by project.
    pub metadata: Vec<MetadataRequest>,
}

/// A metadata document that is lacking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataRequest {
    /// The project.
    pub project: ProjectName,
    /// The version.
    pub version: Version,
    /// The file whose metadata decides: its `.metadata` where offered, else what stands in it.
    pub file: PageFile,
}

/// What must be mirrored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Solution {
    /// Every project with the chosen version, sorted by name.
    pub packages: Vec<Resolved>,
    /// What could not be taken into account.
    pub notes: Vec<Note>,
}

/// One chosen version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The project.
    pub name: ProjectName,
    /// The version.
    pub version: Version,
    /// The extras that are needed.
    pub extras: BTreeSet<ExtraName>,
    /// File names to hold, the best first: every wheel that fits the target, then source distributions where the
    /// policy admits them. Never empty.
    pub files: Vec<String>,
}

/// Something that may make the closure incomplete. Never a reason to stop, always one to tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// Only a source distribution fits, and what it depends on is not known without building it.
    UnknownDependencies {
        /// The project.
        project: ProjectName,
        /// The file.
        filename: String,
        /// Why its metadata does not tell.
        reason: String,
    },
    /// A requirement names an address.
    Address {
        /// Who has it; `None` where it was asked for.
        project: Option<ProjectName>,
        /// The requirement.
        requirement: String,
    },
    /// A field of the metadata that could not be read.
    Problem {
        /// The project.
        project: ProjectName,
        /// What is wrong.
        problem: String,
    },
}

impl Resolver {
    /// Prepares to answer. Nothing is computed before the first [`Resolver::step`].
    pub fn new(question: Question) -> Self {
        let mut constraints: HashMap<ProjectName, Specifiers> = HashMap::new();
        let environment = question.target.marker_environment();
        for constraint in &question.constraints {
            if let (Some(specifiers), true) = (
                constraint.specifiers(),
                constraint.may_apply(&environment, None),
            ) {
                let known = constraints
                    .entry(constraint.name.clone())
                    .or_insert_with(Specifiers::any);
                *known = known.and(specifiers);
            }
        }
        Self {
            question,
            environment,
            constraints,
            candidates: HashMap::new(),
            requested: BTreeSet::new(),
        }
    }

    /// The question.
    pub const fn question(&self) -> &Question {
        &self.question
    }

    /// Goes as far as what is known allows. Every [`Step::Need`] asks for something that was not asked for before, so
    /// a caller that answers each need, with a page or document or with its absence, comes to an end.
    pub fn step(&mut self, known: &Known) -> Step {
        self.take_in(known);
        let mut seen = Seen::default();
        loop {
            let extent = seen.extent();
            let provider = Provider::new(self, known, seen);
            let outcome = provider.solve();
            match outcome {
                provider::Outcome::Solved(versions) => {
                    return Step::Done(self.solution(known, &versions));
                }
                provider::Outcome::Suspended(need) => return self.remember(need),
                provider::Outcome::GaveUp => return Step::Conflict(self.gave_up()),
                provider::Outcome::Conflict { report, seen: now } => {
                    // A requirement met late may admit pre-releases that were passed over before.
                    if now.extent() == extent {
                        return Step::Conflict(format!("{}\n{report}", self.heading()));
                    }
                    seen = now;
                }
            }
        }
    }

    /// Works out the candidates of pages that came in.
    fn take_in(&mut self, known: &Known) {
        for page in known.pages() {
            if !self.candidates.contains_key(&page.name) {
                let candidates = Candidates::new(page, &self.question.target, self.question.sdists);
                self.candidates
                    .insert(page.name.clone(), Arc::new(candidates));
            }
        }
    }

    fn remember(&mut self, need: Need) -> Step {
        for request in &need.metadata {
            self.requested
                .insert((request.project.clone(), request.file.filename().to_owned()));
        }
        if self.requested.len() > METADATA_REQUESTS_MAX {
            return Step::Conflict(self.gave_up());
        }
        Step::Need(need)
    }

    fn gave_up(&self) -> String {
        let heading = self.heading();
        format!(
            "{heading}\ngave up after looking at too many versions. Narrower requirements or constraints help."
        )
    }

    fn heading(&self) -> String {
        let constraints: Vec<String> = self
            .question
            .constraints
            .iter()
            .map(ToString::to_string)
            .collect();
        match &constraints[..] {
            [] => format!("On {}:", self.question.target),
            _ => format!(
                "On {}, with the constraints {}:",
                self.question.target,
                constraints.join(" and ")
            ),
        }
    }

    fn solution(&self, known: &Known, versions: &HashMap<Package, pep440_rs::Version>) -> Solution {
        let mut packages: BTreeMap<ProjectName, Resolved> = BTreeMap::new();
        let mut notes = BTreeSet::new();
        for requirement in &self.question.requirements {
            self.note_address(requirement, None, None, &mut notes);
        }
        for (package, version) in versions {
            let (name, extra) = match package {
                Package::Root => continue,
                Package::Project(name) => (name, None),
                Package::Extra(name, extra) => (name, Some(extra)),
            };
            let candidate = self
                .candidates
                .get(name)
                .and_then(|all| Some((all, all.get(version)?)));
            let Some((all, candidate)) = candidate else {
                continue;
            };
            let resolved = packages.entry(name.clone()).or_insert_with(|| Resolved {
                name: name.clone(),
                version: candidate.version.clone(),
                extras: BTreeSet::new(),
                files: candidate
                    .files
                    .iter()
                    .map(|at| all.page().files[*at].filename().to_owned())
                    .collect(),
            });
            resolved.extras.extend(extra.cloned());
            let filename = all.page().files[candidate.deciding_file()].filename();
            match known.metadata(name, filename) {
                Some(KnownMetadata::Read(metadata)) => {
                    for requirement in &metadata.requires_dist {
                        self.note_address(requirement, extra, Some(name), &mut notes);
                    }
                    notes.extend(metadata.problems.iter().map(|problem| Note::Problem {
                        project: name.clone(),
                        problem: problem.clone(),
                    }));
                }
                Some(KnownMetadata::Unavailable(reason)) => {
                    notes.insert(Note::UnknownDependencies {
                        project: name.clone(),
                        filename: filename.to_owned(),
                        reason: reason.clone(),
                    });
                }
                None => {}
            }
        }
        Solution {
            packages: packages.into_values().collect(),
            notes: notes.into_iter().collect(),
        }
    }

    fn note_address(
        &self,
        requirement: &Requirement,
        extra: Option<&ExtraName>,
        project: Option<&ProjectName>,
        notes: &mut BTreeSet<Note>,
    ) {
        if matches!(requirement.source, RequirementSource::Address(_))
            && requirement.may_apply(&self.environment, extra)
        {
            notes.insert(Note::Address {
                project: project.cloned(),
                requirement: requirement.to_string(),
            });
        }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownDependencies {
                project,
                filename,
                reason,
            } => {
                write!(
                    f,
                    "{project}: what {filename} depends on is not known: {reason}"
                )
            }
            Self::Address {
                project: Some(project),
                requirement,
            } => {
                write!(
                    f,
                    "{project}: its requirement `{requirement}` names an address and is not mirrored"
                )
            }
            Self::Address {
                project: None,
                requirement,
            } => {
                write!(f, "`{requirement}` names an address and is not mirrored")
            }
            Self::Problem { project, problem } => write!(f, "{project}: {problem}"),
        }
    }
}

#[cfg(test)]
mod tests;
