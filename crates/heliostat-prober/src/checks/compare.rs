//! A mirror's page against the right one. Pure.

use std::collections::{BTreeMap, BTreeSet};

use heliostat_pypi::Sha256;
use heliostat_pypi::page::{PageFile, ProjectPage, StatusKind};
use jiff::Timestamp;

/// How a page differs from the right one.
#[derive(Debug, Default)]
pub(super) struct Differences<'p> {
    /// Files it lacks.
    pub(super) missing: Vec<&'p PageFile>,
    /// Files that the right page does not have: deleted, or never there.
    pub(super) extra: Vec<&'p PageFile>,
    /// Files that are yanked, and are not so here.
    pub(super) not_yanked: Vec<&'p PageFile>,
    /// Files with another digest: the right one's, and this one's.
    pub(super) altered: Vec<(&'p PageFile, Sha256)>,
    /// Files of which both digests are known.
    pub(super) hashed: usize,
    /// Files whose core metadata is not offered.
    pub(super) no_metadata: usize,
}

impl<'p> Differences<'p> {
    pub(super) fn of(right: &'p ProjectPage, theirs: &'p ProjectPage) -> Self {
        let mut found = Self::default();
        let mut there: BTreeMap<&str, &PageFile> = theirs
            .files
            .iter()
            .map(|file| (file.path.filename(), file))
            .collect();
        // Whoever follows the marker of a quarantine offers none, and whoever keeps files of one offers too many.
        let quarantined = right.status.kind == StatusKind::Quarantined;
        for file in right.files.iter().filter(|_| !quarantined) {
            let Some(other) = there.remove(file.path.filename()) else {
                found.missing.push(file);
                continue;
            };
            if !file.yanked.is_no() && other.yanked.is_no() {
                found.not_yanked.push(file);
            }
            if !file.core_metadata.is_absent() && other.core_metadata.is_absent() {
                found.no_metadata += 1;
            }
            if let (Some(digest), Some(claimed)) = (file.sha256, other.sha256) {
                found.hashed += 1;
                if digest != claimed {
                    found.altered.push((file, claimed));
                }
            }
        }
        found.extra = there.into_values().collect();
        found
    }

    /// Whether the last change of the project can be seen.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.not_yanked.is_empty()
    }

    /// When the oldest file that is missing was uploaded.
    pub(super) fn oldest_missing(&self) -> Option<i64> {
        self.missing.iter().filter_map(|file| uploaded(file)).min()
    }

    /// The same as a mirror of a part sees it: what is missing of a release that it has other files of, or was uploaded
    /// before the newest file that it has, it left out. `None` where it has none of the files.
    pub(super) fn without_left_out(mut self, right: &ProjectPage) -> Option<Self> {
        let missing: BTreeSet<&str> = (self.missing.iter())
            .map(|file| file.path.filename())
            .collect();
        if missing.is_empty() {
            return Some(self);
        }
        let held = right.files.iter();
        let held: Vec<&PageFile> = held
            .filter(|file| !missing.contains(file.path.filename()))
            .collect();
        if held.is_empty() {
            return None;
        }
        let newest = held.iter().filter_map(|file| uploaded(file)).max();
        let name = &right.name;
        let has_release = |file: &PageFile| {
            let version = file.version(name);
            version.is_some() && held.iter().any(|held| held.version(name) == version)
        };
        self.missing
            .retain(|file| uploaded(file) >= newest && !has_release(file));
        Some(self)
    }
}

/// What a page tells installers of each file, in order: what cannot differ between two pages of one serial.
pub(super) fn listed(page: &ProjectPage) -> Vec<(&str, Option<Sha256>, bool, Option<&str>)> {
    let mut listed: Vec<_> = page
        .files
        .iter()
        .map(|file| {
            let yanked = !file.yanked.is_no();
            let python = file.requires_python.as_deref();
            (file.path.filename(), file.sha256, yanked, python)
        })
        .collect();
    listed.sort_unstable();
    listed
}

/// When a file was uploaded, in seconds since 1970.
pub(super) fn uploaded(file: &PageFile) -> Option<i64> {
    let time: Timestamp = file.upload_time.as_deref()?.parse().ok()?;
    Some(time.as_second())
}
