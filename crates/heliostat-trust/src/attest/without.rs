//! In the place of the verification where the program is built without the feature `attestations`: nothing can be
//! verified, and everything that would need it says so.

use std::collections::BTreeSet;

use super::{AttestError, Attested, Publisher, Subject};

/// Would verify provenance; cannot be made in this build.
#[derive(Debug)]
pub struct AttestVerifier(std::convert::Infallible);

impl AttestVerifier {
    /// Fails with [`AttestError::Without`].
    pub const fn embedded() -> Result<Self, AttestError> {
        Err(AttestError::Without)
    }

    /// Fails with [`AttestError::Without`].
    pub const fn from_json(_bytes: &[u8]) -> Result<Self, AttestError> {
        Err(AttestError::Without)
    }

    /// Nobody comes here.
    pub const fn verify(
        &self,
        _file: &Subject<'_>,
        _provenance: &[u8],
    ) -> Result<Vec<Attested>, AttestError> {
        match self.0 {}
    }

    /// Nobody comes here.
    pub const fn named(_provenance: &[u8]) -> BTreeSet<Publisher> {
        BTreeSet::new()
    }
}
