//! Every number that bounds what mirrors may do to us.

use std::time::Duration;

/// Every bound on what comes from a mirror, and the patience we have with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest root, in bytes. 512 KiB.
    pub root_bytes_max: u64,
    /// The largest timestamp, in bytes. 16 KiB; ours has half of one.
    pub timestamp_bytes_max: u64,
    /// The largest snapshot, in bytes. 4 MiB: 8,192 bins take 287 KB, and bin names of earlier bin counts stay in it.
    pub snapshot_bytes_max: u64,
    /// The largest targets role, delegated or not, in bytes. 8 MiB: the role that delegates 8,192 bins takes 1.7 MB.
    pub targets_bytes_max: u64,
    /// The largest target that is read into memory (a page), in bytes, whatever its signed length. 64 MB.
    pub target_bytes_max: u64,
    /// New roots taken in one refresh. 32.
    pub root_rotations_max: u64,
    /// Roles visited in search of one target. 32.
    pub delegations_max: usize,
    /// The largest document of a list of mirrors, in bytes. 32 MB: 10,000 mirrors take 6 MB, how they do 16 MB.
    pub list_bytes_max: u64,
    /// Mirrors taken from a list. 20,000.
    pub listed_max: usize,
    /// Mirrors that are asked for the list itself, where its own place does not have it. 8.
    pub carriers_max: usize,
    /// Listed mirrors that are asked at once for what all know, beside those that the user gave. 6.
    pub listed_at_once: usize,
    /// The time that a whole metadata file or page may take from one mirror. 30 s.
    pub document_deadline: Duration,
    /// A metadata file or page of which nothing comes for so long is had elsewhere. 8 s: pip gives up after 15 s, and
    /// must be told the reason before.
    pub document_stall: Duration,
    /// Once one mirror has given a usable answer to a question that goes to all, the others have so long. 0.5 s.
    pub grace: Duration,
    /// The shortest and the longest time after which a second mirror is asked for what the first has not given.
    /// 0.1 s and 1 s; between them it is the first one's p95.
    pub hedge: (Duration, Duration),
    /// The time to connect to a mirror. 2 s.
    pub connect_timeout: Duration,
    /// While another mirror is left, a file that stops coming for so long is gone on with there. 1.5 s.
    pub stall: Duration,
    /// The same for the last mirror there is. 8 s.
    pub stall_last: Duration,
    /// A file that comes in more slowly than this over `speed_window` is gone on with elsewhere. 4,000 bytes a second.
    pub speed_bytes_per_second_min: u64,
    /// A file that comes in more slowly than this over `speed_window`, and would for another, is gone on with at a mirror
    /// that was not asked for it yet, where there is one. 64,000 bytes a second.
    pub speed_bytes_per_second_fair: u64,
    /// The time over which speed is measured. 8 s.
    pub speed_window: Duration,
    /// How long a file is kept back whole, so that a wrong one can be had elsewhere before a byte was given; twice as
    /// long where nothing could be given yet. 5 s; pip and uv wait 15 s and 30 s for a first byte.
    pub hold_back: Duration,
    /// Bytes at the end of a file that nobody gets before its digest is right. 64 KiB.
    pub hold_back_bytes: u64,
    /// Requests to one mirror at once. 32.
    pub requests_max: usize,
    /// Connections to one mirror that are kept while nothing is asked of it. 32: each keeps what room it has read into, up
    /// to 400 kB, but with 4 kept a warm installation of 40 packages took 40 ms longer.
    pub idle_max: usize,
    /// The largest file on its way whose place on disk is used again for another, in bytes. 1 MiB.
    pub reused_bytes_max: u64,
    /// Such places kept while nothing comes in. 48: uv asks for fifty files at once.
    pub reused_files_max: usize,
    /// Files that come in at once as fast as they can be taken. 4: each has up to 800 kB of room to read into.
    pub turns_max: usize,
    /// A file of which nothing comes for so long lets one more come in beside it. 5 ms.
    pub turn_wait: Duration,
    /// A file that has been coming in for so long lets one more come in beside it. 0.3 s.
    pub turn_longest: Duration,
    /// A mirror that lied is not asked for so long. A day.
    pub drop_for: Duration,
    /// Requests that come no further apart than this belong to one resolution, which sees one snapshot. 3 s.
    pub settle: Duration,
    /// A resolution that goes on for longer than this is refreshed in its middle. 5 min.
    pub resolution_max: Duration,
    /// A new resolution asks for a new timestamp when the last was confirmed longer ago than this. 2 s.
    pub confirm_after: Duration,
    /// Verified pages kept on disk, in bytes. 1 GB.
    pub page_cache_bytes_max: u64,
    /// Parsed pages kept in memory, by the bytes of their documents. 16 MB.
    pub page_memory_bytes_max: u64,
    /// Files whose provenance is fetched and judged at once. 8; a document has at most 1 MiB.
    pub judging_max: usize,
    /// Files remembered with what was found about their provenance. 10,000.
    pub judged_max: u64,
    /// Files of evidence kept. 200.
    pub evidence_max: usize,
    /// The journal's size, in bytes, before its older half goes. 1 MB.
    pub journal_bytes_max: u64,
    /// How far our clock may be from those of mirrors before it is called wrong. 5 min.
    pub clock_skew_max: Duration,
    /// How far after our clock a state may say that it was signed before it is refused: a clock that is behind would
    /// take what has expired for fresh. 1 h.
    pub signed_ahead_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        Self {
            root_bytes_max: 512 * KIB,
            timestamp_bytes_max: 16 * KIB,
            snapshot_bytes_max: 4 * MIB,
            targets_bytes_max: 8 * MIB,
            target_bytes_max: 64_000_000,
            root_rotations_max: 32,
            delegations_max: 32,
            list_bytes_max: 32_000_000,
            listed_max: 20_000,
            carriers_max: 8,
            listed_at_once: 6,
            document_deadline: Duration::from_secs(30),
            document_stall: Duration::from_secs(8),
            grace: Duration::from_millis(500),
            hedge: (Duration::from_millis(100), Duration::from_secs(1)),
            connect_timeout: Duration::from_secs(2),
            stall: Duration::from_millis(1500),
            stall_last: Duration::from_secs(8),
            speed_bytes_per_second_min: 4_000,
            speed_bytes_per_second_fair: 64_000,
            speed_window: Duration::from_secs(8),
            hold_back: Duration::from_secs(5),
            hold_back_bytes: 64 * KIB,
            requests_max: 32,
            idle_max: 32,
            reused_bytes_max: MIB,
            reused_files_max: 48,
            turns_max: 4,
            turn_wait: Duration::from_millis(5),
            turn_longest: Duration::from_millis(300),
            drop_for: Duration::from_hours(24),
            settle: Duration::from_secs(3),
            resolution_max: Duration::from_mins(5),
            confirm_after: Duration::from_secs(2),
            page_cache_bytes_max: 1_000_000_000,
            page_memory_bytes_max: 16_000_000,
            judging_max: 8,
            judged_max: 10_000,
            evidence_max: 200,
            journal_bytes_max: 1_000_000,
            clock_skew_max: Duration::from_mins(5),
            signed_ahead_max: Duration::from_hours(1),
        }
    }
}
