//! The mirror in use killed in the middle of forty packages: the installation goes on, and how long did anybody wait?

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::super::Ground;
use super::log::Line;
use super::proxy::{Speaking, Uv, mirror, place, proxy};
use super::tree::{Tree, check_installed};
use super::{Goal, print};

/// Wheels that the mirror has given when it is killed.
const WHEELS_BEFORE: usize = 8;
/// How long these may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures so many rounds; the worst is what counts.
pub(super) fn run(ground: &Ground<'_>, tree: &Tree, rounds: u32) -> Result<()> {
    let uv = Uv::install(ground)?;
    let mut longest_ms: Vec<f64> = Vec::new();
    let mut whole_ms: f64 = 0.0;
    for round in 1..=rounds {
        ground.console.step(&format!("round {round}"));
        let mut mirrors = vec![
            mirror(ground, tree, "mirror-1")?,
            mirror(ground, tree, "mirror-2")?,
        ];
        let state = place(ground, &format!("proxy-data-{round}"))?;
        let proxy = proxy(ground, tree, &state, &[&mirrors[0], &mirrors[1]])?;
        let cost = thread::scope(|scope| -> Result<_> {
            let install = scope.spawn(|| uv.install_all(&proxy));
            let used = in_use(&mirrors, || install.is_finished())?;
            mirrors.swap_remove(used).server.kill();
            install
                .join()
                .map_err(|_panic| anyhow::anyhow!("uv's thread panicked"))?
        })?;
        check_installed(&uv.installed())?;
        let lines = proxy.log.lines()?;
        if let Some(line) = lines.iter().find(|line| line.status >= 400) {
            bail!("the proxy answered `{}` with {}", line.path, line.status);
        }
        let waits = lines.iter().map(|line| line.milliseconds);
        longest_ms.push(waits.fold(0.0, f64::max));
        whole_ms = whole_ms.max(cost.wall_seconds * 1000.0);
    }
    longest_ms.sort_by(f64::total_cmp);
    let of = |percent: usize| longest_ms[(longest_ms.len() * percent).div_ceil(100) - 1];
    let longest = |what: &str, value: f64| Goal {
        what: format!("longest wait for an answer after a death, {what} of {rounds}"),
        value,
        unit: "ms",
        most: Some(2_000.0),
    };
    print(&[
        longest("p50", of(50)),
        longest("p95", of(95)),
        longest("the most", of(100)),
        Goal {
            what: "the longest of these installations".to_owned(),
            value: whole_ms,
            unit: "ms",
            most: None,
        },
    ]);
    Ok(())
}

/// Which mirror gives the files, as soon as it has given some.
fn in_use(mirrors: &[Speaking], is_over: impl Fn() -> bool) -> Result<usize> {
    let started = Instant::now();
    loop {
        for (at, mirror) in mirrors.iter().enumerate() {
            let is_wheel = |line: &&Line| line.path.contains(".whl");
            if mirror.log.lines()?.iter().filter(is_wheel).count() >= WHEELS_BEFORE {
                return Ok(at);
            }
        }
        if is_over() || started.elapsed() > PATIENCE {
            return Err(anyhow::anyhow!("no mirror gave {WHEELS_BEFORE} wheels"))
                .context("the installation was over before anything was killed");
        }
        thread::sleep(Duration::from_millis(1));
    }
}
