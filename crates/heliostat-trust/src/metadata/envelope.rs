//! Metadata on its way to a file: bytes to sign, signatures gathered, the file.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::TrustError;
use crate::keys::{KeyId, PublicKey, Signature, SigningKey};

/// Metadata that is being signed. Signing is in two steps where a key is not at hand: [`Unsigned::to_sign`] goes to
/// whoever holds it, and what comes back is checked by [`Unsigned::with_signature`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    canonical: Vec<u8>,
    /// The same as JSON, where that differs: canonical JSON has line ends unescaped, which stand in PEM keys.
    json: Option<Vec<u8>>,
    signatures: BTreeMap<KeyId, Signature>,
}

/// A document that was read: the value, the bytes its signatures are over, and the signatures, none of them verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<T> {
    /// What it says.
    pub value: T,
    /// The canonical bytes of that.
    pub canonical: Vec<u8>,
    /// The signatures, each key's first one.
    pub signatures: BTreeMap<KeyId, Signature>,
}

impl Unsigned {
    /// Of canonical bytes, and of the same as JSON where that may differ.
    pub(crate) fn new(canonical: Vec<u8>, json: Option<Vec<u8>>) -> Self {
        let json = json.filter(|json| *json != canonical);
        Self {
            canonical,
            json,
            signatures: BTreeMap::new(),
        }
    }

    /// The bytes that signatures are over.
    pub fn to_sign(&self) -> &[u8] {
        &self.canonical
    }

    /// Signed with a key at hand.
    #[must_use]
    pub fn sign(mut self, key: &SigningKey) -> Self {
        self.signatures.insert(key.id(), key.sign(&self.canonical));
        self
    }

    /// With a signature that was made elsewhere.
    ///
    /// # Errors
    /// [`TrustError::BadSignature`] where it is not this key's over these bytes.
    pub fn with_signature(
        mut self,
        key: &PublicKey,
        signature: Signature,
    ) -> Result<Self, TrustError> {
        key.verify(&self.canonical, &signature)?;
        self.signatures.insert(key.id(), signature);
        Ok(self)
    }

    /// The signatures so far.
    pub const fn signatures(&self) -> &BTreeMap<KeyId, Signature> {
        &self.signatures
    }

    /// The file: one JSON document, without spaces, signatures in the order of their keys' ids.
    pub fn to_file(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Entry<'a> {
            keyid: KeyId,
            sig: &'a Signature,
        }
        let signatures: Vec<_> = self
            .signatures
            .iter()
            .map(|(keyid, sig)| Entry { keyid: *keyid, sig })
            .collect();
        let signatures = serde_json::to_vec(&signatures).expect("strings only");
        let signed = self.json.as_ref().unwrap_or(&self.canonical);
        [
            b"{\"signatures\":",
            &*signatures,
            b",\"signed\":",
            signed,
            b"}",
        ]
        .concat()
    }
}
