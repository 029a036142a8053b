//! Sigstore's trusted root as a signed tree carries it: found by the tree's metadata, verified against the tree's root.

use std::path::Path;
use std::time::Duration;

use heliostat_pypi::{RelPath, Sha256};
use heliostat_store::{Foreign, Store};
use heliostat_trust::attest::{ATTEST_LIMITS, TRUSTED_ROOT_TARGET, embedded_trusted_root};
use heliostat_trust::check::{Check, Limits, ProblemKind, Wanted};
use heliostat_trust::metadata::TargetFile;
use heliostat_upstream::{Coding, Upstream, UpstreamError};
use jiff::Timestamp;
use url::Url;

use crate::error::EngineError;
use crate::publish::{named_by_targets, trusted_root_path};

/// How long one file of an upstream may take.
const FILE_DEADLINE: Duration = Duration::from_mins(2);

/// Sigstore's trusted root out of the signed tree at `tree`, where `tuf/` is; `None` where its `targets` names none.
/// Blocking. `now` is in seconds since 1970.
///
/// # Errors
/// [`EngineError::UntrustedTree`] where the metadata that leads to it does not verify or has expired, or where the file is
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
    let mut trail = Trail::begin(root, now)?;
    while let Some(wanted) = trail.wanted() {
        let bytes = read(&format!("tuf/{}", wanted.file), wanted.max_bytes)?;
        trail.take(bytes.as_deref());
    }
    let Some(file) = trail.end().map_err(of_tree)? else {
        return Ok(None);
    };
    let place = consistent(file.sha256);
    let bytes = read(&place, file.size_bytes)?;
    checked(&file, bytes).map(Some).map_err(of_tree)
}

/// The same about a tree on disk.
fn of_tree(error: EngineError) -> EngineError {
    match error {
        EngineError::Untrusted { reason } => EngineError::UntrustedTree { reason },
        other => other,
    }
}

/// The same of a signed mirror, asked as an upstream.
///
/// # Errors
/// Those of [`signed_trusted_root`], and where the mirror cannot be asked.
pub async fn trusted_root_of_mirror(
    upstream: &Upstream,
    root: &[u8],
    now: i64,
) -> Result<Option<Vec<u8>>, EngineError> {
    let tree = tree_of(upstream)?;
    let mut trail = Trail::begin(root, now)?;
    while let Some(wanted) = trail.wanted() {
        let bytes = fetch_metadata(upstream, &tree, &wanted).await?;
        trail.take(bytes.as_deref());
    }
    match trail.end()? {
        Some(file) => fetch(upstream, &file).await.map(Some),
        None => Ok(None),
    }
}

/// The one that the signed state of this mirror's own tree names, which was verified when it was put there; `None` where
/// nobody signs it or it names none.
///
/// # Errors
/// [`EngineError::UntrustedTree`] where the file is not the one that was signed, and not the one that this program was built
/// with.
pub fn held_trusted_root(store: &Store) -> Result<Option<Vec<u8>>, EngineError> {
    let named = match store.notary()? {
        Some(_) => named_by_targets(store)?,
        None => None,
    };
    let Some(file) = named else {
        return Ok(None);
    };
    let built_in = embedded_trusted_root();
    if Sha256::of(built_in) == file.sha256 {
        return Ok(Some(built_in.to_vec()));
    }
    let held = held_copy(store, &file)?;
    let place = consistent(file.sha256);
    held.map(Some)
        .ok_or_else(|| of_tree(untrusted(&place, "it is not there, or not what was signed; `heliostat trust install FILE` puts it back, `sync --root` of a mirror \
             as well, and `--trusted-root FILE` does without")))
}

/// The trusted root that is named, where the tree has those very bytes.
pub(crate) fn held_copy(store: &Store, file: &TargetFile) -> Result<Option<Vec<u8>>, EngineError> {
    // Whatever stands there is read as long as it may be one at all: another length is another file.
    let limit = ATTEST_LIMITS.trusted_root_bytes_max as u64;
    Ok(store.read_target(&trusted_root_path()?, file.sha256, limit)?)
}

/// An upstream's trusted root, as verified metadata names it.
pub(crate) async fn fetch(upstream: &Upstream, file: &TargetFile) -> Result<Vec<u8>, EngineError> {
    let place = consistent(file.sha256);
    let url = tree_of(upstream)?.join(&place);
    let url = url.map_err(|_| untrusted(&place, "it has no address"))?;
    let limit = file
        .size_bytes
        .min(ATTEST_LIMITS.trusted_root_bytes_max as u64);
    let got = upstream
        .get(&url, limit, Coding::Compressed, FILE_DEADLINE)
        .await?;
    checked(file, Some(got.body.to_vec()))
}

/// A metadata file of a signed upstream; `None` where it has none of this name.
pub(crate) async fn fetch_metadata(
    upstream: &Upstream,
    tree: &Url,
    wanted: &Wanted,
) -> Result<Option<Vec<u8>>, EngineError> {
    let mut url = tree.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push("tuf").push(&wanted.file);
    }
    let got = upstream
        .get(&url, wanted.max_bytes, Coding::Compressed, FILE_DEADLINE)
        .await;
    match got {
        Ok(plain) => Ok(Some(plain.body.to_vec())),
        Err(UpstreamError::Answer {
            status: 404 | 410, ..
        }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Where an upstream's tree begins.
pub(crate) fn tree_of(upstream: &Upstream) -> Result<Url, EngineError> {
    upstream.tree().ok_or_else(|| EngineError::Metadata {
        file: "tuf/timestamp.json".to_owned(),
        reason: "the upstream's address has no place for a tree above it".to_owned(),
    })
}

/// The way from a root to `targets`.
struct Trail {
    check: Check,
    named: Option<TargetFile>,
}

impl Trail {
    fn begin(root: &[u8], now: i64) -> Result<Self, EngineError> {
        let now = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Self {
            check: Check::begin(root, now, Limits::default())?,
            named: None,
        })
    }

    /// The next file that is needed.
    fn wanted(&self) -> Option<Wanted> {
        let wanted = self.check.wanted();
        wanted.filter(|wanted| leads_to_it(&wanted.file))
    }

    fn take(&mut self, bytes: Option<&[u8]>) {
        self.check.take(bytes);
        let mut targets = self.check.take_targets().into_iter();
        self.named = self.named.take().or_else(|| {
            let found = targets.find(|(path, _)| path == TRUSTED_ROOT_TARGET);
            found.map(|(_, file)| file)
        });
    }

    /// What `targets` names, where nothing on the way is wrong.
    fn end(self) -> Result<Option<TargetFile>, EngineError> {
        let report = self.check.finish();
        let mut wrong = report
            .problems
            .iter()
            .filter(|problem| problem.kind != ProblemKind::Odd);
        if let Some(problem) = wrong.next() {
            return Err(untrusted(&format!("tuf/{}", problem.file), &problem.reason));
        }
        match self.named {
            Some(file) if file.size_bytes > ATTEST_LIMITS.trusted_root_bytes_max as u64 => {
                Err(untrusted(TRUSTED_ROOT_TARGET, "it is larger than 1 MiB"))
            }
            named => Ok(named),
        }
    }
}

/// The bytes, where they are those that were signed.
fn checked(file: &TargetFile, bytes: Option<Vec<u8>>) -> Result<Vec<u8>, EngineError> {
    let place = consistent(file.sha256);
    match bytes {
        None => Err(untrusted(&place, "it is signed and not there")),
        Some(bytes) if Sha256::of(&bytes) != file.sha256 => {
            Err(untrusted(&place, "it is not what was signed"))
        }
        Some(bytes) => Ok(bytes),
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
