//! wrk: load on a list of addresses, and what it tells of rate and latency.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Ground;
use super::cores::on_the_first;
use super::measure::processor_seconds_of;
use crate::command;

/// The load to put on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) connections: u32,
    pub(super) seconds: u32,
    /// The `Accept` header.
    pub(super) accept: &'static str,
}

/// What a server did under a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Answered {
    pub(super) requests_per_second: f64,
    pub(super) bytes_per_second: f64,
    pub(super) p99_ms: f64,
    /// Of the server and its descendants, for each request.
    pub(super) processor_us: f64,
}

/// Asks for the paths in turn for a while. Any answer that is not 2xx makes the measurement an error.
pub(super) fn put(
    ground: &Ground<'_>,
    process: u32,
    address: &str,
    paths: &[String],
    load: Load,
) -> Result<Answered> {
    let script = ground.directory.join("wrk.lua");
    fs::write(&script, lua(paths, load.accept))
        .with_context(|| format!("failed to write `{}`", script.display()))?;
    warm_up(&script, address, load)?;
    let before = processor_seconds_of(process)?;
    let report = command::stdout_of(&mut wrk(&script, address, load.connections, load.seconds)?)?;
    let spent = processor_seconds_of(process)? - before;
    let Some((answered, requests)) = parse(&report) else {
        bail!("wrk's report is not understood:\n{report}")
    };
    if report.contains("Non-2xx") || report.contains("Socket errors") {
        bail!("not every answer from `{address}` was right:\n{report}");
    }
    Ok(Answered {
        processor_us: spent * 1e6 / requests,
        ..answered
    })
}

fn warm_up(script: &Path, address: &str, load: Load) -> Result<()> {
    command::stdout_of(&mut wrk(script, address, load.connections, 1)?).map(drop)
}

fn wrk(script: &Path, address: &str, connections: u32, seconds: u32) -> Result<Command> {
    let mut wrk = on_the_first("wrk")?;
    wrk.args(["--latency", "--threads", "1", "--timeout", "30"]);
    wrk.args([
        "--connections",
        &connections.to_string(),
        "--duration",
        &seconds.to_string(),
    ]);
    wrk.arg("--script").arg(script).arg(address);
    Ok(wrk)
}

fn lua(paths: &[String], accept: &str) -> String {
    let quoted: Vec<String> = paths.iter().map(|path| format!("{path:?}")).collect();
    let paths = quoted.join(
        ",
  ",
    );
    format!(
        "local paths = {{\n  {paths}\n}}\nlocal headers = {{ [\"Accept\"] = {accept:?} }}\nlocal at = 0\n\
         request = function()\n  at = at % #paths + 1\n  return wrk.format(\"GET\", paths[at], headers)\nend\n"
    )
}

/// The rates, the 99th percentile and the number of requests of a report.
fn parse(report: &str) -> Option<(Answered, f64)> {
    let after = |label: &str| {
        report
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(label))
            .map(str::trim)
    };
    let requests_line = report.lines().find(|line| line.contains(" requests in "))?;
    let requests: f64 = requests_line.split_whitespace().next()?.parse().ok()?;
    let answered = Answered {
        requests_per_second: after("Requests/sec:")?.parse().ok()?,
        bytes_per_second: with_unit(
            after("Transfer/sec:")?,
            &[("GB", 1e9), ("MB", 1e6), ("KB", 1e3), ("B", 1.0)],
        )?,
        p99_ms: with_unit(
            after("99%")?,
            &[("us", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4)],
        )?,
        processor_us: 0.0,
    };
    Some((answered, requests))
}

fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let read =
        |(unit, factor): &(&str, f64)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor);
    units.iter().find_map(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_wrk_is_read() {
        let report = "Running 5s test @ http://127.0.0.1:1
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.52ms  412.00us  12.63ms   91.27%
    Req/Sec    42.34k     1.29k   44.43k    78.00%
  Latency Distribution
     50%    1.47ms
     99%  980.00us
  211012 requests in 5.01s, 380.68MB read
Requests/sec:  42117.92
Transfer/sec:     75.98MB
";
        let (answered, requests) = parse(report).unwrap();
        assert!((requests - 211_012.0).abs() < 0.5);
        assert!((answered.requests_per_second - 42_117.92).abs() < 0.01);
        assert!((answered.bytes_per_second - 75.98e6).abs() < 1.0);
        assert!((answered.p99_ms - 0.98).abs() < 1e-9);
    }

    #[test]
    fn the_script_asks_for_every_path_in_turn() {
        let script = lua(&["/a".to_owned(), "/b".to_owned()], "text/html");
        assert!(
            script.contains("\"/a\",\n  \"/b\"\n") && script.contains("\"text/html\""),
            "{script}"
        );
    }
}
