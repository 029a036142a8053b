//! Attacks on pages and files.

use heliostat_pypi::Sha256;
use serde_json::json;

use super::{Alone, Attack, PLAIN};
use crate::answer::Shared;
use crate::error::AttackError;
use crate::forge;
use crate::script::{Paths, Script, Twist};
use crate::world::World;

/// The name of the wheel that is fought over.
const WHEEL: &str = "victim-2.0-py3-none-any.whl";

/// The list.
pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "flipped-wheel",
        family: "arbitrary package",
        what: "one byte of a wheel is flipped",
        evil: |world| Ok(world.honest().with(wheel_of(world)?, Twist::FlipByte)),
        told: &["altered content"],
        ..PLAIN
    },
    Attack {
        name: "flipped-and-cut-wheel",
        family: "arbitrary package",
        what: "half of the wheel, a byte of it flipped, then the connection ends",
        evil: |world| Ok(world.honest().with(wheel_of(world)?, Twist::FlipAndCut)),
        told: &["cannot be used", "broke off"],
        ..PLAIN
    },
    Attack {
        name: "swapped-wheel",
        family: "arbitrary package",
        what: "another signed wheel is sent under the wheel's address",
        evil: |world| {
            let other = world.find("packages/", "requestz-9.9-py3-none-any.whl")?;
            Ok(world.honest().with(wheel_of(world)?, Twist::Swap(other)))
        },
        told: &["altered content", "endless data", "length"],
        ..PLAIN
    },
    Attack {
        name: "edited-page",
        family: "arbitrary package",
        what: "the page names another sha256 for the wheel",
        evil: edited_page,
        told: &["altered content"],
        ..PLAIN
    },
    Attack {
        name: "added-file",
        family: "arbitrary package",
        what: "the page lists one more release",
        evil: |world| {
            page_with(world, |page| {
                let mut file = page["files"][1].clone();
                file["filename"] = json!("victim-3.0-py3-none-any.whl");
                if let Some(files) = page["files"].as_array_mut() {
                    files.push(file);
                }
            })
        },
        told: &["altered content", "endless data"],
        ..PLAIN
    },
    Attack {
        name: "stripped-attestation",
        family: "attestation stripping",
        what: "the page names no attestations for the wheel",
        evil: |world| {
            page_with(world, |page| {
                for file in page["files"].as_array_mut().into_iter().flatten() {
                    if let Some(file) = file.as_object_mut() {
                        file.retain(|name, _| !name.contains("provenance"));
                    }
                }
            })
        },
        told: &["altered content", "endless data"],
        ..PLAIN
    },
    Attack {
        name: "longer-wheel",
        family: "endless data",
        what: "the wheel goes on after its end, and its length says so",
        evil: |world| {
            let path = world.find("packages/", WHEEL)?;
            let mut bytes = world.file(&path)?.to_vec();
            bytes.extend([0; 100_000]);
            let twist = Twist::Replace(Shared::from(bytes));
            Ok(world.honest().with(Paths::Exactly(path), twist))
        },
        told: &["altered content", "endless data", "length"],
        ..PLAIN
    },
    Attack {
        name: "changed-dependencies",
        family: "extraneous dependencies",
        what: "the metadata beside the wheel asks for one more project",
        evil: |world| {
            let path = world.find("packages/", &format!("{WHEEL}.metadata"))?;
            let text = String::from_utf8_lossy(world.file(&path)?)
                .replace("Requires-Dist: helper", "Requires-Dist: requestz");
            let bytes = Shared::from(text.into_bytes());
            Ok(world
                .honest()
                .with(Paths::Exactly(path), Twist::Replace(bytes)))
        },
        told: &["altered content", "endless data"],
        ..PLAIN
    },
    Attack {
        name: "page-of-another-project",
        family: "wrong software",
        what: "the signed page of another project is sent",
        evil: |world| {
            Ok(world
                .honest()
                .with(page_of(world)?, Twist::Swap(world.signed_page("requestz")?)))
        },
        told: &["altered content", "wrong project", "endless data"],
        ..PLAIN
    },
    Attack {
        name: "page-of-an-older-state",
        family: "mix and match",
        what: "new metadata, and the page as it was before",
        evil: |world| {
            let old = world.old.get("simple/victim/index.v1_json");
            let old = old.ok_or_else(|| AttackError::MakeTree("no older page".to_owned()))?;
            Ok(world
                .honest()
                .with(page_of(world)?, Twist::Replace(Shared::clone(old))))
        },
        told: &["altered content"],
        ..PLAIN
    },
    Attack {
        name: "lying-html",
        family: "parser differential",
        what: "the HTML pages say something else than the signed JSON",
        evil: |world| {
            let html = "<!DOCTYPE html><a href=\"../../evil/victim-9.0-py3-none-any.whl\">victim-9.0-py3-none-any.whl</a>";
            let html = Shared::from(html.as_bytes());
            Ok(world
                .honest()
                .with(
                    Paths::EndingIn("index.v1_html".to_owned()),
                    Twist::Replace(Shared::clone(&html)),
                )
                .with(
                    Paths::EndingIn("index.html".to_owned()),
                    Twist::Replace(html),
                ))
        },
        alone: Alone::Harmless,
        ..PLAIN
    },
    Attack {
        name: "stale-but-valid",
        family: "freeze",
        what: "a signed state that is older and has not expired",
        evil: |world| Ok(Script::honest(std::sync::Arc::clone(&world.old))),
        alone: Alone::OldIsInstalled,
        ..PLAIN
    },
];

fn wheel_of(world: &World) -> Result<Paths, AttackError> {
    Ok(Paths::Exactly(world.find("packages/", WHEEL)?))
}

fn page_of(world: &World) -> Result<Paths, AttackError> {
    Ok(Paths::Exactly(world.signed_page("victim")?))
}

/// The page names another sha256 for the wheel.
pub(super) fn edited_page(world: &World) -> Result<Script, AttackError> {
    page_with(world, |page| {
        page["files"][1]["hashes"]["sha256"] = json!(Sha256::of(b"evil").to_hex());
    })
}

/// The victim's page, changed, under its signed name and under its plain one.
fn page_with(
    world: &World,
    change: impl Fn(&mut serde_json::Value),
) -> Result<Script, AttackError> {
    let plain = "simple/victim/index.v1_json";
    let page = forge::edit(world.file(plain)?, change)?;
    Ok(world
        .honest()
        .with(page_of(world)?, Twist::Replace(Shared::clone(&page)))
        .with(Paths::Exactly(plain.to_owned()), Twist::Replace(page)))
}
