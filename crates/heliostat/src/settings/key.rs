//! The keys: every option that may also stand in the environment or in `heliostat.toml`, derived from the command
//! line's own definition.

use std::collections::BTreeMap;

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::cli::Cli;

/// Commands whose options may stand in the file.
pub(crate) const CONFIGURABLE_COMMANDS: &[&str] = &["serve", "sync", "verify", "proxy"];

/// Option groups that have a table of their own because several commands share them.
const SHARED_TABLES: &[&str] = &[
    "Upstream",
    "Cache",
    "Filters",
    "Selection",
    "Mirror",
    "Signing",
    "Retired",
];

/// Options that belong to one call and make no sense as a standing wish.
const NOT_CONFIGURABLE: &[&str] = &[
    "config", "help", "version", "json", "dry_run", "repair", "resume", "only", "recheck",
];

/// How every variable of ours begins.
const VARIABLE_PREFIX: &str = "HELIOSTAT_";
/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "HELIOSTAT_CONFIG";

/// One configurable option.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The option's identifier in the command line's definition.
    pub(crate) id: String,
    /// The table in the file; empty for options of every command.
    pub(crate) table: String,
    /// The key in the table: the option's long name.
    pub(crate) name: String,
    /// What it means.
    pub(crate) help: String,
    /// Its value, as shown in help.
    pub(crate) value_name: String,
    /// What is in force when nobody says anything.
    pub(crate) default: Option<String>,
    /// One value, several, or a switch.
    pub(crate) shape: Shape,
    /// The commands that have it.
    pub(crate) commands: Vec<String>,
}

/// How many values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `true` or `false`.
    Switch,
    /// One value.
    One,
    /// A list.
    Many,
}

impl Key {
    /// `table.name`, or `name` at the top.
    pub(crate) fn path(&self) -> String {
        if self.table.is_empty() {
            self.name.clone()
        } else {
            format!("{}.{}", self.table, self.name)
        }
    }

    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        variable(&self.name)
    }

    /// Makes the file's values the option's default wherever the option stands.
    pub(crate) fn set_default(&self, command: Command, values: &[String]) -> Command {
        let set = |command: Command| {
            command.mut_args(|arg| {
                if arg.get_id() == self.id.as_str() {
                    arg.default_values(values.to_vec())
                } else {
                    arg
                }
            })
        };
        if self.table.is_empty() {
            return set(command);
        }
        command.mut_subcommands(|inner| {
            if self.commands.iter().any(|name| name == inner.get_name()) {
                set(inner)
            } else {
                inner
            }
        })
    }
}

/// Credentials in addresses are not shown.
pub(crate) fn redact(text: String) -> String {
    match url::Url::parse(&text) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            let _cannot_fail_for_a_host =
                url.set_username("…").and_then(|()| url.set_password(None));
            url.to_string()
        }
        _ => text,
    }
}

/// Every key, sorted by its place in the file.
pub(crate) fn keys() -> Vec<Key> {
    let command = with_environment(Cli::command());
    let mut keys: BTreeMap<String, Key> = BTreeMap::new();
    for arg in command.get_arguments() {
        add(&mut keys, arg, "", CONFIGURABLE_COMMANDS);
    }
    for name in CONFIGURABLE_COMMANDS {
        let Some(inner) = command.find_subcommand(name) else {
            continue;
        };
        for arg in inner.get_arguments() {
            let table = match arg.get_help_heading() {
                Some(heading) if SHARED_TABLES.contains(&heading) => heading.to_lowercase(),
                _ => (*name).to_owned(),
            };
            add(&mut keys, arg, &table, &[name]);
        }
    }
    let mut keys: Vec<Key> = keys.into_values().collect();
    // Keys without a table stand before every table, or they would belong to one.
    keys.sort_by(|a, b| (&a.table, &a.name).cmp(&(&b.table, &b.name)));
    keys
}

/// Variables that look like ours and that nobody reads, each with the one that was probably meant. One that is like
/// none of ours is somebody else's affair: `--online-key` reads whatever variable it is told.
pub(crate) fn misspelt(names: impl Iterator<Item = String>) -> Vec<(String, String)> {
    let mut known: Vec<String> = keys().iter().map(Key::variable).collect();
    known.push(CONFIG_VARIABLE.to_owned());
    let meant = |name: &str| {
        let nearest = known
            .iter()
            .min_by_key(|known| strsim::osa_distance(name, known))?;
        let distance = strsim::osa_distance(name, nearest);
        let letters = name.len() - VARIABLE_PREFIX.len();
        (distance > 0 && distance * 4 <= letters + 3).then(|| nearest.clone())
    };
    names
        .filter(|name| name.starts_with(VARIABLE_PREFIX))
        .filter_map(|name| meant(&name).map(|meant| (name, meant)))
        .collect()
}

/// The command with an environment variable for every configurable option, and switches that can be switched off.
pub(crate) fn with_environment(command: Command) -> Command {
    command.mut_args(with_variable).mut_subcommands(|inner| {
        if CONFIGURABLE_COMMANDS.contains(&inner.get_name()) {
            inner.mut_args(with_variable)
        } else {
            inner
        }
    })
}

fn with_variable(arg: Arg) -> Arg {
    let Some(long) = arg.get_long() else {
        return arg;
    };
    if NOT_CONFIGURABLE.contains(&arg.get_id().as_str()) {
        return if arg.get_id() == "config" {
            arg.env(CONFIG_VARIABLE)
        } else {
            arg
        };
    }
    let variable = variable(long);
    match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false")
            .value_name("BOOL")
            .hide_possible_values(true)
            .hide_default_value(true)
            .value_parser(BoolishValueParser::new())
            .env(variable)
            .hide_env(true),
        // A list in a variable has one value: commas are part of version specifiers.
        _ => arg.env(variable).hide_env(true),
    }
}

fn variable(long: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", long.to_uppercase().replace('-', "_"))
}

fn add(keys: &mut BTreeMap<String, Key>, arg: &Arg, table: &str, commands: &[&str]) {
    let id = arg.get_id().as_str();
    if NOT_CONFIGURABLE.contains(&id) {
        return;
    }
    // The one positional that is a standing wish: the projects of the selection.
    let name = match arg.get_long() {
        Some(long) => long.to_owned(),
        None if table == "selection" => id.to_owned(),
        None => return,
    };
    let shape = match arg.get_action() {
        ArgAction::Append => Shape::Many,
        _ if arg
            .get_value_names()
            .is_some_and(|names| names.iter().any(|name| name == "BOOL")) =>
        {
            Shape::Switch
        }
        _ => Shape::One,
    };
    let key = Key {
        id: id.to_owned(),
        table: table.to_owned(),
        name,
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        value_name: arg
            .get_value_names()
            .and_then(|names| names.first())
            .map(ToString::to_string)
            .unwrap_or_default(),
        default: arg
            .get_default_values()
            .first()
            .map(|value| value.to_string_lossy().into_owned()),
        shape,
        commands: Vec::new(),
    };
    let entry = keys.entry(key.path()).or_insert(key);
    entry
        .commands
        .extend(commands.iter().map(|name| (*name).to_owned()));
}
