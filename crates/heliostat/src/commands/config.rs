//! `heliostat config`: writes a commented file, and explains what is in force.

use std::fmt::Write as _;
use std::path::Path;

use crate::cli::{CommonArgs, ConfigCommand};
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::settings::{ReadError, render_template, show};
use crate::{reporter, wire};

pub(super) fn run(common: &CommonArgs, command: &ConfigCommand) -> anyhow::Result<Outcome> {
    match command {
        ConfigCommand::Init { file } => init(file),
        ConfigCommand::Show { json } => {
            let shown = show(common.config.as_deref()).map_err(ReadError::into_anyhow)?;
            if *json {
                reporter::json_line(&shown);
                return Ok(Outcome::Done);
            }
            let width = shown.iter().map(|one| one.key.len()).max().unwrap_or(0);
            let mut text = String::new();
            for one in shown {
                let value = one.value.unwrap_or_else(|| "-".to_owned());
                let _infallible = writeln!(text, "{:width$}  {value}  [{}]", one.key, one.source);
            }
            let data = wire::data_directory(common);
            let _infallible = writeln!(text, "\ndata directory in force: {}", data.display());
            reporter::print(&text);
            Ok(Outcome::Done)
        }
    }
}

/// Writes the template; never over a file that is there.
fn init(file: &Path) -> anyhow::Result<Outcome> {
    use std::io::Write as _;
    let created = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file);
    let mut created = created.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            anyhow::Error::from(UsageError(format!(
                "`{}` is there already; name another file",
                file.display()
            )))
        } else {
            anyhow::Error::from(error).context(format!("cannot write `{}`", file.display()))
        }
    })?;
    created.write_all(render_template().as_bytes())?;
    reporter::talk(&format!("wrote {}", file.display()));
    Ok(Outcome::Done)
}
