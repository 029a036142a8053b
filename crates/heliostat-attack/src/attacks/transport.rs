//! Attacks on the way: too much, too slow, or nothing at all.

use std::io::Write as _;

use super::{Alone, Attack, Before, WithHonest};
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
        before: Before::Nothing,
        evil: |world| Ok(twisted(world, "tuf/timestamp.json", Twist::Endless)),
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["endless data"],
    },
    Attack {
        name: "endless-snapshot",
        family: "endless data",
        what: "the snapshot never ends",
        before: Before::Nothing,
        evil: |world| {
            let (_, path) = World::newest(&world.new, "snapshot")?;
            Ok(twisted(world, &path, Twist::Endless))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["endless data"],
    },
    Attack {
        name: "endless-page",
        family: "endless data",
        what: "the page never ends",
        before: Before::Nothing,
        evil: |world| {
            Ok(twisted(
                world,
                &world.signed_page("victim")?,
                Twist::Endless,
            ))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["endless data"],
    },
    Attack {
        name: "endless-wheel",
        family: "endless data",
        what: "the wheel never ends",
        before: Before::Nothing,
        evil: |world| {
            Ok(twisted(
                world,
                &world.find("packages/", WHEEL)?,
                Twist::Endless,
            ))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["endless data"],
    },
    Attack {
        name: "compressed-bomb",
        family: "endless data",
        what: "a megabyte that unpacks to a gigabyte, as the page",
        before: Before::Nothing,
        evil: |world| {
            Ok(twisted(
                world,
                &world.signed_page("victim")?,
                Twist::Bomb(bomb()?),
            ))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["endless data", "unreadable", "altered content"],
    },
    Attack {
        name: "dripping-wheel",
        family: "slow retrieval",
        what: "one byte of the wheel a second",
        before: Before::Nothing,
        evil: |world| {
            Ok(twisted(
                world,
                &world.find("packages/", WHEEL)?,
                Twist::Drip,
            ))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["bytes a second"],
    },
    Attack {
        name: "silent-timestamp",
        family: "slow retrieval",
        what: "the head of the timestamp, then silence",
        before: Before::Nothing,
        evil: |world| Ok(twisted(world, "tuf/timestamp.json", Twist::StallAtOnce)),
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["slow", "stalled", "in time", "timed out"],
    },
    Attack {
        name: "silent-page",
        family: "slow retrieval",
        what: "half of the page, then silence",
        before: Before::Nothing,
        evil: |world| {
            Ok(twisted(
                world,
                &world.signed_page("victim")?,
                Twist::StallHalfWay,
            ))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["slow", "stalled", "in time", "timed out"],
    },
    Attack {
        name: "cut-wheel",
        family: "slow retrieval",
        what: "half of the wheel, then the connection ends",
        before: Before::Nothing,
        evil: |world| {
            Ok(twisted(
                world,
                &world.find("packages/", WHEEL)?,
                Twist::CutHalfWay,
            ))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["cannot be used", "broke off"],
    },
    Attack {
        name: "no-page",
        family: "censoring mirror",
        what: "404 for the page of one project",
        before: Before::Nothing,
        evil: |world| {
            Ok(world.honest().with(
                Paths::Under("simple/victim/".to_owned()),
                Twist::Refuse(404),
            ))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["no such thing"],
    },
    Attack {
        name: "no-bin",
        family: "censoring mirror",
        what: "404 for the bins",
        before: Before::Nothing,
        evil: |world| {
            let mut script = world.honest();
            for bin in world.bins()? {
                script = script.with(Paths::EndingIn(format!(".{bin}.json")), Twist::Refuse(404));
            }
            Ok(script)
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["no such thing"],
    },
    Attack {
        name: "no-newest-wheel",
        family: "censoring mirror",
        what: "403 for the newest wheel",
        before: Before::Nothing,
        evil: |world| {
            Ok(twisted(
                world,
                &world.find("packages/", WHEEL)?,
                Twist::Refuse(403),
            ))
        },
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["no such thing"],
    },
    Attack {
        name: "hung-up",
        family: "censoring mirror",
        what: "every connection is closed without a word",
        before: Before::Nothing,
        evil: |world| Ok(world.honest().with(Paths::All, Twist::Reset)),
        alone: Alone::Refused,
        with_honest: WithHonest::Newest,
        told: &["cannot be used"],
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
