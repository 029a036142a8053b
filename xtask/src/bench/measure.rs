//! Wall time, processor time and memory of other programs, as Linux accounts for them in `/proc`.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::show;

/// `/proc` counts in ticks of this many a second on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// How often memory is looked at: at first, since a program may be over in a moment, and then.
const SAMPLE_EVERY: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];

/// What one run of a program cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) wall_seconds: f64,
    /// User and system, with all descendants.
    pub(super) processor_seconds: f64,
    /// The most that the process itself held in memory at once.
    pub(super) memory_mb: f64,
}

/// Runs a program to its end. It must exit with 0, else its numbers would mean nothing.
pub(super) fn run(command: &mut Command) -> Result<Cost> {
    run_to(command, Stdio::null()).map(|(cost, _)| cost)
}

/// The same for a program whose stdout is the result.
pub(super) fn run_shown(command: &mut Command) -> Result<Cost> {
    run_to(command, Stdio::inherit()).map(|(cost, _)| cost)
}

/// The same, with what it wrote to stdout.
pub(super) fn run_heard(command: &mut Command) -> Result<(Cost, String)> {
    run_to(command, Stdio::piped())
}

fn run_to(command: &mut Command, stdout: Stdio) -> Result<(Cost, String)> {
    let shown = show(command);
    let before = reaped_seconds()?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start `{shown}`"))?;
    let process = child.id();
    let stderr = child.stderr.take().context("stderr is piped")?;
    let ended = AtomicBool::new(false);
    let stdout = child.stdout.take();
    let (status, wall_seconds, peak_kb, talk, said) = thread::scope(|scope| {
        let sampler = scope.spawn(|| sample_memory(process, &ended));
        let listener = scope.spawn(|| std::io::read_to_string(stderr));
        let reader = scope.spawn(|| stdout.map(std::io::read_to_string).transpose());
        let status = child.wait();
        let wall_seconds = started.elapsed().as_secs_f64();
        ended.store(true, Ordering::Relaxed);
        let (peak_kb, talk, said) = (sampler.join(), listener.join(), reader.join());
        (status, wall_seconds, peak_kb, talk, said)
    });
    let status = status.with_context(|| format!("failed to wait for `{shown}`"))?;
    if !status.success() {
        let talk = talk.ok().and_then(Result::ok).unwrap_or_default();
        let last: Vec<&str> = talk.lines().rev().take(15).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("`{shown}` failed ({status}):\n{}", last.join("\n"));
    }
    let memory_mb = f64::from(peak_kb.unwrap_or_default()) / 1000.0;
    let cost = Cost {
        wall_seconds,
        processor_seconds: reaped_seconds()? - before,
        memory_mb,
    };
    let said = said.ok().and_then(Result::ok).flatten();
    Ok((cost, said.unwrap_or_default()))
}

/// The most that a running process has held in memory at once; 0 when it is gone.
pub(super) fn peak_memory_mb(process: u32) -> f64 {
    f64::from(peak_memory_kb(process)) / 1000.0
}

/// Processor time so far of a process and all that descend from it, in seconds.
pub(super) fn processor_seconds_of(process: u32) -> Result<f64> {
    let mut spent = HashMap::new();
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")
        .context("failed to list /proc")?
        .flatten()
    {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // A process may end between the listing and the look at it.
        let Some(stat) = Stat::of(&id.to_string()) else {
            continue;
        };
        spent.insert(id, stat.own_seconds);
        children.entry(stat.parent).or_default().push(id);
    }
    let mut seconds = 0.0;
    let mut left = vec![process];
    while let Some(id) = left.pop() {
        seconds += spent.get(&id).copied().unwrap_or_default();
        left.extend(children.remove(&id).unwrap_or_default());
    }
    Ok(seconds)
}

/// The parts of `/proc/<id>/stat` that matter here.
#[derive(Debug)]
struct Stat {
    parent: u32,
    own_seconds: f64,
    /// Of children that have ended and were waited for.
    reaped_seconds: f64,
}

impl Stat {
    fn of(id: &str) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name in brackets may itself hold spaces and brackets.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let seconds = |at: usize| {
            fields
                .get(at)?
                .parse::<f64>()
                .ok()
                .map(|ticks| ticks / TICKS_PER_SECOND)
        };
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own_seconds: seconds(11)? + seconds(12)?,
            reaped_seconds: seconds(13)? + seconds(14)?,
        })
    }
}

fn reaped_seconds() -> Result<f64> {
    Stat::of("self")
        .map(|stat| stat.reaped_seconds)
        .context("failed to read /proc/self/stat")
}

fn sample_memory(process: u32, ended: &AtomicBool) -> u32 {
    let (mut peak_kb, [mut pause, longest]) = (0, SAMPLE_EVERY);
    while !ended.load(Ordering::Relaxed) {
        peak_kb = peak_kb.max(peak_memory_kb(process));
        thread::sleep(pause);
        pause = pause.mul_f64(1.1).min(longest);
    }
    peak_kb
}

/// 0 for a process that is gone.
fn peak_memory_kb(process: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let high_water = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = high_water.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kb.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_has_no_cost_but_an_error_with_its_words() {
        let error = run(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }

    #[test]
    fn our_own_process_has_a_parent_and_spent_time() {
        let stat = Stat::of("self").unwrap();
        assert!(stat.parent > 0);
        assert!(processor_seconds_of(std::process::id()).unwrap() >= 0.0);
    }
}
