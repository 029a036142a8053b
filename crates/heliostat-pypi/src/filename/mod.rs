//! File names of releases: wheels (PEP 427), source distributions (PEP 625 and everything before it), and the older
//! kinds that indexes still list.
//!
//! Owns what a name says about its file. Whether a name may stand in the tree at all is `path`'s business.

use crate::path::check_segment;
use crate::{ProjectName, Version};

/// What the name of a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileName {
    /// A wheel.
    Wheel(WheelName),
    /// A source distribution of this version.
    Sdist(Version),
    /// Something that installers of today pass over: kept, because a mirror is not a judge of that.
    Other {
        /// What it is.
        kind: LegacyKind,
        /// Its version, where the name tells.
        version: Option<Version>,
    },
}

/// The parts of a wheel's name after the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelName {
    /// The version.
    pub version: Version,
    /// The build tag, which starts with a digit.
    pub build: Option<String>,
    /// Python tags, lower case, never empty (`py2.py3` is two).
    pub python: Vec<String>,
    /// ABI tags, lower case, never empty.
    pub abi: Vec<String>,
    /// Platform tags, lower case, never empty.
    pub platform: Vec<String>,
}

/// The kinds of files that indexes took in earlier years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LegacyKind {
    /// `.egg`
    Egg,
    /// `.exe`
    WindowsInstaller,
    /// `.msi`
    Msi,
    /// `.rpm`
    Rpm,
    /// `.deb`
    Deb,
    /// `.dmg`
    Dmg,
    /// A built archive without metadata (`distutils`' `bdist_dumb`), such as `acme-1.0.linux-x86_64.tar.gz`.
    Dumb,
    /// An archive whose name holds no version, or `.whl` without the parts of a wheel's name.
    Unnamed,
}

/// Why a text is not a file name of a project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a file name to take: {reason}")]
pub struct FileNameError {
    /// The text as given, shortened and escaped for display.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Suffixes of archives that may be source distributions, lower case. Longer ones first.
const ARCHIVES: [&str; 10] = [
    ".tar.bz2",
    ".tar.lzma",
    ".tar.zst",
    ".tar.gz",
    ".tar.xz",
    ".tar.z",
    ".tgz",
    ".tbz",
    ".tar",
    ".zip",
];

/// Suffixes of the other kinds, lower case.
const LEGACY: [(&str, LegacyKind); 6] = [
    (".egg", LegacyKind::Egg),
    (".exe", LegacyKind::WindowsInstaller),
    (".msi", LegacyKind::Msi),
    (".rpm", LegacyKind::Rpm),
    (".deb", LegacyKind::Deb),
    (".dmg", LegacyKind::Dmg),
];

/// What `bdist_dumb` and its kin put after the version, lower case.
const PLATFORM_MARKS: [&str; 9] = [
    ".linux-",
    ".linux2-",
    ".macosx-",
    ".win32",
    ".win-",
    ".cygwin-",
    ".darwin-",
    ".freebsd-",
    ".noarch",
];

/// Words that versions from before PEP 440 start with; anything else with a letter first is part of a name.
const VERSION_WORDS: [&str; 13] = [
    "alpha", "beta", "dev", "final", "git", "post", "pre", "r", "rc", "release", "rev", "snapshot",
    "svn",
];

impl FileName {
    /// Reads `text` as the name of a file of `project`, whose name decides where the version starts.
    ///
    /// Any spelling that PEP 503 normalises to the project is accepted. Refused are names that could not stand in the
    /// tree, files of another project, and kinds that no index serves as a release file (`.metadata`, `.asc`, …).
    pub fn parse(text: &str, project: &ProjectName) -> Result<Self, FileNameError> {
        let reject = |reason| FileNameError {
            text: text
                .chars()
                .take(120)
                .collect::<String>()
                .escape_debug()
                .to_string(),
            reason,
        };
        check_segment(text).map_err(reject)?;
        if text.len() > crate::FILE_NAME_BYTES_MAX {
            return Err(reject("it is longer than 240 bytes"));
        }
        let found = if let Some(stem) = text.strip_suffix(".whl") {
            parse_wheel(stem, project)
        } else if let Some(stem) = strip_archive_suffix(text) {
            parse_archive(stem, project)
        } else if let Some((stem, kind)) = strip_legacy_suffix(text) {
            parse_legacy(stem, kind, project)
        } else {
            return Err(reject("it is not of a kind that releases have"));
        };
        found.ok_or_else(|| reject("it is of another project"))
    }

    /// The version, where the name tells.
    pub const fn version(&self) -> Option<&Version> {
        match self {
            Self::Wheel(wheel) => Some(&wheel.version),
            Self::Sdist(version) => Some(version),
            Self::Other { version, .. } => version.as_ref(),
        }
    }

    /// The wheel's parts, where it is one.
    pub const fn as_wheel(&self) -> Option<&WheelName> {
        match self {
            Self::Wheel(wheel) => Some(wheel),
            Self::Sdist(_) | Self::Other { .. } => None,
        }
    }

    /// Whether it is a source distribution.
    pub const fn is_sdist(&self) -> bool {
        matches!(self, Self::Sdist(_))
    }
}

/// `{name}-{version}(-{build})?-{python}-{abi}-{platform}`, read from both ends, so that a name whose `-` was not
/// escaped is still understood.
fn parse_wheel(stem: &str, project: &ProjectName) -> Option<FileName> {
    let rest = strip_project(stem, project)?;
    let unnamed = FileName::Other {
        kind: LegacyKind::Unnamed,
        version: None,
    };
    let mut parts = rest.rsplitn(4, '-');
    let (Some(platform), Some(abi), Some(python), Some(front)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Some(unnamed);
    };
    let (version, build) = match front.split_once('-') {
        None => (front, None),
        Some((version, build)) => (version, Some(build)),
    };
    let parsed = unescaped_version(version);
    if parsed.as_pep440().is_none() && is_rest_of_a_name(front) {
        return None;
    }
    let (Some(python), Some(abi), Some(platform)) = (tags(python), tags(abi), tags(platform))
    else {
        return Some(unnamed);
    };
    if version.trim().is_empty()
        || build.is_some_and(|build| !build.starts_with(|c: char| c.is_ascii_digit()))
    {
        return Some(unnamed);
    }
    Some(FileName::Wheel(WheelName {
        version: parsed,
        build: build.map(str::to_owned),
        python,
        abi,
        platform,
    }))
}

fn parse_archive(stem: &str, project: &ProjectName) -> Option<FileName> {
    if is_spelling_of(stem, project) {
        return Some(FileName::Other {
            kind: LegacyKind::Unnamed,
            version: None,
        });
    }
    let rest = strip_project(stem, project).or_else(|| strip_project_loosely(stem, project))?;
    let version = Version::parse(rest);
    if version.as_pep440().is_none() {
        if let Some(front) = before_platform(rest) {
            let version = (!front.trim().is_empty()).then(|| Version::parse(front));
            return Some(FileName::Other {
                kind: LegacyKind::Dumb,
                version,
            });
        }
        if rest.trim().is_empty() {
            return Some(FileName::Other {
                kind: LegacyKind::Unnamed,
                version: None,
            });
        }
        if is_rest_of_a_name(rest) {
            return None;
        }
    }
    Some(FileName::Sdist(version))
}

fn parse_legacy(stem: &str, kind: LegacyKind, project: &ProjectName) -> Option<FileName> {
    // Distributions put their own word before the name of a package.
    let packaged = matches!(kind, LegacyKind::Rpm | LegacyKind::Deb);
    let stem = if packaged && !project.as_str().starts_with("python") {
        ["python3-", "python2-", "python-"]
            .iter()
            .find_map(|word| stem.strip_prefix(word))
            .unwrap_or(stem)
    } else {
        stem
    };
    if kind == LegacyKind::Deb {
        let (name, rest) = stem.split_once('_').unwrap_or((stem, ""));
        let front = rest.split('_').next().unwrap_or(rest);
        let version = front
            .rsplit_once('-')
            .map_or(front, |(version, _revision)| version);
        let version = (!version.trim().is_empty()).then(|| Version::parse(version));
        return is_spelling_of(name, project).then_some(FileName::Other { kind, version });
    }
    if is_spelling_of(stem, project) {
        return Some(FileName::Other {
            kind,
            version: None,
        });
    }
    let Some(rest) = strip_project(stem, project) else {
        // `acme.win32.exe`: a platform but no version.
        let front = before_platform(stem)?;
        return is_spelling_of(front, project).then_some(FileName::Other {
            kind,
            version: None,
        });
    };
    let front = if kind == LegacyKind::Rpm {
        rest.rsplit_once('-')
            .map_or(rest, |(version, _release)| version)
    } else {
        let front = before_platform(rest).unwrap_or(rest);
        front.find("-py").map_or(front, |at| &front[..at])
    };
    if is_rest_of_a_name(front) {
        return None;
    }
    let version = (!front.trim().is_empty()).then(|| unescaped_version(front));
    Some(FileName::Other { kind, version })
}

/// What follows `<project>-`, for the shortest front that spells the project (as pip splits).
fn strip_project<'a>(stem: &'a str, project: &ProjectName) -> Option<&'a str> {
    stem.match_indices('-')
        .find(|(at, _)| is_spelling_of(&stem[..*at], project))
        .map(|(at, _)| &stem[at + 1..])
}

/// As [`strip_project`], but for `acme_1.0` and `acme.1.0`, and only where a PEP 440 version follows.
fn strip_project_loosely<'a>(stem: &'a str, project: &ProjectName) -> Option<&'a str> {
    stem.match_indices(['_', '.'])
        .find(|(at, _)| is_spelling_of(&stem[..*at], project))
        .map(|(at, _)| &stem[at + 1..])
        .filter(|rest| Version::parse(rest).as_pep440().is_some())
}

/// Whether PEP 503 normalises `text` to the project's name. Allocates nothing: pages ask it for every `-`.
fn is_spelling_of(text: &str, project: &ProjectName) -> bool {
    let is_separator = |byte: u8| matches!(byte, b'-' | b'_' | b'.');
    let mut wanted = project.as_str().bytes();
    let mut previous = b'-';
    for byte in text.bytes() {
        if is_separator(byte) {
            if !is_separator(previous) && wanted.next() != Some(b'-') {
                return false;
            }
        } else if wanted.next() != Some(byte.to_ascii_lowercase()) {
            return false;
        }
        previous = byte;
    }
    wanted.next().is_none() && !text.starts_with(['-', '_', '.'])
}

/// Whether the part after the project's name is rather the rest of a longer name and a version: `bar-1.0` of
/// `foo-bar-1.0` is, `1.0-beta`, `dev-r12` and `2004d` are not.
fn is_rest_of_a_name(rest: &str) -> bool {
    if Version::parse(rest).as_pep440().is_some() {
        return false;
    }
    let Some((front, _)) = rest.split_once('-') else {
        return false;
    };
    let word = front
        .trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
        .to_ascii_lowercase();
    front.starts_with(|c: char| c.is_ascii_alphabetic())
        && Version::parse(front).as_pep440().is_none()
        && !VERSION_WORDS.contains(&word.as_str())
        && rest
            .match_indices('-')
            .any(|(at, _)| rest[at + 1..].starts_with(|c: char| c.is_ascii_digit()))
}

/// Wheels and eggs write `_` where the version has `-`.
fn unescaped_version(text: &str) -> Version {
    let plain = Version::parse(text);
    if plain.as_pep440().is_some() {
        return plain;
    }
    let unescaped = Version::parse(&text.replace('_', "-"));
    if unescaped.as_pep440().is_some() {
        unescaped
    } else {
        plain
    }
}

fn before_platform(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    PLATFORM_MARKS
        .iter()
        .filter_map(|mark| lower.find(mark))
        .min()
        .map(|at| &text[..at])
}

/// One compressed tag set (PEP 425), or `None` where it is not one.
fn tags(text: &str) -> Option<Vec<String>> {
    let is_tag =
        |tag: &str| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    text.split('.')
        .map(|tag| is_tag(tag).then(|| tag.to_ascii_lowercase()))
        .collect()
}

fn strip_archive_suffix(text: &str) -> Option<&str> {
    ARCHIVES
        .iter()
        .find_map(|suffix| strip_suffix_of_any_case(text, suffix))
}

fn strip_legacy_suffix(text: &str) -> Option<(&str, LegacyKind)> {
    LEGACY
        .iter()
        .find_map(|(suffix, kind)| Some((strip_suffix_of_any_case(text, suffix)?, *kind)))
}

fn strip_suffix_of_any_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (stem, end) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(stem)
}

/// The projects that a file of this name may belong to, the likeliest first; for a path that nobody has asked the page
/// for. A file name does not always tell where the name ends: `a-b-1.0.tar.gz` may be of `a-b` or of `a`.
pub fn project_candidates(filename: &str) -> Vec<ProjectName> {
    if filename.strip_suffix(".whl").is_some() {
        let name = filename
            .split('-')
            .next()
            .and_then(|name| name.parse().ok());
        return name.into_iter().collect();
    }
    let cuts = filename
        .match_indices('-')
        .map(|(at, _)| filename.split_at(at));
    let mut candidates: Vec<(bool, ProjectName)> = cuts
        .filter_map(|(name, rest)| {
            let is_version =
                rest[1..].starts_with(|first: char| first.is_ascii_digit() || first == 'v');
            Some((!is_version, name.parse().ok()?))
        })
        .collect();
    candidates.sort_by_key(|(is_unlikely, _)| *is_unlikely);
    candidates.dedup_by(|a, b| a.1 == b.1);
    candidates.truncate(CANDIDATES_MAX);
    candidates.into_iter().map(|(_, name)| name).collect()
}

/// Candidates given at the most: each may cost a request.
const CANDIDATES_MAX: usize = 4;

#[cfg(test)]
mod tests;
