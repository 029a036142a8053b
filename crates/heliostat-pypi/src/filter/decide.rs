//! The rules, one by one.

use std::collections::BTreeSet;

use super::{Choice, Decision, FileFilter, Kinds, Reason, Unjudged};
use crate::page::{PageFile, ProjectPage};
use crate::select::{Want, Wanted};
use crate::{FileName, LegacyKind, ProjectName, Specifiers, Version, WheelName};

/// What platform rules see of the installers that only one system can run.
const WINDOWS_TAG: &str = "win32";

/// What one file says of itself.
struct Subject<'a> {
    file: &'a PageFile,
    name: Option<FileName>,
    want: Want,
}

pub(super) fn decide(
    filter: &FileFilter,
    page: &ProjectPage,
    wanted: &Wanted,
    now_seconds: i64,
) -> Vec<Decision> {
    let subjects: Vec<Subject<'_>> = page
        .files
        .iter()
        .map(|file| {
            let name = FileName::parse(file.filename(), &page.name).ok();
            Subject {
                file,
                want: wanted.want(file.filename(), name.as_ref()),
                name,
            }
        })
        .collect();
    let mut decisions: Vec<Decision> = subjects
        .iter()
        .map(
            |subject| match subject.judge(filter, &page.name, now_seconds) {
                Err(reason) => Decision::Drop(reason),
                Ok(None) => Decision::Keep,
                Ok(Some(unjudged)) => Decision::KeepUnjudged(unjudged),
            },
        )
        .collect();
    if let Some(latest) = filter.latest {
        drop_all_but_latest(&subjects, &mut decisions, latest.get());
    }
    decisions
}

impl Subject<'_> {
    /// Every rule but `latest`, which needs to see all files.
    fn judge(
        &self,
        filter: &FileFilter,
        project: &ProjectName,
        now_seconds: i64,
    ) -> Result<Option<Unjudged>, Reason> {
        match self.want {
            Want::No => return Err(Reason::NotSelected),
            Want::File => return Ok(None),
            Want::Admitted => self.judge_version(filter, project)?,
            Want::Version => {}
        }
        self.judge_kind(filter)?;
        if let Some(pattern) = filter
            .exclude_files
            .iter()
            .find(|pattern| pattern.matches(self.file.filename()))
        {
            return Err(Reason::Name(pattern.clone()));
        }
        self.judge_platform(filter)?;
        self.judge_python(filter)?;
        let mut unjudged = None;
        if let Some(limit) = filter.size_max_bytes {
            match self.file.size_bytes {
                Some(size) if size > limit => return Err(Reason::TooLarge(limit)),
                Some(_) => {}
                None => unjudged = Some(Unjudged::Size),
            }
        }
        if self.want == Want::Admitted
            && (filter.age_max_seconds.is_some() || filter.age_min_seconds.is_some())
        {
            match self.age_seconds(now_seconds) {
                Some(age) if filter.age_max_seconds.is_some_and(|max| age > max) => {
                    return Err(Reason::TooOld);
                }
                Some(age) if filter.age_min_seconds.is_some_and(|min| age < min) => {
                    return Err(Reason::TooYoung);
                }
                Some(_) => {}
                None => unjudged = Some(Unjudged::UploadTime),
            }
        }
        Ok(unjudged)
    }

    fn judge_version(&self, filter: &FileFilter, project: &ProjectName) -> Result<(), Reason> {
        let version = self.version();
        let specifiers = filter
            .project_versions
            .get(project)
            .unwrap_or(&filter.versions);
        let is_inside =
            specifiers.is_any() || version.is_some_and(|version| specifiers.admit(version));
        if !is_inside {
            return Err(Reason::OutsideVersions(specifiers.clone()));
        }
        // A text that is no version is no pre-release either: only a range can leave it out.
        let is_prerelease = version
            .and_then(Version::as_pep440)
            .is_some_and(pep440_rs::Version::any_prerelease);
        if filter.prereleases == Choice::Drop && is_prerelease {
            return Err(Reason::Prerelease);
        }
        if filter.yanked == Choice::Drop && !self.file.yanked.is_no() {
            return Err(Reason::Yanked);
        }
        Ok(())
    }

    fn judge_kind(&self, filter: &FileFilter) -> Result<(), Reason> {
        match filter.kinds {
            Kinds::Wheels if self.wheel().is_none() => Err(Reason::NotWheel),
            Kinds::Wheels | Kinds::All => Ok(()),
        }
    }

    fn judge_platform(&self, filter: &FileFilter) -> Result<(), Reason> {
        if filter.platforms.is_empty() && filter.exclude_platforms.is_empty() {
            return Ok(());
        }
        let windows = [WINDOWS_TAG.to_owned()];
        let tags: &[String] = match &self.name {
            Some(FileName::Wheel(wheel)) => &wheel.platform,
            Some(FileName::Other {
                kind: LegacyKind::WindowsInstaller | LegacyKind::Msi,
                ..
            }) => &windows,
            _ => return Ok(()),
        };
        let is_served = |tag: &String| {
            let is_excluded = filter.exclude_platforms.iter().any(|rule| rule.covers(tag))
                || filter.exclude_platforms.len() > 1 && all_machines_excluded(filter, tag);
            let is_included = filter.platforms.is_empty()
                || filter.platforms.iter().any(|rule| rule.touches(tag));
            tag == "any" || (is_included && !is_excluded)
        };
        if tags.iter().any(is_served) {
            Ok(())
        } else {
            Err(Reason::Platform(tags.join(", ")))
        }
    }

    fn judge_python(&self, filter: &FileFilter) -> Result<(), Reason> {
        if filter.pythons.is_empty() {
            return Ok(());
        }
        let runs = |wheel: &WheelName| {
            filter
                .pythons
                .iter()
                .any(|python| python.interface_rank(wheel).is_some())
        };
        if let Some(wheel) = self.wheel()
            && !runs(wheel)
        {
            return Err(Reason::Python(format!(
                "{}-{}",
                wheel.python.join("."),
                wheel.abi.join(".")
            )));
        }
        // What cannot be read keeps nobody from installing.
        let Some(text) = &self.file.requires_python else {
            return Ok(());
        };
        let Ok(specifiers) = Specifiers::parse_lenient(text) else {
            return Ok(());
        };
        let is_admitted = filter.pythons.iter().any(|python| {
            python.satisfies(&specifiers)
                && self
                    .wheel()
                    .is_none_or(|wheel| python.interface_rank(wheel).is_some())
        });
        if is_admitted {
            Ok(())
        } else {
            Err(Reason::RequiresPython(specifiers.to_string()))
        }
    }

    fn version(&self) -> Option<&Version> {
        self.name.as_ref().and_then(FileName::version)
    }

    fn wheel(&self) -> Option<&WheelName> {
        self.name.as_ref().and_then(FileName::as_wheel)
    }

    /// Negative ages (a clock that is behind the index) are none.
    fn age_seconds(&self, now_seconds: i64) -> Option<u64> {
        let uploaded: jiff::Timestamp = self.file.upload_time.as_ref()?.parse().ok()?;
        Some(u64::try_from(now_seconds.saturating_sub(uploaded.as_second())).unwrap_or(0))
    }
}

/// Whether the rules together exclude every machine of a tag: `universal2`, when both of its machines are excluded.
fn all_machines_excluded(filter: &FileFilter, tag: &str) -> bool {
    crate::tags::single_machine_tags(tag).is_some_and(|tags| {
        tags.iter()
            .all(|tag| filter.exclude_platforms.iter().any(|rule| rule.covers(tag)))
    })
}

/// Leaves out the releases beyond the newest, among those with a file still kept. Files whose name tells no version
/// stand below everything and fall with the first release that does.
fn drop_all_but_latest(subjects: &[Subject<'_>], decisions: &mut [Decision], latest: u32) {
    let counted: BTreeSet<&Version> = subjects
        .iter()
        .zip(&*decisions)
        .filter(|(subject, decision)| subject.want == Want::Admitted && decision.is_kept())
        .filter_map(|(subject, _)| subject.version())
        .collect();
    let kept = latest_versions(&counted, usize::try_from(latest).unwrap_or(usize::MAX));
    for (subject, decision) in subjects.iter().zip(decisions) {
        if subject.want == Want::Admitted && decision.is_kept() {
            let is_latest = match subject.version() {
                Some(version) => kept.contains(version),
                None => kept.len() == counted.len(),
            };
            if !is_latest {
                *decision = Decision::Drop(Reason::NotLatest(latest));
            }
        }
    }
}

fn latest_versions<'a>(versions: &BTreeSet<&'a Version>, count: usize) -> BTreeSet<&'a Version> {
    let is_prerelease = |version: &Version| {
        version
            .as_pep440()
            .is_some_and(pep440_rs::Version::any_prerelease)
    };
    let newest_first = || versions.iter().rev().copied();
    let finals: Vec<&Version> = newest_first()
        .filter(|version| !is_prerelease(version))
        .take(count)
        .collect();
    let Some(newest) = finals.first().copied() else {
        return newest_first().take(count).collect();
    };
    let ahead = newest_first()
        .take_while(|version| *version > newest)
        .take(count);
    ahead.chain(finals.iter().copied()).collect()
}
