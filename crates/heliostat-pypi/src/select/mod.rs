//! What to mirror: everything, names, patterns, requirements, locks, and the closure over dependencies.
//!
//! Owns which projects and versions are wanted. Which *files* of them are left out is `filter`'s decision; reading
//! files and following includes is the caller's.

mod lock;
mod pattern;
mod requirements;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{FileName, ProjectName, Requirement, RequirementSource, Specifiers, Version};

pub use lock::{
    LOCK_BYTES_MAX, LockError, LockKind, LockRead, LockedFile, LockedPackage, SkippedPackage,
    read_lock,
};
pub use pattern::{FilePattern, NamePattern, PatternError};
pub use requirements::{
    Entry, Include, IncludeKind, NotTaken, REQUIREMENTS_BYTES_MAX, RequirementsRead,
    read_requirements,
};

/// A union of everything that was asked for, less what was excluded. Stored in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Selection {
    /// Whether every project is wanted.
    #[serde(skip_serializing_if = "Extent::is_some_projects")]
    pub extent: Extent,
    /// Projects wanted whole.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub names: BTreeSet<ProjectName>,
    /// Projects wanted whole, by the shape of their name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<NamePattern>,
    /// Projects never wanted, whatever else asks for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<NamePattern>,
    /// Versions wanted by requirements: those that any of the sets admits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub required: BTreeMap<ProjectName, BTreeSet<Specifiers>>,
    /// Versions wanted by locks, as the lock spells them: all their files.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub locked: BTreeMap<ProjectName, BTreeSet<String>>,
    /// File names wanted by the resolver.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resolved: BTreeMap<ProjectName, BTreeSet<String>>,
}

/// How much is wanted without being named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// Only what is named or matched.
    #[default]
    SomeProjects,
    /// Everything the upstream lists.
    Everything,
}

/// Which versions of a project are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    AllVersions,
    /// Those that something asks for.
    Only(WantedVersions),
}

/// What asks for versions of a project. A file is wanted when any of these does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WantedVersions {
    /// Versions that any of these admits.
    pub any_of: Vec<Specifiers>,
    /// Exactly these versions.
    pub exact: BTreeSet<Version>,
    /// Exactly these files.
    pub files: BTreeSet<String>,
}

/// How a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Not at all.
    No,
    /// As one of the versions admitted; filters may still choose among them.
    Admitted,
    /// Its version is locked; filters over versions do not apply to it.
    Version,
    /// The file itself is wanted; no filter applies to it.
    File,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
impl Extent {
    const fn is_some_projects(&self) -> bool {
        matches!(self, Self::SomeProjects)
    }
}

impl Selection {
    /// Everything the upstream lists.
    pub fn everything() -> Self {
        Self {
            extent: Extent::Everything,
            ..Self::default()
        }
    }

    /// Whether every project is wanted whole, but for exclusions.
    pub fn is_everything(&self) -> bool {
        self.extent == Extent::Everything
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        *self
            == Self {
                excluded: self.excluded.clone(),
                ..Self::default()
            }
    }

    /// Whether and how a project is wanted.
    pub fn wants(&self, name: &ProjectName) -> Option<Wanted> {
        if self.excluded.iter().any(|pattern| pattern.matches(name)) {
            return None;
        }
        let is_whole = self.is_everything()
            || self.names.contains(name)
            || self.patterns.iter().any(|pattern| pattern.matches(name))
            || self
                .required
                .get(name)
                .is_some_and(|sets| sets.iter().any(Specifiers::is_any));
        if is_whole {
            return Some(Wanted::AllVersions);
        }
        let wanted = WantedVersions {
            any_of: self
                .required
                .get(name)
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            exact: self
                .locked
                .get(name)
                .into_iter()
                .flatten()
                .map(|text| Version::parse(text))
                .collect(),
            files: self.resolved.get(name).cloned().unwrap_or_default(),
        };
        (wanted != WantedVersions::default()).then_some(Wanted::Only(wanted))
    }

    /// Every project that may be wanted, sorted, where names alone tell; `None` where the upstream's list is needed.
    pub fn named(&self) -> Option<impl Iterator<Item = &ProjectName>> {
        let names_alone_tell = !self.is_everything() && self.patterns.is_empty();
        names_alone_tell.then(|| self.names_given().into_iter())
    }

    /// Every project that somebody asked for by its name, whatever else is wanted.
    pub fn names_given(&self) -> BTreeSet<&ProjectName> {
        self.names
            .iter()
            .chain(self.required.keys())
            .chain(self.locked.keys())
            .chain(self.resolved.keys())
            .filter(|name| !self.excluded.iter().any(|pattern| pattern.matches(name)))
            .collect()
    }

    /// Adds requirements, each narrowed by the constraints on its project (pip's `-c`). Constraints select nothing by
    /// themselves. Markers and extras do not narrow: a mirror serves machines of every kind. Returns the requirements
    /// that no index can serve, because they name an address.
    pub fn add_requirements<'a>(
        &mut self,
        requirements: &'a [Requirement],
        constraints: &[Requirement],
    ) -> Vec<&'a Requirement> {
        let mut refused = Vec::new();
        for requirement in requirements {
            let RequirementSource::Index(specifiers) = &requirement.source else {
                refused.push(requirement);
                continue;
            };
            let narrowed = constraints
                .iter()
                .filter(|constraint| constraint.name == requirement.name)
                .filter_map(Requirement::specifiers)
                .fold(specifiers.clone(), |narrowed, constraint| {
                    narrowed.and(constraint)
                });
            self.required
                .entry(requirement.name.clone())
                .or_default()
                .insert(narrowed);
        }
        refused
    }

    /// Adds what a lock file pins.
    pub fn add_locked<'a>(&mut self, packages: impl IntoIterator<Item = &'a LockedPackage>) {
        for package in packages {
            self.locked
                .entry(package.name.clone())
                .or_default()
                .insert(package.version.to_string());
        }
    }

    /// Adds the files that a resolution keeps of a project.
    pub fn add_resolved(&mut self, name: &ProjectName, files: impl IntoIterator<Item = String>) {
        self.resolved.entry(name.clone()).or_default().extend(files);
    }

    /// Adds all that `other` asks for, and all that it excludes.
    pub fn merge(&mut self, other: Self) {
        if other.is_everything() {
            self.extent = Extent::Everything;
        }
        self.names.extend(other.names);
        merge_patterns(&mut self.patterns, other.patterns);
        merge_patterns(&mut self.excluded, other.excluded);
        merge_sets(&mut self.required, other.required);
        merge_sets(&mut self.locked, other.locked);
        merge_sets(&mut self.resolved, other.resolved);
    }
}

impl Wanted {
    /// How one file of the project is wanted, by its name and what the name says. A file whose name tells no version
    /// is wanted only with all versions, or by its name.
    pub fn want(&self, text: &str, name: Option<&FileName>) -> Want {
        let Self::Only(wanted) = self else {
            return Want::Admitted;
        };
        if wanted.files.contains(text) {
            return Want::File;
        }
        let Some(version) = name.and_then(FileName::version) else {
            return Want::No;
        };
        if wanted.exact.contains(version) {
            Want::Version
        } else if wanted
            .any_of
            .iter()
            .any(|specifiers| specifiers.admit(version))
        {
            Want::Admitted
        } else {
            Want::No
        }
    }
}

fn merge_patterns(into: &mut Vec<NamePattern>, from: Vec<NamePattern>) {
    for pattern in from {
        if !into.contains(&pattern) {
            into.push(pattern);
        }
    }
}

fn merge_sets<T: Ord>(
    into: &mut BTreeMap<ProjectName, BTreeSet<T>>,
    from: BTreeMap<ProjectName, BTreeSet<T>>,
) {
    for (name, set) in from {
        into.entry(name).or_default().extend(set);
    }
}

#[cfg(test)]
mod tests;
