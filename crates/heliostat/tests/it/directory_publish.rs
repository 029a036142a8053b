//! `directory publish`: a list as static files, of the testkit's made-up list with a month of history.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use heliostat_testkit::clients::{Tool, or_skip};
use heliostat_testkit::directory::{ENDS_TEXT, Extent, write_sample};
use heliostat_testkit::process::{Finished, Invocation};
use heliostat_testkit::universe::Universe;
use serde_json::Value;

use crate::clients_tree::nginx;
use crate::http::get;
use crate::world::{World, assert_says, bare};

/// Rounds of a test's history lie half an hour apart: every five minutes for a month would be read for long.
const EVERY_SECONDS: i64 = 1800;

/// A list, and where it is published.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_sample(&folder.path().join("list"), Extent::once(30, EVERY_SECONDS)).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn publish(&self, to: &str) -> Finished {
        bare()
            .args(["directory", "publish"])
            .arg(self.path(to))
            .arg("--registry")
            .arg(self.path("list"))
            .args(["--at", ENDS_TEXT])
            .run()
    }

    pub(crate) fn published() -> Self {
        let desk = Self::new();
        desk.publish("out").assert_code(0);
        desk
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("out").join(name)).unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }
}

/// Every file below a folder, by its path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn pages(folder: &Path) -> Vec<(PathBuf, String)> {
    files(folder)
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "html")
        })
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

#[test]
fn every_state_is_told_and_the_same_moment_gives_the_same_bytes() {
    let desk = Desk::published();
    desk.publish("again").assert_code(0);
    let (one, other) = (desk.path("out"), desk.path("again"));
    let names = |root: &Path| -> Vec<PathBuf> {
        let below = |path: PathBuf| path.strip_prefix(root).unwrap().to_owned();
        files(root).into_iter().map(below).collect()
    };
    assert_eq!(names(&one), names(&other));
    for name in names(&one) {
        let same =
            std::fs::read(one.join(&name)).unwrap() == std::fs::read(other.join(&name)).unwrap();
        assert!(same, "{}", name.display());
    }
    let document = desk.json("v1/status.json");
    let states: BTreeSet<&str> = document["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| endpoint["state"].as_str().unwrap())
        .collect();
    let all = [
        "active",
        "candidate",
        "degraded",
        "maintenance",
        "probation",
        "quarantined",
        "retired",
        "suspended",
        "vetoed",
    ];
    assert_eq!(states, BTreeSet::from(all));
    assert_eq!(document["at"], ENDS_TEXT);
    assert_eq!(
        document["vantages"],
        serde_json::json!(["frankfurt", "singapore"])
    );
    // What is published can be replayed, and comes to the same.
    let score = |replay: &[PathBuf]| {
        let mut command = bare()
            .args(["directory", "score", "--json", "--registry"])
            .arg(desk.path("list"));
        for path in replay {
            command = command.arg("--replay").arg(path);
        }
        command.run()
    };
    let months = ["2026-10", "2026-11"];
    let kept = score(&months.map(|month| desk.path("list").join(format!("history/{month}.jsonl"))));
    let shown = score(&months.map(|month| {
        desk.path("out")
            .join(format!("v1/history/{month}.jsonl.zst"))
    }));
    kept.assert_code(1);
    assert_eq!(kept.stdout, shown.stdout);
}

#[test]
fn a_folder_is_replaced_as_a_whole_and_never_somebody_elses() {
    let desk = Desk::published();
    let stale = desk.path("out/mirrors/gone.html");
    std::fs::write(&stale, "").unwrap();
    desk.publish("out").assert_code(0);
    assert!(!stale.exists());
    let left: Vec<_> = std::fs::read_dir(desk.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing is left beside: {left:?}");
    // A broken entry leaves what is published as it was.
    let before = desk.text("v1/status.json");
    let entry = desk.path("list/mirrors.d/cedar.toml");
    std::fs::write(&entry, "id = \"cedar\"\n").unwrap();
    let broken = desk.publish("out");
    broken.assert_code(2);
    assert_says(&broken.stderr, &["cedar.toml"]);
    assert_eq!(desk.text("v1/status.json"), before);
    let photographs = desk.path("photographs");
    std::fs::create_dir(&photographs).unwrap();
    std::fs::write(photographs.join("one.jpg"), "").unwrap();
    let refused = desk.publish("photographs");
    refused.assert_code(2);
    assert_says(&refused.stderr, &["photographs", "v1/mirrors.json"]);
    assert!(photographs.join("one.jpg").exists());
}

#[test]
fn pages_lead_nowhere_else_and_to_nothing_that_is_not_there() {
    let desk = Desk::published();
    let out = desk.path("out");
    let pages = pages(&out);
    assert_eq!(pages.len(), 4 + 11);
    for (path, text) in pages {
        let shown = path.display();
        assert!(
            text.contains("default-src 'none'; style-src 'self'"),
            "{shown}"
        );
        for foreign in [
            "<script",
            " src=\"http",
            "javascript:",
            " style=\"",
            " onclick",
        ] {
            assert!(!text.contains(foreign), "{shown}: {foreign}");
        }
        let links = text.split(" href=\"").chain(text.split(" src=\"")).skip(1);
        for link in links.filter_map(|rest| rest.split('"').next()) {
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            if file.contains(':') || file.contains('<') {
                continue;
            }
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(target.is_file(), "{shown}: {link}");
            if !fragment.is_empty() {
                let there = std::fs::read_to_string(&target).unwrap();
                assert!(
                    there.contains(&format!("id=\"{fragment}\"")),
                    "{shown}: {link}"
                );
            }
        }
    }
}

#[test]
fn a_page_leads_to_the_proof_and_says_who_takes_from_whom_and_what_may_still_fail() {
    let desk = Desk::published();
    let page = desk.text("mirrors/ember.html");
    let link = page.split("href=\"../v1/evidence/").nth(1).unwrap();
    let name = link.split('"').next().unwrap();
    assert!(desk.path("out/v1/evidence").join(name).is_file(), "{name}");
    assert_says(
        &page,
        &[
            "What probes found",
            "sample-file: numpy-2.4.0.tar.gz is not what the notary signed",
        ],
    );
    assert_says(&page, &["Error budget left", "of 10 % that may fail"]);
    let page = desk.text("propagation.html");
    let (_, tree) = page.split_once("Who takes from whom").unwrap();
    let (_, below) = tree.split_once("baltic.html").unwrap();
    let (below, _) = below.split_once("</ul>").unwrap();
    assert_says(below, &["kestrel.html"]);
    assert!(!below.contains("cedar.html"), "{below}");
    // What an endpoint was seen at is what is said of it.
    let history = desk.path("list/history/2026-11.jsonl");
    let text = std::fs::read_to_string(&history).unwrap();
    let outcome = "\"endpoint\":\"cedar-main\",\"vantage\":\"frankfurt\",";
    let seen = format!("{outcome}\"addresses\":[\"2001:db8::1\"],");
    std::fs::write(&history, text.replace(outcome, &seen)).unwrap();
    desk.publish("out").assert_code(0);
    let arch = desk.json("exports/arch-status-v3.json");
    let of = |host: &str| {
        let found = arch["urls"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["url"].as_str().unwrap().contains(host));
        (
            found.unwrap()["ipv4"].clone(),
            found.unwrap()["ipv6"].clone(),
        )
    };
    assert_eq!(of("cedar"), (false.into(), true.into()));
    assert_eq!(of("baltic"), (true.into(), false.into()));
}

#[test]
fn what_only_one_place_saw_is_said_to_be_so() {
    let desk = Desk::published();
    let alone = "All of them come from one place";
    assert!(!desk.text("index.html").contains(alone));
    for month in ["2026-10", "2026-11"] {
        let history = desk.path("list/history").join(format!("{month}.jsonl"));
        let text = std::fs::read_to_string(&history).unwrap();
        std::fs::write(&history, text.replace("\"singapore\"", "\"frankfurt\"")).unwrap();
    }
    desk.publish("out").assert_code(0);
    assert_says(&desk.text("index.html"), &[alone]);
}

#[test]
fn a_name_is_a_name_whatever_is_in_it() {
    let desk = Desk::new();
    let entry = desk.path("list/mirrors.d/alpenglow.toml");
    let text = std::fs::read_to_string(&entry).unwrap();
    let name = "<script>alert(1)</script>\\\" & <b>co</b>";
    std::fs::write(
        &entry,
        text.replace("\"Alpenglow\"", &format!("\"{name}\"")),
    )
    .unwrap();
    // A place that probes from is named by whoever runs it.
    for month in ["2026-10", "2026-11"] {
        let history = desk.path("list/history").join(format!("{month}.jsonl"));
        let text = std::fs::read_to_string(&history).unwrap();
        let text = text.replace("\"singapore\"", "\"<img src=x>\"");
        std::fs::write(&history, text).unwrap();
    }
    desk.publish("out").assert_code(0);
    for path in files(&desk.path("out")) {
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if ["html", "svg", "atom", "meta4"].contains(&extension.as_str()) {
            let text = std::fs::read_to_string(&path).unwrap();
            for raw in ["<script", "<b>co", "<img src=x"] {
                assert!(!text.contains(raw), "{}: {raw}", path.display());
            }
        }
    }
    let page = desk.text("mirrors/alpenglow.html");
    assert!(page.contains("alert(1)") && page.contains("img src=x"));
}

/// Judges of ours in a Python of its own: a validator of schemas, and the standard library's readers.
const JUDGE: &str = r#"
import configparser, json, pathlib, sys, tomllib
import xml.etree.ElementTree as xml
import jsonschema
out = pathlib.Path(sys.argv[1])
for name in ["mirrors", "status"]:
    schema = json.loads((out / f"v1/{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads((out / f"v1/{name}.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(document)
    document["schema"] = "something else"
    assert not validator.is_valid(document)
for path in out.rglob("*"):
    if path.suffix in {".atom", ".meta4", ".svg"}:
        xml.parse(path)
pip = configparser.ConfigParser()
pip.read(out / "exports/pip.conf")
uv = tomllib.loads((out / "exports/uv.toml").read_text())
assert pip["global"]["index-url"] == uv["index"][0]["url"], (dict(pip["global"]), uv)
metalink = xml.parse(out / "exports/mirrors.meta4").getroot()
urls = metalink.findall(".//{urn:ietf:params:xml:ns:metalink}url")
assert [url.get("priority") for url in urls] == [str(n + 1) for n in range(len(urls))] and urls
atom = "{http://www.w3.org/2005/Atom}"
feed = xml.parse(out / "feeds/changes.atom").getroot()
entries = feed.findall(f"{atom}entry")
assert len(entries) > 10
ids = [entry.find(f"{atom}id").text for entry in entries]
assert len(set(ids)) == len(ids)
assert feed.find(f"{atom}updated").text == max(entry.find(f"{atom}updated").text for entry in entries)
print("fine")
"#;

#[test]
fn documents_pass_their_schemas_and_exports_their_readers() {
    let Some(python) = or_skip(Tool::JsonSchema.find()) else {
        return;
    };
    let desk = Desk::published();
    let judged = Invocation::new(&python)
        .args(["-I", "-c", JUDGE])
        .arg(desk.path("out"))
        .run();
    judged.assert_code(0);
    assert_eq!(judged.stdout.trim(), "fine");
}

/// Readers that people use: feedparser, and the parser of Prometheus's own client.
const READERS: &str = r#"
import pathlib, sys
import feedparser
from prometheus_client.parser import text_string_to_metric_families
out = pathlib.Path(sys.argv[1])
for path in (out / "feeds").iterdir():
    feed = feedparser.parse(path.read_bytes())
    assert not feed.bozo and feed.version == "atom10", (path, feed)
feed = feedparser.parse((out / "feeds/mirror-dune.atom").read_bytes())
assert feed.entries[0].title == "Dune Networks: dune-main is suspended now", feed.entries[0]
assert feed.entries[0].updated_parsed.tm_year == 2026
families = {family.name: family for family in text_string_to_metric_families((out / "exports/metrics.txt").read_text())}
assert all(name.startswith("heliostat_directory_") and family.documentation for name, family in families.items())
states = {one.labels["endpoint"]: one.labels["state"] for one in families["heliostat_directory_state"].samples}
assert states["ember-main"] == "quarantined", states
weights = [one.value for one in families["heliostat_directory_weight_ratio"].samples]
assert abs(sum(weights) - 1) < 0.001, weights
for family in families.values():
    for one in family.samples:
        assert "quantile" not in one.labels, one
print("fine")
"#;

#[test]
fn feeds_and_metrics_are_read_by_what_people_read_them_with() {
    let Some(python) = or_skip(Tool::Readers.find()) else {
        return;
    };
    let desk = Desk::published();
    let judged = Invocation::new(&python)
        .args(["-I", "-c", READERS])
        .arg(desk.path("out"))
        .run();
    judged.assert_code(0);
    assert_eq!(judged.stdout.trim(), "fine");
}

#[test]
fn exports_have_the_keys_of_their_formats() {
    let desk = Desk::published();
    for name in [
        "mirrors.txt",
        "cpan-mirrors.json",
        "arch-status-v3.json",
        "mirrorz.json",
        "mirrorz/baltic.json",
        "data.json",
        "mirrors.meta4",
        "pip.conf",
        "uv.toml",
        "metrics.txt",
    ] {
        insta::assert_snapshot!(
            name.replace('/', "-"),
            desk.text(&format!("exports/{name}"))
        );
    }
    insta::assert_snapshot!("badge", desk.text("badges/cedar-main.svg"));
    insta::assert_snapshot!("feed", desk.text("feeds/mirror-dune.atom"));
}

#[test]
fn a_mirror_carries_the_list_under_serve_and_under_nginx() {
    let world = World::new(Universe::new());
    world.sync(&["--all"]).assert_code(0);
    let list = world.place("list");
    write_sample(&list, Extent::once(3, EVERY_SECONDS)).unwrap();
    bare()
        .args(["directory", "publish"])
        .arg(world.heliostat.web().join("directory"))
        .arg("--registry")
        .arg(&list)
        .args(["--at", ENDS_TEXT])
        .run()
        .assert_code(0);
    world.verify(&[]).assert_code(0);
    let serving = world.serve(&["--offline"]);
    let nginx = nginx(&world, "");
    let evidence = std::fs::read_dir(list.join("evidence"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let evidence = format!("v1/evidence/{}", evidence.file_name().display());
    for (path, content_type) in [
        ("", "text/html; charset=utf-8"),
        ("mirrors/baltic.html", "text/html; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("badges/baltic-main.svg", "image/svg+xml"),
        ("v1/mirrors.json", "application/json"),
        ("v1/policy.toml", "application/toml"),
        ("v1/history/2026-11.jsonl.zst", "application/zstd"),
        (evidence.as_str(), "application/json"),
        ("feeds/changes.atom", "application/atom+xml"),
        ("exports/mirrors.meta4", "application/metalink4+xml"),
        ("exports/metrics.txt", "text/plain; charset=utf-8"),
    ] {
        let ours = get(&format!("{}/directory/{path}", serving.url));
        assert_eq!(ours.status, 200, "{path}");
        assert_eq!(ours.header("content-type"), Some(content_type), "{path}");
        let policy = ours.header("content-security-policy").unwrap();
        assert_says(
            policy,
            &[
                "default-src 'none'",
                "style-src 'self'",
                "frame-ancestors 'none'",
            ],
        );
        assert_eq!(
            ours.header("cache-control").unwrap().contains("immutable"),
            path.contains("evidence"),
            "{path}"
        );
        if let Some(nginx) = &nginx {
            let theirs = get(&format!("{}/directory/{path}", nginx.url()));
            assert_eq!(theirs.status, 200, "{path}");
            assert_eq!(theirs.body, ours.body, "{path}");
            assert_eq!(theirs.header("content-type"), Some(content_type), "{path}");
            assert_eq!(
                theirs.header("content-security-policy"),
                Some(policy),
                "{path}"
            );
        }
    }
    let moved = get(&format!("{}/directory", serving.url));
    assert_eq!(
        (moved.status, moved.header("location")),
        (301, Some("/directory/"))
    );
    for absent in [
        "mirrors",
        "mirrors/",
        "v1/nothing.json",
        "%2e%2e/last-modified",
    ] {
        let answer = get(&format!("{}/directory/{absent}", serving.url));
        assert_eq!(answer.status, 404, "{absent}");
    }
}
