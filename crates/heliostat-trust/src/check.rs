//! The check of a whole repository: every role, every bin, what each says of which target. Lists all problems.
//!
//! Does no I/O: it says which file it wants next and is handed its bytes, so that a directory, an HTTP server and a
//! bundle are checked by the same code. Clients verify what they need through `sigstore-tuf`; this verifies all there
//! is, the bins with code of our own.

use std::collections::VecDeque;
use std::fmt;

use jiff::Timestamp as Instant;
use sigstore_tuf::TrustedMetadataSet;

use crate::bins::{Bin, BinCount};
use crate::error::TrustError;
use crate::metadata::{
    Coverage, Delegation, Expiry, Metadata, RoleName, Root, Scope, Signed, Snapshot, TargetFile,
    Targets, Timestamp, Version,
};

/// What metadata files may weigh.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A root, in bytes.
    pub root_bytes: u64,
    /// A timestamp, in bytes.
    pub timestamp_bytes: u64,
    /// A snapshot, in bytes: 65,536 bins take 3 MB, and as much again for those before a re-binning.
    pub snapshot_bytes: u64,
    /// Any targets role, in bytes: the delegation to 65,536 bins takes 14 MB.
    pub targets_bytes: u64,
    /// Roots after the trusted one.
    pub roots: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            root_bytes: 512_000,
            timestamp_bytes: 16_384,
            snapshot_bytes: 8_000_000,
            targets_bytes: 32_000_000,
            roots: 1_024,
        }
    }
}

/// A file that the check wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name below `tuf/`.
    pub file: String,
    /// More bytes need not be read.
    pub max_bytes: u64,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file below `tuf/` that it is about.
    pub file: String,
    /// What kind of thing.
    pub kind: ProblemKind,
    /// What exactly.
    pub reason: String,
}

/// Kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// A file that others name is not there.
    Missing,
    /// It could not be read.
    Unread,
    /// Past its expiry: the tree may only be old.
    Expired,
    /// Not what was signed, or not by enough of the right keys.
    Invalid,
    /// Properly signed, but not what a notary of ours writes: parts of it no client would find.
    Odd,
}

/// A role's file as it was found valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name of the role: `root`, `timestamp`, `snapshot`, or a targets role's.
    pub role: String,
    /// The version.
    pub version: Version,
    /// Its expiry.
    pub expires: Expiry,
}

/// What the check came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// Every role that is valid, in the order in which clients come across them.
    pub roles: Vec<Found>,
    /// The last root of the chain.
    pub root: Root,
    /// The number of bins, where the `bins` role is valid.
    pub bins: Option<BinCount>,
    /// Targets that valid bins and roles name.
    pub targets: u64,
    /// What the tree claims to hold.
    pub coverage: Option<Coverage>,
    /// The snapshot, where it is valid.
    pub snapshot: Option<Snapshot>,
}

/// A check under way.
#[derive(Debug)]
pub struct Check {
    trusted: TrustedMetadataSet,
    root: Root,
    now: Instant,
    limits: Limits,
    step: Step,
    /// Delegated roles still to be seen.
    queue: VecDeque<Delegation>,
    snapshot: Option<Snapshot>,
    /// A timestamp and snapshot that were seen before, until the last root is known.
    known: Option<(Vec<u8>, Option<Vec<u8>>)>,
    fresh_targets: Vec<(String, TargetFile)>,
    report: Report,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Root,
    Timestamp,
    Snapshot,
    Targets,
    Delegated,
    Done,
}

impl Check {
    /// Begins with a root that is trusted because of where it comes from.
    ///
    /// # Errors
    /// [`TrustError`] where it is not a root that is signed by its own keys.
    pub fn begin(trusted_root: &[u8], now: Instant, limits: Limits) -> Result<Self, TrustError> {
        crate::crypto::install();
        let root = Signed::<Root>::read(trusted_root)?;
        let authority = &root.value.root;
        authority.check("root", &root.canonical, &root.signatures)?;
        let trusted = TrustedMetadataSet::from_root(trusted_root).map_err(|error| {
            TrustError::ReadMetadata {
                role: "root",
                reason: crate::keys::shown_long(&error.to_string()),
            }
        })?;
        let report = Report {
            problems: Vec::new(),
            roles: Vec::new(),
            root: root.value.clone(),
            bins: None,
            targets: 0,
            coverage: None,
            snapshot: None,
        };
        Ok(Self {
            trusted,
            root: root.value,
            now,
            limits,
            step: Step::Root,
            queue: VecDeque::new(),
            snapshot: None,
            known: None,
            fresh_targets: Vec::new(),
            report,
        })
    }

    /// With the state that somebody saw before: nothing may be older than that. Metadata that the current keys did
    /// not sign is no such state and is left out, as clients do.
    pub fn with_known(&mut self, timestamp: &[u8], snapshot: Option<&[u8]>) {
        self.known = Some((timestamp.to_vec(), snapshot.map(<[u8]>::to_vec)));
        if self.step != Step::Root {
            self.begin_with_known();
        }
    }

    /// Only the last root says whose signatures count, and each root makes the set forget what came before it.
    fn begin_with_known(&mut self) {
        let long_ago = Instant::UNIX_EPOCH;
        if let Some((timestamp, snapshot)) = self.known.take()
            && self.trusted.update_timestamp(&timestamp, long_ago).is_ok()
            && let Some(snapshot) = snapshot
        {
            // One that does not belong to this timestamp is left out.
            let _no_floor = self.trusted.update_snapshot(&snapshot, long_ago);
        }
    }

    /// The file it wants to see next; nothing once it is done.
    pub fn wanted(&self) -> Option<Wanted> {
        let limits = &self.limits;
        let pinned = |name: &RoleName| {
            let pin = self.snapshot.as_ref()?.roles.get(name)?;
            Some(name.file(pin.version))
        };
        let (file, max_bytes) = match self.step {
            Step::Root => (
                format!("{}.root.json", self.root.version.next()),
                limits.root_bytes,
            ),
            Step::Timestamp => ("timestamp.json".to_owned(), limits.timestamp_bytes),
            Step::Snapshot => {
                let version = self.trusted.timestamp()?.snapshot_meta()?.version;
                (format!("{version}.snapshot.json"), limits.snapshot_bytes)
            }
            Step::Targets => (pinned(&RoleName::targets())?, limits.targets_bytes),
            Step::Delegated => (pinned(&self.queue.front()?.name)?, limits.targets_bytes),
            Step::Done => return None,
        };
        Some(Wanted { file, max_bytes })
    }

    /// Whether it still goes along the roots, and the last one that it took was right.
    pub fn is_at_roots(&self) -> bool {
        self.step == Step::Root
    }

    /// The file it wants to see next and those that it is sure to want then, so that they can be fetched at once: the
    /// first of so many delegated roles.
    pub fn wanted_ahead(&self, files_max: usize) -> Vec<Wanted> {
        if self.step != Step::Delegated {
            return self.wanted().into_iter().collect();
        }
        let pins = self.snapshot.as_ref().map(|snapshot| &snapshot.roles);
        let next = self.queue.iter().take(files_max.max(1));
        next.filter_map(|delegation| {
            let pin = pins?.get(&delegation.name)?;
            Some(Wanted {
                file: delegation.name.file(pin.version),
                max_bytes: self.limits.targets_bytes,
            })
        })
        .collect()
    }

    /// Takes that the file that was wanted is there and cannot be taken, and why.
    pub fn refuse(&mut self, kind: ProblemKind, reason: &str) {
        if let Some(wanted) = self.wanted() {
            let reason = crate::keys::shown_long(reason);
            self.problem(&wanted.file, kind, reason);
            self.skip();
        }
    }

    /// Takes the file that was wanted, or that it is not there.
    pub fn take(&mut self, bytes: Option<&[u8]>) {
        let Some(wanted) = self.wanted() else {
            return;
        };
        let Some(bytes) = bytes else {
            return self.missing(&wanted.file);
        };
        if bytes.len() as u64 > wanted.max_bytes {
            let reason = format!("larger than {} bytes", wanted.max_bytes);
            self.problem(&wanted.file, ProblemKind::Invalid, reason);
            return self.skip();
        }
        match self.step {
            Step::Root => self.take_root(&wanted.file, bytes),
            Step::Timestamp => self.take_timestamp(&wanted.file, bytes),
            Step::Snapshot => self.take_snapshot(&wanted.file, bytes),
            Step::Targets => self.take_targets_role(&wanted.file, bytes),
            Step::Delegated => self.take_delegated(&wanted.file, bytes),
            Step::Done => {}
        }
    }

    /// The targets of the role that was taken last: the caller compares the files of the tree.
    pub fn take_targets(&mut self) -> Vec<(String, TargetFile)> {
        std::mem::take(&mut self.fresh_targets)
    }

    /// What it came to.
    pub fn finish(self) -> Report {
        Report {
            snapshot: self.snapshot,
            ..self.report
        }
    }

    fn take_root(&mut self, file: &str, bytes: &[u8]) {
        let step = self
            .trusted
            .update_root(bytes)
            .map_err(|error| invalid(&error))
            .and_then(|()| Signed::<Root>::read(bytes).map_err(|error| invalid(&error)));
        match step {
            Ok(root) => {
                self.root = root.value;
                let newer = self.root.version.get() - self.report.root.version.get();
                if newer >= u64::from(self.limits.roots) {
                    let reason = format!("more than {} roots", self.limits.roots);
                    self.problem(file, ProblemKind::Invalid, reason);
                    self.step = Step::Done;
                }
            }
            Err((kind, reason)) => {
                self.problem(file, kind, reason);
                self.step = Step::Done;
            }
        }
    }

    fn take_timestamp(&mut self, file: &str, bytes: &[u8]) {
        match self.trusted.update_timestamp(bytes, self.now) {
            Ok(()) | Err(sigstore_tuf::Error::EqualVersion { .. }) => {
                self.step = Step::Snapshot;
                if let Ok(signed) = Signed::<Timestamp>::read(bytes) {
                    self.found("timestamp", &signed.value);
                }
            }
            Err(error) => {
                let (kind, reason) = invalid(&error);
                self.problem(file, kind, reason);
                self.step = Step::Done;
            }
        }
    }

    fn take_snapshot(&mut self, file: &str, bytes: &[u8]) {
        let step = self
            .trusted
            .update_snapshot(bytes, self.now)
            .map_err(|error| invalid(&error))
            .and_then(|()| Signed::<Snapshot>::read(bytes).map_err(|error| invalid(&error)));
        match step {
            Ok(snapshot) => {
                self.report.coverage.clone_from(&snapshot.value.coverage);
                self.found("snapshot", &snapshot.value);
                self.snapshot = Some(snapshot.value);
                self.step = Step::Targets;
            }
            Err((kind, reason)) => {
                self.problem(file, kind, reason);
                self.step = Step::Done;
            }
        }
    }

    fn take_targets_role(&mut self, file: &str, bytes: &[u8]) {
        let step = self
            .trusted
            .update_targets(bytes, self.now)
            .map(|_targets| ())
            .map_err(|error| invalid(&error))
            .and_then(|()| Signed::<Targets>::read(bytes).map_err(|error| invalid(&error)));
        self.step = Step::Done;
        match step {
            Ok(targets) if targets.value.role != RoleName::targets() => {
                let reason = format!(
                    "it is `{}` in the place of another role",
                    targets.value.role
                );
                self.problem(file, ProblemKind::Invalid, reason);
            }
            Ok(targets) => {
                self.found("targets", &targets.value);
                self.enter(file, &RoleName::targets(), targets.value);
            }
            Err((kind, reason)) => self.problem(file, kind, reason),
        }
    }

    /// A delegated role: signed by whom the delegation names, of the version that the snapshot names.
    fn take_delegated(&mut self, file: &str, bytes: &[u8]) {
        let Some(delegation) = self.queue.pop_front() else {
            return;
        };
        let pin = self
            .snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.roles.get(&delegation.name).copied());
        let verified = Signed::<Targets>::read(bytes).and_then(|signed| {
            let name = delegation.name.as_str();
            delegation
                .authority
                .check(name, &signed.canonical, &signed.signatures)?;
            Ok(signed.value)
        });
        let targets = match verified {
            Ok(targets) => targets,
            Err(error) => {
                let (kind, reason) = invalid(&error);
                self.problem(file, kind, reason);
                return self.settle();
            }
        };
        if pin.is_none_or(|pin| {
            pin.version != targets.version
                || pin.file.is_some_and(|file| file != TargetFile::of(bytes))
        }) {
            let reason = "not the version that the snapshot names".to_owned();
            self.problem(file, ProblemKind::Invalid, reason);
        } else if targets.role != delegation.name {
            let reason = format!("it is `{}` in the place of another role", targets.role);
            self.problem(file, ProblemKind::Invalid, reason);
        } else if targets.expires.instant() < self.now {
            self.problem(
                file,
                ProblemKind::Expired,
                format!("expired {}", targets.expires),
            );
        } else {
            self.found(delegation.name.as_str(), &targets);
            self.odd_targets(file, &delegation, &targets);
            self.enter(file, &delegation.name, targets);
        }
        self.settle();
    }

    /// Takes over what a valid targets role says: its targets, and the roles below it.
    fn enter(&mut self, file: &str, name: &RoleName, targets: Targets) {
        if *name == RoleName::bins() {
            self.report.bins = BinCount::of_delegations(&targets.delegations);
            if self.report.bins.is_none() {
                let reason = "the bins do not cover every target exactly once".to_owned();
                self.problem(file, ProblemKind::Odd, reason);
            }
        }
        self.report.targets += targets.targets.len() as u64;
        self.fresh_targets.extend(targets.targets);
        // Bins delegate no further, and nothing is asked twice: a circle of roles ends.
        if Bin::of_role(name).is_none() {
            for delegation in targets.delegations {
                if self.seen(&delegation.name) {
                    let reason = format!("`{}` is delegated to more than once", delegation.name);
                    self.problem(file, ProblemKind::Odd, reason);
                } else {
                    self.queue.push_back(delegation);
                }
            }
        }
        self.settle();
    }

    fn seen(&self, name: &RoleName) -> bool {
        // Bins are thousands and come from one role, whose names are all different.
        Bin::of_role(name).is_none()
            && (self
                .report
                .roles
                .iter()
                .any(|role| role.role == name.as_str())
                || self.queue.iter().any(|queued| queued.name == *name))
    }

    /// Targets in a role where no client would look for them.
    fn odd_targets(&mut self, file: &str, delegation: &Delegation, targets: &Targets) {
        let misplaced: Vec<_> = targets
            .targets
            .keys()
            .filter(|path| !in_scope(&delegation.scope, path))
            .cloned()
            .collect();
        for path in misplaced {
            let reason = format!("`{}` does not belong into this role", path.escape_debug());
            self.problem(file, ProblemKind::Odd, reason);
        }
        if !targets.delegations.is_empty() && Bin::of_role(&delegation.name).is_some() {
            self.problem(file, ProblemKind::Odd, "a bin delegates further".to_owned());
        }
    }

    /// Goes on to the next role that the snapshot names; tells of those that it does not.
    fn settle(&mut self) {
        self.step = Step::Delegated;
        while let Some(next) = self.queue.front() {
            let pinned = self
                .snapshot
                .as_ref()
                .is_some_and(|snapshot| snapshot.roles.contains_key(&next.name));
            if pinned {
                return;
            }
            let name = next.name.clone();
            self.queue.pop_front();
            let reason = format!("the snapshot does not name `{name}`");
            self.problem("snapshot.json", ProblemKind::Invalid, reason);
        }
        self.step = Step::Done;
    }

    fn missing(&mut self, file: &str) {
        if self.step == Step::Root {
            // No newer root: the end of the chain.
            self.step = Step::Timestamp;
            self.begin_with_known();
            self.report.root = self.root.clone();
            self.report.roles.push(Found {
                role: "root".to_owned(),
                version: self.root.version,
                expires: self.root.expires,
            });
            if self.root.expires.instant() < self.now {
                let reason = format!("expired {}", self.root.expires);
                self.problem(&self.root.file(), ProblemKind::Expired, reason);
            }
            return;
        }
        self.problem(
            file,
            ProblemKind::Missing,
            "there is no such file".to_owned(),
        );
        self.skip();
    }

    /// Goes on after a file that cannot be used.
    fn skip(&mut self) {
        if self.step == Step::Delegated {
            self.queue.pop_front();
            self.settle();
        } else {
            self.step = Step::Done;
        }
    }

    fn found(&mut self, role: &str, value: &impl Metadata) {
        self.report.roles.push(Found {
            role: role.to_owned(),
            version: value.version(),
            expires: value.expires(),
        });
    }

    fn problem(&mut self, file: &str, kind: ProblemKind, reason: String) {
        self.report.problems.push(Problem {
            file: file.to_owned(),
            kind,
            reason,
        });
    }
}

impl Report {
    /// Whether nothing at all is wrong.
    pub fn is_fine(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.reason)
    }
}

/// Whether a delegation holds for a path; patterns as TUF has them, of which we write `*` for one segment only.
fn in_scope(scope: &Scope, path: &str) -> bool {
    match scope {
        Scope::HashPrefixes(prefixes) => {
            let digest = heliostat_pypi::Sha256::of(path.as_bytes()).to_hex();
            prefixes
                .iter()
                .any(|prefix| digest.starts_with(prefix.as_str()))
        }
        Scope::Paths(patterns) => patterns.iter().any(|pattern| {
            let segments: Vec<_> = path.split('/').collect();
            let wanted: Vec<_> = pattern.split('/').collect();
            segments.len() == wanted.len()
                && segments
                    .iter()
                    .zip(&wanted)
                    .all(|(segment, wanted)| *wanted == "*" || wanted == segment)
        }),
    }
}

fn invalid(error: &(impl std::error::Error + 'static)) -> (ProblemKind, String) {
    let error: &(dyn std::error::Error + 'static) = error;
    let expired = matches!(
        error.downcast_ref::<sigstore_tuf::Error>(),
        Some(sigstore_tuf::Error::Expired { .. })
    );
    let kind = if expired {
        ProblemKind::Expired
    } else {
        ProblemKind::Invalid
    };
    (kind, crate::keys::shown_long(&error.to_string()))
}
