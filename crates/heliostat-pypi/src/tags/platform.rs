//! Platforms: the words people name them by, the tags they take, and what markers see of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Values;

/// The glibc that a bare `linux` has, as 2.x: every distribution still supported has it or a newer one.
const GLIBC_MINOR_DEFAULT: u32 = 28;
/// The musl that a bare `musllinux` has, as 1.x.
const MUSL_MINOR_DEFAULT: u32 = 2;
/// The macOS that a bare `macos` is.
const MACOS_DEFAULT: (u32, u32) = (13, 0);

/// The machines that tags name, each with the spellings it is known by elsewhere. Spellings that end others come
/// later (`arm64` is no end of `aarch64`, but `x86` would be one of nothing).
const MACHINES: [(&str, &[&str]); 12] = [
    ("x86_64", &["x86_64", "amd64", "x64"]),
    ("i686", &["i686", "i386", "x86"]),
    ("aarch64", &["aarch64", "arm64"]),
    ("armv7l", &["armv7l", "armv7"]),
    ("armv6l", &["armv6l", "armv6"]),
    ("ppc64le", &["ppc64le", "powerpc64le"]),
    ("ppc64", &["ppc64"]),
    ("s390x", &["s390x"]),
    ("riscv64", &["riscv64", "riscv64gc"]),
    ("loongarch64", &["loongarch64"]),
    ("universal2", &["universal2"]),
    ("wasm32", &["wasm32"]),
];

/// A machine and its operating system, as specific as compatibility needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform(pub(super) PlatformTag);

/// Why a text does not name a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` does not name a platform: write a tag such as `manylinux_2_28_x86_64`, `musllinux_1_2_aarch64`, \
     `macosx_14_0_arm64` or `win_amd64`, or `linux`, `macos`, `windows`"
)]
pub struct PlatformError(pub String);

/// A platform tag, read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum PlatformTag {
    /// `manylinux…`, with the minor version of glibc 2.
    Glibc { minor: u32, machine: String },
    /// `musllinux_1_x…`
    Musl { minor: u32, machine: String },
    /// `linux_…`: built for whatever machine built it.
    Linux { machine: String },
    /// `macosx_…`; the machine may be a set such as `universal2`.
    MacOs {
        version: (u32, u32),
        machine: String,
    },
    /// `win…`
    Windows { machine: String },
    /// Any other tag, kept as it is.
    Other(String),
}

/// What markers see of a platform.
pub(super) struct System {
    pub(super) os_name: Values,
    pub(super) sys_platform: Values,
    pub(super) machine: Values,
    pub(super) release: Values,
    pub(super) name: Values,
}

impl PlatformTag {
    /// Reads a tag as it stands in a wheel's name, lower case.
    pub(super) fn read(tag: &str) -> Self {
        Self::read_known(tag).unwrap_or_else(|| Self::Other(tag.to_owned()))
    }

    fn read_known(tag: &str) -> Option<Self> {
        for (word, minor) in [
            ("manylinux1_", 5),
            ("manylinux2010_", 12),
            ("manylinux2014_", 17),
        ] {
            if let Some(machine) = tag.strip_prefix(word) {
                return Some(Self::Glibc {
                    minor,
                    machine: machine.to_owned(),
                });
            }
        }
        if let Some(rest) = tag.strip_prefix("manylinux_2_") {
            let (minor, machine) = rest.split_once('_')?;
            return Some(Self::Glibc {
                minor: number(minor)?,
                machine: machine.to_owned(),
            });
        }
        if let Some(rest) = tag.strip_prefix("musllinux_1_") {
            let (minor, machine) = rest.split_once('_')?;
            return Some(Self::Musl {
                minor: number(minor)?,
                machine: machine.to_owned(),
            });
        }
        if let Some(rest) = tag.strip_prefix("macosx_") {
            let mut parts = rest.splitn(3, '_');
            let version = (number(parts.next()?)?, number(parts.next()?)?);
            return Some(Self::MacOs {
                version,
                machine: parts.next()?.to_owned(),
            });
        }
        if let Some(machine) = tag.strip_prefix("linux_") {
            return Some(Self::Linux {
                machine: machine.to_owned(),
            });
        }
        let machine = match tag {
            "win32" => "i686",
            "win_amd64" => "x86_64",
            "win_arm64" => "aarch64",
            _ => return None,
        };
        Some(Self::Windows {
            machine: machine.to_owned(),
        })
    }

    /// The machines it runs on, by their first names in [`MACHINES`] where known.
    pub(super) fn machines(&self) -> Vec<&str> {
        match self {
            Self::MacOs { machine, .. } => match machine.as_str() {
                "universal2" => vec!["aarch64", "x86_64"],
                "intel" => vec!["i686", "x86_64"],
                "fat64" => vec!["ppc64", "x86_64"],
                "universal" => vec!["i686", "ppc", "ppc64", "x86_64"],
                "fat" | "fat32" | "fat3" => vec!["i686", "ppc"],
                other => vec![machine_name(other)],
            },
            Self::Glibc { machine, .. }
            | Self::Musl { machine, .. }
            | Self::Linux { machine }
            | Self::Windows { machine } => {
                vec![machine_name(machine)]
            }
            Self::Other(tag) => strip_machine(tag)
                .map(|(_, machine)| machine)
                .into_iter()
                .collect(),
        }
    }
}

impl PlatformTag {
    /// The tags for each machine alone, where there are several.
    pub(super) fn single_machine_tags(&self) -> Option<Vec<String>> {
        let Self::MacOs {
            version: (major, minor),
            ..
        } = self
        else {
            return None;
        };
        let machines = self.machines();
        (machines.len() > 1).then(|| {
            machines
                .iter()
                .map(|machine| format!("macosx_{major}_{minor}_{machine}"))
                .collect()
        })
    }
}

impl Platform {
    /// The place of a platform tag in the order of preference; `None` where wheels with it do not run here. `any` is
    /// not a platform and has no rank.
    pub(super) fn rank(&self, tag: &str) -> Option<u32> {
        let tag = PlatformTag::read(tag);
        match (&self.0, &tag) {
            (
                PlatformTag::Glibc {
                    minor: has,
                    machine: own,
                },
                PlatformTag::Glibc {
                    minor: needs,
                    machine,
                },
            )
            | (
                PlatformTag::Musl {
                    minor: has,
                    machine: own,
                },
                PlatformTag::Musl {
                    minor: needs,
                    machine,
                },
            ) => (own == machine).then(|| has.checked_sub(*needs))?,
            (
                PlatformTag::Glibc { machine: own, .. } | PlatformTag::Musl { machine: own, .. },
                PlatformTag::Linux { machine },
            ) => (own == machine).then_some(u32::MAX),
            (
                PlatformTag::MacOs {
                    version: has,
                    machine: own,
                },
                PlatformTag::MacOs {
                    version: needs,
                    machine,
                },
            ) => macos_rank((*has, own), (*needs, machine)),
            (own, tag) => (own == tag).then_some(0),
        }
    }

    /// What markers see.
    pub(super) fn system(&self) -> System {
        let known = |os_name: &str, sys_platform: &str, name: &str| System {
            os_name: Values::one(os_name),
            sys_platform: Values::one(sys_platform),
            machine: Values::Any,
            release: Values::Any,
            name: Values::one(name),
        };
        match &self.0 {
            PlatformTag::Glibc { machine, .. }
            | PlatformTag::Musl { machine, .. }
            | PlatformTag::Linux { machine } => System {
                machine: Values::one(machine),
                ..known("posix", "linux", "Linux")
            },
            PlatformTag::MacOs { version, machine } => System {
                machine: Values::one(machine),
                release: darwin_release(*version).map_or(Values::Any, Values::one),
                ..known("posix", "darwin", "Darwin")
            },
            PlatformTag::Windows { machine } => {
                let machine = match machine.as_str() {
                    "x86_64" => "AMD64",
                    "aarch64" => "ARM64",
                    _ => "x86",
                };
                System {
                    machine: Values::one(machine),
                    ..known("nt", "win32", "Windows")
                }
            }
            PlatformTag::Other(tag) => match tag.split('_').next() {
                Some("android") => known("posix", "android", "Android"),
                Some("ios") => known("posix", "ios", "iOS"),
                Some("emscripten" | "pyodide" | "pyemscripten") => {
                    known("posix", "emscripten", "Emscripten")
                }
                _ => System {
                    os_name: Values::Any,
                    sys_platform: Values::Any,
                    machine: Values::Any,
                    release: Values::Any,
                    name: Values::Any,
                },
            },
        }
    }
}

/// As `packaging` orders them: from macOS 11 on only `x.0` counts, and Macs with Apple's processor run nothing of
/// macOS 10 but `universal2`.
fn macos_rank((has, own): ((u32, u32), &str), (needs, machine): ((u32, u32), &str)) -> Option<u32> {
    let formats: &[&str] = match own {
        "x86_64" => &[
            "x86_64",
            "intel",
            "fat64",
            "fat32",
            "universal2",
            "universal",
        ],
        "arm64" if needs.0 < 11 => &["universal2"],
        "arm64" => &["arm64", "universal2"],
        _ => &[],
    };
    let format = formats.iter().position(|format| *format == machine)?;
    let is_old_enough = match (has.0, needs.0) {
        (11.., 11..) => needs == has || (needs.0 <= has.0 && needs.1 == 0),
        (11.., 10) => needs.1 <= 16,
        _ => needs <= has,
    };
    let steps = if needs.0 >= 11 {
        has.0.checked_sub(needs.0)?
    } else {
        500 + 100_u32.saturating_sub(needs.1)
    };
    is_old_enough.then(|| u32::try_from(format).ok().map(|format| steps * 10 + format))?
}

/// The kernel's version of a macOS, which is what `platform_release` tells: macOS 11 has Darwin 20, macOS 26 has 25.
fn darwin_release((major, minor): (u32, u32)) -> Option<String> {
    match major {
        10 => Some(format!("{}.0.0", minor + 4)),
        11..=15 => Some(format!("{}.0.0", major + 9)),
        26.. => Some(format!("{}.0.0", major - 1)),
        _ => None,
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Reads a platform tag, a target triple such as `x86_64-unknown-linux-gnu`, or a plain word.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let reject = || {
            PlatformError(
                text.chars()
                    .take(60)
                    .collect::<String>()
                    .escape_debug()
                    .to_string(),
            )
        };
        let word = text
            .trim()
            .to_ascii_lowercase()
            .replace(['-', '/', '.'], "_");
        let is_plain = word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let has_gap = word.split('_').any(str::is_empty);
        if has_gap || word.len() > 80 || !is_plain || word == "any" {
            return Err(reject());
        }
        if let Some(tag) = PlatformTag::read_known(&word) {
            // `linux_x86_64` is what people call the machine; that wheels tagged so fit it too is `rank`'s business.
            if !matches!(tag, PlatformTag::Linux { .. }) {
                return complete(tag).map(Self).ok_or_else(reject);
            }
        }
        let (system, machine) = strip_machine(&word)
            .map_or((word.as_str(), None), |(rest, machine)| {
                (rest, Some(machine))
            });
        let tag = from_words(system, machine, &word);
        tag.and_then(complete).map(Self).ok_or_else(reject)
    }
}

fn from_words(system: &str, machine: Option<&str>, word: &str) -> Option<PlatformTag> {
    let or = |default: &str| machine.unwrap_or(default).to_owned();
    let tag = match system {
        "linux" | "unknown_linux_gnu" | "linux_gnu" | "manylinux" => PlatformTag::Glibc {
            minor: GLIBC_MINOR_DEFAULT,
            machine: or("x86_64"),
        },
        "musllinux" | "unknown_linux_musl" | "linux_musl" | "alpine" => PlatformTag::Musl {
            minor: MUSL_MINOR_DEFAULT,
            machine: or("x86_64"),
        },
        "macos" | "macosx" | "darwin" | "apple_darwin" => PlatformTag::MacOs {
            version: MACOS_DEFAULT,
            machine: or("aarch64"),
        },
        "win" | "windows" | "pc_windows_msvc" => PlatformTag::Windows {
            machine: or("x86_64"),
        },
        // `x86_64-manylinux_2_28`, and `macosx_14_0` without a machine.
        _ => match PlatformTag::read_known(&format!("{system}_{}", machine.unwrap_or("x86_64"))) {
            Some(PlatformTag::MacOs { version, .. }) => PlatformTag::MacOs {
                version,
                machine: or("aarch64"),
            },
            Some(tag) if !matches!(tag, PlatformTag::Linux { .. }) => tag,
            _ if word.contains('_') && word.contains(|c: char| c.is_ascii_digit()) => {
                PlatformTag::read(word)
            }
            _ => return None,
        },
    };
    Some(tag)
}

/// Brings the machine into the spelling that tags of the system have; `None` where the system has no such machine.
fn complete(tag: PlatformTag) -> Option<PlatformTag> {
    Some(match tag {
        PlatformTag::MacOs { version, machine } => {
            let machine = match machine_name(&machine) {
                "aarch64" | "universal2" => "arm64",
                "x86_64" => "x86_64",
                _ => return None,
            };
            // No Mac with Apple's processor has an older system.
            let version = if machine == "arm64" {
                version.max((11, 0))
            } else {
                version
            };
            PlatformTag::MacOs {
                version,
                machine: machine.to_owned(),
            }
        }
        PlatformTag::Windows { machine }
            if !matches!(machine_name(&machine), "x86_64" | "i686" | "aarch64") =>
        {
            return None;
        }
        PlatformTag::Glibc { minor, machine } => PlatformTag::Glibc {
            minor,
            machine: machine_name(&machine).to_owned(),
        },
        PlatformTag::Musl { minor, machine } => PlatformTag::Musl {
            minor,
            machine: machine_name(&machine).to_owned(),
        },
        other => other,
    })
}

/// The first name of a machine, or the text itself.
pub(super) fn machine_name(text: &str) -> &str {
    MACHINES
        .iter()
        .find(|(_, spellings)| spellings.contains(&text))
        .map_or(text, |(name, _)| name)
}

/// Whether a text names a machine that tags know.
pub(super) fn is_machine(text: &str) -> bool {
    MACHINES
        .iter()
        .any(|(_, spellings)| spellings.contains(&text))
}

/// Takes the machine off either end: `linux_x86_64` and `x86_64_unknown_linux_gnu`.
pub(super) fn strip_machine(word: &str) -> Option<(&str, &'static str)> {
    MACHINES
        .iter()
        .flat_map(|(name, spellings)| spellings.iter().map(move |spelling| (*name, *spelling)))
        .find_map(|(name, spelling)| {
            let before = word
                .strip_suffix(spelling)
                .and_then(|rest| rest.strip_suffix('_'));
            let after = word
                .strip_prefix(spelling)
                .and_then(|rest| rest.strip_prefix('_'));
            before
                .or(after)
                .filter(|rest| !rest.is_empty())
                .map(|rest| (rest, name))
        })
}

fn number(text: &str) -> Option<u32> {
    let is_plain = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

impl TryFrom<String> for Platform {
    type Error = PlatformError;
    fn try_from(text: String) -> Result<Self, PlatformError> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.to_string()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            PlatformTag::Glibc { minor, machine } => write!(f, "manylinux_2_{minor}_{machine}"),
            PlatformTag::Musl { minor, machine } => write!(f, "musllinux_1_{minor}_{machine}"),
            PlatformTag::Linux { machine } => write!(f, "linux_{machine}"),
            PlatformTag::MacOs {
                version: (major, minor),
                machine,
            } => write!(f, "macosx_{major}_{minor}_{machine}"),
            PlatformTag::Windows { machine } => f.write_str(match machine.as_str() {
                "x86_64" => "win_amd64",
                "aarch64" => "win_arm64",
                _ => "win32",
            }),
            PlatformTag::Other(tag) => f.write_str(tag),
        }
    }
}
