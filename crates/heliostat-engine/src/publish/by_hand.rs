//! Detached signatures of single pages, made when they are asked for: PEP 381's view of a signed tree.

use heliostat_pypi::{ProjectName, Sha256};
use heliostat_store::{PageKind, Store};
use heliostat_trust::keys::Signature;

use super::Signer;
use crate::error::EngineError;

/// What asking for a signature came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageSignature {
    /// The signature of the bytes of `simple/<project>/index.v1_json`.
    Made(Signature),
    /// There is no page, or none that can be signed.
    NoPage,
    /// The page is being replaced at this moment.
    Changing,
}

/// Signs the present page of a project: only what is a target of ours, never just what lies there. Blocking.
///
/// The signature is over the page's own bytes. It cannot be taken for one of TUF's: what is signed there begins with
/// `{"_type":`, and a canonical page with `{"meta":`.
pub fn sign_page(
    store: &Store,
    signer: &Signer,
    project: &ProjectName,
) -> Result<PageSignature, EngineError> {
    let Some(target) = store.target(project)? else {
        return Ok(PageSignature::NoPage);
    };
    let Some(bytes) = store.page_bytes(project, PageKind::Json, target.size_bytes)? else {
        return Ok(PageSignature::Changing);
    };
    if Sha256::of(&bytes) != target.sha256 {
        return Ok(PageSignature::Changing);
    }
    Ok(PageSignature::Made(signer.sign(&bytes)?))
}
