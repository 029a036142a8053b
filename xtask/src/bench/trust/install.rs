//! Forty packages installed by uv: from a mirror directly, and through the proxy, which checks everything.

use anyhow::Result;

use super::super::Ground;
use super::super::measure;
use super::super::table::{Better, Table, median};
use super::log::metadata_bytes;
use super::proxy::{Speaking, Uv, mirror, place, proxy};
use super::tree::{Tree, check_installed};
use super::{Goal, print};

/// One way to install, in all rounds.
#[derive(Debug, Default)]
struct Way {
    seconds: Vec<f64>,
    metadata_kb: Vec<f64>,
}

/// What was measured.
#[derive(Debug, Default)]
struct Measured {
    plain: Way,
    /// The proxy has never asked anybody.
    cold: Way,
    /// The proxy has the state that is current.
    warm: Way,
    /// The proxy has the state of an hour ago.
    hour: Way,
    proxy_mb: Vec<f64>,
}

/// The proxy takes requests that are 3 s apart for two resolutions.
const RESOLUTION_ENDS: std::time::Duration = std::time::Duration::from_secs(4);

/// Measures in turn and prints the figures with the goals.
pub(super) fn run(ground: &Ground<'_>, tree: &Tree, rounds: u32) -> Result<()> {
    let uv = Uv::install(ground)?;
    let mirror = mirror(ground, tree, "mirror")?;
    let mut measured = Measured::default();
    for round in 1..=rounds {
        ground.console.step(&format!("round {round}"));
        measured.plain.add(&uv, &mirror, &mirror)?;
        let state = place(ground, &format!("proxy-data-{round}"))?;
        let proxy = proxy(ground, tree, &state, &[&mirror])?;
        measured.cold.add(&uv, &proxy, &mirror)?;
        // Requests that come closer together belong to one resolution, which asks for no new state.
        std::thread::sleep(RESOLUTION_ENDS);
        measured.warm.add(&uv, &proxy, &mirror)?;
        tree.an_hour_passes()?;
        std::thread::sleep(RESOLUTION_ENDS);
        measured.hour.add(&uv, &proxy, &mirror)?;
        let peak = measure::peak_memory_mb(proxy.server.process_id());
        measured.proxy_mb.push(peak);
    }
    let title = format!("{}, straight from the mirror", uv.title);
    println!("{}", measured.table(&title).to_markdown());
    print(&measured.goals());
    Ok(())
}

impl Way {
    fn add(&mut self, uv: &Uv, from: &Speaking, mirror: &Speaking) -> Result<()> {
        let before = mirror.log.lines()?.len();
        let cost = uv.install_all(from)?;
        check_installed(&uv.installed())?;
        self.seconds.push(cost.wall_seconds);
        let lines = mirror.log.lines()?;
        // Far below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "a few megabytes at most")]
        let kb = metadata_bytes(&lines[before..]) as f64 / 1000.0;
        self.metadata_kb.push(kb);
        Ok(())
    }

    fn seconds(&self) -> f64 {
        median(&self.seconds).unwrap_or(f64::NAN)
    }

    fn metadata_kb(&self) -> f64 {
        median(&self.metadata_kb).unwrap_or(f64::NAN)
    }
}

impl Measured {
    fn table(&self, straight: &str) -> Table {
        let columns = ["through a cold proxy", straight].map(str::to_owned);
        let mut table = Table::new(&columns);
        let milliseconds = |way: &Way| way.seconds.iter().map(|s| s * 1000.0).collect();
        let rounds = [milliseconds(&self.cold), milliseconds(&self.plain)];
        table.row("40 packages, ms", Better::Lower, &rounds);
        table
    }

    fn goals(&self) -> Vec<Goal> {
        let added = |way: &Way| (way.seconds() - self.plain.seconds()) * 1000.0;
        let mut goals = Vec::new();
        for (name, way, most_kb, most_ms) in [
            ("cold", &self.cold, Some(500.0), Some(300.0)),
            ("warm", &self.warm, Some(60.0), Some(30.0)),
            ("after an hour", &self.hour, None, None),
        ] {
            goals.push(Goal {
                what: format!("{name}: metadata"),
                value: way.metadata_kb(),
                unit: "kB",
                most: most_kb,
            });
            goals.push(Goal {
                what: format!("{name}: time added"),
                value: added(way),
                unit: "ms",
                most: most_ms,
            });
        }
        goals.push(Goal {
            what: "the proxy's memory at its peak".to_owned(),
            value: self.proxy_mb.iter().copied().fold(0.0, f64::max),
            unit: "MB",
            most: Some(40.0),
        });
        goals
    }
}
