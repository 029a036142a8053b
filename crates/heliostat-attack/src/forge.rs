//! Metadata that the notary would never write: documents of its own, changed and signed again with keys that a thief
//! may have, or with keys that nobody trusts. A function of bytes.

use heliostat_trust::keys::SigningKey;
use serde_json::{Value, json};

use crate::answer::Shared;
use crate::error::AttackError;

/// Changes what a metadata file says and signs it with these keys in place of the old signatures.
pub(crate) fn resign(
    file: &[u8],
    keys: &[&SigningKey],
    change: impl FnOnce(&mut Value),
) -> Result<Shared, AttackError> {
    let mut document: Value = serde_json::from_slice(file)
        .map_err(|error| AttackError::MakeTree(format!("metadata that is no JSON: {error}")))?;
    change(&mut document["signed"]);
    let signed = sigstore_tuf::canonical_json::to_canonical_bytes(&document["signed"])
        .map_err(|error| AttackError::MakeTree(error.to_string()))?;
    document["signatures"] = keys
        .iter()
        .map(|key| json!({"keyid": key.id().to_string(), "sig": key.sign(&signed).to_string()}))
        .collect();
    Ok(Shared::from(document.to_string().into_bytes()))
}

/// Changes a file without signing it again.
pub(crate) fn edit(file: &[u8], change: impl FnOnce(&mut Value)) -> Result<Shared, AttackError> {
    let mut document: Value = serde_json::from_slice(file)
        .map_err(|error| AttackError::MakeTree(format!("a page that is no JSON: {error}")))?;
    change(&mut document);
    Ok(Shared::from(document.to_string().into_bytes()))
}
