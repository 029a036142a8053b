//! Provenance (PEP 740) held against its file: the one question that every use-case asks.
//!
//! What a document must say, and what may follow where it does not, is `heliostat_trust::attest`'s business; where
//! Sigstore's trusted root comes from is the caller's.

use bytes::Bytes;
use heliostat_pypi::page::PageFile;
use heliostat_trust::attest::{Attestations, Subject};

use crate::context::blocking;
use crate::error::EngineError;

/// Why a provenance document does not hold for a file; `None` where it does, or where nobody is to look.
///
/// The document's size and the number of attestations in it are limited (`ATTEST_LIMITS`); a document of PyPI's costs
/// about a millisecond.
pub(crate) async fn doubt(
    attestations: &Attestations,
    entry: &PageFile,
    document: Bytes,
) -> Result<Option<String>, EngineError> {
    let Some(verifier) = attestations.verifier().cloned() else {
        return Ok(None);
    };
    let filename = entry.filename().to_owned();
    let Some(sha256) = entry.sha256 else {
        return Ok(Some(
            "its provenance cannot be checked: the page does not tell the file's sha256".to_owned(),
        ));
    };
    blocking(move || {
        let subject = Subject {
            filename: &filename,
            sha256,
        };
        let judged = verifier.verify(&subject, &document);
        (judged.err()).map(|error| format!("its provenance does not hold: {error}"))
    })
    .await
}
