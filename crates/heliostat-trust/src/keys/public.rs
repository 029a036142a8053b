//! Public keys as TUF metadata writes them (specification 4.2), and their files.

use heliostat_pypi::Sha256;
use ring::signature::UnparsedPublicKey;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{KeyId, Signature, shown};
use crate::error::TrustError;

/// What is read, for whoever brought something else.
const FORMS: &str = "a public key is TUF's key object in JSON, as `heliostat trust keys new` writes it beside the private one \
                     (`NAME.pub`), or a PEM `PUBLIC KEY`";
/// Longest text of a public key: a PEM document with 8,192 bits of RSA has about 1,500 characters.
const PUBLIC_MAX_CHARS: usize = 4_096;
/// Longest label.
const LABEL_MAX_CHARS: usize = 100;
/// The field of a key object that carries its label; not part of what the id is computed over.
const LABEL_FIELD: &str = "x-heliostat-label";

/// What stands before the 32 bytes of an ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410 section 4).
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// How a key signs; the names are TUF's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// ed25519 (RFC 8032). Keys made by us are of this scheme.
    Ed25519,
    /// ECDSA on P-256 with SHA-256, as many hardware modules and key services have it.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// RSASSA-PSS with SHA-256.
    RsaPss,
}

impl Scheme {
    const ALL: [Self; 4] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::RsaPss,
    ];

    /// TUF's `keytype`.
    pub const fn key_type(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 | Self::EcdsaP384 => "ecdsa",
            Self::RsaPss => "rsa",
        }
    }

    /// TUF's `scheme`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::RsaPss => "rsassa-pss-sha256",
        }
    }
}

/// A public key: hexadecimal for ed25519, a PEM `SubjectPublicKeyInfo` for the rest, perhaps with a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: KeyId,
    scheme: Scheme,
    public: String,
    label: Option<String>,
}

impl PublicKey {
    /// An ed25519 key of its 32 bytes.
    pub fn ed25519(bytes: &[u8; 32]) -> Self {
        Self::new(Scheme::Ed25519, hex::encode(bytes))
    }

    /// Reads a public key file: TUF's key object as JSON (what `to_file` writes), or a PEM `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`TrustError::ReadPublicKey`] for anything that could not verify a signature.
    pub fn from_file(text: &str) -> Result<Self, TrustError> {
        let text = text.trim();
        if text.len() > PUBLIC_MAX_CHARS * 2 {
            return Err(fault("it is too long"));
        }
        if text.starts_with("-----BEGIN") {
            return from_pem(text);
        }
        let value: Value = serde_json::from_str(text)
            .map_err(|error| fault(&format!("it is neither PEM nor JSON ({error}); {FORMS}")))?;
        Self::from_value(&value)
    }

    /// Reads TUF's key object. Fields that are not known here are not part of the key and are left out.
    pub fn from_value(value: &Value) -> Result<Self, TrustError> {
        let field = |name: &str| value.get(name).and_then(Value::as_str);
        let scheme = field("scheme").ok_or_else(|| fault("it has no `scheme`"))?;
        let scheme = Scheme::ALL
            .into_iter()
            .find(|known| known.name() == scheme)
            .ok_or_else(|| fault(&format!("the scheme `{}` is not known", shown(scheme))))?;
        if field("keytype") != Some(scheme.key_type()) {
            return Err(fault("its `keytype` does not go with its `scheme`"));
        }
        let public = value
            .get("keyval")
            .and_then(|keyval| keyval.get("public"))
            .and_then(Value::as_str)
            .ok_or_else(|| fault("it has no `keyval.public`"))?;
        let key = Self::checked(scheme, public)?;
        match field(LABEL_FIELD) {
            Some(label) => key.with_label(label),
            None => Ok(key),
        }
    }

    /// With a label: who holds it, or what it is for.
    ///
    /// # Errors
    /// [`TrustError::ReadPublicKey`] for an empty or very long label, or one with control characters.
    pub fn with_label(mut self, label: &str) -> Result<Self, TrustError> {
        let length = label.chars().count();
        if length == 0 || length > LABEL_MAX_CHARS || label.chars().any(char::is_control) {
            return Err(fault("a label is 1 to 100 characters of one line"));
        }
        self.label = Some(label.to_owned());
        Ok(self)
    }

    /// The key alone, as it stands in metadata.
    pub(crate) fn without_label(mut self) -> Self {
        self.label = None;
        self
    }

    /// Its id.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// How it signs.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its label, where it has one.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// Label and the start of the id, for people.
    pub fn shown(&self) -> String {
        let short = self.id.short();
        match &self.label {
            Some(label) => format!("{label} ({short})"),
            None => short,
        }
    }

    /// The public key file: TUF's key object, one line of JSON.
    pub fn to_file(&self) -> String {
        let mut text = serde_json::to_string(self).expect("strings only");
        text.push('\n');
        text
    }

    /// As a PEM `SubjectPublicKeyInfo`, which other tools read; without the label.
    pub fn to_pem(&self) -> String {
        match hex::decode(&self.public) {
            Ok(raw) if self.scheme == Scheme::Ed25519 => {
                let der = [&ED25519_SPKI[..], &raw].concat();
                let pem = sigstore_types::DerPublicKey::new(der).to_pem();
                pem.replace("\r\n", "\n")
            }
            _ => self.public.clone(),
        }
    }

    /// Whether the signature is this key's over exactly these bytes.
    ///
    /// # Errors
    /// [`TrustError::BadSignature`].
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), TrustError> {
        let bad = || TrustError::BadSignature { keyid: self.id };
        // Bins by the thousand are signed by such keys: the short way.
        if self.scheme == Scheme::Ed25519 {
            let key = hex::decode(&self.public).map_err(|_not_a_key| bad())?;
            return UnparsedPublicKey::new(&ring::signature::ED25519, key)
                .verify(message, signature.as_bytes())
                .map_err(|_no| bad());
        }
        let signature = sigstore_types::SignatureBytes::new(signature.as_bytes().to_vec());
        // Not through a process-wide provider: a caller that forgot to install one would get a panic.
        crate::crypto::install();
        let key: sigstore_tuf::Key =
            serde_json::from_value(self.to_value()).map_err(|_not_a_key| bad())?;
        key.verify(message, &signature).map_err(|_no| bad())
    }

    /// TUF's key object.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("strings only")
    }

    /// A key that has been seen to be usable.
    fn checked(scheme: Scheme, public: &str) -> Result<Self, TrustError> {
        if public.len() > PUBLIC_MAX_CHARS {
            return Err(fault("it is too long"));
        }
        // As for verifying: a caller that forgot to install one would get a panic.
        crate::crypto::install();
        let key = Self::new(scheme, public.to_owned());
        let tuf: sigstore_tuf::Key =
            serde_json::from_value(key.to_value()).map_err(|error| fault(&error.to_string()))?;
        tuf.verification_key()
            .map_err(|error| fault(&error.to_string()))?;
        // One key, one id: another spelling would be another id for the same key, counted twice by a threshold.
        let one_spelling = if scheme == Scheme::Ed25519 {
            public.len() == 64 && !public.bytes().any(|byte| byte.is_ascii_uppercase())
        } else {
            sigstore_types::DerPublicKey::from_pem(public).is_ok_and(|der| der.to_pem() == public)
        };
        if !one_spelling {
            return Err(fault(
                "ed25519 keys are 64 lower-case hexadecimal digits, others PEM with lines of 64 characters",
            ));
        }
        Ok(key)
    }

    fn new(scheme: Scheme, public: String) -> Self {
        let mut key = Self {
            id: KeyId::from(Sha256::from_bytes([0; 32])),
            scheme,
            public,
            label: None,
        };
        let canonical = crate::metadata::canonical(&key);
        key.id = KeyId::from(Sha256::of(&canonical));
        key
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct KeyVal<'a> {
            public: &'a str,
        }
        // In the order of canonical JSON.
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("keytype", self.scheme.key_type())?;
        map.serialize_entry(
            "keyval",
            &KeyVal {
                public: &self.public,
            },
        )?;
        map.serialize_entry("scheme", self.scheme.name())?;
        if let Some(label) = &self.label {
            map.serialize_entry(LABEL_FIELD, label)?;
        }
        map.end()
    }
}

/// A bare PEM document tells its scheme by the kind of key.
fn from_pem(text: &str) -> Result<PublicKey, TrustError> {
    let der =
        sigstore_types::DerPublicKey::from_pem(text).map_err(|error| fault(&error.to_string()))?;
    // In the one spelling that others write too, so that equal keys have equal ids.
    let pem = der.to_pem();
    if let Some(raw) = ed25519_of_spki(der.as_bytes()) {
        return PublicKey::checked(Scheme::Ed25519, &hex::encode(raw));
    }
    [Scheme::EcdsaP256, Scheme::EcdsaP384, Scheme::RsaPss]
        .into_iter()
        .find_map(|scheme| PublicKey::checked(scheme, &pem).ok())
        .ok_or_else(|| fault("it is neither ed25519 nor ECDSA (P-256, P-384) nor RSA"))
}

/// The 32 bytes of an ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410 section 4).
fn ed25519_of_spki(der: &[u8]) -> Option<&[u8]> {
    der.strip_prefix(&ED25519_SPKI)
        .filter(|raw| raw.len() == 32)
}

fn fault(reason: &str) -> TrustError {
    TrustError::ReadPublicKey(reason.to_owned())
}
