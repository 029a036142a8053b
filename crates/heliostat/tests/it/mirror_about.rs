//! What a mirror says of itself, as a file of the tree and through `serve`.

use heliostat_testkit::process::Heliostat;
use heliostat_testkit::universe::Release;
use serde_json::{Value, json};

use crate::http::get;
use crate::notary_world::begin;
use crate::sync_world::small;
use crate::world::{World, assert_says, until};

const PATH: &str = ".well-known/heliostat-mirror.json";

fn about(heliostat: &Heliostat) -> Value {
    let bytes = std::fs::read(heliostat.web().join(PATH)).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn a_mirror_says_who_runs_it_what_it_holds_and_where_it_is() {
    let world = World::new(small());
    begin(&world.heliostat, 4);
    let who = [
        "--all",
        "--operator",
        "Example University",
        "--contact",
        "mirrors@example.edu",
        "--public-url",
        "https://mirror.example.edu/pypi/",
    ];
    world.sync(&who).assert_code(0);
    let first = about(&world.heliostat);
    assert_eq!(first["schema"], "heliostat.mirror/1");
    assert_eq!(
        first["operator"],
        json!({"name": "Example University", "contact": "mirrors@example.edu",
            "url": "https://mirror.example.edu/pypi/"})
    );
    assert_eq!(first["signed"], "own");
    let status = world.heliostat.command("status").arg("--json").run();
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    for key in ["projects", "files", "size_bytes"] {
        assert_eq!(first["holds"][key], status[key], "{key}");
    }
    assert_eq!(first["holds"]["coverage"]["coverage"], "complete");
    assert_eq!(first["state"]["serial"], status["serial"]);
    let synced_at = first["state"]["synced_at"].as_str().unwrap();
    synced_at.parse::<jiff::Timestamp>().unwrap();
    let snapshot = &first["state"]["snapshot"];
    let file = format!("tuf/{}.snapshot.json", snapshot["version"]);
    let file = std::fs::read(world.heliostat.web().join(file)).unwrap();
    let digest = heliostat_pypi::Sha256::of(&file).to_hex();
    assert_eq!(snapshot["sha256"], digest);
    // Who runs it is remembered; what it holds goes on.
    world.pypi.add_release("alpha", &Release::simple("6.0"));
    world.sync(&["--contact", ""]).assert_code(0);
    let second = about(&world.heliostat);
    assert_eq!(second["operator"]["name"], "Example University");
    assert_eq!(second["operator"].get("contact"), None);
    for (key, of) in [("generation", "state"), ("files", "holds")] {
        let number = |about: &Value| about[of][key].as_u64().unwrap();
        assert!(number(&second) > number(&first), "{key}: {second}");
    }
    assert_ne!(second["state"]["snapshot"], first["state"]["snapshot"]);
    let serving = world.heliostat.serve(["--offline"]);
    let answer = get(&format!("{}/{PATH}", serving.url));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let served: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(served, second);
    world.assert_mirrors();
}

#[test]
fn a_mirror_taken_on_demand_says_so_and_a_wrong_word_is_told() {
    let world = World::new(small());
    let serving = world.serve(&["--operator", "Example"]);
    let page = get(&format!("{}alpha/", serving.index_url()));
    assert_eq!(page.status, 200);
    serving.stop().assert_code(0);
    let said = about(&world.heliostat);
    assert_eq!(
        (&said["signed"], &said["holds"]["projects"]),
        (&json!("nobody"), &json!(1))
    );
    assert_eq!(said["operator"], json!({"name": "Example"}));
    assert_eq!(said["state"].get("synced_at"), None);
    // A file that is taken is a step too, though no page changes.
    let number = |about: &Value, of: &str, key: &str| about[of][key].as_u64().unwrap();
    assert_eq!(number(&said, "holds", "files"), 0);
    let file = world.file("alpha-1.0-py3-none-any.whl").path();
    let serving = world.serve(&[]);
    assert_eq!(get(&format!("{}/{file}", serving.url)).status, 200);
    until("the file is told of while it is served", || {
        let now = about(&world.heliostat);
        number(&now, "holds", "files") == 1
            && number(&now, "state", "generation") > number(&said, "state", "generation")
    });
    serving.stop().assert_code(0);
    let wrong = world.sync(&["--public-url", "ftp://mirror.example/"]);
    wrong.assert_code(2);
    assert_says(&wrong.stderr, &["--public-url", "http or https"]);
    world.sync(&["--operator", "a\nb"]).assert_code(2);
}
