//! `directory serve --redirect`: clients are sent for files to a mirror that is known to have them, and nowhere else.

use heliostat_testkit::process::Serving;
use heliostat_testkit::universe::{Release, Universe};

use crate::http::{get, get_with};
use crate::world::{World, assert_says, bare};

/// Endpoints with the state of each and the serial that is proved.
const ENDPOINTS: [(&str, &str, &str, i64); 5] = [
    ("ahead", "CH", "active", 1_000_000),
    ("even", "EE", "active", 0),
    ("behind", "SG", "active", -1),
    ("ill", "US", "degraded", 1_000_000),
    ("silent", "NO", "active", i64::MIN),
];

/// A published list as `publish` writes it, without a month of history for each state.
fn publish(world: &World) -> std::path::PathBuf {
    let serial = i64::try_from(world.pypi.universe().serial()).unwrap();
    let list = world.place("list");
    let mut mirrors = Vec::new();
    let mut endpoints = Vec::new();
    let share = serde_json::json!({"ok": 1, "n": 1, "lower": 0.2});
    for (health, (id, country, state, ahead)) in (10..).zip(ENDPOINTS) {
        let proved = serial.checked_add(ahead).filter(|proved| *proved >= 0);
        mirrors.push(serde_json::json!({
            "id": id, "operator": {"name": id, "country": country}, "admin-state": "listed",
            "inception": "2026-01-01", "contacts": [],
            "endpoints": [{
                "id": id, "base": format!("https://{id}.example/pypi/"), "layout": "bandersnatch", "simple": "simple/",
                "coverage": "full",
            }],
        }));
        endpoints.push(serde_json::json!({
            "endpoint": id, "mirror": id, "state": state, "since": "2026-01-01T00:00:00Z", "rule": "proven",
            "next": null, "freshness": "fresh", "lag-seconds": 1, "serial-claimed": null, "serial-proved": proved,
            "health": 100 - health, "gates": [], "available": share, "complete": share, "intact": share,
            "warnings": 0, "certificate-days": null, "vantages": [],
        }));
    }
    std::fs::create_dir_all(list.join("v1")).unwrap();
    let write = |name: &str, value: &serde_json::Value| {
        std::fs::write(list.join("v1").join(name), value.to_string()).unwrap();
    };
    write(
        "mirrors.json",
        &serde_json::json!({
            "schema": "heliostat.directory.mirrors/1", "policy-version": 1, "policy-sha256": "0".repeat(64),
            "mirrors": mirrors,
        }),
    );
    write(
        "status.json",
        &serde_json::json!({
            "schema": "heliostat.directory.status/1", "at": "2026-01-02T00:00:00Z", "policy-version": 1,
            "mirrors-sha256": "0".repeat(64), "vantages": ["a"], "rounds": 1, "last-round-at": "2026-01-02T00:00:00Z",
            "endpoints": endpoints,
        }),
    );
    list
}

#[test]
fn clients_are_sent_where_the_file_is_known_to_be() {
    let mut universe = Universe::new();
    universe.add_project("alpha", &[Release::new("1.0").wheel()]);
    let world = World::new(universe);
    world.sync(&["--all"]).assert_code(0);
    let list = publish(&world);
    let serving = Serving::wait(
        world
            .heliostat
            .command("directory serve")
            .arg(&list)
            .args(["--redirect", "--listen", "127.0.0.1:0", "--offline"])
            .start(),
    );
    let file = world.file("alpha-1.0-py3-none-any.whl");
    let address = format!("{}/{}", serving.url, file.path());
    let sent = get(&address);
    assert_eq!(sent.status, 302);
    assert_eq!(
        sent.header("location"),
        Some(format!("https://ahead.example/pypi/{}", file.path()).as_str())
    );
    let link = sent.header("link").unwrap();
    assert_says(
        link,
        &[
            "<https://ahead.example/pypi/",
            "rel=duplicate; pri=1; geo=ch",
            "<https://even.example/pypi/",
            "pri=2; geo=ee",
        ],
    );
    assert!(
        !link.contains("behind") && !link.contains("ill.") && !link.contains("silent"),
        "{link}"
    );
    assert!(sent.header("repr-digest").unwrap().starts_with("sha-256=:"));
    assert_eq!(sent.header("cache-control"), Some("no-store"));
    let trace = get(&format!("{address}?trace=1"));
    assert_eq!(trace.status, 200);
    assert_says(
        trace.text(),
        &[
            "ahead",
            "sent here",
            "alternate 2",
            "no: it proved serial",
            "no: it is degraded",
            "no: no serial of it is proved",
        ],
    );
    let avoiding = get_with(
        &format!("{address}?avoid=ch"),
        &[("X-Heliostat-Avoid", "nobody")],
    );
    assert_says(
        avoiding.header("location").unwrap(),
        &["https://even.example/"],
    );
    // Where nobody is known to have it, it is answered from here.
    let own = get_with(&address, &[("X-Heliostat-Avoid", "ch, even")]);
    assert_eq!(own.status, 200);
    assert_eq!(own.body, file.bytes);
    // Pages come from one index only.
    assert_eq!(get(&format!("{}/simple/alpha/", serving.url)).status, 200);
    assert_eq!(
        get(&format!(
            "{}/packages/00/00/{}/no-1.0.tar.gz",
            serving.url,
            "0".repeat(60)
        ))
        .status,
        404
    );
    // Each mirror gets its share of files, and the trust in the folder is said aloud.
    let told = serving.stop();
    assert_says(&told.stderr, &["is not verified", "--root FILE"]);
    // What is no list is told before anything is served.
    let nothing = bare()
        .args(["directory", "serve", "/nonexistent", "--redirect", "--data"])
        .arg(world.place("data"))
        .run();
    nothing.assert_code(2);
    assert_says(&nothing.stderr, &["no published list", "directory publish"]);
}
