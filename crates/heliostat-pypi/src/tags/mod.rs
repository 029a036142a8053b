//! Compatibility tags (PEP 425, 600, 656): on which Pythons and platforms a wheel can be installed.
//!
//! Owns the reading of tags as tags: `cp37-abi3` serves Python 3.12, `py3-none-any` serves everything, a
//! `universal2` wheel serves both Macs. The order is that of the `packaging` library, which pip follows.

mod platform;
mod python;
mod rule;

use serde::{Deserialize, Serialize};

use crate::{MarkerEnvironment, Values, WheelName};

pub use platform::{Platform, PlatformError};
pub use python::{Implementation, Python, PythonError, Threading};
pub use rule::{PlatformRule, PlatformRuleError};

/// A machine to install on: a Python on a platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The interpreter.
    pub python: Python,
    /// The machine and its operating system.
    pub platform: Platform,
}

/// How well a wheel fits a target; the lower, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    is_any: bool,
    interface: u32,
    platform: u32,
}

impl Target {
    /// How well a wheel fits, by its best tag; `None` where it cannot be installed.
    pub fn fit(&self, wheel: &WheelName) -> Option<Fit> {
        let interface = self.python.interface_rank(wheel)?;
        let on_platform = wheel
            .platform
            .iter()
            .filter_map(|tag| self.platform.rank(tag))
            .min();
        match on_platform {
            Some(platform) => Some(Fit {
                is_any: false,
                interface,
                platform,
            }),
            None if wheel.platform.iter().any(|tag| tag == "any") => Some(Fit {
                is_any: true,
                interface,
                platform: 0,
            }),
            None => None,
        }
    }

    /// The marker variables (PEP 508) as far as they are known of this target.
    pub fn marker_environment(&self) -> MarkerEnvironment {
        let system = self.platform.system();
        let (implementation, implementation_name) = match self.python.implementation {
            Implementation::CPython => ("CPython", "cpython"),
            Implementation::PyPy => ("PyPy", "pypy"),
        };
        MarkerEnvironment {
            os_name: system.os_name,
            sys_platform: system.sys_platform,
            platform_machine: system.machine,
            platform_python_implementation: Values::one(implementation),
            platform_release: system.release,
            platform_system: system.name,
            platform_version: Values::Any,
            python_version: Values::one(self.python.short_version()),
            python_full_version: Values::OneOf(self.python.full_versions()),
            implementation_name: Values::one(implementation_name),
            implementation_version: match self.python.implementation {
                Implementation::CPython => Values::OneOf(self.python.full_versions()),
                Implementation::PyPy => Values::Any,
            },
        }
    }
}

/// The tags of the same system for each machine that a tag serves, where it serves several (`universal2`).
pub(crate) fn single_machine_tags(tag: &str) -> Option<Vec<String>> {
    platform::PlatformTag::read(tag).single_machine_tags()
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Python {} on {}", self.python, self.platform)
    }
}

#[cfg(test)]
mod tests;
