//! Signed metadata that somebody else made: what our tree has of it, and how it is put there as it is.
//!
//! Knows nothing of where it comes from: a mirror or a bundle.

use std::collections::BTreeMap;

use heliostat_pypi::{ProjectName, Sha256};
use heliostat_store::{MetadataFile, MetadataStep, Places, Publication, RoleState, Store};
use heliostat_trust::attest::TRUSTED_ROOT_TARGET;
use heliostat_trust::check::{Check, Limits, ProblemKind, Report};
use heliostat_trust::metadata::{Root, Signed, TargetFile};

use crate::error::EngineError;
use crate::publish::Lives;

/// Problems named in an error; the rest are counted.
const PROBLEMS_SHOWN: usize = 3;

/// The one metadata file that changes under its name.
pub(crate) const TIMESTAMP: &str = "timestamp.json";

/// Digest and size of every signed page.
pub(crate) type SignedPages = BTreeMap<ProjectName, (Sha256, u64)>;

/// What verified metadata says, and its files.
#[derive(Debug)]
pub(crate) struct Proven {
    /// Every signed page.
    pub(crate) pages: SignedPages,
    /// What the check came to: nothing wrong.
    pub(crate) report: Report,
    /// The files that our tree lacks, and the timestamp.
    pub(crate) files: Vec<MetadataFile>,
    /// Sigstore's trusted root, as `targets` names it.
    pub(crate) trusted_root: Option<TargetFile>,
    /// Digest and size of every file.
    seen: BTreeMap<String, (Sha256, u64)>,
}

/// What a check has seen so far.
#[derive(Debug)]
pub(crate) struct Gathered {
    pages: SignedPages,
    trusted_root: Option<TargetFile>,
    files: Vec<MetadataFile>,
    seen: BTreeMap<String, (Sha256, u64)>,
}

impl Gathered {
    /// Begins with the root that is trusted from outside; the tree is to have it as well.
    pub(crate) fn new(store: &Store, root: &[u8]) -> Result<Self, EngineError> {
        let version = Signed::<Root>::read(root)?.value.version;
        let name = format!("{version}.root.json");
        let held = store.read_metadata(&name, Limits::default().root_bytes)?;
        let mut gathered = Self {
            pages: SignedPages::new(),
            trusted_root: None,
            files: Vec::new(),
            seen: BTreeMap::new(),
        };
        gathered.file(name, root.to_vec(), held.as_deref());
        Ok(gathered)
    }

    /// Hands a file to the check; `held` is what our tree has under its name.
    pub(crate) fn take(
        &mut self,
        check: &mut Check,
        file: String,
        (bytes, held): (Option<Vec<u8>>, Option<&[u8]>),
    ) {
        check.take(bytes.as_deref());
        for (path, page) in check.take_targets() {
            if let Some(name) = project_of(&path) {
                self.pages.insert(name, (page.sha256, page.size_bytes));
            } else if path == TRUSTED_ROOT_TARGET {
                self.trusted_root = Some(page);
            }
        }
        if let Some(bytes) = bytes {
            self.file(file, bytes, held);
        }
    }

    fn file(&mut self, name: String, bytes: Vec<u8>, held: Option<&[u8]>) {
        let digest = (Sha256::of(&bytes), bytes.len() as u64);
        self.seen.insert(name.clone(), digest);
        if name == TIMESTAMP || held != Some(&bytes) {
            self.files.push(MetadataFile { name, bytes });
        }
    }

    /// What was gathered, once the check is through and nothing is wrong.
    pub(crate) fn proven(self, report: Report) -> Proven {
        Proven {
            pages: self.pages,
            report,
            files: self.files,
            trusted_root: self.trusted_root,
            seen: self.seen,
        }
    }
}

/// What is wrong with metadata, in a line; `None` where nothing is.
pub(crate) fn wrong(report: &Report) -> Option<String> {
    // A next root that is not there is how the walk along the roots ends, and is told as no problem.
    let wrong: Vec<String> = report
        .problems
        .iter()
        .filter(|problem| problem.kind != ProblemKind::Odd)
        .map(ToString::to_string)
        .collect();
    if wrong.is_empty() {
        return None;
    }
    let shown = wrong[..wrong.len().min(PROBLEMS_SHOWN)].join("; ");
    Some(match wrong.len().saturating_sub(PROBLEMS_SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    })
}

/// A timestamp, and the snapshot that it names, where that is at hand.
pub(crate) type Known = (Vec<u8>, Option<Vec<u8>>);

/// The timestamp and snapshot of our tree: nothing may be older.
pub(crate) fn known(store: &Store) -> Result<Option<Known>, EngineError> {
    let limits = Limits::default();
    let Some(timestamp) = store.read_metadata("timestamp.json", limits.timestamp_bytes)? else {
        return Ok(None);
    };
    let roles = store.roles()?;
    let snapshot = match roles.iter().find(|role| role.name == "snapshot") {
        Some(role) => store.read_metadata(
            &format!("{}.snapshot.json", role.version),
            limits.snapshot_bytes,
        )?,
        None => None,
    };
    Ok(Some((timestamp, snapshot)))
}

/// Every page of ours must be one that is signed.
pub(crate) fn all_are_signed(store: &Store, pages: &SignedPages) -> Result<(), EngineError> {
    let all = Places {
        first: 0,
        last: u32::MAX,
    };
    for target in store.targets(all)? {
        if pages.get(&target.project) != Some(&(target.sha256, target.size_bytes)) {
            return Err(EngineError::Metadata {
                file: format!("simple/{}/index.v1_json", target.project),
                reason: "our page is not the one that was signed, so the signed state stays at the one before"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

/// Puts the metadata into our tree: what it names must be there, as far as this tree is to have it. A kill on the way
/// leaves the state before; the next call does it again.
pub(crate) fn carry(store: &Store, proven: &Proven, now: i64) -> Result<(), EngineError> {
    let generation = store.pending()?.generation;
    let step = |name: &str| match name {
        "timestamp.json" => MetadataStep::Timestamp,
        name if name.ends_with(".snapshot.json") => MetadataStep::Snapshot,
        name if name.ends_with(".root.json") => MetadataStep::Offline,
        _ => MetadataStep::Bins,
    };
    for wanted in [
        MetadataStep::Offline,
        MetadataStep::Bins,
        MetadataStep::Snapshot,
        MetadataStep::Timestamp,
    ] {
        let files: Vec<MetadataFile> = proven
            .files
            .iter()
            .filter(|file| step(&file.name) == wanted)
            .cloned()
            .collect();
        store.write_metadata(wanted, &files)?;
    }
    let publication = publication(store, proven, (generation, now))?;
    store.note_published(&publication)?;
    store.sweep_retired(now)?;
    Ok(())
}

fn publication(
    store: &Store,
    proven: &Proven,
    (generation, now): (u64, i64),
) -> Result<Publication, EngineError> {
    let mut publication = Publication {
        generation,
        keep_until: now.saturating_add(Lives::default().keep.as_secs()),
        ..Publication::default()
    };
    let old = store.roles()?;
    for role in &proven.report.roles {
        let name = if role.role == "timestamp" {
            "timestamp.json".to_owned()
        } else {
            format!("{}.{}.json", role.version, role.role)
        };
        let Some(&(sha256, size_bytes)) = proven.seen.get(&name) else {
            continue;
        };
        let old = old.iter().find(|old| old.name == role.role);
        let version = role.version.get();
        if old.is_some_and(|old| (old.version, old.sha256) == (version, sha256)) {
            continue;
        }
        if let Some(old) = old
            && !matches!(role.role.as_str(), "root" | "timestamp")
            && old.version != version
        {
            publication
                .replaced
                .push(format!("{}.{}.json", old.version, old.name));
        }
        publication.roles.push(RoleState {
            name: role.role.clone(),
            version,
            signed_at: now,
            expires_at: role.expires.instant().as_second(),
            size_bytes,
            sha256,
        });
    }
    Ok(publication)
}

/// The project whose page a target is.
pub(crate) fn project_of(path: &str) -> Option<ProjectName> {
    let name = path
        .strip_prefix("simple/")?
        .strip_suffix("/index.v1_json")?;
    name.parse::<ProjectName>()
        .ok()
        .filter(|parsed| parsed.as_str() == name)
}
