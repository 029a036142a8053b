//! Goes through a bundle: its manifest with one reader, its entries with another, in step. What comes out is what the
//! manifest says, in its order, byte for byte.

use std::io::{BufReader, Read};

use sha2::Digest as _;

use super::{Archive, BundleError, BundleLimits, End, Header, Item, Line, ManifestReader};
use crate::Sha256;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 128 * 1024;
/// The manifest's buffer.
const LINES_BYTES: usize = 64 * 1024;

/// A bundle that is being gone through.
#[derive(Debug)]
pub struct BundleReader<R: Read> {
    lines: ManifestReader<BufReader<Archive<R>>>,
    entries: Archive<R>,
    buffer: Vec<u8>,
}

impl<R: Read> BundleReader<R> {
    /// Starts to read a bundle, which is needed twice: the manifest's lines are read as its entries come, so that a
    /// bundle of any size needs the memory of one line.
    pub fn open(first: R, second: R, limits: BundleLimits) -> Result<Self, BundleError> {
        let mut manifest = Archive::open(first, limits)?;
        manifest.to_manifest()?;
        let mut entries = Archive::open(second, limits)?;
        entries.to_manifest()?;
        let lines = BufReader::with_capacity(LINES_BYTES, manifest);
        Ok(Self {
            lines: ManifestReader::start(lines, limits)?,
            entries,
            buffer: vec![0; CHUNK_BYTES],
        })
    }

    /// What this is.
    pub const fn header(&self) -> &Header {
        self.lines.header()
    }

    /// The next line after the header; `None` at the end, where nothing may be left of the archive. The items that a line
    /// places in the bundle must be read, in the line's order, before the next is asked for.
    pub fn next_line(&mut self) -> Result<Option<Line>, BundleError> {
        let line = self.lines.next_line()?;
        if line.is_none()
            && let Some(entry) = self.entries.next_entry()?
        {
            return Err(BundleError::entry(
                entry.path.as_str(),
                "the manifest does not have it",
            ));
        }
        Ok(line)
    }

    /// What the manifest counted so far.
    pub const fn counted(&self) -> End {
        self.lines.counted()
    }

    /// The manifest's sha256, after its end.
    pub fn manifest(&self) -> Sha256 {
        self.lines.sha256()
    }

    /// Hands the bytes of the next entry to `each`, which must be this item's: name, size and, when all have been handed
    /// over, sha256.
    pub fn bytes<E: From<BundleError>>(
        &mut self,
        item: &Item,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let refuse = |reason: String| BundleError::entry(item.path.as_str(), reason);
        match self.entries.next_entry()? {
            Some(entry) if entry.path == item.path && entry.size_bytes == item.size_bytes => {}
            Some(entry) if entry.path == item.path => {
                return Err(refuse(format!(
                    "it has {} bytes, where the manifest says {}",
                    entry.size_bytes, item.size_bytes
                ))
                .into());
            }
            Some(entry) => {
                let reason = format!("the manifest has `{}` in its place", item.path.as_str());
                return Err(BundleError::entry(entry.path.as_str(), reason).into());
            }
            None => return Err(refuse("it is missing".to_owned()).into()),
        }
        let mut hasher = sha2::Sha256::new();
        loop {
            let count = self.entries.read_some(&mut self.buffer)?;
            if count == 0 {
                break;
            }
            hasher.update(&self.buffer[..count]);
            each(&self.buffer[..count])?;
        }
        let found = Sha256::from_bytes(hasher.finalize().into());
        if found != item.sha256 {
            let wanted = item.sha256;
            return Err(refuse(format!("expected sha256:{wanted}, found sha256:{found}")).into());
        }
        Ok(())
    }

    /// The bytes of the next entry, which must be this item's, in memory: for pages and trust files, whose size the
    /// manifest's reader has limited.
    pub fn document(&mut self, item: &Item) -> Result<Vec<u8>, BundleError> {
        let mut document = Vec::new();
        self.bytes(item, |chunk| {
            document.extend_from_slice(chunk);
            Ok::<(), BundleError>(())
        })?;
        Ok(document)
    }
}
