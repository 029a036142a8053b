//! The program: reads what was typed, runs one command, exits with one code. Nothing else happens here.

mod cli;
mod commands;
mod files;
#[cfg(feature = "directory")]
mod mirror_list;
mod outcome;
mod program;
mod reference;
mod render;
mod reporter;
mod settings;
mod signing;
mod wire;

use std::process::ExitCode;

use crate::settings::ReadError;

/// PyPI's Simple API root: where projects come from when nobody says otherwise.
pub(crate) const PYPI_SIMPLE_ROOT: &str = "https://pypi.org/simple/";

/// Where PyPI's files are: what stands before `packages/…` in lock files.
pub(crate) const PYPI_FILES_ROOT: &str = "https://files.pythonhosted.org/";

/// Version and commit.
pub(crate) const VERSION_LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("HELIOSTAT_COMMIT"),
    ")"
);

fn main() -> ExitCode {
    heliostat_trust::crypto::install();
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let settings = match settings::read(&arguments) {
        Ok(settings) => settings,
        Err(ReadError::Usage(error)) => return outcome::usage(&error),
        Err(ReadError::Config(error)) => return outcome::finish(Err(error.into())),
    };
    wire::start_logging(&settings.cli.common);
    for (name, meant) in &settings.misspelt {
        tracing::warn!("the variable `{name}` is not read by anybody; did you mean `{meant}`?");
    }
    let result = commands::run(settings);
    outcome::finish(result)
}
