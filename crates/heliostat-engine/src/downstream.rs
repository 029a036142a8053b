//! Mirrors a signed tree without trusting who carries it: the metadata tells which pages changed and what they are, and
//! is put into our tree once everything it names is there.
//!
//! Needs no serials. Metadata files that our tree holds already are not asked for again, so that what travels is the
//! delta; all of them are verified each time.

use std::time::Duration;

use heliostat_pypi::Sha256;
use heliostat_store::Origin;
use heliostat_trust::attest::ATTEST_LIMITS;
use heliostat_trust::check::{Check, Limits, Wanted};
use heliostat_trust::metadata::TargetFile;
use heliostat_upstream::{Attested, Coding, UpstreamError};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::carry::{self, Gathered, Proven};
use crate::context::Context;
use crate::error::EngineError;
use crate::publish::trusted_root_path;
use crate::sync::{SyncReport, SyncRequest, sync};
use crate::trusted_root::consistent;

/// How long one metadata file may take.
const METADATA_DEADLINE: Duration = Duration::from_mins(2);

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
    let verified = Context {
        upstream: context.upstream.attested(Attested {
            pages: proven.pages.clone(),
            serial: (proven.report.coverage.as_ref()).and_then(|coverage| coverage.serial),
        }),
        notary: None,
        ..context.clone()
    };
    let report = sync(&verified, request, cancel).await?;
    if report.is_complete() {
        let trusted_root = match proven.trusted_root {
            Some(file) => take_trusted_root(context, file).await?,
            None => None,
        };
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

/// The trusted root that is named, unless our tree has it.
async fn take_trusted_root(
    context: &Context,
    file: TargetFile,
) -> Result<Option<Vec<u8>>, EngineError> {
    let place = trusted_root_path()?;
    let held = context
        .on_disk(move |store| store.read_target(&place, file.sha256, file.size_bytes))
        .await?;
    if held.is_some() {
        return Ok(None);
    }
    let address = consistent(file.sha256);
    let wrong = |reason: &str| EngineError::Untrusted {
        reason: format!("{address}: {reason}"),
    };
    let tree = context.upstream.tree();
    let url = tree.and_then(|tree| tree.join(&address).ok());
    let url = url.ok_or_else(|| wrong("it has no address"))?;
    let limit = file
        .size_bytes
        .min(ATTEST_LIMITS.trusted_root_bytes_max as u64);
    let got = context
        .upstream
        .get(&url, limit, Coding::Compressed, METADATA_DEADLINE)
        .await?;
    if Sha256::of(&got.body) != file.sha256 {
        return Err(wrong("it is not what was signed"));
    }
    Ok(Some(got.body.to_vec()))
}

/// Reads and verifies all metadata.
async fn look(context: &Context, root: &[u8]) -> Result<Proven, EngineError> {
    let tree = context
        .upstream
        .tree()
        .ok_or_else(|| EngineError::Metadata {
            file: "tuf/timestamp.json".to_owned(),
            reason: "the upstream's address has no place for a tree above it".to_owned(),
        })?;
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
            None => fetch(context, &tree, &wanted).await?,
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

async fn fetch(
    context: &Context,
    tree: &Url,
    wanted: &Wanted,
) -> Result<Option<Vec<u8>>, EngineError> {
    let mut url = tree.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push("tuf").push(&wanted.file);
    }
    let got = context
        .upstream
        .get(
            &url,
            wanted.max_bytes,
            Coding::Compressed,
            METADATA_DEADLINE,
        )
        .await;
    match got {
        Ok(plain) => Ok(Some(plain.body.to_vec())),
        Err(UpstreamError::Answer {
            status: 404 | 410, ..
        }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
