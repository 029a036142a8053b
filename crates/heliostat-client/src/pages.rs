//! Verified pages: in memory as long as there is room, on disk by their digest, and hashed again on every read.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use heliostat_pypi::page::{ProjectPage, read_signed};
use heliostat_pypi::{ProjectName, Sha256};
use moka::sync::Cache;

use crate::nameless::NamelessFiles;
use crate::{ClientError, Limits, disk};

/// Every so many pages that are added, the disk is looked at.
const SWEEP_EVERY: u64 = 200;

/// A page whose bytes are the signed ones.
#[derive(Debug)]
pub struct SignedPage {
    /// The document, byte for byte: canonical page v1, a Simple API page.
    pub body: Bytes,
    /// Its digest.
    pub sha256: Sha256,
    /// What it says.
    pub page: ProjectPage,
}

impl SignedPage {
    /// Reads verified bytes as the page of `name`; refuses the right page of the wrong project.
    pub(crate) fn read(name: &ProjectName, body: Bytes, sha256: Sha256) -> Result<Self, String> {
        let page = read_signed(name, &body).map_err(|error| error.to_string())?;
        Ok(Self { body, sha256, page })
    }
}

/// The pages kept.
#[derive(Debug)]
pub(crate) struct Pages {
    directory: PathBuf,
    memory: Cache<(ProjectName, Sha256), Arc<SignedPage>>,
    bytes_max: u64,
    /// They give back their room where there is none for a page.
    incoming: Arc<NamelessFiles>,
    added: std::sync::atomic::AtomicU64,
}

impl Pages {
    /// Pages in `directory`.
    pub(crate) fn new(directory: PathBuf, limits: &Limits, incoming: Arc<NamelessFiles>) -> Self {
        let memory = Cache::builder()
            .max_capacity(limits.page_memory_bytes_max)
            .weigher(|_key, page: &Arc<SignedPage>| {
                u32::try_from(page.body.len() * 3).unwrap_or(u32::MAX)
            })
            .build();
        Self {
            directory,
            memory,
            bytes_max: limits.page_cache_bytes_max,
            incoming,
            added: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// The page with this digest, where it is held and still right.
    pub(crate) fn held(
        &self,
        name: &ProjectName,
        sha256: Sha256,
    ) -> Result<Option<Arc<SignedPage>>, ClientError> {
        let key = (name.clone(), sha256);
        if let Some(page) = self.memory.get(&key) {
            return Ok(Some(page));
        }
        let path = self.path(sha256);
        let Some(body) = disk::read(&path, self.bytes_max)? else {
            return Ok(None);
        };
        if Sha256::of(&body) != sha256 {
            tracing::warn!(path = %path.display(), "a page kept on disk was changed there; it is thrown away");
            disk::remove(&path)?;
            return Ok(None);
        }
        let page = SignedPage::read(name, body.into(), sha256)
            .ok()
            .map(Arc::new);
        if let Some(page) = &page {
            self.memory.insert(key, Arc::clone(page));
        }
        Ok(page)
    }

    /// Keeps a page. One that the disk does not take is kept in memory only: it was verified, and whoever waits for it
    /// does without the disk.
    pub(crate) fn keep(&self, page: SignedPage) -> Arc<SignedPage> {
        if let Err(error) = self.keep_on_disk(&page) {
            self.incoming.forget_idle();
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a page cannot be kept on disk; it is had again when it is needed again"
            );
        }
        let page = Arc::new(page);
        let key = (page.page.name.clone(), page.sha256);
        self.memory.insert(key, Arc::clone(&page));
        page
    }

    fn keep_on_disk(&self, page: &SignedPage) -> Result<(), ClientError> {
        use std::sync::atomic::Ordering;
        disk::replace_soon(&self.path(page.sha256), &page.body)?;
        if self
            .added
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(SWEEP_EVERY)
        {
            self.sweep()?;
        }
        Ok(())
    }

    /// Makes room on disk: what was written longest ago goes first.
    fn sweep(&self) -> Result<(), ClientError> {
        let files = disk::files(&self.directory)?;
        let mut total: u64 = files.iter().map(|(_, size_bytes)| size_bytes).sum();
        for (path, size_bytes) in files {
            if total <= self.bytes_max {
                break;
            }
            disk::remove(&path)?;
            total -= size_bytes;
        }
        Ok(())
    }

    fn path(&self, sha256: Sha256) -> PathBuf {
        self.directory.join(sha256.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use heliostat_pypi::page::{Format, ProjectStatus, render_page};

    use super::*;

    /// Where a page has no room, what waits on the disk for its next use gives back its own.
    #[test]
    fn a_page_that_the_disk_does_not_take_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits::default();
        let incoming = NamelessFiles::new(directory.path().join("incoming"), &limits);
        let incoming = Arc::new(incoming);
        drop(incoming.take(1).unwrap());
        assert_eq!(incoming.idle_count(), 1);
        let page = ProjectPage {
            name: "acme".parse().unwrap(),
            serial: None,
            status: ProjectStatus::default(),
            versions: Vec::new(),
            files: Vec::new(),
        };
        let body: Bytes = render_page(&page, Format::Json).into();
        let sha256 = Sha256::of(&body);
        let signed = SignedPage { body, sha256, page };
        // A directory cannot be made below a file.
        let place = tempfile::NamedTempFile::new().unwrap();
        let pages = Pages::new(place.path().join("pages"), &limits, Arc::clone(&incoming));
        let name = pages.keep(signed).page.name.clone();
        assert_eq!(incoming.idle_count(), 0);
        assert!(pages.held(&name, sha256).unwrap().is_some());
    }
}
