//! Pages on demand through `heliostat serve`: cold, warm, revalidated, stale, gone, and while the upstream is away.

use heliostat_testkit::process::Serving;
use heliostat_testkit::pypi::{Fault, Kind, Rule};
use heliostat_testkit::universe::{Release, Universe};
use serde_json::Value;

use crate::http::{Answer, get, get_json, get_with};
use crate::world::{World, until};

fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project("Al.pha", &[Release::simple("1.0").provenance()]);
    universe.add_project("beta", &[Release::simple("2.0")]);
    universe.add_project("gamma", &[Release::simple("3.0")]);
    universe
}

fn page(serving: &Serving, name: &str) -> Answer {
    get_json(&format!("{}{name}/", serving.index_url()))
}

#[test]
fn a_cold_page_is_taken_once_and_served_in_every_form() {
    let world = World::new(universe());
    let serving = world.serve(&[]);
    let json = page(&serving, "al-pha");
    assert_eq!(json.status, 200, "{json:?}");
    assert_eq!(
        json.filenames(),
        ["al_pha-1.0-py3-none-any.whl", "al_pha-1.0.tar.gz"]
    );
    let serial = world.pypi.universe().project("al-pha").unwrap().serial;
    assert_eq!(
        json.header("x-pypi-last-serial"),
        Some(serial.to_string().as_str())
    );
    let html = get(&format!("{}al-pha/", serving.index_url()));
    assert_eq!(
        html.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(html.text().contains(">al_pha-1.0.tar.gz</a>"), "{html:?}");
    // Every spelling leads to the same page.
    let moved = get(&format!("{}AL_.pha", serving.index_url()));
    assert_eq!(moved.status, 301);
    assert_eq!(moved.header("location"), Some("/simple/al-pha/"));
    assert_eq!(world.pypi.count_all(), 1, "{:?}", world.pypi.requests());
    serving.stop().assert_code(0);
    world.assert_sound();
    assert!(
        world
            .heliostat
            .web()
            .join("simple/al-pha/index.v1_json")
            .is_file()
    );
}

#[test]
fn a_tree_can_be_taken_file_by_file_as_from_any_web_server() {
    let world = World::new(universe());
    world.sync(&["--all"]).assert_code(0);
    let serving = world.serve(&["--offline"]);
    for (path, media) in [
        ("index.v1_json", "application/vnd.pypi.simple.v1+json"),
        ("index.v1_html", "text/html; charset=utf-8"),
        ("index.html", "text/html; charset=utf-8"),
        ("beta/index.v1_json", "application/vnd.pypi.simple.v1+json"),
        ("beta/index.v1_html", "text/html; charset=utf-8"),
        ("beta/index.html", "text/html; charset=utf-8"),
    ] {
        // What the client would rather have does not matter: the name says what it is.
        let answer = get(&format!("{}{path}", serving.index_url()));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some(media), "{path}");
        let file = world.heliostat.web().join("simple").join(path);
        assert!(answer.body == std::fs::read(file).unwrap(), "{path}");
    }
}

#[test]
fn the_page_is_the_same_bytes_cold_warm_and_after_a_restart() {
    let world = World::new(universe());
    let serving = world.serve(&[]);
    let cold = page(&serving, "beta");
    let warm = page(&serving, "beta");
    serving.stop().assert_code(0);
    let offline = world.heliostat.serve(["--offline"]);
    let later = page(&offline, "beta");
    assert_eq!(cold.body, warm.body);
    assert_eq!(cold.body, later.body);
    assert_eq!(cold.header("etag"), later.header("etag"));
    let etag = later.header("etag").unwrap().to_owned();
    assert!(!etag.starts_with("W/"), "{etag}");
    let url = format!("{}beta/", offline.index_url());
    let again = get_with(&url, &[crate::http::JSON, ("If-None-Match", &etag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[test]
fn what_the_upstream_does_not_have_is_a_404_that_is_asked_for_once() {
    let world = World::new(universe());
    let serving = world.serve(&[]);
    for _ in 0..3 {
        assert_eq!(page(&serving, "nothing").status, 404);
    }
    assert_eq!(world.pypi.count(Kind::Page), 1);
    for name in ["-x", "a%20b", "a%2Fb", "%E2%98%80", ".."] {
        let answer = get_json(&format!("{}{name}/", serving.index_url()));
        assert!(matches!(answer.status, 400 | 404), "{name}: {answer:?}");
    }
    assert_eq!(world.pypi.count_all(), 1, "{:?}", world.pypi.requests());
}

#[test]
fn a_404_is_not_for_ever() {
    let world = World::new(universe());
    let serving = world.serve(&["--negative-age", "1"]);
    assert_eq!(page(&serving, "late").status, 404);
    world.pypi.add_release("late", &Release::simple("1.0"));
    until("the new project is there", || {
        page(&serving, "late").status == 200
    });
}

#[test]
fn a_page_is_confirmed_by_its_etag_and_replaced_when_it_changed() {
    let world = World::new(universe());
    let serving = world.serve(&["--max-age", "0"]);
    let first = page(&serving, "beta");
    until("the upstream is asked again", || {
        let second = page(&serving, "beta");
        assert_eq!((second.status, &second.body), (200, &first.body));
        world.pypi.count(Kind::Page) > 1
    });
    let requests = world.pypi.requests_of(Kind::Page);
    assert!(requests[1].header("if-none-match").is_some());
    assert_eq!(requests[1].status, 304);
    world.pypi.add_release("beta", &Release::simple("3.0"));
    until("the new release is there", || {
        page(&serving, "beta").filenames().len() == 4
    });
    assert_ne!(page(&serving, "beta").header("etag"), first.header("etag"));
    world.pypi.yank("beta", "3.0", "it does not work");
    until("the yank is there", || {
        page(&serving, "beta").text().contains("it does not work")
    });
}

#[test]
fn within_its_age_a_page_is_served_without_asking() {
    let world = World::new(universe());
    let serving = world.serve(&["--max-age", "3600"]);
    for _ in 0..5 {
        assert_eq!(page(&serving, "beta").status, 200);
    }
    assert_eq!(world.pypi.count_all(), 1);
}

#[test]
fn while_the_upstream_is_down_old_pages_are_served_and_new_ones_are_an_outage() {
    let world = World::new(universe());
    let serving = world.serve(&["--max-age", "0"]);
    let before = page(&serving, "beta");
    world.pypi.stop();
    let stale = page(&serving, "beta");
    assert_eq!((stale.status, &stale.body), (200, &before.body));
    for name in ["al-pha", "nothing"] {
        let answer = page(&serving, name);
        assert!(matches!(answer.status, 502 | 503), "{name}: {answer:?}");
    }
    world.pypi.start();
    assert_eq!(page(&serving, "al-pha").status, 200);
    assert_eq!(page(&serving, "nothing").status, 404);
}

#[test]
fn an_old_page_is_served_no_longer_than_the_operator_allows() {
    let world = World::new(universe());
    let serving = world.serve(&["--max-age", "0", "--stale-for", "1"]);
    assert_eq!(page(&serving, "beta").status, 200);
    world.pypi.stop();
    until("the page is too old", || {
        let status = page(&serving, "beta").status;
        assert!(matches!(status, 200 | 502 | 503), "{status}");
        status != 200
    });
}

#[test]
fn every_way_of_failing_is_an_outage_for_a_new_page_and_an_old_page_for_a_known_one() {
    let world = World::new(universe());
    let serving = world.serve(&["--max-age", "0", "--retry-after-max", "0"]);
    let before = page(&serving, "beta");
    let faults = [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(403),
        Fault::RetryAfter(429, "3600".to_owned()),
        Fault::Reset,
        Fault::RedirectLoop,
        Fault::PageOf("gamma".to_owned()),
        Fault::Replace(
            "application/vnd.pypi.simple.v1+json".to_owned(),
            "{\"meta\":".to_owned(),
        ),
        Fault::Replace("text/html".to_owned(), String::new()),
    ];
    for fault in faults {
        world
            .pypi
            .misbehave(Rule::new(fault.clone()).on(Kind::Page));
        let fresh = page(&serving, "al-pha");
        assert!((500..600).contains(&fresh.status), "{fault:?}: {fresh:?}");
        let known = page(&serving, "beta");
        assert_eq!(known.status, 200, "{fault:?}: {known:?}");
        assert_eq!(known.body, before.body, "{fault:?}");
        world.pypi.behave();
    }
    assert_eq!(page(&serving, "al-pha").status, 200);
    serving.stop().assert_code(0);
    world.assert_sound();
}

#[test]
fn an_upstream_that_hangs_does_not_keep_a_known_page_from_anybody() {
    let world = World::new(universe());
    let upstream = world.pypi.index_url();
    // Longer than any test may take: were the answer to wait for the upstream, none would come.
    let serving = world.heliostat.serve([
        "--upstream",
        &upstream,
        "--max-age",
        "0",
        "--read-timeout",
        "3600",
        "--drain",
        "0",
    ]);
    let before = page(&serving, "beta");
    let hang = world.pypi.misbehave(Rule::new(Fault::Hang).on(Kind::Page));
    until("a client did not wait for the upstream", || {
        let stale = page(&serving, "beta");
        assert_eq!((stale.status, &stale.body), (200, &before.body));
        world.pypi.strikes(hang) > 0
    });
}

#[test]
fn a_page_older_than_ours_does_not_replace_it() {
    let world = World::new(universe());
    let serving = world.serve(&["--max-age", "0"]);
    world.pypi.add_release("beta", &Release::simple("3.0"));
    assert_eq!(page(&serving, "beta").filenames().len(), 4);
    let stale = world.pypi.misbehave(Rule::new(Fault::Stale).on(Kind::Page));
    until("the old page was offered twice", || {
        assert_eq!(page(&serving, "beta").filenames().len(), 4);
        world.pypi.strikes(stale) > 1
    });
}

#[test]
fn a_deleted_project_goes_and_comes_back() {
    let world = World::new(universe());
    let serving = world.serve(&["--max-age", "0", "--negative-age", "0"]);
    assert_eq!(page(&serving, "beta").status, 200);
    world.pypi.delete_project("beta");
    until("it is gone", || page(&serving, "beta").status == 404);
    until("its page is gone", || {
        !world
            .heliostat
            .web()
            .join("simple/beta/index.v1_json")
            .exists()
    });
    assert_eq!(page(&serving, "beta").status, 404);
    world.pypi.add_release("beta", &Release::simple("9"));
    // While the removal is being committed, whoever asks shares the answer that led to it.
    until("it is back", || page(&serving, "beta").status == 200);
    assert_eq!(page(&serving, "beta").filenames().len(), 2);
}

#[test]
fn offline_nothing_is_asked_for() {
    let world = World::new(universe());
    let serving = world.serve(&[]);
    page(&serving, "beta");
    let wheel = world.file("beta-2.0-py3-none-any.whl").path();
    assert!(get(&format!("{}/{wheel}", serving.url)).whole);
    serving.stop().assert_code(0);
    world.pypi.clear_log();
    let serving = world.serve(&["--offline", "--max-age", "0"]);
    assert_eq!(page(&serving, "beta").status, 200);
    assert_eq!(get(&format!("{}/{wheel}", serving.url)).status, 200);
    let metadata = get(&format!("{}/{wheel}.metadata", serving.url));
    assert_eq!(metadata.status, 404, "it was never asked for");
    assert_eq!(page(&serving, "al-pha").status, 404);
    let other = world.file("al_pha-1.0.tar.gz").path();
    assert_eq!(get(&format!("{}/{other}", serving.url)).status, 404);
    assert_eq!(get(&format!("{}/simple/", serving.url)).status, 200);
    assert_eq!(get(&format!("{}/pypi/beta/json", serving.url)).status, 200);
    assert_eq!(world.pypi.count_all(), 0, "{:?}", world.pypi.requests());
    assert_eq!(world.pypi.connections(), 0);
}

#[test]
fn the_legacy_document_is_made_from_the_page() {
    let world = World::new(universe());
    let serving = world.serve(&[]);
    let answer = get(&format!("{}/pypi/al-pha/json", serving.url));
    assert_eq!(answer.status, 200, "{answer:?}");
    let document = answer.json();
    assert_eq!(document["info"]["version"], "1.0");
    assert_eq!(document["urls"].as_array().unwrap().len(), 2);
    let one = get(&format!("{}/pypi/Al.Pha/1.0/json", serving.url));
    assert!(matches!(one.status, 200 | 301), "{one:?}");
    for (path, detail) in [
        ("al-pha/9.9", "There is no version `9.9` of `al-pha` here."),
        ("nosuch/1.0", "There is no project `nosuch` here."),
    ] {
        let answer = get(&format!("{}/pypi/{path}/json", serving.url));
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_eq!(answer.json()["detail"], detail);
    }
    assert_eq!(document["info"]["summary"], Value::Null);
    // Once the wheel is held, so is what it says of itself.
    let wheel = document["urls"][0]["url"].as_str().unwrap();
    assert_eq!(get(wheel).status, 200);
    assert_eq!(get(&format!("{wheel}.metadata")).status, 200);
    let about = |path| get(&format!("{}/pypi/{path}/json", serving.url)).json();
    until("the wheel's metadata is kept", || {
        about("al-pha")["info"]["summary"] != Value::Null
    });
    for path in ["al-pha", "al-pha/1.0"] {
        let document = about(path);
        assert_eq!(document["info"]["summary"], "A fixture");
        assert_eq!(document["info"]["license"], "MIT");
        assert_eq!(document["info"]["author"], Value::Null);
    }
    assert_eq!(world.pypi.count(Kind::Legacy), 0);
}
