//! A file on its way from mirrors to an installer: bytes are kept in a nameless file until they may be given.
//!
//! A file is kept back whole while that costs nobody anything, so that a wrong one can be had from another mirror
//! before a byte was given; what takes longer is given as it comes, all but its end, until its digest is right.

use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::nameless::{NamelessFile, NamelessFiles};
use crate::{ClientError, Limits};

/// The largest piece given at once, in bytes. Forty files on their way hold two each.
const PIECE_BYTES_MAX: u64 = 64 << 10;

/// A file that is arriving, or has arrived. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool {
    file: Arc<OnceLock<NamelessFile>>,
    size_bytes: u64,
    progress: watch::Receiver<Progress>,
    given: Arc<AtomicBool>,
    held_until: Instant,
    held_until_at_most: Instant,
    hold_back_bytes: u64,
    from_its_beginning: bool,
}

/// The end at which bytes come in.
#[derive(Debug)]
pub(crate) struct SpoolWriter {
    files: Arc<NamelessFiles>,
    /// Had when the first bytes come: many files wait for their turn.
    file: Arc<OnceLock<NamelessFile>>,
    size_bytes: u64,
    progress: watch::Sender<Progress>,
    given: Arc<AtomicBool>,
}

/// Why a stream was broken off: the client sees a cut connection, never a short but complete file.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SpoolError {
    /// The file turned out wrong, or no mirror gave the rest.
    #[error("the file could not be had: {0}")]
    Failed(Arc<ClientError>),
    /// What came in cannot be read again.
    #[error("cannot read the file on its way: {0}")]
    Read(String),
    /// The program is stopping.
    #[error("the client is stopping")]
    Stopping,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    written_bytes: u64,
    end: Option<Result<(), Arc<ClientError>>>,
}

/// Both ends of a file of `size_bytes` that is about to come in.
pub(crate) fn spool(
    files: &Arc<NamelessFiles>,
    size_bytes: u64,
    limits: &Limits,
) -> (SpoolWriter, Spool) {
    let now = Instant::now();
    let (sender, receiver) = watch::channel(Progress::default());
    let (file, given) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let reader = Spool {
        file: Arc::clone(&file),
        size_bytes,
        progress: receiver,
        given: Arc::clone(&given),
        held_until: now + limits.hold_back,
        held_until_at_most: now + 2 * limits.hold_back,
        hold_back_bytes: limits.hold_back_bytes,
        from_its_beginning: false,
    };
    let writer = SpoolWriter {
        files: Arc::clone(files),
        file,
        size_bytes,
        progress: sender,
        given,
    };
    (writer, reader)
}

impl SpoolWriter {
    /// Keeps bytes at an offset.
    ///
    /// # Errors
    /// [`ClientError::Disk`].
    pub(crate) fn write(&self, bytes: &[u8], at: u64) -> Result<(), ClientError> {
        let file = if let Some(file) = self.file.get() {
            file
        } else {
            let file = self.files.take(self.size_bytes)?;
            self.file.get_or_init(|| file)
        };
        let written = file
            .file()
            .map_or(Ok(()), |file| file.write_all_at(bytes, at));
        written.map_err(|source| {
            self.files.forget_idle();
            ClientError::Disk {
                action: "write",
                path: "a file on its way".into(),
                source,
            }
        })?;
        let written_bytes = at + bytes.len() as u64;
        self.progress
            .send_modify(|progress| progress.written_bytes = written_bytes);
        Ok(())
    }

    /// Whether somebody already has bytes of it, so that it cannot begin again.
    pub(crate) fn is_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.progress.is_closed()
    }

    /// Begins again.
    pub(crate) fn restart(&self) {
        self.progress
            .send_modify(|progress| progress.written_bytes = 0);
    }

    /// Tells how it ended: `Ok` only for a file whose digest is right.
    pub(crate) fn finish(&self, end: Result<(), Arc<ClientError>>) {
        self.progress
            .send_modify(|progress| progress.end = Some(end));
    }
}

impl Spool {
    /// The file's signed length.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Whether no part of it may be given alone: what somebody has of it already may be wrong.
    pub const fn is_given_from_its_beginning(&self) -> bool {
        self.from_its_beginning
    }

    pub(crate) const fn give_from_its_beginning(&mut self) {
        self.from_its_beginning = true;
    }

    /// Waits until the first bytes may be given: until then a failure can still be told as a status. Once the time for
    /// that is over, a file of which nothing could be given yet has as much time again.
    pub(crate) async fn ready(&self) -> Result<(), Arc<ClientError>> {
        let mut progress = self.progress.clone();
        let mut arriving = self.progress.clone();
        let hold_back_bytes = self.hold_back_bytes;
        let may_be_given = async {
            sleep_until(self.held_until).await;
            let given = arriving.wait_for(|progress| progress.written_bytes > hold_back_bytes);
            if given.await.is_err() {
                // The writer is gone; the other branch tells how.
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = progress.wait_for(|progress| progress.end.is_some()) => ended,
            () = may_be_given => return Ok(()),
            () = sleep_until(self.held_until_at_most) => return Ok(()),
        };
        match ended.map(|progress| progress.end.clone()) {
            Ok(Some(end)) => end,
            _ => Err(Arc::new(ClientError::Stopping)),
        }
    }

    /// The bytes from an offset on, as they may be given.
    pub fn stream(
        &self,
        from: u64,
    ) -> impl Stream<Item = Result<Bytes, SpoolError>> + Send + use<> {
        stream::try_unfold((self.clone(), from), |(mut spool, at)| async move {
            let Some(piece) = spool.next(at).await? else {
                return Ok(None);
            };
            let next = at + piece.len() as u64;
            Ok(Some((piece, (spool, next))))
        })
    }

    async fn next(&mut self, at: u64) -> Result<Option<Bytes>, SpoolError> {
        if at >= self.size_bytes {
            // Nothing more to give, but a reader of the whole file is told nothing good before the digest is right.
            return self.verified().await.map(|()| None);
        }
        let hold_back_bytes = self.hold_back_bytes;
        let early = self
            .progress
            .borrow()
            .end
            .is_none()
            .then_some(self.held_until);
        if let Some(until) = early {
            tokio::select! {
                ended = self.progress.wait_for(|progress| progress.end.is_some()) => {
                    ended.map_err(|_| SpoolError::Stopping)?;
                }
                () = sleep_until(until) => {}
            }
        }
        let progress = self
            .progress
            .wait_for(|progress| {
                progress.end.is_some() || progress.written_bytes > at + hold_back_bytes
            })
            .await
            .map_err(|_| SpoolError::Stopping)?
            .clone();
        let available = match progress.end {
            Some(Ok(())) => self.size_bytes,
            Some(Err(error)) => return Err(SpoolError::Failed(error)),
            None => {
                self.given.store(true, Ordering::Release);
                progress.written_bytes - hold_back_bytes
            }
        };
        let length = usize::try_from((available - at).min(PIECE_BYTES_MAX)).unwrap_or_default();
        // Written moments ago, so that reading does not wait for the disk; handing it to another thread takes longer
        // than it does, and forty threads keep memory of their own.
        let mut piece = vec![0; length];
        let file = self.file.get().and_then(NamelessFile::file);
        let file = file.ok_or_else(|| SpoolError::Read("nothing came in".to_owned()))?;
        match file.read_exact_at(&mut piece, at) {
            Ok(()) => Ok(Some(piece.into())),
            Err(error) => Err(SpoolError::Read(error.to_string())),
        }
    }

    async fn verified(&mut self) -> Result<(), SpoolError> {
        let progress = self
            .progress
            .wait_for(|progress| progress.end.is_some())
            .await
            .map_err(|_| SpoolError::Stopping)?;
        match &progress.end {
            Some(Err(error)) => Err(SpoolError::Failed(Arc::clone(error))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    /// What a file before left behind in the same place is never given, also where less of the next has come in.
    #[tokio::test]
    async fn a_place_that_is_used_again_gives_only_what_came_in_since() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits {
            hold_back: Duration::ZERO,
            hold_back_bytes: 0,
            reused_files_max: 1,
            ..Limits::default()
        };
        let files = Arc::new(NamelessFiles::new(directory.path().to_owned(), &limits));
        let (writer, reader) = spool(&files, 6, &limits);
        writer.write(b"before", 0).unwrap();
        writer.finish(Ok(()));
        let all = |reader: Spool| async move {
            let pieces: Vec<_> = reader.stream(0).collect().await;
            pieces.into_iter().collect::<Result<Vec<Bytes>, _>>()
        };
        assert_eq!(all(reader).await.unwrap().concat(), b"before");
        drop(writer);

        let (writer, reader) = spool(&files, 4, &limits);
        writer.write(b"ne", 0).unwrap();
        let mut given = Box::pin(reader.stream(0));
        assert_eq!(given.next().await.unwrap().unwrap(), "ne");
        assert!(
            given.next().now_or_never().is_none(),
            "the rest has not come"
        );
        writer.write(b"xt", 2).unwrap();
        writer.finish(Ok(()));
        assert_eq!(given.next().await.unwrap().unwrap(), "xt");
        assert!(given.next().await.is_none());

        // Nothing came at all: an error, and not what lies there.
        drop((given, writer, reader));
        let (writer, reader) = spool(&files, 4, &limits);
        writer.finish(Ok(()));
        assert!(all(reader).await.is_err());
        drop(writer);
    }
}
