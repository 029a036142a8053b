//! Reads the archive: tar in zstd, entry by entry, and nothing but regular files with plain relative names.
//!
//! Every way in which an archive can do more than hold files (links, devices, sparse files, extended headers) is refused,
//! as are names that leave the tree, bytes that were cut off, and bytes that unpack to far more than they are.

use std::io::{self, BufReader, Read};

use tar::{EntryType, Header};
use zstd::stream::read::Decoder;

use super::{BundleError, BundleLimits, MANIFEST_NAME, shown};
use crate::RelPath;

/// Tar's unit.
const BLOCK_BYTES: usize = 512;
/// The longest name in an entry of its own: a path of the tree fits twice.
const LONG_NAME_BYTES_MAX: u64 = 1_024;
/// The name by which GNU tar marks such an entry.
const LONG_NAME: &[u8] = b"././@LongLink";

/// An archive that is being read. Reading gives the bytes of the present entry.
pub struct Archive<R: Read> {
    source: Decoder<'static, BufReader<Counted<R>>>,
    limits: BundleLimits,
    unpacked_bytes: u64,
    remaining_bytes: u64,
    padding_bytes: u64,
    is_over: bool,
}

/// An entry's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub path: RelPath,
    /// Its size.
    pub size_bytes: u64,
}

/// Counts what is read, and remembers whether reading failed: then it is the disk and not the bundle.
struct Counted<R> {
    inner: R,
    read_bytes: u64,
    failed: bool,
}

impl<R: Read> Archive<R> {
    /// Starts to read a bundle, and stands before its first entry.
    pub fn open(source: R, limits: BundleLimits) -> Result<Self, BundleError> {
        let counted = Counted {
            inner: source,
            read_bytes: 0,
            failed: false,
        };
        let mut source = Decoder::new(counted).map_err(BundleError::Read)?;
        source
            .window_log_max(limits.window_log_max)
            .map_err(BundleError::Read)?;
        Ok(Self {
            source,
            limits,
            unpacked_bytes: 0,
            remaining_bytes: 0,
            padding_bytes: 0,
            is_over: false,
        })
    }

    /// Goes on to the manifest, which must be the first entry.
    pub fn to_manifest(&mut self) -> Result<(), BundleError> {
        let first = self.next_entry().map_err(|error| match error {
            BundleError::Read(_) => error,
            error => BundleError::NotABundle(error.to_string()),
        })?;
        match first {
            Some(entry) if entry.path.as_str() == MANIFEST_NAME => Ok(()),
            _ => Err(BundleError::NotABundle(format!(
                "its first entry is not `{MANIFEST_NAME}`"
            ))),
        }
    }

    /// Goes on to the next entry, over what is left of the present one. `None` at the end, after which nothing follows.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, BundleError> {
        if self.is_over {
            return Ok(None);
        }
        let rest = self.remaining_bytes + self.padding_bytes;
        self.remaining_bytes = 0;
        self.padding_bytes = 0;
        self.skip(rest)?;
        let Some(header) = self.header()? else {
            self.finish()?;
            return Ok(None);
        };
        let (name, header) = if header.entry_type() == EntryType::GNULongName {
            let name = self.long_name(&header)?;
            let header = self
                .header()?
                .ok_or_else(|| BundleError::Damaged("a name has no entry".to_owned()))?;
            (name, header)
        } else {
            (header.path_bytes().into_owned(), header)
        };
        let text = String::from_utf8(name).map_err(|error| {
            BundleError::entry(
                &String::from_utf8_lossy(error.as_bytes()),
                "its name is not UTF-8",
            )
        })?;
        if header.entry_type() != EntryType::Regular {
            return Err(BundleError::entry(&text, "it is not a regular file"));
        }
        let path = text
            .parse::<RelPath>()
            .map_err(|error| BundleError::entry(&text, error.reason))?;
        let size_bytes = size(&header, &text)?;
        self.remaining_bytes = size_bytes;
        self.padding_bytes = padding(size_bytes);
        Ok(Some(Entry { path, size_bytes }))
    }

    /// Reads some of the present entry; 0 at its end. Bytes that should be there and are not are an error.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, BundleError> {
        let wanted = usize::try_from(self.remaining_bytes)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.unpack(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(cut_off());
        }
        self.remaining_bytes -= count as u64;
        Ok(count)
    }

    fn header(&mut self) -> Result<Option<Header>, BundleError> {
        let mut block = [0; BLOCK_BYTES];
        self.fill(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block);
        // The sum is over the block with the sum's own eight bytes as spaces.
        let own: u32 = block[148..156].iter().map(|byte| u32::from(*byte)).sum();
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        if header.cksum().ok() != Some(sum - own + 8 * u32::from(b' ')) {
            return Err(BundleError::Damaged(
                "the head of an entry has a wrong sum".to_owned(),
            ));
        }
        Ok(Some(header.clone()))
    }

    fn long_name(&mut self, header: &Header) -> Result<Vec<u8>, BundleError> {
        let length = size(header, "a long name")?;
        if *header.path_bytes() != *LONG_NAME || !(1..=LONG_NAME_BYTES_MAX).contains(&length) {
            return Err(BundleError::entry(
                &String::from_utf8_lossy(&header.path_bytes()),
                "its name is too long",
            ));
        }
        let mut name = vec![0; usize::try_from(length).unwrap_or(0)];
        self.fill(&mut name)?;
        self.skip(padding(length))?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    /// Behind the last entry there is nothing but zeros.
    fn finish(&mut self) -> Result<(), BundleError> {
        let mut block = [0; BLOCK_BYTES];
        self.fill(&mut block)?;
        loop {
            if block.iter().any(|byte| *byte != 0) {
                return Err(BundleError::Damaged("something follows its end".to_owned()));
            }
            match self.unpack(&mut block)? {
                0 => break,
                count => block[count..].fill(0),
            }
        }
        self.is_over = true;
        Ok(())
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), BundleError> {
        while !buffer.is_empty() {
            match self.unpack(buffer)? {
                0 => return Err(cut_off()),
                count => buffer = &mut buffer[count..],
            }
        }
        Ok(())
    }

    fn skip(&mut self, mut count: u64) -> Result<(), BundleError> {
        let mut buffer = [0; 16 * 1024];
        while count > 0 {
            let wanted = usize::try_from(count)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            self.fill(&mut buffer[..wanted])?;
            count -= wanted as u64;
        }
        Ok(())
    }

    fn unpack(&mut self, buffer: &mut [u8]) -> Result<usize, BundleError> {
        let count = loop {
            match self.source.read(buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.source.get_ref().get_ref().failed => {
                    return Err(BundleError::Read(error));
                }
                Err(error) => return Err(BundleError::Damaged(error.to_string())),
            }
        };
        self.unpacked_bytes += count as u64;
        let packed_bytes = self.source.get_ref().get_ref().read_bytes;
        let most = packed_bytes
            .saturating_mul(self.limits.ratio_max)
            .saturating_add(self.limits.slack_bytes);
        if self.unpacked_bytes > most {
            return Err(BundleError::TooDense {
                ratio_max: self.limits.ratio_max,
            });
        }
        Ok(count)
    }
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(io::Error::other)
    }
}

impl<R: Read> std::fmt::Debug for Archive<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive")
            .field("unpacked_bytes", &self.unpacked_bytes)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(count) => {
                self.read_bytes += count as u64;
                Ok(count)
            }
            Err(error) => {
                self.failed = error.kind() != io::ErrorKind::Interrupted;
                Err(error)
            }
        }
    }
}

/// Takes our own error back out of one that came through `Read`.
pub(super) fn from_io(error: io::Error) -> BundleError {
    match error.downcast::<BundleError>() {
        Ok(error) => error,
        Err(error) => BundleError::Read(error),
    }
}

fn size(header: &Header, name: &str) -> Result<u64, BundleError> {
    header
        .entry_size()
        .ok()
        .filter(|size| *size < u64::MAX / 4)
        .ok_or_else(|| BundleError::entry(&shown(name), "its size cannot be read"))
}

/// What fills an entry up to whole blocks.
const fn padding(size_bytes: u64) -> u64 {
    size_bytes.next_multiple_of(BLOCK_BYTES as u64) - size_bytes
}

fn cut_off() -> BundleError {
    BundleError::Damaged("it is cut off".to_owned())
}
