//! Takes what stands beside a file: its core metadata (PEP 658) and its provenance (PEP 740).
//!
//! The page can do without either, so a failure here is a blemish: the part is not advertised, and the ledger says why.

use std::fs::File;
use std::io::Cursor;

use bytes::Bytes;
use heliostat_pypi::metadata::extract_wheel_metadata;
use heliostat_pypi::page::{CoreMetadata, PageFile};
use heliostat_pypi::{FileName, ProjectName, Sha256};
use heliostat_store::{Expected, VerifiedBlob};
use heliostat_trust::attest::AttestationPolicy;
use heliostat_upstream::Answer;

use crate::attestations::doubt;
use crate::context::{Context, blocking_if_large};
use crate::ledger::reason_of;
use crate::take::TakeError;

/// A wheel that is here.
#[derive(Debug)]
pub(crate) enum Wheel {
    /// All its bytes.
    Content(Vec<u8>),
    /// Where they are read.
    File(File),
}

/// A part that was looked for.
#[derive(Debug)]
pub(crate) enum PartTaken {
    /// Here it is, with its digest.
    Blob(VerifiedBlob, Sha256),
    /// There is none, and none was promised.
    None,
    /// Here it is, with its digest, and it does not hold; why.
    Doubtful(VerifiedBlob, Sha256, String),
    /// It was promised and cannot be had; why.
    Blemish(String),
    /// It does not hold, and so its file is not wanted; why.
    Refused(String),
}

/// A wheel that was just taken, out of memory where it is there.
pub(crate) fn wheel_of(
    blob: &VerifiedBlob,
    content: Option<Vec<u8>>,
) -> Result<Wheel, heliostat_store::StoreError> {
    match content {
        Some(bytes) => Ok(Wheel::Content(bytes)),
        None => blob.open().map(Wheel::File),
    }
}

/// The metadata of a file, byte-exact.
///
/// A digest that the page promises is the judge, whoever the bytes come from: a wheel that is here is asked first, which
/// saves the upstream a request for every wheel, then the upstream. Without a digest what the upstream offers is taken,
/// else what is inside the wheel.
pub(crate) async fn take_metadata(
    context: &Context,
    project: &ProjectName,
    entry: &PageFile,
    wheel: Option<Wheel>,
) -> Result<PartTaken, TakeError> {
    let wheel = wheel.filter(|_| entry.is_wheel());
    match entry.core_metadata {
        CoreMetadata::Sha256(wanted) => {
            let mut reason = None;
            if let Some(wheel) = wheel
                && let Ok(bytes) = extracted(project, entry, wheel).await?
            {
                let digest = Sha256::of(&bytes);
                if digest == wanted {
                    return admit(context, bytes, Some(wanted)).await;
                }
                reason = Some(format!(
                    "its metadata has digest {digest}, not {wanted} as its page promises"
                ));
            }
            match offered(context, entry, Some(wanted)).await? {
                Ok(bytes) => admit(context, bytes, Some(wanted)).await,
                Err(why) => Ok(PartTaken::Blemish(reason.unwrap_or(why))),
            }
        }
        CoreMetadata::Offered => {
            let why = match offered(context, entry, None).await? {
                Ok(bytes) => return admit(context, bytes, None).await,
                Err(why) => why,
            };
            match wheel {
                Some(wheel) => match extracted(project, entry, wheel).await? {
                    Ok(bytes) => admit(context, bytes, None).await,
                    Err(_) => Ok(PartTaken::Blemish(why)),
                },
                None => Ok(PartTaken::Blemish(why)),
            }
        }
        CoreMetadata::Absent => match wheel {
            Some(wheel) => match extracted(project, entry, wheel).await? {
                Ok(bytes) => admit(context, bytes, None).await,
                Err(_) => Ok(PartTaken::None),
            },
            None => Ok(PartTaken::None),
        },
    }
}

/// The provenance document of a file, as it comes.
pub(crate) async fn take_provenance(
    context: &Context,
    entry: &PageFile,
) -> Result<PartTaken, TakeError> {
    let Some(address) = &entry.provenance else {
        return Ok(PartTaken::None);
    };
    let limit = context.upstream.limits().document_bytes_max;
    let Ok(url) = address.parse() else {
        return Ok(PartTaken::Blemish(format!("`{address}` is not an address")));
    };
    match context.upstream.document(&url, limit).await {
        // Where the page is signed, it promises the digest; then a mirror may not have another document.
        Ok(Answer::Fresh(bytes))
            if context.upstream.is_attested()
                && entry
                    .provenance_sha256
                    .is_some_and(|wanted| wanted != Sha256::of(&bytes)) =>
        {
            Ok(PartTaken::Blemish(format!(
                "the provenance at `{address}` is not the one that was signed"
            )))
        }
        // Elsewhere all that can be said is whether it is a whole document.
        Ok(Answer::Fresh(bytes)) if !is_json_object(&bytes) => Ok(PartTaken::Blemish(format!(
            "the provenance at `{address}` is broken"
        ))),
        Ok(Answer::Fresh(bytes)) => judged(context, entry, bytes).await,
        Ok(_) => Ok(PartTaken::Blemish(format!(
            "the upstream has no provenance at `{address}`"
        ))),
        Err(error) if error.is_outage() => Err(error.into()),
        Err(error) => Ok(PartTaken::Blemish(reason_of(&error))),
    }
}

/// A whole provenance document, held against its file as far as the policy wants it.
async fn judged(
    context: &Context,
    entry: &PageFile,
    document: Bytes,
) -> Result<PartTaken, TakeError> {
    let attestations = &context.attestations;
    let doubt = (doubt(attestations, entry, document.clone()).await).map_err(Box::new)?;
    match doubt {
        Some(reason) if attestations.policy() == AttestationPolicy::Refuse => {
            Ok(PartTaken::Refused(reason))
        }
        Some(reason) => match admit(context, document.to_vec(), None).await? {
            PartTaken::Blob(blob, digest) => Ok(PartTaken::Doubtful(blob, digest, reason)),
            other => Ok(other),
        },
        None => admit(context, document.to_vec(), None).await,
    }
}

fn is_json_object(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes).is_ok()
}

async fn offered(
    context: &Context,
    entry: &PageFile,
    wanted: Option<Sha256>,
) -> Result<Result<Vec<u8>, String>, TakeError> {
    let address = format!("{}.metadata", entry.url);
    let Ok(url) = address.parse() else {
        return Ok(Err(format!("`{address}` is not an address")));
    };
    let limit = context.upstream.limits().document_bytes_max;
    match context.upstream.document(&url, limit).await {
        Ok(Answer::Fresh(bytes)) => {
            let found = Sha256::of(&bytes);
            match wanted {
                Some(wanted) if wanted != found => Ok(Err(format!(
                    "`{}.metadata` has digest {found}, not {wanted}",
                    entry.filename()
                ))),
                _ => Ok(Ok(bytes.to_vec())),
            }
        }
        Ok(_) => Ok(Err(format!(
            "the upstream does not have `{}.metadata`",
            entry.filename()
        ))),
        Err(error) if error.is_outage() => Err(error.into()),
        Err(error) => Ok(Err(reason_of(&error))),
    }
}

async fn extracted(
    project: &ProjectName,
    entry: &PageFile,
    wheel: Wheel,
) -> Result<Result<Vec<u8>, String>, TakeError> {
    let Ok(FileName::Wheel(name)) = FileName::parse(entry.filename(), project) else {
        return Ok(Err("its name is not that of a wheel".to_owned()));
    };
    let project = project.clone();
    // The directory of a wheel and one member are read, which for a small one is done sooner than handed over.
    blocking_if_large(entry.size_bytes.unwrap_or(u64::MAX), move || {
        let extracted = match wheel {
            Wheel::Content(bytes) => extract_wheel_metadata(Cursor::new(bytes), &project, &name),
            Wheel::File(file) => extract_wheel_metadata(file, &project, &name),
        };
        extracted.map_err(|error| error.to_string())
    })
    .await
    .map_err(|error| TakeError::Engine(Box::new(error)))
}

async fn admit(
    context: &Context,
    bytes: Vec<u8>,
    sha256: Option<Sha256>,
) -> Result<PartTaken, TakeError> {
    let store = context.store.clone();
    let size_bytes = bytes.len() as u64;
    let expected = Expected {
        sha256,
        size_bytes: Some(size_bytes),
    };
    let admit = move || store.blob_from_bytes(&bytes, &expected);
    let blob = blocking_if_large(size_bytes, admit)
        .await
        .map_err(|error| TakeError::Engine(Box::new(error)))?
        .map_err(TakeError::Store)?;
    let digest = blob.sha256();
    Ok(PartTaken::Blob(blob, digest))
}
