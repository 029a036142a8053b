//! Sigstore's trusted root as a signed tree carries it: found by the tree's metadata, verified against the tree's root.

use std::path::Path;

use heliostat_pypi::{RelPath, Sha256};
use heliostat_store::Foreign;
use heliostat_trust::attest::{ATTEST_LIMITS, TRUSTED_ROOT_TARGET};
use heliostat_trust::check::{Check, Limits, ProblemKind};
use heliostat_trust::metadata::TargetFile;
use jiff::Timestamp;

use crate::error::EngineError;

/// Sigstore's trusted root out of the signed tree at `tree`, where `tuf/` is; `None` where its `targets` names none.
/// Blocking. `now` is in seconds since 1970.
///
/// # Errors
/// [`EngineError::Untrusted`] where the metadata that leads to it does not verify or has expired, or where the file is
/// not the one that was signed.
pub fn signed_trusted_root(
    tree: &Path,
    root: &[u8],
    now: i64,
) -> Result<Option<Vec<u8>>, EngineError> {
    let tree = Foreign::new(tree);
    let read = |path: &str, limit_bytes: u64| match path.parse::<RelPath>() {
        // One byte more is read than is allowed, so that what is too long is seen to be.
        Ok(path) => tree.read(&path, limit_bytes.saturating_add(1)),
        Err(_) => Ok(None),
    };
    let now = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut check = Check::begin(root, now, Limits::default())?;
    let mut named: Option<TargetFile> = None;
    while let Some(wanted) = check.wanted().filter(|wanted| leads_to_it(&wanted.file)) {
        let bytes = read(&format!("tuf/{}", wanted.file), wanted.max_bytes)?;
        check.take(bytes.as_deref());
        let mut targets = check.take_targets().into_iter();
        named = named.or(targets
            .find(|(path, _)| path == TRUSTED_ROOT_TARGET)
            .map(|(_, file)| file));
    }
    let report = check.finish();
    let mut wrong = report
        .problems
        .iter()
        .filter(|problem| problem.kind != ProblemKind::Odd);
    if let Some(problem) = wrong.next() {
        return Err(untrusted(&format!("tuf/{}", problem.file), &problem.reason));
    }
    let Some(file) = named else {
        return Ok(None);
    };
    if file.size_bytes > ATTEST_LIMITS.trusted_root_bytes_max as u64 {
        return Err(untrusted(TRUSTED_ROOT_TARGET, "it is larger than 1 MiB"));
    }
    let place = consistent(file.sha256);
    match read(&place, file.size_bytes)? {
        None => Err(untrusted(&place, "it is signed and not there")),
        Some(bytes) if Sha256::of(&bytes) != file.sha256 => {
            Err(untrusted(&place, "it is not what was signed"))
        }
        Some(bytes) => Ok(Some(bytes)),
    }
}

/// The address of a trusted root below a tree, with its digest (TUF's consistent snapshots).
pub(crate) fn consistent(sha256: Sha256) -> String {
    let (directory, name) = TRUSTED_ROOT_TARGET
        .rsplit_once('/')
        .unwrap_or(("", TRUSTED_ROOT_TARGET));
    format!("{directory}/{sha256}.{name}")
}

/// Whether a metadata file stands on the way from the root to `targets`.
fn leads_to_it(file: &str) -> bool {
    let of = |role: &str| {
        let version = file
            .strip_suffix(role)
            .and_then(|rest| rest.strip_suffix('.'));
        version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
    };
    file == "timestamp.json" || of("root.json") || of("snapshot.json") || of("targets.json")
}

fn untrusted(file: &str, reason: &str) -> EngineError {
    EngineError::Untrusted {
        reason: format!("{file}: {reason}"),
    }
}
