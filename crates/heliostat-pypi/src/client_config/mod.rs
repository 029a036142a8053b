//! What installers on this machine are told about indexes, and what of it would bypass a verifying proxy.
//!
//! Owns the configuration of pip, uv, poetry and pdm, and index options in requirements files, as text; and the
//! judgement. Finding the files, and the environment, are the caller's.

mod edit;
mod ini;
mod judge;
mod tables;
mod words;

use std::fmt;

pub use edit::{EditError, Edited, IndexEdit, pip_conf_with_index, uv_toml_with_index};
pub use judge::{Bypass, Judged, ProxyPlace, Severity, judge};

/// The longest configuration file we read, in bytes.
pub const CLIENT_CONFIG_BYTES_MAX: usize = 4 << 20;

/// An installer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Installer {
    /// pip, and what calls it.
    Pip,
    /// uv.
    Uv,
    /// poetry.
    Poetry,
    /// pdm.
    Pdm,
}

/// What a source of settings is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// `pip.conf`, `pip.ini`
    PipConf,
    /// A requirements or constraints file.
    Requirements,
    /// `uv.toml`
    UvToml,
    /// `pyproject.toml`
    Pyproject,
    /// poetry's `config.toml` or `poetry.toml`
    PoetryToml,
    /// pdm's `config.toml` or `pdm.toml`
    PdmToml,
    /// The environment: one `NAME=value` a line.
    Environment,
}

/// One source of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path, or what else to call it.
    pub place: String,
    /// What it is.
    pub kind: SourceKind,
    /// What it says.
    pub text: String,
}

/// One setting that decides where packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Whose.
    pub installer: Installer,
    /// Where it stands.
    pub place: String,
    /// The line, from 1; `None` in the environment.
    pub line: Option<usize>,
    /// As it is spelt there, e.g. `extra-index-url`.
    pub name: String,
    /// Its value, credentials and all.
    pub value: String,
    /// What it does.
    pub effect: Effect,
}

/// What a setting does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It says which index is asked.
    Index,
    /// It names a further index.
    ExtraIndex,
    /// It names further places with files.
    FindLinks,
    /// It switches checks of certificates off.
    NoTlsCheck,
    /// It switches indexes off.
    NoIndex,
    /// It says how several indexes are searched.
    Strategy,
    /// It names the index of an older kind that the installer adds by itself.
    ImplicitIndex,
    /// It names a further requirements or constraints file, whose options count as well: see [`included`].
    Included,
}

/// Why a source cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientConfigError {
    /// Larger than [`CLIENT_CONFIG_BYTES_MAX`].
    #[error("`{0}` is larger than 4 MiB")]
    TooLarge(String),
    /// Not what its name says.
    #[error("`{place}` cannot be read: {reason}")]
    Syntax {
        /// The source.
        place: String,
        /// Where and why not.
        reason: String,
    },
}

/// Every setting of a source that decides where packages come from, from top to bottom.
pub fn settings(source: &Source) -> Result<Vec<Setting>, ClientConfigError> {
    let mut found = all(source)?;
    found.retain(|setting| setting.effect != Effect::Included);
    Ok(found)
}

/// Every file that a source names for pip to read as requirements or constraints, in a requirements file with `-r` or
/// `-c`: pip takes index options from all of them. The value is an address, or a path: from the folder of a requirements
/// file, else from where pip runs. Finding it is the caller's; one that it cannot read is for [`judge`].
pub fn included(source: &Source) -> Vec<Setting> {
    let mut found = all(source).unwrap_or_default();
    found.retain(|setting| setting.effect == Effect::Included);
    found
}

fn all(source: &Source) -> Result<Vec<Setting>, ClientConfigError> {
    if source.text.len() > CLIENT_CONFIG_BYTES_MAX {
        return Err(ClientConfigError::TooLarge(source.place.clone()));
    }
    match source.kind {
        SourceKind::PipConf => Ok(ini::pip_conf(source)),
        SourceKind::Requirements => Ok(words::requirements(source)),
        SourceKind::Environment => Ok(words::environment(source)),
        SourceKind::UvToml
        | SourceKind::Pyproject
        | SourceKind::PoetryToml
        | SourceKind::PdmToml => {
            tables::settings(source).map_err(|reason| ClientConfigError::Syntax {
                place: source.place.clone(),
                reason,
            })
        }
    }
}

impl Source {
    fn setting(
        &self,
        installer: Installer,
        line: usize,
        name: &str,
        value: &str,
    ) -> Option<Setting> {
        Some(Setting {
            installer,
            place: self.place.clone(),
            line: (self.kind != SourceKind::Environment).then_some(line),
            name: name.to_owned(),
            value: value.to_owned(),
            effect: words::effect(installer, name)?,
        })
    }
}

impl fmt::Display for Installer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pip => "pip",
            Self::Uv => "uv",
            Self::Poetry => "poetry",
            Self::Pdm => "pdm",
        })
    }
}

#[cfg(test)]
mod tests;
