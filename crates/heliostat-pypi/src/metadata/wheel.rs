//! Takes `METADATA` out of a wheel, byte for byte.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zip::ZipArchive;

use super::METADATA_BYTES_MAX;
use crate::{ProjectName, Version, WheelName};

/// How many bytes of a wheel are read in all: a directory of some 300,000 members, where the largest on PyPI have
/// 50,000, and the compressed metadata.
const ARCHIVE_BYTES_MAX: u64 = 48 << 20;

/// Why no metadata can be taken from a wheel.
#[derive(Debug, thiserror::Error)]
pub enum WheelError {
    /// Not a zip archive, damaged, or one that we refuse to read.
    #[error("the wheel cannot be read as a zip archive")]
    ReadArchive(#[source] zip::result::ZipError),
    /// No `*.dist-info/METADATA` at the top, or none of this project and version.
    #[error("the wheel holds no metadata of {project} {version}")]
    FindMetadata {
        /// The project that was looked for.
        project: ProjectName,
        /// The version that was looked for.
        version: Version,
    },
    /// Several that fit.
    #[error("the wheel holds several metadata documents: `{first}` and `{second}`")]
    ChooseMetadata {
        /// One, escaped for display.
        first: String,
        /// Another, escaped for display.
        second: String,
    },
    /// Damaged: the content does not decompress, or does not match its checksum.
    #[error("the wheel's metadata cannot be read")]
    ReadMetadata(#[source] io::Error),
    /// Larger than [`METADATA_BYTES_MAX`] when decompressed.
    #[error("the wheel's metadata is larger than 16 MiB")]
    MetadataTooLarge,
}

/// The bytes of the wheel's `METADATA`, as PEP 658 wants them beside it.
///
/// `project` and `name` are what the wheel's file name says; the directory inside may spell them in any way that
/// normalises to the same. Reads the archive's directory and that one member only.
pub fn extract_wheel_metadata<R: Read + Seek>(
    reader: R,
    project: &ProjectName,
    name: &WheelName,
) -> Result<Vec<u8>, WheelError> {
    let bounded = Bounded {
        inner: BufReader::new(reader),
        left: ARCHIVE_BYTES_MAX,
    };
    let mut archive = ZipArchive::new(bounded).map_err(WheelError::ReadArchive)?;
    let member = find_metadata(&archive, project, name)?;
    let mut content = Vec::new();
    let member = archive.by_name(&member).map_err(WheelError::ReadArchive)?;
    member
        .take(METADATA_BYTES_MAX + 1)
        .read_to_end(&mut content)
        .map_err(WheelError::ReadMetadata)?;
    if content.len() as u64 > METADATA_BYTES_MAX {
        Err(WheelError::MetadataTooLarge)
    } else {
        Ok(content)
    }
}

fn find_metadata<R: Read + Seek>(
    archive: &ZipArchive<R>,
    project: &ProjectName,
    name: &WheelName,
) -> Result<String, WheelError> {
    let mut found: Option<String> = None;
    for member in archive.file_names().filter_map(Result::ok) {
        let Some(directory) = member.strip_suffix(".dist-info/METADATA") else {
            continue;
        };
        if directory.contains('/') || !is_of(directory, project, &name.version) {
            continue;
        }
        if let Some(first) = found {
            let (first, second) = (
                first.escape_debug().to_string(),
                member.escape_debug().to_string(),
            );
            return Err(WheelError::ChooseMetadata { first, second });
        }
        found = Some(member.into_owned());
    }
    found.ok_or_else(|| WheelError::FindMetadata {
        project: project.clone(),
        version: name.version.clone(),
    })
}

/// Whether `{name}-{version}` are those of the wheel. Installers accept any spelling of the name; the version must be
/// the same version, however written.
fn is_of(directory: &str, project: &ProjectName, version: &Version) -> bool {
    directory.match_indices('-').any(|(at, _)| {
        let (name, written) = (&directory[..at], &directory[at + 1..]);
        let is_version = [
            written.to_owned(),
            written.replace('_', "-"),
            written.replace('_', "+"),
        ]
        .iter()
        .any(|written| Version::parse(written) == *version);
        is_version && name.parse::<ProjectName>().as_ref() == Ok(project)
    })
}

/// Fails once more than `left` bytes were read, so that a hostile directory costs a bounded amount of memory.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the directory of the archive is too large",
            )
        })?;
        Ok(count)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}
