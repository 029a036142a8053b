//! What the proxy asks about who published a file before it hands it out: the real pairs of pypi-attestations, right,
//! swapped and by somebody else than before, and real pip and uv.

use heliostat_testkit::clients::{Pip, PypiAttestations, Uv, or_skip};
use heliostat_testkit::mirror::{Mutation, TreeMirror, Twist};
use heliostat_testkit::process::Serving;
use heliostat_testkit::universe::Universe;

use crate::http::{Answer, JSON, get, get_with};
use crate::signed_world::SignedWorld;
use crate::sync_attestations::{CIRCLE, GITHUB, GOOGLE, Pair, provenance, universe};
use crate::trust_trusted_root::{replace_by_a_stranger, root, trusted_root};
use crate::world::{World, assert_says};

/// The wheel, as an installer is asked for it: a pre-release is wanted by its version only.
const REQUIREMENT: &str = "circleci-sign-publish-example==0.0.1.dev137";

const REFUSE: [&str; 2] = ["--attestations", "refuse"];

/// An index in which the wheel has the provenance of somebody else's file.
fn swapped(oracle: &PypiAttestations) -> Universe {
    let mut universe = universe(oracle);
    let other = provenance(oracle, GOOGLE).into();
    universe.set_provenance(CIRCLE.project, CIRCLE.filename, Some(other));
    universe
}

/// The file itself, asked for at the address that the page names.
fn file(proxy: &Serving, pair: &Pair) -> Answer {
    let page = get_with(&format!("{}{}/", proxy.index_url(), pair.project), &[JSON]);
    assert_eq!(page.status, 200, "{page:?}");
    let address = page.json()["files"][0]["url"].as_str().unwrap().to_owned();
    let path = address.rsplit_once("packages/").unwrap().1;
    get(&format!("{}/packages/{path}", proxy.url))
}

/// A `heliostat.trust` in which the wheel is by these.
fn memory(world: &World, attested: &str, publishers: &str) -> String {
    let path = world.place("heliostat.trust");
    let text = format!(
        "format = 1\n[projects.{}]\nversion = \"0.0.1\"\nattested = \"{attested}\"\npublishers = [{publishers}]\n",
        CIRCLE.project
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_file_is_handed_out_once_its_provenance_holds() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let signed = SignedWorld::new(universe(&oracle), 4);
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy_with(&[&mirror], &REFUSE);
    for pair in [GITHUB, GOOGLE, CIRCLE] {
        let answer = file(&proxy, pair);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.body,
            std::fs::read(oracle.asset(pair.filename)).unwrap()
        );
    }
    let asked = || {
        let requests = mirror.requests();
        let of = requests.iter().filter(|path| path.ends_with("/provenance"));
        of.count()
    };
    assert_eq!(asked(), 3);
    // What was found is remembered.
    assert_eq!(file(&proxy, CIRCLE).status, 200);
    assert_eq!(asked(), 3);
    if let Some(pip) = or_skip(Pip::newest()) {
        let directory = signed.world.place("pip");
        let installing = pip.install(&proxy.index_url(), &[REQUIREMENT], &directory);
        installing.assert_code(0);
    }
    if let Some(uv) = or_skip(Uv::find()) {
        let directory = signed.world.place("uv");
        let installing = uv.pip_install(&proxy.index_url(), &[REQUIREMENT], &directory);
        installing.assert_code(0);
    }
}

#[test]
fn a_file_whose_provenance_does_not_hold_is_refused_with_file_and_publisher() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let signed = SignedWorld::new(swapped(&oracle), 4);
    let mirror = TreeMirror::serve(signed.tree());
    let says = [
        CIRCLE.filename,
        CIRCLE.project,
        "its provenance, which names Google ",
        "does not hold: attestation 1 speaks of the file `gcb_attestation_test-0.0.0.tar.gz`",
    ];
    let proxy = signed.proxy_with(&[&mirror], &REFUSE);
    // The second time it is known.
    for _ in 0..2 {
        let refused = file(&proxy, CIRCLE);
        assert_eq!(refused.status, 422, "{refused:?}");
        assert_says(refused.text(), &["Refused, because of who published it"]);
        assert_says(refused.text(), &says);
    }
    assert_eq!(file(&proxy, GOOGLE).status, 200);
    let nothing = |name: &str| {
        let entries = std::fs::read_dir(signed.world.place(name))
            .into_iter()
            .flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // uv leaves a lock there.
        let installed: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        assert!(installed.is_empty(), "{name}: {installed:?}");
    };
    if let Some(pip) = or_skip(Pip::newest()) {
        let directory = signed.world.place("pip");
        let installing = pip.install(&proxy.index_url(), &[REQUIREMENT], &directory);
        assert_ne!(installing.code(), Some(0), "{installing}");
        nothing("pip");
    }
    if let Some(uv) = or_skip(Uv::find()) {
        let directory = signed.world.place("uv");
        let installing = uv.pip_install(&proxy.index_url(), &[REQUIREMENT], &directory);
        assert_ne!(installing.code(), Some(0), "{installing}");
        nothing("uv");
    }
    proxy.stop().assert_code(0);
    let why = signed.why(CIRCLE.filename);
    why.assert_code(0);
    assert_says(&why.stdout, &["attestations", says[2], says[3]]);
    // Who only wants to know is told, and who does not is not.
    let proxy = signed.proxy_with(&[&mirror], &["--attestations", "warn"]);
    assert_eq!(file(&proxy, CIRCLE).status, 200);
    assert_says(&proxy.stop().stderr, &["handed out", says[2], says[3]]);
    let proxy = signed.proxy(&[&mirror]);
    assert_eq!(file(&proxy, CIRCLE).status, 200);
    let finished = proxy.stop();
    assert!(!finished.stderr.contains("provenance"), "{finished}");
}

#[test]
fn a_change_of_publisher_is_seen() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let signed = SignedWorld::new(universe(&oracle), 4);
    let mirror = TreeMirror::serve(signed.tree());
    let ask = |publishers: &str, policy: &str| {
        let more = ["--attestations", policy, "--publishers", publishers];
        let proxy = signed.proxy_with(&[&mirror], &more);
        let answers = [file(&proxy, CIRCLE), file(&proxy, GITHUB)];
        // Nothing is known of the other project.
        assert_eq!(answers[1].status, 200);
        let [answer, _] = answers;
        (answer, proxy.stop())
    };
    let stranger = "{ kind = \"GitHub\", repository = \"they/it\", workflow = \"release.yml\" }";
    let other = memory(&signed.world, "whole", stranger);
    let (refused, _) = ask(&other, "refuse");
    assert_eq!(refused.status, 422, "{refused:?}");
    let says = [
        "`circleci-sign-publish-example` is now published by CircleCI ",
        "before by GitHub they/it (release.yml)",
    ];
    assert_says(refused.text(), &says);
    assert_says(refused.text(), &[CIRCLE.filename]);
    let (handed, finished) = ask(&other, "warn");
    assert_eq!(handed.status, 200);
    assert_says(&finished.stderr, &says);
    // The same as before, as `attest record` would have it.
    let document: serde_json::Value = serde_json::from_slice(&provenance(&oracle, CIRCLE)).unwrap();
    let publisher = &document["attestation_bundles"][0]["publisher"];
    let same = format!(
        "{{ kind = \"CircleCI\", project_id = {}, pipeline_definition_id = {} }}",
        publisher["project_id"], publisher["pipeline_definition_id"]
    );
    let same = memory(&signed.world, "whole", &same);
    assert_eq!(ask(&same, "refuse").0.status, 200);
}

#[test]
fn a_release_that_is_attested_no_more_is_seen() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let mut universe = universe(&oracle);
    universe.set_provenance(CIRCLE.project, CIRCLE.filename, None);
    let signed = SignedWorld::new(universe, 4);
    let mirror = TreeMirror::serve(signed.tree());
    let stranger = "{ kind = \"GitHub\", repository = \"they/it\", workflow = \"release.yml\" }";
    for (attested, status) in [("whole", 422), ("partly", 200)] {
        let publishers = memory(&signed.world, attested, stranger);
        let more = [&REFUSE[..], &["--publishers", &publishers]].concat();
        let proxy = signed.proxy_with(&[&mirror], &more);
        let answer = file(&proxy, CIRCLE);
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 422 {
            let says = "less of it is attested than of 0.0.1, which was by GitHub they/it";
            assert_says(answer.text(), &[says]);
        }
    }
    // Without a memory nothing says that it should be attested.
    let proxy = signed.proxy_with(&[&mirror], &REFUSE);
    assert_eq!(file(&proxy, CIRCLE).status, 200);
}

#[test]
fn provenance_that_no_mirror_gives_is_no_proof() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let signed = SignedWorld::new(universe(&oracle), 4);
    let mirror = TreeMirror::evil(
        signed.tree(),
        [Mutation::new("/integrity/", Twist::Status(404))],
    );
    let proxy = signed.proxy_with(&[&mirror], &REFUSE);
    let refused = file(&proxy, CIRCLE);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(
        refused.text(),
        &["every mirror says that it has none", "provenance"],
    );
    proxy.stop().assert_code(0);
    let proxy = signed.proxy_with(&[&mirror], &["--attestations", "warn"]);
    assert_eq!(file(&proxy, CIRCLE).status, 200);
    assert_says(&proxy.stop().stderr, &["could not be looked at"]);
    // One mirror that has it is enough.
    let honest = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy_with(&[&mirror, &honest], &REFUSE);
    assert_eq!(file(&proxy, CIRCLE).status, 200);
}

#[test]
fn provenance_is_held_against_the_trusted_root_that_the_notary_signed() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let notary = World::new(universe(&oracle));
    notary.sync(&["--all"]).assert_code(0);
    notary.heliostat.command("trust init").run().assert_code(0);
    let built_in = notary.place("built-in.json");
    std::fs::write(&built_in, trusted_root(&notary)).unwrap();
    let proxies = crate::world::heliostat(&notary.place("client"));
    let mirror = TreeMirror::serve(notary.heliostat.web());
    let proxy = |more: &[&str]| {
        let command = proxies.command("proxy").args(["--listen", "127.0.0.1:0"]);
        let command = command.args(["--mirror", &mirror.url(), "--root"]);
        let command = command.arg(root(&notary)).args(REFUSE).args(more);
        Serving::wait(command.start())
    };
    let status = |more: &[&str]| {
        let serving = proxy(more);
        let answer = file(&serving, GITHUB);
        serving.stop().assert_code(0);
        answer
    };
    let named = ["--trusted-root", built_in.to_str().unwrap()];
    assert_eq!(status(&[]).status, 200);
    // One that knows nobody is signed now.
    let waiting = proxy(&[]);
    assert_eq!(file(&waiting, GITHUB).status, 200);
    replace_by_a_stranger(&notary).assert_code(0);
    let refused = status(&[]);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(refused.text(), &["which names GitHub ", "does not hold"]);
    assert_eq!(status(&named).status, 200);
    // A proxy that was there before sees the new state, and does not go by what it found under the old one.
    std::thread::sleep(std::time::Duration::from_millis(3_500));
    assert_eq!(file(&waiting, GITHUB).status, 422);
    // A mirror whose copy is another proves nothing.
    mirror.mutate([Mutation::new("trusted_root.json", Twist::FlipLastByte)]);
    let refused = status(&[]);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(refused.text(), &["trusted_root.json", "altered content"]);
}

#[test]
fn publishers_without_a_policy_are_a_mistake() {
    let world = World::new(Universe::new());
    let publishers = memory(&world, "whole", "");
    let root = world.place("root.json");
    std::fs::write(&root, "{}").unwrap();
    let command = world.heliostat.command("proxy");
    let command = command.args(["--mirror", "http://127.0.0.1:1/", "--root"]);
    let said = command.arg(&root).args(["--publishers", &publishers]).run();
    said.assert_code(2);
    assert_says(&said.stderr, &["`--publishers` goes with `--attestations"]);
}
