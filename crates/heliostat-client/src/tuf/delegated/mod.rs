//! Delegated roles of trees of ours, verified as the state machine verifies them, in a tenth of its memory. Pure.
//!
//! `sigstore_tuf` reads a file into a tree of JSON values, twice, to find the bytes that were signed; the role that
//! delegates to 8,192 bins takes it 30 MB. Our files carry these bytes as they were signed, so that here the
//! signatures are checked over the text itself. A file that does not verify so may still be spelt otherwise, and goes
//! the long way.

use std::fmt;

use heliostat_trust::keys::{KeyId, PublicKey, Signature};
use heliostat_trust::metadata::{Authority, ROLE_FIELD};
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use sigstore_tuf::metadata::Signature as RawSignature;
use sigstore_tuf::{DelegatedRole, Delegations, Error, MetaFile, Metadata, TargetFile, Targets};

/// A role that was verified, for as long as what vouches for it stands.
#[derive(Debug)]
pub(super) struct Delegated {
    /// The role by whose keys it was verified.
    pub(super) delegator: String,
    /// When it ends to be valid.
    pub(super) expires: Timestamp,
    /// Its place in the order in which roles were taken.
    pub(super) taken: u64,
    content: Content,
}

/// What it says.
#[derive(Debug)]
enum Content {
    /// Parsed, because it is searched for every target.
    Delegator {
        targets: Box<Targets>,
        is_sorted: bool,
    },
    /// A bin, as it was signed: parsed, it takes five times as much.
    Bin(Box<[u8]>),
}

/// What a file is checked against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) role: &'a str,
    pub(super) delegator: &'a str,
    pub(super) delegations: &'a Delegations,
    /// What the snapshot says about it.
    pub(super) pin: &'a MetaFile,
    pub(super) now: Timestamp,
}

impl Delegated {
    /// Verifies a file: specification, section 5.6, and that it names itself. That no object says a name twice was
    /// looked at before.
    pub(super) fn verify(bytes: &[u8], claim: &Claim<'_>) -> Result<Self, Error> {
        check_pinned(bytes, claim)?;
        let authority = authority(claim)?;
        let short = Short::of(bytes);
        if let Some(short) = &short
            && let Ok(targets) = serde_json::from_slice::<Targets>(short.signed)
        {
            check_said(&targets, claim)?;
            if count(&short.signatures, short.signed, &authority, claim)? >= authority.threshold() {
                check_expiry(&targets, claim)?;
                return Ok(Self::of(targets, Some(short.signed), claim));
            }
        }
        let file = Metadata::<Targets>::from_slice(bytes)?;
        check_said(file.signed(), claim)?;
        let found = count(
            file.signatures(),
            file.signed_canonical(),
            &authority,
            claim,
        )?;
        if found < authority.threshold() {
            return Err(Error::ThresholdNotMet {
                role: claim.role.to_owned(),
                found: found as usize,
                threshold: authority.threshold() as usize,
            });
        }
        check_expiry(file.signed(), claim)?;
        Ok(Self::of(file.into_signed(), None, claim))
    }

    fn of(mut targets: Targets, signed: Option<&[u8]>, claim: &Claim<'_>) -> Self {
        let expires = targets.expires;
        if let Some(delegations) = &mut targets.delegations {
            shrink(delegations);
        }
        let content = match signed {
            Some(signed) if targets.delegations.is_none() => Content::Bin(signed.into()),
            _ => Content::Delegator {
                is_sorted: targets.delegations.as_ref().is_some_and(is_sorted),
                targets: Box::new(targets),
            },
        };
        Self {
            delegator: claim.delegator.to_owned(),
            expires,
            taken: 0,
            content,
        }
    }

    /// What it says about a target itself.
    pub(super) fn target(&self, path: &str) -> Result<Option<TargetFile>, Error> {
        match &self.content {
            Content::Delegator { targets, .. } => Ok(targets.target(path).cloned()),
            Content::Bin(signed) => {
                let mut text = serde_json::Deserializer::from_slice(signed);
                Ok(Look::In(path).deserialize(&mut text)?)
            }
        }
    }

    /// To whom it delegates.
    pub(super) fn delegations(&self) -> Option<&Delegations> {
        match &self.content {
            Content::Delegator { targets, .. } => targets.delegations.as_ref(),
            Content::Bin(_) => None,
        }
    }

    /// The delegations that may cover a path, in their order: all of them, or the one that does where they are sorted.
    pub(super) fn candidates(&self, path_digest: &str) -> &[DelegatedRole] {
        match &self.content {
            Content::Delegator { targets, is_sorted } => {
                let roles = targets.delegations.as_ref().map(|known| &*known.roles);
                let roles = roles.unwrap_or_default();
                if !is_sorted {
                    return roles;
                }
                let after = roles.partition_point(|role| {
                    prefixes(role)
                        .first()
                        .is_some_and(|first| first.as_str() <= path_digest)
                });
                &roles[after.saturating_sub(1)..after]
            }
            Content::Bin(_) => &[],
        }
    }

    /// Whether it delegates, and so is asked about every target.
    pub(super) const fn is_delegator(&self) -> bool {
        matches!(self.content, Content::Delegator { .. })
    }
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

/// The snapshot's word on the file, but for its version.
fn check_pinned(bytes: &[u8], claim: &Claim<'_>) -> Result<(), Error> {
    let role = claim.role;
    let refuse = |reason: String| Err(Error::IntegrityMismatch(format!("{role}.json: {reason}")));
    if let Some(length) = claim.pin.length
        && length != bytes.len() as u64
    {
        return refuse(format!("length {} != pinned {length}", bytes.len()));
    }
    let Some(hashes) = &claim.pin.hashes else {
        return Ok(());
    };
    // Trees of ours pin with sha256 or not at all.
    let pinned = hashes.get("sha256");
    if pinned.is_some_and(|pinned| *pinned == heliostat_pypi::Sha256::of(bytes).to_hex()) {
        return Ok(());
    }
    refuse("its sha256 is not the one that is pinned".to_owned())
}

/// Its kind, its name and its version.
fn check_said(targets: &Targets, claim: &Claim<'_>) -> Result<(), Error> {
    let role = claim.role;
    if targets.type_ != "targets" {
        return Err(Error::Malformed(format!(
            "expected _type \"targets\", found {:?}",
            targets.type_
        )));
    }
    if targets.spec_version.split('.').next() != Some("1") {
        return Err(Error::Malformed(format!(
            "unsupported TUF spec_version {:?}",
            targets.spec_version
        )));
    }
    match targets.extra.get(ROLE_FIELD).and_then(|said| said.as_str()) {
        Some(said) if said == role => {}
        Some(said) => {
            return Err(Error::IntegrityMismatch(format!(
                "this is the role `{said}` in the place of `{role}`"
            )));
        }
        None => {
            return Err(Error::IntegrityMismatch(format!(
                "the role in the place of `{role}` does not say which one it is"
            )));
        }
    }
    if targets.version != claim.pin.version {
        return Err(Error::IntegrityMismatch(format!(
            "{role}.json version {} does not match snapshot pin {}",
            targets.version, claim.pin.version
        )));
    }
    Ok(())
}

fn check_expiry(targets: &Targets, claim: &Claim<'_>) -> Result<(), Error> {
    if targets.expires < claim.now {
        return Err(Error::Expired {
            role: claim.role.to_owned(),
            expires: targets.expires,
        });
    }
    Ok(())
}

/// Who may sign it, as its delegator says: the first delegation of that name.
fn authority(claim: &Claim<'_>) -> Result<Authority, Error> {
    let mut roles = claim.delegations.roles.iter();
    let delegation = roles
        .find(|role| role.name == claim.role)
        .ok_or_else(|| Error::UnknownRole(claim.role.to_owned()))?;
    let malformed = |error: &dyn fmt::Display| {
        Error::Malformed(format!("the delegation to `{}`: {error}", claim.role))
    };
    let mut keys = Vec::new();
    for declared in &delegation.keyids {
        // A key that is not there cannot have signed.
        let Some(key) = claim.delegations.keys.get(declared) else {
            continue;
        };
        let key = PublicKey::from_value(&serde_json::to_value(key)?);
        let key = key.map_err(|error| malformed(&error))?;
        // Under another id, one key would count twice.
        if key.id().to_string() != *declared {
            return Err(malformed(&"a key stands under another id"));
        }
        keys.push(key);
    }
    let threshold = u32::try_from(delegation.threshold).unwrap_or(u32::MAX);
    Authority::new(keys, threshold).map_err(|error| malformed(&error))
}

/// How many different keys of the authority signed these bytes.
fn count(
    signatures: &[RawSignature],
    signed: &[u8],
    authority: &Authority,
    claim: &Claim<'_>,
) -> Result<u32, Error> {
    let mut found = std::collections::BTreeMap::new();
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
                role: claim.role.to_owned(),
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

/// Gives back the room that lists of one have for four: a megabyte of 8,192 bins.
fn shrink(delegations: &mut Delegations) {
    for role in &mut delegations.roles {
        role.keyids.shrink_to_fit();
        let lists = [&mut role.paths, &mut role.path_hash_prefixes];
        lists.into_iter().flatten().for_each(Vec::shrink_to_fit);
    }
    delegations.roles.shrink_to_fit();
}

/// Whether all delegations go by hash prefixes of one length, which rise from the first to the last: then at most one
/// covers a path, and it is found without looking at the others.
fn is_sorted(delegations: &Delegations) -> bool {
    let roles = &delegations.roles;
    let all_by_hash = roles.iter().all(|role| !prefixes(role).is_empty());
    let mut all = roles.iter().flat_map(prefixes);
    let Some(mut before) = all.next().filter(|_| all_by_hash) else {
        return false;
    };
    all.all(|prefix| {
        let rises = prefix.len() == before.len() && before < prefix;
        before = prefix;
        rises
    })
}

fn prefixes(role: &DelegatedRole) -> &[String] {
    role.path_hash_prefixes.as_deref().unwrap_or_default()
}

/// Finds one target in a bin: the value of a path in the object `targets`.
#[derive(Clone, Copy)]
enum Look<'a> {
    In(&'a str),
    Among(&'a str),
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = Option<TargetFile>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Option<TargetFile>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a targets role")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = entries.next_key::<String>()? {
            match self {
                Self::In(path) if name == "targets" => {
                    found = entries.next_value_seed(Look::Among(path))?;
                }
                Self::Among(path) if name == path => found = Some(entries.next_value()?),
                _ => {
                    let _other: IgnoredAny = entries.next_value()?;
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
