//! What is trusted at one moment, in memory: the state machine, and the search for a target through its delegations.
//!
//! Pure: bytes and the time come in as values. The state machine verifies a delegated role anew for each look; here a
//! delegation that was verified once is remembered for as long as what vouches for it stands.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use heliostat_pypi::Sha256;
use jiff::Timestamp;
use serde::Deserialize;
use sigstore_tuf::{
    DelegatedRole, Delegations, Error, Role as _, TargetFile, Targets, TrustedMetadataSet,
};

use super::delegated::{Claim, Delegated, verify_targets};
use super::pins::Pins;
use super::signed::{self, Pin};
use super::strict;

/// The four names that no delegated role may have.
const TOP_LEVEL: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// Whether targets roles must say whose they are. TUF metadata does not tell its role, and where a snapshot pins
/// versions only and one key signs many bins, a mirror could serve one bin's file as another's, so that a project
/// would seem, signed, not to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Any repository: what the specification asks for is enough.
    Any,
    /// Trees of ours: every targets role names itself in its signed part.
    Ours,
}

/// Bins of a tree of ours that are held at once, of 20 kB each. One more takes the place of another, which is verified
/// anew from the disk when it is asked for.
const BINS_HELD_MAX: usize = 256;

/// Trusted metadata.
#[derive(Debug, Clone)]
pub(crate) struct Trusted {
    /// Root and timestamp; of other repositories than ours, everything. Shared by the copies that are made to see what a
    /// timestamp leads to, until one of them goes on.
    set: Arc<TrustedMetadataSet>,
    naming: Naming,
    pins: Option<Arc<Pins>>,
    /// The role `targets` of a tree of ours.
    targets: Option<Arc<Targets>>,
    /// Delegations (role, delegator) that the state machine verified under the present snapshot.
    verified: HashSet<(String, String)>,
    /// The delegated roles of a tree of ours, by name, verified under the present snapshot.
    delegated: BTreeMap<String, Arc<Delegated>>,
    /// How many of them have been taken so far.
    taken: u64,
}

/// Where the search for a target stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A trusted role names it.
    Found(TargetFile),
    /// The trusted roles do not name it.
    Absent,
    /// This role must be had before the search can go on.
    Need(Needed),
}

/// A role that the search has come to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Needed {
    /// Its name.
    pub(crate) role: String,
    /// The role that delegates to it.
    pub(crate) delegator: String,
    /// The version that the snapshot pins.
    pub(crate) version: u64,
    /// Its length, where the snapshot tells it.
    pub(crate) length_bytes: Option<u64>,
}

impl Trusted {
    /// Starts from a root that is trusted because the caller says so.
    pub(crate) fn from_root(bytes: &[u8], naming: Naming) -> Result<Self, Error> {
        heliostat_trust::crypto::install();
        strict::check(bytes)?;
        TrustedMetadataSet::from_root(bytes).map(|set| Self {
            set: Arc::new(set),
            naming,
            pins: None,
            targets: None,
            verified: HashSet::new(),
            delegated: BTreeMap::new(),
            taken: 0,
        })
    }

    /// The state machine.
    pub(crate) fn set(&self) -> &TrustedMetadataSet {
        &self.set
    }

    fn set_mut(&mut self) -> &mut TrustedMetadataSet {
        Arc::make_mut(&mut self.set)
    }

    /// The version of the trusted root.
    pub(crate) fn root_version(&self) -> u64 {
        self.set.root().version
    }

    /// The version of the trusted timestamp.
    pub(crate) fn timestamp_version(&self) -> Option<u64> {
        self.set.timestamp().map(|timestamp| timestamp.version)
    }

    /// The version of the trusted snapshot.
    pub(crate) fn snapshot_version(&self) -> Option<u64> {
        self.pins.as_ref().map(|pins| pins.version)
    }

    /// The trusted snapshot.
    pub(crate) const fn pins(&self) -> Option<&Arc<Pins>> {
        self.pins.as_ref()
    }

    /// What the timestamp says about the snapshot.
    pub(crate) fn snapshot_pin(&self) -> Option<Pin> {
        let timestamp = self.set.timestamp()?;
        timestamp.snapshot_meta().map(Pin::from)
    }

    /// The trusted top-level targets role.
    fn targets(&self) -> Option<&Targets> {
        match self.naming {
            Naming::Any => self.set.targets_role("targets"),
            Naming::Ours => self.targets.as_deref(),
        }
    }

    /// Takes the next root.
    pub(crate) fn update_root(&mut self, bytes: &[u8]) -> Result<(), Error> {
        strict::check(bytes)?;
        self.set_mut().update_root(bytes)?;
        self.pins = None;
        self.forget_targets();
        Ok(())
    }

    /// Takes a newer timestamp; `false` where it is the one we have.
    pub(crate) fn update_timestamp(&mut self, bytes: &[u8], now: Timestamp) -> Result<bool, Error> {
        strict::check(bytes)?;
        check_versions(bytes)?;
        match self.set_mut().update_timestamp(bytes, now) {
            Ok(()) => Ok(true),
            Err(Error::EqualVersion { .. }) => {
                self.set.check_timestamp_expired(now).map(|()| false)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the snapshot that the timestamp pins.
    pub(crate) fn update_snapshot(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), Error> {
        strict::check(bytes)?;
        let pins = match self.naming {
            Naming::Any => {
                self.set_mut().update_snapshot(bytes, now)?;
                self.set.snapshot().map(Pins::from)
            }
            Naming::Ours => {
                self.set.check_timestamp_expired(now)?;
                let pin = self.snapshot_pin().ok_or(Error::NotRefreshed)?;
                let before = self.pins.as_deref();
                Some(Pins::verify(bytes, (self.set.root(), &pin), before, now)?)
            }
        };
        self.pins = pins.map(Arc::new);
        self.forget_targets();
        Ok(())
    }

    /// Takes the top-level targets role that the snapshot pins.
    pub(crate) fn update_targets(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), Error> {
        const ROLE: &str = "targets";
        strict::check(bytes)?;
        match self.naming {
            Naming::Any => {
                self.set_mut().update_targets(bytes, now)?;
            }
            Naming::Ours => {
                let pins = self.pins.as_ref().ok_or(Error::NotRefreshed)?;
                pins.check_in_force(now)?;
                let root = self.set.root();
                let keys = root.role(ROLE);
                let keys = keys.ok_or_else(|| Error::UnknownRole(ROLE.to_owned()))?;
                let signers = (&*keys.keyids, keys.threshold);
                let authority = signed::authority(ROLE, &root.keys, signers)?;
                let pin = pins.get(ROLE).ok_or_else(|| not_pinned(ROLE))?;
                let targets = verify_targets(bytes, (ROLE, &authority), pin, now)?;
                self.targets = Some(Arc::new(targets.said));
            }
        }
        self.delegated.clear();
        Ok(())
    }

    fn forget_targets(&mut self) {
        self.targets = None;
        self.verified.clear();
        self.delegated.clear();
    }

    /// Takes a delegated role that the search came to.
    pub(crate) fn update_delegated(
        &mut self,
        bytes: &[u8],
        needed: &Needed,
        now: Timestamp,
    ) -> Result<(), Error> {
        strict::check(bytes)?;
        if self.naming == Naming::Ours {
            return self.take_delegated(bytes, needed, now);
        }
        self.set_mut()
            .update_delegated_targets(bytes, &needed.role, &needed.delegator, now)?;
        // Another delegator may have verified another file of this name; only the one just taken counts now.
        self.verified.retain(|(role, _)| *role != needed.role);
        self.verified
            .insert((needed.role.clone(), needed.delegator.clone()));
        Ok(())
    }

    fn take_delegated(
        &mut self,
        bytes: &[u8],
        needed: &Needed,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (role, delegator) = (&needed.role, &needed.delegator);
        if TOP_LEVEL.contains(&role.as_str()) {
            return Err(Error::Malformed(format!(
                "delegated role must not reuse top-level role name {role:?}"
            )));
        }
        let pins = self.pins.as_ref().ok_or(Error::NotRefreshed)?;
        pins.check_in_force(now)?;
        let claim = Claim {
            role,
            delegator,
            delegations: self
                .delegations(delegator)
                .ok_or_else(|| Error::UnknownRole(delegator.clone()))?,
            pin: pins.get(role).ok_or_else(|| not_pinned(role))?,
            now,
        };
        let mut verified = Delegated::verify(bytes, &claim)?;
        self.taken += 1;
        verified.taken = self.taken;
        let bins = self.delegated.iter();
        let bins = bins.filter(|(_, known)| !known.is_delegator());
        let oldest = bins.clone().min_by_key(|(_, known)| known.taken);
        // Not just any: who waits for one that was taken a moment ago must find it.
        if bins.count() >= BINS_HELD_MAX
            && let Some(oldest) = oldest.map(|(name, _)| name.clone())
        {
            self.delegated.remove(&oldest);
        }
        self.delegated.insert(role.clone(), Arc::new(verified));
        Ok(())
    }

    /// Takes over from an earlier state the delegated roles for which the same vouches now: the same root, the same
    /// targets role, and for each role, from there down, the same pin in the snapshot. They need not be read again.
    pub(crate) fn take_over(&mut self, earlier: &Self) {
        let targets = self.targets();
        let (Some(pins), Some(before)) = (&self.pins, &earlier.pins) else {
            return;
        };
        if self.naming != Naming::Ours
            || self.set.root_bytes() != earlier.set.root_bytes()
            || targets.is_none()
            || targets != earlier.targets()
        {
            return;
        }
        loop {
            let mut more = Vec::new();
            for (name, role) in &earlier.delegated {
                let pin = pins.get(name);
                // The very delegator: another of this name may name other keys.
                let is_vouched_for =
                    role.delegator == "targets" || self.same_as_earlier(earlier, &role.delegator);
                if is_vouched_for
                    && pin.is_some()
                    && pin == before.get(name)
                    && !self.delegated.contains_key(name)
                {
                    more.push((name.clone(), Arc::clone(role)));
                }
            }
            if more.is_empty() {
                return;
            }
            self.taken = self.taken.max(earlier.taken);
            self.delegated.extend(more);
        }
    }

    /// Whether a delegated role is the very one that the earlier state had.
    fn same_as_earlier(&self, earlier: &Self, role: &str) -> bool {
        let both = (self.delegated.get(role)).zip(earlier.delegated.get(role));
        both.is_some_and(|(now, before)| Arc::ptr_eq(now, before))
    }

    /// What the role `targets` says itself about a target, so that it takes the people who sign that one to say it.
    pub(crate) fn named_by_targets(&self, path: &str) -> Option<TargetFile> {
        self.targets()?.target(path).cloned()
    }

    /// The roles that vouch for a target, from the timestamp down, each with the version in its address; those below
    /// `targets` only where they were had.
    pub(crate) fn vouching(&self, path: &str) -> Vec<(String, Option<u64>)> {
        let mut roles = vec!["snapshot".to_owned(), "targets".to_owned()];
        let names = |role: &Delegated| matches!(role.target(path), Ok(Some(_)));
        if let Some((name, role)) = self.delegated.iter().find(|(_, role)| names(role)) {
            roles.extend([role.delegator.clone(), name.clone()]);
        }
        let version = |role: &str| {
            if role == "snapshot" {
                return self.snapshot_version();
            }
            Some(self.pins.as_ref()?.get(role)?.version)
        };
        let pinned = roles.into_iter().map(|role| {
            let version = version(&role);
            (role, version)
        });
        [("timestamp".to_owned(), None)]
            .into_iter()
            .chain(pinned)
            .collect()
    }

    fn delegations(&self, role: &str) -> Option<&Delegations> {
        match self.delegated.get(role) {
            Some(delegated) => delegated.delegations(),
            None => self.targets_role(role)?.delegations.as_ref(),
        }
    }

    /// A role that is held parsed: `targets`, and of other repositories than ours those below it.
    fn targets_role(&self, role: &str) -> Option<&Targets> {
        match role {
            "targets" => self.targets(),
            _ => self.set.targets_role(role),
        }
    }

    /// Whether the snapshot is the one that the timestamp pins, and the targets role the one that it pins in turn.
    pub(crate) fn is_complete(&self) -> bool {
        let (Some(pin), Some(pins), Some(targets)) =
            (self.snapshot_pin(), &self.pins, self.targets())
        else {
            return false;
        };
        pin.version == pins.version
            && pins.get("targets").map(|pin| pin.version) == Some(targets.version)
    }

    /// Whether everything that a target's authority rests on is in force at `now`.
    pub(crate) fn check_in_force(&self, now: Timestamp) -> Result<(), Error> {
        self.set.check_root_expired(now)?;
        self.set.check_timestamp_expired(now)?;
        if let Some(pins) = &self.pins {
            pins.check_in_force(now)?;
        }
        match self.targets().filter(|_| self.is_complete()) {
            Some(targets) if targets.is_expired(now) => Err(expired("targets", targets.expires)),
            Some(_) => Ok(()),
            None => Err(Error::NotRefreshed),
        }
    }

    /// Goes on with the search for a target: pre-order, depth first, as section 5.6.7 says.
    pub(crate) fn resolve(
        &mut self,
        path: &str,
        delegations_max: usize,
        now: Timestamp,
    ) -> Result<Step, Error> {
        self.check_in_force(now)?;
        let path_digest = Sha256::of(path.as_bytes()).to_hex();
        let mut waiting = vec![("targets".to_owned(), "root".to_owned())];
        let mut visited = HashSet::new();
        while let Some((role, delegator)) = waiting.pop() {
            if visited.contains(&role) {
                continue;
            }
            if visited.len() >= delegations_max && self.naming == Naming::Ours {
                return Err(Error::IntegrityMismatch(format!(
                    "the search for `{path}` leads through more than {delegations_max} roles"
                )));
            }
            if visited.len() >= delegations_max {
                tracing::warn!(
                    path,
                    delegations_max,
                    "the search for a target was given up: too many delegations"
                );
                break;
            }
            if role != "targets" {
                match self.pinned(&role, &delegator) {
                    // Nothing vouches for it: as if it were not delegated, where that may be so. In a tree of ours
                    // whatever it has would seem, signed, not to exist.
                    None if self.naming == Naming::Any => continue,
                    None => {
                        return Err(Error::IntegrityMismatch(format!(
                            "the role `{role}` is delegated to, and the snapshot does not name it"
                        )));
                    }
                    Some(needed) if !self.has(&role, &delegator) => {
                        return Ok(Step::Need(needed));
                    }
                    Some(_) => self.verify(&role, &delegator, now)?,
                }
            }
            if let Some(found) = self.says(&role, path)? {
                return Ok(Step::Found(found));
            }
            let mut children = Vec::new();
            for child in self.candidates(&role, &path_digest) {
                if TOP_LEVEL.contains(&child.name.as_str())
                    || !delegates(child, path, &path_digest)?
                {
                    continue;
                }
                children.push((child.name.clone(), role.clone()));
                if child.terminating {
                    waiting.clear();
                    break;
                }
            }
            waiting.extend(children.into_iter().rev());
            visited.insert(role);
        }
        Ok(Step::Absent)
    }

    /// Whether a role was had, by the word of this delegator.
    fn has(&self, role: &str, delegator: &str) -> bool {
        match self.naming {
            Naming::Any => self.set.targets_role(role).is_some(),
            Naming::Ours => {
                (self.delegated.get(role)).is_some_and(|had| had.delegator == delegator)
            }
        }
    }

    /// What a role that was had says about a target itself.
    fn says(&self, role: &str, path: &str) -> Result<Option<TargetFile>, Error> {
        if let Some(delegated) = self.delegated.get(role) {
            return delegated.target(path);
        }
        let targets = self.targets_role(role);
        let targets = targets.ok_or_else(|| Error::UnknownRole(role.to_owned()))?;
        Ok(targets.target(path).cloned())
    }

    /// The delegations of a role that may cover a path, in their order.
    fn candidates(&self, role: &str, path_digest: &str) -> &[DelegatedRole] {
        if let Some(delegated) = self.delegated.get(role) {
            return delegated.candidates(path_digest);
        }
        let delegations = self
            .targets_role(role)
            .and_then(|targets| targets.delegations.as_ref());
        delegations.map_or(&[], |delegations| &delegations.roles)
    }

    fn verify(&mut self, role: &str, delegator: &str, now: Timestamp) -> Result<(), Error> {
        if let Some(delegated) = self.delegated.get(role) {
            // Verified when it was taken; only time has passed since.
            return match delegated.expires {
                expires if expires < now => Err(expired(role, expires)),
                _ => Ok(()),
            };
        }
        let edge = (role.to_owned(), delegator.to_owned());
        if self.verified.contains(&edge) {
            let expires = self.set.targets_role(role).map(|targets| targets.expires);
            return match expires {
                Some(expires) if expires < now => Err(expired(role, expires)),
                _ => Ok(()),
            };
        }
        self.set.verify_delegated_targets(role, delegator, now)?;
        self.verified.insert(edge);
        Ok(())
    }

    fn pinned(&self, role: &str, delegator: &str) -> Option<Needed> {
        let pin = self.pins.as_ref()?.get(role)?;
        Some(Needed {
            role: role.to_owned(),
            delegator: delegator.to_owned(),
            version: pin.version,
            length_bytes: pin.length_bytes,
        })
    }
}

/// Versions of a timestamp, its own and the one it pins, begin with 1 (specification 4.2 to 4.6); the state machine takes
/// 0 as well. Everything else is pinned to be of one version.
fn check_versions(bytes: &[u8]) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Envelope {
        signed: Versions,
    }
    #[derive(Deserialize)]
    struct Versions {
        version: u64,
        meta: BTreeMap<String, Pin>,
    }
    #[derive(Deserialize)]
    struct Pin {
        version: u64,
    }
    let Versions { version, meta } = serde_json::from_slice::<Envelope>(bytes)?.signed;
    let mut versions = meta.values().map(|pin| pin.version).chain([version]);
    if versions.any(|version| version == 0) {
        return Err(Error::Malformed("a version is 0".to_owned()));
    }
    Ok(())
}

fn not_pinned(role: &str) -> Error {
    Error::Malformed(format!("snapshot does not pin {role}.json"))
}

fn expired(role: &str, expires: Timestamp) -> Error {
    Error::Expired {
        role: role.to_owned(),
        expires,
    }
}

/// Whether a delegation covers a path. The path's digest is computed once, not once for each of 8,192 bins.
fn delegates(role: &DelegatedRole, path: &str, path_digest: &str) -> Result<bool, Error> {
    role.path_hash_prefixes.as_ref().map_or_else(
        || role.matches_path(path),
        |prefixes| {
            Ok(prefixes
                .iter()
                .any(|prefix| path_digest.starts_with(prefix.as_str())))
        },
    )
}

#[cfg(test)]
mod tests;
