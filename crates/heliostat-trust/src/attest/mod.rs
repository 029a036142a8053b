//! Attestations (PEP 740): who published a file, proved offline.
//!
//! Owns the way from a provenance document to what it proves: the Sigstore bundle of each attestation, the statement
//! in it, and the publisher that the index names, held against the certificate. Where documents and Sigstore's trusted
//! root come from is the caller's business; whether a publisher is the right one is [`crate::publishers`]'.

#[cfg(feature = "attestations")]
mod document;
#[cfg(feature = "attestations")]
mod identity;
mod policy;
mod publisher;
#[cfg(feature = "attestations")]
mod statement;
#[cfg(feature = "attestations")]
mod verifier;
#[cfg(not(feature = "attestations"))]
#[path = "without.rs"]
mod verifier;

use std::fmt;

use heliostat_pypi::Sha256;
use serde::Serialize;
use sigstore_trust_root::SigstoreInstance;

pub use policy::{AttestationPolicy, Attestations, Chosen};
pub use publisher::Publisher;
pub use verifier::AttestVerifier;

/// Where a signed tree carries Sigstore's trusted root: a target that the role `targets` itself names, so that it takes
/// the people who sign that one to change it.
pub const TRUSTED_ROOT_TARGET: &str = "heliostat/trusted_root.json";

/// Sigstore's trusted root as it was when this program was built: `trusted_root.json` of its public instance.
pub fn embedded_trusted_root() -> &'static [u8] {
    SigstoreInstance::PublicGood
        .embedded_trusted_root_json()
        .as_bytes()
}

/// What is believed of a provenance document's size.
#[derive(Debug, Clone, Copy)]
pub struct AttestLimits {
    /// The longest document, in bytes. PyPI's have 5 to 20 kB.
    pub document_bytes_max: usize,
    /// The most attestations in one document. PyPI allows two a file.
    pub attestations_max: usize,
    /// The longest trusted root, in bytes. Sigstore's has 6 kB.
    pub trusted_root_bytes_max: usize,
}

/// The limits in force.
pub const ATTEST_LIMITS: AttestLimits = AttestLimits {
    document_bytes_max: 1 << 20,
    attestations_max: 32,
    trusted_root_bytes_max: 1 << 20,
};

/// The kinds of attestation that PyPI takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Predicate {
    /// `https://docs.pypi.org/attestations/publish/v1`: published by this identity.
    Publish,
    /// `https://slsa.dev/provenance/v1`: built like this.
    Slsa,
}

/// One thing that a provenance document proves of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attested {
    /// Who: as the index says, and as the certificate proves.
    pub publisher: Publisher,
    /// What.
    pub predicate: Predicate,
    /// The commit that it was built from, where the certificate tells.
    pub commit: Option<String>,
    /// When the transparency log took it, in seconds since 1970.
    pub logged_at: Option<i64>,
}

/// A file, as an attestation speaks of it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its name.
    pub filename: &'a str,
    /// Its digest.
    pub sha256: Sha256,
}

/// Why a provenance document proves nothing; each variant is one check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttestError {
    /// This program was built without Sigstore's verification.
    #[error(
        "this program was built without the verification of attestations (the feature `attestations`)"
    )]
    Without,
    /// Sigstore's trusted root cannot be used.
    #[error("the trusted root cannot be used: {0}")]
    TrustedRoot(String),
    /// It is not a provenance document.
    #[error("this is no provenance document: {0}")]
    Document(String),
    /// It is one, and holds no attestation.
    #[error("the provenance document holds no attestation")]
    Empty,
    /// The index names a kind of publisher that we cannot hold against a certificate.
    #[error("publishers of kind `{0}` are not known here")]
    PublisherKind(String),
    /// Certificate, signature or transparency log do not hold, or are of another file.
    #[error("attestation {number}: {reason}")]
    Signature {
        /// Which attestation of the document, from 1.
        number: usize,
        /// What Sigstore's verification says.
        reason: String,
    },
    /// What was signed is no statement about one file.
    #[error("attestation {number}: {reason}")]
    Statement {
        /// Which attestation.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It speaks of a file of another name.
    #[error("attestation {number} speaks of the file `{found}`, not of `{expected}`")]
    SubjectName {
        /// Which attestation.
        number: usize,
        /// The name in it.
        found: String,
        /// The file's.
        expected: String,
    },
    /// It speaks of a file with other content.
    #[error("attestation {number} speaks of a file with sha256 {found}; this one has {expected}")]
    SubjectDigest {
        /// Which attestation.
        number: usize,
        /// The digest in it.
        found: String,
        /// The file's.
        expected: Sha256,
    },
    /// It is of a kind that PyPI does not take.
    #[error("attestation {number} is of the unknown kind `{found}`")]
    PredicateType {
        /// Which attestation.
        number: usize,
        /// Its kind.
        found: String,
    },
    /// The certificate is somebody else's than the publisher's whom the index names.
    #[error("attestation {number}: the index names {publisher}, but {reason}")]
    Publisher {
        /// Which attestation.
        number: usize,
        /// Whom the index names.
        publisher: Publisher,
        /// What the certificate says instead.
        reason: String,
    },
}

impl AttestError {
    /// The failed check in one word, for machines.
    pub const fn check(&self) -> &'static str {
        match self {
            Self::Without => "without",
            Self::TrustedRoot(_) => "trusted-root",
            Self::Document(_) | Self::Empty => "document",
            Self::PublisherKind(_) => "publisher-kind",
            Self::Signature { .. } => "signature",
            Self::Statement { .. } => "statement",
            Self::SubjectName { .. } => "subject-name",
            Self::SubjectDigest { .. } => "subject-digest",
            Self::PredicateType { .. } => "predicate-type",
            Self::Publisher { .. } => "publisher",
        }
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Publish => "published",
            Self::Slsa => "built (SLSA)",
        })
    }
}

#[cfg(test)]
#[cfg(feature = "attestations")]
mod tests;
