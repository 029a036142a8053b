//! Pages that are rightly signed and say what they should not: what is left of the client's own judgement where a key was
//! stolen or a notary forgot something.

use std::sync::Arc;

use heliostat_pypi::Sha256;
use serde_json::{Value, json};

use super::keys::{Theft, VICTIM};
use super::{Attack, Kept, PLAIN, WithHonest};
use crate::answer::Shared;
use crate::error::AttackError;
use crate::forge;
use crate::script::{Paths, Script, Tree, Twist};
use crate::world::World;

/// The list.
pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "signed-page-of-another-project",
        family: "wrong software",
        what: "a thief of the online key signs the page of another project as the victim's",
        evil: |world| {
            let page = world.file("simple/requestz/index.v1_json")?;
            Ok(Script::honest(Arc::new(signed_as_the_victims(
                world, page,
            )?)))
        },
        with_honest: WithHonest::Refused,
        kept: Kept::Anything,
        told: &["wrong project"],
        ..PLAIN
    },
    Attack {
        name: "metadata-without-digest",
        family: "extraneous dependencies",
        what: "the notary forgot the digest of the metadata, and the mirror sends other metadata",
        evil: |world| {
            let metadata = world.find("packages/", "victim-2.0-py3-none-any.whl.metadata")?;
            let other = String::from_utf8_lossy(world.file(&metadata)?)
                .replace("Requires-Dist: helper", "Requires-Dist: requestz");
            let other = Twist::Replace(Shared::from(other.into_bytes()));
            Ok(without_digest(world)?.with(Paths::Exactly(metadata), other))
        },
        honest: without_digest,
        with_honest: WithHonest::Refused,
        kept: Kept::Anything,
        told: &["does not tell its sha256"],
        ..PLAIN
    },
];

/// The newest state, and in it the victim's page offers metadata and does not say which.
fn without_digest(world: &World) -> Result<Script, AttackError> {
    let page = forge::edit(world.file(VICTIM)?, |page| {
        for file in page["files"].as_array_mut().into_iter().flatten() {
            file["core-metadata"] = json!(true);
        }
    })?;
    let tree = signed_as_the_victims(world, &page)?;
    Ok(Script::honest(Arc::new(tree)))
}

/// The state after the newest one, in which the victim's own bin names this page.
fn signed_as_the_victims(world: &World, page: &Shared) -> Result<Tree, AttackError> {
    let sha256 = Sha256::of(page).to_hex();
    let target = json!({ "hashes": { "sha256": sha256 }, "length": page.len() });
    let mut tree = Tree::clone(&world.new);
    let mut moved = None;
    for bin in world.bins()? {
        let (version, path) = World::newest(&world.new, &bin)?;
        let file = world.file(&path)?;
        let held: Value = serde_json::from_slice(file)
            .map_err(|error| AttackError::MakeTree(error.to_string()))?;
        if held["signed"]["targets"].get(VICTIM).is_none() {
            continue;
        }
        let next = version + 1;
        let signed = forge::resign(file, &[&world.online_key], |signed| {
            signed["version"] = json!(next);
            signed["targets"][VICTIM] = target.clone();
        })?;
        tree.insert(format!("tuf/{next}.{bin}.json"), signed);
        moved = Some((format!("{bin}.json"), next));
    }
    let (name, version) =
        moved.ok_or_else(|| AttackError::MakeTree("no bin has the victim".to_owned()))?;
    tree.insert(
        format!("simple/victim/{sha256}.index.v1_json"),
        Shared::clone(page),
    );
    tree.insert(VICTIM.to_owned(), Shared::clone(page));
    let theft = Theft {
        tree,
        version: |version| version + 1,
    };
    theft.publish(world, |snapshot| {
        snapshot["meta"][&name]["version"] = json!(version);
    })
}
