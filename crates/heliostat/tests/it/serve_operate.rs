//! Running `heliostat serve`: the one line, health, metrics, logs, statistics, stopping, and the page for people.

use std::io::Read as _;
use std::path::Path;

use heliostat_testkit::clients::{Chromium, Viewport, or_skip};
use heliostat_testkit::process::Serving;
use heliostat_testkit::pypi::{Fault, Kind, Rule};
use heliostat_testkit::universe::{Release, Universe};

use crate::http::{Asking, get, get_with};
use crate::world::{World, assert_says, until};

const WHEEL: &str = "alpha-1.0-py3-none-any.whl";

fn world() -> World {
    let mut universe = Universe::new();
    universe.add_project("alpha", &[Release::simple("1.0").payload_bytes(1_000_000)]);
    universe.add_project("beta", &[Release::simple("1.0")]);
    World::new(universe)
}

fn wheel(world: &World, serving: &Serving) -> String {
    format!("{}/{}", serving.url, world.file(WHEEL).path())
}

#[test]
fn exactly_one_line_goes_to_stdout() {
    let world = world();
    let serving = world.serve(&[]);
    let url = serving.url.clone();
    get(&wheel(&world, &serving));
    let finished = serving.stop();
    finished.assert_code(0);
    assert_eq!(finished.stdout, format!("listening on {url}\n"));
}

#[test]
fn a_sigterm_lets_answers_finish_and_then_ends_with_0() {
    let world = world();
    let serving = world.serve(&[]);
    world
        .pypi
        .misbehave(Rule::new(Fault::SlowBytesPerSecond(1_000_000)).on(Kind::File));
    let url = wheel(&world, &serving);
    let mut asking = Asking::start("GET", &url, &[]);
    asking.read_at_least(200_000);
    let answer = std::thread::scope(|scope| {
        let answer = scope.spawn(move || asking.finish());
        let finished = serving.stop();
        finished.assert_code(0);
        assert_says(&finished.stderr, &["stopping cleanly"]);
        answer.join().unwrap()
    });
    assert!(answer.whole && answer.body == world.file(WHEEL).bytes);
    world.assert_sound();
    assert!(world.path_in_tree(WHEEL).is_file(), "what came was kept");
}

#[test]
fn a_second_signal_ends_at_once() {
    let world = world();
    let mut serving = world.serve(&["--drain", "3600"]);
    world
        .pypi
        .misbehave(Rule::new(Fault::StallAfter(500_000)).on(Kind::File));
    let mut asking = Asking::start("GET", &wheel(&world, &serving), &[]);
    asking.read_at_least(200_000);
    serving.process.interrupt();
    serving.process.wait_for_stderr("once more stops at once");
    serving.process.interrupt();
    serving.process.wait().assert_code(1);
    assert!(!asking.finish().whole);
    let serving = world.serve(&[]);
    serving.stop().assert_code(0);
    world.assert_sound();
}

#[test]
fn health_and_readiness_are_told() {
    let world = world();
    let serving = world.serve(&[]);
    assert_eq!(get(&format!("{}/healthz", serving.url)).text(), "ok\n");
    assert_eq!(get(&format!("{}/readyz", serving.url)).text(), "ready\n");
    world.pypi.stop();
    assert_eq!(
        get(&format!("{}/readyz", serving.url)).status,
        200,
        "a mirror is ready without its upstream"
    );
}

#[test]
fn metrics_can_be_read_and_count_what_happened() {
    let world = world();
    let serving = world.serve(&[]);
    get(&wheel(&world, &serving));
    get(&format!("{}/simple/nothing/", serving.url));
    let answer = get(&format!("{}/metrics", serving.url));
    let media = answer.header("content-type").unwrap();
    assert!(media.starts_with("application/openmetrics-text"), "{media}");
    let text = answer.text();
    let mut lines = text.lines().peekable();
    let mut samples = 0;
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            let is_last = lines.peek().is_none();
            assert_eq!(line == "# EOF", is_last, "{line}");
            let kind = line.split(' ').nth(1).unwrap();
            assert!(["HELP", "TYPE", "UNIT", "EOF"].contains(&kind), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("heliostat_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert_eq!(
            name.matches('{').count(),
            name.matches('}').count(),
            "{line}"
        );
        samples += 1;
    }
    assert!(samples > 20, "{text}");
    assert_says(
        text,
        &[
            "heliostat_requests_total{route=\"file\",status=\"2xx\"} 1",
            "heliostat_requests_total{route=\"page\",status=\"4xx\"} 1",
            "heliostat_downloads_total 1",
            "heliostat_on_demand_total{wanted=\"page\",outcome=\"missing\"} 1",
        ],
    );
}

#[test]
fn each_request_is_a_line_in_the_access_log() {
    let world = world();
    let serving = world.serve(&["--log-format", "json"]);
    let agent = "pip/26.2 {\"ci\":null,\"cpu\":\"x86_64\"}";
    let path = format!("/{}", world.file(WHEEL).path());
    get_with(&format!("{}{path}", serving.url), &[("User-Agent", agent)]);
    get(&format!("{}/simple/nothing/", serving.url));
    let finished = serving.stop();
    let lines: Vec<serde_json::Value> = finished
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &serde_json::Value| line["target"] == "access")
        .collect();
    assert_eq!(lines.len(), 2, "{finished}");
    assert_eq!(lines[0]["method"], "GET");
    assert_eq!(lines[0]["path"], path);
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["bytes"], world.file(WHEEL).bytes.len());
    assert_eq!(
        lines[0]["user_agent"], "pip/26.2",
        "no more than that is kept"
    );
    assert_eq!(lines[1]["status"], 404);
    let quiet = world.serve(&["--log", "warn"]);
    get(&format!("{}/simple/beta/", quiet.url));
    assert_eq!(quiet.stop().stderr.matches("/simple/beta/").count(), 0);
}

#[test]
fn downloads_are_counted_by_day_as_pep_381_says() {
    let world = world();
    world.sync(&["--all"]).assert_code(0);
    let serving = world.serve(&[]);
    for agent in ["pip/26.2 {}", "pip/26.2 {\"x\":1}", "uv/0.9.1"] {
        get_with(&wheel(&world, &serving), &[("User-Agent", agent)]);
    }
    // Neither a look nor a part is a download.
    Asking::start("HEAD", &wheel(&world, &serving), &[]).finish();
    get_with(&wheel(&world, &serving), &[("Range", "bytes=0-9")]);
    serving.stop().assert_code(0);
    let days = world.heliostat.web().join("local-stats/days");
    let files: Vec<_> = std::fs::read_dir(&days)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let mut rows = String::new();
    // Two files when midnight passed meanwhile.
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!((name.len(), &name[10..]), (14, ".bz2"), "{name}");
        let mut decoder = bzip2::read::BzDecoder::new(std::fs::File::open(file).unwrap());
        decoder.read_to_string(&mut rows).unwrap();
    }
    assert_says(
        &rows,
        &[
            &format!("alpha,{WHEEL},pip/26.2,2\n"),
            &format!("alpha,{WHEEL},uv/0.9.1,1\n"),
        ],
    );
    let offline = world.heliostat.serve(["--offline"]);
    let name = files[0].file_name().unwrap().to_str().unwrap();
    let answer = get(&format!("{}/local-stats/days/{name}", offline.url));
    assert_eq!((answer.status, answer.whole), (200, true));
    let stamp = get(&format!("{}/last-modified", offline.url));
    assert_eq!((stamp.status, stamp.body.len()), (200, 18), "{stamp:?}");
}

#[test]
fn listening_beyond_this_machine_without_tls_warns() {
    let world = world();
    let start = |listen: &str| {
        let serving = world
            .heliostat
            .command("serve")
            .args(["--listen", listen, "--offline"]);
        Serving::wait(serving.start()).stop().stderr
    };
    assert_says(&start("0.0.0.0:0"), &["WARN", "without TLS", "--tls-cert"]);
    assert!(!start("127.0.0.1:0").contains("TLS"));
}

#[test]
fn the_page_for_people_has_this_hosts_lines_and_nothing_foreign() {
    let world = world();
    world.sync(&["--all"]).assert_code(0);
    let serving = world.serve(&[]);
    let answer = get(&format!("{}/", serving.url));
    assert_eq!(answer.status, 200);
    let page = answer.text();
    let index = serving.index_url();
    assert_says(
        page,
        &[
            &format!("pip install --index-url {index}"),
            &format!("uv pip install --default-index {index}"),
            &format!("index-url = {index}"),
            "poetry source add",
            "pdm config pypi.url",
            "<dd>2</dd>",
        ],
    );
    for foreign in [
        "<script",
        "javascript:",
        "@import",
        "url(",
        " src=",
        "<link",
        "onload",
        "<iframe",
    ] {
        assert!(!page.contains(foreign), "`{foreign}` in {page}");
    }
    let hosts = page.matches("://").count();
    assert_eq!(page.matches(serving.url.as_str()).count(), hosts, "{page}");
    let policy = answer.header("content-security-policy").unwrap();
    assert_says(policy, &["default-src 'none'"]);
    assert!(answer.header("set-cookie").is_none());
    // The lines are this host's as the client knows it.
    let named = get_with(
        &format!("{}/", serving.url),
        &[("X-Forwarded-Proto", "https")],
    );
    assert_says(named.text(), &["--index-url https://127.0.0.1"]);
}

/// Width and height of a PNG file.
fn size_of(png: &Path) -> (u32, u32) {
    let bytes = std::fs::read(png).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn the_page_for_people_can_be_seen_in_a_browser() {
    let Some(chromium) = or_skip(Chromium::find()) else {
        return;
    };
    let world = world();
    world.sync(&["--all"]).assert_code(0);
    let serving = world.serve(&[]);
    let page = format!("{}/", serving.url);
    let pictures = std::env::var_os("HELIOSTAT_TEST_PICTURES")
        .map_or_else(|| world.place("pictures"), std::path::PathBuf::from);
    std::fs::create_dir_all(&pictures).unwrap();
    for width in [390, 820, 1280] {
        let png = pictures.join(format!("home-{width}.png"));
        let viewport = Viewport {
            width,
            height: 1900,
        };
        chromium.screenshot(&page, &png, viewport).assert_code(0);
        assert_eq!(size_of(&png), (width, 1900));
    }
    // The browser ran nothing and asked for nothing but the page (and the icon that every browser asks for).
    let dumped = chromium.dump(&page);
    assert_says(&dumped.stdout, &["Python packages at"]);
    let log = serving.stop().stderr;
    for line in log
        .lines()
        .filter(|line| line.contains("user_agent=\"browser\""))
    {
        assert!(
            line.contains("path=\"/\"") || line.contains("path=\"/favicon.ico\""),
            "{line}"
        );
    }
    until("the log has lines of the browser", || {
        log.contains("browser")
    });
}
