//! Targets roles of trees of ours: what they must say beside being signed, and how those that are delegated to are
//! held for as long as what vouches for them stands. Pure.

use std::fmt;

use heliostat_trust::metadata::{Authority, ROLE_FIELD};
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use sigstore_tuf::{DelegatedRole, Delegations, Error, TargetFile, Targets};

use super::signed::{self, Pin, Verified};

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
    pub(super) pin: &'a Pin,
    pub(super) now: Timestamp,
}

/// Verifies a targets role, delegated or not: specification, section 5.6, and that it names itself.
pub(super) fn verify_targets<'a>(
    bytes: &'a [u8],
    (role, authority): (&str, &Authority),
    pin: &Pin,
    now: Timestamp,
) -> Result<Verified<'a, Targets>, Error> {
    signed::check_pinned(bytes, role, pin)?;
    let verified = signed::verify::<Targets, Targets>(bytes, (role, authority), |said| {
        check_said(said, role, pin)
    })?;
    signed::check_expiry(role, verified.said.expires, now)?;
    Ok(verified)
}

impl Delegated {
    /// Verifies a file: specification, section 5.6, and that it names itself. That no object says a name twice was
    /// looked at before.
    pub(super) fn verify(bytes: &[u8], claim: &Claim<'_>) -> Result<Self, Error> {
        let authority = authority(claim)?;
        let verified = verify_targets(bytes, (claim.role, &authority), claim.pin, claim.now)?;
        let text = verified.as_it_stands();
        Ok(Self::of(verified.said, text, claim.delegator))
    }

    fn of(mut targets: Targets, text: Option<&[u8]>, delegator: &str) -> Self {
        let expires = targets.expires;
        if let Some(delegations) = &mut targets.delegations {
            shrink(delegations);
        }
        let content = match text {
            Some(text) if targets.delegations.is_none() => Content::Bin(text.into()),
            _ => Content::Delegator {
                is_sorted: targets.delegations.as_ref().is_some_and(is_sorted),
                targets: Box::new(targets),
            },
        };
        Self {
            delegator: delegator.to_owned(),
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

/// Its kind, its name and its version.
fn check_said(targets: &Targets, role: &str, pin: &Pin) -> Result<(), Error> {
    signed::check_kind("targets", (&targets.type_, &targets.spec_version))?;
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
    signed::check_version(role, targets.version, pin)
}

/// Who may sign it, as its delegator says: the first delegation of that name.
fn authority(claim: &Claim<'_>) -> Result<Authority, Error> {
    let mut roles = claim.delegations.roles.iter();
    let delegation = roles
        .find(|role| role.name == claim.role)
        .ok_or_else(|| Error::UnknownRole(claim.role.to_owned()))?;
    let who = (&*delegation.keyids, delegation.threshold);
    signed::authority(claim.role, &claim.delegations.keys, who)
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
