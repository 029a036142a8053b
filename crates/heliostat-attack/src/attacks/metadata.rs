//! Attacks on TUF metadata without any key: older states, mixed states, and what parsers read differently.

use std::sync::Arc;

use serde_json::json;

use super::{Alone, Attack, Before, Kept, PLAIN};
use crate::answer::Shared;
use crate::error::AttackError;
use crate::forge;
use crate::script::{Paths, Script, Twist};
use crate::world::World;

pub(super) const TIMESTAMP: &str = "tuf/timestamp.json";
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
        told: &["rollback"],
        ..PLAIN
    },
    Attack {
        name: "metadata-rollback-after-restart",
        family: "rollback",
        what: "the same, and the client was started again between",
        before: Before::NewestThenRestart,
        evil: |world| Ok(Script::honest(Arc::clone(&world.old))),
        told: &["rollback"],
        ..PLAIN
    },
    Attack {
        name: "frozen",
        family: "freeze",
        what: "the same timestamp for ever, also after it has expired",
        evil: |world| {
            let timestamp =
                forge::resign(world.file(TIMESTAMP)?, &[&world.online_key], |timestamp| {
                    timestamp["expires"] = json!(GONE);
                })?;
            Ok(replaced(world, TIMESTAMP, timestamp))
        },
        told: &["freeze", "expired"],
        ..PLAIN
    },
    Attack {
        name: "bin-of-an-older-state",
        family: "mix and match",
        what: "new snapshot, and a bin as it was before under its new name",
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
        told: &["altered content", "forged", "rollback"],
        ..PLAIN
    },
    Attack {
        name: "one-bin-for-another",
        family: "mix and match",
        what: "a bin is sent in the place of another one of the same version",
        evil: one_bin_for_another,
        honest: |world| Ok(Script::honest(Arc::clone(&world.recovered))),
        told: &["in the place of"],
        ..PLAIN
    },
    Attack {
        name: "edited-timestamp",
        family: "arbitrary metadata",
        what: "the timestamp says another version than the one that was signed",
        evil: |world| {
            let timestamp = forge::edit(world.file(TIMESTAMP)?, |timestamp| {
                timestamp["signed"]["version"] = json!(9_000);
            })?;
            Ok(replaced(world, TIMESTAMP, timestamp))
        },
        told: &["forged"],
        ..PLAIN
    },
    Attack {
        name: "duplicate-keys",
        family: "parser differential",
        what: "the timestamp says its version twice",
        evil: |world| {
            text_of_timestamp(world, |text| {
                text.replace("\"version\":", "\"version\":7,\"version\":")
            })
        },
        told: &["forged", "unreadable"],
        ..PLAIN
    },
    Attack {
        name: "not-a-number",
        family: "parser differential",
        what: "the timestamp's version is NaN",
        evil: |world| {
            text_of_timestamp(world, |text| {
                text.replace("\"version\":", "\"version\":NaN,\"_\":")
            })
        },
        told: &["unreadable"],
        ..PLAIN
    },
    Attack {
        name: "huge-number",
        family: "parser differential",
        what: "the timestamp's version has forty digits",
        evil: |world| {
            let number = "1".repeat(40);
            text_of_timestamp(world, |text| {
                text.replace("\"version\":", &format!("\"version\":{number},\"_\":"))
            })
        },
        told: &["unreadable", "forged"],
        ..PLAIN
    },
    Attack {
        name: "deep-nesting",
        family: "parser differential",
        what: "the timestamp is ten thousand lists in each other",
        evil: |world| text_of_timestamp(world, |_| "[".repeat(10_000)),
        told: &["unreadable"],
        ..PLAIN
    },
    Attack {
        name: "byte-order-mark",
        family: "parser differential",
        what: "a byte order mark before the timestamp",
        evil: |world| text_of_timestamp(world, |text| format!("\u{feff}{text}")),
        told: &["unreadable"],
        ..PLAIN
    },
    Attack {
        name: "invalid-utf-8",
        family: "parser differential",
        what: "bytes in the timestamp that are no UTF-8",
        evil: |world| {
            let mut bytes = world.file(TIMESTAMP)?.to_vec();
            bytes.splice(1..1, *b"\"\xff\":1,");
            Ok(replaced(world, TIMESTAMP, Shared::from(bytes)))
        },
        told: &["unreadable", "forged"],
        ..PLAIN
    },
    Attack {
        name: "tampered-cache",
        family: "local tampering",
        what: "every file that the client keeps gets a byte flipped while it is stopped",
        before: Before::NewestThenTampered(crate::round::flip_a_byte_in_each),
        kept: Kept::Anything,
        evil: |world| Ok(world.honest()),
        alone: Alone::Harmless,
        ..PLAIN
    },
];

pub(super) fn replaced(world: &World, path: &str, bytes: Shared) -> Script {
    world
        .honest()
        .with(Paths::Exactly(path.to_owned()), Twist::Replace(bytes))
}

/// Every bin is sent for the next one. Key and version are right; only what a bin says of itself tells that it is
/// another.
fn one_bin_for_another(world: &World) -> Result<Script, AttackError> {
    let tree = &world.recovered;
    let paths = world.bins()?.into_iter();
    let paths: Vec<String> = paths
        .map(|bin| World::newest(tree, &bin).map(|(_, path)| path))
        .collect::<Result<_, _>>()?;
    let mut script = Script::honest(Arc::clone(tree));
    for (one, other) in paths.iter().zip(paths.iter().cycle().skip(1)) {
        script = script.with(Paths::Exactly(one.clone()), Twist::Swap(other.clone()));
    }
    Ok(script)
}

fn text_of_timestamp(
    world: &World,
    change: impl Fn(&str) -> String,
) -> Result<Script, AttackError> {
    let text = String::from_utf8_lossy(world.file(TIMESTAMP)?).into_owned();
    let bytes = Shared::from(change(&text).into_bytes());
    Ok(replaced(world, TIMESTAMP, bytes))
}
