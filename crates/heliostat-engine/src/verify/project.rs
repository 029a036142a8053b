//! Checks one project: its pages against the catalog, each file that should be on disk against its digest.

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::ControlFlow;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use heliostat_pypi::page::{CoreMetadata, PageFile};
use heliostat_pypi::{Sha256, TreePath};
use heliostat_store::{
    FileRow, Keeper, Part, ProjectRecord, Store, StoreError, document, document_places,
};
use heliostat_trust::attest::AttestationPolicy;

use super::problem::{Problem, ProblemKind, Repaired};
use super::{Pace, VerifyOptions};
use crate::attestations::doubt;
use crate::context::Context;
use crate::error::EngineError;
use crate::ledger::reason_of;

/// What was found in one project.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: u64,
    pub(super) size_bytes: u64,
    /// Provenance documents that hold.
    pub(super) proved: u64,
    pub(super) problems: Vec<Problem>,
}

impl Found {
    /// Whether there is more than what is only told.
    pub(super) fn needs_repair(&self, policy: AttestationPolicy) -> bool {
        (self.problems.iter()).any(|problem| !problem.is_warning(policy))
    }
}

/// One thing to be hashed.
struct Check {
    path: TreePath,
    part: Part,
    sha256: Option<Sha256>,
    size_bytes: Option<u64>,
}

pub(super) async fn check(
    context: &Context,
    options: &VerifyOptions,
    record: &ProjectRecord,
    pace: &mut Pace,
) -> Result<Found, EngineError> {
    let mut found = Found::default();
    let whole = record.clone();
    let name = record.page.name.clone();
    let (pages, rows) = context
        .on_disk(move |store| Ok((wrong_pages(store, &whole)?, store.project_files(&name)?)))
        .await?;
    for (path, kind) in pages {
        found.problems.push(problem(record, kind, path, None, None));
    }
    let checks = checks(record, &rows);
    let mut provenance = BTreeSet::new();
    let hashes = stream::iter(checks).map(|check| async {
        let (path, part, project) = (check.path.clone(), check.part, record.page.name.clone());
        let hash = move |store: &Store| match store
            .hash_file(&project, &path, part, |_| ControlFlow::Continue(()))
        {
            Err(error) if error.is_of_one_file() => Ok(Err(reason_of(&error))),
            digest => digest.map(Ok),
        };
        let digest = context.on_disk(hash).await?;
        Ok::<_, EngineError>((check, digest))
    });
    let mut hashes = std::pin::pin!(hashes.buffer_unordered(options.readers));
    while let Some(result) = hashes.next().await {
        let (check, digest) = result?;
        let path = path_of(&check);
        let digest = match digest {
            Ok(digest) => digest,
            Err(why) => {
                let expected = check.sha256.map(|sha256| format!("sha256 {sha256}"));
                let kind = ProblemKind::Corrupt;
                (found.problems).push(problem(record, kind, path, expected, Some(why)));
                continue;
            }
        };
        let Some(digest) = digest else {
            let expected = check.sha256.map(|sha256| sha256.to_string());
            found
                .problems
                .push(problem(record, ProblemKind::Missing, path, expected, None));
            continue;
        };
        pace.before(digest.size_bytes).await;
        found.files += 1;
        found.size_bytes += digest.size_bytes;
        let wrong_digest = check.sha256.is_some_and(|sha256| sha256 != digest.sha256);
        let wrong_size = check
            .size_bytes
            .is_some_and(|size_bytes| size_bytes != digest.size_bytes);
        if wrong_digest || wrong_size {
            let expected = match (check.sha256, check.size_bytes) {
                (Some(sha256), _) => format!("sha256 {sha256}"),
                (None, size) => format!("{} bytes", size.unwrap_or_default()),
            };
            let is = format!("sha256 {}, {} bytes", digest.sha256, digest.size_bytes);
            found.problems.push(problem(
                record,
                ProblemKind::Corrupt,
                path,
                Some(expected),
                Some(is),
            ));
        } else if check.part == Part::Provenance {
            provenance.insert(check.path);
        }
    }
    prove(context, options, record, &provenance, &mut found).await?;
    found.problems.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Holds provenance that is there against its files, so many at a time as files are hashed.
async fn prove(
    context: &Context,
    options: &VerifyOptions,
    record: &ProjectRecord,
    provenance: &BTreeSet<TreePath>,
    found: &mut Found,
) -> Result<(), EngineError> {
    let attestations = &context.attestations;
    if attestations.policy() == AttestationPolicy::Ignore {
        return Ok(());
    }
    let files = record
        .listed()
        .filter(|file| provenance.contains(&file.path));
    let doubts = stream::iter(files).map(|file| async move {
        let Some(place) = file.provenance_path(&record.page.name) else {
            return Ok::<_, EngineError>((file, None));
        };
        let read = move |store: &Store| {
            let open = store.open_public(&place)?;
            Ok(open.map(|open| read_document(open.file)))
        };
        let Some(document) = context.on_disk(read).await? else {
            return Ok((file, None));
        };
        Ok((file, Some(doubt(attestations, file, document).await?)))
    });
    let mut doubts = std::pin::pin!(doubts.buffer_unordered(options.readers));
    while let Some(result) = doubts.next().await {
        match result? {
            // Gone between two looks: the next verify says so.
            (_, None) => {}
            (_, Some(None)) => found.proved += 1,
            (file, Some(Some(reason))) => {
                let path = format!("provenance of {}", file.path);
                let kind = ProblemKind::Unproved;
                let problem = problem(record, kind, path, None, Some(reason));
                found.problems.push(problem);
            }
        }
    }
    Ok(())
}

/// A provenance document, as long as one may be and a byte more, so that a longer one is refused.
fn read_document(file: impl Read) -> Bytes {
    let mut document = Vec::new();
    let longest = heliostat_trust::attest::ATTEST_LIMITS.document_bytes_max as u64;
    // What cannot be read is no whole document, and is refused as such.
    let _read = file.take(longest + 1).read_to_end(&mut document);
    document.into()
}

/// The documents of a project that are not what the catalog says.
fn wrong_pages(
    store: &Store,
    record: &ProjectRecord,
) -> Result<Vec<(String, ProblemKind)>, StoreError> {
    let name = &record.page.name;
    let mut wrong = Vec::new();
    for (kind, path) in document_places(name) {
        let Some(expected) = document(record, kind) else {
            continue;
        };
        let Ok(place) = path.parse() else { continue };
        let problem = match store.open_public(&place) {
            Ok(None) => ProblemKind::PageMissing,
            Ok(Some(open)) if is_same(&open.file, &expected) => continue,
            Ok(Some(_)) => ProblemKind::PageDiffers,
            Err(error) if error.is_of_one_file() => ProblemKind::PageDiffers,
            Err(error) => return Err(error),
        };
        wrong.push((path, problem));
    }
    Ok(wrong)
}

/// Whether a file holds exactly these bytes.
pub(super) fn is_same(file: impl Read, expected: &[u8]) -> bool {
    let mut content = Vec::with_capacity(expected.len());
    let read = file
        .take(expected.len() as u64 + 1)
        .read_to_end(&mut content);
    read.is_ok() && content == expected
}

/// What should be on disk: everything listed of a mirrored project, what is held of any other.
fn checks(record: &ProjectRecord, rows: &[FileRow]) -> Vec<Check> {
    let mut checks = Vec::new();
    for file in record.listed() {
        let held = rows
            .iter()
            .find(|row| row.path == file.path)
            .map(|row| row.held.as_slice())
            .unwrap_or_default();
        for part in Part::ALL {
            let promised = match part {
                Part::File => true,
                Part::Metadata => !file.core_metadata.is_absent(),
                Part::Provenance => file.provenance.is_some(),
            };
            let is_wanted = promised && record.keeper == Keeper::Mirror;
            if is_wanted || held.contains(&part) {
                checks.push(Check {
                    path: file.path.clone(),
                    part,
                    sha256: digest_of(file, part),
                    size_bytes: file.size_bytes.filter(|_| part == Part::File),
                });
            }
        }
    }
    checks
}

fn digest_of(file: &PageFile, part: Part) -> Option<Sha256> {
    match (part, file.core_metadata) {
        (Part::File, _) => file.sha256,
        (Part::Metadata, CoreMetadata::Sha256(digest)) => Some(digest),
        (Part::Provenance, _) => file.provenance_sha256,
        _ => None,
    }
}

fn path_of(check: &Check) -> String {
    match check.part {
        Part::File => check.path.to_string(),
        Part::Metadata => format!("{}.metadata", check.path),
        Part::Provenance => format!("provenance of {}", check.path),
    }
}

fn problem(
    record: &ProjectRecord,
    kind: ProblemKind,
    path: String,
    expected: Option<String>,
    found: Option<String>,
) -> Problem {
    Problem {
        kind,
        project: Some(record.page.name.clone()),
        path,
        expected,
        found,
        repaired: Repaired::No,
    }
}
