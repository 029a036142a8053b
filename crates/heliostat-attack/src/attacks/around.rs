//! Attacks around the signed tree: what is left away, clocks, publications in the middle, and strangers beside the
//! proxy.

use std::sync::Arc;

use serde_json::json;

use super::content::edited_page;
use super::metadata::{TIMESTAMP, replaced};
use super::{Alone, Attack, Goal, Kept, PLAIN, Setting, WithHonest};
use crate::answer::Shared;
use crate::error::AttackError;
use crate::forge;
use crate::script::{Paths, Script, Tree, Twist};
use crate::world::{World, file_of};

/// Where attestations are.
const ATTESTATIONS: &str = "integrity/";

/// The list. A computer's clock is nothing to play with, so the notary's and the mirrors' are turned the other way: to
/// the proxy it is the same.
pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "withheld-provenance",
        family: "attestation stripping",
        what: "404 for the attestations that the page names",
        evil: |world| {
            Ok(world
                .honest()
                .with(Paths::Under(ATTESTATIONS.to_owned()), Twist::Refuse(404)))
        },
        goal: Goal::Attestations,
        alone: Alone::AttestationsRefused,
        told: &["no such thing"],
        ..PLAIN
    },
    Attack {
        name: "changed-provenance",
        family: "attestation stripping",
        what: "other attestations than the ones that the page names",
        evil: |world| {
            let other = Shared::from(&br#"{"version":1,"attestation_bundles":[]}"#[..]);
            Ok(world
                .honest()
                .with(Paths::Under(ATTESTATIONS.to_owned()), Twist::Replace(other)))
        },
        goal: Goal::Attestations,
        alone: Alone::AttestationsRefused,
        told: &["altered content"],
        ..PLAIN
    },
    Attack {
        name: "publish-in-the-middle",
        family: "mix and match",
        what: "a newer state takes the place of the old one while an installer resolves",
        evil: |world| {
            let seen = Paths::Exactly(world.signed_page("victim")?);
            Ok(world
                .honest()
                .then(seen, Script::honest(Arc::new(swept(world)?))))
        },
        alone: Alone::Harmless,
        ..PLAIN
    },
    Attack {
        name: "clock-two-years-ahead",
        family: "wrong clock",
        what: "your clock is years ahead, so that everything seems to have expired",
        evil: |world| turned(world, &PAST),
        honest: |world| turned(world, &PAST),
        with_honest: WithHonest::Refused,
        told: &["expired"],
        told_together: Some("your clock"),
        ..PLAIN
    },
    Attack {
        name: "clock-years-behind",
        family: "wrong clock",
        what: "your clock is years behind, so that nothing would ever expire",
        evil: |world| turned(world, &FUTURE),
        honest: |world| turned(world, &FUTURE),
        with_honest: WithHonest::Refused,
        kept: Kept::Anything,
        told: &["your clock"],
        told_together: Some("your clock"),
        ..PLAIN
    },
    Attack {
        name: "wrong-date",
        family: "wrong clock",
        what: "the mirror says in every answer that it is another year",
        evil: |world| Ok(world.honest().dated(FUTURE.date)),
        alone: Alone::Harmless,
        ..PLAIN
    },
    Attack {
        name: "extra-index",
        family: "fail-open client",
        what: "the installer is told of a stranger's index as well, which has a higher version",
        goal: Goal::Beside(Setting::ExtraIndex),
        alone: Alone::RefusedOrHarmless,
        with_honest: WithHonest::NewestOrRefused,
        told: &["extra-index-url", "index"],
        ..PLAIN
    },
    Attack {
        name: "second-index",
        family: "fail-open client",
        what: "the page names another sha256 for the wheel, and a stranger's index is asked after the proxy",
        evil: edited_page,
        goal: Goal::Beside(Setting::SecondIndex),
        with_honest: WithHonest::NewestOrRefused,
        told: &["extra-index-url", "index"],
        ..PLAIN
    },
    Attack {
        name: "find-links",
        family: "fail-open client",
        what: "the installer is told of a stranger's page of links, which has a higher version",
        goal: Goal::Beside(Setting::FindLinks),
        alone: Alone::RefusedOrHarmless,
        with_honest: WithHonest::NewestOrRefused,
        told: &["find-links"],
        ..PLAIN
    },
];

/// A moment at which the notary and the mirrors live.
struct Moment {
    /// When the timestamp was signed.
    signed: &'static str,
    /// When it expires.
    expires: &'static str,
    /// The same day in a head of HTTP.
    date: &'static str,
}

const PAST: Moment = Moment {
    signed: "2020-01-01T00:00:00Z",
    expires: "2020-01-02T00:00:00Z",
    date: "Wed, 01 Jan 2020 00:00:00 GMT",
};

const FUTURE: Moment = Moment {
    signed: "2090-01-01T00:00:00Z",
    expires: "2090-01-02T00:00:00Z",
    date: "Sun, 01 Jan 2090 00:00:00 GMT",
};

/// The newest state as it would be if it were signed and served at another time.
fn turned(world: &World, moment: &Moment) -> Result<Script, AttackError> {
    let timestamp = forge::resign(world.file(TIMESTAMP)?, &[&world.online_key], |timestamp| {
        timestamp["expires"] = json!(moment.expires);
        timestamp["x-heliostat"]["signed"] = json!(moment.signed);
    })?;
    Ok(replaced(world, TIMESTAMP, timestamp).dated(moment.date))
}

/// The state after the newest one, on a mirror that keeps no metadata and no signed page of earlier ones.
fn swept(world: &World) -> Result<Tree, AttackError> {
    let mut roles = world.bins()?;
    roles.extend(["snapshot", "targets", "bins"].map(str::to_owned));
    let mut tree = Tree::clone(&world.newer);
    tree.retain(|path, _| !path.starts_with("tuf/") || path.ends_with(".root.json"));
    for role in roles {
        let (_, path) = World::newest(&world.newer, &role)?;
        let bytes = file_of(&world.newer, &path)?;
        tree.insert(path, Shared::clone(bytes));
    }
    let timestamp = file_of(&world.newer, TIMESTAMP)?;
    tree.insert(TIMESTAMP.to_owned(), Shared::clone(timestamp));
    let old_pages =
        |path: &String| path.ends_with(".index.v1_json") && world.new.contains_key(path);
    let pages: Vec<String> = ["helper", "requestz", "victim"]
        .iter()
        .filter_map(|project| {
            let page = tree.get(&format!("simple/{project}/index.v1_json"))?;
            let sha256 = heliostat_pypi::Sha256::of(page);
            Some(format!("simple/{project}/{sha256}.index.v1_json"))
        })
        .collect();
    tree.retain(|path, _| !old_pages(path) || pages.contains(path));
    Ok(tree)
}
