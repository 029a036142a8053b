//! What follows where provenance (PEP 740) does not hold for its file, and what it is held against.
//!
//! A value: what is done with a file that is doubted, and how the trusted root of a signed tree is come by, is the
//! caller's.

use std::sync::Arc;

use super::{AttestError, AttestVerifier};

/// What follows where provenance does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttestationPolicy {
    /// The file is taken or handed on as it is, and nobody looks.
    #[default]
    Ignore,
    /// It is taken or handed on as it is, and told.
    Warn,
    /// It is not.
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
    /// Provenance is looked at by `verifier`. [`crate::crypto::install`] must have been called.
    pub fn checked(policy: AttestationPolicy, verifier: AttestVerifier, chosen: Chosen) -> Self {
        let verifier = (policy != AttestationPolicy::Ignore).then(|| Arc::new(verifier));
        Self {
            policy,
            chosen,
            verifier,
        }
    }

    /// The same against the trusted root that a notary signed, unless whoever runs this chose another.
    ///
    /// # Errors
    /// [`AttestError::TrustedRoot`] where these bytes are none.
    pub fn as_signed(&self, trusted_root: Option<&[u8]>) -> Result<Self, AttestError> {
        match trusted_root {
            Some(bytes) if self.asks_the_notary() => {
                let verifier = AttestVerifier::from_json(bytes)?;
                Ok(Self::checked(self.policy, verifier, self.chosen))
            }
            _ => Ok(self.clone()),
        }
    }

    /// Whether a trusted root that a notary signed takes the place of the one in hand.
    pub fn asks_the_notary(&self) -> bool {
        self.chosen == Chosen::ByDefault && self.verifier.is_some()
    }

    /// What follows where provenance does not hold.
    pub const fn policy(&self) -> AttestationPolicy {
        self.policy
    }

    /// What provenance is held against; `None` where nobody is to look.
    pub const fn verifier(&self) -> Option<&Arc<AttestVerifier>> {
        self.verifier.as_ref()
    }
}
