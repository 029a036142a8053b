//! Checks everything: each file against its digest, each page against the catalog, the tree against both. With
//! `Repair::Fetch`, makes good what it found.
//!
//! Goes through the catalog in name order with constant memory, so it can be stopped and go on, at any size. Deletes
//! nothing it cannot prove wrong.

mod problem;
mod project;
mod repair;
mod stray;

use std::collections::BTreeSet;

use heliostat_pypi::ProjectName;
use heliostat_store::ProjectRecord;
use heliostat_trust::attest::AttestationPolicy;
use serde::Serialize;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

pub use problem::{Problem, ProblemKind, Repaired};

use crate::context::Context;
use crate::error::EngineError;

/// Projects read from the catalog in one step.
const STEP_PROJECTS: usize = 64;
const CURSOR_KEY: &str = "verify-cursor";

/// How to verify.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Whether what is wrong is made good.
    pub repair: Repair,
    /// Only these projects; empty is everything.
    pub projects: Vec<ProjectName>,
    /// Where to begin.
    pub start: Start,
    /// Files read at once.
    pub readers: usize,
    /// Bytes read in a second at the most.
    pub bytes_per_second_max: Option<u64>,
    /// Files of one project fetched at once by a repair.
    pub jobs: usize,
}

/// Whether what is wrong is made good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Only told.
    No,
    /// Fetched again, or dropped from its page.
    Fetch,
}

/// Where a verify begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first project.
    Beginning,
    /// Where the last one was stopped.
    Resume,
}

/// What a verify came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct VerifyReport {
    /// Projects looked at.
    pub projects: u64,
    /// Files and documents hashed.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Provenance documents that hold for their file.
    pub proved: u64,
    /// Provenance that does not hold, where the policy is to warn of it.
    pub warnings: u64,
    /// Problems found.
    pub problems: u64,
    /// Problems made good.
    pub repaired: u64,
    /// Files that could not be had again and were dropped from their page.
    pub dropped: u64,
    /// Whether it was stopped before the end; `--resume` goes on.
    pub stopped: bool,
}

/// Verifies, telling each problem as it is found.
pub async fn verify(
    context: &Context,
    options: &VerifyOptions,
    cancel: &CancellationToken,
    mut tell: impl FnMut(&Problem),
) -> Result<VerifyReport, EngineError> {
    let mut report = VerifyReport::default();
    let policy = context.attestations.policy();
    let mut pace = Pace::new(options.bytes_per_second_max);
    let mut cursor = match options.start {
        Start::Beginning => None,
        Start::Resume => context
            .on_disk(|store| store.meta::<Option<ProjectName>>(CURSOR_KEY))
            .await?
            .flatten(),
    };
    let chosen: BTreeSet<ProjectName> = options.projects.iter().cloned().collect();
    loop {
        let records = step(context, cursor.clone(), &chosen).await?;
        let Some(last) = records.last().map(|record| record.page.name.clone()) else {
            break;
        };
        for record in records {
            if cancel.is_cancelled() {
                report.stopped = true;
                return Ok(report);
            }
            let mut found = project::check(context, options, &record, &mut pace).await?;
            report.projects += 1;
            report.files += found.files;
            report.size_bytes += found.size_bytes;
            report.proved += found.proved;
            if options.repair == Repair::Fetch && found.needs_repair(policy) {
                repair::repair(context, options, &record, &mut found.problems).await?;
            }
            count(&mut report, &found.problems, policy, &mut tell);
            let done = Some(record.page.name.clone());
            context
                .on_disk(move |store| store.set_meta(CURSOR_KEY, &done))
                .await?;
        }
        cursor = Some(last);
    }
    if chosen.is_empty() {
        let problems = stray::check(context, options.repair).await?;
        count(&mut report, &problems, policy, &mut tell);
        context
            .on_disk(|store| store.set_meta(CURSOR_KEY, &None::<ProjectName>))
            .await?;
    }
    Ok(report)
}

async fn step(
    context: &Context,
    after: Option<ProjectName>,
    chosen: &BTreeSet<ProjectName>,
) -> Result<Vec<ProjectRecord>, EngineError> {
    if chosen.is_empty() {
        let found = context
            .on_disk(move |store| store.projects_after(after.as_ref(), STEP_PROJECTS))
            .await?;
        return found
            .into_iter()
            .map(|(_, record)| record.map_err(EngineError::Store))
            .collect();
    }
    let rest: Vec<ProjectName> = chosen
        .iter()
        .filter(|name| after.as_ref().is_none_or(|after| *name > after))
        .take(STEP_PROJECTS)
        .cloned()
        .collect();
    context
        .on_disk(move |store| {
            let records = rest
                .iter()
                .map(|name| store.project(name))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(records.into_iter().flatten().collect())
        })
        .await
}

fn count(
    report: &mut VerifyReport,
    problems: &[Problem],
    policy: AttestationPolicy,
    tell: &mut impl FnMut(&Problem),
) {
    for problem in problems {
        if problem.is_warning(policy) {
            report.warnings += 1;
        } else {
            report.problems += 1;
        }
        report.repaired += u64::from(problem.repaired == Repaired::Again);
        report.dropped += u64::from(problem.repaired == Repaired::Dropped);
        tell(problem);
    }
}

/// Keeps reading at or below a rate.
#[derive(Debug)]
struct Pace {
    bytes_per_second_max: Option<u64>,
    started: Instant,
    read_bytes: u64,
}

impl Pace {
    fn new(bytes_per_second_max: Option<u64>) -> Self {
        Self {
            bytes_per_second_max,
            started: Instant::now(),
            read_bytes: 0,
        }
    }

    /// Counts what is about to be read, and waits when it is too soon for it.
    async fn before(&mut self, size_bytes: u64) {
        let Some(rate) = self.bytes_per_second_max.filter(|rate| *rate > 0) else {
            return;
        };
        let due = Duration::from_millis(self.read_bytes.saturating_mul(1000) / rate);
        self.read_bytes = self.read_bytes.saturating_add(size_bytes);
        tokio::time::sleep_until(self.started + due).await;
    }
}
