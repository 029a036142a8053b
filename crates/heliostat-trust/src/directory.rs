//! TUF metadata of a published list of mirrors: people sign who is on it, the prober's online key how everybody does.
//!
//! The list has a root of its own, made by the same ceremony as a notary's. From it everything else follows: the people
//! who sign roots sign `targets` and `directory-registry`, the online keys sign `directory-status`, the snapshot and the
//! timestamp. Whoever steals the online key can hold back or reorder, and never add a mirror.

use std::collections::BTreeMap;

use jiff::Timestamp as Instant;

use crate::check::{Problem, ProblemKind, Report};
use crate::error::TrustError;
use crate::metadata::{
    Delegation, Expiry, Pin, RoleName, Root, Scope, Snapshot, TargetFile, Targets, Timestamp,
    Version,
};

/// The role that says who is on the list, signed by people.
pub const REGISTRY_ROLE: &str = "directory-registry";
/// The role that says how everybody does, signed by the prober's online key.
pub const STATUS_ROLE: &str = "directory-status";
/// What people sign.
pub const REGISTRY_PATHS: [&str; 2] = ["v1/mirrors.json", "v1/policy.toml"];
/// What the online key signs.
pub const STATUS_PATHS: [&str; 3] = ["v1/status.json", "v1/history/*", "v1/evidence/*"];

/// The names of roles.
fn role(name: &str) -> RoleName {
    name.parse().expect("our own names are names")
}

/// The role `directory-registry`.
pub fn registry_role() -> RoleName {
    role(REGISTRY_ROLE)
}

/// The role `directory-status`.
pub fn status_role() -> RoleName {
    role(STATUS_ROLE)
}

/// The top-level role of a list under this root: it names no file itself and delegates to the two others.
pub fn targets(root: &Root, version: Version, expires: Expiry) -> Targets {
    let delegation = |name, paths: &[&str], authority: &crate::metadata::Authority| Delegation {
        name: role(name),
        authority: authority.clone(),
        scope: Scope::Paths(paths.iter().map(|&path| path.to_owned()).collect()),
        terminating: true,
    };
    Targets {
        role: RoleName::targets(),
        version,
        expires,
        targets: BTreeMap::new(),
        delegations: vec![
            delegation(REGISTRY_ROLE, &REGISTRY_PATHS, &root.targets),
            delegation(STATUS_ROLE, &STATUS_PATHS, &root.snapshot),
        ],
    }
}

/// A delegated role that names these files.
pub fn leaf(
    name: RoleName,
    version: Version,
    expires: Expiry,
    files: BTreeMap<String, TargetFile>,
) -> Targets {
    Targets {
        role: name,
        version,
        expires,
        targets: files,
        delegations: Vec::new(),
    }
}

/// What a publication's snapshot and timestamp are made of.
#[derive(Debug, Clone, Copy)]
pub struct Publication {
    /// The version of the role `targets`.
    pub targets: Version,
    /// The version of the role `directory-registry`.
    pub registry: Version,
    /// When it is made; seconds since 1970 are the version of what the online key signs, so that a publisher has to
    /// remember nothing.
    pub at: Instant,
    /// Until when what the online key signs holds.
    pub expires: Expiry,
}

impl Publication {
    /// The version of what the online key signs.
    ///
    /// # Errors
    /// [`TrustError::Expiry`] for a time before 1970, which is none for a publication.
    pub fn version(&self) -> Result<Version, TrustError> {
        u64::try_from(self.at.as_second())
            .ok()
            .and_then(Version::new)
            .ok_or_else(|| TrustError::Expiry(self.at.to_string()))
    }

    /// The snapshot.
    ///
    /// # Errors
    /// As [`Self::version`].
    pub fn snapshot(&self) -> Result<Snapshot, TrustError> {
        let version = self.version()?;
        Ok(Snapshot {
            version,
            expires: self.expires,
            roles: BTreeMap::from([
                (RoleName::targets(), Pin::version(self.targets)),
                (registry_role(), Pin::version(self.registry)),
                (status_role(), Pin::version(version)),
            ]),
            coverage: None,
        })
    }

    /// The timestamp over a snapshot's file.
    ///
    /// # Errors
    /// As [`Self::version`].
    pub fn timestamp(&self, snapshot: &[u8]) -> Result<Timestamp, TrustError> {
        let version = self.version()?;
        Ok(Timestamp {
            version,
            expires: self.expires,
            snapshot: Pin::exact(version, snapshot),
            signed_at: Some(self.at),
        })
    }
}

/// What is wrong with a list whose metadata was checked as of a time at which nothing had expired: whatever the check
/// found, and what has expired now. Of what people signed that is fatal. What the online key signed may be old: a client
/// then ranks by what it sees itself.
pub fn problems(report: &Report, now: Instant) -> Vec<(Problem, Weight)> {
    let expired = report
        .roles
        .iter()
        .filter(|found| found.expires.instant() < now)
        .map(|found| {
            let weight = match found.role.as_str() {
                "timestamp" | "snapshot" | STATUS_ROLE => Weight::Old,
                _ => Weight::Fatal,
            };
            let problem = Problem {
                file: found.role.clone(),
                kind: ProblemKind::Expired,
                reason: format!("expired {}", found.expires),
            };
            (problem, weight)
        });
    let present = |name: &str| report.roles.iter().any(|found| found.role == name);
    let absent = [REGISTRY_ROLE, STATUS_ROLE]
        .into_iter()
        .filter(|name| report.problems.is_empty() && !present(name))
        .map(|name| Problem {
            file: "targets.json".to_owned(),
            kind: ProblemKind::Missing,
            reason: format!("delegates to no role `{name}`, so this is no list of mirrors"),
        });
    // A list without its status is one whose prober is away: who is on it does not hang on that.
    let status_file = format!(".{STATUS_ROLE}.json");
    let weighed = |problem: Problem| {
        let is_old = problem.kind == ProblemKind::Missing && problem.file.ends_with(&status_file);
        let weight = if is_old { Weight::Old } else { Weight::Fatal };
        (problem, weight)
    };
    report
        .problems
        .iter()
        .cloned()
        .chain(absent)
        .map(weighed)
        .chain(expired)
        .collect()
}

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Nothing of the list can be believed.
    Fatal,
    /// Who is on the list is certain; how they do is old news.
    Old,
}
