//! What people signed and no client may see yet: a root that names keys which have signed nothing, and the roles that
//! came with it. It waits in the catalog until a publication signed by those keys shows everything at once; until then
//! the roles before it stand, and go on being signed.

use std::collections::BTreeMap;

use heliostat_pypi::Sha256;
use heliostat_store::{MetadataFile, RoleState, Store};
use heliostat_trust::keys::PublicKey;
use heliostat_trust::metadata::Authority;
use serde::{Deserialize, Serialize};

use super::offline::{self, Offline};
use crate::error::EngineError;

const KEY: &str = "waiting-roles";

/// The note. The files of `targets` and `bins` lie in the tree already, where nobody asks for them before a snapshot
/// names them; roots are asked for by number, and so stand here.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// New roots, the oldest first.
    roots: Vec<WaitingRoot>,
    /// The roles as they will be.
    pub(super) roles: Vec<RoleState>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WaitingRoot {
    version: u64,
    text: String,
}

/// What waits, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingRoles {
    /// The roles with their versions, as `root 2`.
    pub roles: Vec<String>,
    /// The keys that must sign before clients see them.
    pub keys: String,
}

/// What people signed last and clients do not see yet.
pub fn waiting(store: &Store) -> Result<Option<WaitingRoles>, EngineError> {
    let live = store.roles()?;
    let Some(waiting) = Waiting::of(store, &live)? else {
        return Ok(None);
    };
    let next = Offline::read(store, &waiting.over(&live), Some(&waiting))?;
    let named = |role: &RoleState| format!("{} {}", role.name, role.version);
    Ok(Some(WaitingRoles {
        roles: waiting.roles.iter().map(named).collect(),
        keys: wanted(&next),
    }))
}

/// The file of a role as people signed it last, whether clients see it yet or not; `None` where there is none.
pub fn newest_file(store: &Store, role: &str) -> Result<Option<Vec<u8>>, EngineError> {
    let live = store.roles()?;
    let waiting = Waiting::of(store, &live)?;
    let roles = match &waiting {
        Some(waiting) => waiting.over(&live),
        None => live,
    };
    let found = roles.iter().find(|found| found.name == role);
    found
        .map(|found| offline::read_file(store, found, waiting.as_ref()))
        .transpose()
}

impl Waiting {
    /// What waits; `None` where nothing does, or clients see it already.
    pub(super) fn of(store: &Store, live: &[RoleState]) -> Result<Option<Self>, EngineError> {
        let noted = store.meta::<Option<Self>>(KEY)?.flatten();
        Ok(noted.filter(|noted| !noted.roles.iter().all(|role| live.contains(role))))
    }

    pub(super) fn note(&self, store: &Store) -> Result<(), EngineError> {
        Ok(store.set_meta(KEY, self)?)
    }

    pub(super) fn forget(store: &Store) -> Result<(), EngineError> {
        Ok(store.set_meta(KEY, &None::<Self>)?)
    }

    /// With another role, and its bytes where it is a root.
    pub(super) fn add(&mut self, role: RoleState, bytes: &[u8]) {
        if role.name == "root" {
            self.roots.push(WaitingRoot {
                version: role.version,
                text: String::from_utf8_lossy(bytes).into_owned(),
            });
        }
        self.roles.retain(|old| old.name != role.name);
        self.roles.push(role);
    }

    /// The roles as they will be once nothing waits, sorted by name.
    pub(super) fn over(&self, live: &[RoleState]) -> Vec<RoleState> {
        let mut roles: BTreeMap<&str, &RoleState> = BTreeMap::new();
        for role in live.iter().chain(&self.roles) {
            roles.insert(&role.name, role);
        }
        roles.into_values().cloned().collect()
    }

    /// The bytes of a root that waits.
    pub(super) fn root(&self, sha256: Sha256) -> Option<&[u8]> {
        let mut texts = self.roots.iter().map(|root| root.text.as_bytes());
        texts.find(|text| Sha256::of(text) == sha256)
    }

    /// The files that nobody sees yet.
    pub(super) fn root_files(&self) -> Vec<MetadataFile> {
        let file = |root: &WaitingRoot| MetadataFile {
            name: format!("{}.root.json", root.version),
            bytes: root.text.clone().into_bytes(),
        };
        self.roots.iter().map(file).collect()
    }

    /// Names below `tuf/` that the roles which wait replace. Every root stays: clients walk from the one they know.
    pub(super) fn replaced(&self, live: &[RoleState]) -> Vec<String> {
        let old = |new: &RoleState| live.iter().find(|old| old.name == new.name);
        (self.roles.iter().filter(|role| role.name != "root"))
            .filter_map(|new| old(new).filter(|old| old.version != new.version))
            .map(|old| format!("{}.{}.json", old.version, old.name))
            .collect()
    }
}

/// The online keys that these roles ask for, in words.
pub(super) fn wanted(offline: &Offline) -> String {
    let root = &offline.root.value;
    let all: BTreeMap<_, _> = [&root.timestamp, &root.snapshot, &offline.online]
        .into_iter()
        .flat_map(Authority::keys)
        .map(|key| (key.id(), PublicKey::shown(key)))
        .collect();
    all.into_values().collect::<Vec<_>>().join(", ")
}
