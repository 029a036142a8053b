//! Makes good what a check of one project found: writes pages again, forgets what is missing or wrong, and fetches it
//! again as a sync would. What cannot be had is dropped from the page, and the ledger says why.

use std::collections::{BTreeMap, HashSet};

use heliostat_pypi::TreePath;
use heliostat_store::{Keeper, Lost, Part, ProjectRecord};

use super::VerifyOptions;
use super::problem::{Problem, ProblemKind, Repaired};
use crate::context::Context;
use crate::error::EngineError;
use crate::sync::refetch;

pub(super) async fn repair(
    context: &Context,
    options: &VerifyOptions,
    record: &ProjectRecord,
    problems: &mut [Problem],
) -> Result<(), EngineError> {
    let name = record.page.name.clone();
    let policy = context.attestations.policy();
    let mut problems: Vec<&mut Problem> = (problems.iter_mut())
        .filter(|problem| !problem.is_warning(policy))
        .collect();
    let lost = lost_parts(record, &problems);
    if !lost.is_empty() {
        let now = context.clock.now();
        let lost: Vec<Lost> = lost
            .into_iter()
            .map(|(path, parts)| Lost {
                project: name.clone(),
                path,
                parts,
            })
            .collect();
        context
            .on_disk(move |store| store.forget_lost(&lost, now))
            .await?;
        if record.keeper == Keeper::Mirror {
            refetch(context, vec![name.clone()], options.jobs).await?;
        }
    }
    let again = name.clone();
    context
        .on_disk(move |store| store.republish(&again))
        .await?;
    let after = context.on_disk(move |store| store.project(&name)).await?;
    let listed: HashSet<String> = after
        .iter()
        .flat_map(ProjectRecord::listed)
        .flat_map(|file| [file.path.to_string(), format!("{}.metadata", file.path)])
        .collect();
    for problem in &mut problems {
        let is_page = matches!(
            problem.kind,
            ProblemKind::PageMissing | ProblemKind::PageDiffers
        );
        let path = problem.path.strip_prefix("provenance of ");
        let stays = is_page || listed.contains(path.unwrap_or(&problem.path));
        problem.repaired = if stays {
            Repaired::Again
        } else {
            Repaired::Dropped
        };
    }
    Ok(())
}

/// The parts that are missing or wrong, by file.
fn lost_parts(record: &ProjectRecord, problems: &[&mut Problem]) -> BTreeMap<TreePath, Vec<Part>> {
    let mut lost: BTreeMap<TreePath, Vec<Part>> = BTreeMap::new();
    for problem in problems {
        if !matches!(
            problem.kind,
            ProblemKind::Missing | ProblemKind::Corrupt | ProblemKind::Unproved
        ) {
            continue;
        }
        for file in &record.page.files {
            let path = file.path.to_string();
            let part = if problem.path == path {
                Part::File
            } else if problem.path.strip_suffix(".metadata") == Some(&path) {
                Part::Metadata
            } else if problem.path.strip_prefix("provenance of ") == Some(&path) {
                Part::Provenance
            } else {
                continue;
            };
            lost.entry(file.path.clone()).or_default().push(part);
        }
    }
    lost
}
