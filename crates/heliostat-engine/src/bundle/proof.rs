//! What proves a bundle: the chain of metadata from a root that is trusted to the digest of every page. Nothing of it is
//! taken on the word of whoever carried the bundle.

use std::collections::{BTreeMap, BTreeSet};

use heliostat_pypi::bundle::{BundleError, Coverage as Promise, Item, Project};
use heliostat_pypi::{ProjectName, RelPath, Sha256};
use heliostat_store::{Origin, PageKind, ProjectRecord, Store, document};
use heliostat_trust::attest::{ATTEST_LIMITS, TRUSTED_ROOT_TARGET};
use heliostat_trust::check::{Check, Limits, ProblemKind, Report, Wanted};
use heliostat_trust::metadata::{self, Extent, Root, Signed, TargetFile};
use jiff::Timestamp;
use serde::Serialize;

use super::Lack;
use super::check::Checked;
use super::leaving::Leaving;
use crate::carry::{self, Gathered, Known, Proven, SignedPages, TIMESTAMP};
use crate::continuity;
use crate::error::EngineError;
use crate::publish::trusted_root_path;
use crate::trusted_root;

/// The last timestamp that was proved, in a tree that signs with keys of its own and does not carry it.
const FLOOR_KEY: &str = "bundle-timestamp";
/// The last root of the chain with which it was proved, likewise.
const ROOT_KEY: &str = "bundle-root";
/// Records looked through at a time.
const PROJECTS_AT_ONCE: usize = 256;

/// What a bundle is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// The root that is trusted because of where it comes from.
    pub root: Vec<u8>,
    /// The moment as of which nothing may have expired, in seconds since 1970.
    pub as_of: i64,
    /// The moment by which all of it must have been signed, in seconds since 1970: where a day was given, its end.
    pub signed_by: i64,
}

/// What was proved of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The moment as of which everything was valid, in seconds since 1970.
    pub as_of: i64,
    /// The version of the root that the chain ends with.
    pub root: u64,
    /// The version of the timestamp.
    pub timestamp: u64,
    /// The version of the snapshot.
    pub snapshot: u64,
    /// When the timestamp expires, in seconds since 1970.
    pub expires_at: i64,
    /// What the notary claims to hold.
    pub coverage: Claim,
    /// Pages that are signed.
    pub signed_pages: u64,
    /// Pages of the bundle, all of which are signed.
    pub pages: u64,
    /// Files that these pages name and that the bundle, or what it builds on, has.
    pub files: u64,
    /// Pages that stand in the mirror and are not part of what was signed.
    pub unsigned_here: u64,
    /// Whose signatures stand in the tree.
    pub signatures: Signatures,
}

/// What a notary claims to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Everything.
    Complete,
    /// What was selected.
    Selection,
    /// What was asked for, or nothing in particular.
    Partial,
}

/// Whose signatures stand in the tree after an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signatures {
    /// Those of the bundle.
    Carried,
    /// Those of the mirror's own keys, which sign what was proved.
    Own,
}

/// Collects the metadata of a bundle.
#[derive(Debug)]
pub(super) struct Prover<'a> {
    against: &'a Against,
    documents: BTreeMap<String, Vec<u8>>,
    trusted_root: Option<Vec<u8>>,
}

/// What is signed, and what of it is no page.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) proven: Proven,
    /// When it was signed, in seconds since 1970, where it says so.
    pub(super) signed_at: Option<i64>,
    /// Sigstore's trusted root, where it is signed and the tree does not have it.
    trusted_root: Option<Vec<u8>>,
}

impl<'a> Prover<'a> {
    pub(super) const fn new(against: &'a Against) -> Self {
        Self {
            against,
            documents: BTreeMap::new(),
            trusted_root: None,
        }
    }

    /// Keeps a metadata file, or a target that is no page.
    pub(super) fn keep(&mut self, item: &Item, bytes: Vec<u8>) {
        let path = item.path.as_str();
        if let Some(file) = path.strip_prefix("tuf/") {
            self.documents.insert(file.to_owned(), bytes);
        } else if path == TRUSTED_ROOT_TARGET {
            self.trusted_root = Some(bytes);
        }
    }

    /// Verifies all of it. What the bundle leaves out is taken from the tree; it is verified like the rest.
    pub(super) fn prove(mut self, store: &Store) -> Result<Carried, EngineError> {
        let Against {
            root,
            as_of,
            signed_by,
        } = self.against;
        if !self.documents.contains_key(TIMESTAMP) {
            let reason = "it carries no signed state; it was exported from a tree that nobody signs, or somebody took the metadata out";
            return Err(unproven(reason));
        }
        let now = Timestamp::from_second(*as_of).unwrap_or(Timestamp::UNIX_EPOCH);
        let before = Before::read(store)?;
        if let Some(known) = &before.root {
            continuity::is_continued((known, root), |wanted| {
                match self.documents.get(&wanted.file) {
                    Some(bytes) => Ok(Some(bytes.clone())),
                    None => before.held(store, wanted),
                }
            })?;
        }
        let mut check = Check::begin(root, now, Limits::default())?;
        if let Some((timestamp, snapshot)) = floor(store)? {
            check.with_known(&timestamp, snapshot.as_deref());
        }
        let mut gathered = Gathered::new(store, root)?;
        while let Some(wanted) = check.wanted() {
            let held = before.held(store, &wanted)?;
            let brought = self.documents.remove(&wanted.file);
            let bytes = brought.or_else(|| held.clone());
            gathered.take(&mut check, wanted.file, (bytes, held.as_deref()));
        }
        let report = check.finish();
        judge(&report, now)?;
        let proven = gathered.proven(report);
        let signed_at = signed_at(&proven)?;
        is_of_then(signed_at, *signed_by)?;
        let trusted_root = match &proven.trusted_root {
            Some(file) => wanted_trusted_root(store, file, self.trusted_root)?,
            None => None,
        };
        Ok(Carried {
            proven,
            signed_at: signed_at.map(Timestamp::as_second),
            trusted_root,
        })
    }
}

/// The trusted root that was signed, out of the bundle; `None` where the tree has it.
fn wanted_trusted_root(
    store: &Store,
    file: &TargetFile,
    brought: Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, EngineError> {
    if file.size_bytes > ATTEST_LIMITS.trusted_root_bytes_max as u64 {
        return Err(unproven(format!(
            "`{TRUSTED_ROOT_TARGET}` is larger than 1 MiB"
        )));
    }
    if let Some(bytes) = brought {
        if Sha256::of(&bytes) == file.sha256 {
            return Ok(Some(bytes));
        }
        return Err(unproven(format!(
            "its `{TRUSTED_ROOT_TARGET}` is not the one that was signed"
        )));
    }
    match trusted_root::held_copy(store, file)? {
        Some(_) => Ok(None),
        None => Err(unproven(format!(
            "`{TRUSTED_ROOT_TARGET}` is signed and neither in it nor here"
        ))),
    }
}

/// Anything wrong ends the import before it begins. What is merely old says so.
fn judge(report: &Report, as_of: Timestamp) -> Result<(), EngineError> {
    let Some(reason) = carry::wrong(report) else {
        return Ok(());
    };
    let is_old = |kind| matches!(kind, ProblemKind::Expired | ProblemKind::Odd);
    if report.problems.iter().all(|problem| is_old(problem.kind)) {
        let as_of = as_of.to_string();
        return Err(EngineError::BundleExpired { reason, as_of });
    }
    Err(unproven(reason))
}

/// When the timestamp was signed.
fn signed_at(proven: &Proven) -> Result<Option<Timestamp>, EngineError> {
    let timestamp = proven.files.iter().find(|file| file.name == TIMESTAMP);
    let read = |bytes| Signed::<metadata::Timestamp>::read(bytes);
    let timestamp = timestamp.map(|file| read(&file.bytes)).transpose()?;
    Ok(timestamp.and_then(|timestamp| timestamp.value.signed_at))
}

/// What was signed only later was not in force then; and by a clock that is behind nothing would ever expire.
fn is_of_then(signed_at: Option<Timestamp>, signed_by: i64) -> Result<(), EngineError> {
    match signed_at {
        Some(signed_at) if signed_at.as_second() > signed_by => {
            let signed_by = Timestamp::from_second(signed_by).unwrap_or(Timestamp::MAX);
            Err(unproven(format!(
                "it was signed at {signed_at}, which is after {signed_by}; give a later `--as-of`, or set this computer's clock"
            )))
        }
        _ => Ok(()),
    }
}

fn unproven(reason: impl Into<String>) -> EngineError {
    EngineError::BundleUnproven {
        reason: reason.into(),
    }
}

/// The page of a project must be the one that was signed.
pub(super) fn page_is_signed(pages: &SignedPages, project: &Project) -> Result<(), EngineError> {
    let item = &project.page;
    let reason = match pages.get(&project.name) {
        Some(&signed) if signed == (item.sha256, item.size_bytes) => return Ok(()),
        Some(_) => "its page is not the one that was signed",
        None => "its page is not among those that were signed",
    };
    Err(BundleError::project(&project.name, reason).into())
}

/// A project that is said to be gone must not be one that was signed.
pub(super) fn is_gone(pages: &SignedPages, name: &ProjectName) -> Result<(), EngineError> {
    if !pages.contains_key(name) {
        return Ok(());
    }
    let reason = "it is said to be removed, and its page is among those that were signed";
    Err(BundleError::project(name, reason).into())
}

/// What promises everything must have every page that was signed. `projects` counts those of the bundle, each of which
/// was seen to be signed.
pub(super) fn keeps_promise(
    pages: &SignedPages,
    promise: Promise,
    (projects, settled): (u64, &BTreeSet<ProjectName>),
) -> Result<(), EngineError> {
    let lacking = (pages.len() as u64).saturating_sub(projects);
    if promise != Promise::Complete || lacking == 0 {
        return Ok(());
    }
    let first = pages.keys().find(|name| !settled.contains(*name));
    let first = first.map(ToString::to_string).unwrap_or_default();
    let more = lacking - 1;
    Err(unproven(format!(
        "it promises everything and has no `{first}`, which was signed, nor {more} others"
    )))
}

/// The last state that this mirror has seen proved.
fn floor(store: &Store) -> Result<Option<Known>, EngineError> {
    if signs_itself(store)? {
        let timestamp = store.meta::<String>(FLOOR_KEY)?;
        return Ok(timestamp.map(|text| (text.into_bytes(), None)));
    }
    carry::known(store)
}

/// What this mirror was proved with before.
#[derive(Debug)]
struct Before {
    /// The last root of the chain; `None` where nothing has been proved yet.
    root: Option<Vec<u8>>,
    /// Whether the metadata of the tree is the mirror's own.
    signs_itself: bool,
}

impl Before {
    fn read(store: &Store) -> Result<Self, EngineError> {
        let signs_itself = signs_itself(store)?;
        let root = if signs_itself {
            store.meta::<String>(ROOT_KEY)?.map(String::into_bytes)
        } else {
            continuity::carried_root(store)?
        };
        Ok(Self { root, signs_itself })
    }

    /// What is here of the notary's metadata; in a tree of the mirror's own the same names stand for other files.
    fn held(&self, store: &Store, wanted: &Wanted) -> Result<Option<Vec<u8>>, EngineError> {
        if !self.signs_itself {
            return Ok(store.read_metadata(&wanted.file, wanted.max_bytes)?);
        }
        let Some(root) = &self.root else {
            return Ok(None);
        };
        let is_it = Signed::<Root>::read(root)?.value.file() == wanted.file;
        Ok(is_it.then(|| root.clone()))
    }
}

/// Whether the mirror signs with keys of its own.
pub(super) fn signs_itself(store: &Store) -> Result<bool, EngineError> {
    crate::publish::signs_here(store)
}

/// Looks through what the mirror holds beyond the bundle: each page must be the one that was signed, or else the signed
/// state would name pages that are not here any more. Answers how many were not signed at all.
pub(super) fn look_beyond(
    store: &Store,
    pages: &SignedPages,
    (checked, leaving): (&Checked, &Leaving),
    mut tell: impl FnMut(&Lack),
) -> Result<u64, EngineError> {
    let (mut unlike, mut unsigned) = (0, 0);
    let mut after = None;
    loop {
        let records = store.projects_after(after.as_ref(), PROJECTS_AT_ONCE)?;
        let Some((last, _)) = records.last() else {
            break;
        };
        after = Some(last.clone());
        for (name, record) in records {
            // What is newer here stays as it is, although clients that verify are refused it.
            let is_seen = checked.settled.contains(&name) || checked.newer.contains(&name);
            if is_seen || leaving.goes(&name) {
                continue;
            }
            let Some(&signed) = pages.get(&name) else {
                unsigned += 1;
                continue;
            };
            if held_as(record.ok().as_ref()) != Some(signed) {
                unlike += 1;
                tell(&Lack {
                    path: RelPath::try_from(format!("simple/{name}/index.v1_json"))
                        .map_err(|error| BundleError::project(&name, error.to_string()))?,
                    project: Some(name),
                });
            }
        }
    }
    if unlike > 0 {
        return Err(EngineError::BundleUnlike { pages: unlike });
    }
    Ok(unsigned)
}

/// The page of a record as its upstream has it.
fn held_as(record: Option<&ProjectRecord>) -> Option<(Sha256, u64)> {
    let whole = ProjectRecord {
        hidden: BTreeSet::new(),
        published_serial: record?.page.serial,
        ..record?.clone()
    };
    let bytes = document(&whole, PageKind::Json)?;
    Some((Sha256::of(&bytes), bytes.len() as u64))
}

/// Switches the tree to carrying what others signed, so that the pages that are committed get their signed copies.
pub(super) fn begin(store: &Store, now: i64) -> Result<(), EngineError> {
    store.begin_notary(Origin::Carried, now)?;
    store.index_targets(now)?;
    Ok(())
}

/// Puts the signed state into the tree, or remembers it where the mirror signs with keys of its own.
pub(super) fn settle(store: &Store, carried: &Carried, now: i64) -> Result<(), EngineError> {
    let proven = &carried.proven;
    if signs_itself(store)? {
        let root = proven.report.root.file();
        if let Some(root) = proven.files.iter().find(|file| file.name == root) {
            store.set_meta(ROOT_KEY, &String::from_utf8_lossy(&root.bytes))?;
        }
        let timestamp = proven.files.iter().find(|file| file.name == TIMESTAMP);
        let text = timestamp.map(|file| String::from_utf8_lossy(&file.bytes));
        return Ok(store.set_meta(FLOOR_KEY, &text.unwrap_or_default())?);
    }
    let _lock = store.lock_publish()?;
    if let Some(bytes) = &carried.trusted_root {
        store.write_target(&trusted_root_path()?, bytes)?;
    }
    carry::carry(store, proven, now)
}

/// What was proved, in numbers.
pub(super) fn proof(
    (store, against): (&Store, &Against),
    proven: &Proven,
    (pages, files, unsigned_here): (u64, u64, u64),
) -> Result<Proof, EngineError> {
    let report = &proven.report;
    let version = |role: &str| {
        let found = report.roles.iter().find(|found| found.role == role);
        found.map_or(0, |found| found.version.get())
    };
    let timestamp = report.roles.iter().find(|found| found.role == "timestamp");
    let extent = report.coverage.as_ref().map(|coverage| &coverage.extent);
    Ok(Proof {
        as_of: against.as_of,
        root: report.root.version.get(),
        timestamp: version("timestamp"),
        snapshot: version("snapshot"),
        expires_at: timestamp.map_or(0, |found| found.expires.instant().as_second()),
        coverage: match extent {
            Some(Extent::Complete) => Claim::Complete,
            Some(Extent::Selection(_) | Extent::LongSelection(_)) => Claim::Selection,
            Some(Extent::Partial) | None => Claim::Partial,
        },
        signed_pages: proven.pages.len() as u64,
        pages,
        files,
        unsigned_here,
        signatures: if signs_itself(store)? {
            Signatures::Own
        } else {
            Signatures::Carried
        },
    })
}
