//! The verification itself, by `sigstore-verify`.

use std::collections::BTreeSet;
use std::fmt;

use sigstore_trust_root::TrustedRoot;
use sigstore_types::{Artifact, Sha256Hash};
use sigstore_verify::{VerificationPolicy, Verifier};

use super::document::{Claim, read};
use super::statement::check;
use super::{ATTEST_LIMITS, AttestError, Attested, Publisher, Subject, embedded_trusted_root};

/// Verifies provenance against one trusted root. Reading the root costs some milliseconds, so it is done once.
///
/// `crate::crypto::install` must have been called. Signatures hold for the moment at which the transparency log took
/// them; the system's clock serves Sigstore's code only to refuse a time in the future.
pub struct AttestVerifier(Verifier);

impl fmt::Debug for AttestVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AttestVerifier")
    }
}

impl AttestVerifier {
    /// With Sigstore's public instance as it was when this program was built.
    pub fn embedded() -> Result<Self, AttestError> {
        Self::from_json(embedded_trusted_root())
    }

    /// With a `trusted_root.json` (Sigstore's protobuf-specs), such as the signed target `heliostat/trusted_root.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, AttestError> {
        let unusable = |reason: String| AttestError::TrustedRoot(reason);
        if bytes.len() > ATTEST_LIMITS.trusted_root_bytes_max {
            return Err(unusable("it is larger than 1 MiB".to_owned()));
        }
        let text = str::from_utf8(bytes).map_err(|_| unusable("it is not UTF-8".to_owned()))?;
        let root = TrustedRoot::from_json(text).map_err(|error| unusable(error.to_string()))?;
        Verifier::new(&root)
            .map(Self)
            .map_err(|error| unusable(error.to_string()))
    }

    /// What the provenance document proves of the file. Every attestation in it must hold.
    pub fn verify(
        &self,
        file: &Subject<'_>,
        provenance: &[u8],
    ) -> Result<Vec<Attested>, AttestError> {
        let claims = read(provenance)?;
        if claims.is_empty() {
            return Err(AttestError::Empty);
        }
        claims
            .iter()
            .map(|claim| self.verify_one(file, claim))
            .collect()
    }

    /// Whom a provenance document names as publishers, none of it proved: to tell a person who claims to be whom.
    pub fn named(provenance: &[u8]) -> BTreeSet<Publisher> {
        let claims = read(provenance).unwrap_or_default();
        claims.into_iter().map(|claim| claim.publisher).collect()
    }

    fn verify_one(&self, file: &Subject<'_>, claim: &Claim) -> Result<Attested, AttestError> {
        let number = claim.number;
        // First what was signed, so that an error names the plainest difference.
        let predicate = check(file, claim)?;
        let artifact = Artifact::from(Sha256Hash::new(*file.sha256.as_bytes()));
        let proof = self
            .0
            .verify(artifact, &claim.bundle, &VerificationPolicy::any_identity())
            .map_err(|error| AttestError::Signature {
                number,
                reason: error.to_string(),
            })?;
        let certificate = proof.certificate().ok_or_else(|| AttestError::Signature {
            number,
            reason: "there is no certificate".to_owned(),
        })?;
        claim
            .publisher
            .check(certificate)
            .map_err(|reason| AttestError::Publisher {
                number,
                publisher: claim.publisher.clone(),
                reason,
            })?;
        Ok(Attested {
            publisher: claim.publisher.clone(),
            predicate,
            commit: certificate.ci_claims.source_repository_digest.clone(),
            logged_at: proof.integrated_time().map(jiff::Timestamp::as_second),
        })
    }
}
