//! Mirrors a signed tree without trusting who carries it: the metadata tells which pages changed and what they are, and
//! is put into our tree once everything it names is there.
//!
//! Needs no serials. Metadata files that our tree holds already are not asked for again, so that what travels is the
//! delta; all of them are verified each time.

use std::collections::BTreeMap;

use heliostat_store::Origin;
use heliostat_trust::attest::TRUSTED_ROOT_TARGET;
use heliostat_trust::check::{Check, Limits, Wanted};
use heliostat_trust::metadata::TargetFile;
use heliostat_upstream::Attested;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::carry::{self, Gathered, Proven};
use crate::context::Context;
use crate::continuity;
use crate::error::EngineError;
use crate::publish::{signs_here, trusted_root_path};
use crate::sync::{SyncReport, SyncRequest, sync};
use crate::trusted_root::{self, fetch_metadata};

/// Refuses a root of another notary than the one whose state the mirror carries, and any where it signs with keys of its
/// own. Changes nothing.
pub async fn is_same_notary(context: &Context, root: &[u8]) -> Result<(), EngineError> {
    let store = context.store.clone();
    let known = crate::context::blocking(move || {
        if signs_here(&store)? {
            return Err(EngineError::SignsItself);
        }
        continuity::carried_root(&store)
    });
    let Some(known) = known.await?? else {
        return Ok(());
    };
    let tree = trusted_root::tree_of(&context.upstream)?;
    let mut roots = BTreeMap::new();
    for wanted in continuity::roots_between(&known, root)? {
        let bytes = match held(context, &wanted).await? {
            Some(bytes) => Some(bytes),
            None => fetch_metadata(&context.upstream, &tree, &wanted).await?,
        };
        roots.insert(wanted.file, bytes);
    }
    continuity::is_continued((&known, root), |wanted| {
        Ok(roots.remove(&wanted.file).flatten())
    })
}

/// Brings the mirror in step with a signed upstream. `root` is the root that is trusted because of where it comes from;
/// once a newer one has been reached from it, that stands in our tree and is gone on from. Nothing is changed where the
/// metadata does not verify.
pub async fn sync_signed(
    context: &Context,
    request: &SyncRequest,
    root: &[u8],
    cancel: &CancellationToken,
) -> Result<SyncReport, EngineError> {
    let looking = look(context, root);
    let proven = (cancel.run_until_cancelled(looking).await).ok_or(EngineError::Stopped)??;
    let now = context.clock.now();
    context
        .on_disk(move |store| {
            store.begin_notary(Origin::Carried, now)?;
            store.index_targets(now)
        })
        .await?;
    // Provenance is held against what the notary chose, so it must be here before any file is.
    let trusted_root = match proven.trusted_root {
        Some(file) => Some(trusted_root(context, file).await?),
        None => None,
    };
    let attestations = context.attestations.as_signed(trusted_root.as_deref());
    let verified = Context {
        attestations: attestations.map_err(|error| EngineError::Untrusted {
            reason: format!("{TRUSTED_ROOT_TARGET}: {error}"),
        })?,
        upstream: context.upstream.attested(Attested {
            pages: proven.pages.clone(),
            serial: (proven.report.coverage.as_ref()).and_then(|coverage| coverage.serial),
        }),
        notary: None,
        ..context.clone()
    };
    let report = sync(&verified, request, cancel).await?;
    if report.is_complete() {
        let store = context.store.clone();
        let carrying = move || {
            let _lock = store.lock_publish()?;
            carry::all_are_signed(&store, &proven.pages)?;
            if let Some(bytes) = trusted_root {
                store.write_target(&trusted_root_path()?, &bytes)?;
            }
            carry::carry(&store, &proven, now)
        };
        crate::context::blocking(carrying).await??;
    }
    Ok(report)
}

/// The trusted root that is named, from our tree or the upstream's.
async fn trusted_root(context: &Context, file: TargetFile) -> Result<Vec<u8>, EngineError> {
    let store = context.store.clone();
    let held = crate::context::blocking(move || trusted_root::held_copy(&store, &file));
    match held.await?? {
        Some(bytes) => Ok(bytes),
        None => trusted_root::fetch(&context.upstream, &file).await,
    }
}

/// Reads and verifies all metadata.
async fn look(context: &Context, root: &[u8]) -> Result<Proven, EngineError> {
    is_same_notary(context, root).await?;
    let tree = trusted_root::tree_of(&context.upstream)?;
    let now = Timestamp::from_second(context.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut check = Check::begin(root, now, Limits::default())?;
    let store = context.store.clone();
    let known = crate::context::blocking(move || carry::known(&store)).await??;
    if let Some((timestamp, snapshot)) = known {
        check.with_known(&timestamp, snapshot.as_deref());
    }
    let (store, trusted) = (context.store.clone(), root.to_vec());
    let beginning = move || Gathered::new(&store, &trusted);
    let mut gathered = crate::context::blocking(beginning).await??;
    while let Some(wanted) = check.wanted() {
        let held = held(context, &wanted).await?;
        let bytes = match &held {
            Some(bytes) => Some(bytes.clone()),
            None => fetch_metadata(&context.upstream, &tree, &wanted).await?,
        };
        gathered.take(&mut check, wanted.file, (bytes, held.as_deref()));
    }
    let report = check.finish();
    if let Some(reason) = carry::wrong(&report) {
        return Err(EngineError::Untrusted { reason });
    }
    Ok(gathered.proven(report))
}

/// A versioned file that our tree has; what it says is verified like any other.
async fn held(context: &Context, wanted: &Wanted) -> Result<Option<Vec<u8>>, EngineError> {
    if wanted.file == carry::TIMESTAMP {
        return Ok(None);
    }
    let (file, limit) = (wanted.file.clone(), wanted.max_bytes);
    context
        .on_disk(move |store| store.read_metadata(&file, limit))
        .await
}
