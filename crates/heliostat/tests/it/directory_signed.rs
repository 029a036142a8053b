//! `directory probe --root`: pages and files against what a notary signed, and who is late and who lies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use heliostat_testkit::fixture::sha256_hex;
use heliostat_testkit::front::{FrontTwist, Wrong};
use heliostat_testkit::process::Serving;
use heliostat_testkit::universe::{Release, Universe};
use serde_json::Value;

use crate::directory_fleet::{Fleet, assert_found, gates};
use crate::notary_world;
use crate::sync_world::small;
use crate::world::assert_says;

/// A fleet whose tree is signed, and the notary's own server as the reference.
struct Signed {
    fleet: Fleet,
    reference: Serving,
}

impl Signed {
    fn new() -> Self {
        Self::of(small())
    }

    fn of(universe: Universe) -> Self {
        let fleet = Fleet::new(universe);
        notary_world::begin(&fleet.world.heliostat, 4);
        let reference = fleet.world.serve(&[]);
        Self { fleet, reference }
    }

    fn sample(&self, words: &[&str]) -> (Value, Option<i32>) {
        let upstream = format!("{}/simple/", self.reference.url);
        let root = notary_world::root(&self.fleet.world.heliostat);
        let root = root.display().to_string();
        let words = [words, &["--upstream", &upstream, "--root", &root]].concat();
        self.fleet.sample(&words)
    }

    /// The document that proves the only finding of a gate.
    fn proof(&self, sample: &Value, gate: &str) -> Value {
        let mut findings = sample["findings"].as_array().unwrap().iter();
        let finding = findings.find(|finding| finding["gate"] == gate).unwrap();
        let digest = finding["evidence"].as_str().unwrap();
        let path = self.fleet.list().join(format!("evidence/{digest}.json"));
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(sha256_hex(&bytes), digest);
        serde_json::from_slice(&bytes).unwrap()
    }
}

/// A signed document of a proof, by the end of its path.
fn document(proof: &Value, ending: &str) -> Value {
    let mut documents = proof["expected"]["signed"].as_array().unwrap().iter();
    let found = documents.find(|one| one["path"].as_str().unwrap().ends_with(ending));
    let found = found.unwrap_or_else(|| panic!("no {ending} in {proof:#}"));
    let bytes = STANDARD.decode(found["base64"].as_str().unwrap()).unwrap();
    assert_eq!(sha256_hex(&bytes), found["sha256"].as_str().unwrap());
    serde_json::from_slice(&bytes).unwrap()
}

/// What somebody adds to a page who wants people to install it.
fn implant(project: &str) -> Wrong {
    let name = format!("{project}-9.9-py3-none-any.whl");
    let digest = "0".repeat(64);
    let file = format!(
        r#""files":[{{"filename":"{name}","hashes":{{"sha256":"{digest}"}},"url":"../../packages/aa/bb/cc/{name}"}},"#
    );
    let twist = FrontTwist::Replace("\"files\":[".to_owned(), file);
    Wrong::new(format!("/simple/{project}/"), twist)
}

#[test]
fn a_mirror_that_carries_what_is_signed_passes_and_a_page_made_for_pip_is_proved_by_the_signature()
{
    let signed = Signed::new();
    let front = signed.fleet.mirror("campus");
    let (sample, code) = signed.sample(&["--class", "d"]);
    assert_eq!(code, Some(0), "{sample:#}");
    assert_eq!(sample["intact"]["ok"], sample["intact"]["n"]);
    let asked = front.requests();
    assert!(
        asked
            .iter()
            .any(|line| line.contains("/tuf/timestamp.json"))
    );
    // Each page is asked for as pip or as uv, by draw.
    let projects = ["beta", "delta", "epsilon", "zeta"];
    front.spoil(projects.map(|project| implant(project).only_for("pip/")));
    let (sample, code) = signed.sample(&["--class", "h"]);
    assert_eq!(code, Some(4), "{sample:#}");
    assert_eq!(gates(&sample), ["integrity"]);
    assert_found(&sample, ("signed", "fault"), "is not the signed one");
    let proof = signed.proof(&sample, "integrity");
    assert!(proof["agent"].as_str().unwrap().starts_with("pip/"));
    let page = document(&proof, "/index.v1_json");
    let path = format!("simple/{}/index.v1_json", page["name"].as_str().unwrap());
    let documents = proof["expected"]["signed"].as_array().unwrap();
    let vouching = documents.iter().find_map(|one| {
        let name = one["path"].as_str().unwrap().rsplit('/').next().unwrap();
        let file = document(&proof, name);
        file["signed"]["targets"][path.as_str()]["hashes"]["sha256"]
            .as_str()
            .map(str::to_owned)
    });
    assert_eq!(vouching.unwrap(), proof["expected"]["sha256"]);
    assert_ne!(
        proof["expected"]["found-sha256"],
        proof["expected"]["sha256"]
    );
    document(&proof, "timestamp.json");
    // Without what is signed, such a page only looks like one that lists a file too many.
    let (sample, code) = signed.fleet.sample(&["--class", "h"]);
    assert_eq!((code, gates(&sample)), (Some(1), vec![]), "{sample:#}");
}

#[test]
fn a_file_made_for_pip_and_its_metadata_are_held_against_signed_digests() {
    let signed = Signed::new();
    let front = signed.fleet.mirror("campus");
    let wheels = Wrong::new(".whl", FrontTwist::FlipLastByte);
    front.spoil([wheels.only_for("pip/")]);
    let (sample, code) = signed.sample(&["--class", "h"]);
    assert_eq!((code, gates(&sample)), (Some(4), vec!["integrity"]));
    assert_found(&sample, ("sample-file", "fault"), "has wrong bytes");
    let proof = signed.proof(&sample, "integrity");
    let filename = proof["expected"]["filename"].as_str().unwrap().to_owned();
    let page = document(&proof, "index.v1_json");
    let mut files = page["files"].as_array().unwrap().iter();
    let file = files.find(|file| file["filename"] == *filename).unwrap();
    assert_eq!(file["hashes"]["sha256"], proof["expected"]["sha256"]);
    front.spoil([Wrong::new(".metadata", FrontTwist::FlipLastByte)]);
    let (sample, code) = signed.sample(&["--class", "h"]);
    assert_eq!((code, gates(&sample)), (Some(4), vec!["integrity"]));
    assert_found(
        &sample,
        ("sample-file", "fault"),
        ".metadata` has wrong bytes",
    );
}

#[test]
fn a_provenance_that_is_not_the_one_that_the_signed_page_names_is_proved() {
    let mut universe = Universe::new();
    for project in ["alpha", "beta"] {
        universe.add_project(project, &[Release::simple("1.0").provenance()]);
    }
    let signed = Signed::of(universe);
    let front = signed.fleet.mirror("campus");
    let (sample, code) = signed.sample(&["--class", "h"]);
    assert_eq!(code, Some(0), "{sample:#}");
    let asked = front.requests();
    assert!(
        asked.iter().any(|line| line.contains("/provenance")),
        "{asked:?}"
    );
    front.spoil([Wrong::new("/provenance", FrontTwist::FlipLastByte)]);
    let (sample, code) = signed.sample(&["--class", "h"]);
    assert_eq!(
        (code, gates(&sample)),
        (Some(4), vec!["integrity"]),
        "{sample:#}"
    );
    assert_found(
        &sample,
        ("sample-file", "fault"),
        ".provenance` has wrong bytes",
    );
    let proof = signed.proof(&sample, "integrity");
    let named = proof["expected"]["filename"].as_str().unwrap();
    let page = document(&proof, "index.v1_json");
    let mut files = page["files"].as_array().unwrap().iter();
    let file = files
        .find(|file| named.starts_with(file["filename"].as_str().unwrap()))
        .unwrap();
    assert_eq!(file["_provenance-sha256"], proof["expected"]["sha256"]);
    assert_ne!(proof["body_sha256"], proof["expected"]["sha256"]);
}

#[test]
fn an_older_signed_state_is_late_and_no_lie_and_one_that_nobody_signed_is_refused() {
    let signed = Signed::new();
    let fleet = &signed.fleet;
    let old = fleet.frozen("old");
    let front = fleet.mirror("campus");
    front.move_to(&old);
    fleet
        .world
        .pypi
        .add_release("alpha", &Release::simple("7.0"));
    fleet.world.sync(&["--all"]).assert_code(0);
    let (sample, code) = signed.sample(&["--class", "h"]);
    assert_eq!((code, gates(&sample)), (Some(1), vec![]), "{sample:#}");
    assert_found(&sample, ("serial", "note"), "lacks the change");
    assert_found(&sample, ("signed", "note"), "is at the signed snapshot 1");
    assert!(sample["lag-seconds"].as_u64() > Some(0));
    // What an older state signs excuses no page that it does not sign either.
    front.spoil([implant("alpha")]);
    let (sample, code) = signed.sample(&["--class", "h"]);
    assert_eq!((code, gates(&sample)), (Some(4), vec!["integrity"]));
    let own = signed.proof(&sample, "integrity")["expected"]["own-sha256"].clone();
    let page = std::fs::read(old.join("simple/alpha/index.v1_json")).unwrap();
    assert_eq!(own, sha256_hex(&page));
    front.spoil([Wrong::new(
        "/tuf/timestamp.json",
        FrontTwist::Replace("\"version\":1".to_owned(), "\"version\":9".to_owned()),
    )]);
    let (sample, code) = signed.sample(&["--class", "h"]);
    assert_eq!((code, gates(&sample)), (Some(1), vec![]), "{sample:#}");
    assert_found(
        &sample,
        ("signed", "warning"),
        "its signed state is refused",
    );
    front.spoil([Wrong::new("/tuf/", FrontTwist::Status(404))]);
    let (sample, code) = signed.sample(&["--class", "h"]);
    assert_eq!((code, gates(&sample)), (Some(1), vec![]), "{sample:#}");
    assert_found(&sample, ("signed", "note"), "carries no signed state");
}

#[test]
fn a_reference_that_does_not_verify_moves_nobody() {
    let signed = Signed::new();
    let _front = signed.fleet.mirror("campus");
    let other = Fleet::new(small());
    notary_world::begin(&other.world.heliostat, 4);
    let upstream = format!("{}/simple/", signed.reference.url);
    let root = notary_world::root(&other.world.heliostat)
        .display()
        .to_string();
    let words = ["--class", "m", "--upstream", &upstream, "--root", &root];
    let refused = signed.fleet.probe(&words);
    refused.assert_code(3);
    assert_says(
        &refused.stderr,
        &[
            "shows no signed state that can be trusted",
            "does not count",
        ],
    );
    let nowhere =
        signed
            .fleet
            .probe(&["--upstream", "https://index.example/pypi/", "--root", &root]);
    nowhere.assert_code(2);
    assert_says(&nowhere.stderr, &["simple/", "--root"]);
}
