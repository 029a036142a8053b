//! Which files of a wanted project are left out: by version, age, size, platform, Python, kind, yank and name.
//!
//! Owns the decision about each file, with its reason, so that a plan can explain itself. Whether a project or a
//! version is wanted at all is `select`'s decision. Pure: the clock is a parameter.

mod decide;
mod reason;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::page::ProjectPage;
use crate::select::{FilePattern, Wanted};
use crate::tags::{PlatformRule, Python};
use crate::{ProjectName, Specifiers};

pub use reason::{Decision, Reason, Unjudged};

/// What to leave out. The default leaves nothing out.
///
/// Rules over *versions* (`versions`, `latest`, `prereleases`, `yanked`, age) do not touch a version that a lock
/// pins, and no rule touches a file that the resolver asked for: both were chosen already.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileFilter {
    /// Versions to keep, of every project.
    #[serde(skip_serializing_if = "Specifiers::is_any")]
    pub versions: Specifiers,
    /// Versions to keep of single projects, in place of `versions`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub project_versions: BTreeMap<ProjectName, Specifiers>,
    /// How many releases to keep, the newest first by PEP 440, counted among those with a file that every other rule
    /// keeps. Final releases are counted; beside them stay as many of the pre-releases that are newer than all of
    /// them. Where a project has nothing but pre-releases, these are counted. What is no version counts as oldest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<NonZeroU32>,
    /// Whether pre-releases and development releases are kept.
    #[serde(skip_serializing_if = "Choice::is_keep")]
    pub prereleases: Choice,
    /// Whether yanked files (PEP 592) are kept.
    #[serde(skip_serializing_if = "Choice::is_keep")]
    pub yanked: Choice,
    /// Whether source distributions and files of older kinds are kept.
    #[serde(skip_serializing_if = "Kinds::is_all")]
    pub kinds: Kinds,
    /// Leaves out files uploaded longer ago, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_max_seconds: Option<u64>,
    /// Leaves out files uploaded more recently, in seconds: a time to notice malware in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_min_seconds: Option<u64>,
    /// Leaves out larger files, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_max_bytes: Option<u64>,
    /// Platforms to serve: wheels for others are left out. Empty serves all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<PlatformRule>,
    /// Platforms not to serve: wheels for nothing else are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_platforms: Vec<PlatformRule>,
    /// Pythons to serve: wheels that none of them can install, and files whose `Requires-Python` admits none of
    /// them, are left out. Empty serves all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pythons: Vec<Python>,
    /// File names to leave out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_files: Vec<FilePattern>,
}

/// Whether something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// It is kept.
    #[default]
    Keep,
    /// It is left out.
    Drop,
}

/// Which kinds of files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kinds {
    /// Wheels, source distributions, and everything else that the index lists.
    #[default]
    All,
    /// Wheels alone.
    Wheels,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls them with references"
)]
impl Choice {
    const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls them with references"
)]
impl Kinds {
    const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }
}

impl FileFilter {
    /// Whether nothing is left out.
    pub fn keeps_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Decides about each file of a page, in the page's order. `now_seconds` is the time since 1970.
    pub fn apply(&self, page: &ProjectPage, wanted: &Wanted, now_seconds: i64) -> Vec<Decision> {
        if self.keeps_everything() && *wanted == Wanted::AllVersions {
            return vec![Decision::Keep; page.files.len()];
        }
        decide::decide(self, page, wanted, now_seconds)
    }
}

#[cfg(test)]
mod tests;
