//! `cargo xtask docs`: the reference that the program writes about itself, kept equal to what is committed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{self, cargo};
use crate::console::Console;
use crate::workspace::{Profile, Workspace};

/// Each generated file, and what `heliostat reference …` is asked for.
const GENERATED: [(&str, &str); 2] = [
    ("docs/reference/cli.md", "cli"),
    ("docs/reference/configuration.md", "config"),
];

/// Arguments of `cargo xtask docs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail where a file is not what the program says.
    #[arg(long)]
    check: bool,
}

/// What comparing one committed file with the program gives.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Same,
    /// Neither the file nor the command is there yet.
    Absent,
    /// The number of the first line that differs, from 1.
    DriftedAt(usize),
    /// The file is committed, and the program no longer writes it.
    CommandGone,
}

/// Builds the program, then writes or checks.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let mut console = Console::new();
    command::run(
        cargo(workspace, &["build", "--workspace", "--locked"]).args(workspace.test_features()),
    )?;
    if arguments.check {
        return check(workspace, &mut console, Profile::Dev);
    }
    for (file, topic) in GENERATED {
        let Some(text) = generate(workspace, Profile::Dev, topic)? else {
            bail!("`heliostat reference {topic}` writes nothing");
        };
        let path = workspace.root.join(file);
        let directory = path.parent().unwrap_or(&workspace.root);
        fs::create_dir_all(directory)
            .with_context(|| format!("failed to make `{}`", directory.display()))?;
        fs::write(&path, text).with_context(|| format!("failed to write `{file}`"))?;
        console.note(&format!("wrote {file}"));
    }
    Ok(())
}

/// Compares with a program that is built already.
pub(crate) fn check(workspace: &Workspace, console: &mut Console, profile: Profile) -> Result<()> {
    let mut wrong = Vec::new();
    for (file, topic) in GENERATED {
        let committed = fs::read_to_string(workspace.root.join(file)).ok();
        let generated = generate(workspace, profile, topic)?;
        match compare(committed.as_deref(), generated.as_deref()) {
            Finding::Same => console.note(&format!("{file} is up to date")),
            Finding::Absent => console.skip(&format!(
                "{file}: `heliostat reference {topic}` does not exist yet"
            )),
            Finding::DriftedAt(line) => wrong.push(format!("`{file}` differs from line {line} on")),
            Finding::CommandGone => wrong.push(format!(
                "`{file}` stands, but `heliostat reference {topic}` fails"
            )),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!(
        "{}; run `cargo xtask docs` and commit what it writes",
        wrong.join("; ")
    )
}

/// What the program says, or `None` where it does not know the command.
fn generate(workspace: &Workspace, profile: Profile, topic: &str) -> Result<Option<String>> {
    let program = workspace.program("heliostat", profile);
    let mut command = Command::new(&program);
    // A narrow or wide terminal must not change the text.
    command
        .args(["reference", topic])
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1");
    for (name, _) in std::env::vars_os() {
        // A setting of the person who runs this is not a default.
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("HELIOSTAT_"))
        {
            command.env_remove(name);
        }
    }
    let output = command
        .current_dir(Path::new("/"))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start `{}`", program.display()))?;
    if !output.status.success() || output.stdout.trim_ascii().is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8(output.stdout)
        .with_context(|| format!("`reference {topic}` is not UTF-8"))?;
    Ok(Some(text))
}

fn compare(committed: Option<&str>, generated: Option<&str>) -> Finding {
    match (committed, generated) {
        (None, None) => Finding::Absent,
        (Some(_), None) => Finding::CommandGone,
        (None, Some(_)) => Finding::DriftedAt(1),
        (Some(committed), Some(generated)) if committed == generated => Finding::Same,
        (Some(committed), Some(generated)) => {
            let same = committed
                .split('\n')
                .zip(generated.split('\n'))
                .take_while(|(one, other)| one == other);
            Finding::DriftedAt(same.count() + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_found_where_it_begins() {
        assert_eq!(compare(Some("a\nb\n"), Some("a\nb\n")), Finding::Same);
        assert_eq!(
            compare(Some("a\nb\n"), Some("a\nc\n")),
            Finding::DriftedAt(2)
        );
        assert_eq!(compare(Some("a\n"), Some("a\nb\n")), Finding::DriftedAt(2));
        assert_eq!(compare(None, Some("a\n")), Finding::DriftedAt(1));
    }

    #[test]
    fn a_command_that_went_away_is_a_failure_but_one_never_there_is_not() {
        assert_eq!(compare(None, None), Finding::Absent);
        assert_eq!(compare(Some("a\n"), None), Finding::CommandGone);
    }
}
