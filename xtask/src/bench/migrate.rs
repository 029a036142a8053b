//! `cargo xtask bench migrate`: looking for retired hosts in a large tree, beside ripgrep on the same pattern.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Ground;
use super::measure::{self, Cost};
use super::table::{Better, Table};
use crate::command::find;
use crate::debian::{self, Tool};

/// The peer.
const RIPGREP: Tool = Tool {
    program: "rg",
    package: "ripgrep",
    wanted_for: "the yardstick of migrate scan",
};

/// The retired host; one file in [`NAMED_EVERY`] names it, in a comment, so that a scan ends with 0.
const HOST: &str = "artifactory.old.example";
const NAMED_EVERY: u64 = 500;

/// Files of one directory.
const FILES_A_DIRECTORY: u64 = 200;

/// Stands in a tree once everything is in it.
const MARKER: &str = "complete";

/// Kinds of files, by their endings.
const ENDINGS: [&str; 8] = ["py", "txt", "yml", "md", "toml", "sh", "json", "rs"];

/// Words that the files are made of: code, settings and prose, dots and slashes among them.
const WORDS: [&str; 24] = [
    "import",
    "os.path",
    "install",
    "self.index",
    "https://docs.example/a/b",
    "return",
    "name:",
    "version =",
    "\"value\",",
    "def",
    "run",
    "pip",
    "artifactory",
    "old",
    "requirements",
    "# note",
    "a.b.c",
    "if",
    "else",
    "url",
    "example",
    "(x)",
    "[1, 2]",
    "the",
];

/// Arguments of `cargo xtask bench migrate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Files in the tree.
    #[arg(long, default_value_t = 100_000)]
    files: u64,
    /// Bytes in the tree.
    #[arg(long, default_value_t = 1_000_000_000)]
    bytes: u64,
    /// How often each program is run, after one run that warms the caches.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Makes the tree unless it is there, and runs both programs over it in turn.
pub(super) fn run(ground: &mut Ground<'_>, arguments: &Arguments) -> Result<()> {
    debian::ensure(&mut ground.console, &[RIPGREP]);
    let ripgrep = find(RIPGREP.program).context("`rg` is needed (Debian: ripgrep)")?;
    ground.console.step(&format!(
        "a tree of {} files, {} bytes",
        arguments.files, arguments.bytes
    ));
    let tree = tree(ground, arguments)?;
    let map = tree.with_extension("toml");
    fs::write(
        &map,
        format!(
            "builtin = false\n[[retired]]\nhosts = [\"{HOST}\"]\n[[retired.rule]]\nto = \"https://new.example\"\n"
        ),
    )?;
    let ours = || {
        let mut scan = Command::new(&ground.heliostat);
        scan.args(["migrate", "scan", "--map"]).arg(&map).arg(&tree);
        scan
    };
    // Hidden files are looked at by both; nothing here is ignored by a list.
    let theirs = || {
        let mut search = Command::new(&ripgrep);
        search
            .args([
                "--fixed-strings",
                "--ignore-case",
                "--hidden",
                "--line-number",
                "--column",
            ])
            .arg(HOST)
            .arg(&tree);
        search
    };
    check(ours(), arguments)?;
    measure::run(&mut theirs())?;
    let mut costs: [Vec<Cost>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..arguments.rounds {
        costs[0].push(measure::run(&mut ours())?);
        costs[1].push(measure::run(&mut theirs())?);
    }
    let mut table = Table::new(&["heliostat migrate scan".to_owned(), "ripgrep".to_owned()]);
    let mut row = |what: &str, of: fn(&Cost) -> f64| {
        let rounds: Vec<Vec<f64>> = costs
            .iter()
            .map(|costs| costs.iter().map(of).collect())
            .collect();
        table.row(what, Better::Lower, &rounds);
    };
    row("wall seconds", |cost| cost.wall_seconds);
    row("processor seconds", |cost| cost.processor_seconds);
    row("MB at most", |cost| cost.memory_mb);
    println!("{}", table.to_markdown());
    Ok(())
}

/// Both must have found the same, or the times would mean nothing.
fn check(mut scan: Command, arguments: &Arguments) -> Result<()> {
    let output = scan
        .arg("--json")
        .output()
        .context("failed to start the scan")?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let found = report["findings"].as_array().map_or(0, Vec::len) as u64;
    let named = arguments.files.div_ceil(NAMED_EVERY);
    if found != named {
        bail!("{found} findings in a tree that names the host {named} times");
    }
    Ok(())
}

fn tree(ground: &Ground<'_>, arguments: &Arguments) -> Result<std::path::PathBuf> {
    let tree = ground
        .directory
        .join(format!("migrate-{}-{}", arguments.files, arguments.bytes));
    if tree.with_extension(MARKER).is_file() {
        return Ok(tree);
    }
    crate::python::empty_directory(&tree)?;
    let size = usize::try_from(arguments.bytes / arguments.files.max(1))?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..arguments.files {
        let directory = tree.join(format!("{:04}", number / FILES_A_DIRECTORY));
        if number.is_multiple_of(FILES_A_DIRECTORY) {
            fs::create_dir_all(&directory)?;
        }
        write_file(&directory, number, size, &mut state)?;
    }
    fs::write(tree.with_extension(MARKER), "")?;
    Ok(tree)
}

fn write_file(directory: &Path, number: u64, size: usize, state: &mut u64) -> Result<()> {
    let mut text = String::with_capacity(size + 128);
    if number.is_multiple_of(NAMED_EVERY) {
        let _infallible = writeln!(text, "# once https://{HOST}/simple");
    }
    let mut words = 0;
    while text.len() < size {
        // xorshift: the same tree on every machine.
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        let place = usize::try_from(*state % WORDS.len() as u64)?;
        text.push_str(WORDS[place]);
        words += 1;
        text.push(if words % 9 == 0 { '\n' } else { ' ' });
    }
    let ending = if number.is_multiple_of(NAMED_EVERY) {
        "sh"
    } else {
        ENDINGS[usize::try_from(number % ENDINGS.len() as u64)?]
    };
    fs::write(directory.join(format!("file-{number}.{ending}")), text)?;
    Ok(())
}
