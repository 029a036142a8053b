//! Signed files of trees of ours, verified as the state machine verifies them, in a tenth of its memory. Pure.
//!
//! `sigstore_tuf` reads a file into a tree of JSON values, twice, to find the bytes that were signed: the snapshot of
//! 8,192 bins takes it 13 MB, the role that delegates to them 30 MB. Our files carry these bytes as they were signed,
//! so that here the signatures are checked over the text itself. A file that does not verify so may still be spelt
//! otherwise, and goes the long way.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use heliostat_trust::keys::{KeyId, PublicKey, Signature};
use heliostat_trust::metadata::Authority;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sigstore_tuf::metadata::Signature as RawSignature;
use sigstore_tuf::{Error, Key, MetaFile, Metadata, Role};

/// What is said about a file of metadata in advance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Pin {
    pub(crate) version: u64,
    #[serde(rename = "length", default)]
    pub(crate) length_bytes: Option<u64>,
    /// In hexadecimal digits, by the algorithm.
    #[serde(default)]
    pub(crate) hashes: Option<BTreeMap<String, String>>,
}

impl From<&MetaFile> for Pin {
    fn from(file: &MetaFile) -> Self {
        Self {
            version: file.version,
            length_bytes: file.length,
            hashes: file.hashes.clone(),
        }
    }
}

/// What a file says, whose signatures hold.
#[derive(Debug)]
pub(super) struct Verified<'a, T> {
    pub(super) said: T,
    /// What was signed: borrowed where it stands so in the file.
    pub(super) signed: Cow<'a, [u8]>,
}

impl<'a, T> Verified<'a, T> {
    /// What was signed, where the file has it so, which is JSON.
    pub(super) const fn as_it_stands(&self) -> Option<&'a [u8]> {
        match self.signed {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(_) => None,
        }
    }
}

/// Verifies that enough keys of `authority` signed a file of `role`, of which `check` thinks well. `L` is how the state
/// machine reads it. That no object says a name twice was looked at before.
pub(super) fn verify<'a, T, L>(
    bytes: &'a [u8],
    (role, authority): (&str, &Authority),
    check: impl Fn(&T) -> Result<(), Error>,
) -> Result<Verified<'a, T>, Error>
where
    T: DeserializeOwned + From<L>,
    L: Role,
{
    let short = Short::of(bytes);
    if let Some(short) = &short
        && let Ok(said) = serde_json::from_slice::<T>(short.signed)
    {
        check(&said)?;
        if count(&short.signatures, short.signed, authority, role)? >= authority.threshold() {
            let signed = Cow::Borrowed(short.signed);
            return Ok(Verified { said, signed });
        }
    }
    let file = Metadata::<L>::from_slice(bytes)?;
    let found = count(file.signatures(), file.signed_canonical(), authority, role);
    let signed = Cow::Owned(file.signed_canonical().to_vec());
    let said = T::from(file.into_signed());
    check(&said)?;
    let found = found?;
    if found < authority.threshold() {
        return Err(Error::ThresholdNotMet {
            role: role.to_owned(),
            found: found as usize,
            threshold: authority.threshold() as usize,
        });
    }
    Ok(Verified { said, signed })
}

/// A pin's word on a file, but for its version.
pub(super) fn check_pinned(bytes: &[u8], role: &str, pin: &Pin) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::IntegrityMismatch(format!("{role}.json: {reason}")));
    if let Some(length) = pin.length_bytes
        && length != bytes.len() as u64
    {
        return refuse(format!("length {} != pinned {length}", bytes.len()));
    }
    let Some(hashes) = &pin.hashes else {
        return Ok(());
    };
    // Trees of ours pin with sha256 or not at all.
    let found = heliostat_pypi::Sha256::of(bytes).to_hex();
    let pinned = hashes.get("sha256");
    if pinned.is_some_and(|pinned| pinned.eq_ignore_ascii_case(&found)) {
        return Ok(());
    }
    refuse("its sha256 is not the one that is pinned".to_owned())
}

/// That a document is of this kind, and of a version of the specification that is understood.
pub(super) fn check_kind(kind: &str, (found, spec_version): (&str, &str)) -> Result<(), Error> {
    if found != kind {
        return Err(Error::Malformed(format!(
            "expected _type {kind:?}, found {found:?}"
        )));
    }
    if spec_version.split('.').next() != Some("1") {
        return Err(Error::Malformed(format!(
            "unsupported TUF spec_version {spec_version:?}"
        )));
    }
    Ok(())
}

/// That a file is of the version that is pinned.
pub(super) fn check_version(role: &str, version: u64, pin: &Pin) -> Result<(), Error> {
    if version != pin.version {
        return Err(Error::IntegrityMismatch(format!(
            "{role}.json version {version} does not match the pinned {}",
            pin.version
        )));
    }
    Ok(())
}

/// That a role is in force at `now`.
pub(super) fn check_expiry(role: &str, expires: Timestamp, now: Timestamp) -> Result<(), Error> {
    if expires < now {
        return Err(Error::Expired {
            role: role.to_owned(),
            expires,
        });
    }
    Ok(())
}

/// Who may sign a role: the keys of these ids, and how many of them.
pub(super) fn authority(
    role: &str,
    keys: &BTreeMap<String, Key>,
    (ids, threshold): (&[String], usize),
) -> Result<Authority, Error> {
    let malformed =
        |error: &dyn fmt::Display| Error::Malformed(format!("who may sign `{role}`: {error}"));
    let mut named = Vec::new();
    for declared in ids {
        // A key that is not there cannot have signed.
        let Some(key) = keys.get(declared) else {
            continue;
        };
        let key = PublicKey::from_value(&serde_json::to_value(key)?);
        let key = key.map_err(|error| malformed(&error))?;
        // Under another id, one key would count twice.
        if key.id().to_string() != *declared {
            return Err(malformed(&"a key stands under another id"));
        }
        named.push(key);
    }
    let threshold = u32::try_from(threshold).unwrap_or(u32::MAX);
    Authority::new(named, threshold).map_err(|error| malformed(&error))
}

/// A file as we write it: `{"signatures":[…],"signed":…}`, and nothing between. What is signed stands there as it was
/// signed, unless it has control characters.
struct Short<'a> {
    signatures: Vec<RawSignature>,
    signed: &'a [u8],
}

impl<'a> Short<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"{\"signatures\":")?;
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter();
        let signatures = stream.next()?.ok()?;
        let rest = rest.get(stream.byte_offset()..)?;
        let signed = rest.strip_prefix(b",\"signed\":")?.strip_suffix(b"}")?;
        Some(Self { signatures, signed })
    }
}

/// How many different keys of the authority signed these bytes.
fn count(
    signatures: &[RawSignature],
    signed: &[u8],
    authority: &Authority,
    role: &str,
) -> Result<u32, Error> {
    let mut found = BTreeMap::new();
    for one in signatures {
        let Some(keyid) = one.keyid.parse::<KeyId>().ok() else {
            continue;
        };
        // An empty signature stands for one that is still to come.
        if authority.key(keyid).is_none() || one.sig.is_empty() {
            continue;
        }
        if found
            .insert(keyid, one.sig.parse::<Signature>().ok())
            .is_some()
        {
            return Err(Error::DuplicateSignature {
                role: role.to_owned(),
                key_id: one.keyid.clone(),
            });
        }
    }
    let found = found
        .into_iter()
        .filter_map(|(keyid, signature)| Some((keyid, signature?)))
        .collect();
    let valid = authority.valid_signers(signed, &found).len();
    Ok(u32::try_from(valid).unwrap_or(u32::MAX))
}
