//! Provenance of files on demand: looked at when a file is taken, as `sync` does, and remembered in the ledger.
//!
//! Does not fetch or judge it itself; `file` and `take_parts` do.

use std::sync::Arc;

use heliostat_pypi::ProjectName;
use heliostat_pypi::page::{PageFile, ProjectPage};
use heliostat_store::{Change, LedgerEntry, Part, Weight};
use heliostat_trust::attest::AttestationPolicy;

use super::page::commit;
use super::{Inner, OnDemandError};
use crate::context::Context;
use crate::ledger::{WithSerial as _, failure, warning};
use crate::take_parts::PartTaken;

/// Whether a file is handed out only once its provenance was fetched and holds.
pub(super) fn must_hold(inner: &Inner, entry: &PageFile) -> bool {
    inner.context.attestations.policy() == AttestationPolicy::Refuse && entry.provenance.is_some()
}

/// Fails unless the provenance that the page offers for a file holds; what holds is kept.
pub(super) async fn prove(
    inner: &Arc<Inner>,
    project: &ProjectName,
    entry: &PageFile,
) -> Result<(), OnDemandError> {
    let (project, entry) = (project.clone(), entry.clone());
    super::file::document(inner, project, entry, Part::Provenance)
        .await
        .map(drop)
}

/// The same, once in a while, and only where it must hold.
pub(super) async fn prove_once(
    inner: &Arc<Inner>,
    project: &ProjectName,
    entry: &PageFile,
) -> Result<(), OnDemandError> {
    let Some(gate) = inner.gate.as_ref().filter(|_| must_hold(inner, entry)) else {
        return Ok(());
    };
    if !gate.has_proved(&entry.path) {
        prove(inner, project, entry).await?;
        gate.proved(&entry.path);
    }
    Ok(())
}

/// Looks at the provenance of a file that was just handed out, where somebody wants to be warned.
pub(super) async fn look_at(inner: &Arc<Inner>, project: &ProjectName, entry: &PageFile) {
    let is_wanted = inner.context.attestations.policy() == AttestationPolicy::Warn;
    if !is_wanted || entry.provenance.is_none() {
        return;
    }
    let path = entry.path.clone();
    let row = inner.context.on_disk(move |store| store.file(&path)).await;
    let is_held = matches!(&row, Ok(Some(row)) if row.held.contains(&Part::Provenance));
    if is_held {
        return;
    }
    if let Err(error) = prove(inner, project, entry).await {
        tracing::warn!(%project, file = entry.filename(), error = %error, "the provenance of a file taken on demand could not be looked at");
    }
}

/// Writes into the ledger what came of a provenance document. What a sync promised stays until a sync makes it good.
pub(super) async fn remember(
    inner: &Inner,
    project: &ProjectName,
    entry: &PageFile,
    taken: &PartTaken,
) -> Result<(), OnDemandError> {
    let policy = inner.context.attestations.policy();
    if policy == AttestationPolicy::Ignore {
        return Ok(());
    }
    let older = (ledger_of(&inner.context, project).await).map_err(OnDemandError::Engine)?;
    let item = entry.filename();
    let now = inner.context.clock.now();
    let known = older.iter().find(|known| known.item == item);
    let promised = known.and_then(|known| known.wanted_serial);
    match taken {
        PartTaken::Refused(reason) | PartTaken::Blemish(reason) if must_hold(inner, entry) => {
            let entry = failure(&older, project, item, reason, now).with_serial(promised);
            commit(inner, Change::Failed(entry)).await
        }
        // What is lacking is not made good by what is doubted.
        PartTaken::Doubtful(_, _, reason)
            if known.is_none_or(|known| known.weight == Weight::Warning) =>
        {
            let entry = warning(&older, project, item, reason, now);
            commit(inner, Change::Failed(entry)).await
        }
        PartTaken::Blob(..) if known.is_some() && promised.is_none() => {
            let project = project.clone();
            let others = older.into_iter().filter(|known| known.item != item);
            let changes = std::iter::once(Change::Settled { project });
            super::page::commit_all(inner, changes.chain(others.map(Change::Failed)).collect())
                .await
        }
        _ => Ok(()),
    }
}

/// What stands in the ledger about files that a page still lists: a page that comes anew makes none of it good.
pub(super) async fn carried(
    context: &Context,
    page: &ProjectPage,
) -> Result<Vec<LedgerEntry>, OnDemandError> {
    let mut older = (ledger_of(context, &page.name).await).map_err(OnDemandError::Engine)?;
    older.retain(|entry| page.files.iter().any(|file| file.filename() == entry.item));
    Ok(older)
}

async fn ledger_of(
    context: &Context,
    project: &ProjectName,
) -> Result<Vec<LedgerEntry>, crate::error::EngineError> {
    let project = project.clone();
    context
        .on_disk(move |store| store.ledger_of(&project))
        .await
}
