//! Keys: who may sign, under which id, and the signatures themselves.
//!
//! Owns key ids, public keys as TUF writes them, private ed25519 keys, key files and fingerprints as words. Does not
//! read files, ask for passphrases or run signing programs: bytes come in and go out.

mod file;
mod public;
mod source;
mod words;

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::Signer as _;
use heliostat_pypi::Sha256;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

pub use file::{Passphrase, ScryptCost};
pub use public::{PublicKey, Scheme};
pub use source::SignerSource;
pub use words::Words;

use crate::error::TrustError;

/// The id of a key: SHA-256 of the canonical JSON of its type, scheme and value (TUF specification 4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Sha256);

impl KeyId {
    /// The id as pronounceable words, to be compared aloud.
    pub fn words(self) -> Words {
        Words::of(self.0)
    }

    /// The first eight digits: enough to tell keys apart in a list, never to identify one.
    pub fn short(self) -> String {
        self.0.to_hex()[..8].to_owned()
    }
}

impl From<Sha256> for KeyId {
    fn from(digest: Sha256) -> Self {
        Self(digest)
    }
}

impl FromStr for KeyId {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
        match text.parse() {
            Ok(digest) if lower => Ok(Self(digest)),
            _ => Err(TrustError::ReadKeyId(shown(text))),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A signature: 64 bytes for ed25519, ASN.1 DER for ECDSA, as long as the key for RSA. Hexadecimal as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature(Vec<u8>);

impl Signature {
    /// Most bytes of a signature: RSA with 8,192 bits.
    pub const SIZE_MAX_BYTES: usize = 1024;

    /// Wraps raw signature bytes.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Signature {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let too_long = text.len() > Self::SIZE_MAX_BYTES * 2;
        match hex::decode(text) {
            Ok(bytes) if !bytes.is_empty() && !too_long => Ok(Self(bytes)),
            _ => Err(TrustError::ReadSignature(shown(text))),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A private ed25519 key. Wiped from memory when it is dropped; `Debug` shows its id only.
pub struct SigningKey {
    secret: ed25519_dalek::SigningKey,
    public: PublicKey,
}

impl SigningKey {
    /// A new key from the operating system's random bytes.
    ///
    /// # Errors
    /// [`TrustError::Random`] where there are none.
    pub fn generate() -> Result<Self, TrustError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| TrustError::Random(error.to_string()))?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a 32-byte seed (RFC 8032's private key). The caller wipes its copy.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let secret = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = PublicKey::ed25519(&secret.verifying_key().to_bytes());
        Self { secret, public }
    }

    /// With a label on its public part.
    pub fn with_label(mut self, label: &str) -> Result<Self, TrustError> {
        self.public = self.public.with_label(label)?;
        Ok(self)
    }

    /// The public part.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The id of the public part.
    pub const fn id(&self) -> KeyId {
        self.public.id()
    }

    /// Signs a message (RFC 8032, deterministic).
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.secret.sign(message).to_bytes().to_vec())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// Text from outside, short and without anything that acts on a terminal.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let start: String = text.chars().take(SHOWN_MAX).collect();
    start.escape_debug().to_string()
}

/// What a parser says, which may repeat what it read: short, and without anything that acts on a terminal.
pub(crate) fn shown_long(text: &str) -> String {
    const SHOWN_MAX: usize = 300;
    text.chars()
        .take(SHOWN_MAX)
        .map(|one| if one.is_control() { ' ' } else { one })
        .collect()
}

#[cfg(test)]
mod tests;
