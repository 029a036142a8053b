//! Writes the bundle that a manifest describes.

use std::io::Write;

use heliostat_pypi::RelPath;
use heliostat_pypi::bundle::{BundleError, Item, Line, Packer, Place, Project};
use heliostat_store::Store;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::signed::{TIMESTAMP, copy_path, target_path};
use super::{ExportPlan, Open};
use crate::error::EngineError;
use crate::events::{Event, Events, ProjectOutcome, Stage};

/// Packs what a manifest, opened by `manifest`, says goes along. What is in the tree is checked on the way: a bundle of
/// damaged files is not made. Where nobody signs, the caller holds the sync lock since the manifest was planned.
pub fn pack<W: Write>(
    store: &Store,
    plan: &ExportPlan,
    manifest: Open<'_>,
    out: W,
    (events, cancel): (&Events, &CancellationToken),
) -> Result<W, EngineError> {
    events.tell(Event::Stage {
        stage: Stage::Packing,
        projects: plan.end.projects,
        size_bytes: plan.end.size_bytes,
    });
    let made_at = Timestamp::from_second(plan.made_at).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut packer = Packer::start(out, made_at)?;
    let bytes = manifest().map_err(BundleError::Read)?;
    packer.manifest(plan.manifest, plan.manifest_bytes, bytes)?;
    let mut lines = super::manifest(manifest)?;
    while let Some(line) = lines.next_line()? {
        if cancel.is_cancelled() {
            return Err(EngineError::Stopped);
        }
        match line {
            Line::Trust(item) => trust(store, &mut packer, &item, (plan, events))?,
            Line::Project(project) => {
                page(store, &mut packer, &project, (plan, events))?;
                for item in &project.parts {
                    add(store, &mut packer, item, (&item.path, events))?;
                }
                let has_news = std::iter::once(&project.page)
                    .chain(&project.parts)
                    .any(|item| item.place == Place::Bundle);
                events.tell(Event::Project {
                    project: project.name,
                    outcome: if has_news {
                        ProjectOutcome::Updated
                    } else {
                        ProjectOutcome::Unchanged
                    },
                });
            }
            _ => {}
        }
    }
    Ok(packer.finish()?)
}

/// A metadata file, or the signed copy of a target that is no page. The timestamp is the one that was planned.
fn trust<W: Write>(
    store: &Store,
    packer: &mut Packer<W>,
    item: &Item,
    (plan, events): (&ExportPlan, &Events),
) -> Result<(), EngineError> {
    match &plan.signed {
        Some(signed) if item.path.as_str() == TIMESTAMP && item.place == Place::Bundle => packer
            .add(item, signed.timestamp.as_slice())
            .map_err(|error| EngineError::not_as_held(error.into())),
        _ => {
            let copy = target_path(item);
            add(
                store,
                packer,
                item,
                (copy.as_ref().unwrap_or(&item.path), events),
            )
        }
    }
}

/// A page: its signed copy, where somebody signs.
fn page<W: Write>(
    store: &Store,
    packer: &mut Packer<W>,
    project: &Project,
    (plan, events): (&ExportPlan, &Events),
) -> Result<(), EngineError> {
    let item = &project.page;
    let copy = match plan.signed {
        Some(_) => copy_path(&project.name, item.sha256),
        None => None,
    };
    add(
        store,
        packer,
        item,
        (copy.as_ref().unwrap_or(&item.path), events),
    )
}

fn add<W: Write>(
    store: &Store,
    packer: &mut Packer<W>,
    item: &Item,
    (path, events): (&RelPath, &Events),
) -> Result<(), EngineError> {
    if item.place == Place::Base {
        return Ok(());
    }
    let Some(open) = store.open_public(path)? else {
        let gone = BundleError::entry(path.as_str(), "it is not in the tree");
        return Err(EngineError::NotAsHeld(gone));
    };
    packer
        .add(item, open.file)
        .map_err(|error| EngineError::not_as_held(error.into()))?;
    events.tell(Event::Bytes {
        count: item.size_bytes,
    });
    Ok(())
}
