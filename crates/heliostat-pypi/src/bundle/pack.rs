//! Writes the archive. What goes in is checked on the way: bytes that are not what the manifest says make no bundle.

use std::io::{self, Read, Write};

use jiff::Timestamp;
use sha2::Digest as _;
use tar::{Builder, EntryType, Header};
use zstd::stream::write::Encoder;

use super::{BundleError, Item, MANIFEST_NAME};
use crate::Sha256;

/// zstd's level. Wheels are compressed already; what gains is text, and little of it beyond this.
const LEVEL: i32 = 3;

/// An archive that is being written. Without `finish` it is no bundle.
pub struct Packer<W: Write> {
    builder: Builder<Encoder<'static, W>>,
    time: u64,
}

/// Hashes and counts what is read.
struct Checked<R> {
    inner: R,
    hasher: sha2::Sha256,
    size_bytes: u64,
    failed: bool,
}

impl<W: Write> Packer<W> {
    /// Starts an archive. Its entries carry this time, so that the same state made at the same time is the same bytes.
    pub fn start(out: W, made_at: Timestamp) -> Result<Self, BundleError> {
        let mut encoder = Encoder::new(out, LEVEL).map_err(BundleError::Write)?;
        encoder.include_checksum(true).map_err(BundleError::Write)?;
        Ok(Self {
            builder: Builder::new(encoder),
            time: u64::try_from(made_at.as_second()).unwrap_or(0),
        })
    }

    /// Adds the manifest, which comes first.
    pub fn manifest(
        &mut self,
        sha256: Sha256,
        size_bytes: u64,
        bytes: impl Read,
    ) -> Result<(), BundleError> {
        self.append(MANIFEST_NAME, sha256, size_bytes, bytes)
    }

    /// Adds an item, and refuses it where the bytes are not what it says.
    pub fn add(&mut self, item: &Item, bytes: impl Read) -> Result<(), BundleError> {
        self.append(item.path.as_str(), item.sha256, item.size_bytes, bytes)
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<W, BundleError> {
        let encoder = self.builder.into_inner().map_err(BundleError::Write)?;
        encoder.finish().map_err(BundleError::Write)
    }

    fn append(
        &mut self,
        path: &str,
        sha256: Sha256,
        size_bytes: u64,
        bytes: impl Read,
    ) -> Result<(), BundleError> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(self.time);
        header.set_size(size_bytes);
        let mut checked = Checked {
            // One byte more would be read if it were there, and counted.
            inner: bytes.take(size_bytes.saturating_add(1)),
            hasher: sha2::Sha256::new(),
            size_bytes: 0,
            failed: false,
        };
        let appended = self.builder.append_data(&mut header, path, &mut checked);
        appended.map_err(|error| {
            if checked.failed {
                BundleError::Read(error)
            } else {
                BundleError::Write(error)
            }
        })?;
        let found = Sha256::from_bytes(checked.hasher.finalize().into());
        if checked.size_bytes != size_bytes || found != sha256 {
            return Err(BundleError::entry(
                path,
                format!(
                    "expected sha256:{sha256} of {size_bytes} bytes, found sha256:{found} of {} bytes",
                    checked.size_bytes
                ),
            ));
        }
        Ok(())
    }
}

impl<W: Write> std::fmt::Debug for Packer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(count) => {
                self.hasher.update(&buffer[..count]);
                self.size_bytes += count as u64;
                Ok(count)
            }
            Err(error) => {
                self.failed = error.kind() != io::ErrorKind::Interrupted;
                Err(error)
            }
        }
    }
}
