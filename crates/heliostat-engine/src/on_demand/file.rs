//! Files on demand: streamed while they come, kept once they are verified, evicted when the cache is full.

use std::sync::Arc;

use bytes::Bytes;
use heliostat_pypi::page::{CoreMetadata, PageFile};
use heliostat_pypi::{ProjectName, TreePath, project_candidates};
use heliostat_store::{
    Admission, Blobs, Change, Keeper, Learned, Part, ProjectRecord, VerifiedBlob,
};

use super::live::{Handle, Joined, State};
use super::page::{commit, record};
use super::{FileState, Inner, OnDemandError, PageState, provenance};
use crate::context::blocking;
use crate::take::{Step, TakeError, Taken, take_file};
use crate::take_parts::{PartTaken, take_metadata, take_provenance, wheel_of};
use heliostat_client::Answering;

pub(super) async fn file(
    inner: &Arc<Inner>,
    path: &TreePath,
    part: Part,
) -> Result<FileState, OnDemandError> {
    let Some((record, held)) = locate(inner, path).await? else {
        return Ok(FileState::NotFound);
    };
    if held.contains(&part) {
        return Ok(FileState::Held);
    }
    let Some(entry) = record.page.files.iter().find(|entry| entry.path == *path) else {
        return Ok(FileState::NotFound);
    };
    if record.hidden.contains(entry.filename()) {
        return Ok(FileState::NotFound);
    }
    let promised = match part {
        Part::File => true,
        Part::Metadata => !entry.core_metadata.is_absent(),
        Part::Provenance => entry.provenance.is_some(),
    };
    if !promised {
        return Ok(FileState::NotFound);
    }
    let project = record.page.name.clone();
    let is_elsewhere = record.keeper == Keeper::PagesOnly;
    // A file that is taken here is proved while it is.
    if part == Part::Metadata || (part == Part::File && is_elsewhere) {
        provenance::prove_once(inner, &project, entry).await?;
    }
    if is_elsewhere {
        return Ok(redirect(entry, part));
    }
    match part {
        Part::File => stream(inner, project, entry.clone()).await,
        Part::Metadata | Part::Provenance => document(inner, project, entry.clone(), part).await,
    }
}

fn redirect(entry: &PageFile, part: Part) -> FileState {
    match (part, &entry.provenance) {
        (Part::File, _) => FileState::Redirect(entry.url.clone()),
        (Part::Metadata, _) => FileState::Redirect(format!("{}.metadata", entry.url)),
        (Part::Provenance, Some(address)) => FileState::Redirect(address.clone()),
        (Part::Provenance, None) => FileState::NotFound,
    }
}

/// The project that a path belongs to. A path nobody asked the page for (a lock file names files directly) is looked
/// for in the pages of the projects that its file name may belong to.
async fn locate(
    inner: &Arc<Inner>,
    path: &TreePath,
) -> Result<Option<(ProjectRecord, Vec<Part>)>, OnDemandError> {
    if let Some(found) = known(inner, path).await? {
        return Ok(Some(found));
    }
    for name in project_candidates(path.filename()) {
        if matches!(
            super::page::page(inner, &name).await?,
            PageState::NoSuchProject
        ) {
            continue;
        }
        inner.pages.settle(&name).await;
        if let Some(found) = known(inner, path).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn known(
    inner: &Inner,
    path: &TreePath,
) -> Result<Option<(ProjectRecord, Vec<Part>)>, OnDemandError> {
    let wanted = path.clone();
    let row = inner
        .context
        .on_disk(move |store| store.file(&wanted))
        .await
        .map_err(OnDemandError::Engine)?;
    let Some(row) = row.filter(|row| row.path == *path) else {
        return Ok(None);
    };
    Ok(record(inner, &row.project)
        .await?
        .map(|record| (record, row.held)))
}

async fn stream(
    inner: &Arc<Inner>,
    project: ProjectName,
    entry: PageFile,
) -> Result<FileState, OnDemandError> {
    let live = match inner.live.join(&entry.path) {
        Joined::Running(live) => live,
        Joined::New(live, handle) => {
            let work = Arc::clone(inner);
            inner
                .tasks
                .spawn(async move { download(&work, project, entry, handle).await });
            live
        }
    };
    live.started()
        .await
        .map(FileState::Live)
        .map_err(OnDemandError::Shared)
}

/// Downloads one file for everybody who waits for it, then keeps it.
///
/// Where its provenance must hold, nobody gets a byte before it does: the page's digest is judged before the file is
/// asked for, and without one the file waits until it is here.
async fn download(inner: &Arc<Inner>, project: ProjectName, entry: PageFile, handle: Handle) {
    let sender = &handle.sender;
    let must_hold = provenance::must_hold(inner, &entry);
    let waits = must_hold && entry.sha256.is_none();
    let take = take_file(&inner.context, &entry, |step| {
        match step {
            Step::Opened(intake) => {
                let file = Arc::new(intake.reader()?);
                sender.send_modify(|progress| {
                    progress.epoch += 1;
                    progress.written_bytes = 0;
                    progress.file = Some(file);
                    progress.total_bytes = entry.size_bytes;
                });
            }
            Step::Started(total_bytes) => sender.send_modify(|progress| {
                progress.total_bytes = entry.size_bytes.or(total_bytes);
                if !waits {
                    progress.state = State::Running;
                }
            }),
            Step::Restarted => sender.send_modify(|progress| {
                progress.epoch += 1;
                progress.written_bytes = 0;
            }),
            Step::Written(written) => {
                sender.send_modify(|progress| progress.written_bytes = written);
            }
        }
        Ok(())
    });
    let work = async {
        if must_hold && !waits {
            provenance::prove(inner, &project, &entry).await?;
        }
        let taken = take.await.map_err(OnDemandError::Take)?;
        if waits {
            let entry = PageFile {
                sha256: Some(taken.blob.sha256()),
                ..entry.clone()
            };
            provenance::prove(inner, &project, &entry).await?;
        }
        Ok(taken)
    };
    let taken = tokio::select! {
        biased;
        () = inner.cancel.cancelled() => Err(OnDemandError::Stopping),
        taken = work => taken,
    };
    match taken {
        Err(error) => {
            tracing::warn!(project = %project, file = entry.filename(), error = %error, "a file could not be taken on demand");
            sender.send_modify(|progress| progress.state = State::Failed(Arc::new(error)));
        }
        Ok(Taken { blob, content }) => {
            sender.send_modify(|progress| {
                progress.written_bytes = blob.size_bytes();
                progress.total_bytes = Some(blob.size_bytes());
                progress.state = State::Verified;
            });
            let file = PageFile {
                sha256: Some(blob.sha256()),
                ..entry.clone()
            };
            match keep(inner, project.clone(), entry, Taken { blob, content }).await {
                Ok(()) => provenance::look_at(inner, &project, &file).await,
                Err(error) => {
                    tracing::error!(error = %error, "a file taken on demand could not be kept");
                }
            }
        }
    }
}

async fn keep(
    inner: &Arc<Inner>,
    project: ProjectName,
    mut entry: PageFile,
    Taken { blob, content }: Taken,
) -> Result<(), OnDemandError> {
    entry.sha256 = Some(blob.sha256());
    entry.size_bytes = Some(blob.size_bytes());
    let mut blobs = Vec::new();
    if entry.core_metadata.is_absent() && entry.is_wheel() {
        let wheel =
            wheel_of(&blob, content).map_err(|error| OnDemandError::Engine(error.into()))?;
        if let PartTaken::Blob(metadata, digest) =
            take_metadata(&inner.context, &project, &entry, Some(wheel))
                .await
                .map_err(OnDemandError::Take)?
        {
            entry.core_metadata = CoreMetadata::Sha256(digest);
            blobs.push(Admission {
                path: entry.path.clone(),
                part: Part::Metadata,
                blob: metadata,
            });
        }
    }
    blobs.push(Admission {
        path: entry.path.clone(),
        part: Part::File,
        blob,
    });
    let learned = vec![Learned {
        path: entry.path.clone(),
        sha256: entry.sha256,
        size_bytes: entry.size_bytes,
        core_metadata: Some(entry.core_metadata),
    }];
    commit(
        inner,
        Change::Blobs(Blobs {
            project,
            blobs,
            learned,
        }),
    )
    .await?;
    super::root::changed(inner);
    evict(inner).await
}

/// Makes room when the cache is over its budget: the least recently used files go, pages stay.
async fn evict(inner: &Inner) -> Result<(), OnDemandError> {
    let Some(budget_bytes) = inner.options.cache_bytes_max else {
        return Ok(());
    };
    let pinned = inner.options.pinned.clone();
    let candidates = inner
        .context
        .on_disk(move |store| {
            let surplus_bytes = store.on_demand_bytes()?.saturating_sub(budget_bytes);
            if surplus_bytes == 0 {
                Ok(Vec::new())
            } else {
                store.eviction_candidates(surplus_bytes, &pinned)
            }
        })
        .await
        .map_err(OnDemandError::Engine)?;
    for row in candidates {
        commit(inner, Change::Evict { path: row.path }).await?;
    }
    Ok(())
}

/// A small document, fetched once for everybody who waits for it.
pub(super) async fn document(
    inner: &Arc<Inner>,
    project: ProjectName,
    entry: PageFile,
    part: Part,
) -> Result<FileState, OnDemandError> {
    let key = (entry.path.clone(), part);
    let work = Arc::clone(inner);
    let answer = inner
        .parts
        .run(&inner.tasks, key, |answering| async move {
            if let Err(error) = take_document(&work, project, entry, part, &answering).await {
                answering.answer(Err(Arc::new(error)));
            }
        })
        .await;
    match answer {
        Some(Ok(Some(bytes))) => Ok(FileState::Passing(bytes)),
        Some(Ok(None)) => Ok(FileState::NotFound),
        Some(Err(error)) => Err(OnDemandError::Shared(error)),
        None => Err(OnDemandError::Stopping),
    }
}

async fn take_document(
    inner: &Arc<Inner>,
    project: ProjectName,
    entry: PageFile,
    part: Part,
    answering: &Answering<Result<Option<Bytes>, Arc<OnDemandError>>>,
) -> Result<(), OnDemandError> {
    let taking = async {
        match part {
            Part::Provenance => take_provenance(&inner.context, &entry).await,
            _ => take_metadata(&inner.context, &project, &entry, None).await,
        }
    };
    // Taking can be cut off at any moment; what came is committed all the same.
    let Some(taken) = inner.cancel.run_until_cancelled(taking).await else {
        return Err(OnDemandError::Stopping);
    };
    let taken = taken.map_err(OnDemandError::Take)?;
    if part == Part::Provenance {
        // Before anybody hears of it: who is refused finds it in the ledger.
        provenance::remember(inner, &project, &entry, &taken).await?;
    }
    let blob = match taken {
        PartTaken::Blob(blob, _) => blob,
        PartTaken::Doubtful(blob, _, reason) => {
            tracing::warn!(%project, file = entry.filename(), reason, "taken all the same");
            blob
        }
        PartTaken::None => {
            answering.answer(Ok(None));
            return Ok(());
        }
        // The page promised it: an installer must not take the absence for an answer.
        PartTaken::Blemish(reason)
            if part == Part::Provenance && provenance::must_hold(inner, &entry) =>
        {
            // The reason may name addresses, which are for the ledger and the log.
            tracing::warn!(%project, file = entry.filename(), reason, "the provenance of a file cannot be had");
            return Err(OnDemandError::Refused {
                file: entry.filename().to_owned(),
                reason: "its provenance cannot be had from the upstream".to_owned(),
            });
        }
        PartTaken::Blemish(reason) => {
            return Err(OnDemandError::Take(TakeError::Mismatch(reason)));
        }
        PartTaken::Refused(reason) => {
            let file = entry.filename().to_owned();
            return Err(OnDemandError::Refused { file, reason });
        }
    };
    let bytes = read_whole(&blob).await?;
    answering.answer(Ok(Some(bytes)));
    let blobs = vec![Admission {
        path: entry.path.clone(),
        part,
        blob,
    }];
    commit(
        inner,
        Change::Blobs(Blobs {
            project,
            blobs,
            learned: Vec::new(),
        }),
    )
    .await?;
    super::root::changed(inner);
    Ok(())
}

async fn read_whole(blob: &VerifiedBlob) -> Result<Bytes, OnDemandError> {
    let mut file = blob
        .open()
        .map_err(|error| OnDemandError::Engine(error.into()))?;
    let read = blocking(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).map(|_| Bytes::from(bytes))
    });
    read.await.map_err(OnDemandError::Engine)?.map_err(|error| {
        OnDemandError::Take(TakeError::Mismatch(format!(
            "cannot read what was just written: {error}"
        )))
    })
}
