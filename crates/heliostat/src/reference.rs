//! The reference documentation, made from the command line's own definition. Pure: definitions in, Markdown out.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::settings::{Key, Shape};

/// Every command with its options.
pub(crate) fn command_line(command: &Command) -> String {
    let mut text = String::from(
        "# Command line\n\nMade from the program's own definition by `cargo xtask docs`; do not edit.\n\n\
         Every option may also stand in the environment or in `heliostat.toml`: see [configuration](configuration.md).\n\n\
         ## Exit codes\n\n| code | meaning |\n| --- | --- |\n\
         | 0 | everything asked for is done |\n\
         | 1 | done, but with findings or failed projects, which are listed |\n\
         | 2 | wrong usage or configuration |\n\
         | 3 | could not run: disk, lock held, upstream unreachable |\n\
         | 4 | something failed verification |\n\n\
         ## Options of every command\n\n",
    );
    options(&mut text, command.get_arguments());
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        describe(&mut text, inner, "heliostat");
    }
    text
}

/// Every key of `heliostat.toml`, its environment variable, its default.
pub(crate) fn configuration(keys: &[Key]) -> String {
    let mut text = String::from(
        "# Configuration\n\nMade from the program's own definition by `cargo xtask docs`; do not edit.\n\n\
         `heliostat.toml` is looked for in the current directory, in the user's and then in the system's configuration \
         directory; `--config FILE` or `HELIOSTAT_CONFIG` names one. What is typed wins over the environment, the \
         environment over the file. An unknown key is an error. `heliostat config init` writes a commented file, \
         `heliostat config show` tells what is in force and where each value came from. In the environment, a list \
         has one value.\n",
    );
    let mut table = None;
    for key in keys {
        if table != Some(&key.table) {
            table = Some(&key.table);
            let title = if key.table.is_empty() {
                "Top of the file".to_owned()
            } else {
                format!("`[{}]`", key.table)
            };
            let _infallible = write!(
                text,
                "\n## {title}\n\n| key | environment | value | default | meaning |\n| --- | --- | --- | --- | --- |\n"
            );
        }
        let shape = match key.shape {
            Shape::Switch => "true or false".to_owned(),
            Shape::One => key.value_name.clone(),
            Shape::Many => format!("list of {}", key.value_name),
        };
        let default = key
            .default
            .as_ref()
            .map(|value| format!("`{value}`"))
            .unwrap_or_default();
        let _infallible = writeln!(
            text,
            "| `{}` | `{}` | {shape} | {default} | {} |",
            key.name,
            key.variable(),
            cell(&key.help)
        );
    }
    text
}

fn describe(text: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent} {}", command.get_name());
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let _infallible = write!(text, "\n## `{name}`\n\n{about}.\n\n");
    if let Some(long) = command.get_long_about() {
        let _infallible = write!(text, "{long}\n\n");
    }
    options(text, command.get_arguments());
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        describe(text, inner, &name);
    }
}

fn options<'a>(text: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let rows: Vec<String> = arguments
        .filter(|arg| !arg.is_hide_set())
        .map(row)
        .collect();
    if rows.is_empty() {
        return;
    }
    text.push_str("| option | default | meaning |\n| --- | --- | --- |\n");
    for row in rows {
        text.push_str(&row);
    }
}

fn row(arg: &Arg) -> String {
    let value = arg
        .get_value_names()
        .and_then(|names| names.first())
        .map(ToString::to_string)
        .unwrap_or_default();
    let takes_value = arg.get_action().takes_values() && value != "BOOL";
    let spelling = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let spelling = if takes_value {
        format!("{spelling} {value}").trim().to_owned()
    } else {
        spelling
    };
    let default = match arg.get_default_values().first() {
        Some(default) if takes_value => format!("`{}`", default.to_string_lossy()),
        _ => String::new(),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    format!("| `{spelling}` | {default} | {} |\n", cell(&help))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
