//! The roles that people sign: read from the tree, and put there once they have been checked.

use heliostat_pypi::{RelPath, Sha256};
use heliostat_store::{MetadataFile, MetadataStep, Origin, Publication, RoleState, Store};
use heliostat_trust::attest::{TRUSTED_ROOT_TARGET, embedded_trusted_root};
use heliostat_trust::bins::BinCount;
use heliostat_trust::keys::PublicKey;
use heliostat_trust::metadata::{
    Authority, Metadata, RoleName, Root, Signed, TargetFile, Targets, Version,
};
use serde::{Deserialize, Serialize};

use super::waiting::Waiting;
use crate::error::EngineError;

/// The largest root, in bytes.
const ROOT_BYTES_MAX: u64 = 512 << 10;
/// The largest file of the roles that people sign, in bytes: 65,536 delegations have 13 MB.
const OFFLINE_BYTES_MAX: u64 = 32 << 20;

/// What people signed, to be put into the tree.
#[derive(Debug, Clone, Default)]
pub struct OfflineFiles {
    /// New roots, the oldest first.
    pub roots: Vec<Vec<u8>>,
    /// A new `targets` role.
    pub targets: Option<Vec<u8>>,
    /// A new `bins` role.
    pub bins: Option<Vec<u8>>,
    /// Sigstore's trusted root, where `targets` names another than the tree has and the program was built with.
    pub trusted_root: Option<Vec<u8>>,
}

/// The roles that people sign, as they stand in the tree.
#[derive(Debug)]
pub(super) struct Offline {
    pub(super) root: Signed<Root>,
    pub(super) targets: Signed<Targets>,
    pub(super) bins_version: Version,
    /// To how many bins `bins` delegates.
    pub(super) count: BinCount,
    /// Who signs bins.
    pub(super) online: Authority,
}

/// What the role `bins` comes to: the note `bins-role`. The role has two megabytes at PyPI's size, and reading it took
/// longer than all the rest of publishing one changed project; so what was read of it is noted, with its digest.
#[derive(Debug, Serialize, Deserialize)]
struct BinsRead {
    /// The file that this was read from.
    sha256: Sha256,
    /// To how many bins it delegates.
    count: u32,
    /// Who signs them, as TUF key objects.
    keys: Vec<serde_json::Value>,
    threshold: u32,
}

const BINS_READ_KEY: &str = "bins-role";
/// The same of a role that waits.
const WAITING_BINS_READ_KEY: &str = "waiting-bins-role";

/// Checks what people signed against what they signed before, and switches signing on. Everything is checked before
/// anything is written. In a tree that was published, clients see none of it before it is published: what they see now
/// is not signed with the keys that a new root names. `now` is in seconds since 1970.
pub fn install(store: &Store, files: &OfflineFiles, now: i64) -> Result<(), EngineError> {
    let _lock = store.lock_publish()?;
    let shown = store.roles()?;
    let before = Waiting::of(store, &shown)?;
    let roles = before
        .as_ref()
        .map_or_else(|| shown.clone(), |waiting| waiting.over(&shown));
    let waiting = before.as_ref();
    let mut root: Option<Signed<Root>> = read_role(store, &roles, "root", waiting)?;
    let mut targets: Option<Signed<Targets>> = read_role(store, &roles, "targets", waiting)?;
    let mut bins: Option<Signed<Targets>> = read_role(store, &roles, "bins", waiting)?;
    let mut new = Vec::new();
    for bytes in &files.roots {
        let next = Signed::<Root>::read(bytes)?;
        if is_here(&roles, "root", &next, bytes) {
            continue;
        }
        check_root(root.as_ref(), &next)?;
        new.push(state("root", &next, bytes, now));
        root = Some(next);
    }
    let anchor = root.as_ref().ok_or_else(|| not_given("root"))?;
    if let Some(bytes) = &files.targets {
        let next = Signed::<Targets>::read(bytes)?;
        if !is_here(&roles, "targets", &next, bytes) {
            check_newer("targets", targets.as_ref(), &next)?;
            new.push(state("targets", &next, bytes, now));
        }
        targets = Some(next);
    }
    let top = targets.as_ref().ok_or_else(|| not_given("targets"))?;
    check(&anchor.value.targets, "targets", top)?;
    if let Some(bytes) = &files.bins {
        let next = Signed::<Targets>::read(bytes)?;
        if !is_here(&roles, "bins", &next, bytes) {
            check_newer("bins", bins.as_ref(), &next)?;
            new.push(state("bins", &next, bytes, now));
        }
        bins = Some(next);
    }
    let delegation = bins.as_ref().ok_or_else(|| not_given("bins"))?;
    check(bins_authority(top)?, "bins", delegation)?;
    count_of(delegation)?;
    let trusted_root = named_trusted_root(store, &top.value, files.trusted_root.as_deref())?;
    if let Some(bytes) = trusted_root {
        store.write_target(&trusted_root_path()?, bytes)?;
    }
    if live(&shown, "timestamp").is_some() {
        keep_waiting(store, before.unwrap_or_default(), new)?;
    } else {
        put_there(store, new, now)?;
    }
    store.begin_notary(Origin::Own, now)?;
    Ok(())
}

/// Keeps what clients are not to see yet.
fn keep_waiting(
    store: &Store,
    mut waiting: Waiting,
    new: Vec<(RoleState, MetadataFile)>,
) -> Result<(), EngineError> {
    let mut written = Vec::new();
    for (role, file) in new {
        let is_root = role.name == "root";
        waiting.add(role, &file.bytes);
        written.extend((!is_root).then_some(file));
    }
    store.write_metadata(MetadataStep::Offline, &written)?;
    waiting.note(store)
}

/// Puts the first roles into a tree of which no client knows yet.
fn put_there(
    store: &Store,
    new: Vec<(RoleState, MetadataFile)>,
    now: i64,
) -> Result<(), EngineError> {
    let publication = Publication {
        replaced: Vec::new(),
        roles: new.iter().map(|(role, _)| role.clone()).collect(),
        generation: 0,
        keep_until: now.saturating_add(super::Lives::default().keep.as_secs()),
    };
    let written: Vec<MetadataFile> = new.into_iter().map(|(_, file)| file).collect();
    store.write_metadata(MetadataStep::Offline, &written)?;
    Ok(store.note_published(&publication)?)
}

/// The trusted root that `targets` names, where the tree does not have it yet: it must be there before it is named.
fn named_trusted_root<'a>(
    store: &Store,
    targets: &Targets,
    given: Option<&'a [u8]>,
) -> Result<Option<&'a [u8]>, EngineError> {
    let mut needed = None;
    for (path, file) in &targets.targets {
        let refuse = |reason: &str| EngineError::Metadata {
            file: path.clone(),
            reason: reason.to_owned(),
        };
        if path != TRUSTED_ROOT_TARGET {
            return Err(refuse("`targets` names it, and heliostat has no such file"));
        }
        let known = given.into_iter().chain([embedded_trusted_root()]);
        let mut known = known.filter(|bytes| Sha256::of(bytes) == file.sha256);
        let place = trusted_root_path()?;
        if let Some(bytes) = known.next() {
            needed = Some(bytes);
        } else if store
            .read_target(&place, file.sha256, file.size_bytes)?
            .is_none()
        {
            return Err(refuse(
                "`targets` names one that is not here; give the file too",
            ));
        }
    }
    Ok(needed)
}

/// The trusted root that the tree's `targets` names; `None` where there is no `targets`, or it names none.
pub(crate) fn named_by_targets(store: &Store) -> Result<Option<TargetFile>, EngineError> {
    let targets: Option<Signed<Targets>> = read_role(store, &store.roles()?, "targets", None)?;
    Ok(targets.and_then(|targets| targets.value.targets.get(TRUSTED_ROOT_TARGET).copied()))
}

/// Where the trusted root stands in a tree.
pub(crate) fn trusted_root_path() -> Result<RelPath, EngineError> {
    TRUSTED_ROOT_TARGET
        .parse()
        .map_err(|error| EngineError::Metadata {
            file: TRUSTED_ROOT_TARGET.to_owned(),
            reason: format!("{error}"),
        })
}

impl Offline {
    /// Reads them. `roles` is what the catalog tells, with what waits where that is meant.
    pub(super) fn read(
        store: &Store,
        roles: &[RoleState],
        waiting: Option<&Waiting>,
    ) -> Result<Self, EngineError> {
        let root = read_role(store, roles, "root", waiting)?.ok_or_else(|| missing("root"))?;
        let targets = read_role(store, roles, "targets", waiting)?;
        let targets = targets.ok_or_else(|| missing("targets"))?;
        let role = live(roles, "bins").ok_or_else(|| missing("bins"))?;
        let key = match waiting {
            None => BINS_READ_KEY,
            Some(_) => WAITING_BINS_READ_KEY,
        };
        let bins_read = if let Some(noted) = BinsRead::noted(store, role, key)? {
            noted
        } else {
            let read = BinsRead::of_file(store, role)?;
            store.set_meta(key, &read)?;
            read
        };
        Ok(Self {
            root,
            targets,
            bins_version: Version::new(role.version).ok_or_else(|| missing("bins"))?,
            count: BinCount::new(bins_read.count.into())?,
            online: bins_read.online()?,
        })
    }
}

impl BinsRead {
    /// What was noted of this role's file, which must still be the one that was put there.
    fn noted(store: &Store, role: &RoleState, key: &str) -> Result<Option<Self>, EngineError> {
        let noted = store.meta::<Self>(key)?;
        let Some(noted) = noted.filter(|noted| noted.sha256 == role.sha256) else {
            return Ok(None);
        };
        read_file(store, role, None)?;
        Ok(Some(noted))
    }

    fn of_file(store: &Store, role: &RoleState) -> Result<Self, EngineError> {
        let bins = Signed::<Targets>::read(&read_file(store, role, None)?)?;
        let count = count_of(&bins)?;
        let first = bins.value.delegations.first();
        let online = &first.ok_or_else(|| missing("bins"))?.authority;
        Ok(Self {
            sha256: role.sha256,
            count: count.get(),
            keys: online.keys().map(PublicKey::to_value).collect(),
            threshold: online.threshold(),
        })
    }

    fn online(&self) -> Result<Authority, EngineError> {
        let keys = self.keys.iter().map(PublicKey::from_value);
        let keys: Vec<PublicKey> = keys.collect::<Result<_, _>>()?;
        Ok(Authority::new(keys, self.threshold)?)
    }
}

/// To how many bins the tree's `bins` role delegates.
pub(super) fn count(store: &Store, roles: &[RoleState]) -> Result<BinCount, EngineError> {
    let role = live(roles, "bins").ok_or_else(|| missing("bins"))?;
    let bins_read = match BinsRead::noted(store, role, BINS_READ_KEY)? {
        Some(noted) => noted,
        None => BinsRead::of_file(store, role)?,
    };
    Ok(BinCount::new(bins_read.count.into())?)
}

fn live<'a>(roles: &'a [RoleState], name: &str) -> Option<&'a RoleState> {
    roles.iter().find(|role| role.name == name)
}

fn read_role<T: Metadata>(
    store: &Store,
    roles: &[RoleState],
    name: &str,
    waiting: Option<&Waiting>,
) -> Result<Option<Signed<T>>, EngineError> {
    let Some(role) = live(roles, name) else {
        return Ok(None);
    };
    Ok(Some(Signed::read(&read_file(store, role, waiting)?)?))
}

/// The bytes of a role's file, which are those that were put there.
pub(super) fn read_file(
    store: &Store,
    role: &RoleState,
    waiting: Option<&Waiting>,
) -> Result<Vec<u8>, EngineError> {
    if let Some(bytes) = waiting.and_then(|waiting| waiting.root(role.sha256)) {
        return Ok(bytes.to_owned());
    }
    let limit = if role.name == "root" {
        ROOT_BYTES_MAX
    } else {
        OFFLINE_BYTES_MAX
    };
    let file = format!("{}.{}.json", role.version, role.name);
    let bytes = store
        .read_metadata(&file, limit)?
        .ok_or_else(|| EngineError::Metadata {
            file: format!("tuf/{file}"),
            reason: "it was put there and is gone; bring it back from a copy of the tree"
                .to_owned(),
        })?;
    if Sha256::of(&bytes) != role.sha256 {
        return Err(EngineError::Metadata {
            file: format!("tuf/{file}"),
            reason:
                "it is not the file that was put there; bring that back from a copy of the tree"
                    .to_owned(),
        });
    }
    Ok(bytes)
}

/// Whether people have given this very file before.
fn is_here<T: Metadata>(roles: &[RoleState], name: &str, file: &Signed<T>, bytes: &[u8]) -> bool {
    live(roles, name).is_some_and(|role| {
        role.version == file.value.version().get() && role.sha256 == Sha256::of(bytes)
    })
}

/// A root is signed by the one before and by itself, and is the very next (TUF specification 5.3).
fn check_root(before: Option<&Signed<Root>>, next: &Signed<Root>) -> Result<(), EngineError> {
    check(&next.value.root, "root", next)?;
    let Some(before) = before else {
        return Ok(());
    };
    check(&before.value.root, "root", next)?;
    if next.value.version == before.value.version.next() {
        return Ok(());
    }
    Err(EngineError::Metadata {
        file: next.value.file(),
        reason: format!("the next root has version {}", before.value.version.next()),
    })
}

fn check_newer(
    name: &str,
    before: Option<&Signed<Targets>>,
    next: &Signed<Targets>,
) -> Result<(), EngineError> {
    let version = next.value.version;
    if next.value.role.as_str() != name {
        return Err(EngineError::Metadata {
            file: next.value.file(),
            reason: format!("it is not the role `{name}`"),
        });
    }
    match before {
        Some(before) if version <= before.value.version => Err(EngineError::Metadata {
            file: format!("{version}.{name}.json"),
            reason: format!("the tree has version {} already", before.value.version),
        }),
        _ => Ok(()),
    }
}

fn check<T>(authority: &Authority, role: &str, signed: &Signed<T>) -> Result<(), EngineError> {
    Ok(authority.check(role, &signed.canonical, &signed.signatures)?)
}

fn bins_authority(targets: &Signed<Targets>) -> Result<&Authority, EngineError> {
    let bins = RoleName::bins();
    targets
        .value
        .delegations
        .iter()
        .find(|delegation| delegation.name == bins)
        .map(|delegation| &delegation.authority)
        .ok_or_else(|| EngineError::Metadata {
            file: format!("{}.targets.json", targets.value.version),
            reason: "it does not delegate to `bins`".to_owned(),
        })
}

fn count_of(bins: &Signed<Targets>) -> Result<BinCount, EngineError> {
    BinCount::of_delegations(&bins.value.delegations).ok_or_else(|| EngineError::Metadata {
        file: format!("{}.bins.json", bins.value.version),
        reason: "it does not delegate to bins as heliostat makes them".to_owned(),
    })
}

fn state<T: Metadata>(
    name: &str,
    signed: &Signed<T>,
    bytes: &[u8],
    now: i64,
) -> (RoleState, MetadataFile) {
    let version = signed.value.version().get();
    let role = RoleState {
        name: name.to_owned(),
        version,
        signed_at: now,
        expires_at: signed.value.expires().instant().as_second(),
        size_bytes: bytes.len() as u64,
        sha256: Sha256::of(bytes),
    };
    let file = MetadataFile {
        name: format!("{version}.{name}.json"),
        bytes: bytes.to_vec(),
    };
    (role, file)
}

/// What the first ceremony must bring and did not.
fn not_given(name: &str) -> EngineError {
    EngineError::Metadata {
        file: format!("1.{name}.json"),
        reason: "it is not among the files given, and the tree has none yet: the first root, `targets` and `bins` are \
                 installed together"
            .to_owned(),
    }
}

fn missing(name: &str) -> EngineError {
    EngineError::Metadata {
        file: format!("tuf/N.{name}.json"),
        reason: "the tree has none; `heliostat trust init` makes it".to_owned(),
    }
}
