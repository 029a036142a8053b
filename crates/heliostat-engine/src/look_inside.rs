//! The metadata of a wheel that nobody offers beside it: out of the wheel itself, by a look at its end where the server
//! gives pieces, else from the whole file, which then stays on the store's shelf so that it need not be fetched again.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::{Bytes, BytesMut};
use heliostat_pypi::metadata::extract_wheel_metadata;
use heliostat_pypi::page::PageFile;
use heliostat_pypi::{FileName, ProjectName, WheelName};
use heliostat_upstream::Span;

use crate::context::{Context, blocking};
use crate::error::EngineError;
use crate::take::{TakeError, take_file};

/// Bytes asked for at the end of a wheel: its directory, and the metadata, which most builders write last.
const TAIL_BYTES: u64 = 128 << 10;
/// The most of a wheel that is taken in pieces.
const PIECES_BYTES_MAX: u64 = 8 << 20;
/// Pieces of one wheel, at most.
const PIECES_MAX: usize = 6;

/// The metadata of a wheel, or why it cannot be had. An error is an upstream that cannot answer, or our own disk.
pub(crate) async fn wheel_metadata(
    context: &Context,
    project: &ProjectName,
    file: &PageFile,
) -> Result<Result<Vec<u8>, String>, EngineError> {
    let Ok(FileName::Wheel(name)) = FileName::parse(file.filename(), project) else {
        return Ok(Err("the index offers no metadata for it".to_owned()));
    };
    if let Some(bytes) = in_pieces(context, project, file, &name).await? {
        return Ok(Ok(bytes));
    }
    let blob = match take_file(context, file, |_| Ok(())).await {
        Ok(taken) => taken.blob,
        Err(TakeError::Upstream(error)) if error.is_outage() => return Err(error.into()),
        Err(TakeError::Store(error)) => return Err(EngineError::Store(error)),
        Err(TakeError::Engine(error)) => return Err(*error),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let (wheel, project) = (blob.open()?, project.clone());
    context.store.shelve(file.path.clone(), blob);
    blocking(move || {
        extract_wheel_metadata(wheel, &project, &name).map_err(|error| error.to_string())
    })
    .await
}

/// The metadata from the end of the wheel and whatever else of it has to be seen. `None` where that does not work.
async fn in_pieces(
    context: &Context,
    project: &ProjectName,
    file: &PageFile,
    name: &WheelName,
) -> Result<Option<Vec<u8>>, EngineError> {
    let sources = context.upstream.file_sources(&file.path, &file.url)?;
    let Some(url) = sources.last() else {
        return Ok(None);
    };
    let mut span = Span::Last(TAIL_BYTES);
    let mut tail: Option<Tail> = None;
    for _ in 0..PIECES_MAX {
        let piece = match context.upstream.piece(url, span).await {
            Ok(Some(piece)) => piece,
            Err(error) if error.is_outage() => return Err(error.into()),
            Ok(None) | Err(_) => return Ok(None),
        };
        let now = match tail.take() {
            None => Tail {
                first: piece.first,
                bytes: piece.bytes,
                total_bytes: piece.total_bytes,
            },
            Some(before) if before.total_bytes == piece.total_bytes => before.after(&piece.bytes),
            Some(_) => return Ok(None),
        };
        let (project, name, looked_at) = (project.clone(), name.clone(), now.clone());
        let (outcome, missed) = blocking(move || {
            let mut reader = TailReader {
                tail: &looked_at,
                at: 0,
                missed: None,
            };
            let outcome = extract_wheel_metadata(&mut reader, &project, &name);
            (outcome.ok(), reader.missed)
        })
        .await?;
        match (outcome, missed) {
            (Some(metadata), _) => return Ok(Some(metadata)),
            (None, Some(from)) if now.total_bytes - from <= PIECES_BYTES_MAX => {
                span = Span::Between(from, now.first - 1);
                tail = Some(now);
            }
            (None, _) => return Ok(None),
        }
    }
    Ok(None)
}

/// The end of a file.
#[derive(Debug, Clone)]
struct Tail {
    first: u64,
    bytes: Bytes,
    total_bytes: u64,
}

impl Tail {
    /// With these bytes, which end where it begins, before it.
    fn after(self, earlier: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(earlier.len() + self.bytes.len());
        bytes.extend_from_slice(earlier);
        bytes.extend_from_slice(&self.bytes);
        Self {
            first: self.first - earlier.len() as u64,
            bytes: bytes.freeze(),
            total_bytes: self.total_bytes,
        }
    }
}

/// Reads a file of which only the end is there, and remembers where more would have been needed.
#[derive(Debug)]
struct TailReader<'a> {
    tail: &'a Tail,
    at: u64,
    missed: Option<u64>,
}

impl Read for TailReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(offset) = self.at.checked_sub(self.tail.first) else {
            self.missed = Some(self.at);
            return Err(io::Error::other("this part of the file is not here"));
        };
        let start = usize::try_from(offset).map_or(self.tail.bytes.len(), |offset| {
            offset.min(self.tail.bytes.len())
        });
        let count = (&self.tail.bytes[start..]).read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for TailReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.tail.total_bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
