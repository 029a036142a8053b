//! Sigstore's trusted root as a signed target: made by `trust init`, changed by `trust trusted-root`, carried by mirrors,
//! and what attestations are verified against where a root of the notary is given.

use std::path::{Path, PathBuf};

use heliostat_testkit::clients::{PypiAttestations, or_skip};
use heliostat_testkit::process::Finished;
use heliostat_testkit::universe::Universe;
use serde_json::Value;

use crate::http::get;
use crate::sync_attestations::{GITHUB, provenance, universe};
use crate::world::{World, assert_says};

const PLAIN: &str = "heliostat/trusted_root.json";

/// A signed mirror.
fn signed(universe: Universe) -> World {
    let world = World::new(universe);
    world.sync(&["--all"]).assert_code(0);
    world.heliostat.command("trust init").run().assert_code(0);
    world
}

pub(crate) fn root(world: &World) -> PathBuf {
    world.heliostat.web().join("tuf/1.root.json")
}

pub(crate) fn trusted_root(world: &World) -> Vec<u8> {
    std::fs::read(world.heliostat.web().join(PLAIN)).unwrap()
}

/// The copies with a digest in their name.
fn copies(web: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(web.join("heliostat")).unwrap();
    let mut copies: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    copies.retain(|path| !path.ends_with(PLAIN));
    copies.sort();
    copies
}

/// `trust trusted-root FILE` with a root that knows none of the certificate authorities that signed our pairs.
pub(crate) fn replace_by_a_stranger(world: &World) -> Finished {
    let mut root: Value = serde_json::from_slice(&trusted_root(world)).unwrap();
    let authorities = root["certificateAuthorities"].as_array_mut().unwrap();
    let validity =
        serde_json::json!({ "start": "2015-01-01T00:00:00Z", "end": "2015-01-02T00:00:00Z" });
    for authority in authorities {
        authority["validFor"] = validity.clone();
    }
    let file = world.place("stranger.json");
    std::fs::write(&file, root.to_string()).unwrap();
    let command = world.heliostat.command("trust trusted-root");
    command.arg(&file).run()
}

fn trust_verify(world: &World) -> Finished {
    let command = world.heliostat.bare().args(["trust", "verify"]);
    let command = command.arg(world.heliostat.web()).arg("--root");
    command.arg(root(world)).run()
}

#[test]
fn attestations_are_verified_against_what_the_notary_signed() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let world = signed(universe(&oracle));
    let web = world.heliostat.web();
    assert_eq!(copies(&web).len(), 1);
    trust_verify(&world).assert_code(0);
    let root = root(&world);
    let root = root.to_str().unwrap();
    let verify = |more: &[&str]| world.verify(&[&["--attestations", "refuse"], more].concat());
    let said = verify(&["--root", root]);
    said.assert_code(0);
    assert_says(&said.stdout, &["3 provenance documents proved"]);
    let file = world.place(GITHUB.filename);
    std::fs::copy(oracle.asset(GITHUB.filename), &file).unwrap();
    let beside = world.place("provenance");
    std::fs::write(&beside, provenance(&oracle, GITHUB)).unwrap();
    let attest = |more: &[&str]| {
        let command = world.heliostat.bare().args(["attest", "verify"]).arg(&file);
        let command = command.arg("--provenance").arg(&beside);
        command.args(more).run()
    };
    let tree = ["--tree", web.to_str().unwrap(), "--root", root];
    attest(&tree).assert_code(0);
    attest(&["--tree", web.to_str().unwrap()]).assert_code(2);
    let said = attest(&["--tree", "/", "--root", root]);
    said.assert_code(2);
    assert_says(
        &said.stderr,
        &["`/` is no signed tree: there is no `tuf` in it"],
    );

    // Another one is signed: what it does not know is proved no more, whatever this program was built with.
    let first = world.place("first.json");
    std::fs::write(&first, trusted_root(&world)).unwrap();
    replace_by_a_stranger(&world).assert_code(0);
    assert_eq!(copies(&web).len(), 2);
    trust_verify(&world).assert_code(0);
    for said in [verify(&["--root", root]), verify(&[])] {
        said.assert_code(1);
        assert_says(&said.stdout, &["3 problems"]);
    }
    attest(&tree).assert_code(4);
    // Unless whoever runs this names another, or there is no tree.
    verify(&["--trusted-root", first.to_str().unwrap()]).assert_code(0);
    attest(&[]).assert_code(0);

    // One that nobody signed is believed by nobody.
    for copy in copies(&web) {
        let mut bytes = std::fs::read(&copy).unwrap();
        bytes.push(b'\n');
        std::fs::write(&copy, bytes).unwrap();
    }
    for said in [verify(&["--root", root]), verify(&[]), attest(&tree)] {
        said.assert_code(4);
        assert_says(
            &said.stderr,
            &[".trusted_root.json: it is not", "what was signed"],
        );
    }
    let said = trust_verify(&world);
    said.assert_code(4);
    assert_says(
        &said.stdout,
        &[".trusted_root.json: it is not what was signed"],
    );
}

/// What is mirrored from a notary is held against what that notary chose, and a notary's own tree against what stands in
/// it; an operator who names a file knows better.
#[test]
fn a_mirror_verifies_against_what_its_notary_signed() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let notary = World::new(universe(&oracle));
    notary.heliostat.command("trust init").run().assert_code(0);
    let built_in = notary.place("built-in.json");
    std::fs::write(&built_in, trusted_root(&notary)).unwrap();
    replace_by_a_stranger(&notary).assert_code(0);
    // The notary's own run doubts every document.
    let said = notary.sync(&["--all", "--attestations", "warn"]);
    said.assert_code(0);
    assert_eq!(
        notary.status()["warnings"].as_array().unwrap().len(),
        3,
        "{said}"
    );
    let serving = notary.serve(&["--offline"]);
    let index = serving.index_url();
    let root = root(&notary);
    let root = root.to_str().unwrap();
    let strict = ["--all", "--root", root, "--attestations", "refuse"];
    let files = |place: &str| {
        let web = notary.place(place).join("web/packages");
        crate::sync_world::digests(&web).len()
    };
    let doubting = crate::world::heliostat(&notary.place("doubting"));
    doubting.sync(&index, &strict).assert_code(1);
    let knowing = crate::world::heliostat(&notary.place("knowing"));
    let named = ["--trusted-root", built_in.to_str().unwrap()];
    knowing
        .sync(&index, &[&strict[..], &named].concat())
        .assert_code(0);
    assert!(files("doubting") < files("knowing"));
    // A copy that was damaged here is no reason not to ask the notary, and is mended by it.
    for copy in copies(&knowing.web()) {
        std::fs::write(copy, "{}").unwrap();
    }
    let mend = ["--root", root, "--attestations", "warn"];
    knowing.sync(&index, &mend).assert_code(0);
    let copy = std::fs::read(&copies(&knowing.web())[0]).unwrap();
    assert_eq!(copy, trusted_root(&notary));
    // A lock file's publishers, asked of the same mirror.
    let lock = notary.place("pylock.toml");
    let text = format!(
        "lock-version = \"1.0\"\ncreated-by = \"hand\"\n[[packages]]\nname = \"pypi-attestations\"\nversion = \
         \"0.0.19\"\nsdist = {{ url = \"{index}x/{0}\", hashes = {{ sha256 = \"{1}\" }} }}\n",
        GITHUB.filename,
        heliostat_testkit::fixture::sha256_hex(
            &std::fs::read(oracle.asset(GITHUB.filename)).unwrap()
        )
    );
    std::fs::write(&lock, text).unwrap();
    let record = |more: &[&str]| {
        let command = notary.heliostat.bare().args(["attest", "record", "--lock"]);
        let command = command.arg(&lock).args(["--upstream", &index]);
        command.args(more).run()
    };
    record(&[]).assert_code(0);
    record(&["--root", root]).assert_code(4);
    record(&named).assert_code(0);
    record(&["--root", root, named[0], named[1]]).assert_code(2);
}

/// `serve` takes provenance on demand: it holds it against what the tree names, unless whoever runs it names another.
#[test]
fn serve_verifies_against_what_its_tree_names() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let notary = World::new(universe(&oracle));
    notary.heliostat.command("trust init").run().assert_code(0);
    let built_in = notary.place("built-in.json");
    std::fs::write(&built_in, trusted_root(&notary)).unwrap();
    let status = |more: &[&str]| {
        let serving = notary.serve(&[&["--attestations", "refuse"], more].concat());
        let page = get(&format!("{}{}/", serving.index_url(), GITHUB.project));
        assert_eq!(page.status, 200);
        let place = format!(
            "integrity/{}/{}/{}/provenance",
            GITHUB.project, GITHUB.version, GITHUB.filename
        );
        let answer = get(&format!("{}/{place}", serving.url));
        serving.stop().assert_code(0);
        answer.status
    };
    replace_by_a_stranger(&notary).assert_code(0);
    assert_eq!(status(&[]), 422);
    assert_eq!(status(&["--trusted-root", built_in.to_str().unwrap()]), 200);
}

#[test]
fn mirrors_carry_the_trusted_root() {
    let first = signed(crate::sync_world::small());
    let serving = first.serve(&["--offline"]);
    let index = serving.index_url();
    let second = crate::world::heliostat(&first.place("second"));
    let root = root(&first);
    let root = root.to_str().unwrap();
    let sync = || second.sync(&index, &["--all", "--root", root]);
    sync().assert_code(0);
    assert_eq!(
        std::fs::read(second.web().join(PLAIN)).unwrap(),
        trusted_root(&first)
    );
    replace_by_a_stranger(&first).assert_code(0);
    sync().assert_code(0);
    assert_eq!(
        std::fs::read(second.web().join(PLAIN)).unwrap(),
        trusted_root(&first)
    );
    assert_eq!(copies(&second.web()).len(), 2);
    // Any TUF client gets it.
    let base = index.strip_suffix("simple/").unwrap();
    let (metadata, targets) = (first.place("metadata"), first.place("targets"));
    let tuf = |words: &[&str]| {
        let command = first
            .heliostat
            .bare()
            .args(["tuf-client", "--metadata-dir"]);
        let command = command.arg(&metadata).arg("--target-dir").arg(&targets);
        let urls = [&format!("{base}tuf/"), base];
        let command = command.args(["--metadata-url", urls[0], "--target-base-url", urls[1]]);
        command.args(words).run()
    };
    tuf(&["init", root]).assert_code(0);
    let got = tuf(&["--target-name", PLAIN, "download"]);
    got.assert_code(0);
    assert_eq!(
        std::fs::read(got.stdout.trim()).unwrap(),
        trusted_root(&first)
    );
    // A mirror whose copy is another gives it to nobody.
    for copy in copies(&first.heliostat.web()) {
        std::fs::write(copy, "{}").unwrap();
    }
    let third = crate::world::heliostat(&first.place("third"));
    let said = third.sync(&index, &["--all", "--root", root]);
    said.assert_code(4);
    assert!(!third.web().join("heliostat").exists());
}

/// A tree can do without one, and get it later.
#[test]
fn signing_may_begin_without_a_trusted_root() {
    let world = World::new(crate::sync_world::small());
    world.sync(&["--all"]).assert_code(0);
    let init = world.heliostat.command("trust init");
    init.args(["--no-trusted-root"]).run().assert_code(0);
    assert!(!world.heliostat.web().join("heliostat").exists());
    trust_verify(&world).assert_code(0);
    let command = world.heliostat.command("trust trusted-root");
    command.run().assert_code(0);
    assert_eq!(copies(&world.heliostat.web()).len(), 1);
    trust_verify(&world).assert_code(0);
}

/// A root that is not one is refused before anything is signed.
#[test]
fn what_is_no_trusted_root_is_not_signed() {
    let world = signed(crate::sync_world::small());
    let before = trusted_root(&world);
    let file = world.place("none.json");
    std::fs::write(&file, "{}").unwrap();
    let command = || world.heliostat.command("trust trusted-root");
    command().arg(&file).run().assert_code(2);
    let said = command().run();
    said.assert_code(0);
    assert_says(&said.stderr, &["nothing to do"]);
    assert_eq!(trusted_root(&world), before);
}
