//! Detached signatures: what one person gives back after looking at a draft.

use heliostat_pypi::Sha256;
use serde_json::{Value, json};

use super::Draft;
use crate::error::TrustError;
use crate::keys::{KeyId, Signature, SigningKey, shown};

/// Largest signature file.
const FILE_MAX_BYTES: usize = 64 * 1024;

/// One key's signatures over every document of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftSignatures {
    /// The digest of the draft.
    pub draft: Sha256,
    /// Whose they are.
    pub keyid: KeyId,
    /// One for each document, in their order.
    pub signatures: Vec<Signature>,
}

/// Signs every document of a draft.
pub fn sign(draft: &Draft, key: &SigningKey) -> DraftSignatures {
    DraftSignatures {
        draft: draft.digest(),
        keyid: key.id(),
        signatures: draft
            .documents()
            .iter()
            .map(|document| key.sign(document.unsigned().to_sign()))
            .collect(),
    }
}

impl DraftSignatures {
    /// The file: one line of JSON.
    pub fn to_file(&self) -> String {
        let signatures: Vec<_> = self.signatures.iter().map(Signature::to_string).collect();
        let file = json!({
            "heliostat-signatures": 1,
            "draft-sha256": self.draft.to_hex(),
            "keyid": self.keyid.to_string(),
            "signatures": signatures,
        });
        format!("{file}\n")
    }

    /// Reads a signature file.
    ///
    /// # Errors
    /// [`TrustError::ReadDraftSignatures`].
    pub fn from_file(text: &str) -> Result<Self, TrustError> {
        let fault = |reason: &str| TrustError::ReadDraftSignatures(reason.to_owned());
        if text.len() > FILE_MAX_BYTES {
            return Err(fault("it is larger than 64 KiB"));
        }
        let file: Value =
            serde_json::from_str(text).map_err(|error| fault(&format!("not JSON: {error}")))?;
        let field = |name: &str| {
            file.get(name)
                .and_then(Value::as_str)
                .ok_or_else(|| fault(&format!("it has no `{name}`")))
        };
        if file.get("heliostat-signatures") != Some(&json!(1)) {
            return Err(fault(
                "it is no signature file of this version of heliostat",
            ));
        }
        let draft = field("draft-sha256")?;
        let draft = draft.parse().map_err(|_| fault(&shown(draft)))?;
        let signatures = file
            .get("signatures")
            .and_then(Value::as_array)
            .ok_or_else(|| fault("it has no `signatures`"))?;
        Ok(Self {
            draft,
            keyid: field("keyid")?.parse()?,
            signatures: signatures
                .iter()
                .map(|signature| signature.as_str().unwrap_or_default().parse())
                .collect::<Result<_, _>>()?,
        })
    }
}
