//! Memory and processor time of a process, from `/proc`.

use std::time::Duration;

/// What a process used until it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// The most memory it had resident, in bytes (`VmHWM`).
    pub memory_max_bytes: u64,
    /// Processor time in user and system mode, of it and of its children that were waited for.
    pub processor_time: Duration,
}

/// The unit of times in `/proc/<pid>/stat`: Linux shows user space hundredths of a second everywhere.
const TICK: Duration = Duration::from_millis(10);

impl Usage {
    /// Looks at a process; what cannot be read stays as it was.
    pub(super) fn look(&mut self, id: u32) {
        if let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status"))
            && let Some(bytes) = memory_max_bytes(&status)
        {
            self.memory_max_bytes = self.memory_max_bytes.max(bytes);
        }
        if let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat"))
            && let Some(time) = processor_time(&stat)
        {
            self.processor_time = self.processor_time.max(time);
        }
    }
}

fn memory_max_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Fields 14 to 17 of proc(5)'s stat: utime, stime, cutime, cstime. The name before may contain anything but ends with `)`.
fn processor_time(stat: &str) -> Option<Duration> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = 0;
    for _field in 0..4 {
        ticks += fields.next()?.parse::<u32>().ok()?;
    }
    Some(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(
            memory_max_bytes("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n"),
            Some(1234 * 1024)
        );
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 22 3 4 20 0";
        assert_eq!(processor_time(stat), Some(Duration::from_millis(400)));
    }

    #[test]
    fn our_own_usage_can_be_seen() {
        let mut usage = Usage::default();
        usage.look(std::process::id());
        assert!(usage.memory_max_bytes > 100_000);
    }
}
