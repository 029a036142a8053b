//! Takes what is missing of one file: its bytes, its metadata, its provenance. What cannot be had is in the answer.
//!
//! Does not decide what is wanted of a project, nor hand anything to the committer.

use heliostat_pypi::page::{CoreMetadata, PageFile};
use heliostat_pypi::{ProjectName, Sha256};
use heliostat_store::{Part, VerifiedBlob};

use super::fetch::Fetcher;
use crate::error::EngineError;
use crate::events::Event;
use crate::ledger::reason_of;
use crate::take::{TakeError, Taken, expected, take_file};
use crate::take_parts::{PartTaken, Wheel, take_metadata, take_provenance, wheel_of};

/// A file with the parts of it that are not on disk.
pub(super) struct Missing {
    pub(super) entry: PageFile,
    pub(super) parts: Vec<Part>,
    /// The digest of the provenance that is held already and asked for again.
    pub(super) provenance_held: Option<Sha256>,
}

/// What was found out about one missing file.
pub(super) struct FileDone {
    pub(super) entry: PageFile,
    pub(super) blobs: Vec<(Part, VerifiedBlob)>,
    /// The file cannot be listed, or a part of it cannot be advertised; why.
    pub(super) problem: Option<String>,
    /// It is listed, and something about it does not hold; what.
    pub(super) doubt: Option<String>,
    pub(super) listed: bool,
}

impl FileDone {
    fn admit_provenance(&mut self, blob: VerifiedBlob, digest: Sha256, held: Option<Sha256>) {
        self.entry.provenance_sha256 = Some(digest);
        if held != Some(digest) {
            self.blobs.push((Part::Provenance, blob));
        }
    }
}

/// Why the rest of a file is not taken.
enum Given {
    /// It cannot be listed.
    Up(TakeError),
    /// Trouble of the whole run.
    Run(EngineError),
}

impl From<TakeError> for Given {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Store(error) => Self::Run(EngineError::Store(error)),
            TakeError::Engine(error) => Self::Run(*error),
            error => Self::Up(error),
        }
    }
}

impl From<EngineError> for Given {
    fn from(error: EngineError) -> Self {
        Self::Run(error)
    }
}

impl Fetcher {
    /// Takes the missing parts of one file. What cannot be had is in the answer; an error is one of the whole run.
    pub(super) async fn take_missing(
        &self,
        project: &ProjectName,
        missing: Missing,
    ) -> Result<FileDone, EngineError> {
        let mut done = FileDone {
            entry: missing.entry,
            blobs: Vec::new(),
            problem: None,
            doubt: None,
            listed: true,
        };
        match self
            .take_parts(project, &missing.parts, missing.provenance_held, &mut done)
            .await
        {
            Ok(()) => Ok(done),
            Err(Given::Run(error)) => Err(error),
            Err(Given::Up(error)) => {
                done.blobs.clear();
                done.problem = Some(reason_of(&error));
                done.listed = false;
                Ok(done)
            }
        }
    }

    async fn take_parts(
        &self,
        project: &ProjectName,
        parts: &[Part],
        provenance_held: Option<Sha256>,
        done: &mut FileDone,
    ) -> Result<(), Given> {
        // Provenance speaks of a digest. Where the page tells it, a file whose provenance is refused need not be fetched.
        let wants_provenance = parts.contains(&Part::Provenance);
        let first = wants_provenance && done.entry.sha256.is_some();
        if first {
            self.provenance(provenance_held, done).await?;
        }
        let mut in_memory = None;
        if done.listed && parts.contains(&Part::File) {
            let Taken { blob, content } = self.file(&done.entry).await?;
            in_memory = content;
            done.entry.sha256 = Some(blob.sha256());
            done.entry.size_bytes = Some(blob.size_bytes());
            self.context.events.tell(Event::File {
                project: project.clone(),
                file: done.entry.filename().to_owned(),
                size_bytes: blob.size_bytes(),
            });
            done.blobs.push((Part::File, blob));
        }
        if done.listed && parts.contains(&Part::Metadata) {
            self.metadata(project, in_memory, done).await?;
        }
        if wants_provenance && !first {
            self.provenance(provenance_held, done).await?;
        }
        Ok(())
    }

    /// A file: one that was taken already to look into it, else from the upstream.
    async fn file(&self, entry: &PageFile) -> Result<Taken, TakeError> {
        match (self.context.store).unshelve(&entry.path, &expected(entry)) {
            Some(blob) => Ok(Taken {
                blob,
                content: None,
            }),
            None => take_file(&self.context, entry, |_| Ok(())).await,
        }
    }

    /// The metadata of a file; `content` is the file's bytes where they were just taken and are few.
    async fn metadata(
        &self,
        project: &ProjectName,
        content: Option<Vec<u8>>,
        done: &mut FileDone,
    ) -> Result<(), Given> {
        let mut taken = done.blobs.iter().filter(|(part, _)| *part == Part::File);
        let wheel = match taken.next() {
            Some((_, blob)) => Some(wheel_of(blob, content).map_err(EngineError::Store)?),
            None => self
                .context
                .store
                .open_file(&done.entry.path, Part::File)
                .map_err(EngineError::Store)?
                .map(|open| Wheel::File(open.file)),
        };
        match take_metadata(&self.context, project, &done.entry, wheel).await? {
            PartTaken::Blob(blob, digest) | PartTaken::Doubtful(blob, digest, _) => {
                done.entry.core_metadata = CoreMetadata::Sha256(digest);
                done.blobs.push((Part::Metadata, blob));
            }
            PartTaken::None => done.entry.core_metadata = CoreMetadata::Absent,
            PartTaken::Blemish(reason) | PartTaken::Refused(reason) => {
                done.entry.core_metadata = CoreMetadata::Absent;
                done.problem = Some(reason);
            }
        }
        Ok(())
    }

    /// The provenance of a file. A document that is held and cannot be asked for again stays.
    async fn provenance(&self, held: Option<Sha256>, done: &mut FileDone) -> Result<(), Given> {
        let taken = match take_provenance(&self.context, &done.entry).await {
            Err(TakeError::Upstream(error)) if held.is_some() => {
                PartTaken::Blemish(reason_of(&error))
            }
            taken => taken?,
        };
        match taken {
            PartTaken::Blob(blob, digest) => done.admit_provenance(blob, digest, held),
            PartTaken::Doubtful(blob, digest, reason) => {
                done.admit_provenance(blob, digest, held);
                done.doubt = Some(reason);
            }
            PartTaken::None => {}
            PartTaken::Blemish(reason) => {
                if held.is_some() {
                    done.entry.provenance_sha256 = held;
                } else {
                    done.entry.provenance = None;
                    done.entry.provenance_sha256 = None;
                }
                let problem = done.problem.take();
                done.problem = problem.or(Some(reason));
            }
            PartTaken::Refused(reason) => {
                done.blobs.clear();
                done.problem = Some(reason);
                done.listed = false;
            }
        }
        Ok(())
    }
}
