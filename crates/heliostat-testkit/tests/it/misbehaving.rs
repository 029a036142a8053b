//! Every fault does what its name says.

use std::time::{Duration, Instant};

use heliostat_testkit::pypi::{FakePyPi, Fault, Gzip, Kind, Rule, Truncation};
use heliostat_testkit::universe::{Release, Universe};

use crate::raw::{Answer, End, JSON, Limit, ask, get};

const PAGE: &str = "/simple/alpha/";
/// Long enough for a loopback answer to be on its way; only silence waits it out.
const SHORT: Limit = Limit {
    patience: Duration::from_millis(300),
    bytes: 1 << 20,
};

fn pypi() -> FakePyPi {
    let mut universe = Universe::new();
    universe.add_project(
        "alpha",
        &[Release::new("1.0").wheel().payload_bytes(20_000)],
    );
    universe.add_project("beta", &[Release::simple("1.0")]);
    FakePyPi::serve(universe)
}

fn file_path(pypi: &FakePyPi) -> String {
    format!(
        "/{}",
        pypi.universe().project("alpha").unwrap().files[0].path()
    )
}

/// The file of `alpha` as it should be, and as it comes under a fault.
fn file_under(fault: Fault) -> (Vec<u8>, Answer) {
    let pypi = pypi();
    let path = file_path(&pypi);
    let right = get(pypi.address(), &path, &[]).body;
    let rule = pypi.misbehave(Rule::new(fault).on(Kind::File));
    let answer = ask(pypi.address(), ("GET", &path), &[], SHORT);
    assert_eq!(pypi.strikes(rule), 1);
    assert_eq!(
        get(pypi.address(), PAGE, &[JSON]).status,
        200,
        "pages are not befallen"
    );
    (right, answer)
}

fn page_under(fault: Fault) -> Answer {
    let pypi = pypi();
    pypi.misbehave(Rule::new(fault).on(Kind::Page).project("alpha"));
    assert_eq!(get(pypi.address(), "/simple/beta/", &[JSON]).status, 200);
    ask(pypi.address(), ("GET", PAGE), &[JSON], SHORT)
}

#[test]
fn statuses() {
    assert_eq!(page_under(Fault::Status(503)).status, 503);
    assert_eq!(page_under(Fault::Status(404)).status, 404);
    let limited = page_under(Fault::RetryAfter(429, "7".to_owned()));
    assert_eq!(
        (limited.status, limited.header("retry-after")),
        (429, Some("7"))
    );
}

#[test]
fn silences() {
    let answer = page_under(Fault::Hang);
    assert_eq!((answer.status, answer.end), (0, End::Silence));
    let (right, answer) = file_under(Fault::StallAfter(1000));
    assert_eq!(answer.end, End::Silence);
    assert_eq!(answer.body, right[..1000]);
}

#[test]
fn slowness() {
    let pypi = pypi();
    let path = file_path(&pypi);
    pypi.misbehave(Rule::new(Fault::SlowBytesPerSecond(80_000)));
    let started = Instant::now();
    let answer = get(pypi.address(), &path, &[]);
    assert_eq!(answer.end, End::Whole);
    assert!(
        started.elapsed() > Duration::from_millis(150),
        "20 kB at 80 kB/s take a quarter of a second"
    );
}

#[test]
fn truncations() {
    let (right, answer) = file_under(Fault::Truncate(Truncation::LengthKnown));
    assert_eq!(answer.end, End::Short);
    assert_eq!(
        answer.header("content-length"),
        Some(right.len().to_string().as_str())
    );
    assert_eq!(answer.body, right[..right.len() / 2]);

    let (right, answer) = file_under(Fault::Truncate(Truncation::Chunked));
    assert_eq!(
        (answer.end, answer.header("content-length")),
        (End::Whole, None)
    );
    assert_eq!(answer.body, right[..right.len() / 2]);

    let (right, answer) = file_under(Fault::Truncate(Truncation::ShortLength));
    assert_eq!(answer.end, End::Whole);
    assert_eq!(answer.body, right[..right.len() / 2]);
}

#[test]
fn corruption_keeps_the_length() {
    let (right, answer) = file_under(Fault::Corrupt);
    assert_eq!(
        (answer.status, answer.end, answer.body.len()),
        (200, End::Whole, right.len())
    );
    assert_eq!(
        answer
            .body
            .iter()
            .zip(&right)
            .filter(|(one, other)| one != other)
            .count(),
        1
    );
}

#[test]
fn resets() {
    let answer = page_under(Fault::Reset);
    assert_eq!((answer.status, answer.end), (0, End::Reset));
    let (_, answer) = file_under(Fault::ResetAfter(1000));
    assert_eq!(answer.end, End::Reset);
}

#[test]
fn endlessness() {
    let (_, answer) = file_under(Fault::Endless);
    assert!(
        answer.body.len() > 500_000,
        "only {} bytes",
        answer.body.len()
    );
    assert_eq!(answer.end, End::Short);
}

#[test]
fn redirects() {
    let first = page_under(Fault::RedirectLoop);
    assert_eq!(
        (first.status, first.header("location")),
        (302, Some("/simple/alpha/?turn=1"))
    );
    let elsewhere = page_under(Fault::RedirectTo("/simple/beta/".to_owned()));
    assert_eq!(elsewhere.header("location"), Some("/simple/beta/"));
    let pypi = pypi();
    pypi.misbehave(Rule::new(Fault::RedirectLoop));
    let second = get(pypi.address(), "/simple/alpha/?turn=1", &[]);
    assert_eq!(second.header("location"), Some("/simple/alpha/?turn=2"));
}

#[test]
fn wrong_headers() {
    let answer = page_under(Fault::ContentType("text/plain".to_owned()));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.json()["name"], "alpha");
    let (right, answer) = file_under(Fault::Gzip(Gzip::LabelOnly));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.body, right);
    let (right, answer) = file_under(Fault::Gzip(Gzip::Encoded));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_ne!(answer.body, right);
}

#[test]
fn wrong_formats() {
    assert_eq!(
        page_under(Fault::Html).header("content-type"),
        Some("text/html")
    );
    let other = page_under(Fault::PageOf("beta".to_owned()));
    assert_eq!(other.json()["name"], "beta");
    let replaced = page_under(Fault::Replace(
        "text/html".to_owned(),
        "<html>login</html>".to_owned(),
    ));
    assert_eq!(
        (replaced.status, replaced.text()),
        (200, "<html>login</html>")
    );
}

#[test]
fn wrong_ranges() {
    let pypi = pypi();
    let path = file_path(&pypi);
    let right = get(pypi.address(), &path, &[]).body;
    let ranged = [("Range", "bytes=10-19")];
    pypi.misbehave(Rule::new(Fault::IgnoreRange).first(1));
    pypi.misbehave(Rule::new(Fault::ShiftRange));
    assert_eq!(get(pypi.address(), &path, &ranged).status, 200);
    let shifted = get(pypi.address(), &path, &ranged);
    assert_eq!(
        shifted.header("content-range"),
        Some(format!("bytes 11-19/{}", right.len()).as_str())
    );
    assert_eq!(shifted.body, right[11..=19]);
}

#[test]
fn stale_pages_are_fresh_for_those_who_bypass_caches() {
    let pypi = pypi();
    let serial = |answer: &Answer| answer.json()["meta"]["_last-serial"].as_u64().unwrap();
    let old = get(pypi.address(), PAGE, &[JSON]);
    pypi.add_release("alpha", &Release::simple("2.0"));
    let fresh = get(pypi.address(), PAGE, &[JSON]);
    pypi.misbehave(Rule::new(Fault::Stale).on(Kind::Page).unless_no_cache());
    let stale = get(pypi.address(), PAGE, &[JSON]);
    assert_eq!(stale.body, old.body);
    assert_eq!(
        stale.header("x-pypi-last-serial"),
        Some(serial(&old).to_string().as_str())
    );
    let bypassing = get(pypi.address(), PAGE, &[JSON, ("Cache-Control", "no-cache")]);
    assert_eq!(bypassing.body, fresh.body);
    assert!(serial(&fresh) > serial(&old));
}

#[test]
fn a_page_without_a_past_is_stale_too() {
    let answer = page_under(Fault::Stale).json();
    assert_eq!(answer["files"], serde_json::json!([]));
}

#[test]
fn serials_go_backwards() {
    let pypi = pypi();
    let list_serial = pypi.universe().serial();
    let page_serial = pypi.universe().project("alpha").unwrap().serial;
    pypi.misbehave(Rule::new(Fault::SerialOffset(-5)));
    let list = get(pypi.address(), "/simple/", &[JSON]);
    assert_eq!(list.json()["meta"]["_last-serial"], list_serial - 5);
    assert_eq!(
        get(pypi.address(), PAGE, &[JSON]).json()["meta"]["_last-serial"],
        page_serial - 5
    );
}

#[test]
fn rules_end_and_are_taken_away() {
    let pypi = pypi();
    let rule = pypi.misbehave(Rule::new(Fault::Status(500)).first_per_path(2));
    let statuses: Vec<_> = (0..3)
        .map(|_| get(pypi.address(), PAGE, &[JSON]).status)
        .collect();
    assert_eq!(statuses, [500, 500, 200]);
    assert_eq!(get(pypi.address(), "/simple/", &[JSON]).status, 500);
    assert_eq!(pypi.strikes(rule), 3);
    assert_eq!(pypi.requests()[0].fault.as_deref(), Some("Status(500)"));
    pypi.behave();
    assert_eq!(get(pypi.address(), "/simple/", &[JSON]).status, 200);
}

#[test]
fn a_head_request_tells_the_length_and_sends_nothing() {
    let pypi = pypi();
    let path = file_path(&pypi);
    let answer = ask(pypi.address(), ("HEAD", &path), &[], SHORT);
    let length = pypi.universe().project("alpha").unwrap().files[0]
        .bytes
        .len();
    assert_eq!(
        answer.header("content-length"),
        Some(length.to_string().as_str())
    );
    assert!(answer.body.is_empty());
}
