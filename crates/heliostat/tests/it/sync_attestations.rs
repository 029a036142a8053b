//! Provenance that holds and provenance that does not, through `sync`, `status` and `verify`: the real pairs of
//! pypi-attestations on a PyPI on loopback, right, swapped and tampered with.

use heliostat_pypi::FileName;
use heliostat_pypi::metadata::extract_wheel_metadata;
use heliostat_testkit::clients::{PypiAttestations, or_skip};
use heliostat_testkit::fixture::Artifact;
use heliostat_testkit::process::Serving;
use heliostat_testkit::pypi::{Fault, Kind, Lack, Options, Rule};
use heliostat_testkit::universe::{Release, Universe};
use serde_json::Value;

use crate::http::{Answer, get, get_json};
use crate::world::{World, assert_says, until};

/// A real file with its real provenance.
pub(crate) struct Pair {
    pub(crate) project: &'static str,
    pub(crate) version: &'static str,
    pub(crate) filename: &'static str,
}

const PAIRS: [Pair; 3] = [
    Pair {
        project: "pypi-attestations",
        version: "0.0.19",
        filename: "pypi_attestations-0.0.19.tar.gz",
    },
    Pair {
        project: "gcb-attestation-test",
        version: "0.0.0",
        filename: "gcb_attestation_test-0.0.0.tar.gz",
    },
    Pair {
        project: "circleci-sign-publish-example",
        version: "0.0.1.dev137",
        filename: "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl",
    },
];
pub(crate) const GITHUB: &Pair = &PAIRS[0];
pub(crate) const GOOGLE: &Pair = &PAIRS[1];
/// The one that is a wheel.
pub(crate) const CIRCLE: &Pair = &PAIRS[2];

fn read(oracle: &PypiAttestations, name: &str) -> Vec<u8> {
    std::fs::read(oracle.asset(name)).unwrap()
}

pub(crate) fn provenance(oracle: &PypiAttestations, pair: &Pair) -> Vec<u8> {
    read(oracle, &format!("{}.provenance", pair.filename))
}

/// What the file offers beside it, where it is a wheel.
fn wheel_metadata(oracle: &PypiAttestations, pair: &Pair) -> Option<Vec<u8>> {
    let project = pair.project.parse().unwrap();
    let Ok(FileName::Wheel(name)) = FileName::parse(pair.filename, &project) else {
        return None;
    };
    let file = std::fs::File::open(oracle.asset(pair.filename)).unwrap();
    Some(extract_wheel_metadata(file, &project, &name).unwrap())
}

/// An index of the real files, each with its own provenance.
pub(crate) fn universe(oracle: &PypiAttestations) -> Universe {
    let mut universe = Universe::new();
    for pair in &PAIRS {
        let artifact = Artifact {
            filename: pair.filename.to_owned(),
            bytes: read(oracle, pair.filename).into(),
            metadata: wheel_metadata(oracle, pair).map(Into::into),
            requires_python: None,
        };
        let release = Release::new(pair.version)
            .artifact(artifact)
            .provenance_document(provenance(oracle, pair).into());
        universe.add_project(pair.project, &[release]);
    }
    universe
}

/// An index in which the file of one has the provenance of the other.
fn swapped(oracle: &PypiAttestations) -> World {
    swap(World::new(universe(oracle)), oracle)
}

fn swap(world: World, oracle: &PypiAttestations) -> World {
    let other = provenance(oracle, GOOGLE);
    world.pypi.edit(|universe| {
        universe.set_provenance(GITHUB.project, GITHUB.filename, Some(other.into()));
    });
    world
}

fn held(world: &World, pair: &Pair) -> bool {
    world.path_in_tree(pair.filename).exists()
}

fn page(world: &World, pair: &Pair) -> String {
    let path = format!("simple/{}/index.v1_json", pair.project);
    std::fs::read_to_string(world.heliostat.web().join(path)).unwrap_or_default()
}

/// What a run told with `--json`, by the name of the event.
fn told(stdout: &str, event: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["event"] == event)
        .collect()
}

#[test]
fn provenance_that_holds_is_taken_and_verified() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let world = World::new(universe(&oracle));
    world
        .sync(&["--all", "--attestations", "refuse"])
        .assert_code(0);
    world.assert_in_step();
    assert_eq!(world.status()["warnings"], Value::Array(Vec::new()));
    let said = world.verify(&["--attestations", "refuse"]);
    said.assert_code(0);
    assert_says(&said.stdout, &["3 provenance documents proved; 0 problems"]);
}

#[test]
fn provenance_that_does_not_hold_is_a_warning_unless_it_is_to_be_refused() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let world = swapped(&oracle);
    // Nothing is said of a policy.
    let command = world.heliostat.command("sync");
    let command = command.env_remove("HELIOSTAT_ATTESTATIONS");
    let upstream = world.pypi.index_url();
    let run = command.args(["--all", "--upstream", &upstream]).run();
    run.assert_code(0);
    let reason = "its provenance does not hold: attestation 1 speaks of the file `gcb_attestation_test-0.0.0.tar.gz`";
    assert_says(&run.stdout, &["1 warning in the ledger:", reason]);
    // It is carried as it is, and the serial is claimed: nothing is lacking.
    world.assert_in_step();
    let status = world.heliostat.command("status").run();
    status.assert_code(0);
    assert_says(&status.stdout, &["warnings     1\n", reason]);
    // A run that finds nothing new does not forget it, nor does one that changes something else of the project.
    let sync = |more: &[&str]| world.sync(&[&["--attestations", "warn"], more].concat());
    sync(&[]).assert_code(0);
    sync(&["--recheck"]).assert_code(0);
    world.pypi.edit(|universe| {
        universe.add_release(GITHUB.project, &Release::new("0.0.20").sdist());
    });
    sync(&[]).assert_code(0);
    assert_eq!(world.status()["warnings"].as_array().unwrap().len(), 1);
    let said = world.verify(&["--attestations", "warn"]);
    said.assert_code(0);
    assert_says(
        &said.stdout,
        &["warning: provenance of packages/", "1 warning", reason],
    );
    let said = world.verify(&["--json", "--attestations", "refuse"]);
    said.assert_code(1);
    let problems = told(&said.stdout, "problem");
    assert_eq!(problems.len(), 1, "{}", said.stdout);
    assert_eq!(problems[0]["problem"]["kind"], "unproved");
    assert_eq!(problems[0]["problem"]["project"], GITHUB.project);
    // Who does not want to know is not told.
    let said = world.verify(&["--attestations", "ignore"]);
    said.assert_code(0);
    assert!(!said.stdout.contains("warning"), "{}", said.stdout);
    // Once the upstream has the right one, the warning is gone with the wrong document.
    let right = provenance(&oracle, GITHUB);
    world.pypi.edit(|universe| {
        universe.set_provenance(GITHUB.project, GITHUB.filename, Some(right.into()));
    });
    sync(&["--recheck"]).assert_code(0);
    world.assert_in_step();
    assert_eq!(world.status()["warnings"], Value::Array(Vec::new()));
}

#[test]
fn a_file_whose_provenance_is_refused_is_not_taken() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let world = swapped(&oracle);
    let run = world.sync(&["--all", "--json", "--attestations", "refuse"]);
    run.assert_code(1);
    let failed = told(&run.stdout, "failed");
    assert_eq!(failed.len(), 1, "{}", run.stdout);
    assert_eq!(failed[0]["item"], GITHUB.filename);
    assert_says(
        failed[0]["reason"].as_str().unwrap(),
        &["its provenance does not hold: attestation 1 speaks of the file"],
    );
    assert!(!held(&world, GITHUB) && held(&world, GOOGLE));
    assert!(!page(&world, GITHUB).contains(GITHUB.filename));
    // The page tells the digest, so not even the file's bytes were asked for.
    assert!(!world.files_fetched().contains(GITHUB.filename));
    world.assert_consistent();
    // A document with one changed byte, and a mirror that trusted before it asked.
    let mut tampered: Value = serde_json::from_slice(&provenance(&oracle, GITHUB)).unwrap();
    let signature = "/attestation_bundles/0/attestations/0/envelope/signature";
    *tampered.pointer_mut(signature).unwrap() = "AAAA".into();
    world.pypi.edit(|universe| {
        let document = Some(tampered.to_string().into());
        universe.set_provenance(GITHUB.project, GITHUB.filename, document);
    });
    world.sync(&["--attestations", "warn"]).assert_code(0);
    assert!(held(&world, GITHUB));
    assert_eq!(world.status()["warnings"].as_array().unwrap().len(), 1);
    // `verify --repair` asks the upstream again, and drops what still does not hold.
    let said = world.verify(&["--repair", "--attestations", "refuse"]);
    said.assert_code(1);
    assert_says(&said.stdout, &["[dropped from its page]"]);
    assert!(!page(&world, GITHUB).contains(GITHUB.filename));
    // With the right document everything is well.
    let right = provenance(&oracle, GITHUB);
    world.pypi.edit(|universe| {
        universe.set_provenance(GITHUB.project, GITHUB.filename, Some(right.into()));
    });
    world.sync(&["--attestations", "refuse"]).assert_code(0);
    world.assert_in_step();
    assert!(held(&world, GITHUB));
    world.verify(&["--attestations", "refuse"]).assert_code(0);
}

#[test]
fn serve_does_not_give_provenance_that_is_refused() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let world = swapped(&oracle);
    let address = |pair: &Pair| {
        format!(
            "integrity/{}/{}/{}/provenance",
            pair.project, pair.version, pair.filename
        )
    };
    for (policy, status) in [("refuse", 422), ("warn", 200)] {
        let serving = world.serve(&["--attestations", policy]);
        for pair in [GITHUB, GOOGLE] {
            let page = get(&format!("{}{}/", serving.index_url(), pair.project));
            assert_eq!(page.status, 200);
        }
        let answer = |pair| get(&format!("http://{}/{}", serving.address(), address(pair))).status;
        assert_eq!(answer(GOOGLE), 200, "{policy}");
        assert_eq!(answer(GITHUB), status, "{policy}");
    }
    assert!(world.pypi.count(Kind::Provenance) >= 2);
}

/// Asks a server for a file, after its page.
fn ask(world: &World, serving: &Serving, pair: &Pair) -> Answer {
    let page = get(&format!("{}{}/", serving.index_url(), pair.project));
    assert_eq!(page.status, 200);
    let path = world.file(pair.filename).path();
    get(&format!("http://{}/{path}", serving.address()))
}

#[test]
fn serve_hands_out_no_file_whose_provenance_is_refused() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let world = swapped(&oracle);
    let failures = || world.status()["failures"].as_array().unwrap().clone();
    let refused = |answer: &Answer, reason: &str| {
        assert_eq!(answer.status, 422, "{answer:?}");
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("application/problem+json"));
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_says(&detail, &["is not handed out: its provenance", reason]);
    };
    // A sync that could take nothing of it leaves the project to whoever asks.
    world
        .sync(&["--all", "--attestations", "refuse"])
        .assert_code(1);
    let serving = world.serve(&["--attestations", "refuse", "--max-age", "0"]);
    refused(&ask(&world, &serving, GITHUB), "speaks of the file");
    assert!(!held(&world, GITHUB));
    assert!(!world.files_fetched().contains(GITHUB.filename));
    let told = failures();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["item"], GITHUB.filename);
    // A page that comes anew makes nothing of it good.
    world.pypi.edit(|universe| {
        universe.add_release(GITHUB.project, &Release::new("0.0.20").sdist());
    });
    refused(&ask(&world, &serving, GITHUB), "speaks of the file");
    assert_eq!(failures().len(), 1);
    serving.stop().assert_code(0);
}

/// What is here from before, when nobody refused anything, is judged when it is asked for.
#[test]
fn serve_hands_out_nothing_refused_that_is_here_already() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let world = swapped(&oracle);
    let other = provenance(&oracle, GOOGLE);
    world.pypi.edit(|universe| {
        universe.set_provenance(CIRCLE.project, CIRCLE.filename, Some(other.into()));
    });
    world
        .sync(&["--all", "--attestations", "warn"])
        .assert_code(0);
    assert!(held(&world, GITHUB) && held(&world, CIRCLE));
    for more in [&["--offline"][..], &[]] {
        let serving = world.serve(&[&["--attestations", "refuse"], more].concat());
        assert_eq!(ask(&world, &serving, GITHUB).status, 422, "{more:?}");
        assert_eq!(ask(&world, &serving, GOOGLE).status, 200, "{more:?}");
        let path = world.file(CIRCLE.filename).path();
        let metadata = get(&format!("http://{}/{path}.metadata", serving.address()));
        assert_eq!(metadata.status, 422, "{more:?}");
        serving.stop().assert_code(0);
    }
    // Once the upstream has the right document, that is asked for, and the file is given.
    let right = provenance(&oracle, GITHUB);
    world.pypi.edit(|universe| {
        universe.set_provenance(GITHUB.project, GITHUB.filename, Some(right.into()));
    });
    let serving = world.serve(&["--attestations", "refuse"]);
    assert_eq!(ask(&world, &serving, GITHUB).status, 200);
    serving.stop().assert_code(0);
    let serving = world.serve(&["--attestations", "refuse", "--offline"]);
    assert_eq!(ask(&world, &serving, GITHUB).status, 200);
    serving.stop().assert_code(0);
}

/// Of a mirror that keeps pages only, nobody is sent to the upstream for a file that is refused.
#[test]
fn serve_redirects_to_nothing_that_is_refused() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let world = swapped(&oracle);
    world.sync(&["--all", "--no-files"]).assert_code(0);
    let serving = world.serve(&["--attestations", "refuse"]);
    let before = world.pypi.count(Kind::Provenance);
    for _ in 0..2 {
        assert_eq!(ask(&world, &serving, GITHUB).status, 422);
        assert_eq!(ask(&world, &serving, GOOGLE).status, 302);
    }
    let metadata = |pair: &Pair| {
        let path = world.file(pair.filename).path();
        get(&format!("http://{}/{path}.metadata", serving.address())).status
    };
    assert_eq!(metadata(CIRCLE), 302);
    // The documents came with the pages; only one that does not hold is asked for again.
    assert_eq!(world.pypi.count(Kind::Provenance) - before, 2);
    serving.stop().assert_code(0);
    let serving = world.serve(&["--attestations", "refuse", "--offline"]);
    assert_eq!(ask(&world, &serving, GOOGLE).status, 302);
    assert_eq!(ask(&world, &serving, GITHUB).status, 422);
    serving.stop().assert_code(0);
    let serving = world.serve(&["--attestations", "warn"]);
    assert_eq!(ask(&world, &serving, GITHUB).status, 302);
    serving.stop().assert_code(0);
}

#[test]
fn a_file_on_demand_is_given_once_its_provenance_holds() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let world = swapped(&oracle);
    let failures = || world.status()["failures"].as_array().unwrap().len();
    let serving = world.serve(&["--attestations", "refuse"]);
    assert_eq!(ask(&world, &serving, GITHUB).status, 422);
    assert_eq!(failures(), 1);
    assert_eq!(ask(&world, &serving, GOOGLE).status, 200);
    // One that is offered and withheld proves nothing.
    let withheld = Rule::new(Fault::Status(404)).on(Kind::Provenance);
    world.pypi.misbehave(withheld);
    let answer = ask(&world, &serving, CIRCLE);
    assert_eq!(answer.status, 422);
    assert_says(answer.text(), &["its provenance cannot be had"]);
    assert_eq!(failures(), 2);
    world.pypi.behave();
    let right = provenance(&oracle, GITHUB);
    world.pypi.edit(|universe| {
        universe.set_provenance(GITHUB.project, GITHUB.filename, Some(right.into()));
    });
    for pair in [GITHUB, CIRCLE] {
        let answer = ask(&world, &serving, pair);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body, world.file(pair.filename).bytes);
    }
    assert_eq!(failures(), 0);
    until("both are kept", || {
        held(&world, GITHUB) && held(&world, CIRCLE)
    });
    serving.stop().assert_code(0);
}

#[test]
fn a_file_on_demand_whose_page_tells_no_digest_waits_for_its_proof() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let pypi = Options::default().lacks(Lack::Hashes);
    let world = swap(World::with(pypi.serve(universe(&oracle))), &oracle);
    let serving = world.serve(&["--attestations", "refuse"]);
    let url = |pair: &Pair| {
        let page = get_json(&format!("{}{}/", serving.index_url(), pair.project));
        let url = page.json()["files"][0]["url"].as_str().unwrap().to_owned();
        format!(
            "http://{}{}",
            serving.address(),
            &url[url.find("/packages/").unwrap()..]
        )
    };
    assert_eq!(get(&url(GITHUB)).status, 422);
    assert_eq!(get(&url(GOOGLE)).status, 200);
    serving.stop().assert_code(0);
}

#[test]
fn a_file_on_demand_is_given_with_a_warning_where_nothing_is_refused() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let world = swapped(&oracle);
    let serving = world.serve(&["--attestations", "warn"]);
    let warnings = || world.status()["warnings"].as_array().unwrap().len();
    assert_eq!(ask(&world, &serving, GITHUB).status, 200);
    until("it is told", || warnings() == 1);
    assert_eq!(ask(&world, &serving, GITHUB).status, 200);
    assert_eq!(ask(&world, &serving, GOOGLE).status, 200);
    assert!(held(&world, GITHUB));
    let ended = serving.stop();
    ended.assert_code(0);
    let told = ended.stderr.matches("taken all the same").count();
    assert_eq!(told, 1, "{}", ended.stderr);
    assert_eq!(warnings(), 1);
}

/// An index of one project whose files have provenance that is signed by nobody: nobody looks here.
fn unsigned() -> World {
    let mut universe = Universe::new();
    let releases = ["1.0", "1.1", "1.2"].map(|version| Release::simple(version).provenance());
    universe.add_project("acme", &releases);
    universe.add_project("other", &[Release::simple("1.0")]);
    let world = World::new(universe);
    world.sync(&["--all"]).assert_code(0);
    assert_eq!(world.pypi.count(Kind::Provenance), 6);
    world
}

/// The files whose provenance the next sync asks for.
fn asked_by_sync(world: &World, arguments: &[&str]) -> Vec<String> {
    world.pypi.clear_log();
    world.sync(arguments).assert_code(0);
    world.assert_in_step();
    world.verify(&[]).assert_code(0);
    let requests = world.pypi.requests_of(Kind::Provenance);
    requests
        .iter()
        .map(|request| request.path.rsplit('/').nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn provenance_is_asked_for_again_where_it_may_be_another_and_nowhere_else() {
    let world = unsigned();
    // Another release: only its own.
    world.pypi.edit(|universe| {
        universe.add_release("acme", &Release::new("1.3").wheel().provenance());
    });
    assert_eq!(asked_by_sync(&world, &[]), ["acme-1.3-py3-none-any.whl"]);
    // A change of everything but the provenance.
    world
        .pypi
        .edit(|universe| universe.yank("acme", "1.0", "broken"));
    assert_eq!(asked_by_sync(&world, &[]), [""; 0]);
    assert_eq!(asked_by_sync(&world, &[]), [""; 0]);
    // One that was added later, and one that is taken away again.
    let document = world.file("acme-1.0.tar.gz").provenance;
    world.pypi.edit(|universe| {
        universe.set_provenance("other", "other-1.0.tar.gz", document.clone());
    });
    assert_eq!(asked_by_sync(&world, &[]), ["other-1.0.tar.gz"]);
    world
        .pypi
        .edit(|universe| universe.set_provenance("other", "other-1.0.tar.gz", None));
    assert_eq!(asked_by_sync(&world, &[]), [""; 0]);
    // One that was changed in its place is found by looking at everything again, and what is the same is not written.
    world
        .pypi
        .edit(|universe| universe.set_provenance("acme", "acme-1.1.tar.gz", document));
    let inode = || {
        use std::os::unix::fs::MetadataExt as _;
        let place = "integrity/acme/1.0/acme-1.0.tar.gz/provenance";
        std::fs::metadata(world.heliostat.web().join(place))
            .unwrap()
            .ino()
    };
    let before = inode();
    assert_eq!(asked_by_sync(&world, &["--recheck"]).len(), 7);
    assert_eq!(inode(), before);
}

#[test]
fn provenance_that_cannot_be_asked_for_again_stays() {
    let world = unsigned();
    world
        .pypi
        .misbehave(Rule::new(Fault::Status(503)).on(Kind::Provenance));
    world.sync(&["--recheck"]).assert_code(1);
    assert_eq!(world.ledger().len(), 6);
    assert!(world.path_in_tree("acme-1.0.tar.gz").exists());
    let page = world.heliostat.web().join("simple/acme/index.v1_json");
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("_provenance-sha256").count(), 6, "{page}");
    world.pypi.behave();
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
}

/// A mirror of a mirror is told digests, and asks for what has another.
#[test]
fn a_mirror_of_a_mirror_sees_by_the_digest_that_provenance_changed() {
    let first = unsigned();
    let serving = first.serve(&["--offline"]);
    let second = crate::world::heliostat(&first.place("second"));
    let sync = || {
        let arguments = ["--all"];
        second.sync(&serving.index_url(), &arguments).assert_code(0);
    };
    sync();
    let document = first.file("acme-1.0.tar.gz").provenance.unwrap();
    first.pypi.edit(|universe| {
        universe.set_provenance("acme", "acme-1.1.tar.gz", Some(document.clone()));
    });
    first.sync(&["--recheck"]).assert_code(0);
    sync();
    let place = "integrity/acme/1.1/acme-1.1.tar.gz/provenance";
    assert_eq!(std::fs::read(second.web().join(place)).unwrap(), document);
}
