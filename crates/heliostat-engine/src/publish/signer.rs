//! Who signs online, and for how long what is signed holds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use heliostat_trust::ceremony::Lives;
use heliostat_trust::keys::{PublicKey, Scheme, Signature, SigningKey};
use heliostat_trust::metadata::{Authority, Unsigned};

use crate::error::EngineError;

/// Everything needed to publish: the online keys, and the times.
#[derive(Debug, Clone)]
pub struct Notary {
    /// The keys at hand.
    pub signers: Vec<Signer>,
    /// For how long things hold.
    pub lives: Lives,
    /// The shortest time between two publications while commits come in.
    pub publish_every: Duration,
}

type Sign = dyn Fn(&[u8]) -> Result<Signature, String> + Send + Sync;

/// One online key, in memory or behind a program.
#[derive(Clone)]
pub struct Signer {
    public: PublicKey,
    sign: Arc<Sign>,
    held: Held,
}

/// Where a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Here: a signature takes microseconds.
    InMemory,
    /// Behind a program, which may ask somebody to touch something.
    Elsewhere,
}

impl Signer {
    /// A key in memory.
    pub fn of_key(key: SigningKey) -> Self {
        let public = key.public().clone();
        Self {
            public,
            sign: Arc::new(move |bytes| Ok(key.sign(bytes))),
            held: Held::InMemory,
        }
    }

    /// A key that something else holds. What comes back is checked against `public`.
    pub fn new(
        public: PublicKey,
        sign: impl Fn(&[u8]) -> Result<Signature, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            public,
            sign: Arc::new(sign),
            held: Held::Elsewhere,
        }
    }

    /// The public part.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A detached signature of any bytes.
    pub fn sign(&self, bytes: &[u8]) -> Result<Signature, EngineError> {
        let refuse = |reason| EngineError::Sign {
            what: format!("with the key {}", self.public.shown()),
            reason,
        };
        let signature = (self.sign)(bytes).map_err(refuse)?;
        self.public
            .verify(bytes, &signature)
            .map_err(|error| refuse(error.to_string()))?;
        Ok(signature)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Notary {
    /// One key in memory, and the usual times.
    pub fn of_key(key: SigningKey) -> Self {
        Self {
            signers: vec![Signer::of_key(key)],
            lives: Lives::default(),
            publish_every: Duration::ZERO,
        }
    }

    /// The file of a role's metadata, signed by every key at hand that may; an error where these are too few.
    pub(super) fn sign(
        &self,
        role: &str,
        authority: &Authority,
        mut unsigned: Unsigned,
    ) -> Result<Vec<u8>, EngineError> {
        let able = self.able(authority);
        if able.len() < authority.threshold() as usize {
            let wanted: Vec<String> = authority.keys().map(PublicKey::shown).collect();
            return Err(EngineError::Sign {
                what: role.to_owned(),
                reason: format!(
                    "{} of {} needed keys are at hand; it takes {}",
                    able.len(),
                    authority.threshold(),
                    wanted.join(", ")
                ),
            });
        }
        for signer in able {
            let signature =
                (signer.sign)(unsigned.to_sign()).map_err(|reason| EngineError::Sign {
                    what: role.to_owned(),
                    reason,
                })?;
            unsigned = unsigned
                .with_signature(&signer.public, signature)
                .map_err(EngineError::Trust)?;
        }
        Ok(unsigned.to_file())
    }

    /// The key that signs single pages for whoever asks: one in memory, so that nobody outside can keep a program, or a
    /// person, busy, and ed25519, which every tool verifies alike.
    pub fn by_hand(&self) -> Option<&Signer> {
        self.signers.iter().find(|signer| {
            signer.held == Held::InMemory && signer.public.scheme() == Scheme::Ed25519
        })
    }

    /// The signers of a role that are at hand.
    pub fn able(&self, authority: &Authority) -> Vec<&Signer> {
        self.signers
            .iter()
            .filter(|signer| authority.key(signer.public.id()).is_some())
            .collect()
    }
}
