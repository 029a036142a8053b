//! Joins what is typed, the environment and `heliostat.toml` into one command line, and can tell where each value
//! came from. The only reader of the environment.
//!
//! Options are declared once, in `cli`. Here each gets an environment variable and a place in the file by rule: the
//! key is the option's long name; its table is the command's name, or the option group's (`[upstream]`, `[cache]`,
//! `[filters]`, `[selection]`), or none for options that every command has.

mod file;
mod key;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, parser::ValueSource};

use crate::cli::Cli;
use crate::commands::UsageError;

pub(crate) use file::{ConfigError, render_template};
pub(crate) use key::{Key, Shape, keys, redact};

/// The parsed command line and the file it was completed from.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What is in force.
    pub(crate) cli: Cli,
    /// Whether the projects of a selection were typed or come from the file.
    pub(crate) typed: Typed,
    /// Variables of the environment that nobody reads, each with the one that was probably meant.
    pub(crate) misspelt: Vec<(String, String)>,
}

/// Where the projects of a selection come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typed {
    /// They were typed in this call: they are added to what is selected.
    Here,
    /// The configuration file names them: they replace what it named before.
    InFile,
}

/// One value of `config show`.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    /// `table.key`
    pub(crate) key: String,
    /// The value as text; `None` when unset.
    pub(crate) value: Option<String>,
    /// Where it came from.
    pub(crate) source: String,
}

/// Reads the command line, completed by the environment and the configuration file.
pub(crate) fn read(arguments: &[OsString]) -> Result<Settings, ReadError> {
    let (command, file) = completed_command(arguments)?;
    let matches = command
        .try_get_matches_from(arguments)
        .map_err(|error| refused(error, arguments, file.as_deref()))?;
    let cli = Cli::from_arg_matches(&matches).map_err(ReadError::Usage)?;
    let source = matches.subcommand().and_then(|(_, inner)| {
        inner
            .try_contains_id("projects")
            .ok()
            .filter(|known| *known)
            .and_then(|_| inner.value_source("projects"))
    });
    let typed = if source == Some(ValueSource::DefaultValue) {
        Typed::InFile
    } else {
        Typed::Here
    };
    Ok(Settings {
        cli,
        typed,
        misspelt: key::misspelt(environment_names()),
    })
}

/// Every key with what is in force when `command` is run without options.
pub(crate) fn show(config: Option<&Path>) -> Result<Vec<Shown>, ReadError> {
    let mut shown = Vec::new();
    let mut config_arguments: Vec<OsString> = vec!["heliostat".into()];
    if let Some(path) = config {
        config_arguments.extend(["--config".into(), path.into()]);
    }
    let mut seen = std::collections::BTreeSet::new();
    for name in key::CONFIGURABLE_COMMANDS {
        let mut arguments = config_arguments.clone();
        arguments.push((*name).into());
        let (command, file) = completed_command(&arguments)?;
        let matches = command
            .try_get_matches_from(&arguments)
            .map_err(|error| refused(error, &arguments, file.as_deref()))?;
        let Some((_, of_command)) = matches.subcommand() else {
            continue;
        };
        for key in keys()
            .iter()
            .filter(|key| key.commands.iter().any(|command| command == name))
        {
            if seen.insert(key.path()) {
                shown.push(show_one(key, of_command, file.as_deref()));
            }
        }
    }
    Ok(shown)
}

/// The whole command line as it is parsed, for completions and documentation.
pub(crate) fn command() -> Command {
    key::with_environment(Cli::command())
}

/// Why the command line cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Wrong words, or a request for help.
    #[error(transparent)]
    Usage(clap::Error),
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl ReadError {
    /// The error for a command that reads a command line of its own making.
    pub(crate) fn into_anyhow(self) -> anyhow::Error {
        match self {
            Self::Usage(error) => UsageError(said(&error)).into(),
            Self::Config(error) => error.into(),
        }
    }
}

/// A command line that clap refuses, with the place of a value that was not typed.
fn refused(error: clap::Error, arguments: &[OsString], file: Option<&Path>) -> ReadError {
    match place_of(&error, arguments, file) {
        Some(place) => ReadError::Config(ConfigError::Value {
            place,
            reason: said(&error),
        }),
        None => ReadError::Usage(error),
    }
}

/// Where a wrong value stands, unless it was typed.
fn place_of(error: &clap::Error, arguments: &[OsString], file: Option<&Path>) -> Option<String> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let option = argument.split([' ', '=', '[']).next()?;
    let is_typed = arguments.iter().any(|typed| {
        let typed = typed.to_string_lossy();
        typed == option
            || typed
                .strip_prefix(option)
                .is_some_and(|rest| rest.starts_with('='))
    });
    let name = option.strip_prefix("--").filter(|_| !is_typed)?;
    let keys = keys();
    let mut named = keys.iter().filter(|key| key.name == name);
    named.find_map(|key| {
        if environment_path(&key.variable()).is_some() {
            return Some(format!("the variable `{}`", key.variable()));
        }
        let path = file.filter(|path| file::sets(path, key))?;
        Some(format!(
            "`{}` in the configuration file `{}`",
            key.path(),
            path.display()
        ))
    })
}

/// What clap says, without its frame.
fn said(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let end = text.find("\n\nFor more information").unwrap_or(text.len());
    text[..end].trim_end().to_owned()
}

/// The command with environment variables and the file's values as defaults.
fn completed_command(arguments: &[OsString]) -> Result<(Command, Option<PathBuf>), ReadError> {
    let bare = key::with_environment(Cli::command());
    let path = config_path(bare.clone(), arguments)?;
    let Some(path) = path else {
        return Ok((bare, None));
    };
    let values = file::read(&path)?;
    let mut command = bare;
    for (key, value) in values {
        command = key.set_default(command, &value);
    }
    Ok((command, Some(path)))
}

/// The configuration file: named by option or environment, else the first that exists of the usual places.
fn config_path(command: Command, arguments: &[OsString]) -> Result<Option<PathBuf>, ReadError> {
    let named = command
        .ignore_errors(true)
        .try_get_matches_from(arguments)
        .ok()
        .and_then(|matches| {
            let inner = matches.subcommand().map(|(_, inner)| inner);
            inner
                .and_then(|inner| inner.try_get_one::<PathBuf>("config").ok().flatten())
                .or_else(|| matches.try_get_one::<PathBuf>("config").ok().flatten())
                .cloned()
        });
    if let Some(path) = named {
        return if path.is_file() {
            Ok(Some(path))
        } else {
            Err(ConfigError::Missing { path }.into())
        };
    }
    Ok(usual_places().into_iter().find(|path| path.is_file()))
}

/// Where a configuration file is looked for, in order.
pub(crate) fn usual_places() -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("heliostat.toml")];
    if let Some(directory) =
        environment_path("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")))
    {
        places.push(directory.join("heliostat").join("heliostat.toml"));
    }
    places.push(PathBuf::from("/etc/heliostat/heliostat.toml"));
    places
}

/// The data directory when none is named: the platform's.
pub(crate) fn default_data() -> PathBuf {
    environment_path("XDG_DATA_HOME")
        .or_else(|| {
            Some(home()?.join(if cfg!(target_os = "macos") {
                "Library/Application Support"
            } else {
                ".local/share"
            }))
        })
        .unwrap_or_else(|| PathBuf::from("."))
        .join("heliostat")
}

/// The user's home directory.
pub(crate) fn home() -> Option<PathBuf> {
    environment_path("HOME").or_else(|| environment_path("USERPROFILE"))
}

/// What a variable says, where it says something.
#[expect(
    clippy::disallowed_methods,
    reason = "settings is the one reader of the environment"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variables that installers read, in order of their names.
pub(crate) fn installer_variables() -> Vec<(String, String)> {
    const PREFIXES: [&str; 3] = ["PIP_", "UV_", "PDM_"];
    let mut variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    variables.sort();
    variables
}

/// A path that a variable names.
#[expect(
    clippy::disallowed_methods,
    reason = "settings is the one reader of the environment"
)]
pub(crate) fn environment_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn environment_names() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}

fn show_one(key: &Key, matches: &ArgMatches, file: Option<&Path>) -> Shown {
    let values = matches.try_get_raw(&key.id).ok().flatten();
    let value = values.map(|values| {
        values
            .map(|value| value.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(", ")
    });
    let source = match matches.value_source(&key.id) {
        Some(ValueSource::EnvVariable) => format!("environment ({})", key.variable()),
        Some(ValueSource::CommandLine) => "command line".to_owned(),
        Some(_) => match file.filter(|path| file::sets(path, key)) {
            Some(path) => format!("file ({})", path.display()),
            None => "default".to_owned(),
        },
        None => "unset".to_owned(),
    };
    Shown {
        key: key.path(),
        value: value.map(redact),
        source,
    }
}

#[cfg(test)]
mod tests;
