//! What can go wrong with keys, metadata and signatures.

use crate::keys::KeyId;

/// An error of this crate. `Display` names what was being read or made, never where a file lies: the caller knows.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A text is not a key id.
    #[error("a key id is 64 hexadecimal digits, not `{0}`")]
    ReadKeyId(String),
    /// A public key cannot be used.
    #[error("this public key cannot be used: {0}")]
    ReadPublicKey(String),
    /// A private key file cannot be used.
    #[error("this key file cannot be used: {0}")]
    ReadSigningKey(String),
    /// A private key file is encrypted and no passphrase was given.
    #[error("the key file is protected by a passphrase")]
    PassphraseMissing,
    /// A passphrase is none.
    #[error("the passphrase is empty, and an empty one protects nothing")]
    PassphraseEmpty,
    /// The passphrase does not open the key file.
    #[error("the passphrase does not open this key file")]
    PassphraseWrong,
    /// A private key file could not be written.
    #[error("the key file could not be made: {0}")]
    WriteSigningKey(String),
    /// The operating system gave no random bytes.
    #[error("no random bytes could be had from the operating system: {0}")]
    Random(String),
    /// A signature is not one.
    #[error("a signature is an even number of hexadecimal digits, not `{0}`")]
    ReadSignature(String),
    /// A signature does not hold.
    #[error("the signature of key {keyid} does not hold for these bytes")]
    BadSignature {
        /// The key that is said to have signed.
        keyid: KeyId,
    },
    /// A receipt of a mirror proves nothing.
    #[error("this receipt proves nothing: {0}")]
    ReadReceipt(String),
    /// A set of keys with a threshold cannot be.
    #[error("a role of {keys} keys cannot need {threshold} signatures")]
    Threshold {
        /// Different keys of the role.
        keys: usize,
        /// Signatures asked for.
        threshold: u32,
    },
    /// A name cannot be a role's.
    #[error("`{0}` cannot be the name of a role: letters, digits, `-`, `_` and `.` only")]
    RoleName(String),
    /// Metadata is not what it should be.
    #[error("this is not {role} metadata of ours: {reason}")]
    ReadMetadata {
        /// The role expected.
        role: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A time cannot be an expiry.
    #[error("`{0}` cannot be an expiry: a time like 2027-01-31T00:00:00Z is needed")]
    Expiry(String),
    /// A number of bins is not possible.
    #[error("{0} bins: the number is a power of two of at most 65,536")]
    BinCount(u64),
    /// A draft cannot be used.
    #[error("this draft cannot be used: {0}")]
    ReadDraft(String),
    /// A signature file cannot be used.
    #[error("this signature file cannot be used: {0}")]
    ReadDraftSignatures(String),
    /// Signatures are over another draft.
    #[error("the signatures of key {keyid} are over another draft")]
    OtherDraft {
        /// Whose they are.
        keyid: KeyId,
    },
    /// A key signed that may not.
    #[error("key {keyid} signed, but has no say in this draft")]
    UnknownSigner {
        /// The key.
        keyid: KeyId,
    },
    /// Delegations need a root.
    #[error("there is no root yet that says who signs this")]
    NoRoot,
    /// Too little was signed.
    #[error("{role}: {valid} of {needed} needed signatures hold ({of})")]
    TooFewSignatures {
        /// The role.
        role: String,
        /// Signatures of different keys that hold.
        valid: u32,
        /// The threshold.
        needed: u32,
        /// Whose signatures are needed.
        of: String,
    },
}
