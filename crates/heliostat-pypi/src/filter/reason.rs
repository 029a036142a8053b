//! Why a file is kept or left out, in words.

use std::fmt;

use crate::Specifiers;
use crate::select::FilePattern;

/// What happens to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is kept.
    Keep,
    /// It is kept because a rule could not be applied to it.
    KeepUnjudged(Unjudged),
    /// It is left out.
    Drop(Reason),
}

/// What was not known of a file that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unjudged {
    /// A rule over age, and the upstream does not tell the upload time.
    UploadTime,
    /// A rule over size, and the upstream does not tell the size.
    Size,
}

/// Why a file is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nothing asks for its version.
    NotSelected,
    /// Its version is outside the range to keep.
    OutsideVersions(Specifiers),
    /// Newer releases fill the number to keep.
    NotLatest(u32),
    /// Its version is a pre-release.
    Prerelease,
    /// It is yanked.
    Yanked,
    /// It is not a wheel.
    NotWheel,
    /// It was uploaded too long ago.
    TooOld,
    /// It was uploaded too recently.
    TooYoung,
    /// It is larger than the limit, in bytes.
    TooLarge(u64),
    /// It is a wheel for these platforms, none of which is served.
    Platform(String),
    /// It is a wheel for these Pythons, none of which is served.
    Python(String),
    /// Its `Requires-Python` admits no Python that is served.
    RequiresPython(String),
    /// A pattern over file names matches.
    Name(FilePattern),
}

impl Decision {
    /// Whether the file is kept.
    pub const fn is_kept(&self) -> bool {
        !matches!(self, Self::Drop(_))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("kept"),
            Self::KeepUnjudged(Unjudged::UploadTime) => {
                f.write_str("kept, its upload time is not known")
            }
            Self::KeepUnjudged(Unjudged::Size) => f.write_str("kept, its size is not known"),
            Self::Drop(reason) => write!(f, "left out: {reason}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSelected => f.write_str("nothing asks for this version"),
            Self::OutsideVersions(specifiers) => write!(f, "the version is not {specifiers}"),
            Self::NotLatest(1) => f.write_str("not of the latest release"),
            Self::NotLatest(count) => write!(f, "not of the latest {count} releases"),
            Self::Prerelease => f.write_str("a pre-release"),
            Self::Yanked => f.write_str("yanked"),
            Self::NotWheel => f.write_str("not a wheel"),
            Self::TooOld => f.write_str("uploaded too long ago"),
            Self::TooYoung => f.write_str("uploaded too recently"),
            Self::TooLarge(limit) => write!(f, "larger than {limit} bytes"),
            Self::Platform(tags) | Self::Python(tags) => write!(f, "a wheel for {tags}"),
            Self::RequiresPython(specifiers) => write!(f, "requires Python {specifiers}"),
            Self::Name(pattern) => write!(f, "the name matches {pattern}"),
        }
    }
}
