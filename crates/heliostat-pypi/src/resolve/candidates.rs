//! The versions of one project that a target can install.

use std::collections::BTreeMap;

use pubgrub::Ranges;

use super::{MetadataRequest, SdistPolicy};
use crate::page::ProjectPage;
use crate::tags::{Fit, Target};
use crate::{FileName, Specifiers, Version};

/// The versions of a project, those that can be installed and those that cannot.
#[derive(Debug)]
pub(super) struct Candidates {
    page: ProjectPage,
    usable: BTreeMap<pep440_rs::Version, Candidate>,
    /// Versions that exist but have no file for the target, with the reason of their last file.
    unusable: BTreeMap<pep440_rs::Version, &'static str>,
    sdists: SdistPolicy,
}

/// A version that can be installed.
#[derive(Debug)]
pub(super) struct Candidate {
    /// As the index spells it.
    pub(super) version: Version,
    /// Indexes of the page's files to hold, the best first.
    pub(super) files: Vec<usize>,
    pub(super) has_wheel: bool,
    is_yanked: bool,
    is_prerelease: bool,
}

/// Which pre-releases may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Prereleases {
    Never,
    /// Where no final release is in range.
    LastResort,
    /// As any other version.
    Always,
}

impl Candidate {
    /// The file whose metadata decides what else is needed.
    pub(super) fn deciding_file(&self) -> usize {
        self.files[0]
    }
}

/// One file that fits, while the files of its version are gathered.
struct Fitting {
    at: usize,
    version: Version,
    /// `None` for a source distribution.
    fit: Option<(Fit, std::cmp::Reverse<u64>)>,
    is_yanked: bool,
}

impl Candidates {
    pub(super) fn new(page: &ProjectPage, target: &Target, sdists: SdistPolicy) -> Self {
        let mut fitting: BTreeMap<pep440_rs::Version, Vec<Fitting>> = BTreeMap::new();
        let mut unusable = BTreeMap::new();
        for at in 0..page.files.len() {
            match judge(page, at, target, sdists) {
                Judged::Fits(key, file) => fitting.entry(key).or_default().push(file),
                Judged::Unfit(key, reason) => {
                    unusable.insert(key, reason);
                }
                Judged::NoVersion => {}
            }
        }
        let usable: BTreeMap<_, _> = fitting
            .into_iter()
            .filter_map(|(key, files)| {
                let candidate = gather(files, sdists, key.any_prerelease());
                if candidate.is_none() {
                    unusable.insert(key.clone(), "it has no wheel for it");
                }
                Some((key, candidate?))
            })
            .collect();
        unusable.retain(|version, _| !usable.contains_key(version));
        Self {
            page: page.clone(),
            usable,
            unusable,
            sdists,
        }
    }

    pub(super) const fn page(&self) -> &ProjectPage {
        &self.page
    }

    /// What to fetch before a candidate can be chosen.
    pub(super) fn request(&self, candidate: &Candidate) -> MetadataRequest {
        MetadataRequest {
            project: self.page.name.clone(),
            version: candidate.version.clone(),
            file: self.page.files[candidate.deciding_file()].clone(),
        }
    }

    pub(super) fn get(&self, version: &pep440_rs::Version) -> Option<&Candidate> {
        self.usable.get(version)
    }

    /// The versions that can be installed, lowest first.
    pub(super) fn versions(&self) -> impl DoubleEndedIterator<Item = &pep440_rs::Version> {
        self.usable.keys()
    }

    /// How many versions of a range exist that cannot be installed, and why the newest cannot.
    pub(super) fn unusable_in(
        &self,
        range: &Ranges<pep440_rs::Version>,
    ) -> Option<(usize, &'static str)> {
        let mut inside = self
            .unusable
            .iter()
            .rev()
            .filter(|(version, _)| range.contains(version));
        let (_, reason) = inside.next()?;
        Some((1 + inside.count(), reason))
    }

    /// Whether a range holds a final release that is not yanked.
    pub(super) fn has_final(&self, range: &Ranges<pep440_rs::Version>) -> bool {
        let mut inside = self
            .usable
            .iter()
            .filter(|(version, _)| range.contains(version));
        inside.any(|(_, candidate)| !candidate.is_prerelease && !candidate.is_yanked)
    }

    /// The versions of a range in the order in which they are to be tried.
    pub(super) fn in_order(
        &self,
        range: &Ranges<pep440_rs::Version>,
        prereleases: Prereleases,
    ) -> Vec<&Candidate> {
        let mut inside: Vec<(&pep440_rs::Version, &Candidate)> = self
            .usable
            .iter()
            .rev()
            .filter(|(version, candidate)| {
                range.contains(version)
                    && (!candidate.is_prerelease || prereleases != Prereleases::Never)
                    // Yanked files are for those who pin them: nothing but this version may be in range.
                    && (!candidate.is_yanked || range.subset_of(&Specifiers::exactly(version).range()))
            })
            .collect();
        // A stable sort: the newest stays first among equals.
        inside.sort_by_key(|(_, candidate)| {
            let is_late = candidate.is_prerelease && prereleases == Prereleases::LastResort;
            let is_sdist = !candidate.has_wheel && self.sdists == SdistPolicy::LastResort;
            (is_late, is_sdist)
        });
        inside.into_iter().map(|(_, candidate)| candidate).collect()
    }
}

enum Judged {
    Fits(pep440_rs::Version, Fitting),
    Unfit(pep440_rs::Version, &'static str),
    NoVersion,
}

fn judge(page: &ProjectPage, at: usize, target: &Target, sdists: SdistPolicy) -> Judged {
    let file = &page.files[at];
    let Ok(name) = FileName::parse(file.filename(), &page.name) else {
        return Judged::NoVersion;
    };
    let Some((version, key)) = name
        .version()
        .and_then(|version| Some((version, version.as_pep440()?)))
    else {
        return Judged::NoVersion;
    };
    // What cannot be read keeps nobody from installing.
    let requires = file
        .requires_python
        .as_ref()
        .and_then(|text| Specifiers::parse_lenient(text).ok());
    if requires.is_some_and(|requires| !target.python.satisfies(&requires)) {
        return Judged::Unfit(key.clone(), "it requires another Python");
    }
    let fit = match &name {
        FileName::Wheel(wheel) => match target.fit(wheel) {
            Some(fit) => Some((fit, std::cmp::Reverse(build_number(wheel.build.as_deref())))),
            None => return Judged::Unfit(key.clone(), "it has no wheel for it"),
        },
        FileName::Sdist(_) if sdists != SdistPolicy::Never => None,
        FileName::Sdist(_) => {
            return Judged::Unfit(key.clone(), "it has only a source distribution");
        }
        FileName::Other { .. } => {
            return Judged::Unfit(
                key.clone(),
                "it has only files of kinds no longer installed",
            );
        }
    };
    let fitting = Fitting {
        at,
        version: version.clone(),
        fit,
        is_yanked: !file.yanked.is_no(),
    };
    Judged::Fits(key.clone(), fitting)
}

/// The digits that a build tag starts with; the higher, the better.
fn build_number(build: Option<&str>) -> u64 {
    let digits = build.unwrap_or_default();
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

fn gather(mut files: Vec<Fitting>, sdists: SdistPolicy, is_prerelease: bool) -> Option<Candidate> {
    let is_yanked = files.iter().all(|file| file.is_yanked);
    files.retain(|file| file.is_yanked == is_yanked);
    // Wheels first, the best first; source distributions as the page has them.
    files.sort_by_key(|file| (file.fit.is_none(), file.fit));
    let has_wheel = files.first()?.fit.is_some();
    debug_assert!(
        has_wheel || sdists != SdistPolicy::Never,
        "source distributions were left out before"
    );
    Some(Candidate {
        version: files.first()?.version.clone(),
        files: files.iter().map(|file| file.at).collect(),
        has_wheel,
        is_yanked,
        is_prerelease,
    })
}
