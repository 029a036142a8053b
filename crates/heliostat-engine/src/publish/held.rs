//! What was held before a tree was signed: provenance documents whose digest the record does not tell go into the pages
//! that are signed, hashed where they lie, so that nobody who carries the tree can strip or change them.

use heliostat_pypi::ProjectName;
use heliostat_store::{
    Admission, Blobs, Change, CommitPolicy, Expected, Part, ProjectRecord, Store,
};

use crate::error::EngineError;

/// Projects read and committed at a time.
const PROJECTS: usize = 128;

/// Puts the digests of provenance documents on the disk into the records that lack them; tells how many. Does nothing
/// once the pages from before signing are all among the targets: whatever is committed tells its digests.
pub(super) fn tell_digests(store: &Store, now: i64) -> Result<u64, EngineError> {
    if (store.notary()?).is_none_or(|notary| notary.indexed_to.is_none()) {
        return Ok(0);
    }
    let mut told = 0;
    let mut after = None;
    loop {
        let records = store.projects_after(after.as_ref(), PROJECTS)?;
        let Some((last, _)) = records.last() else {
            return Ok(told);
        };
        after = Some(last.clone());
        let mut changes = Vec::new();
        for (project, record) in records {
            // A damaged record is told where its page is to be signed.
            let Ok(record) = record else { continue };
            let blobs = untold(store, &project, &record)?;
            told += blobs.len() as u64;
            if !blobs.is_empty() {
                changes.push(Change::Blobs(Blobs {
                    project,
                    blobs,
                    learned: Vec::new(),
                }));
            }
        }
        if changes.is_empty() {
            continue;
        }
        for refusal in store.commit(changes, &CommitPolicy::at(now))?.refused {
            tracing::warn!(
                error = &refusal.error as &dyn std::error::Error,
                item = refusal.item,
                "the digest of a provenance document could not be put into its page"
            );
        }
    }
}

fn untold(
    store: &Store,
    project: &ProjectName,
    record: &ProjectRecord,
) -> Result<Vec<Admission>, EngineError> {
    let mut found = Vec::new();
    for file in record.listed() {
        if file.provenance.is_none() || file.provenance_sha256.is_some() {
            continue;
        }
        let part = Part::Provenance;
        let blob = store.admit_existing(project, &file.path, part, &Expected::default())?;
        found.extend(blob.map(|blob| Admission {
            path: file.path.clone(),
            part,
            blob,
        }));
    }
    Ok(found)
}
