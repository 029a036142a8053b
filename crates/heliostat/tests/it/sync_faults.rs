//! `sync` and an upstream that fails: after every fault nothing wrong is visible, the run says what is missing, and
//! one run against the healthy upstream makes everything right.

use std::collections::BTreeSet;

use heliostat_testkit::pypi::{Fault, Gzip, Kind, Lack, Rule, Truncation};
use heliostat_testkit::universe::{MetadataOffer, Release, Universe};

use crate::sync_world::{asked, many, needed, small};
use crate::world::{World, assert_says};

/// Kinds of requests that a sync makes for a project.
const OF_A_PROJECT: [Kind; 4] = [Kind::Page, Kind::File, Kind::Metadata, Kind::Provenance];
/// Those whose right bytes can be told from wrong ones: a digest or a checksum goes with them. Nothing promises the
/// bytes of a provenance document; it is signed instead.
const WITH_DIGEST: [Kind; 3] = [Kind::Page, Kind::File, Kind::Metadata];

fn universe() -> Universe {
    let mut universe = many(12);
    for index in 0..4 {
        let release = Release::simple("1.0").provenance();
        universe.add_project(&format!("attested-{index}"), &[release]);
    }
    universe
}

/// A third of all pages, files and documents always meet this fault, from the first sync on.
#[track_caller]
fn survives_for_good(fault: &Fault) {
    survives_on(&OF_A_PROJECT, fault);
}

#[track_caller]
fn survives_on(kinds: &[Kind], fault: &Fault) {
    let world = World::new(universe());
    for (kind, seed) in kinds.iter().zip(1..) {
        let rule = Rule::new(fault.clone()).on(*kind).path_share(330, seed);
        world.pypi.misbehave(rule);
    }
    let run = world.sync(&["--all"]);
    run.assert_code(1);
    world.assert_honest(&run);
    // Another run against the same trouble must not make it worse.
    let again = world.sync(&[]);
    world.assert_honest(&again);
    world.pypi.behave();
    world.assert_heals();
}

/// Every request meets this fault the first time and is answered well the second.
#[track_caller]
fn survives_once(fault: &Fault) {
    let world = World::new(universe());
    world
        .pypi
        .misbehave(Rule::new(fault.clone()).first_per_path(1));
    let run = world.sync(&["--all"]);
    world.assert_honest(&run);
    world.pypi.behave();
    world.assert_heals();
}

/// The same where a second try is all that is needed.
#[track_caller]
fn overcomes(fault: &Fault) {
    let world = World::new(universe());
    world
        .pypi
        .misbehave(Rule::new(fault.clone()).first_per_path(1));
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn server_errors_for_good() {
    survives_for_good(&Fault::Status(500));
}

#[test]
fn server_errors_once() {
    overcomes(&Fault::Status(503));
}

#[test]
fn refusals_for_good() {
    survives_for_good(&Fault::Status(403));
}

#[test]
fn bodies_cut_off_for_good() {
    survives_for_good(&Fault::Truncate(Truncation::LengthKnown));
}

#[test]
fn bodies_cut_off_once() {
    overcomes(&Fault::Truncate(Truncation::LengthKnown));
}

#[test]
fn bodies_cut_cleanly_for_good() {
    survives_for_good(&Fault::Truncate(Truncation::Chunked));
}

#[test]
fn bodies_cut_cleanly_once() {
    survives_once(&Fault::Truncate(Truncation::Chunked));
}

#[test]
fn bodies_cut_under_a_wrong_length_for_good() {
    survives_for_good(&Fault::Truncate(Truncation::ShortLength));
}

#[test]
fn corrupt_bytes_of_the_right_length_for_good() {
    survives_on(&WITH_DIGEST, &Fault::Corrupt);
}

#[test]
fn corrupt_bytes_of_the_right_length_once() {
    let world = World::new(universe());
    for kind in WITH_DIGEST {
        world
            .pypi
            .misbehave(Rule::new(Fault::Corrupt).on(kind).first_per_path(1));
    }
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn resets_for_good() {
    survives_for_good(&Fault::Reset);
}

#[test]
fn resets_in_the_middle_once() {
    overcomes(&Fault::ResetAfter(700));
}

#[test]
fn redirect_loops_for_good() {
    survives_for_good(&Fault::RedirectLoop);
}

#[test]
fn wrong_content_types_do_no_harm() {
    // Files are judged by their digests, whatever they are called, and pages by their look.
    let world = World::new(universe());
    world
        .pypi
        .misbehave(Rule::new(Fault::ContentType("image/png".to_owned())));
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
    // What calls itself HTML is read as HTML, and is none.
    let world = World::new(universe());
    let rule = Rule::new(Fault::ContentType("text/html".to_owned()));
    world.pypi.misbehave(rule.on(Kind::Page).path_share(330, 1));
    let run = world.sync(&["--all"]);
    world.assert_honest(&run);
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn files_in_an_encoding_nobody_asked_for() {
    for gzip in [Gzip::Encoded, Gzip::LabelOnly] {
        let world = World::new(small());
        let rule = Rule::new(Fault::Gzip(gzip))
            .on(Kind::File)
            .path_share(500, 3);
        world.pypi.misbehave(rule);
        let run = world.sync(&["--all"]);
        world.assert_honest(&run);
        world.pypi.behave();
        world.assert_heals();
    }
}

#[test]
fn sdists_labelled_as_what_they_are_are_taken_as_they_are() {
    let world = World::new(small());
    world.pypi.misbehave(
        Rule::new(Fault::Gzip(Gzip::LabelOnly))
            .on(Kind::File)
            .path(".tar.gz"),
    );
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn bodies_without_end() {
    let world = World::new(small());
    world
        .pypi
        .misbehave(Rule::new(Fault::Endless).on(Kind::File).project("zeta"));
    world.pypi.misbehave(
        Rule::new(Fault::Endless)
            .on(Kind::Metadata)
            .project("alpha"),
    );
    world
        .pypi
        .misbehave(Rule::new(Fault::Endless).on(Kind::Page).project("beta"));
    let run = world.sync(&["--all"]);
    run.assert_code(1);
    world.assert_honest(&run);
    assert!(run.usage.memory_max_bytes < 400 << 20, "{:?}", run.usage);
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn pages_of_other_projects() {
    let world = World::new(small());
    let rule = Rule::new(Fault::PageOf("zeta".to_owned()))
        .on(Kind::Page)
        .project("alpha");
    world.pypi.misbehave(rule);
    let run = world.sync(&["--all"]);
    run.assert_code(1);
    world.assert_honest(&run);
    assert!(!world.projects().contains("alpha"));
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn answers_that_never_come() {
    let world = World::new(small());
    world
        .pypi
        .misbehave(Rule::new(Fault::Hang).on(Kind::Page).project("beta"));
    world.pypi.misbehave(
        Rule::new(Fault::StallAfter(100))
            .on(Kind::File)
            .path("zeta-3.0.tar.gz"),
    );
    let run = world.sync(&["--all"]);
    run.assert_code(1);
    world.assert_honest(&run);
    let expected = [("beta", ""), ("zeta", "zeta-3.0.tar.gz")];
    let expected: BTreeSet<_> = expected
        .map(|(name, item)| (name.to_owned(), item.to_owned()))
        .into();
    assert_eq!(world.ledger(), expected);
    // The reason says which trouble it was, in the ledger as on the terminal.
    assert_says(&run.stdout, &["timed out"]);
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn slow_answers_are_waited_for() {
    let world = World::new(small());
    let rule = Rule::new(Fault::SlowBytesPerSecond(40_000))
        .on(Kind::File)
        .project("zeta");
    world.pypi.misbehave(rule);
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
    assert_eq!(asked(&world.pypi), needed(&world.pypi.universe()));
}

#[test]
fn a_short_retry_after_is_obeyed() {
    let world = World::new(small());
    let rule = Rule::new(Fault::RetryAfter(429, "1".to_owned()));
    world.pypi.misbehave(rule.clone().on(Kind::List).first(1));
    world
        .pypi
        .misbehave(rule.on(Kind::Page).project("alpha").first(1));
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
    let universe = world.pypi.universe();
    let mut expected = needed(&universe);
    for kind in [Kind::List, Kind::Page] {
        *expected.get_mut(&kind).unwrap() += 1;
    }
    assert_eq!(asked(&world.pypi), expected);
}

#[test]
fn a_long_retry_after_is_left_to_a_later_run() {
    let world = World::new(small());
    let rule = Rule::new(Fault::RetryAfter(503, "86400".to_owned()));
    world.pypi.misbehave(rule.on(Kind::Page).project("alpha"));
    let run = world.sync(&["--all"]);
    run.assert_code(1);
    assert_says(&run.stdout, &["alpha: ", "503"]);
    world.assert_honest(&run);
    assert_eq!(world.pypi.count_path("/simple/alpha/"), 1);
    world.pypi.behave();
    world.assert_heals();
}

/// One large file that breaks off after its first part.
fn broken_off(second: Option<Fault>) -> (World, Vec<Option<String>>) {
    let mut universe = Universe::new();
    let release = Release::new("1.0").wheel().payload_bytes(400_000);
    universe.add_project("large", &[release]);
    let world = World::new(universe);
    let break_off = Rule::new(Fault::ResetAfter(200_000))
        .on(Kind::File)
        .first(1);
    world.pypi.misbehave(break_off);
    if let Some(second) = second {
        world
            .pypi
            .misbehave(Rule::new(second).on(Kind::File).first(1));
    }
    let patient = ["--all", "--tries", "4"];
    world
        .heliostat
        .sync(&world.pypi.index_url(), &patient)
        .assert_code(0);
    world.assert_in_step();
    let ranges = world.pypi.requests_of(Kind::File);
    let ranges = ranges
        .iter()
        .map(|request| request.header("range").map(str::to_owned));
    let ranges = ranges.collect();
    (world, ranges)
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let (world, ranges) = broken_off(None);
    assert_eq!(ranges.len(), 2, "{ranges:?}");
    assert!(
        ranges[1]
            .as_deref()
            .is_some_and(|range| range.starts_with("bytes=")),
        "{ranges:?}"
    );
    let second = &world.pypi.requests_of(Kind::File)[1];
    assert_eq!(second.status, 206);
    assert!(second.bytes_sent < 400_000, "{second:?}");
}

#[test]
fn a_download_starts_over_where_ranges_are_not_served() {
    let (world, ranges) = broken_off(Some(Fault::IgnoreRange));
    assert_eq!(ranges.len(), 2, "{ranges:?}");
    assert_eq!(world.pypi.requests_of(Kind::File)[1].status, 200);
}

#[test]
fn a_range_that_is_not_the_one_asked_for_is_refused() {
    let (_, ranges) = broken_off(Some(Fault::ShiftRange));
    assert!(ranges.len() >= 3, "{ranges:?}");
}

#[test]
fn a_server_without_ranges_serves_every_file_whole() {
    let world = World::with(
        heliostat_testkit::pypi::Options::default()
            .lacks(Lack::Ranges)
            .serve(small()),
    );
    world.pypi.misbehave(
        Rule::new(Fault::ResetAfter(300))
            .on(Kind::File)
            .first_per_path(1),
    );
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
}

#[test]
fn metadata_that_is_missing_or_wrong_comes_from_the_wheel() {
    let mut universe = small();
    let release = Release::simple("4.0").metadata(MetadataOffer::Unhashed);
    universe.add_project("eta", &[release]);
    let world = World::new(universe);
    let missing = Rule::new(Fault::Status(404)).on(Kind::Metadata);
    world.pypi.misbehave(missing);
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
    // Only that which has no digest on its page was asked for; the rest was known to be in the wheels.
    assert_eq!(world.pypi.count(Kind::Metadata), 1);
}

#[test]
fn metadata_of_a_wheel_that_is_not_the_promised_is_taken_from_the_upstream_and_checked() {
    for fault in [Fault::Corrupt, Fault::Truncate(Truncation::Chunked)] {
        let world = World::new(small());
        other_metadata(&world);
        world.pypi.misbehave(Rule::new(fault).on(Kind::Metadata));
        let run = world.sync(&["--all"]);
        run.assert_code(1);
        world.assert_honest(&run);
        world.pypi.behave();
        world.assert_heals();
    }
}

/// Lets the upstream offer, under its right digest, metadata that is not that of the wheel.
fn other_metadata(world: &World) {
    let other = b"Metadata-Version: 2.1\nName: alpha\nVersion: 2.0\n".as_slice();
    let wheel = "alpha-2.0-py3-none-any.whl";
    world
        .pypi
        .edit(|universe| universe.set_metadata("alpha", wheel, other.into()));
}

#[test]
fn metadata_that_is_not_that_of_the_wheel_is_carried_as_promised_or_not_at_all() {
    let world = World::new(small());
    other_metadata(&world);
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();

    let world = World::new(small());
    other_metadata(&world);
    world.pypi.misbehave(
        Rule::new(Fault::Status(404))
            .on(Kind::Metadata)
            .project("alpha"),
    );
    let run = world.sync(&["--all"]);
    run.assert_code(1);
    world.assert_honest(&run);
    assert!(
        world
            .listed("alpha")
            .contains(&"alpha-2.0-py3-none-any.whl".to_owned())
    );
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn a_file_that_is_listed_and_gone_is_left_out_and_told() {
    let world = World::new(small());
    world.pypi.misbehave(
        Rule::new(Fault::Status(404))
            .on(Kind::File)
            .path("zeta-3.0.tar.gz"),
    );
    let run = world.sync(&["--all"]);
    run.assert_code(1);
    world.assert_honest(&run);
    assert_eq!(world.listed("zeta"), ["zeta-3.0-py3-none-any.whl"]);
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn what_fails_in_an_update_leaves_the_older_state() {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    for name in ["alpha", "beta", "zeta"] {
        world
            .pypi
            .add_release(name, &Release::simple("7.0").provenance());
    }
    world.pypi.delete_release("zeta", "3.0");
    world
        .pypi
        .misbehave(Rule::new(Fault::Status(502)).on(Kind::File));
    let run = world.sync(&[]);
    run.assert_code(1);
    world.assert_honest(&run);
    assert!(
        world
            .listed("alpha")
            .contains(&"alpha-1.0.tar.gz".to_owned())
    );
    world.pypi.behave();
    world.assert_heals();
}

#[test]
fn a_second_source_stands_in_for_a_first_that_lies() {
    let world = World::new(small());
    let mirror = heliostat_testkit::pypi::FakePyPi::serve(small());
    mirror.misbehave(Rule::new(Fault::Corrupt).on(Kind::File).path_share(300, 1));
    mirror.misbehave(
        Rule::new(Fault::Status(404))
            .on(Kind::File)
            .path_share(300, 2),
    );
    mirror.misbehave(
        Rule::new(Fault::Truncate(Truncation::Chunked))
            .on(Kind::File)
            .path_share(300, 3),
    );
    let base = mirror.base_url();
    world
        .sync(&["--all", "--file-mirror", &base])
        .assert_code(0);
    world.assert_in_step();
    assert!(mirror.count(Kind::File) > world.pypi.count(Kind::File));
    assert!(world.pypi.count(Kind::File) > 0);
}

#[test]
fn many_that_hang_hold_up_nobody_for_ever() {
    let world = World::new(many(40));
    let hang = |kind, path: &str| Rule::new(Fault::Hang).on(kind).path(path);
    for index in 0..8 {
        let page = format!("/project-{index:05}/");
        world.pypi.misbehave(hang(Kind::Page, &page));
        let file = format!("project_{:05}-1.0", index + 10);
        world.pypi.misbehave(hang(Kind::File, &file));
    }
    let run = world.sync(&["--all", "--jobs", "4"]);
    run.assert_code(1);
    world.assert_honest(&run);
    for index in (8..10).chain(18..40) {
        let name = format!("project-{index:05}");
        assert!(world.projects().contains(&name), "{name}: {run}");
    }
    let failed: BTreeSet<String> = world.ledger().into_iter().map(|entry| entry.0).collect();
    assert_eq!(failed.len(), 16, "{failed:?}");
    world.pypi.behave();
    world.assert_heals();
}
