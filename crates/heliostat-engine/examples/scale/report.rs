//! Rows of the table, and what the system says of this process.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Fault;

/// Prints the table's head.
pub(crate) fn head() {
    println!("| step | result | goal |\n|---|---|---|");
}

/// Prints one row.
pub(crate) fn row(step: &str, result: &str, goal: &str) {
    println!("| {step} | {result} | {goal} |");
}

/// What `work` gave, and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

/// As `1.23 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// As `12.3 ms`.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// As `123 MB`, of a million bytes each.
pub(crate) fn megabytes(size_bytes: u64) -> String {
    format!("{} MB", size_bytes / 1_000_000)
}

/// The most memory that this process held at once since the last look, in bytes.
pub(crate) fn memory_peak() -> Result<u64, Fault> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .ok_or("/proc/self/status tells no VmHWM")?;
    // Starts the next peak from what is held now.
    fs::write("/proc/self/clear_refs", "5")?;
    Ok(kibibytes.parse::<u64>()? * 1024)
}

/// Processor time that this thread has spent.
pub(crate) fn processor_time() -> Result<Duration, Fault> {
    let line = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = line.split(' ').next().unwrap_or_default().parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// The bytes of the catalog and what belongs to it.
pub(crate) fn catalog_bytes(data: &Path) -> Result<u64, Fault> {
    let mut sum = 0;
    for entry in fs::read_dir(data.join("state"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("catalog") {
            sum += entry.metadata()?.len();
        }
    }
    Ok(sum)
}
