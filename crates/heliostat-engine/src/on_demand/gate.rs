//! Files that are here already, or elsewhere, where nothing may be given whose provenance does not hold: each is held
//! against the document that is here, and remembered for a while. Does not fetch anything.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use heliostat_pypi::page::PageFile;
use heliostat_pypi::{ProjectName, TreePath};
use heliostat_store::{Keeper, Part, Store, StoreError};
use heliostat_trust::attest::{ATTEST_LIMITS, AttestationPolicy, Attestations};

use super::OnDemandError;
use super::remembered::Remembered;
use crate::attestations::doubt;
use crate::context::blocking;

/// How long what was proved is remembered: another document may have come since.
const PROVED_FOR: Duration = Duration::from_mins(10);

/// What may be given. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    attestations: Attestations,
    proved: Remembered<TreePath>,
}

/// A file that what is here does not prove.
#[derive(Debug)]
pub struct Unproved {
    pub(super) project: ProjectName,
    pub(super) entry: PageFile,
    reason: String,
}

/// A file that is here or elsewhere, and the document that its page offers, where that is here.
struct Found {
    project: ProjectName,
    entry: PageFile,
    document: Option<Bytes>,
}

impl Gate {
    /// None where the policy refuses nothing.
    pub fn new(store: Store, attestations: Attestations) -> Option<Self> {
        let refuses = attestations.policy() == AttestationPolicy::Refuse;
        refuses.then(|| Self {
            inner: Arc::new(Inner {
                store,
                attestations,
                proved: Remembered::new(PROVED_FOR),
            }),
        })
    }

    /// Looks whether a file, or what goes with it, may be given as it is; what is not here is not looked at, and is
    /// proved when it is taken.
    ///
    /// # Errors
    /// [`OnDemandError::Engine`].
    pub async fn look(&self, path: &TreePath) -> Result<Option<Unproved>, OnDemandError> {
        if self.inner.proved.knows(path) {
            return Ok(None);
        }
        let (store, wanted) = (self.inner.store.clone(), path.clone());
        let found = blocking(move || found(&store, &wanted)).await;
        let found = found
            .and_then(|found| found.map_err(Into::into))
            .map_err(OnDemandError::Engine)?;
        let Some(Found {
            project,
            entry,
            document,
        }) = found
        else {
            return Ok(None);
        };
        let reason = match document {
            None => Some("its provenance is not here".to_owned()),
            Some(document) => doubt(&self.inner.attestations, &entry, document)
                .await
                .map_err(OnDemandError::Engine)?,
        };
        let Some(reason) = reason else {
            self.proved(path);
            return Ok(None);
        };
        Ok(Some(Unproved {
            project,
            entry,
            reason,
        }))
    }

    /// Takes note that a file's provenance holds.
    pub(super) fn proved(&self, path: &TreePath) {
        self.inner.proved.remember(path);
    }

    pub(super) fn has_proved(&self, path: &TreePath) -> bool {
        self.inner.proved.knows(path)
    }
}

impl Unproved {
    /// The refusal, where nobody can be asked for more.
    pub fn refused(self) -> OnDemandError {
        OnDemandError::Refused {
            file: self.entry.filename().to_owned(),
            reason: self.reason,
        }
    }
}

/// A file whose page offers provenance, where it would be given without being taken.
fn found(store: &Store, path: &TreePath) -> Result<Option<Found>, StoreError> {
    let Some(row) = store.file(path)?.filter(|row| row.path == *path) else {
        return Ok(None);
    };
    let Some(record) = store.project(&row.project)? else {
        return Ok(None);
    };
    let is_given = !row.held.is_empty() || record.keeper == Keeper::PagesOnly;
    let mut files = record.page.files.into_iter();
    let entry = files.find(|entry| is_given && entry.path == *path);
    let Some(entry) = entry.filter(|entry| entry.provenance.is_some()) else {
        return Ok(None);
    };
    let mut document = None;
    if row.held.contains(&Part::Provenance)
        && let Some(opened) = store.open_file(path, Part::Provenance)?
    {
        let mut bytes = Vec::new();
        // One byte more than it may have, so that what is longer is refused and not cut.
        let limit = ATTEST_LIMITS.document_bytes_max as u64 + 1;
        let read = opened.file.take(limit).read_to_end(&mut bytes);
        document = read.is_ok().then(|| bytes.into());
    }
    Ok(Some(Found {
        project: row.project,
        entry,
        document,
    }))
}
