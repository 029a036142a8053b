//! Private key files: PKCS#8 in PEM, plain or protected by a passphrase (PBES2 with scrypt and AES-256, RFC 8018).
//!
//! Files that OpenSSL writes are read here; it reads ours where they are plain, and otherwise
//! refuses to spend the 128 MiB that a guess costs.
//! Files themselves, their permissions and prompts are the caller's.

use std::fmt;

use pkcs8::der::pem;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo, SecretDocument};
use zeroize::{Zeroize as _, Zeroizing};

use super::{SigningKey, shown};
use crate::error::TrustError;

/// What is read, for whoever brought something else.
const FORMS: &str = "a private key is an ed25519 key as PKCS#8 in PEM, plain (`PRIVATE KEY`) or protected by a passphrase \
                     (`ENCRYPTED PRIVATE KEY`), as `heliostat trust keys new` and `openssl genpkey -algorithm ed25519` \
                     write it";

/// Largest key file that is read.
const FILE_MAX_BYTES: usize = 16 * 1024;
/// Most scrypt memory that a key file may ask for: 128 · N · r bytes with r = 8.
const SCRYPT_LOG_N_MAX: u8 = 20;
const PLAIN: &str = "PRIVATE KEY";
const PROTECTED: &str = "ENCRYPTED PRIVATE KEY";
/// RFC 8410's id-Ed25519, 1.3.101.112.
const ED25519: pkcs8::ObjectIdentifier = pkcs8::ObjectIdentifier::new_unwrap("1.3.101.112");

/// A passphrase, wiped from memory when it is dropped.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes what somebody typed or a file held; one line end is not part of it.
    ///
    /// # Errors
    /// [`TrustError::PassphraseEmpty`] for an empty one.
    pub fn new(text: String) -> Result<Self, TrustError> {
        let mut text = Zeroizing::new(text);
        while text.ends_with(['\n', '\r']) {
            text.pop();
        }
        if text.is_empty() {
            return Err(TrustError::PassphraseEmpty);
        }
        Ok(Self(text))
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        // Compares what one person typed twice; nobody measures it.
        *self.0 == *other.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// How dear a guess at a passphrase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScryptCost {
    /// 128 MiB and about half a second for each guess (N = 2¹⁷, r = 8, p = 1).
    Guarded,
    /// 1 MiB: for rehearsals and tests only.
    Rehearsal,
}

impl ScryptCost {
    const fn log_n(self) -> u8 {
        match self {
            Self::Guarded => 17,
            Self::Rehearsal => 10,
        }
    }
}

impl SigningKey {
    /// The key as a plain key file (`PRIVATE KEY`). Whoever reads it can sign.
    pub fn to_plain_file(&self) -> Result<Zeroizing<String>, TrustError> {
        encode(PLAIN, self.to_pkcs8()?.as_bytes())
    }

    /// The key as a file protected by a passphrase (`ENCRYPTED PRIVATE KEY`).
    pub fn to_protected_file(
        &self,
        passphrase: &Passphrase,
        cost: ScryptCost,
    ) -> Result<Zeroizing<String>, TrustError> {
        let mut salt = [0; 16];
        let mut iv = [0; 16];
        for random in [&mut salt, &mut iv] {
            getrandom::fill(random).map_err(|error| TrustError::Random(error.to_string()))?;
        }
        let params = scrypt::Params::new(cost.log_n(), 8, 1, 32).map_err(write_fault)?;
        let scheme =
            pbes2::Parameters::scrypt_aes256cbc(params, &salt, &iv).map_err(write_fault)?;
        let plain = self.to_pkcs8()?;
        let info = PrivateKeyInfo::try_from(plain.as_bytes()).map_err(write_fault)?;
        let protected = info
            .encrypt_with_params(scheme, passphrase.0.as_bytes())
            .map_err(write_fault)?;
        encode(PROTECTED, protected.as_bytes())
    }

    /// Reads a key file of either kind. `passphrase` is asked for only where the file is protected.
    ///
    /// # Errors
    /// [`TrustError::PassphraseWrong`] where it does not open the file, [`TrustError::ReadSigningKey`] where the file
    /// is no ed25519 key or asks for more than 1 GiB of memory, and whatever `passphrase` returns.
    pub fn from_file<E: From<TrustError>>(
        text: &str,
        passphrase: impl FnOnce() -> Result<Passphrase, E>,
    ) -> Result<Self, E> {
        if text.len() > FILE_MAX_BYTES {
            return Err(fault("it is larger than 16 KiB").into());
        }
        let (label, document) = SecretDocument::from_pem(text.trim_start())
            .map_err(|error| fault(&format!("it is not PEM ({error}); {FORMS}")))?;
        match label {
            PLAIN => Ok(Self::from_pkcs8(document.as_bytes())?),
            PROTECTED => {
                let protected = EncryptedPrivateKeyInfo::try_from(document.as_bytes())
                    .map_err(|error| fault(&error.to_string()))?;
                check_cost(&protected)?;
                let plain = protected
                    .decrypt(passphrase()?.0.as_bytes())
                    .map_err(|_unspecified| TrustError::PassphraseWrong)?;
                Ok(Self::from_pkcs8(plain.as_bytes())?)
            }
            other => Err(fault(&format!("it is `{}`; {FORMS}", shown(other))).into()),
        }
    }

    fn to_pkcs8(&self) -> Result<SecretDocument, TrustError> {
        // RFC 8410 section 7: the key is an OCTET STRING within the OCTET STRING.
        let mut inner = Zeroizing::new(vec![0x04, 0x20]);
        let mut seed = self.secret.to_bytes();
        inner.extend_from_slice(&seed);
        seed.zeroize();
        let algorithm = pkcs8::AlgorithmIdentifierRef {
            oid: ED25519,
            parameters: None,
        };
        let info = PrivateKeyInfo::new(algorithm, &inner);
        SecretDocument::encode_msg(&info).map_err(write_fault)
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, TrustError> {
        let info = PrivateKeyInfo::try_from(der).map_err(|error| fault(&error.to_string()))?;
        if info.algorithm.oid != ED25519 {
            return Err(fault(
                "it is not an ed25519 key; other kinds sign through an external program",
            ));
        }
        let seed = info
            .private_key
            .strip_prefix(&[0x04, 0x20])
            .and_then(|seed| <&[u8; 32]>::try_from(seed).ok())
            .ok_or_else(|| fault("an ed25519 key has 32 bytes"))?;
        Ok(Self::from_seed(seed))
    }
}

/// A key file from elsewhere must not make us use all memory.
fn check_cost(protected: &EncryptedPrivateKeyInfo<'_>) -> Result<(), TrustError> {
    let params = protected
        .encryption_algorithm
        .pbes2()
        .ok_or_else(|| fault("it is protected in a way that is no longer safe (PBES1)"))?;
    if let pbes2::Kdf::Scrypt(scrypt) = &params.kdf
        && (scrypt.cost_parameter > 1 << SCRYPT_LOG_N_MAX
            || scrypt.block_size > 8
            || scrypt.parallelization > 4)
    {
        return Err(fault("it asks for more memory than a key file should"));
    }
    if let pbes2::Kdf::Pbkdf2(pbkdf2) = &params.kdf
        && pbkdf2.iteration_count > 10_000_000
    {
        return Err(fault("it asks for more work than a key file should"));
    }
    Ok(())
}

fn encode(label: &'static str, der: &[u8]) -> Result<Zeroizing<String>, TrustError> {
    pem::encode_string(label, pem::LineEnding::LF, der)
        .map(Zeroizing::new)
        .map_err(write_fault)
}

fn fault(reason: &str) -> TrustError {
    TrustError::ReadSigningKey(reason.to_owned())
}

fn write_fault(error: impl fmt::Display) -> TrustError {
    TrustError::WriteSigningKey(error.to_string())
}
