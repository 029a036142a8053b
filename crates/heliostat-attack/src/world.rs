//! The notary of the board and what it signed: made by the program itself, from an upstream on loopback, in a
//! temporary directory; then read into memory, where attacks twist it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use heliostat_pypi::Sha256;
use heliostat_trust::TrustError;
use heliostat_trust::keys::SigningKey;
use serde_json::Value;

use crate::answer::Shared;
use crate::error::AttackError;
use crate::forge::Keys;
use crate::script::{Script, Tree};
use crate::server::Mirror;
use crate::upstream::{self, State};

/// The signed trees, the root that clients pin, and the keys that a thief may have.
#[derive(Debug)]
pub(crate) struct World {
    /// The state before `victim` 2.0 came.
    pub(crate) old: Arc<Tree>,
    /// The newest state.
    pub(crate) new: Arc<Tree>,
    /// The state that comes after the newest one.
    pub(crate) newer: Arc<Tree>,
    /// The newest state after people took the online key's power and gave it to another one.
    pub(crate) recovered: Arc<Tree>,
    /// The newest state after people gave the power of the online key to two keys together.
    pub(crate) guarded: Arc<Tree>,
    /// Where the pinned root lies.
    pub(crate) root_file: PathBuf,
    /// The online key: signs bins, snapshot and timestamp.
    pub(crate) online_key: SigningKey,
    /// The key of people: signs roots, `targets` and `bins`.
    pub(crate) offline_key: SigningKey,
    /// A key that no root names.
    pub(crate) strange_key: SigningKey,
}

/// The largest file of the small trees that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

impl World {
    /// Makes the notary with `heliostat` below `directory`, which must be empty.
    pub(crate) fn make(heliostat: &Path, directory: &Path) -> Result<Self, AttackError> {
        let data = directory.join("notary");
        let upstream = Mirror::start(Script::honest(Arc::new(upstream::tree(State::Old)?)))?;
        let root_url = format!("{}simple/", upstream.url());
        let program = Program {
            heliostat,
            data: &data,
        };
        program.run(["trust", "init", "--projects", "1600"])?;
        let sync = ["sync", "--all", "--upstream", &root_url];
        program.run(sync)?;
        let old = read_tree(&data.join("web"))?;
        upstream.play(Script::honest(Arc::new(upstream::tree(State::New)?)));
        program.run(sync)?;
        let new = read_tree(&data.join("web"))?;
        upstream.play(Script::honest(Arc::new(upstream::tree(State::Newer)?)));
        program.run(sync)?;
        let newer = read_tree(&data.join("web"))?;
        let root_file = directory.join("root.json");
        let root = file_of(&old, "tuf/1.root.json")?;
        fs::write(&root_file, root).map_err(|source| AttackError::Write {
            path: root_file.clone(),
            source,
        })?;
        let made = |error: TrustError| AttackError::MakeTree(error.to_string());
        let key = |name: &str| read_key(&data.join("state/keys").join(name));
        let (online_key, offline_key) = (key("online.key")?, key("offline.key")?);
        let another_key = SigningKey::generate().map_err(made)?;
        let take_over = |online: &[&SigningKey]| {
            let offline = &offline_key;
            Keys { offline, online }.take_over(&new).map(Arc::new)
        };
        Ok(Self {
            recovered: take_over(&[&another_key])?,
            guarded: take_over(&[&online_key, &another_key])?,
            old: Arc::new(old),
            new: Arc::new(new),
            newer: Arc::new(newer),
            root_file,
            online_key,
            offline_key,
            strange_key: SigningKey::generate().map_err(made)?,
        })
    }

    /// The digests of everything that the notary ever published.
    pub(crate) fn published(&self) -> HashSet<Sha256> {
        [
            &self.old,
            &self.new,
            &self.newer,
            &self.recovered,
            &self.guarded,
        ]
        .into_iter()
        .flat_map(|tree| tree.values())
        .map(|bytes| Sha256::of(bytes))
        .collect()
    }

    /// A mirror of the newest state that does nothing wrong.
    pub(crate) fn honest(&self) -> Script {
        Script::honest(Arc::clone(&self.new))
    }

    /// A file of the newest state.
    pub(crate) fn file(&self, path: &str) -> Result<&Shared, AttackError> {
        file_of(&self.new, path)
    }

    /// The path of the one file of the newest state that begins and ends so.
    pub(crate) fn find(&self, prefix: &str, suffix: &str) -> Result<String, AttackError> {
        let mut found = self
            .new
            .keys()
            .filter(|path| path.starts_with(prefix) && path.ends_with(suffix));
        let path = found.next_back();
        path.cloned()
            .ok_or_else(|| AttackError::MakeTree(format!("the tree has no `{prefix}…{suffix}`")))
    }

    /// The path of the signed copy of a project's page in the newest state: what its bin names now.
    pub(crate) fn signed_page(&self, project: &str) -> Result<String, AttackError> {
        let page = self.file(&format!("simple/{project}/index.v1_json"))?;
        let sha256 = Sha256::of(page);
        Ok(format!("simple/{project}/{sha256}.index.v1_json"))
    }

    /// The newest version of a role in a tree: `(version, path)`.
    pub(crate) fn newest(tree: &Tree, role: &str) -> Result<(u64, String), AttackError> {
        let suffix = format!(".{role}.json");
        tree.keys()
            .filter_map(|path| {
                let version = path.strip_prefix("tuf/")?.strip_suffix(&suffix)?;
                Some((version.parse().ok()?, path.clone()))
            })
            .max()
            .ok_or_else(|| AttackError::MakeTree(format!("the tree has no role `{role}`")))
    }

    /// The names of the bin roles that the newest snapshot pins.
    pub(crate) fn bins(&self) -> Result<Vec<String>, AttackError> {
        let (_, path) = Self::newest(&self.new, "snapshot")?;
        let snapshot: Value = serde_json::from_slice(self.file(&path)?)
            .map_err(|error| AttackError::MakeTree(error.to_string()))?;
        let meta = snapshot["signed"]["meta"].as_object();
        let names = meta.into_iter().flat_map(|meta| meta.keys());
        Ok(names
            .filter_map(|name| name.strip_suffix(".json"))
            .filter(|name| name.starts_with("bin-"))
            .map(str::to_owned)
            .collect())
    }
}

/// The program under its own lab.
struct Program<'w> {
    heliostat: &'w Path,
    data: &'w Path,
}

impl Program<'_> {
    fn run<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<(), AttackError> {
        let output = Command::new(self.heliostat)
            .args(arguments)
            .arg("--data")
            .arg(self.data)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| AttackError::StartProgram {
                program: self.heliostat.display().to_string(),
                source,
            })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(AttackError::MakeTree(said))
    }
}

/// A file of a tree.
pub(crate) fn file_of<'t>(tree: &'t Tree, path: &str) -> Result<&'t Shared, AttackError> {
    tree.get(path)
        .ok_or_else(|| AttackError::MakeTree(format!("the tree has no `{path}`")))
}

fn read_key(path: &Path) -> Result<SigningKey, AttackError> {
    let key = fs::read_to_string(path).map_err(|source| AttackError::Write {
        path: path.to_owned(),
        source,
    })?;
    SigningKey::from_file(&key, || Err(TrustError::PassphraseMissing))
        .map_err(|error| AttackError::MakeTree(error.to_string()))
}

/// Every file below a directory; links are not followed.
fn read_tree(web: &Path) -> Result<Tree, AttackError> {
    let mut tree = Tree::new();
    let mut waiting = vec![web.to_owned()];
    while let Some(directory) = waiting.pop() {
        let unreadable = |source| AttackError::Write {
            path: directory.clone(),
            source,
        };
        for entry in fs::read_dir(&directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let metadata = path.symlink_metadata().map_err(unreadable)?;
            if metadata.is_dir() {
                waiting.push(path);
            } else if metadata.is_file() && metadata.len() <= FILE_BYTES_MAX {
                let bytes = fs::read(&path).map_err(unreadable)?;
                let relative = path.strip_prefix(web).unwrap_or(&path);
                tree.insert(relative.display().to_string(), Shared::from(bytes));
            }
        }
    }
    Ok(tree)
}
