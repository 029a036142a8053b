//! Takes files that are on the disk already: hashes them where they lie, and admits them without copying.
//!
//! A file is linked into the incoming directory first and hashed under that name. Committing it then goes the same
//! way as anything else, also when it already stands at its final place.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use blake2::digest::consts::U32;
use heliostat_pypi::{ProjectName, Sha256, TreePath};
use sha2::Digest as _;

use crate::disk;
use crate::error::StoreError;
use crate::intake::{Expected, VerifiedBlob};
use crate::record::Part;
use crate::store::Store;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// What a file's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigest {
    /// Their sha256.
    pub sha256: Sha256,
    /// Their BLAKE2b-256, which PyPI spells in a file's path.
    pub blake2b_256: [u8; 32],
    /// How many they are.
    pub size_bytes: u64,
}

impl Store {
    /// Admits a file from anywhere: links it (or copies it, where it cannot be linked) into the incoming directory and
    /// checks it there. A linked file stays the same file as its source, so whoever writes into the source in place
    /// afterwards writes into the tree.
    pub fn link_in(&self, source: &Path, expected: &Expected) -> Result<VerifiedBlob, StoreError> {
        // A link to a symbolic link would be one more symbolic link.
        let source =
            fs::canonicalize(source).map_err(|error| StoreError::io("find", source, error))?;
        let temporary = self.inner.incoming.temporary()?;
        if fs::hard_link(&source, temporary.path()).is_err() {
            fs::copy(&source, temporary.path())
                .map_err(|error| StoreError::io("copy", &source, error))?;
        }
        let mut hasher = sha2::Sha256::new();
        let mut size_bytes = 0;
        let read = File::open(temporary.path()).and_then(|file| {
            each_chunk(file, |chunk| {
                hasher.update(chunk);
                size_bytes += chunk.len() as u64;
                ControlFlow::Continue(())
            })
        });
        let _whole = read.map_err(|error| StoreError::io("read", &source, error))?;
        let sha256 = Sha256::from_bytes(hasher.finalize().into());
        expected.check(sha256, size_bytes)?;
        Ok(VerifiedBlob::hashed(temporary, sha256, size_bytes))
    }

    /// Admits a file that already stands at its final place; `None` where there is none.
    pub fn admit_existing(
        &self,
        project: &ProjectName,
        path: &TreePath,
        part: Part,
        expected: &Expected,
    ) -> Result<Option<VerifiedBlob>, StoreError> {
        match self.place(project, path, part) {
            Some(place) if place.is_file() => self.link_in(&place, expected).map(Some),
            _ => Ok(None),
        }
    }

    /// Hashes a part of a file in the tree; `None` where it is not there. `pace` is told the bytes of every chunk
    /// before it is hashed and may wait, to limit the rate, or break off, which also gives `None`.
    pub fn hash_file(
        &self,
        project: &ProjectName,
        path: &TreePath,
        part: Part,
        pace: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Option<FileDigest>, StoreError> {
        match self.place(project, path, part) {
            Some(target) => hash(&target, pace),
            None => Ok(None),
        }
    }
}

/// Hashes any file and compares it with what was promised.
pub fn check(path: &Path, expected: &Expected) -> Result<FileDigest, StoreError> {
    match hash(path, |_| ControlFlow::Continue(()))? {
        Some(digest) => {
            expected.check(digest.sha256, digest.size_bytes)?;
            Ok(digest)
        }
        None => Err(StoreError::io(
            "open",
            path,
            io::Error::from(io::ErrorKind::NotFound),
        )),
    }
}

/// Hashes any file; `None` where it is not there or `pace` broke off.
pub fn hash(
    path: &Path,
    mut pace: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<FileDigest>, StoreError> {
    let Some(file) = disk::open_regular(path)? else {
        return Ok(None);
    };
    let mut sha256 = sha2::Sha256::new();
    let mut blake2b = blake2::Blake2b::<U32>::default();
    let mut size_bytes = 0;
    let whole = each_chunk(file, |chunk| {
        pace(chunk.len() as u64)?;
        sha256.update(chunk);
        blake2::Digest::update(&mut blake2b, chunk);
        size_bytes += chunk.len() as u64;
        ControlFlow::Continue(())
    });
    let whole = whole.map_err(|error| StoreError::io("read", path, error))?;
    Ok(whole.is_continue().then(|| FileDigest {
        sha256: Sha256::from_bytes(sha256.finalize().into()),
        blake2b_256: blake2::Digest::finalize(blake2b).into(),
        size_bytes,
    }))
}

fn each_chunk(
    mut file: impl Read,
    mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(ControlFlow::Continue(())),
            Ok(count) => {
                if each(&buffer[..count]).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
