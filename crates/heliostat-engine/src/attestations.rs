//! What is done about provenance (PEP 740) that does not hold for its file.
//!
//! Owns the policy and the one question that every use-case asks. What a document must say is
//! `heliostat_trust::attest`'s business; where Sigstore's trusted root comes from is the caller's.

use std::sync::Arc;

use bytes::Bytes;
use heliostat_pypi::page::PageFile;
use heliostat_trust::attest::{AttestVerifier, Subject, TRUSTED_ROOT_TARGET};

use crate::context::blocking;
use crate::error::EngineError;

/// What follows where provenance does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttestationPolicy {
    /// It is carried as it is, and nobody looks.
    #[default]
    Ignore,
    /// It is carried as it is, and told.
    Warn,
    /// The file is not taken.
    Refuse,
}

/// Who chose Sigstore's trusted root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chosen {
    /// Whoever runs this: nothing else takes its place.
    ByOperator,
    /// Nobody: one that the upstream's notary signed takes its place.
    #[default]
    ByDefault,
}

/// The policy and what it is carried out with. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Attestations {
    policy: AttestationPolicy,
    chosen: Chosen,
    verifier: Option<Arc<AttestVerifier>>,
}

impl Attestations {
    /// Provenance is looked at by `verifier`. `heliostat_trust::crypto::install` must have been called.
    pub fn checked(policy: AttestationPolicy, verifier: AttestVerifier, chosen: Chosen) -> Self {
        let verifier = (policy != AttestationPolicy::Ignore).then(|| Arc::new(verifier));
        Self {
            policy,
            chosen,
            verifier,
        }
    }

    /// The same against the trusted root that an upstream's notary signed, unless whoever runs this chose another.
    pub(crate) fn as_signed(&self, trusted_root: Option<&[u8]>) -> Result<Self, EngineError> {
        let (Some(bytes), Chosen::ByDefault, Some(_)) = (trusted_root, self.chosen, &self.verifier)
        else {
            return Ok(self.clone());
        };
        let verifier =
            AttestVerifier::from_json(bytes).map_err(|error| EngineError::Untrusted {
                reason: format!("{TRUSTED_ROOT_TARGET}: {error}"),
            })?;
        Ok(Self::checked(self.policy, verifier, self.chosen))
    }

    /// What follows where provenance does not hold.
    pub const fn policy(&self) -> AttestationPolicy {
        self.policy
    }

    /// Why a provenance document does not hold for a file; `None` where it does, or where nobody is to look.
    ///
    /// The document's size and the number of attestations in it are limited (`ATTEST_LIMITS`); a document of PyPI's
    /// costs about a millisecond.
    pub(crate) async fn doubt(
        &self,
        entry: &PageFile,
        document: Bytes,
    ) -> Result<Option<String>, EngineError> {
        let Some(verifier) = self.verifier.clone() else {
            return Ok(None);
        };
        let filename = entry.filename().to_owned();
        let Some(sha256) = entry.sha256 else {
            return Ok(Some(
                "its provenance cannot be checked: the page does not tell the file's sha256"
                    .to_owned(),
            ));
        };
        blocking(move || {
            let subject = Subject {
                filename: &filename,
                sha256,
            };
            let judged = verifier.verify(&subject, &document);
            (judged.err()).map(|error| format!("its provenance does not hold: {error}"))
        })
        .await
    }
}
