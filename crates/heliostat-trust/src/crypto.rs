//! The cryptography under `sigstore-crypto`, done by ring.
//!
//! Owns which signature schemes can be verified. `sigstore-crypto` brings its own backend only with aws-lc-rs, which
//! this house does not build; ring is here already for TLS. Does not sign: keys of ours are in [`crate::keys`].

use ring::digest;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use sigstore_crypto::{
    CryptoProvider, Error, HashContext, Result, SigningScheme, install_default_provider,
};
use sigstore_types::HashAlgorithm;

static PROVIDER: Ring = Ring;

/// Makes ring the cryptography of everything that verifies TUF metadata or attestations in this process.
///
/// The program calls it first thing; tests call it before they verify. Further calls do nothing.
pub fn install() {
    // Refused only where a provider is installed already, which is this one: nobody else installs any.
    let _already_there = install_default_provider(&PROVIDER);
}

#[derive(Debug)]
struct Ring;

struct Hasher(digest::Context);

impl HashContext for Hasher {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

impl CryptoProvider for Ring {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        let algorithm = match algorithm {
            HashAlgorithm::Sha2256 => &digest::SHA256,
            HashAlgorithm::Sha2384 => &digest::SHA384,
            HashAlgorithm::Sha2512 => &digest::SHA512,
            other => {
                return Err(Error::UnsupportedAlgorithm(format!(
                    "{other} digests cannot be computed here"
                )));
            }
        };
        Ok(Box::new(Hasher(digest::Context::new(algorithm))))
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        spki_pubkey_bytes: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        UnparsedPublicKey::new(algorithm(scheme)?, spki_pubkey_bytes)
            .verify(data, signature)
            .map_err(|_unspecified| {
                Error::Verification(format!("{} signature is not right", scheme.name()))
            })
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        _spki_pubkey_bytes: &[u8],
        _digest: &[u8],
        _signature: &[u8],
    ) -> Result<()> {
        Err(Error::UnsupportedAlgorithm(format!(
            "{} over a digest alone: only whole messages are verified here",
            scheme.name()
        )))
    }
}

/// ring's verifier of a scheme.
fn algorithm(scheme: SigningScheme) -> Result<&'static dyn VerificationAlgorithm> {
    Ok(match scheme {
        SigningScheme::Ed25519 => &signature::ED25519,
        SigningScheme::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SigningScheme::EcdsaP256Sha384 => &signature::ECDSA_P256_SHA384_ASN1,
        SigningScheme::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        SigningScheme::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        SigningScheme::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
        SigningScheme::RsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
        SigningScheme::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
        SigningScheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SigningScheme::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        SigningScheme::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        other => {
            return Err(Error::UnsupportedAlgorithm(format!(
                "{} signatures cannot be verified here",
                other.name()
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair};

    use super::*;

    #[test]
    fn known_digests() {
        let hex = |bytes: &[u8]| hex::encode(bytes);
        assert_eq!(
            hex(&PROVIDER.sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(hex(&PROVIDER.sha384(b"abc")).starts_with("cb00753f45a35e8bb5a03d699ac65007"));
        assert!(hex(&PROVIDER.sha512(b"abc")).starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn installing_twice_is_harmless() {
        install();
        install();
        assert!(sigstore_crypto::try_default_provider().is_some());
    }

    #[test]
    fn a_signature_holds_for_its_message_only() {
        let random = SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed25519 = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let signed = ed25519.sign(b"page");
        let public = ed25519.public_key().as_ref();
        let verify = |data, signature: &[u8]| {
            PROVIDER.verify_raw(SigningScheme::Ed25519, public, data, signature)
        };
        verify(b"page", signed.as_ref()).unwrap();
        verify(b"pagf", signed.as_ref()).unwrap_err();
        verify(b"page", &signed.as_ref()[1..]).unwrap_err();

        let kinds = [
            (
                &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
                SigningScheme::EcdsaP256Sha256,
            ),
            (
                &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
                SigningScheme::EcdsaP384Sha384,
            ),
        ];
        for (signing, scheme) in kinds {
            let document = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(signing, document.as_ref(), &random).unwrap();
            let signed = pair.sign(&random, b"page").unwrap();
            let public = pair.public_key().as_ref();
            let verify = |data| PROVIDER.verify_raw(scheme, public, data, signed.as_ref());
            verify(b"page").unwrap();
            verify(b"pagf").unwrap_err();
        }
    }

    #[test]
    fn what_cannot_be_verified_is_named() {
        let error = PROVIDER
            .verify_raw(SigningScheme::MlDsa44, &[], b"", b"")
            .unwrap_err();
        assert!(error.to_string().contains("ML_DSA_44"), "{error}");
        let error = PROVIDER
            .verify_prehashed(SigningScheme::EcdsaP256Sha256, &[], &[0; 32], b"")
            .unwrap_err();
        assert!(error.to_string().contains("digest alone"), "{error}");
    }
}
