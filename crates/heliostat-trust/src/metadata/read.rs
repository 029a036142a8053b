//! Metadata of ours, read back: parsed by `sigstore-tuf`, turned into values that are held to be valid.
//!
//! Reading is not verifying. Fields that we do not write are not part of the value; whoever signs what was read
//! compares with the file first.

use std::collections::BTreeMap;

use serde_json::Value;
use sigstore_tuf::metadata as tuf;
use sigstore_tuf::{Key, Metadata as Parsed, Role};

use super::roles::sealed::Readable;
use super::{
    Authority, Coverage, Delegation, Expiry, Metadata, Pin, RoleName, Root, Scope, Signed,
    Snapshot, TargetFile, Targets, Timestamp, Version,
};
use crate::error::TrustError;
use crate::keys::{KeyId, PublicKey};

impl<T: Metadata> Signed<T> {
    /// Reads a file. How large it may be is the caller's business.
    ///
    /// # Errors
    /// [`TrustError::ReadMetadata`] where it is not a document of this kind that we could have written.
    pub fn read(file: &[u8]) -> Result<Self, TrustError> {
        let parsed = Parsed::<T::Parsed>::from_slice(file)
            .map_err(|error| fault(<T as Metadata>::TYPE, &error.to_string()))?;
        let mut signatures = BTreeMap::new();
        for one in parsed.signatures() {
            // An empty signature stands for one that is still to come.
            if let (Ok(keyid), Ok(signature)) = (one.keyid.parse(), one.sig.parse()) {
                signatures.entry(keyid).or_insert(signature);
            }
        }
        Ok(Self {
            value: T::from_parsed(parsed.signed())?,
            canonical: parsed.signed_canonical().to_vec(),
            signatures,
        })
    }
}

impl Readable for Root {
    type Parsed = tuf::Root;

    fn from_parsed(parsed: &tuf::Root) -> Result<Self, TrustError> {
        if !parsed.consistent_snapshot {
            return Err(fault("root", "it does not ask for consistent snapshots"));
        }
        let role = |name: &'static str| {
            let role = parsed
                .role(name)
                .ok_or_else(|| fault("root", &format!("it has no role `{name}`")))?;
            let known = (&parsed.keys, parsed.extra.get(super::LABELS_FIELD));
            authority("root", known, &role.keyids, role.threshold)
        };
        Ok(Self {
            version: version("root", parsed.version)?,
            expires: Expiry::at(parsed.expires()),
            root: role("root")?,
            targets: role("targets")?,
            snapshot: role("snapshot")?,
            timestamp: role("timestamp")?,
        })
    }
}

impl Readable for Targets {
    type Parsed = tuf::Targets;

    fn from_parsed(parsed: &tuf::Targets) -> Result<Self, TrustError> {
        let mut targets = BTreeMap::new();
        for (path, file) in &parsed.targets {
            let sha256 = sha256("targets", &file.hashes)?;
            let size_bytes = file.length;
            targets.insert(path.clone(), TargetFile { sha256, size_bytes });
        }
        let labels = parsed.extra.get(super::LABELS_FIELD);
        let delegations = match &parsed.delegations {
            None => Vec::new(),
            Some(some) => some
                .roles
                .iter()
                .map(|role| delegation((&some.keys, labels), role))
                .collect::<Result<_, _>>()?,
        };
        let role = parsed
            .extra
            .get(super::ROLE_FIELD)
            .and_then(Value::as_str)
            .ok_or_else(|| fault("targets", "it does not say which role it is"))?;
        let value = Self {
            role: role.parse()?,
            version: version("targets", parsed.version)?,
            expires: Expiry::at(parsed.expires()),
            targets,
            delegations,
        };
        value.check_names()?;
        Ok(value)
    }
}

impl Readable for Snapshot {
    type Parsed = tuf::Snapshot;

    fn from_parsed(parsed: &tuf::Snapshot) -> Result<Self, TrustError> {
        let mut roles = BTreeMap::new();
        for (file, meta) in &parsed.meta {
            let name = file
                .strip_suffix(".json")
                .ok_or_else(|| fault("snapshot", "it names a file that is not `.json`"))?;
            roles.insert(name.parse::<RoleName>()?, pin("snapshot", meta)?);
        }
        Ok(Self {
            version: version("snapshot", parsed.version)?,
            expires: Expiry::at(parsed.expires()),
            roles,
            coverage: parsed
                .extra
                .get(super::EXTENSION_FIELD)
                .and_then(Coverage::from_value),
        })
    }
}

impl Readable for Timestamp {
    type Parsed = tuf::Timestamp;

    fn from_parsed(parsed: &tuf::Timestamp) -> Result<Self, TrustError> {
        let snapshot = parsed
            .snapshot_meta()
            .ok_or_else(|| fault("timestamp", "it names no snapshot"))?;
        Ok(Self {
            version: version("timestamp", parsed.version)?,
            expires: Expiry::at(parsed.expires()),
            snapshot: pin("timestamp", snapshot)?,
            signed_at: parsed
                .extra
                .get(super::EXTENSION_FIELD)
                .and_then(Self::signed_at),
        })
    }
}

fn delegation(known: Known<'_>, role: &tuf::DelegatedRole) -> Result<Delegation, TrustError> {
    let scope = match (&role.paths, &role.path_hash_prefixes) {
        (Some(paths), None) => Scope::Paths(paths.clone()),
        (None, Some(prefixes)) => Scope::HashPrefixes(prefixes.clone()),
        _ => {
            return Err(fault(
                "targets",
                "a delegation has either `paths` or `path_hash_prefixes`",
            ));
        }
    };
    Ok(Delegation {
        name: role.name.parse()?,
        authority: authority("targets", known, &role.keyids, role.threshold)?,
        scope,
        terminating: role.terminating,
    })
}

/// The keys of a document, and the labels that it gives them.
type Known<'a> = (&'a BTreeMap<String, Key>, Option<&'a Value>);

/// The keys of a role, each under the id that it has: another id would let one key count twice.
fn authority(
    kind: &'static str,
    (keys, labels): Known<'_>,
    ids: &[String],
    threshold: usize,
) -> Result<Authority, TrustError> {
    let mut found = Vec::new();
    for id in ids {
        let declared: KeyId = id.parse()?;
        let key = keys
            .get(id)
            .ok_or_else(|| fault(kind, &format!("the key {} is missing", declared.short())))?;
        let key = PublicKey::from_value(&serde_json::to_value(key).unwrap_or(Value::Null))?;
        if key.id() != declared {
            return Err(fault(
                kind,
                &format!("the key {} stands under another id", key.id().short()),
            ));
        }
        let label = labels
            .and_then(|labels| labels.get(id))
            .and_then(Value::as_str);
        found.push(match label {
            Some(label) => key.with_label(label)?,
            None => key,
        });
    }
    Authority::new(found, u32::try_from(threshold).unwrap_or(u32::MAX))
}

fn pin(kind: &'static str, meta: &tuf::MetaFile) -> Result<Pin, TrustError> {
    let file = match (&meta.hashes, meta.length) {
        (None, None) => None,
        (Some(hashes), Some(size_bytes)) => Some(TargetFile {
            sha256: sha256(kind, hashes)?,
            size_bytes,
        }),
        _ => return Err(fault(kind, "a file has both length and digest, or neither")),
    };
    Ok(Pin {
        version: version(kind, meta.version)?,
        file,
    })
}

fn sha256(
    kind: &'static str,
    hashes: &BTreeMap<String, String>,
) -> Result<heliostat_pypi::Sha256, TrustError> {
    hashes
        .get("sha256")
        .and_then(|digest| digest.parse().ok())
        .ok_or_else(|| fault(kind, "a file has no sha256"))
}

fn version(kind: &'static str, number: u64) -> Result<Version, TrustError> {
    Version::new(number).ok_or_else(|| fault(kind, "a version is 0"))
}

fn fault(role: &'static str, reason: &str) -> TrustError {
    TrustError::ReadMetadata {
        role,
        reason: crate::keys::shown_long(reason),
    }
}
