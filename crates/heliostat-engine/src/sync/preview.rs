//! What a sync would do, with counts and bytes, without doing it. Pages are asked for (that is where the bytes
//! stand), nothing is written.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use heliostat_pypi::ProjectName;
use heliostat_pypi::filter::Decision;
use heliostat_pypi::select::Wanted;
use heliostat_upstream::{Answer, Caches, Validators};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::prepare::Prepared;
use super::{Files, Refresh, SyncRequest, plan};
use crate::context::Context;
use crate::error::EngineError;
use crate::learned::carry_over;
use crate::ledger::reason_of;

/// Pages asked for at the most. Beyond it the rest is estimated from these, and the preview says so.
const PAGES_MAX: usize = 2_000;

/// What a sync would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// Projects whose page would be asked for, by reason.
    pub refresh: BTreeMap<plan::RefreshReason, u64>,
    /// Projects that would be removed.
    pub drop: Vec<plan::Drop>,
    /// Projects that need nothing.
    pub keep: u64,
    /// Failed before and waiting for their next try.
    pub waiting: u64,
    /// Whether the removals would be held back because they are too many.
    pub drop_held_back: bool,
    /// What would change in each project looked at.
    pub projects: Vec<ProjectPreview>,
    /// Projects not looked at, for which the totals are an estimate from the others.
    pub estimated_projects: u64,
    /// Files that would be fetched.
    pub files: u64,
    /// Their bytes, where the upstream tells.
    pub size_bytes: u64,
}

/// What would change in one project.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProjectPreview {
    /// The project.
    pub project: ProjectName,
    /// Why it is looked at.
    pub reason: plan::RefreshReason,
    /// Files that would be fetched.
    pub fetch: u64,
    /// Their bytes, where the upstream tells.
    pub size_bytes: u64,
    /// Files kept as they are.
    pub keep: u64,
    /// Files that are held and would go.
    pub remove: u64,
    /// Files the filters leave out: reason to count.
    pub filtered: BTreeMap<String, u64>,
    /// Why the page could not be read.
    pub error: Option<String>,
}

pub(super) async fn preview(
    context: &Context,
    request: &SyncRequest,
    prepared: Prepared,
    cancel: &CancellationToken,
) -> Result<Preview, EngineError> {
    let drop_held_back = !prepared.may_drop(request.delete_limit);
    let Prepared {
        plan, selection, ..
    } = prepared;
    let mut by_reason = BTreeMap::new();
    for refresh in &plan.refresh {
        *by_reason.entry(refresh.reason).or_insert(0) += 1;
    }
    // Spread evenly over the whole plan, so that an estimate does not rest on names starting with `0`.
    let stride = plan.refresh.len().div_ceil(PAGES_MAX).max(1);
    let looks = stream::iter(plan.refresh.iter().step_by(stride)).map(|refresh| {
        let wanted = selection
            .wants(&refresh.name)
            .unwrap_or(Wanted::AllVersions);
        async move { look(context, request, refresh, &wanted).await }
    });
    let mut looks = std::pin::pin!(looks.buffered(request.jobs));
    let mut projects = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            next = looks.next() => match next {
                Some(look) => projects.push(look?),
                None => break,
            }
        }
    }
    let looked = projects.len() as u64;
    let estimated_projects = plan.refresh.len() as u64 - looked;
    let scale = |sum: u64| sum + (sum * estimated_projects).checked_div(looked).unwrap_or(0);
    Ok(Preview {
        refresh: by_reason,
        drop_held_back,
        drop: plan.drop,
        keep: plan.keep,
        waiting: plan.waiting,
        estimated_projects,
        files: scale(projects.iter().map(|project| project.fetch).sum()),
        size_bytes: scale(projects.iter().map(|project| project.size_bytes).sum()),
        projects,
    })
}

async fn look(
    context: &Context,
    request: &SyncRequest,
    refresh: &Refresh,
    wanted: &Wanted,
) -> Result<ProjectPreview, EngineError> {
    let mut preview = ProjectPreview {
        project: refresh.name.clone(),
        reason: refresh.reason,
        fetch: 0,
        size_bytes: 0,
        keep: 0,
        remove: 0,
        filtered: BTreeMap::new(),
        error: None,
    };
    let mut page = match context
        .upstream
        .page(&refresh.name, &Validators::default(), Caches::Allow)
        .await
    {
        Ok(Answer::Fresh(fetched)) => fetched.read.page,
        Ok(_) => {
            preview.error = Some("the upstream has no such project".to_owned());
            return Ok(preview);
        }
        Err(error) => {
            preview.error = Some(reason_of(&error));
            return Ok(preview);
        }
    };
    let name = refresh.name.clone();
    let (record, rows) = context
        .on_disk(move |store| Ok((store.project(&name)?, store.project_files(&name)?)))
        .await?;
    if let Some(record) = &record {
        carry_over(&mut page, &record.page);
    }
    let decisions = request
        .wishes
        .filter
        .apply(&page, wanted, context.clock.now());
    let mut held: std::collections::HashSet<_> = rows
        .into_iter()
        .filter(|row| row.held.contains(&heliostat_store::Part::File))
        .map(|row| row.path)
        .collect();
    for (file, decision) in page.files.iter().zip(&decisions) {
        if let Decision::Drop(reason) = decision {
            *preview.filtered.entry(reason.to_string()).or_insert(0) += 1;
        } else if held.remove(&file.path) {
            preview.keep += 1;
        } else if request.wishes.files == Files::Take {
            preview.fetch += 1;
            preview.size_bytes += file.size_bytes.unwrap_or(0);
        }
    }
    preview.remove = held.len() as u64;
    Ok(preview)
}
