//! Bodies of answers: nothing, bytes in memory, a piece of a file, or a download that is still arriving.
//!
//! A body also keeps the account of its answer: when hyper drops it, finished or cut, the account is closed with the
//! bytes that were really handed over.

use std::fs::File;
use std::future::Future as _;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::account::Account;
use crate::range::Span;

/// What is read from a file in one go.
pub(crate) const CHUNK_BYTES: usize = 128 << 10;

/// Why a body ended before its end. The client sees a cut connection, never a short but complete answer.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that arrive while they are sent.
pub(crate) type LiveStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// Where the bytes of an answer come from.
pub(crate) enum Payload {
    /// There are none.
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// A piece of a file.
    File(FilePiece),
    /// A download under way; `left_bytes` where the size is known.
    Live {
        /// The bytes.
        stream: LiveStream,
        /// What is still to be sent.
        left_bytes: Option<u64>,
    },
}

/// A payload with the account of its answer, as hyper takes it.
pub(crate) struct Body {
    payload: Payload,
    account: Account,
}

/// A piece of an open file, read chunk by chunk.
pub(crate) struct FilePiece {
    file: Arc<File>,
    next: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Payload {
    /// The exact number of bytes, where known.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File(piece) => Some(piece.end - piece.next),
            Self::Live { left_bytes, .. } => *left_bytes,
        }
    }
}

impl FilePiece {
    /// The bytes of `span`.
    pub(crate) fn new(file: File, span: Span) -> Self {
        Self {
            file: Arc::new(file),
            next: span.first,
            end: span.last + 1,
            reading: None,
        }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.reading.is_none() {
            let wanted = usize::try_from(self.end - self.next)
                .unwrap_or(usize::MAX)
                .min(CHUNK_BYTES);
            // What is in the system's page cache is copied at once; only the disk is waited for elsewhere.
            if let Some(bytes) = read_cached(&self.file, self.next, wanted) {
                self.next += bytes.len() as u64;
                return Poll::Ready(Ok(bytes));
            }
            let (file, offset) = (Arc::clone(&self.file), self.next);
            self.reading = Some(tokio::task::spawn_blocking(move || {
                read_waiting(&file, offset, wanted)
            }));
        }
        let Some(reading) = self.reading.as_mut() else {
            return Poll::Pending;
        };
        let outcome = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let bytes = outcome.map_err(io::Error::other)??;
        self.next += bytes.len() as u64;
        Poll::Ready(Ok(bytes))
    }
}

impl Body {
    /// Joins a payload and the account of its answer.
    pub(crate) fn new(payload: Payload, account: Account) -> Self {
        Self { payload, account }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let outcome = match &mut this.payload {
            Payload::Empty => None,
            Payload::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                this.payload = Payload::Empty;
                Some(Ok(bytes)).filter(|bytes: &Result<Bytes, BodyError>| {
                    bytes.as_ref().is_ok_and(|b| !b.is_empty())
                })
            }
            Payload::File(piece) if piece.next == piece.end => None,
            Payload::File(piece) => {
                Some(ready!(piece.poll_chunk(context)).map_err(BodyError::from))
            }
            Payload::Live { stream, left_bytes } => ready!(poll_live(stream, left_bytes, context)),
        };
        match &outcome {
            Some(Ok(bytes)) => this.account.add(bytes.len() as u64),
            Some(Err(error)) => this.account.broken(error.as_ref()),
            None => {}
        }
        Poll::Ready(outcome.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.payload.size_bytes() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.payload
            .size_bytes()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn poll_live(
    stream: &mut LiveStream,
    left_bytes: &mut Option<u64>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, BodyError>>> {
    if *left_bytes == Some(0) {
        return Poll::Ready(None);
    }
    let outcome = ready!(stream.as_mut().poll_next(context));
    Poll::Ready(match (outcome, left_bytes) {
        (Some(Ok(bytes)), Some(left)) => {
            let wanted = usize::try_from(*left)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            *left -= wanted as u64;
            Some(Ok(bytes.slice(..wanted)))
        }
        (None, Some(left)) => Some(Err(format!("the download ended {left} bytes early").into())),
        (outcome, _) => outcome,
    })
}

/// Reads without waiting for the disk; `None` where that is not possible.
#[cfg(target_os = "linux")]
pub(crate) fn read_cached(file: &File, offset: u64, wanted: usize) -> Option<Bytes> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let mut buffer = vec![0; wanted];
    let mut slices = [io::IoSliceMut::new(&mut buffer)];
    let read = preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT)
        .ok()
        .filter(|read| *read != 0)?;
    buffer.truncate(read);
    Some(buffer.into())
}

/// Other systems have no such call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn read_cached(_file: &File, _offset: u64, _wanted: usize) -> Option<Bytes> {
    None
}

fn read_waiting(file: &File, offset: u64, wanted: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; wanted];
    let read = file.read_at(&mut buffer, offset)?;
    if read == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file became shorter while it was sent",
        ));
    }
    buffer.truncate(read);
    Ok(buffer.into())
}
