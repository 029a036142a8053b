//! Puts a draft and its signatures together, or says what is missing.

use super::{Document, Draft, DraftSignatures};
use crate::error::TrustError;
use crate::keys::{KeyId, PublicKey};
use crate::metadata::{Authority, RoleName, Root, Unsigned};

/// What there is already, against which a draft is held.
#[derive(Debug, Clone, Default)]
pub struct Existing {
    /// The newest root, where there is one: it must sign the next, and its `targets` role the delegations.
    pub root: Option<Root>,
}

/// A file that was put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// Its name: `3.root.json`.
    pub file: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Every document of the draft with the signatures that hold for it.
///
/// # Errors
/// [`TrustError::OtherDraft`] for signatures over another draft, [`TrustError::BadSignature`] for those that do not
/// hold, [`TrustError::UnknownSigner`] for those of keys that may not sign, [`TrustError::TooFewSignatures`] where the
/// old or the new keys have not signed enough.
pub fn assemble(
    draft: &Draft,
    signatures: &[DraftSignatures],
    existing: &Existing,
) -> Result<Vec<Assembled>, TrustError> {
    for one in signatures {
        if one.draft != draft.digest() || one.signatures.len() != draft.documents().len() {
            return Err(TrustError::OtherDraft { keyid: one.keyid });
        }
    }
    let put_together = |(index, document): (usize, &Document)| {
        let authorities = authorities(draft, document, existing)?;
        let mut unsigned = document.unsigned();
        for one in signatures {
            let key = key_of(&authorities, one)?;
            unsigned = unsigned.with_signature(key, one.signatures[index].clone())?;
        }
        for (role, authority) in &authorities {
            check(role, authority, &unsigned)?;
        }
        Ok(Assembled {
            file: document.file(),
            bytes: unsigned.to_file(),
        })
    };
    draft
        .documents()
        .iter()
        .enumerate()
        .map(put_together)
        .collect()
}

/// Whether a key may sign all that a draft holds.
///
/// # Errors
/// [`TrustError`] where the draft does not fit what there is.
pub fn has_say(draft: &Draft, keyid: KeyId, existing: &Existing) -> Result<bool, TrustError> {
    for document in draft.documents() {
        let authorities = authorities(draft, document, existing)?;
        if authorities.iter().all(|(_, one)| one.key(keyid).is_none()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Who must sign a document: for a root the old and the new people, for delegations those that root names.
fn authorities(
    draft: &Draft,
    document: &Document,
    existing: &Existing,
) -> Result<Vec<(String, Authority)>, TrustError> {
    let in_draft = draft
        .documents()
        .iter()
        .find_map(|document| match document {
            Document::Root(root) => Some(root),
            Document::Targets(_) => None,
        });
    match document {
        Document::Root(root) => {
            let mut all = vec![(root.file(), root.root.clone())];
            if let Some(before) = &existing.root {
                if root.version != before.version.next() {
                    return Err(TrustError::ReadDraft(format!(
                        "it is root {}, and after {} comes {}",
                        root.version,
                        before.version,
                        before.version.next()
                    )));
                }
                all.push((
                    format!("{}, by the old keys", root.file()),
                    before.root.clone(),
                ));
            }
            Ok(all)
        }
        Document::Targets(targets) => {
            let root = in_draft
                .or(existing.root.as_ref())
                .ok_or(TrustError::NoRoot)?;
            if targets.role == RoleName::targets() || targets.role == RoleName::bins() {
                return Ok(vec![(targets.file(), root.targets.clone())]);
            }
            Err(TrustError::ReadDraft(format!(
                "`{}` is not a role that people sign",
                targets.role
            )))
        }
    }
}

fn key_of<'a>(
    authorities: &'a [(String, Authority)],
    signatures: &DraftSignatures,
) -> Result<&'a PublicKey, TrustError> {
    authorities
        .iter()
        .find_map(|(_, authority)| authority.key(signatures.keyid))
        .ok_or(TrustError::UnknownSigner {
            keyid: signatures.keyid,
        })
}

fn check(role: &str, authority: &Authority, unsigned: &Unsigned) -> Result<(), TrustError> {
    authority.check(role, unsigned.to_sign(), unsigned.signatures())
}
