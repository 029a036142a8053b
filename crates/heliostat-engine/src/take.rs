//! Takes one file from whichever source has it right: downloads, resumes, hashes, and hands back a verified blob.
//!
//! Knows the order of sources and what to do when one lies. Does not decide what is wanted, nor commit.

use heliostat_pypi::page::PageFile;
use heliostat_store::{Expected, Intake, StoreError, VerifiedBlob};
use heliostat_upstream::{Caches, Download, DownloadError, FileRequest, UpstreamError, redacted};

use crate::context::{Context, blocking_if_large};
use crate::error::EngineError;
use crate::events::Event;

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The upstream.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Every source gave other bytes than the page promises.
    #[error("{0}")]
    Mismatch(String),
    /// The disk or the catalog.
    #[error(transparent)]
    Store(StoreError),
    /// Something in here broke.
    #[error(transparent)]
    Engine(#[from] Box<EngineError>),
}

impl TakeError {
    /// Whether the upstream could not be reached or was not able to answer.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.is_outage())
    }

    /// Whether bytes were not what they should be.
    pub const fn is_integrity(&self) -> bool {
        matches!(self, Self::Mismatch(_))
    }
}

/// What must be true of a file's bytes.
pub(crate) fn expected(entry: &PageFile) -> Expected {
    Expected {
        sha256: entry.sha256,
        size_bytes: entry.size_bytes,
    }
}

/// A file that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Its bytes on the disk.
    pub(crate) blob: VerifiedBlob,
    /// The same bytes in memory, where the file is small.
    pub(crate) content: Option<Vec<u8>>,
}

/// What a caller may watch while a file is taken.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A new temporary file was opened; nothing that was read before counts.
    Opened(&'a Intake),
    /// The source answered; the whole file's length, where told.
    Started(Option<u64>),
    /// The bytes start over in the same temporary file.
    Restarted,
    /// So many bytes are written.
    Written(u64),
}

/// Takes a file from the first source that has it right.
pub(crate) async fn take_file(
    context: &Context,
    entry: &PageFile,
    mut watch: impl FnMut(Step<'_>) -> Result<(), StoreError> + Send,
) -> Result<Taken, TakeError> {
    let mut sources = context.upstream.file_sources(&entry.path, &entry.url)?;
    let mut caches = Caches::Allow;
    loop {
        let mut intake = context
            .store
            .intake(context.upstream.limits().file_bytes_max)
            .map_err(TakeError::Store)?;
        watch(Step::Opened(&intake)).map_err(TakeError::Store)?;
        let request = FileRequest {
            sources: sources.clone(),
            expected_size_bytes: entry.size_bytes,
            limit_bytes: None,
            caches,
        };
        let write = |download| match download {
            Download::Started {
                total_bytes,
                resumed_at,
            } => {
                if resumed_at == 0 && intake.len_bytes() > 0 {
                    intake.restart()?;
                    watch(Step::Restarted)?;
                }
                watch(Step::Started(total_bytes))
            }
            Download::Chunk(bytes) => {
                context.events.tell(Event::Bytes {
                    count: bytes.len() as u64,
                });
                intake.write(&bytes)?;
                watch(Step::Written(intake.readable_bytes()))
            }
        };
        let source = match context.upstream.download(&request, write).await {
            Ok(done) => done.source_index,
            Err(DownloadError::Upstream(error)) => return Err(TakeError::Upstream(error)),
            Err(DownloadError::Caller(error)) => return Err(TakeError::Store(error)),
        };
        let (wanted, size_bytes) = (expected(entry), intake.len_bytes());
        let finish = move || intake.finish_with_content(&wanted);
        match blocking_if_large(size_bytes, finish)
            .await
            .map_err(Box::new)?
        {
            Ok((blob, bytes)) => {
                return Ok(Taken {
                    blob,
                    content: bytes,
                });
            }
            Err(error) if error.is_mismatch() => {
                let source = sources.remove(source);
                tracing::warn!(source = %redacted(&source), error = %error, "a source gave other bytes than promised");
                // When every source has lied, the last gets one more chance past the caches on the way.
                if sources.is_empty() {
                    if caches == Caches::Bypass {
                        return Err(TakeError::Mismatch(format!(
                            "{}: {error}",
                            redacted(&source)
                        )));
                    }
                    caches = Caches::Bypass;
                    sources.push(source);
                }
            }
            Err(error) => return Err(TakeError::Store(error)),
        }
    }
}
