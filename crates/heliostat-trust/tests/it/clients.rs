//! The other two who look at a repository: sigstore-tuf's state machine, and our own check.

use heliostat_trust::check::{Check, Limits, Report};
use heliostat_trust::metadata::ROLE_FIELD;
use sigstore_tuf::TrustedMetadataSet;

use crate::repository::{Files, now};

/// Digest and length of each target asked for, or why nothing is believed.
pub(crate) type Answer = Result<Vec<Option<(String, u64)>>, String>;

/// A client on sigstore-tuf that keeps its state, as python-tuf does.
#[derive(Debug)]
pub(crate) struct SigstoreClient {
    trusted: TrustedMetadataSet,
}

impl SigstoreClient {
    pub(crate) fn new(root: &[u8]) -> Self {
        heliostat_trust::crypto::install();
        let trusted = TrustedMetadataSet::from_root(root).unwrap();
        Self { trusted }
    }

    /// The client's walk of the specification, section 5; nothing of a refused refresh is kept.
    pub(crate) fn ask(&mut self, files: &Files, targets: &[&str]) -> Answer {
        let mut trusted = self.trusted.clone();
        let answer = walk(&mut trusted, files, targets).map_err(|error| error.to_string())?;
        self.trusted = trusted;
        Ok(answer)
    }
}

fn walk(
    trusted: &mut TrustedMetadataSet,
    files: &Files,
    targets: &[&str],
) -> Result<Vec<Option<(String, u64)>>, sigstore_tuf::Error> {
    let missing = |name: &str| sigstore_tuf::Error::Malformed(format!("no {name}"));
    let file = |name: String| files.get(&name).ok_or_else(|| missing(&name));
    while let Ok(next) = file(format!("{}.root.json", trusted.root().version + 1)) {
        trusted.update_root(next)?;
    }
    trusted.check_root_expired(now())?;
    match trusted.update_timestamp(file("timestamp.json".to_owned())?, now()) {
        Ok(()) | Err(sigstore_tuf::Error::EqualVersion { .. }) => {}
        Err(error) => return Err(error),
    }
    let pin = trusted
        .timestamp()
        .and_then(|timestamp| timestamp.snapshot_meta());
    let version = pin.ok_or_else(|| missing("snapshot"))?.version;
    trusted.update_snapshot(file(format!("{version}.snapshot.json"))?, now())?;
    let pinned = |trusted: &TrustedMetadataSet, role: &str| {
        let snapshot = trusted.snapshot().unwrap();
        let pin = snapshot.meta.get(&format!("{role}.json"));
        pin.map(|pin| format!("{}.{role}.json", pin.version))
            .ok_or_else(|| missing(role))
    };
    let name = pinned(trusted, "targets")?;
    trusted.update_targets(file(name)?, now())?;

    let mut found = Vec::new();
    for path in targets {
        // One line of roles is enough for what we write: targets, bins, a bin.
        let mut role = "targets".to_owned();
        let target = loop {
            let here = trusted.targets_role(&role).unwrap();
            if let Some(target) = here.target(path) {
                break Some((target.hashes["sha256"].clone(), target.length));
            }
            let below = here.delegations.iter().flat_map(|some| &some.roles);
            let mut next = None;
            for delegation in below {
                if delegation.matches_path(path)? {
                    next = Some(delegation.name.clone());
                    break;
                }
            }
            let Some(next) = next else {
                break None;
            };
            let name = pinned(trusted, &next)?;
            let targets = trusted.update_delegated_targets(file(name)?, &next, &role, now())?;
            let said = targets.extra.get(ROLE_FIELD).and_then(|name| name.as_str());
            if said != Some(&next) {
                let reason = format!("{said:?} in the place of {next}");
                return Err(sigstore_tuf::Error::Malformed(reason));
            }
            role = next;
        };
        found.push(target);
    }
    Ok(found)
}

/// Our check of everything, for somebody who saw these files before.
pub(crate) fn check(root: &[u8], known: Option<&Files>, files: &Files) -> Report {
    let mut check = Check::begin(root, now(), Limits::default()).unwrap();
    if let Some(known) = known {
        let snapshot = known
            .iter()
            .rev()
            .find(|(name, _)| name.ends_with(".snapshot.json"));
        check.with_known(
            &known["timestamp.json"],
            snapshot.map(|(_, bytes)| bytes.as_slice()),
        );
    }
    while let Some(wanted) = check.wanted() {
        check.take(files.get(&wanted.file).map(Vec::as_slice));
    }
    check.finish()
}
