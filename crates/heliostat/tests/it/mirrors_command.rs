//! `heliostat mirrors`: how the proxy's mirrors do, and that a running proxy obeys what is decided about them.

use std::time::Duration;

use heliostat_testkit::clients::{Tool, or_skip};
use heliostat_testkit::front::Front;
use heliostat_testkit::mirror::{Mutation, Twist};
use heliostat_testkit::process::Finished;
use heliostat_testkit::pypi::Authority;
use serde_json::Value;

use crate::alpha_app::{assert_installed, universe};
use crate::http::{JSON, get, get_with};
use crate::published_list::Fleet;
use crate::signed_world::SignedWorld;
use crate::world::assert_says;

/// A running proxy looks for decisions each second.
const OBEYED: Duration = Duration::from_millis(1_200);

fn mirrors(fleet: &Fleet, words: &[&str]) -> Finished {
    fleet.signed.client("mirrors").args(words).run()
}

fn lines(finished: &Finished) -> Vec<Value> {
    let lines = finished.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// How many pages and files each mirror was asked for.
fn content(fleet: &Fleet) -> Vec<usize> {
    let of = |path: &&String| path.contains("/simple/") || path.contains("/packages/");
    let mirrors = fleet.mirrors.iter();
    mirrors
        .map(|mirror| mirror.requests().iter().filter(of).count())
        .collect()
}

#[test]
fn a_running_proxy_obeys_what_is_pinned_and_banned() {
    let fleet = Fleet::new();
    let none = mirrors(&fleet, &["rank"]);
    none.assert_code(1);
    assert_says(&none.stderr, &["no proxy has run"]);
    let proxy = fleet.proxy(&[]);
    let ask = |project: &str| {
        let answer = get_with(&format!("{}{project}/", proxy.index_url()), &[JSON]);
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let pinned = mirrors(&fleet, &["pin", "south-main"]);
    pinned.assert_code(0);
    assert_eq!(pinned.stdout, "pinned: south-main\nbanned: none\n");
    std::thread::sleep(OBEYED);
    ask("alpha-app");
    ask("delta");
    assert_eq!(content(&fleet)[..2], [0, 0]);
    let ranked = mirrors(&fleet, &["rank", "--json"]);
    ranked.assert_code(0);
    let ranked = lines(&ranked);
    assert_eq!(ranked.len(), 3);
    assert_eq!(
        (&ranked[0]["id"], &ranked[0]["pinned"]),
        (&"south-main".into(), &true.into())
    );
    // What was decided last holds, by the address as well as by the id.
    let address = fleet.mirrors[2].url();
    mirrors(&fleet, &["pin", "south-main", "--undo"]).assert_code(0);
    let banned = mirrors(&fleet, &["ban", &address, "north-main", "--json"]);
    banned.assert_code(0);
    assert_eq!(lines(&banned)[0]["banned"][1], "north-main");
    std::thread::sleep(OBEYED);
    let before = content(&fleet);
    ask("beta");
    let after = content(&fleet);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert!(after[1] > before[1]);
    assert_says(
        get(&format!("{}/", proxy.url)).text(),
        &["not asked, because you banned it"],
    );
    let told = mirrors(&fleet, &["rank"]);
    assert_says(
        &told.stdout,
        &[
            "1.   ",
            "east-main",
            "Ost",
            "-    ",
            "banned by you",
            "health 99",
        ],
    );
    // A word that names nobody would have no effect.
    let unknown = mirrors(&fleet, &["ban", "suoth-main"]);
    unknown.assert_code(2);
    assert_says(&unknown.stderr, &["suoth-main", "mirrors rank"]);
    mirrors(&fleet, &["ban", "east-main", "--undo"]).assert_code(1);
    // All banned is nobody to ask, and what is kept serves nobody else.
    mirrors(&fleet, &["ban", "east-main"]).assert_code(0);
    std::thread::sleep(OBEYED);
    let refused = get_with(&format!("{}beta/", proxy.index_url()), &[JSON]);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(refused.text(), &["no mirror to ask", "banned"]);
    proxy.stop().assert_code(0);
    let why = mirrors(&fleet, &["why", "beta", "--json"]);
    why.assert_code(0);
    assert!(
        lines(&why)
            .iter()
            .all(|line| line["mirror"] == fleet.mirrors[1].url())
    );
}

#[test]
fn mirrors_are_reached_as_the_proxy_reaches_them() {
    let signed = SignedWorld::new(universe(), 4);
    let authority = Authority::new();
    let front = Front::serve(signed.tree(), &authority);
    let own = signed.world.place("ca.pem");
    std::fs::write(&own, &authority.ca_pem).unwrap();
    let own = own.display().to_string();
    let root = signed.notary.root_file().display().to_string();
    let mirror = format!("https://localhost:{}/", front.port());
    let test = |words: &[&str]| {
        let test = signed.client("mirrors test");
        let test = test.args(["--root", &root, "--mirror", &mirror]);
        test.args(words).run()
    };
    let stranger = test(&[]);
    stranger.assert_code(1);
    assert_says(&stranger.stdout, &[&mirror, "ertificate"]);
    let known = test(&["--cacert", &own]);
    known.assert_code(0);
    assert_says(&known.stdout, &["timestamp 1"]);
    let before = front.requests().len();
    let nowhere = ["--cacert", &own, "--proxy", "http://127.0.0.1:9/"];
    test(&nowhere).assert_code(1);
    assert_eq!(front.requests().len(), before);
    let exec = signed
        .client("exec")
        .args(["--root", &root, "--mirror", &mirror]);
    if let Some(uv) = or_skip(Tool::Uv.find()) {
        let target = signed.world.place("by-exec");
        let install = ["pip", "install", "--no-cache", "alpha-app", "--target"];
        let exec = exec.args(["--cacert", &own, "--"]).arg(&uv).args(install);
        assert_installed(&exec.arg(&target).run(), &target);
    }
}

#[test]
fn mirrors_are_tested_now_and_what_is_measured_is_remembered() {
    let fleet = Fleet::new();
    fleet.mirrors[0].mutate([Mutation::new("/", Twist::Reset)]);
    let root = fleet.signed.notary.root_file().display().to_string();
    let folder = fleet.list.folder.display().to_string();
    let list_root = fleet.list.root_file().display().to_string();
    let words = [
        "test",
        "--root",
        &root,
        "--directory",
        &folder,
        "--directory-root",
        &list_root,
    ];
    let tested = mirrors(&fleet, &[&words[..], &["--json"]].concat());
    tested.assert_code(1);
    let found = lines(&tested);
    let usable: Vec<bool> = found
        .iter()
        .map(|found| found["usable"].as_bool().unwrap())
        .collect();
    assert_eq!(usable, [true, true, false]);
    assert_eq!(found[2]["mirror"], fleet.mirrors[0].url());
    assert_eq!(found[0]["timestamp"], 1);
    let ranked = lines(&mirrors(&fleet, &["rank", "--json"]));
    assert_eq!(ranked[2]["id"], "north-main");
    assert!(ranked[0]["latency_milliseconds"].is_number());
    fleet.mirrors[0].mutate([]);
    mirrors(&fleet, &words).assert_code(0);
    let missing = mirrors(&fleet, &["test"]);
    missing.assert_code(2);
    assert_says(&missing.stderr, &["--root"]);
}
