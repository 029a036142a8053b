//! Attacks on the way: too much, too slow, or nothing at all.

use std::io::Write as _;

use super::{Attack, PLAIN};
use crate::answer::Shared;
use crate::error::AttackError;
use crate::script::{Paths, Script, Twist};
use crate::world::World;

const WHEEL: &str = "victim-2.0-py3-none-any.whl";

/// The list.
pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "endless-timestamp",
        family: "endless data",
        what: "the timestamp never ends",
        evil: |world| Ok(twisted(world, "tuf/timestamp.json", Twist::Endless)),
        told: &["endless data"],
        ..PLAIN
    },
    Attack {
        name: "endless-snapshot",
        family: "endless data",
        what: "the snapshot never ends",
        evil: |world| {
            let (_, path) = World::newest(&world.new, "snapshot")?;
            Ok(twisted(world, &path, Twist::Endless))
        },
        told: &["endless data"],
        ..PLAIN
    },
    Attack {
        name: "endless-page",
        family: "endless data",
        what: "the page never ends",
        evil: |world| {
            Ok(twisted(
                world,
                &world.signed_page("victim")?,
                Twist::Endless,
            ))
        },
        told: &["endless data"],
        ..PLAIN
    },
    Attack {
        name: "endless-wheel",
        family: "endless data",
        what: "the wheel never ends",
        evil: |world| {
            Ok(twisted(
                world,
                &world.find("packages/", WHEEL)?,
                Twist::Endless,
            ))
        },
        told: &["endless data"],
        ..PLAIN
    },
    Attack {
        name: "compressed-bomb",
        family: "endless data",
        what: "a megabyte that unpacks to a gigabyte, as the page",
        evil: |world| {
            Ok(twisted(
                world,
                &world.signed_page("victim")?,
                Twist::Bomb(bomb()?),
            ))
        },
        told: &["endless data", "unreadable", "altered content"],
        ..PLAIN
    },
    Attack {
        name: "compressed-bomb-timestamp",
        family: "endless data",
        what: "a megabyte that unpacks to a gigabyte, as the timestamp",
        evil: |world| Ok(twisted(world, "tuf/timestamp.json", Twist::Bomb(bomb()?))),
        told: &["endless data", "unreadable", "altered content"],
        ..PLAIN
    },
    Attack {
        name: "dripping-snapshot",
        family: "slow retrieval",
        what: "one byte of the snapshot a second",
        evil: |world| {
            let (_, path) = World::newest(&world.new, "snapshot")?;
            Ok(twisted(world, &path, Twist::Drip))
        },
        told: &["bytes a second"],
        ..PLAIN
    },
    Attack {
        name: "silent-wheel",
        family: "slow retrieval",
        what: "half of the wheel, then silence",
        evil: |world| {
            Ok(twisted(
                world,
                &world.find("packages/", WHEEL)?,
                Twist::StallHalfWay,
            ))
        },
        told: &["slow", "stalled", "in time", "timed out", "stopped"],
        ..PLAIN
    },
    Attack {
        name: "dripping-wheel",
        family: "slow retrieval",
        what: "one byte of the wheel a second",
        evil: |world| {
            Ok(twisted(
                world,
                &world.find("packages/", WHEEL)?,
                Twist::Drip,
            ))
        },
        told: &["bytes a second"],
        ..PLAIN
    },
    Attack {
        name: "silent-timestamp",
        family: "slow retrieval",
        what: "the head of the timestamp, then silence",
        evil: |world| Ok(twisted(world, "tuf/timestamp.json", Twist::StallAtOnce)),
        told: &["slow", "stalled", "in time", "timed out"],
        ..PLAIN
    },
    Attack {
        name: "silent-page",
        family: "slow retrieval",
        what: "half of the page, then silence",
        evil: |world| {
            Ok(twisted(
                world,
                &world.signed_page("victim")?,
                Twist::StallHalfWay,
            ))
        },
        told: &["slow", "stalled", "in time", "timed out"],
        ..PLAIN
    },
    Attack {
        name: "cut-wheel",
        family: "slow retrieval",
        what: "half of the wheel, then the connection ends",
        evil: |world| {
            Ok(twisted(
                world,
                &world.find("packages/", WHEEL)?,
                Twist::CutHalfWay,
            ))
        },
        told: &["cannot be used", "broke off"],
        ..PLAIN
    },
    Attack {
        name: "no-page",
        family: "censoring mirror",
        what: "404 for the page of one project",
        evil: |world| {
            Ok(world.honest().with(
                Paths::Under("simple/victim/".to_owned()),
                Twist::Refuse(404),
            ))
        },
        told: &["no such thing"],
        ..PLAIN
    },
    Attack {
        name: "no-bin",
        family: "censoring mirror",
        what: "404 for the bins",
        evil: |world| {
            let mut script = world.honest();
            for bin in world.bins()? {
                script = script.with(Paths::EndingIn(format!(".{bin}.json")), Twist::Refuse(404));
            }
            Ok(script)
        },
        told: &["no such thing"],
        ..PLAIN
    },
    Attack {
        name: "no-newest-wheel",
        family: "censoring mirror",
        what: "403 for the newest wheel",
        evil: |world| {
            Ok(twisted(
                world,
                &world.find("packages/", WHEEL)?,
                Twist::Refuse(403),
            ))
        },
        told: &["no such thing"],
        ..PLAIN
    },
    Attack {
        name: "hung-up",
        family: "censoring mirror",
        what: "every connection is closed without a word",
        evil: |world| Ok(world.honest().with(Paths::All, Twist::Reset)),
        told: &["cannot be used"],
        ..PLAIN
    },
];

fn twisted(world: &World, path: &str, twist: Twist) -> Script {
    world.honest().with(Paths::Exactly(path.to_owned()), twist)
}

/// A gigabyte of zeros under gzip: about a megabyte.
fn bomb() -> Result<Shared, AttackError> {
    let zeros = vec![0; 64 << 10];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..(1 << 30) / zeros.len() {
        encoder
            .write_all(&zeros)
            .map_err(|error| AttackError::MakeTree(error.to_string()))?;
    }
    let bytes = encoder
        .finish()
        .map_err(|error| AttackError::MakeTree(error.to_string()))?;
    Ok(Shared::from(bytes))
}
