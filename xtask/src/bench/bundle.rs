//! `cargo xtask bench bundle`: a signed mirror exported, imported and proved, and what 1 % of change costs; beside
//! `tar --zstd` of the same tree, which proves nothing and has no deltas.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Ground;
use super::dataset::{Dataset, Set, State};
use super::measure::{self, Cost};
use super::table::{Better, Table};

/// Arguments of `cargo xtask bench bundle`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The data set.
    #[arg(long, value_enum, default_value_t = Set::A)]
    set: Set,
    /// How often everything is done, in turn; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// What is measured, in order.
const STEPS: [&str; 4] = [
    "export, everything",
    "import, everything",
    "export, 1 % changed",
    "import, 1 % changed",
];

/// What one step cost, and how large the file is that it wrote or read.
#[derive(Debug, Clone, Copy)]
struct Taken {
    cost: Cost,
    file_mb: f64,
}

/// All rounds of one program: `taken[step][round]`.
type Taking = [Vec<Taken>; STEPS.len()];

/// The places of one round.
struct Round<'a> {
    ground: &'a Ground<'a>,
    home: PathBuf,
}

/// Runs all rounds and prints the table.
pub(super) fn run(ground: &Ground<'_>, arguments: &Arguments) -> Result<()> {
    let dataset = Dataset::ensure(ground, arguments.set)?;
    for program in ["tar", "zstd"] {
        Ground::tool(program)?;
    }
    let runs = ground.directory.join("bundle-runs");
    let (mut ours, mut tars) = (Taking::default(), Taking::default());
    for number in 1..=arguments.rounds {
        let home = runs.join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&home)
            .with_context(|| format!("failed to make `{}`", home.display()))?;
        ground.console.step(&format!("round {number}: the mirror"));
        let round = Round { ground, home };
        round.heliostat(&["trust", "init"], "near", &[])?;
        round.sync(&dataset, State::Before)?;
        ground.console.step(&format!("round {number}"));
        round.carry("all", None, (&mut ours[..2], &mut tars[..2]))?;
        round.sync(&dataset, State::After)?;
        round.carry("changed", Some("all"), (&mut ours[2..], &mut tars[2..]))?;
        round.check(&dataset)?;
    }
    let titles = ["heliostat".to_owned(), "tar --zstd".to_owned()];
    println!("{}", table(&titles, &[ours, tars]).to_markdown());
    std::fs::remove_dir_all(&runs).with_context(|| format!("failed to remove `{}`", runs.display()))
}

impl Round<'_> {
    /// Runs us on a data directory of this round.
    fn heliostat(&self, words: &[&str], data: &str, rest: &[&Path]) -> Result<Cost> {
        let mut command = Command::new(&self.ground.heliostat);
        command.args(words).arg("--data").arg(self.home.join(data));
        measure::run(command.args(rest))
    }

    fn sync(&self, dataset: &Dataset, state: State) -> Result<()> {
        let nginx = dataset.serve(state)?;
        let index = format!("{}/simple/", dataset.address());
        self.heliostat(&["sync", "--all", "--upstream", &index], "near", &[])?;
        nginx.stop().map(drop)
    }

    /// Exports and imports, and does the same with tar, which always takes everything.
    fn carry(
        &self,
        name: &str,
        since: Option<&str>,
        (ours, tars): (&mut [Vec<Taken>], &mut [Vec<Taken>]),
    ) -> Result<()> {
        let bundle = self.home.join(format!("{name}.bundle"));
        let older = since.map(|since| self.home.join(format!("{since}.bundle")));
        let mut export: Vec<&Path> = vec![Path::new("-o"), &bundle];
        if let Some(older) = &older {
            export.extend([Path::new("--since"), older.as_path()]);
        }
        let cost = self.heliostat(&["export"], "near", &export)?;
        ours[0].push(Taken::of(cost, &bundle)?);
        let root = self.home.join("near/web/tuf/1.root.json");
        let import = [Path::new("--root"), &root, &bundle];
        let cost = self.heliostat(&["import"], "far", &import)?;
        ours[1].push(Taken::of(cost, &bundle)?);
        let archive = self.home.join(format!("{name}.tar.zst"));
        let mut pack = Command::new("tar");
        pack.args(["--zstd", "-C"]).arg(self.home.join("near"));
        let cost = measure::run(pack.arg("-cf").arg(&archive).arg("web"))?;
        tars[0].push(Taken::of(cost, &archive)?);
        let unpacked = self.home.join(format!("tar-{name}"));
        std::fs::create_dir_all(&unpacked)
            .with_context(|| format!("failed to make `{}`", unpacked.display()))?;
        let mut unpack = Command::new("tar");
        unpack.args(["--zstd", "-C"]).arg(&unpacked);
        let cost = measure::run(unpack.arg("-xf").arg(&archive))?;
        tars[1].push(Taken::of(cost, &archive)?);
        Ok(())
    }

    /// Both sides must hold every file at the end, or the times would be worth nothing.
    fn check(&self, dataset: &Dataset) -> Result<()> {
        let wanted = Dataset::file_count(dataset.directory())?;
        for tree in ["far/web", "tar-changed/web"] {
            let held = Dataset::file_count(&self.home.join(tree))?;
            if held != wanted {
                bail!("`{tree}` holds {held} files of {wanted}");
            }
        }
        Ok(())
    }
}

impl Taken {
    fn of(cost: Cost, file: &Path) -> Result<Self> {
        let size_bytes = std::fs::metadata(file)
            .with_context(|| format!("failed to look at `{}`", file.display()))?
            .len();
        // No bundle comes near the 2^52 bytes from which on a float is not exact.
        #[expect(clippy::cast_precision_loss, reason = "a size far below 2^52")]
        let file_mb = size_bytes as f64 / 1e6;
        Ok(Self { cost, file_mb })
    }
}

fn table(titles: &[String], takings: &[Taking]) -> Table {
    let mut table = Table::new(titles);
    for (at, title) in STEPS.iter().enumerate() {
        let mut row = |what: &str, number: fn(&Taken) -> f64| {
            let rounds: Vec<Vec<f64>> = takings
                .iter()
                .map(|taking| taking[at].iter().map(number).collect())
                .collect();
            table.row(&format!("{title}: {what}"), Better::Lower, &rounds);
        };
        row("wall, s", |taken| taken.cost.wall_seconds);
        row("processor, s", |taken| taken.cost.processor_seconds);
        row("memory, MB", |taken| taken.cost.memory_mb);
        row("file, MB", |taken| taken.file_mb);
    }
    table
}
