//! Rules over platform tags, for filters: a family of systems, a machine, both, or one exact machine to serve.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::platform::{Platform, PlatformTag, is_machine, machine_name, strip_machine};

/// Something that platform tags can be matched against: `linux`, `windows`, `macos`, `musllinux`, `aarch64`,
/// `linux_aarch64`, or a whole tag such as `manylinux_2_28_x86_64` for everything that runs on that machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlatformRule(Rule);

/// Why a text is not a rule over platforms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a platform to filter by: write `linux`, `manylinux`, `musllinux`, `macos`, `windows`, a machine \
     such as `aarch64`, both such as `linux_aarch64`, or a tag such as `manylinux_2_28_x86_64`"
)]
pub struct PlatformRuleError(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Words {
        family: Option<Family>,
        machine: Option<String>,
    },
    RunsOn(Platform),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Every Linux, with whichever C library.
    Linux,
    Manylinux,
    Musllinux,
    MacOs,
    Windows,
    FreeBsd,
    Android,
    Ios,
    Wasm,
}

const FAMILIES: [(&str, Family); 13] = [
    ("linux", Family::Linux),
    ("manylinux", Family::Manylinux),
    ("musllinux", Family::Musllinux),
    ("macos", Family::MacOs),
    ("macosx", Family::MacOs),
    ("darwin", Family::MacOs),
    ("windows", Family::Windows),
    ("win", Family::Windows),
    ("freebsd", Family::FreeBsd),
    ("android", Family::Android),
    ("ios", Family::Ios),
    ("wasm", Family::Wasm),
    ("pyodide", Family::Wasm),
];

impl PlatformRule {
    /// Whether everything that a platform tag serves is of this rule: `universal2` is not of `aarch64` alone.
    pub fn covers(&self, tag: &str) -> bool {
        self.matches(tag, |machines, machine| {
            machines.iter().all(|other| *other == machine)
        })
    }

    /// Whether something that a platform tag serves is of this rule: `universal2` is of `aarch64`.
    pub fn touches(&self, tag: &str) -> bool {
        self.matches(tag, |machines, machine| machines.contains(&machine))
    }

    fn matches(&self, tag: &str, on_machine: impl Fn(&[&str], &str) -> bool) -> bool {
        match &self.0 {
            Rule::RunsOn(platform) => platform.rank(tag).is_some(),
            Rule::Words { family, machine } => {
                let tag = PlatformTag::read(tag);
                family.is_none_or(|family| family.holds(&tag))
                    && machine.as_ref().is_none_or(|machine| {
                        let machines = tag.machines();
                        !machines.is_empty() && on_machine(&machines, machine)
                    })
            }
        }
    }
}

impl Family {
    fn holds(self, tag: &PlatformTag) -> bool {
        match tag {
            PlatformTag::Glibc { .. } => matches!(self, Self::Linux | Self::Manylinux),
            PlatformTag::Musl { .. } => matches!(self, Self::Linux | Self::Musllinux),
            PlatformTag::Linux { .. } => self == Self::Linux,
            PlatformTag::MacOs { .. } => self == Self::MacOs,
            PlatformTag::Windows { .. } => self == Self::Windows,
            PlatformTag::Other(tag) => {
                let words: &[&str] = match self {
                    // Nonstandard tags of the families, such as `manylinux_x86_64` or `win_ia64`.
                    Self::Linux => &["linux", "manylinux", "musllinux"],
                    Self::Manylinux => &["manylinux"],
                    Self::Musllinux => &["musllinux"],
                    Self::MacOs => &["macos", "darwin"],
                    Self::Windows => &["win"],
                    Self::FreeBsd => &["freebsd"],
                    Self::Android => &["android"],
                    Self::Ios => &["ios"],
                    Self::Wasm => &["wasm", "pyodide", "emscripten", "pyemscripten"],
                };
                words.iter().any(|word| tag.starts_with(word))
            }
        }
    }
}

impl FromStr for PlatformRule {
    type Err = PlatformRuleError;

    fn from_str(text: &str) -> Result<Self, PlatformRuleError> {
        let word = text.trim().to_ascii_lowercase().replace(['-', '/'], "_");
        let family_of = |word: &str| {
            FAMILIES
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, family)| *family)
        };
        let words = |family, machine: Option<&str>| {
            Ok(Self(Rule::Words {
                family,
                machine: machine.map(str::to_owned),
            }))
        };
        // A tag in its own right, not the family on a machine.
        if matches!(word.as_str(), "win_amd64" | "win_arm64" | "win32") {
            return words(
                Some(Family::Windows),
                PlatformTag::read(&word).machines().first().copied(),
            );
        }
        if let Some(family) = family_of(&word) {
            return words(Some(family), None);
        }
        if is_machine(&word) {
            return words(None, Some(machine_name(&word)));
        }
        if let Some((rest, machine)) = strip_machine(&word)
            && let Some(family) = family_of(rest)
        {
            return words(Some(family), Some(machine));
        }
        match word.parse() {
            Ok(platform) => Ok(Self(Rule::RunsOn(platform))),
            Err(error) => Err(PlatformRuleError(error.0)),
        }
    }
}

impl TryFrom<String> for PlatformRule {
    type Error = PlatformRuleError;
    fn try_from(text: String) -> Result<Self, PlatformRuleError> {
        text.parse()
    }
}

impl From<PlatformRule> for String {
    fn from(rule: PlatformRule) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for PlatformRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::RunsOn(platform) => platform.fmt(f),
            Rule::Words { family, machine } => {
                let family = family
                    .and_then(|family| FAMILIES.iter().find(|(_, other)| *other == family))
                    .map(|(name, _)| *name);
                match (family, machine) {
                    (Some(family), Some(machine)) => write!(f, "{family}_{machine}"),
                    (Some(word), None) => f.write_str(word),
                    (None, machine) => f.write_str(machine.as_deref().unwrap_or_default()),
                }
            }
        }
    }
}
