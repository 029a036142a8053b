//! Attacks on TUF metadata: roots, versions, times, keys, and what parsers read differently.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Alone, Attack, Before, WithHonest};
use crate::answer::Shared;
use crate::error::AttackError;
use crate::forge;
use crate::script::{Paths, Script, Tree, Twist};
use crate::world::World;

const TIMESTAMP: &str = "tuf/timestamp.json";
/// A time long gone.
const GONE: &str = "2020-01-01T00:00:00Z";

/// The list.
pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "metadata-rollback",
        family: "rollback",
        what: "after the newest state an older one, rightly signed",
        before: Before::Newest,
        evil: |world| Ok(Script::honest(Arc::clone(&world.old))),
        alone: Alone::RefusedOrHarmless,
        with_honest: WithHonest::Newest,
        told: &["rollback", "no such thing"],
    },
    Attack {
        name: "metadata-rollback-after-restart",
        family: "rollback",
        what: "the same, and the client was started again between",
        before: Before::NewestThenRestart,
        evil: |world| Ok(Script::honest(Arc::clone(&world.old))),
        alone: Alone::RefusedOrHarmless,
        with_honest: WithHonest::Newest,
        told: &["rollback"],
    },
    Attack {
        name: "bin-rollback",
        family: "rollback",
        what: "a thief of the online key pins a bin at an older version",
        before: Before::NewestThenRestart,
        evil: |world| {
            stolen(world, |snapshot| {
                if let Some(meta) = snapshot["meta"].as_object_mut() {
                    for (name, pin) in meta.iter_mut() {
                        if name.starts_with("bin-") && pin["version"].as_u64() > Some(1) {
                            pin["version"] = json!(1);
                        }
                    }
                }
            })
        },
        alone: Alone::RefusedOrHarmless,
        with_honest: WithHonest::NewestOrRefused,
        told: &["rollback"],
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
        alone: Alone::RefusedOrHarmless,
        with_honest: WithHonest::NewestOrRefused,
        told: &["altered content", "rollback", "removes"],
    },
    Attack {
        name: "misdirected-bin",
        family: "hashed bins",
        what: "a thief of the online key names the victim in a bin that is not its own",
        before: Before::Nothing,
        evil: misdirected,
        alone: Alone::Harmless,
        with_honest: WithHonest::Newest,
        told: &[],
    },
    Attack {
        name: "root-of-strangers",
        family: "root rollback",
        what: "the next root is signed by keys that the old one does not name",
        before: Before::Nothing,
        evil: |world| {
            let root = forge::resign(
                world.file("tuf/1.root.json")?,
                &[&world.strange_key],
                |root| {
                    root["version"] = json!(2);
                },
            )?;
            Ok(replaced(world, "tuf/2.root.json", root))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["forged"],
    },
    Attack {
        name: "root-that-skips",
        family: "root rollback",
        what: "version 3 of the root is sent as version 2",
        before: Before::Nothing,
        evil: |world| {
            let root = forge::resign(
                world.file("tuf/1.root.json")?,
                &[&world.online_key],
                |root| {
                    root["version"] = json!(3);
                },
            )?;
            Ok(replaced(world, "tuf/2.root.json", root))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["forged"],
    },
    Attack {
        name: "frozen",
        family: "freeze",
        what: "the same timestamp for ever, also after it has expired",
        before: Before::Nothing,
        evil: |world| {
            let timestamp =
                forge::resign(world.file(TIMESTAMP)?, &[&world.online_key], |timestamp| {
                    timestamp["expires"] = json!(GONE);
                })?;
            Ok(replaced(world, TIMESTAMP, timestamp))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["freeze", "expired"],
    },
    Attack {
        name: "bin-of-an-older-state",
        family: "mix and match",
        what: "new snapshot, and a bin as it was before under its new name",
        before: Before::Nothing,
        evil: |world| {
            let mut script = world.honest();
            for bin in world.bins()? {
                let (new, path) = World::newest(&world.new, &bin)?;
                let older = World::newest(&world.old, &bin);
                if let Some((version, old)) = older.ok().filter(|(version, _)| *version < new) {
                    let bytes = world.old.get(&old).map(Shared::clone);
                    let missing = || AttackError::MakeTree(format!("no version {version}"));
                    let twist = Twist::Replace(bytes.ok_or_else(missing)?);
                    script = script.with(Paths::Exactly(path), twist);
                }
            }
            if script.is_honest() {
                let reason = "no bin differs between the states".to_owned();
                return Err(AttackError::MakeTree(reason));
            }
            Ok(script)
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["altered content", "forged", "rollback"],
    },
    Attack {
        name: "strange-key",
        family: "key compromise",
        what: "the timestamp is signed by a key that no root names",
        before: Before::Nothing,
        evil: |world| {
            let timestamp = forge::resign(world.file(TIMESTAMP)?, &[&world.strange_key], |_| {})?;
            Ok(replaced(world, TIMESTAMP, timestamp))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["forged"],
    },
    Attack {
        name: "edited-timestamp",
        family: "arbitrary metadata",
        what: "the timestamp says another version than the one that was signed",
        before: Before::Nothing,
        evil: |world| {
            let timestamp = forge::edit(world.file(TIMESTAMP)?, |timestamp| {
                timestamp["signed"]["version"] = json!(9_000);
            })?;
            Ok(replaced(world, TIMESTAMP, timestamp))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["forged"],
    },
    Attack {
        name: "duplicate-keys",
        family: "parser differential",
        what: "the timestamp says its version twice",
        before: Before::Nothing,
        evil: |world| {
            text_of_timestamp(world, |text| {
                text.replace("\"version\":", "\"version\":7,\"version\":")
            })
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["forged", "unreadable"],
    },
    Attack {
        name: "not-a-number",
        family: "parser differential",
        what: "the timestamp's version is NaN",
        before: Before::Nothing,
        evil: |world| {
            text_of_timestamp(world, |text| {
                text.replace("\"version\":", "\"version\":NaN,\"_\":")
            })
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["unreadable"],
    },
    Attack {
        name: "huge-number",
        family: "parser differential",
        what: "the timestamp's version has forty digits",
        before: Before::Nothing,
        evil: |world| {
            let number = "1".repeat(40);
            text_of_timestamp(world, |text| {
                text.replace("\"version\":", &format!("\"version\":{number},\"_\":"))
            })
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["unreadable", "forged"],
    },
    Attack {
        name: "deep-nesting",
        family: "parser differential",
        what: "the timestamp is ten thousand lists in each other",
        before: Before::Nothing,
        evil: |world| text_of_timestamp(world, |_| "[".repeat(10_000)),
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["unreadable"],
    },
    Attack {
        name: "byte-order-mark",
        family: "parser differential",
        what: "a byte order mark before the timestamp",
        before: Before::Nothing,
        evil: |world| text_of_timestamp(world, |text| format!("\u{feff}{text}")),
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["unreadable"],
    },
    Attack {
        name: "invalid-utf-8",
        family: "parser differential",
        what: "bytes in the timestamp that are no UTF-8",
        before: Before::Nothing,
        evil: |world| {
            let mut bytes = world.file(TIMESTAMP)?.to_vec();
            bytes.splice(1..1, *b"\"\xff\":1,");
            Ok(replaced(world, TIMESTAMP, Shared::from(bytes)))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["unreadable", "forged"],
    },
    Attack {
        name: "tampered-cache",
        family: "local tampering",
        what: "every file that the client keeps gets a byte flipped while it is stopped",
        before: Before::NewestThenTampered(crate::lab::flip_a_byte_in_each),
        evil: |world| Ok(world.honest()),
        alone: Alone::Harmless,
        with_honest: WithHonest::Newest,
        told: &[],
    },
];

fn replaced(world: &World, path: &str, bytes: Shared) -> Script {
    world
        .honest()
        .with(Paths::Exactly(path.to_owned()), Twist::Replace(bytes))
}

fn text_of_timestamp(
    world: &World,
    change: impl Fn(&str) -> String,
) -> Result<Script, AttackError> {
    let text = String::from_utf8_lossy(world.file(TIMESTAMP)?).into_owned();
    let bytes = Shared::from(change(&text).into_bytes());
    Ok(replaced(world, TIMESTAMP, bytes))
}

/// Every bin but the victim's own says that the victim's page is another.
fn misdirected(world: &World) -> Result<Script, AttackError> {
    const VICTIM: &str = "simple/victim/index.v1_json";
    let other = json!({
        "hashes": {"sha256": heliostat_pypi::Sha256::of(b"evil").to_hex()},
        "length": 4,
    });
    let mut tree = Tree::clone(&world.new);
    let mut versions = Vec::new();
    for bin in world.bins()? {
        let (version, path) = World::newest(&world.new, &bin)?;
        let file: Value = serde_json::from_slice(world.file(&path)?)
            .map_err(|error| AttackError::MakeTree(error.to_string()))?;
        if file["signed"]["targets"].get(VICTIM).is_some() {
            continue;
        }
        let next = version + 1;
        let forged = forge::resign(world.file(&path)?, &[&world.online_key], |bin| {
            bin["version"] = json!(next);
            bin["targets"][VICTIM] = other.clone();
        })?;
        tree.insert(format!("tuf/{next}.{bin}.json"), forged);
        versions.push((format!("{bin}.json"), next));
    }
    stolen_in(world, tree, |snapshot| {
        for (name, version) in &versions {
            snapshot["meta"][name]["version"] = json!(version);
        }
    })
}

/// What a thief of the online key publishes: the next snapshot, changed, and a timestamp that pins it.
fn stolen(world: &World, change: impl Fn(&mut Value)) -> Result<Script, AttackError> {
    stolen_in(world, Tree::clone(&world.new), change)
}

/// The same in a tree that was changed before.
fn stolen_in(
    world: &World,
    mut tree: Tree,
    change: impl Fn(&mut Value),
) -> Result<Script, AttackError> {
    let (version, path) = World::newest(&world.new, "snapshot")?;
    let next = version + 1;
    let snapshot = forge::resign(world.file(&path)?, &[&world.online_key], |snapshot| {
        snapshot["version"] = json!(next);
        change(snapshot);
    })?;
    let timestamp = forge::resign(world.file(TIMESTAMP)?, &[&world.online_key], |timestamp| {
        timestamp["version"] = json!(timestamp["version"].as_u64().unwrap_or(1) + 1);
        timestamp["meta"]["snapshot.json"] = json!({
            "version": next,
            "length": snapshot.len(),
            "hashes": {"sha256": heliostat_pypi::Sha256::of(&snapshot).to_hex()},
        });
    })?;
    tree.insert(format!("tuf/{next}.snapshot.json"), snapshot);
    tree.insert(TIMESTAMP.to_owned(), timestamp);
    Ok(Script::honest(Arc::new(tree)))
}
