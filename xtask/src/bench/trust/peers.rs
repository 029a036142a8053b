//! python-tuf, the reference implementation, on the same tree: all of it signed, and one target had by a client.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::measure::{self, Cost};
use super::super::table::{Better, Table};
use super::super::{AREA, Ground};
use super::log::metadata_bytes;
use super::proxy::{Speaking, mirror, place};
use super::tree::{Tree, packages};
use crate::python::Environment;

const SCRIPT: &str = include_str!("peers.py");

/// python-tuf, installed.
struct PythonTuf {
    title: String,
    python: PathBuf,
    script: PathBuf,
}

/// Signs and reads, and prints both tables.
pub(super) fn run(ground: &Ground<'_>, tree: &Tree) -> Result<()> {
    let peer = PythonTuf::install(ground)?;
    ground.console.step("signing everything with python-tuf");
    let (seconds, cost) = peer.sign(ground, tree)?;
    let titles = ["heliostat".to_owned(), peer.title.clone()];
    let mut table = Table::new(&titles);
    let ours = tree.signing.context("this tree was not signed just now")?;
    let mut row = |what: &str, ours: f64, theirs: f64| {
        table.row(what, Better::Lower, &[vec![ours], vec![theirs]]);
    };
    row("everything signed, s", ours.wall_seconds, seconds);
    row(
        "processor, s",
        ours.processor_seconds,
        cost.processor_seconds,
    );
    row("memory, MB", ours.memory_mb, cost.memory_mb);
    println!("{}", table.to_markdown());
    ground.console.step("one target had by clients");
    read(ground, tree, &peer)
}

/// One page had by a client that has nothing, and by one that has been there a moment ago.
fn read(ground: &Ground<'_>, tree: &Tree, peer: &PythonTuf) -> Result<()> {
    let mirror = mirror(ground, tree, "mirror")?;
    let url = format!("{}/", mirror.server.address);
    let names = packages();
    let (first, second) = (page(&names[0]), page(&names[1]));
    let ours = Ours::begin(ground, tree, &url)?;
    let theirs = place(ground, "state-theirs")?;
    let python = |target: &str| {
        let mut client = peer.command();
        client
            .arg("client")
            .arg(tree.root())
            .arg(&theirs)
            .args([&url, target]);
        client
    };
    let mut table = Table::new(&["heliostat".to_owned(), peer.title.clone()]);
    for (what, target) in [("first target", &first), ("one more", &second)] {
        let costs = [
            asked(&mirror, &mut ours.download(target))?,
            asked(&mirror, &mut python(target))?,
        ];
        let mut row = |unit: &str, number: fn(&(Cost, f64)) -> f64| {
            let values: Vec<Vec<f64>> = costs.iter().map(|cost| vec![number(cost)]).collect();
            table.row(&format!("{what}: {unit}"), Better::Lower, &values);
        };
        row("wall, s", |(cost, _)| cost.wall_seconds);
        row("processor, s", |(cost, _)| cost.processor_seconds);
        row("memory, MB", |(cost, _)| cost.memory_mb);
        row("metadata, kB", |(_, kb)| *kb);
    }
    println!("{}", table.to_markdown());
    Ok(())
}

/// Our client, with a state of its own.
pub(super) struct Ours<'a> {
    ground: &'a Ground<'a>,
    state: PathBuf,
    url: String,
}

impl<'a> Ours<'a> {
    /// One that knows the root, and nothing else.
    pub(super) fn begin(ground: &'a Ground<'_>, tree: &Tree, url: &str) -> Result<Self> {
        let ours = Self {
            ground,
            state: place(ground, "state-ours")?,
            url: url.to_owned(),
        };
        measure::run(ours.command().arg("init").arg(tree.root()))?;
        Ok(ours)
    }

    /// Refreshes and downloads a target.
    pub(super) fn download(&self, target: &str) -> Command {
        let mut command = self.command();
        command.args(["--target-name", target, "download"]);
        command
    }

    fn command(&self) -> Command {
        let mut client = Command::new(&self.ground.heliostat);
        client
            .args(["tuf-client", "--log", "warn", "--metadata-dir"])
            .arg(self.state.join("metadata"))
            .args(["--metadata-url", &format!("{}tuf/", self.url)])
            .args(["--target-base-url", &self.url, "--target-dir"])
            .arg(self.state.join("targets"));
        client
    }
}

/// What a client cost, and the metadata that it was given.
pub(super) fn asked(mirror: &Speaking, client: &mut Command) -> Result<(Cost, f64)> {
    let before = mirror.log.lines()?.len();
    let cost = measure::run(client)?;
    let lines = mirror.log.lines()?;
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes at most")]
    let kb = metadata_bytes(&lines[before..]) as f64 / 1000.0;
    Ok((cost, kb))
}

/// The target of a project's page.
pub(super) fn page(name: &str) -> String {
    format!("simple/{name}/index.v1_json")
}

impl PythonTuf {
    fn install(ground: &Ground<'_>) -> Result<Self> {
        let packages = ["tuf", "securesystemslib[crypto]"];
        let environment = Environment::ensure(ground.workspace, AREA, "tuf", &packages)?;
        let script = ground.directory.join("trust/peers.py");
        std::fs::write(&script, SCRIPT)
            .with_context(|| format!("failed to write `{}`", script.display()))?;
        Ok(Self {
            title: environment.version("tuf")?.replace("tuf ", "python-tuf "),
            python: environment.program("python"),
            script,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script);
        command
    }

    /// The seconds it took to make, sign and write everything, and what the process cost with the reading of ours.
    fn sign(&self, ground: &Ground<'_>, tree: &Tree) -> Result<(f64, Cost)> {
        let out = place(ground, "signed-by-peer")?;
        let mut sign = self.command();
        sign.arg("sign").arg(tree.data.join("web")).arg(&out);
        let (cost, said) = measure::run_heard(&mut sign)?;
        let said: Value = serde_json::from_str(&said).context("its answer is not JSON")?;
        ensure!(
            said["targets"] == tree.projects,
            "python-tuf signed {} of {} pages",
            said["targets"],
            tree.projects
        );
        std::fs::remove_dir_all(&out)
            .with_context(|| format!("failed to remove `{}`", out.display()))?;
        let seconds = said["seconds"].as_f64().context("its answer has no time")?;
        Ok((seconds, cost))
    }
}
