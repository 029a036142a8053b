//! A file on its way: one download from the upstream, streamed to everybody who waits for it.
//!
//! The last bytes are held back until the whole file is verified, so a client never has a complete wrong file: a
//! download that turns out wrong ends in a broken transfer.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, stream};
use heliostat_pypi::TreePath;
use tokio::sync::watch;

use crate::context::blocking;

/// Bytes of a file that clients do not get before it is verified.
const HELD_BACK_BYTES: u64 = 64 * 1024;
/// The largest piece handed to a client at once, in bytes.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// A file on its way. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LiveDownload {
    progress: watch::Receiver<Progress>,
}

/// Why a stream was broken off.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LiveError {
    /// The download failed, or what came is not what it should be.
    #[error("the download failed: {0}")]
    Failed(String),
    /// The upstream started over, and this client already has bytes of the first attempt.
    #[error("the upstream started over")]
    StartedOver,
    /// The temporary file cannot be read.
    #[error("cannot read the file on its way: {0}")]
    Read(String),
}

/// Downloads under way, by path.
#[derive(Debug, Default)]
pub(super) struct LiveTable {
    running: Arc<Mutex<HashMap<TreePath, LiveDownload>>>,
}

/// How far a download is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Counts attempts whose bytes replace what came before.
    pub(super) epoch: u64,
    pub(super) file: Option<Arc<File>>,
    pub(super) total_bytes: Option<u64>,
    pub(super) written_bytes: u64,
    pub(super) state: State,
}

#[derive(Debug, Clone, Default)]
pub(super) enum State {
    #[default]
    Asked,
    Running,
    Verified,
    Failed(Arc<super::OnDemandError>),
}

impl Progress {
    /// Bytes that clients may have.
    fn available_bytes(&self) -> u64 {
        match self.state {
            State::Verified => self.written_bytes,
            _ => self.written_bytes.saturating_sub(HELD_BACK_BYTES),
        }
    }
}

impl LiveDownload {
    /// The file's length, where known.
    pub fn size_bytes(&self) -> Option<u64> {
        self.progress.borrow().total_bytes
    }

    /// The file's bytes from an offset on, as they come.
    pub fn stream(&self, from: u64) -> impl Stream<Item = Result<Bytes, LiveError>> + Send + use<> {
        let epoch = self.progress.borrow().epoch;
        let reader = Reader {
            progress: self.progress.clone(),
            at: from,
            from,
            epoch,
        };
        stream::try_unfold(reader, |mut reader| async move {
            Ok(reader.next().await?.map(|piece| (piece, reader)))
        })
    }

    /// Waits until the upstream answered; an early failure is told here, while a status can still be chosen.
    pub(super) async fn started(mut self) -> Result<Self, Arc<super::OnDemandError>> {
        let answered = self
            .progress
            .wait_for(|progress| !matches!(progress.state, State::Asked))
            .await;
        let failed = match answered.as_deref() {
            Ok(Progress {
                state: State::Failed(error),
                ..
            }) => Some(Arc::clone(error)),
            Ok(_) => None,
            Err(_) => Some(Arc::new(super::OnDemandError::Stopping)),
        };
        drop(answered);
        failed.map_or(Ok(self), Err)
    }
}

impl LiveTable {
    /// Joins the download of `path` under way, or gives the handle with which to start one.
    pub(super) fn join(&self, path: &TreePath) -> Joined {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = running.get(path) {
            return Joined::Running(live.clone());
        }
        let (sender, progress) = watch::channel(Progress::default());
        let live = LiveDownload { progress };
        running.insert(path.clone(), live.clone());
        Joined::New(
            live,
            Handle {
                sender,
                path: path.clone(),
                running: Arc::clone(&self.running),
            },
        )
    }
}

pub(super) enum Joined {
    Running(LiveDownload),
    New(LiveDownload, Handle),
}

/// The writing end of a live download; the table forgets the download when it is dropped.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) sender: watch::Sender<Progress>,
    path: TreePath,
    running: Arc<Mutex<HashMap<TreePath, LiveDownload>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.path);
    }
}

struct Reader {
    progress: watch::Receiver<Progress>,
    at: u64,
    from: u64,
    epoch: u64,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, LiveError> {
        let (at, epoch) = (self.at, self.epoch);
        let progress = self
            .progress
            .wait_for(|progress| {
                progress.epoch != epoch
                    || progress.available_bytes() > at
                    || matches!(progress.state, State::Verified | State::Failed(_))
            })
            .await
            .map_err(|_| LiveError::Failed("the server is stopping".to_owned()))?
            .clone();
        if progress.epoch != self.epoch {
            if self.at != self.from {
                return Err(LiveError::StartedOver);
            }
            self.epoch = progress.epoch;
        }
        if let State::Failed(error) = &progress.state {
            return Err(LiveError::Failed(error.to_string()));
        }
        let ready = progress.available_bytes().saturating_sub(self.at);
        let Some(file) = progress.file.filter(|_| ready > 0) else {
            return match progress.state {
                State::Verified => Ok(None),
                // Another attempt began; wait for its bytes.
                _ => Ok(Some(Bytes::new())),
            };
        };
        let length = usize::try_from(ready)
            .unwrap_or(PIECE_BYTES_MAX)
            .min(PIECE_BYTES_MAX);
        let at = self.at;
        let piece = blocking(move || read_at(&file, at, length))
            .await
            .map_err(|error| LiveError::Read(error.to_string()))?
            .map_err(|error| LiveError::Read(error.to_string()))?;
        // An attempt that started over while this piece was read has changed the bytes under it.
        if self.progress.borrow().epoch != self.epoch {
            return Err(LiveError::StartedOver);
        }
        self.at += piece.len() as u64;
        Ok(Some(piece))
    }
}

fn read_at(file: &File, at: u64, length: usize) -> std::io::Result<Bytes> {
    let mut piece = vec![0; length];
    file.read_exact_at(&mut piece, at)?;
    Ok(piece.into())
}
