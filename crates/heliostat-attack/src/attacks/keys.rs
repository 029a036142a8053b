//! Attacks with keys: roots that nobody may sign, strangers' keys, stolen keys, and too few of them.

use std::sync::Arc;

use heliostat_trust::keys::SigningKey;
use serde_json::{Value, json};

use super::metadata::{TIMESTAMP, replaced};
use super::{Alone, Attack, Before, Kept, PLAIN, WithHonest};
use crate::error::AttackError;
use crate::forge;
use crate::script::{Paths, Script, Tree, Twist};
use crate::world::{World, file_of};

/// The page that everything is about.
pub(super) const VICTIM: &str = "simple/victim/index.v1_json";
/// As far ahead as a thief can run: one more and the next version has no number.
const FAR: u64 = u64::MAX - 1;

/// The list.
pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "bin-rollback",
        family: "rollback",
        what: "a thief of the online key pins a bin at an older version",
        before: Before::NewestThenRestart,
        evil: |world| {
            stolen(world, |snapshot| {
                for (name, pin) in members(&mut snapshot["meta"]) {
                    if name.starts_with("bin-") && pin["version"].as_u64() > Some(1) {
                        pin["version"] = json!(1);
                    }
                }
            })
        },
        told: &["rollback"],
        ..PLAIN
    },
    Attack {
        name: "dropped-bin",
        family: "rollback",
        what: "a thief of the online key drops the bins from the snapshot",
        before: Before::NewestThenRestart,
        evil: |world| {
            stolen(world, |snapshot| {
                if let Some(meta) = snapshot["meta"].as_object_mut() {
                    meta.retain(|name, _| !name.starts_with("bin-"));
                }
            })
        },
        told: &["altered content", "rollback", "removes"],
        ..PLAIN
    },
    Attack {
        name: "split-view",
        family: "split view",
        what: "a thief of the online key signs an older state under the version of the newest",
        evil: split_view,
        alone: Alone::OldIsInstalled,
        with_honest: WithHonest::Refused,
        kept: Kept::Anything,
        told: &["split view"],
        told_together: Some("split view"),
        ..PLAIN
    },
    Attack {
        name: "split-view-after-the-right-one",
        family: "split view",
        what: "the same, to a client that has seen the newest state",
        before: Before::NewestThenRestart,
        evil: split_view,
        told: &["split view"],
        ..PLAIN
    },
    Attack {
        name: "misdirected-bin",
        family: "hashed bins",
        what: "a thief of the online key names the victim in a bin that is not its own",
        evil: misdirected,
        alone: Alone::Harmless,
        kept: Kept::Anything,
        ..PLAIN
    },
    Attack {
        name: "fast-forward",
        family: "fast-forward",
        what: "a thief of the online key runs ahead to the last version that there is",
        before: Before::NewestThenRestart,
        evil: |world| Ok(Script::honest(Arc::new(ahead(world)?))),
        alone: Alone::Harmless,
        kept: Kept::Anything,
        ..PLAIN
    },
    Attack {
        name: "fast-forward-recovery",
        family: "fast-forward",
        what: "the same was taken; then people sign a root with another online key, and versions begin again",
        before: Before::Seen(|world| {
            Ok(vec![
                world.honest(),
                Script::honest(Arc::new(ahead(world)?)),
            ])
        }),
        evil: |world| Ok(Script::honest(Arc::clone(&world.recovered))),
        honest: |world| Ok(Script::honest(Arc::clone(&world.recovered))),
        alone: Alone::Harmless,
        ..PLAIN
    },
    Attack {
        name: "fast-forward-after-recovery",
        family: "key compromise",
        what: "what the stolen key signed is shown again after the root that names another",
        before: Before::Seen(|world| {
            let recovered = Script::honest(Arc::clone(&world.recovered));
            Ok(vec![Script::honest(Arc::new(ahead(world)?)), recovered])
        }),
        evil: |world| Ok(Script::honest(Arc::new(ahead(world)?))),
        honest: |world| Ok(Script::honest(Arc::clone(&world.recovered))),
        told: &["replaced"],
        ..PLAIN
    },
    Attack {
        name: "one-key-of-two",
        family: "key compromise",
        what: "the root asks for two online keys, and one of them signs the timestamp twice",
        evil: |world| {
            let thief = &world.online_key;
            let mut tree = Tree::clone(&world.guarded);
            let file = forge::resign(file_of(&tree, TIMESTAMP)?, &[thief, thief], |timestamp| {
                timestamp["version"] = json!(version_of(timestamp) + 1);
            })?;
            tree.insert(TIMESTAMP.to_owned(), file);
            Ok(Script::honest(Arc::new(tree)))
        },
        honest: |world| Ok(Script::honest(Arc::clone(&world.guarded))),
        told: &["forged", "unreadable"],
        ..PLAIN
    },
    Attack {
        name: "bin-of-one-key-of-two",
        family: "key compromise",
        what: "the root asks for two online keys, and one of them signs a bin that names another page",
        evil: |world| {
            let tree = &world.guarded;
            let mut script = Script::honest(Arc::clone(tree));
            for bin in world.bins()? {
                let (_, path) = World::newest(tree, &bin)?;
                let forged = forge::resign(file_of(tree, &path)?, &[&world.online_key], |bin| {
                    if bin["targets"].get(VICTIM).is_some() {
                        bin["targets"][VICTIM] = other_page();
                    }
                })?;
                script = script.with(Paths::Exactly(path), Twist::Replace(forged));
            }
            Ok(script)
        },
        honest: |world| Ok(Script::honest(Arc::clone(&world.guarded))),
        told: &["forged"],
        ..PLAIN
    },
    Attack {
        name: "root-of-strangers",
        family: "root rollback",
        what: "the next root is signed by keys that the old one does not name",
        evil: |world| next_root(world, 2, &world.strange_key),
        told: &["forged"],
        ..PLAIN
    },
    Attack {
        name: "root-that-skips",
        family: "root rollback",
        what: "version 3 of the root, rightly signed, is sent as version 2",
        evil: |world| next_root(world, 3, &world.offline_key),
        told: &["forged"],
        ..PLAIN
    },
    Attack {
        name: "strange-key",
        family: "key compromise",
        what: "the timestamp is signed by a key that no root names",
        evil: |world| {
            let timestamp = forge::resign(world.file(TIMESTAMP)?, &[&world.strange_key], |_| {})?;
            Ok(replaced(world, TIMESTAMP, timestamp))
        },
        told: &["forged"],
        ..PLAIN
    },
];

/// The newest state with a root in the place of the next one.
fn next_root(world: &World, version: u64, key: &SigningKey) -> Result<Script, AttackError> {
    let root = forge::resign(world.file("tuf/1.root.json")?, &[key], |root| {
        root["version"] = json!(version);
    })?;
    Ok(replaced(world, "tuf/2.root.json", root))
}

/// Every bin but the victim's own says that the victim's page is another.
fn misdirected(world: &World) -> Result<Script, AttackError> {
    let mut tree = Tree::clone(&world.new);
    let mut versions = Vec::new();
    for bin in world.bins()? {
        let (version, path) = World::newest(&world.new, &bin)?;
        let held: Value = serde_json::from_slice(world.file(&path)?)
            .map_err(|error| AttackError::MakeTree(error.to_string()))?;
        if held["signed"]["targets"].get(VICTIM).is_some() {
            continue;
        }
        let next = version + 1;
        let forged = forge::resign(world.file(&path)?, &[&world.online_key], |bin| {
            bin["version"] = json!(next);
            bin["targets"][VICTIM] = other_page();
        })?;
        tree.insert(format!("tuf/{next}.{bin}.json"), forged);
        versions.push((format!("{bin}.json"), next));
    }
    let theft = Theft {
        tree,
        version: |version| version + 1,
    };
    let tree = theft.publish(world, |snapshot| {
        for (name, version) in &versions {
            snapshot["meta"][name]["version"] = json!(version);
        }
    })?;
    Ok(Script::honest(Arc::new(tree)))
}

/// The versions of the newest state, and in it the victim as it was before.
fn split_view(world: &World) -> Result<Script, AttackError> {
    let mut older = Vec::new();
    for bin in world.bins()? {
        older.push((format!("{bin}.json"), World::newest(&world.old, &bin)?.0));
    }
    let theft = Theft {
        tree: Tree::clone(&world.new),
        version: |version| version,
    };
    let tree = theft.publish(world, |snapshot| {
        for (name, version) in &older {
            snapshot["meta"][name]["version"] = json!(version);
        }
    })?;
    Ok(Script::honest(Arc::new(tree)))
}

/// The newest state, signed by a thief who leaves no room for a newer one.
fn ahead(world: &World) -> Result<Tree, AttackError> {
    let theft = Theft {
        tree: Tree::clone(&world.new),
        version: |_| FAR,
    };
    theft.publish(world, |_| {})
}

/// What a thief of the online key publishes: the next snapshot, changed, and a timestamp that pins it.
fn stolen(world: &World, change: impl Fn(&mut Value)) -> Result<Script, AttackError> {
    let theft = Theft {
        tree: Tree::clone(&world.new),
        version: |version| version + 1,
    };
    Ok(Script::honest(Arc::new(theft.publish(world, change)?)))
}

/// A tree in the hands of a thief of the online key.
pub(super) struct Theft {
    pub(super) tree: Tree,
    /// What becomes of versions.
    pub(super) version: fn(u64) -> u64,
}

impl Theft {
    /// Signs another snapshot, and a timestamp that pins it.
    pub(super) fn publish(
        mut self,
        world: &World,
        change: impl Fn(&mut Value),
    ) -> Result<Tree, AttackError> {
        let (version, path) = World::newest(&world.new, "snapshot")?;
        let next = (self.version)(version);
        let snapshot = forge::resign(world.file(&path)?, &[&world.online_key], |snapshot| {
            snapshot["version"] = json!(next);
            change(snapshot);
        })?;
        let timestamp = forge::resign(world.file(TIMESTAMP)?, &[&world.online_key], |timestamp| {
            timestamp["version"] = json!((self.version)(version_of(timestamp)));
            timestamp["meta"]["snapshot.json"] = forge::exact_pin(next, &snapshot);
        })?;
        self.tree
            .insert(format!("tuf/{next}.snapshot.json"), snapshot);
        self.tree.insert(TIMESTAMP.to_owned(), timestamp);
        Ok(self.tree)
    }
}

/// A target that nobody has.
fn other_page() -> Value {
    json!({
        "hashes": {"sha256": heliostat_pypi::Sha256::of(b"evil").to_hex()},
        "length": 4,
    })
}

fn version_of(signed: &Value) -> u64 {
    signed["version"].as_u64().unwrap_or(1)
}

fn members(object: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    object.as_object_mut().into_iter().flatten()
}
