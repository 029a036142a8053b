//! `directory probe` and `run`: ports and protocols beside the usual one, what a look may cost, and several vantages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use heliostat_testkit::front::{Front, FrontTwist, Wrong};
use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::free_port;
use heliostat_testkit::universe::{Release, Universe};
use serde_json::{Value, json};

use crate::directory_fleet::{Fleet, assert_found, gates, said};
use crate::sync_world::small;
use crate::world::{assert_says, bare};

#[test]
fn content_without_tls_is_told_and_a_closed_port_is_best() {
    let fleet = Fleet::new(small());
    let _front = fleet.mirror("campus");
    let plain = TreeMirror::serve(fleet.tree());
    let url = plain.url();
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap();
    let (sample, code) = fleet.sample(&["--class", "d", "--http-port", port]);
    assert_eq!((code, gates(&sample)), (Some(1), vec![]), "{sample:#}");
    assert_found(&sample, ("plain-http", "warning"), "without TLS");
    let closed = free_port().to_string();
    let (sample, code) = fleet.sample(&["--class", "d", "--http-port", &closed]);
    assert_eq!((code, said(&sample, "plain-http").len()), (Some(0), 0));
}

#[test]
fn a_tree_without_core_metadata_is_as_good_as_another_and_says_so_once() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    let without = FrontTwist::Replace("-metadata\":".to_owned(), "-nothing\":".to_owned());
    front.spoil([
        Wrong::new("/simple/", without),
        Wrong::new(".metadata", FrontTwist::Status(404)),
    ]);
    let (sample, code) = fleet.sample(&["--class", "h"]);
    assert_eq!((code, gates(&sample)), (Some(0), vec![]), "{sample:#}");
    assert_eq!(sample["present"]["ok"], sample["present"]["n"]);
    assert_eq!(said(&sample, "sample-index").len(), 1, "{sample:#}");
    assert_found(
        &sample,
        ("sample-index", "note"),
        "do not offer core metadata",
    );
}

#[test]
fn http2_is_absent_broken_or_spoken() {
    let fleet = Fleet::new(small());
    let _absent = fleet.mirror("absent");
    let broken = Front::claiming_http2(fleet.tree(), &fleet.authority);
    fleet.enlist("broken", broken.port(), "");
    let (certificate, key) = (fleet.world.place("own.pem"), fleet.world.place("own.key"));
    std::fs::write(&certificate, &fleet.authority.certificate_pem).unwrap();
    std::fs::write(&key, &fleet.authority.key_pem).unwrap();
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let own = fleet
        .world
        .serve(&["--tls-cert", &certificate, "--tls-key", &key]);
    let port = own.url.rsplit(':').next().unwrap().parse().unwrap();
    fleet.enlist("own", port, "");
    let closed = free_port().to_string();
    let (samples, _) = fleet.samples(&["--class", "d", "--http-port", &closed]);
    let [absent, broken, own] = &samples[..] else {
        panic!("{samples:?}")
    };
    assert_found(absent, ("protocols", "note"), "does not offer HTTP/2");
    assert_found(broken, ("protocols", "warning"), "does not speak it");
    assert_eq!(broken["outcome"], "alive");
    assert_eq!(
        (said(own, "protocols").len(), &own["outcome"]),
        (0, &json!("alive")),
        "{own:#}"
    );
}

#[test]
fn an_address_of_the_sixth_version_is_looked_at_like_any_other() {
    let mut fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    fleet.resolve_to(&[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!((code, &sample["outcome"]), (Some(1), &json!("alive")));
    assert_found(&sample, ("alive", "fault"), "does not take a connection");
    assert_found(&sample, ("dns", "warning"), "while other addresses");
    let six = Ipv6Addr::LOCALHOST.into();
    let _six = Front::at((six, front.port()), fleet.tree(), &fleet.authority);
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!(code, Some(0), "{sample:#}");
    assert_eq!(sample["addresses"], json!(["127.0.0.1", "::1"]));
}

#[test]
fn a_look_asks_over_few_connections_and_ends_when_it_has_cost_enough() {
    let mut universe = Universe::new();
    for index in 0..12 {
        let releases: Vec<Release> = (0..60)
            .map(|minor| Release::simple(&format!("1.{minor}")))
            .collect();
        universe.add_project(&format!("large-{index}"), &releases);
    }
    let fleet = Fleet::new(universe);
    let page = std::fs::metadata(fleet.tree().join("simple/large-1/index.v1_json"));
    let page = usize::try_from(page.unwrap().len()).unwrap();
    assert!(page * 9 > 2 * 96_000, "{page}");
    let front = fleet.mirror("campus");
    let (sample, _) = fleet.sample(&["--class", "m"]);
    assert_eq!(sample["outcome"], "alive", "{sample:#}");
    let sent = front.sent_bytes();
    assert!(sent <= 96_000 + page && sent > page, "{sent} {page}");
    fleet.sample(&["--class", "d"]);
    let open = front.connections_max();
    assert!((1..=2).contains(&open), "{open}");
}

/// Eight days of clean rounds of two vantages, up to some minutes ago.
fn well_known(fleet: &Fleet) {
    let now = jiff::Timestamp::now().as_second();
    let mut months: BTreeMap<String, String> = BTreeMap::new();
    let sample = |vantage: &str| {
        json!({"endpoint": "campus-main", "vantage": vantage, "outcome": "alive", "lag-seconds": 60,
            "present": {"ok": 32, "n": 32}, "class": "hourly"})
    };
    for at in (now - 8 * 86_400..now - 400).step_by(300) {
        let time = jiff::Timestamp::from_second(at).unwrap();
        let month = months.entry(time.strftime("%Y-%m.jsonl").to_string());
        let round =
            json!({"at": at, "control": "alive", "samples": [sample("here"), sample("far")]});
        writeln!(month.or_default(), "{round}").unwrap();
    }
    let folder = fleet.list().join("history");
    std::fs::create_dir_all(&folder).unwrap();
    for (month, text) in months {
        std::fs::write(folder.join(month), text).unwrap();
    }
}

#[test]
fn where_two_vantages_look_one_alone_moves_nobody() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    well_known(&fleet);
    let far = fleet.world.place("far");
    std::fs::create_dir_all(&far).unwrap();
    std::fs::copy(fleet.list().join("policy.toml"), far.join("policy.toml")).unwrap();
    std::fs::create_dir_all(far.join("mirrors.d")).unwrap();
    // From there, the way to the mirror is cut.
    let entry = std::fs::read_to_string(fleet.list().join("mirrors.d/campus.toml")).unwrap();
    let elsewhere = entry.replace(
        &format!(":{}/", front.port()),
        &format!(":{}/", free_port()),
    );
    std::fs::write(far.join("mirrors.d/campus.toml"), elsewhere).unwrap();
    let state = || -> Value {
        let list = fleet.list().display().to_string();
        let shown = bare()
            .args(["directory", "show", "campus", "--json", "--registry", &list])
            .run();
        shown.json()["standings"][0]["state"].clone()
    };
    assert_eq!(state(), "active");
    let rounds = |words: &[&str]| {
        let words = [&["--every", "1", "--rounds", "4"], words].concat();
        fleet.command("run", &words)
    };
    let both = || {
        rounds(&[]).run().assert_code(0);
        let there = ["--every", "1", "--rounds", "4", "--vantage", "far"];
        fleet.command_in(&far, "run", &there).run().assert_code(0);
        let far = far.display().to_string();
        let list = fleet.list().display().to_string();
        let merged = bare()
            .args([
                "directory",
                "merge",
                &far,
                "--from",
                "far",
                "--registry",
                &list,
            ])
            .run();
        merged.assert_code(0);
    };
    both();
    assert_eq!(state(), "active");
    std::fs::remove_dir_all(far.join("history")).unwrap();
    front.spoil([Wrong::new("/simple/", FrontTwist::Status(500))]);
    both();
    assert_eq!(state(), "degraded");
}

#[test]
fn a_mirror_costs_no_more_in_a_day_than_the_policy_says_over_all_runs() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    let policy = fleet.list().join("policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    let less = text.replace("daily_bytes_max = 50000000", "daily_bytes_max = 3000");
    assert_ne!(text, less);
    std::fs::write(&policy, less).unwrap();
    let (sample, _) = fleet.sample(&["--class", "h"]);
    let received = sample["received-bytes"].as_u64().unwrap();
    assert!((3000..60_000).contains(&received), "{received}");
    let asked = front.requests().len();
    let over = fleet.probe(&["--class", "m"]);
    over.assert_code(1);
    assert_says(&over.stderr, &["campus-main", "daily_bytes_max"]);
    let words = ["--every", "1", "--rounds", "1"];
    let run = fleet.command("run", &words).run();
    assert_says(&run.stderr, &["campus-main", "daily_bytes_max"]);
    assert_eq!(front.requests().len(), asked);
    // Another vantage, and another day, are asked again.
    let far = fleet.probe(&["--class", "m", "--vantage", "far"]);
    assert_says(&far.stdout, &["campus-main", "alive"]);
    let file = fleet.list().join("reference/spent.json");
    let spent: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let hours = spent["here"]["campus-main"].as_object().unwrap();
    let (hour, bytes) = hours.iter().next().unwrap();
    let hour: i64 = hour.parse().unwrap();
    let aged = json!({"here": {"campus-main": {(hour - 24).to_string(): bytes}}});
    std::fs::write(&file, aged.to_string()).unwrap();
    let tomorrow = fleet.probe(&["--class", "m"]);
    assert_says(&tomorrow.stdout, &["campus-main", "alive"]);
}

#[test]
fn where_every_name_leads_to_one_address_a_name_proves_nothing() {
    let fleet = Fleet::new(small());
    let _front = fleet.mirror("campus");
    let any = ["--class", "h", "--resolve", "*.example.edu=127.0.0.1"];
    let (sample, code) = fleet.sample(&any);
    assert_eq!(code, Some(0), "{sample:#}");
    assert_found(&sample, ("dns", "note"), "wildcard DNS");
    let (sample, _) = fleet.sample(&["--class", "h"]);
    assert!(said(&sample, "dns").is_empty(), "{sample:#}");
    // A network that answers for all names, as one does that wants a login, is no control.
    let index = fleet.world.pypi.index_url();
    let control = index.replace("127.0.0.1", "control.example.org");
    assert_ne!(control, index);
    let probe = |resolve: &str| {
        let words = ["--class", "m", "--control", &control, "--resolve", resolve];
        fleet.probe(&words)
    };
    probe("control.example.org=127.0.0.1").assert_code(0);
    let captive = probe("*.example.org=127.0.0.1");
    captive.assert_code(3);
    assert_says(
        &captive.stderr,
        &["control.example.org", "proves nothing", "does not count"],
    );
}
