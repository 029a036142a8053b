//! Who may sign a role: keys and how many of them.

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::error::TrustError;
use crate::keys::{KeyId, PublicKey, Signature};

/// The keys of a role and its threshold: at least one, at most as many as there are keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    keys: BTreeMap<KeyId, PublicKey>,
    threshold: u32,
}

impl Authority {
    /// Most keys of a role.
    pub const KEYS_MAX: usize = 100;

    /// A role of these keys, of which so many must sign. A key given twice is one key.
    ///
    /// # Errors
    /// [`TrustError::Threshold`] where it could be met by nobody or by no signature at all.
    pub fn new(
        keys: impl IntoIterator<Item = PublicKey>,
        threshold: u32,
    ) -> Result<Self, TrustError> {
        let keys: BTreeMap<_, _> = keys.into_iter().map(|key| (key.id(), key)).collect();
        let possible = threshold as usize <= keys.len() && keys.len() <= Self::KEYS_MAX;
        if threshold == 0 || !possible {
            return Err(TrustError::Threshold {
                keys: keys.len(),
                threshold,
            });
        }
        Ok(Self { keys, threshold })
    }

    /// A role of one key.
    pub fn single(key: PublicKey) -> Self {
        Self {
            keys: BTreeMap::from([(key.id(), key)]),
            threshold: 1,
        }
    }

    /// Its keys, in the order of their ids.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &PublicKey> {
        self.keys.values()
    }

    /// A key of it.
    pub fn key(&self, id: KeyId) -> Option<&PublicKey> {
        self.keys.get(&id)
    }

    /// How many of its keys must sign.
    pub const fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Whether it is one key alone.
    pub fn is_single(&self) -> bool {
        self.keys.len() == 1
    }

    /// The keys of this role whose signatures hold for these bytes, each once.
    pub fn valid_signers<'a>(
        &'a self,
        bytes: &[u8],
        signatures: &BTreeMap<KeyId, Signature>,
    ) -> Vec<&'a PublicKey> {
        self.keys
            .values()
            .filter(|key| {
                signatures
                    .get(&key.id())
                    .is_some_and(|signature| key.verify(bytes, signature).is_ok())
            })
            .collect()
    }

    /// Whether enough different keys of this role signed these bytes.
    ///
    /// # Errors
    /// [`TrustError::TooFewSignatures`], which names `role` and the keys.
    pub fn check(
        &self,
        role: &str,
        bytes: &[u8],
        signatures: &BTreeMap<KeyId, Signature>,
    ) -> Result<(), TrustError> {
        let valid = self.valid_signers(bytes, signatures).len();
        if valid >= self.threshold as usize {
            return Ok(());
        }
        let of: Vec<_> = self.keys().map(PublicKey::shown).collect();
        Err(TrustError::TooFewSignatures {
            role: role.to_owned(),
            valid: u32::try_from(valid).unwrap_or(u32::MAX),
            needed: self.threshold,
            of: of.join(", "),
        })
    }

    /// `keyids` and `threshold`, as root writes them.
    pub(crate) const fn role_keys(&self) -> RoleKeys<'_> {
        RoleKeys(self)
    }

    pub(crate) fn key_ids(&self) -> Vec<KeyId> {
        self.keys.keys().copied().collect()
    }
}

/// An authority as an object of root's `roles`.
#[derive(Debug)]
pub(crate) struct RoleKeys<'a>(&'a Authority);

impl Serialize for RoleKeys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("keyids", &self.0.key_ids())?;
        map.serialize_entry("threshold", &self.0.threshold)?;
        map.end()
    }
}
