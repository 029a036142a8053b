//! What a mirror holds, how fresh it is, and what failed: read off the catalog.

use heliostat_pypi::Serial;
use heliostat_store::{LedgerEntry, Store};
use serde::{Deserialize, Serialize};

use crate::bundle::ImportReport;
use crate::error::EngineError;
use crate::publish::{self, SigningStatus};
use crate::sync::SyncReport;

/// Runs shown in a status.
const RUNS_SHOWN: usize = 30;

/// What a mirror holds and how it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MirrorStatus {
    /// Projects with a page.
    pub projects: u64,
    /// Files on disk.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Room left on the disk, in bytes.
    pub disk_free_bytes: u64,
    /// The serial that the root list claims.
    pub serial: Option<Serial>,
    /// The age of the oldest change we know to lack, in seconds: 0 when the last sync was complete, `None` when none
    /// ever was.
    pub behind_seconds: Option<u64>,
    /// The last syncs and imports, the oldest first.
    pub runs: Vec<RunSummary>,
    /// Everything in the ledger that is not held and should be.
    pub failures: Vec<LedgerEntry>,
    /// Everything in the ledger that is held and doubted.
    pub warnings: Vec<LedgerEntry>,
    /// How what is signed stands; `None` where nothing is.
    pub signing: Option<SigningStatus>,
}

impl MirrorStatus {
    /// Whether somebody must do something. `now` is in seconds since 1970.
    pub fn has_findings(&self, now: i64) -> bool {
        let signing = self.signing.as_ref();
        !self.failures.is_empty() || signing.is_some_and(|signing| signing.needs_somebody(now))
    }
}

/// What a run was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// The upstream was followed.
    #[default]
    Sync,
    /// A bundle was taken.
    Import,
}

/// One finished sync or import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// What it was.
    #[serde(default)]
    pub kind: RunKind,
    /// When what it brought was current, where that was before its end: when the bundle was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<i64>,
    /// Seconds since 1970.
    pub started_at: i64,
    /// Seconds since 1970.
    pub finished_at: i64,
    /// Whether everything asked for was done.
    pub complete: bool,
    /// New or changed pages.
    pub updated: u64,
    /// Projects removed.
    pub dropped: u64,
    /// Projects that failed.
    pub failed: u64,
    /// Files committed.
    pub files: u64,
    /// Bytes committed.
    pub size_bytes: u64,
    /// The serial claimed at the end.
    pub serial: Option<Serial>,
}

impl RunSummary {
    /// What is remembered of a sync.
    pub fn of(report: &SyncReport, started_at: i64, finished_at: i64) -> Self {
        Self {
            kind: RunKind::Sync,
            as_of: None,
            started_at,
            finished_at,
            complete: report.is_complete(),
            updated: report.updated,
            dropped: report.dropped,
            failed: report.failed,
            files: report.files,
            size_bytes: report.size_bytes,
            serial: report.serial,
        }
    }

    /// What is remembered of an import.
    pub fn of_import(report: &ImportReport, started_at: i64, finished_at: i64) -> Self {
        Self {
            kind: RunKind::Import,
            as_of: Some(report.made_at),
            started_at,
            finished_at,
            complete: report.is_complete(),
            updated: report.updated,
            dropped: report.removed,
            failed: report.refused.len() as u64,
            files: report.files,
            size_bytes: report.size_bytes,
            serial: report.serial,
        }
    }

    /// When what it brought was current.
    fn current_at(&self) -> i64 {
        self.as_of.unwrap_or(self.finished_at)
    }
}

/// Reads a mirror's status. Blocking; cheap at any size.
pub fn status(store: &Store, now: i64) -> Result<MirrorStatus, EngineError> {
    let totals = store.totals()?;
    let failures = store.ledger()?;
    // The store tells the newest first; runs that end in the same second stay in their order.
    let mut runs: Vec<RunSummary> = store
        .runs(RUNS_SHOWN)?
        .into_iter()
        .rev()
        .filter_map(|run| serde_json::from_value(run.outcome).ok())
        .collect();
    runs.sort_by_key(|run: &RunSummary| run.finished_at);
    Ok(MirrorStatus {
        projects: totals.projects,
        files: totals.files_held,
        size_bytes: totals.bytes_held,
        disk_free_bytes: store.disk_free_bytes()?,
        serial: store.root()?.and_then(|root| root.serial),
        behind_seconds: behind_seconds(&runs, &failures, now),
        runs,
        failures,
        signing: publish::signing(store, now)?,
        warnings: store.warnings()?,
    })
}

/// The age of the oldest change we know to lack. Pure.
fn behind_seconds(runs: &[RunSummary], failures: &[LedgerEntry], now: i64) -> Option<u64> {
    let oldest_failure = failures.iter().map(|entry| entry.first_failed_at).min();
    let last_complete = runs
        .iter()
        .filter(|run| run.complete)
        .map(RunSummary::current_at)
        .max();
    let last = runs.last()?;
    let since = match (oldest_failure, last.complete) {
        (Some(failed_at), _) => failed_at,
        // Of a bundle it is not known what has changed since it was made.
        (None, true) if last.as_of.is_some() => last.current_at(),
        (None, true) => return Some(0),
        (None, false) => last_complete?,
    };
    Some(u64::try_from(now.saturating_sub(since)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(finished_at: i64, complete: bool) -> RunSummary {
        RunSummary {
            kind: RunKind::Sync,
            as_of: None,
            started_at: finished_at - 1,
            finished_at,
            complete,
            updated: 0,
            dropped: 0,
            failed: 0,
            files: 0,
            size_bytes: 0,
            serial: None,
        }
    }

    #[test]
    fn freshness_is_the_age_of_the_oldest_change_we_lack() {
        assert_eq!(behind_seconds(&[], &[], 100), None);
        assert_eq!(behind_seconds(&[run(10, true)], &[], 100), Some(0));
        assert_eq!(
            behind_seconds(&[run(10, true), run(50, false)], &[], 100),
            Some(90)
        );
        assert_eq!(behind_seconds(&[run(50, false)], &[], 100), None);
        let import = RunSummary {
            as_of: Some(30),
            ..run(80, true)
        };
        assert_eq!(behind_seconds(&[import], &[], 100), Some(70));
        let failed = crate::ledger::failure(&[], &"a".parse().unwrap(), "", "", 70);
        assert_eq!(behind_seconds(&[run(80, false)], &[failed], 100), Some(30));
    }
}
