//! Interpreters, and which Python and ABI tags they take.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Specifiers, WheelName};

/// The patch release that a Python named without one is taken to have: later than any real one, because an
/// installation of `3.12` is nearly always a late one.
const LATE_PATCH: u32 = 99;

/// A Python interpreter to serve.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Python {
    /// Whose.
    pub implementation: Implementation,
    /// `3` of `3.12.4`.
    pub major: u32,
    /// `12` of `3.12.4`.
    pub minor: u32,
    /// `4` of `3.12.4`, where it matters to who asks.
    pub patch: Option<u32>,
    /// Whether it is the free-threaded build, which takes other wheels.
    pub threading: Threading,
}

/// The implementations that wheels are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Implementation {
    /// The reference implementation: `cp` tags.
    CPython,
    /// `pp` tags.
    PyPy,
}

/// With or without the global interpreter lock (PEP 703).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Threading {
    /// The ordinary build.
    Locked,
    /// The `t` build.
    Free,
}

/// Why a text does not name a Python.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a Python: write `3.12`, `3.12.4`, `3.13t` or `pypy3.10`")]
pub struct PythonError(pub String);

impl Python {
    /// An ordinary `CPython`.
    pub const fn cpython(major: u32, minor: u32) -> Self {
        Self {
            implementation: Implementation::CPython,
            major,
            minor,
            patch: None,
            threading: Threading::Locked,
        }
    }

    /// `3.12`, the value of the marker `python_version`.
    pub fn short_version(&self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// The values `python_full_version` may have: one where the patch release is known, else the earliest and a
    /// late one.
    pub fn full_versions(&self) -> Vec<String> {
        let full = |patch| format!("{}.{}.{patch}", self.major, self.minor);
        match self.patch {
            Some(patch) => vec![full(patch)],
            None => vec![full(0), full(LATE_PATCH)],
        }
    }

    /// Whether a `Requires-Python` admits it; where the patch release is not known, a late one.
    pub fn satisfies(&self, requires_python: &Specifiers) -> bool {
        let patch = self.patch.unwrap_or(LATE_PATCH);
        let version =
            pep440_rs::Version::new([self.major.into(), self.minor.into(), u64::from(patch)]);
        requires_python.admit_pep440(&version)
    }

    /// The place of the wheel's best pair of Python and ABI tag in the order of preference, on whatever platform;
    /// `None` where no pair fits.
    pub fn interface_rank(&self, wheel: &WheelName) -> Option<u32> {
        let pairs = wheel
            .python
            .iter()
            .flat_map(|python| wheel.abi.iter().map(move |abi| (python, abi)));
        pairs
            .filter_map(|(python, abi)| self.pair_rank(python, abi))
            .min()
    }

    fn pair_rank(&self, python: &str, abi: &str) -> Option<u32> {
        let (family, version) = split_python_tag(python)?;
        let wanted_family = match self.implementation {
            Implementation::CPython => "cp",
            Implementation::PyPy => "pp",
        };
        if family == "py" {
            return if abi == "none" {
                self.pure_rank(version)
            } else {
                None
            };
        }
        if family != wanted_family {
            return None;
        }
        let is_own = version == (self.major, Some(self.minor));
        match abi {
            "none" if is_own || version == (self.major, None) => Some(2),
            "abi3" | "abi3t" => self.stable_rank(version, abi),
            _ if is_own && self.is_own_abi(abi) => Some(0),
            _ => None,
        }
    }

    /// `py312` before `py3` before `py311` and lower.
    const fn pure_rank(&self, version: (u32, Option<u32>)) -> Option<u32> {
        match version {
            (major, None) if major == self.major => Some(1_001),
            (major, Some(minor)) if major == self.major && minor == self.minor => Some(1_000),
            (major, Some(minor)) if major == self.major && minor < self.minor => {
                Some(1_002 + (self.minor - minor))
            }
            _ => None,
        }
    }

    /// The stable ABI serves every later Python of its kind: `abi3` with the lock, `abi3t` (PEP 803) without.
    fn stable_rank(&self, version: (u32, Option<u32>), abi: &str) -> Option<u32> {
        let (first_minor, wanted) = match self.threading {
            Threading::Locked => (2, "abi3"),
            Threading::Free => (15, "abi3t"),
        };
        let minor = version.1?;
        let fits = self.implementation == Implementation::CPython
            && abi == wanted
            && version.0 == self.major
            && self.major == 3
            && (first_minor..=self.minor).contains(&minor);
        let behind = self.minor.saturating_sub(minor);
        // `cp312-abi3` stands before `cp312-none`, `cp311-abi3` after it.
        fits.then_some(if behind == 0 { 1 } else { 2 + behind })
    }

    fn is_own_abi(&self, abi: &str) -> bool {
        let digits = format!("{}{}", self.major, self.minor);
        match self.implementation {
            Implementation::PyPy => abi.starts_with(&format!("pypy{digits}_")),
            Implementation::CPython => {
                let Some(flags) = abi.strip_prefix(&format!("cp{digits}")) else {
                    return false;
                };
                match self.threading {
                    Threading::Free => flags == "t",
                    // `m` and `mu` are how Pythons up to 3.7 were built.
                    Threading::Locked => {
                        flags.is_empty() || flags == "m" || (self.major == 2 && flags == "mu")
                    }
                }
            }
        }
    }
}

/// `cp312` is `("cp", (3, Some(12)))`, `py3` is `("py", (3, None))`.
fn split_python_tag(tag: &str) -> Option<(&str, (u32, Option<u32>))> {
    let at = tag.find(|c: char| c.is_ascii_digit())?;
    let (family, digits) = tag.split_at(at);
    let (major, minor) = digits.split_at_checked(1)?;
    let minor = minor.strip_prefix('_').unwrap_or(minor);
    let minor = if minor.is_empty() {
        None
    } else {
        Some(number(minor)?)
    };
    Some((family, (number(major)?, minor)))
}

/// A plain decimal number below a thousand: no sign, no space.
fn number(text: &str) -> Option<u32> {
    let is_plain = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

impl FromStr for Python {
    type Err = PythonError;

    fn from_str(text: &str) -> Result<Self, PythonError> {
        let read = || {
            let lower = text.trim().to_ascii_lowercase();
            let (implementation, rest) = [
                ("cpython", Implementation::CPython),
                ("python", Implementation::CPython),
                ("pypy", Implementation::PyPy),
                ("cp", Implementation::CPython),
                ("pp", Implementation::PyPy),
            ]
            .into_iter()
            .find_map(|(word, implementation)| Some((implementation, lower.strip_prefix(word)?)))
            .unwrap_or((Implementation::CPython, &lower));
            let (rest, threading) = match rest.strip_suffix('t') {
                Some(rest) => (rest, Threading::Free),
                None => (rest, Threading::Locked),
            };
            let mut parts = rest.split('.');
            let (major, minor, patch) =
                match (parts.next()?, parts.next(), parts.next(), parts.next()) {
                    (major, Some(minor), patch, None) => (number(major)?, number(minor)?, patch),
                    // `cp312`, as tags write it; a bare `312` is more likely a slip.
                    (digits, None, None, None) if rest.len() < lower.len() => {
                        let (major, minor) = digits.split_at_checked(1)?;
                        (number(major)?, number(minor)?, None)
                    }
                    _ => return None,
                };
            let patch = match patch {
                Some(patch) => Some(number(patch)?),
                None => None,
            };
            (matches!(major, 2 | 3)).then_some(Self {
                implementation,
                major,
                minor,
                patch,
                threading,
            })
        };
        read().ok_or_else(|| {
            PythonError(
                text.chars()
                    .take(40)
                    .collect::<String>()
                    .escape_debug()
                    .to_string(),
            )
        })
    }
}

impl TryFrom<String> for Python {
    type Error = PythonError;
    fn try_from(text: String) -> Result<Self, PythonError> {
        text.parse()
    }
}

impl From<Python> for String {
    fn from(python: Python) -> Self {
        python.to_string()
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.implementation == Implementation::PyPy {
            f.write_str("pypy")?;
        }
        write!(f, "{}.{}", self.major, self.minor)?;
        if let Some(patch) = self.patch {
            write!(f, ".{patch}")?;
        }
        if self.threading == Threading::Free {
            f.write_str("t")?;
        }
        Ok(())
    }
}
