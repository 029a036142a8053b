//! Who signs online, and for how long what is signed holds.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use heliostat_trust::ceremony::Lives;
use heliostat_trust::keys::{PublicKey, Scheme, Signature, SigningKey};
use heliostat_trust::metadata::{Authority, Unsigned};

use crate::error::EngineError;

/// How long it takes until keys are looked for again where they are: seconds, for those in files.
const RENEW_FILES_SECONDS: i64 = 1;
/// And where a program must be asked, before which somebody may sit.
const RENEW_PROGRAMS_SECONDS: i64 = 60;

/// Everything needed to publish: the online keys, and the times.
pub struct Notary {
    signers: RwLock<Vec<Signer>>,
    source: Option<Box<Source>>,
    looked: Mutex<Looked>,
    /// For how long things hold.
    pub lives: Lives,
    /// The shortest time between two publications while commits come in.
    pub publish_every: Duration,
}

/// Where the keys are had from again.
type Source = dyn Fn() -> Result<Vec<Signer>, String> + Send + Sync;

/// What came of looking for other keys.
#[derive(Debug, Default)]
struct Looked {
    /// When it was done last, in seconds since 1970.
    at: Option<i64>,
    /// What was told last of waiting for a key.
    told: Option<String>,
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

impl fmt::Debug for Notary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notary")
            .field("signers", &self.signers())
            .finish_non_exhaustive()
    }
}

impl Notary {
    /// The keys at hand, and the usual times.
    pub fn new(signers: Vec<Signer>, publish_every: Duration) -> Self {
        Self {
            signers: RwLock::new(signers),
            source: None,
            looked: Mutex::default(),
            lives: Lives::default(),
            publish_every,
        }
    }

    /// One key in memory, and the usual times.
    pub fn of_key(key: SigningKey) -> Self {
        Self::new(vec![Signer::of_key(key)], Duration::ZERO)
    }

    /// With a place where the keys are looked for again, once people have given the role to others.
    #[must_use]
    pub fn with_source(
        self,
        source: impl Fn() -> Result<Vec<Signer>, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..self
        }
    }

    /// The file of a role's metadata, signed by every key at hand that may by one of these authorities, of which the
    /// first must have enough; an error where these are too few.
    pub(super) fn sign(
        &self,
        role: &str,
        authorities: &[&Authority],
        mut unsigned: Unsigned,
    ) -> Result<Vec<u8>, EngineError> {
        for authority in authorities {
            self.check(role, authority)?;
            for signer in self.able(authority) {
                let signature =
                    (signer.sign)(unsigned.to_sign()).map_err(|reason| EngineError::Sign {
                        what: role.to_owned(),
                        reason,
                    })?;
                unsigned = unsigned
                    .with_signature(&signer.public, signature)
                    .map_err(EngineError::Trust)?;
            }
        }
        Ok(unsigned.to_file())
    }

    /// Whether enough keys of an authority are at hand.
    pub(super) fn check(&self, role: &str, authority: &Authority) -> Result<(), EngineError> {
        let able = self.able(authority).len();
        if able >= authority.threshold() as usize {
            return Ok(());
        }
        let wanted: Vec<String> = authority.keys().map(PublicKey::shown).collect();
        Err(EngineError::Sign {
            what: role.to_owned(),
            reason: format!(
                "{able} of {} needed keys are at hand; it takes {}",
                authority.threshold(),
                wanted.join(", ")
            ),
        })
    }

    /// Looks for the keys again where they are had from, unless that was done just now; tells whether it did. Keys in
    /// memory stay beside those that are found: what both sign, clients of the old root and of the new one take.
    pub(super) fn renew(&self, now: i64) -> bool {
        let Some(source) = &self.source else {
            return false;
        };
        let old = self.signers();
        let is_here = |signer: &Signer| signer.held == Held::InMemory;
        let pause = if old.iter().all(is_here) {
            RENEW_FILES_SECONDS
        } else {
            RENEW_PROGRAMS_SECONDS
        };
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.at.is_some_and(|at| (at..at + pause).contains(&now)) {
            return false;
        }
        looked.at = Some(now);
        drop(looked);
        let mut signers = match source() {
            Ok(signers) => signers,
            Err(reason) => {
                self.tell(&format!("the online key cannot be read again: {reason}"));
                return false;
            }
        };
        for signer in old.into_iter().filter(is_here) {
            if !signers
                .iter()
                .any(|new| new.public.id() == signer.public.id())
            {
                signers.push(signer);
            }
        }
        *self.write() = signers;
        true
    }

    /// Lets go of the keys that have no say any more.
    pub(super) fn keep_only(&self, authorities: &[&Authority]) {
        let has_say = |signer: &Signer| {
            let id = signer.public.id();
            authorities.iter().any(|one| one.key(id).is_some())
        };
        self.write().retain(has_say);
    }

    /// Warns, once for each thing there is to say.
    pub(super) fn tell(&self, what: &str) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.told.as_deref() != Some(what) {
            tracing::warn!("{what}");
            looked.told = Some(what.to_owned());
        }
    }

    /// The key that signs single pages for whoever asks: one in memory, so that nobody outside can keep a program, or a
    /// person, busy, and ed25519, which every tool verifies alike.
    pub fn by_hand(&self) -> Option<Signer> {
        self.signers().into_iter().find(|signer| {
            signer.held == Held::InMemory && signer.public.scheme() == Scheme::Ed25519
        })
    }

    /// The signers of a role that are at hand.
    fn able(&self, authority: &Authority) -> Vec<Signer> {
        let mut able = self.signers();
        able.retain(|signer| authority.key(signer.public.id()).is_some());
        able
    }

    fn signers(&self) -> Vec<Signer> {
        self.signers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Vec<Signer>> {
        self.signers.write().unwrap_or_else(PoisonError::into_inner)
    }
}
