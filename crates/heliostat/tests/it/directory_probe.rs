//! `directory probe`: what it sees of good mirrors and of faulty ones, and what it writes down.

use std::net::Ipv4Addr;

use heliostat_testkit::front::{Front, FrontTwist, Wrong};
use heliostat_testkit::process::Finished;
use heliostat_testkit::pypi::Authority;
use heliostat_testkit::universe::Release;
use serde_json::json;

use crate::directory_fleet::{Fleet, assert_found, gates, said};
use crate::sync_world::small;
use crate::world::{assert_says, bare};

#[test]
fn a_good_mirror_is_alive_fresh_and_complete_in_every_class() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    for class in ["m", "h", "d"] {
        let (sample, code) = fleet.sample(&["--class", class]);
        assert_eq!(code, Some(0), "{class}: {sample:#}");
        assert_eq!(sample["outcome"], "alive");
        assert_eq!(sample["lag-seconds"], 0);
        assert_eq!(
            sample["serial-proved"],
            fleet.world.pypi.universe().serial()
        );
        assert_eq!(sample["serial-claimed"], sample["serial-proved"]);
        assert_eq!(sample["present"]["ok"], sample["present"]["n"]);
        assert_eq!(sample["intact"]["ok"], sample["intact"]["n"]);
        assert!(sample["intact"]["n"].as_u64() > Some(0));
        assert_eq!(sample["certificate"]["protocol"], "TLSv1.3");
        assert_eq!(sample["addresses"], json!(["127.0.0.1"]));
    }
    let asked = front.requests();
    for agent in ["pip", "uv", "poetry", "pdm", "python-requests", "curl"] {
        let agent = format!(" {agent}");
        assert!(
            asked.iter().any(|line| line.ends_with(&agent)),
            "{agent}: {asked:?}"
        );
    }
    let rounds = fleet.history();
    assert_eq!(rounds.len(), 3);
    assert_eq!(rounds[2]["samples"][0]["class"], "daily");
    let list = fleet.list().display().to_string();
    let month = std::fs::read_dir(fleet.list().join("history")).unwrap();
    let month = month.map(|file| file.unwrap().path()).next().unwrap();
    let scored = bare()
        .args(["directory", "score", "--registry", &list, "--replay"])
        .arg(month)
        .run();
    scored.assert_code(0);
    assert_says(&scored.stdout, &["campus-main", "probation"]);
}

#[test]
fn what_is_seen_is_told_in_words_and_one_address_can_be_looked_at_alone() {
    let fleet = Fleet::new(small());
    let mut front = fleet.mirror("campus");
    let well = fleet.probe(&["campus", "--class", "m"]);
    well.assert_code(0);
    assert_says(&well.stdout, &["campus-main", "alive", "lag 0 s"]);
    let nobody = fleet.probe(&["nobody"]);
    nobody.assert_code(2);
    assert_says(&nobody.stderr, &["nobody", "directory list"]);
    let before = fleet.history().len();
    let cacert = fleet.world.place("ca.pem");
    std::fs::write(&cacert, &fleet.authority.ca_pem).unwrap();
    let me = bare()
        .args(["directory", "probe", "--class", "d", "--me"])
        .arg(format!("https://mirror.example.edu:{}", front.port()))
        .args(["--resolve", "mirror.example.edu=127.0.0.1"])
        .args(["--upstream", &fleet.world.pypi.index_url()])
        .arg("--cacert")
        .arg(cacert)
        .run();
    me.assert_code(0);
    assert_says(&me.stdout, &["me ", "alive"]);
    assert_eq!(fleet.history().len(), before);
    let named = bare()
        .args(["directory", "probe", "--class", "m", "--json", "--me"])
        .arg(format!("https://mirror.python.org:{}", front.port()))
        .args(["--resolve", "mirror.python.org=127.0.0.1"])
        .args(["--upstream", &fleet.world.pypi.index_url()])
        .run();
    named.assert_code(1);
    assert_says(
        &named.stdout,
        &["`mirror.python.org` is under `python.org`", "\"names\""],
    );
    front.kill();
    let dead = fleet.probe(&["--class", "m"]);
    dead.assert_code(1);
    assert_says(
        &dead.stdout,
        &["campus-main", "failed", "does not take a connection"],
    );
}

#[test]
fn a_mirror_that_stopped_has_the_age_of_the_oldest_change_it_lacks() {
    let fleet = Fleet::new(small());
    let old = fleet.frozen("old");
    let front = fleet.mirror("campus");
    front.move_to(&old);
    let serial = fleet.world.pypi.universe().serial();
    fleet
        .world
        .pypi
        .add_release("alpha", &Release::simple("7.0"));
    fleet
        .world
        .pypi
        .add_release("beta", &Release::simple("7.0"));
    let universe = fleet.world.pypi.universe();
    let alpha = universe.project("alpha").unwrap();
    let uploaded = alpha.files.last().unwrap().upload_time.clone();
    let uploaded: jiff::Timestamp = uploaded.parse().unwrap();
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!(code, Some(1), "{sample:#}");
    let age = jiff::Timestamp::now().as_second() - uploaded.as_second();
    let lag = sample["lag-seconds"].as_i64().unwrap();
    assert!((age - lag).abs() < 120, "{age} {lag}");
    assert_eq!(sample["serial-proved"], serial);
    assert_found(&sample, ("serial", "note"), "lacks the change");
    front.move_to(fleet.tree());
    fleet.world.sync(&["--all"]).assert_code(0);
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!(
        (code, &sample["lag-seconds"]),
        (Some(0), &json!(0)),
        "{sample:#}"
    );
}

#[test]
fn certificates_that_end_ended_or_are_of_another_name_are_told_apart() {
    let mut fleet = Fleet::new(small());
    let host = "mirror.example.edu";
    let ending = Authority::for_names_until(&[host], 10);
    let ended = Authority::for_names_until(&[host], -2);
    let other = Authority::for_names(&["other.example.edu"]);
    let mut fronts = Vec::new();
    for (id, authority) in [("ending", &ending), ("ended", &ended), ("other", &other)] {
        fleet.trust(authority);
        let front = Front::serve(fleet.tree(), authority);
        fleet.enlist(id, front.port(), "");
        fronts.push(front);
    }
    let (samples, code) = fleet.samples(&["--class", "m"]);
    assert_eq!(code, Some(1));
    let [expired, near, misnamed] = &samples[..] else {
        panic!("{samples:?}")
    };
    assert_eq!(gates(expired), ["tls"]);
    assert_found(expired, ("tls", "fault"), "xpired");
    assert_eq!(gates(misnamed), ["tls"]);
    assert_eq!(misnamed["outcome"], "failed");
    assert_found(misnamed, ("tls", "fault"), "not valid for name");
    // Both show what was refused, for whoever does not believe it.
    let proof = |sample| fleet.proof(sample, "tls")["seen"]["certificates"][0].clone();
    let (refused, stranger) = (proof(expired), proof(misnamed));
    assert_eq!(refused["names"], json!([host]));
    let now = jiff::Timestamp::now().as_second();
    assert!(refused["not_after"].as_i64() < Some(now), "{refused:#}");
    assert_eq!(stranger["names"], json!(["other.example.edu"]));
    assert!(stranger["der_base64"].as_str().unwrap().len() > 100);
    assert_eq!(gates(near), [""; 0]);
    assert_found(near, ("tls", "warning"), "ends in");
    let days = near["certificate-days"].as_i64().unwrap();
    assert!((8..=10).contains(&days), "{days}");
}

#[test]
fn each_address_of_a_name_is_looked_at_apart() {
    let mut fleet = Fleet::new(small());
    let old = fleet.frozen("old");
    fleet
        .world
        .pypi
        .add_release("alpha", &Release::simple("7.0"));
    fleet.world.sync(&["--all"]).assert_code(0);
    let second = Ipv4Addr::new(127, 0, 0, 2);
    let good = fleet.mirror("campus");
    let mut stale = Front::at((second.into(), good.port()), old, &fleet.authority);
    fleet.resolve_to(&[Ipv4Addr::LOCALHOST.into(), second.into()]);
    let (sample, _) = fleet.sample(&["--class", "m"]);
    assert!(sample["lag-seconds"].as_u64() > Some(0), "{sample:#}");
    assert_eq!(sample["addresses"].as_array().unwrap().len(), 2);
    assert_found(&sample, ("dns", "note"), "at different serials");
    stale.kill();
    let (sample, code) = fleet.sample(&["--class", "m"]);
    assert_eq!((code, &sample["outcome"]), (Some(1), &json!("alive")));
    assert_found(&sample, ("dns", "warning"), "while other addresses");
    assert_eq!(sample["lag-seconds"], 0);
}

/// A fault, the class that finds it, the exit code, and what is said: check, level, text, gate.
type Row = (Wrong, (&'static str, i32), [&'static str; 4]);

fn row(wrong: Wrong, class: &'static str, code: i32, said: [&'static str; 4]) -> Row {
    (wrong, (class, code), said)
}

/// What is found every five minutes.
fn rows_of_pages() -> Vec<Row> {
    use FrontTwist as Twist;
    let refresh = r#"<meta http-equiv="refresh" content="0; url=https://ads.example/">"#;
    let cookie = Twist::Header("Set-Cookie", "track=1".to_owned());
    let alive = |twist, part| {
        row(
            Wrong::new("/simple/", twist),
            "m",
            1,
            ["alive", "fault", part, ""],
        )
    };
    let forbidden = Wrong::new("/simple/", Twist::Status(403));
    let future = Twist::Html("20990101T00:00:00".into());
    let future = Wrong::new("last-modified", future);
    let (cookies, redirects) = ("cookies", "redirects");
    vec![
        row(
            Wrong::new("/simple/", cookie),
            "m",
            1,
            [cookies, "fault", "set-cookie", cookies],
        ),
        row(
            Wrong::new("/simple/", Twist::Html(refresh.into())),
            "m",
            1,
            [redirects, "fault", "refresh", redirects],
        ),
        row(future, "m", 1, ["last-modified", "warning", "to come", ""]),
        row(
            forbidden.only_for("pip/"),
            "m",
            1,
            ["alive", "fault", "403", ""],
        ),
        alive(Twist::Redirect("/simple/alpha/".into()), "without end"),
        alive(Twist::Html("<p>Buy".into()), ""),
        alive(Twist::Stall, "in time"),
        alive(Twist::Endless, "more bytes"),
        alive(Twist::Truncate, "ends before"),
        alive(Twist::GzipTwice, "twice"),
    ]
}

/// What is found every day.
fn rows_of_manners() -> Vec<Row> {
    use FrontTwist as Twist;
    let pages = |twist| Wrong::new("/simple/", twist);
    vec![
        row(
            pages(Twist::Without("Strict-Transport-Security")),
            "d",
            1,
            ["hsts", "warning", "15552000", ""],
        ),
        row(
            pages(Twist::Without("Vary")),
            "d",
            1,
            ["negotiation", "warning", "Vary: Accept", ""],
        ),
    ]
}

/// What is found every hour or every day.
fn rows_of_samples() -> Vec<Row> {
    use FrontTwist as Twist;
    let forbidden = |agent| Wrong::new("/simple/", Twist::Status(403)).only_for(agent);
    let files = |twist| Wrong::new("/packages/", twist);
    let ads = Twist::Redirect("https://ads.example/".to_owned());
    let cookie = Twist::Header("Set-Cookie", "track=1".to_owned());
    let missing = |twist| Wrong::new("heliostat-probe", twist);
    let (agents, file, wrong) = ("user-agents", "sample-file", "wrong bytes");
    vec![
        row(
            missing(cookie),
            "h",
            1,
            ["cookies", "fault", "set-cookie", "cookies"],
        ),
        row(
            missing(Twist::Html("<p>Hi".into())),
            "h",
            1,
            ["sample-index", "warning", "need 404", ""],
        ),
        row(
            files(ads),
            "h",
            1,
            ["redirects", "fault", "not the mirror's", "redirects"],
        ),
        row(forbidden("uv/"), "h", 1, [agents, "fault", "uv", agents]),
        row(
            forbidden("poetry/"),
            "h",
            1,
            [agents, "warning", "poetry", ""],
        ),
        row(
            files(Twist::FlipLastByte),
            "h",
            4,
            [file, "fault", wrong, "integrity"],
        ),
        row(
            files(Twist::FlipLastByte).only_for("pip/"),
            "h",
            4,
            [file, "fault", wrong, "integrity"],
        ),
        row(
            files(Twist::Truncate),
            "h",
            1,
            [file, "warning", "ends before", ""],
        ),
        row(
            files(Twist::Html("<p>Sold".into())),
            "h",
            1,
            [file, "warning", "for people", ""],
        ),
        row(
            Wrong::new(".metadata", Twist::Status(404)),
            "h",
            1,
            [file, "warning", ".metadata", ""],
        ),
        row(
            files(Twist::RangeOffByOne),
            "d",
            1,
            ["ranges", "warning", "another part", ""],
        ),
    ]
}

#[test]
fn every_fault_of_a_mirror_is_found_by_its_check() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    for (wrong, (class, code), [check, level, part, gate]) in
        [rows_of_pages(), rows_of_samples(), rows_of_manners()].concat()
    {
        std::fs::remove_dir_all(fleet.list().join("history")).unwrap_or_default();
        let shown = format!("{wrong:?}");
        front.spoil([wrong]);
        let words = ["--class", class, "--request-timeout", "2"];
        let (sample, found) = fleet.sample(&words);
        assert_found(&sample, (check, level), part);
        assert_eq!(found, Some(code), "{shown}: {sample:#}");
        if gate.is_empty() {
            assert!(
                !gates(&sample).contains(&"integrity"),
                "{shown}: {sample:#}"
            );
        } else {
            assert!(gates(&sample).contains(&gate), "{shown}: {sample:#}");
            assert_eq!(fleet.proof(&sample, gate)["gate"], gate, "{shown}");
            let proven = said(&sample, check);
            assert!(
                proven.iter().any(|(_, closed, _)| closed == gate),
                "{shown}"
            );
        }
    }
    front.spoil([]);
    // What only a daily look finds stays told until the next one.
    assert_eq!(fleet.sample(&["--class", "h"]).1, Some(1));
    assert_eq!(fleet.sample(&["--class", "d"]).1, Some(0));
}

#[test]
fn a_hundred_mirrors_are_looked_at_with_little_memory() {
    let fleet = Fleet::new(small());
    let fronts: Vec<_> = (0..100)
        .map(|index| fleet.mirror(&format!("m{index:03}")))
        .collect();
    let probed = fleet.probe(&["--class", "m", "--json"]);
    probed.assert_code(0);
    assert_eq!(probed.stdout.lines().count(), fronts.len());
    let (took, memory_bytes) = (probed.elapsed, probed.usage.memory_max_bytes);
    eprintln!("100 mirrors: {took:?}, at most {memory_bytes} bytes resident");
    assert!(memory_bytes < 64 << 20, "{memory_bytes}");
}

/// A place where nobody answers.
const NOBODY: &str = "http://127.0.0.1:1/simple/";

/// `directory probe --me`, with what finds and trusts the fleet.
fn me(fleet: &Fleet, base: &str, words: &[&str]) -> Finished {
    let cacert = fleet.world.place("ca.pem");
    std::fs::write(&cacert, &fleet.authority.ca_pem).unwrap();
    let command = bare()
        .args(["directory", "probe", "--class", "m", "--me", base])
        .args(["--resolve", "mirror.example.edu=127.0.0.1", "--tries", "1"])
        .arg("--cacert")
        .arg(cacert)
        .args(words);
    if words.contains(&"--upstream") {
        return command.run();
    }
    let upstream = fleet.world.pypi.index_url();
    command.args(["--upstream", &upstream]).run()
}

#[test]
fn a_round_that_does_not_count_could_not_run() {
    let fleet = Fleet::new(small());
    let front = fleet.mirror("campus");
    let base = format!("https://mirror.example.edu:{}/", front.port());
    me(&fleet, &base, &[]).assert_code(0);
    for words in [["--upstream", NOBODY], ["--control", NOBODY]] {
        let mine = me(&fleet, &base, &words);
        mine.assert_code(3);
        assert_says(
            &mine.stderr,
            &["does not count", "reference or a control site"],
        );
        let run = |more: &[&str]| fleet.command("run", &[&words[..], more].concat()).run();
        let rounds = run(&["--rounds", "2", "--every", "1"]);
        rounds.assert_code(3);
        assert_says(
            &rounds.stderr,
            &["no round counts", "reference or a control site"],
        );
    }
    let counts = fleet.command("run", &["--rounds", "1"]).run();
    counts.assert_code(0);
}

#[test]
fn the_pages_of_ones_own_mirror_may_lie_elsewhere() {
    let fleet = Fleet::new(small());
    let tree = fleet.frozen("devpi");
    std::fs::rename(tree.join("simple"), tree.join("+simple")).unwrap();
    let front = Front::serve(tree, &fleet.authority);
    let base = format!("https://mirror.example.edu:{}", front.port());
    me(&fleet, &base, &[]).assert_code(1);
    let found = me(&fleet, &base, &["--simple", "+simple/"]);
    found.assert_code(0);
    assert_says(&found.stdout, &["alive", "lag 0 s"]);
    for outside in ["/simple/", "+simple", "https://other.example/"] {
        let refused = me(&fleet, &base, &["--simple", outside]);
        refused.assert_code(2);
        assert_says(&refused.stderr, &["--simple", "folder below"]);
    }
    // What a mirror of the list has is said in the list.
    let nobodys = fleet.probe(&["--simple", "+simple/"]);
    nobodys.assert_code(2);
    assert_says(&nobodys.stderr, &["--me"]);
}
