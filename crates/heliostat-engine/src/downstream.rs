//! Mirrors a signed tree without trusting who carries it: the metadata tells which pages changed and what they are, and
//! is put into our tree once everything it names is there.
//!
//! Needs no serials. Metadata files that our tree holds already are not asked for again, so that what travels is the
//! delta; all of them are verified each time.

use std::collections::BTreeMap;
use std::time::Duration;

use heliostat_pypi::{ProjectName, Sha256};
use heliostat_store::{MetadataFile, MetadataStep, Origin, Places, Publication, RoleState, Store};
use heliostat_trust::check::{Check, Limits, ProblemKind, Report, Wanted};
use heliostat_upstream::{Attested, Coding, UpstreamError};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::context::Context;
use crate::error::EngineError;
use crate::sync::{SyncReport, SyncRequest, sync};

/// How long one metadata file may take.
const METADATA_DEADLINE: Duration = Duration::from_mins(2);
/// Problems named in an error; the rest are counted.
const PROBLEMS_SHOWN: usize = 3;

/// What a signed upstream says, verified.
struct Seen {
    attested: Attested,
    report: Report,
    /// The files that our tree lacks, and the timestamp.
    files: Vec<MetadataFile>,
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
    let seen = (cancel.run_until_cancelled(looking).await).ok_or(EngineError::Stopped)??;
    let now = context.clock.now();
    context
        .on_disk(move |store| {
            store.begin_notary(Origin::Carried, now)?;
            store.index_targets(now)
        })
        .await?;
    let verified = Context {
        upstream: context.upstream.attested(seen.attested.clone()),
        notary: None,
        ..context.clone()
    };
    let report = sync(&verified, request, cancel).await?;
    if report.is_complete() {
        let keep_until = now.saturating_add(crate::publish::Lives::default().keep.as_secs());
        let store = context.store.clone();
        crate::context::blocking(move || carry(&store, &seen, keep_until, now)).await??;
    }
    Ok(report)
}

/// Reads and verifies all metadata.
async fn look(context: &Context, root: &[u8]) -> Result<Seen, EngineError> {
    let tree = context
        .upstream
        .tree()
        .ok_or_else(|| EngineError::Metadata {
            file: "tuf/timestamp.json".to_owned(),
            reason: "the upstream's address has no place for a tree above it".to_owned(),
        })?;
    let now = Timestamp::from_second(context.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut check = Check::begin(root, now, Limits::default())?;
    if let Some((timestamp, snapshot)) = known(context).await? {
        check.with_known(&timestamp, snapshot.as_deref());
    }
    let mut attested = Attested::default();
    let mut files = Vec::new();
    while let Some(wanted) = check.wanted() {
        let held = held(context, &wanted).await?;
        let is_new = held.is_none();
        let bytes = match held {
            Some(bytes) => Some(bytes),
            None => fetch(context, &tree, &wanted).await?,
        };
        check.take(bytes.as_deref());
        for (path, file) in check.take_targets() {
            if let Some(name) = project_of(&path) {
                attested.pages.insert(name, (file.sha256, file.size_bytes));
            }
        }
        if let Some(bytes) = bytes.filter(|_| is_new) {
            files.push(MetadataFile {
                name: wanted.file,
                bytes,
            });
        }
    }
    let report = check.finish();
    refuse(&report)?;
    attested.serial = report
        .coverage
        .as_ref()
        .and_then(|coverage| coverage.serial);
    Ok(Seen {
        attested,
        report,
        files,
    })
}

/// Anything wrong with the metadata ends the run before it begins.
fn refuse(report: &Report) -> Result<(), EngineError> {
    // A next root that is not there is how the walk along the roots ends, and is told as no problem.
    let wrong: Vec<String> = report
        .problems
        .iter()
        .filter(|problem| problem.kind != ProblemKind::Odd)
        .map(|problem| format!("{}: {}", problem.file, problem.reason))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let shown = wrong[..wrong.len().min(PROBLEMS_SHOWN)].join("; ");
    let reason = match wrong.len().saturating_sub(PROBLEMS_SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    };
    Err(EngineError::Untrusted { reason })
}

/// The timestamp and snapshot of our tree: nothing may be older.
async fn known(context: &Context) -> Result<Option<(Vec<u8>, Option<Vec<u8>>)>, EngineError> {
    context
        .on_disk(|store| {
            let limits = Limits::default();
            let Some(timestamp) = store.read_metadata("timestamp.json", limits.timestamp_bytes)?
            else {
                return Ok(None);
            };
            let roles = store.roles()?;
            let snapshot = match roles.iter().find(|role| role.name == "snapshot") {
                Some(role) => store.read_metadata(
                    &format!("{}.snapshot.json", role.version),
                    limits.snapshot_bytes,
                )?,
                None => None,
            };
            Ok(Some((timestamp, snapshot)))
        })
        .await
}

/// A versioned file that our tree has; what it says is verified like any other.
async fn held(context: &Context, wanted: &Wanted) -> Result<Option<Vec<u8>>, EngineError> {
    if wanted.file == "timestamp.json" {
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

/// Puts the metadata into our tree, where all that we hold is what it names.
fn carry(store: &Store, seen: &Seen, keep_until: i64, now: i64) -> Result<(), EngineError> {
    let _lock = store.lock_publish()?;
    let pending = store.pending()?;
    let all = Places {
        first: 0,
        last: u32::MAX,
    };
    for target in store.targets(all)? {
        let signed = seen.attested.pages.get(&target.project);
        if signed != Some(&(target.sha256, target.size_bytes)) {
            return Err(EngineError::Metadata {
                file: format!("simple/{}/index.v1_json", target.project),
                reason: "our page is not the one that was signed, so the signed state stays at the one before"
                    .to_owned(),
            });
        }
    }
    let step = |name: &str| match name {
        "timestamp.json" => MetadataStep::Timestamp,
        name if name.ends_with(".snapshot.json") => MetadataStep::Snapshot,
        name if name.ends_with(".root.json") => MetadataStep::Offline,
        _ => MetadataStep::Bins,
    };
    for wanted in [
        MetadataStep::Offline,
        MetadataStep::Bins,
        MetadataStep::Snapshot,
        MetadataStep::Timestamp,
    ] {
        let files: Vec<MetadataFile> = seen
            .files
            .iter()
            .filter(|file| step(&file.name) == wanted)
            .cloned()
            .collect();
        store.write_metadata(wanted, &files)?;
    }
    let publication = publication(store, seen, keep_until, now, pending.generation)?;
    store.note_published(&publication)?;
    store.sweep_retired(now)?;
    Ok(())
}

fn publication(
    store: &Store,
    seen: &Seen,
    keep_until: i64,
    now: i64,
    generation: u64,
) -> Result<Publication, EngineError> {
    let new: BTreeMap<&str, &MetadataFile> = seen
        .files
        .iter()
        .map(|file| (file.name.as_str(), file))
        .collect();
    let mut publication = Publication {
        generation,
        keep_until,
        ..Publication::default()
    };
    let old = store.roles()?;
    for role in &seen.report.roles {
        let name = if role.role == "timestamp" {
            "timestamp.json".to_owned()
        } else {
            format!("{}.{}.json", role.version, role.role)
        };
        let Some(file) = new.get(name.as_str()) else {
            continue;
        };
        if let Some(old) = old.iter().find(|old| old.name == role.role)
            && !matches!(role.role.as_str(), "root" | "timestamp")
            && old.version != role.version.get()
        {
            publication
                .replaced
                .push(format!("{}.{}.json", old.version, old.name));
        }
        publication.roles.push(RoleState {
            name: role.role.clone(),
            version: role.version.get(),
            signed_at: now,
            expires_at: role.expires.instant().as_second(),
            size_bytes: file.bytes.len() as u64,
            sha256: Sha256::of(&file.bytes),
        });
    }
    Ok(publication)
}

/// The project whose page a target is.
fn project_of(path: &str) -> Option<ProjectName> {
    let name = path
        .strip_prefix("simple/")?
        .strip_suffix("/index.v1_json")?;
    name.parse::<ProjectName>()
        .ok()
        .filter(|parsed| parsed.as_str() == name)
}
