//! Files on demand through `heliostat serve`: shared, broken, corrupt, resumed, in parts, and never wrong.

use std::sync::Barrier;

use heliostat_testkit::process::Serving;
use heliostat_testkit::pypi::{Fault, Gzip, Kind, Rule, Truncation};
use heliostat_testkit::universe::{Release, Universe};

use crate::http::{Answer, Asking, get, get_json, get_with};
use crate::world::{World, until};

/// Far larger than what is held back of a file that is not verified yet.
const BIG_BYTES: usize = 2_000_000;
const BIG: &str = "big-1.0-py3-none-any.whl";
const SMALL: &str = "small-1.0-py3-none-any.whl";

fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project("big", &[Release::simple("1.0").payload_bytes(BIG_BYTES)]);
    universe.add_project("small", &[Release::simple("1.0").provenance()]);
    universe
}

fn world() -> World {
    World::new(universe())
}

fn url(world: &World, serving: &Serving, filename: &str) -> String {
    format!("{}/{}", serving.url, world.file(filename).path())
}

/// Fails the test unless the answer is the whole right file.
#[track_caller]
fn assert_right(world: &World, filename: &str, answer: &Answer) {
    assert_eq!(answer.status, 200, "{:?}", answer.header("content-type"));
    assert!(answer.whole, "{} bytes came", answer.body.len());
    assert!(answer.body == world.file(filename).bytes, "wrong bytes");
}

/// Fails the test if a client could take this answer for the file.
#[track_caller]
fn assert_refused(answer: &Answer) {
    assert!(
        answer.status >= 400 || !answer.whole,
        "a client takes this for the file: {} with {} bytes",
        answer.status,
        answer.body.len()
    );
    assert_ne!(answer.status, 404, "a client goes on to its next index");
}

#[test]
fn a_cold_file_is_streamed_verified_and_kept() {
    let world = world();
    let serving = world.serve(&[]);
    get_json(&format!("{}big/", serving.index_url()));
    let url = url(&world, &serving, BIG);
    let cold = get(&url);
    assert_right(&world, BIG, &cold);
    let size = world.file(BIG).bytes.len().to_string();
    assert_eq!(cold.header("content-length"), Some(size.as_str()));
    assert_eq!(cold.header("accept-ranges"), Some("bytes"));
    assert!(cold.header("content-encoding").is_none());
    until("it is in the tree", || world.path_in_tree(BIG).is_file());
    let warm = get(&url);
    assert_right(&world, BIG, &warm);
    assert_eq!(cold.header("etag"), warm.header("etag"));
    assert_eq!(world.pypi.count(Kind::File), 1);
    serving.stop().assert_code(0);
    world.assert_sound();
}

#[test]
fn a_file_that_many_ask_for_at_once_is_taken_once() {
    let world = world();
    let serving = world.serve(&[]);
    // Slow enough that everybody comes while it is on its way.
    world
        .pypi
        .misbehave(Rule::new(Fault::SlowBytesPerSecond(2_000_000)).on(Kind::File));
    let url = url(&world, &serving, BIG);
    let start = Barrier::new(24);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..24)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    get(&url)
                })
            })
            .collect();
        for client in clients {
            assert_right(&world, BIG, &client.join().unwrap());
        }
    });
    assert_eq!(world.pypi.count(Kind::File), 1);
    assert_eq!(world.pypi.count(Kind::Page), 1);
    serving.stop().assert_code(0);
    world.assert_sound();
}

#[test]
fn a_client_that_goes_away_hurts_nobody() {
    let world = world();
    let serving = world.serve(&[]);
    world
        .pypi
        .misbehave(Rule::new(Fault::SlowBytesPerSecond(2_000_000)).on(Kind::File));
    let url = url(&world, &serving, BIG);
    let mut first = Asking::start("GET", &url, &[]);
    first.read_at_least(100_000);
    let mut second = Asking::start("GET", &url, &[]);
    second.read_at_least(100_000);
    drop(first);
    assert_right(&world, BIG, &second.finish());
    assert_eq!(world.pypi.count(Kind::File), 1);
}

#[test]
fn a_file_that_everybody_left_is_still_finished() {
    let world = world();
    let serving = world.serve(&[]);
    let mut only = Asking::start("GET", &url(&world, &serving, BIG), &[]);
    only.read_at_least(100_000);
    drop(only);
    until("it is in the tree", || world.path_in_tree(BIG).is_file());
    assert_right(&world, BIG, &get(&url(&world, &serving, BIG)));
    assert_eq!(world.pypi.count(Kind::File), 1);
}

#[test]
fn a_break_on_the_way_is_resumed_and_no_client_notices() {
    let world = world();
    let serving = world.serve(&[]);
    for fault in [
        Fault::ResetAfter(700_000),
        Fault::StallAfter(700_000),
        Fault::Truncate(Truncation::LengthKnown),
    ] {
        world.pypi.clear_log();
        world
            .pypi
            .misbehave(Rule::new(fault.clone()).on(Kind::File).first(1));
        let answer = get(&url(&world, &serving, BIG));
        assert_right(&world, BIG, &answer);
        let requests = world.pypi.requests_of(Kind::File);
        assert_eq!(requests.len(), 2, "{fault:?}: {requests:?}");
        assert!(requests[1].header("range").is_some(), "{fault:?}");
        // The next fault meets an empty mirror again.
        world.pypi.behave();
        evict(&world, BIG);
    }
}

/// Makes the mirror forget a file, as a cache does.
fn evict(world: &World, filename: &str) {
    until("it is in the tree", || {
        world.path_in_tree(filename).is_file()
    });
    let path = world.path_in_tree(filename);
    std::fs::remove_file(&path).unwrap();
    world.verify(&["--repair"]);
}

#[test]
fn bytes_that_are_not_what_the_page_promises_are_never_a_file() {
    for filename in [BIG, SMALL] {
        for fault in [
            Fault::Corrupt,
            Fault::Truncate(Truncation::Chunked),
            Fault::Truncate(Truncation::ShortLength),
            Fault::Replace("application/octet-stream".to_owned(), "no wheel".to_owned()),
            Fault::Gzip(Gzip::Encoded),
            Fault::Endless,
        ] {
            let world = world();
            let serving = world.serve(&[]);
            world
                .pypi
                .misbehave(Rule::new(fault.clone()).on(Kind::File));
            let url = url(&world, &serving, filename);
            let answer = get(&url);
            assert_refused(&answer);
            assert!(!world.path_in_tree(filename).exists(), "{fault:?}");
            world.pypi.behave();
            // Whoever comes while the last bad try is still under way shares its fate.
            until("it heals", || {
                let answer = get(&url);
                let healed = answer.status == 200 && answer.whole;
                if healed {
                    assert_right(&world, filename, &answer);
                } else {
                    assert_refused(&answer);
                }
                healed
            });
            serving.stop().assert_code(0);
            world.assert_sound();
        }
    }
}

#[test]
fn a_corrupt_file_breaks_every_waiting_transfer() {
    let world = world();
    let serving = world.serve(&[]);
    world
        .pypi
        .misbehave(Rule::new(Fault::Corrupt).on(Kind::File));
    let url = url(&world, &serving, BIG);
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    get(&url)
                })
            })
            .collect();
        for client in clients {
            assert_refused(&client.join().unwrap());
        }
    });
    serving.stop().assert_code(0);
    world.assert_sound();
    assert!(!world.path_in_tree(BIG).exists());
}

#[test]
fn a_file_of_an_upstream_that_is_away_is_an_outage() {
    let world = world();
    let serving = world.serve(&["--retry-after-max", "0"]);
    get_json(&format!("{}small/", serving.index_url()));
    let url = url(&world, &serving, SMALL);
    for fault in [
        Fault::Status(500),
        Fault::Status(403),
        Fault::Status(404),
        Fault::RetryAfter(503, "3600".to_owned()),
        Fault::Reset,
        Fault::RedirectLoop,
    ] {
        world
            .pypi
            .misbehave(Rule::new(fault.clone()).on(Kind::File));
        let answer = get(&url);
        assert!(
            (500..600).contains(&answer.status),
            "{fault:?}: {}",
            answer.status
        );
        world.pypi.behave();
    }
    world.pypi.stop();
    assert!(matches!(get(&url).status, 502 | 503));
    world.pypi.start();
    assert_right(&world, SMALL, &get(&url));
}

#[test]
fn a_lock_file_may_name_a_file_whose_page_nobody_asked_for() {
    let world = world();
    let serving = world.serve(&[]);
    assert_right(&world, BIG, &get(&url(&world, &serving, BIG)));
    assert_right(
        &world,
        "small-1.0.tar.gz",
        &get(&url(&world, &serving, "small-1.0.tar.gz")),
    );
    // A path that no page names is not taken, whatever its name says.
    let wrong = format!("{}/packages/00/11/{}/{SMALL}", serving.url, "2".repeat(60));
    assert_eq!(get(&wrong).status, 404);
    assert_eq!(world.pypi.count(Kind::File), 2);
    world.pypi.stop();
    let unseen = format!(
        "{}/packages/00/11/{}/unseen-1.0.tar.gz",
        serving.url,
        "2".repeat(60)
    );
    assert!(matches!(get(&unseen).status, 502 | 503));
}

#[test]
fn metadata_and_provenance_come_on_demand_without_the_file() {
    let world = world();
    let serving = world.serve(&[]);
    let small = world.file(SMALL);
    let metadata = get(&format!("{}.metadata", url(&world, &serving, SMALL)));
    assert_eq!(metadata.status, 200);
    assert_eq!(metadata.body, small.metadata.clone().unwrap());
    let provenance = format!("{}/integrity/small/1.0/{SMALL}/provenance", serving.url);
    let answer = get(&provenance);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body, small.provenance.clone().unwrap());
    let missing = format!("{}/integrity/big/1.0/{BIG}/provenance", serving.url);
    assert_eq!(get(&missing).status, 404);
    assert_eq!(world.pypi.count(Kind::File), 0);
    // sdists offer none (PEP 658), so there is nothing to be asked for.
    let sdist = format!("{}.metadata", url(&world, &serving, "small-1.0.tar.gz"));
    assert_eq!(get(&sdist).status, 404);
    serving.stop().assert_code(0);
    world.assert_sound();
}

#[test]
fn provenance_comes_at_once_also_when_nobody_asked_for_the_page() {
    let world = world();
    let serving = world.serve(&[]);
    let answer = get(&format!(
        "{}/integrity/small/1.0/{SMALL}/provenance",
        serving.url
    ));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body, world.file(SMALL).provenance.unwrap());
}

#[test]
fn metadata_that_is_not_what_the_page_promises_is_refused() {
    let world = world();
    let serving = world.serve(&[]);
    world
        .pypi
        .misbehave(Rule::new(Fault::Corrupt).on(Kind::Metadata));
    let url = format!("{}.metadata", url(&world, &serving, SMALL));
    assert_refused(&get(&url));
    world.pypi.behave();
    let healed = get(&url);
    assert_eq!((healed.status, healed.whole), (200, true));
    assert_eq!(healed.body, world.file(SMALL).metadata.unwrap());
}

#[test]
fn parts_of_a_file_that_is_on_its_way_are_right() {
    let world = world();
    let serving = world.serve(&[]);
    let url = url(&world, &serving, BIG);
    let bytes = world.file(BIG).bytes;
    let end = bytes.len();
    let tail = format!("bytes={}-", end - 10);
    for (range, expected) in [
        ("bytes=100-199", &bytes[100..200]),
        ("bytes=-4000", &bytes[end - 4000..]),
        (tail.as_str(), &bytes[end - 10..]),
    ] {
        let answer = get_with(&url, &[("Range", range)]);
        assert_eq!(
            answer.status,
            206,
            "{range}: {:?}",
            answer.header("content-range")
        );
        assert!(answer.body == expected, "{range}");
        let shown = answer.header("content-range").unwrap();
        assert!(shown.ends_with(&format!("/{end}")), "{shown}");
    }
    let head = Asking::start("HEAD", &url, &[]).finish();
    assert_eq!(
        head.header("content-length"),
        Some(end.to_string().as_str())
    );
    let beyond = get_with(&url, &[("Range", &format!("bytes={end}-"))]);
    assert_eq!(beyond.status, 416);
    until("it is in the tree", || world.path_in_tree(BIG).is_file());
    assert_eq!(world.pypi.count(Kind::File), 1);
}

#[test]
fn a_head_request_takes_no_bytes_for_granted() {
    let world = world();
    let serving = world.serve(&[]);
    let url = url(&world, &serving, BIG);
    let head = Asking::start("HEAD", &url, &[]).finish();
    assert_eq!((head.status, head.body.len()), (200, 0));
    let size = world.file(BIG).bytes.len().to_string();
    assert_eq!(head.header("content-length"), Some(size.as_str()));
    assert_right(&world, BIG, &get(&url));
}

#[test]
fn killed_while_a_file_is_on_its_way_leaves_nothing_behind() {
    let world = world();
    let serving = world.serve(&[]);
    world
        .pypi
        .misbehave(Rule::new(Fault::StallAfter(900_000)).on(Kind::File));
    let mut asking = Asking::start("GET", &url(&world, &serving, BIG), &[]);
    asking.read_at_least(500_000);
    serving.process.kill();
    let cut = asking.finish();
    assert_refused(&cut);
    world.pypi.behave();
    let serving = world.serve(&[]);
    assert!(!world.path_in_tree(BIG).exists());
    assert_right(&world, BIG, &get(&url(&world, &serving, BIG)));
    serving.stop().assert_code(0);
    world.assert_sound();
    assert!(world.path_in_tree(BIG).is_file());
}

#[test]
fn stopping_while_a_file_is_on_its_way_leaves_nothing_behind() {
    let world = world();
    let serving = world.serve(&["--drain", "0"]);
    world
        .pypi
        .misbehave(Rule::new(Fault::StallAfter(900_000)).on(Kind::File));
    let mut asking = Asking::start("GET", &url(&world, &serving, BIG), &[]);
    asking.read_at_least(500_000);
    serving.stop().assert_code(0);
    assert_refused(&asking.finish());
    world.assert_sound();
}
