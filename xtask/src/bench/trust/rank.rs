//! 10,000 listed mirrors put in order by `heliostat mirrors rank`, which asks nobody: the whole command, with reading what a
//! proxy keeps of its list and measured of it, and printing.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Map, json};

use super::super::table::median;
use super::super::{Ground, measure};
use super::proxy::place;
use super::{Goal, print};

/// Mirrors on the list.
const MIRRORS: u32 = 10_000;

/// Measures so many rounds and prints the one in the middle.
pub(super) fn run(ground: &Ground<'_>, rounds: u32) -> Result<()> {
    let data = place(ground, "rank-data")?;
    let kept = data.join("proxy");
    fs::create_dir_all(&kept)?;
    let url = |number: u32| format!("https://m{number}.example/");
    let listed = (0..MIRRORS).map(|number| {
        json!({
            "url": url(number), "id": format!("m{number}-main"), "operator": format!("Operator {}", number % 3_000),
            "prior": {
                "advice": if number % 7 == 0 { "spare" } else { "use" }, "health": 0.9, "lag_seconds": 60,
                "first_byte_milliseconds": number % 400,
            },
        })
    });
    let listed: Vec<_> = listed.collect();
    fs::write(
        kept.join("mirrors.json"),
        json!({"given": [], "listed": listed}).to_string(),
    )?;
    let now = seconds_now()?;
    let average = |value: u32| json!({"value": value, "weight": 8.0, "at": now});
    let measured = (0..MIRRORS).map(|number| {
        let measured = json!({
            "measured": {
                "latency_milliseconds": average(number % 300), "kilobytes_per_second": average(5_000),
                "success": average(1), "failures_in_a_row": 0, "failed_at": 0, "tried_at": 0,
            },
            "timestamp": 7,
        });
        (url(number), measured)
    });
    let measured: Map<_, _> = measured.collect();
    let ratings = json!({"at": now, "client_seed": 7, "mirrors": measured});
    fs::write(kept.join("ratings.json"), ratings.to_string())?;
    let mut milliseconds = Vec::new();
    for _ in 0..rounds {
        let mut rank = Command::new(&ground.heliostat);
        rank.args(["mirrors", "rank", "--json", "--data"])
            .arg(&data);
        let (cost, ranked) = measure::run_heard(&mut rank)?;
        milliseconds.push(cost.wall_seconds * 1_000.0);
        let known = ranked
            .lines()
            .filter(|line| line.contains("\"timestamp\":7"));
        if known.count() != MIRRORS as usize {
            bail!(
                "not all were ranked by what was measured: see `{}`",
                data.display()
            );
        }
    }
    print(&[Goal {
        what: format!("{MIRRORS} mirrors ranked, the whole command, median of {rounds}"),
        value: median(&milliseconds).context("no round")?,
        unit: "ms",
        most: Some(1_000.0),
    }]);
    Ok(())
}

/// Now, in seconds since 1970.
fn seconds_now() -> Result<u64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(since.as_secs())
}
