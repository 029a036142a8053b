//! `sync` from upstreams of every kind: poor ones, ones elsewhere than at `/simple/`, behind passwords and
//! certificates, and large ones.

use std::collections::{BTreeMap, BTreeSet};

use heliostat_testkit::process::Finished;
use heliostat_testkit::pypi::{
    FakePyPi, FilesHost, Kind, Lack, LogDepth, Options, PageCoding, Scheme, UrlStyle,
};
use heliostat_testkit::tree::{Expect, Paths};
use heliostat_testkit::universe::{Release, Universe};

use crate::sync_world::{asked, needed, small, without_metadata};
use crate::world::{World, assert_says};

/// Memory that a run over a very large list or page may have, in a build without optimisation.
const MEMORY_BYTES_MAX: u64 = 500 << 20;

fn any_paths() -> Expect {
    Expect {
        paths: Paths::Any,
        ..Expect::default()
    }
}

/// First sync, a change of each kind, and a sync that finds nothing to do.
#[track_caller]
fn mirrors(pypi: FakePyPi, expect: &Expect) -> World {
    let world = World::with(pypi);
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step_as(expect);
    world.pypi.add_release("alpha", &Release::simple("6.0"));
    world.pypi.delete_release("gamma-core", "1.0");
    world.pypi.delete_project("delta");
    world.pypi.yank("zeta", "3.0", "");
    world.pypi.clear_log();
    world.sync(&[]).assert_code(0);
    world.assert_in_step_as(expect);
    let fetched: BTreeSet<String> = ["alpha-6.0-py3-none-any.whl", "alpha-6.0.tar.gz"]
        .map(str::to_owned)
        .into();
    assert_eq!(world.files_fetched(), fetched);
    let before = world.tree();
    world.pypi.clear_log();
    world.sync(&[]).assert_code(0);
    assert_eq!(
        world.pypi.count(Kind::File) + world.pypi.count(Kind::Metadata),
        0
    );
    assert_eq!(world.tree(), before);
    world
}

#[test]
fn html_only() {
    mirrors(
        Options::default().lacks(Lack::Json).serve(small()),
        &Expect::default(),
    );
}

#[test]
fn html_only_without_digests_sizes_serials_and_etags() {
    let pypi = Options::default()
        .lacks(Lack::Json)
        .lacks(Lack::Hashes)
        .lacks(Lack::Sizes)
        .lacks(Lack::Serials)
        .lacks(Lack::Etags)
        .lacks(Lack::UploadTimes)
        .lacks(Lack::Metadata)
        .lacks(Lack::Provenance)
        .serve(small());
    mirrors(pypi, &any_paths());
}

#[test]
fn json_without_serials() {
    mirrors(
        Options::default().lacks(Lack::Serials).serve(small()),
        &Expect::default(),
    );
}

#[test]
fn json_of_the_first_version() {
    let pypi = Options::default()
        .lacks(Lack::Sizes)
        .lacks(Lack::UploadTimes)
        .page_coding(PageCoding::Identity)
        .urls(UrlStyle::Relative)
        .serve(small());
    mirrors(pypi, &Expect::default());
}

#[test]
fn a_root_elsewhere_with_flat_files() {
    let pypi = Options::default()
        .root("/whl/cpu/")
        .flat_files("/whl/cpu/")
        .urls(UrlStyle::Relative)
        .serve(small());
    mirrors(pypi, &any_paths());
}

#[test]
fn files_on_another_host() {
    mirrors(
        Options::default()
            .files_host(FilesHost::OtherPort)
            .serve(small()),
        &Expect::default(),
    );
}

#[test]
fn wheels_whose_metadata_nobody_offers_get_it_from_inside() {
    let world = World::new(without_metadata());
    world.sync(&["--all"]).assert_code(0);
    world.assert_in_step();
    assert_eq!(world.pypi.count(Kind::Metadata), 0);
    let whl = world.path_in_tree("alpha-1.0-py3-none-any.whl");
    assert!(whl.with_extension("whl.metadata").is_file());
}

#[test]
fn basic_authentication_in_the_address_stays_out_of_everything_written() {
    let pypi = Options::default().basic_auth("me", "s3cret").serve(small());
    let url = pypi.index_url();
    let world = World::with(pypi);
    let refused = world.sync(&["--all"]);
    refused.assert_code(3);
    assert_says(&refused.stderr, &["401"]);
    let with_password = url.replacen("://", "://me:s3cret@", 1);
    let run = world.heliostat.sync(&with_password, &["--all"]);
    run.assert_code(0);
    world.assert_in_step();
    for (path, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        assert!(!text.contains("s3cret"), "{path}: {text}");
    }
    for path in std::fs::read_dir(world.heliostat.data().join("state")).unwrap() {
        let path = path.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let leaks = bytes.windows(6).any(|window| window == b"s3cret");
            assert!(!leaks, "{} holds the password", path.display());
        }
    }
    // The same upstream with another way to say the password is no other upstream.
    world.pypi.clear_log();
    let netrc = world.place("netrc");
    std::fs::write(&netrc, "machine 127.0.0.1 login me password s3cret\n").unwrap();
    world
        .sync(&["--netrc", netrc.to_str().unwrap()])
        .assert_code(0);
    world.assert_in_step();
    assert_eq!(world.pypi.count(Kind::File), 0);
}

#[test]
fn a_certificate_of_ones_own_is_trusted_when_named() {
    let pypi = Options::default().scheme(Scheme::Https).serve(small());
    let authority = pypi.authority().unwrap().ca_pem.clone();
    let world = World::with(pypi);
    let refused = world.sync(&["--all"]);
    refused.assert_code(3);
    assert_says(&refused.stderr, &["certificate"]);
    let path = world.place("ca.pem");
    std::fs::write(&path, authority).unwrap();
    let cacert = ["--all", "--cacert", path.to_str().unwrap()];
    world.sync(&cacert).assert_code(0);
    world.assert_in_step();
    assert_eq!(asked(&world.pypi), needed(&world.pypi.universe()));
}

#[test]
fn an_address_that_is_no_upstream_is_a_usage_error() {
    let world = World::new(small());
    for (address, code) in [("ftp://example.invalid/simple/", 2), ("not an address", 2)] {
        let run = world.heliostat.sync(address, &["--all"]);
        run.assert_code(code);
        assert!(!world.heliostat.data().exists(), "{run}");
    }
}

#[test]
fn changing_the_upstream_moves_to_its_state() {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    let mut other = small();
    other.delete_project("zeta");
    other.add_release("alpha", &Release::simple("8.0"));
    let world = world.moved_to(FakePyPi::serve(other));
    world.sync(&[]).assert_code(0);
    world.assert_in_step();
    let fetched: BTreeSet<String> = ["alpha-8.0-py3-none-any.whl", "alpha-8.0.tar.gz"]
        .map(str::to_owned)
        .into();
    assert_eq!(world.files_fetched(), fetched);
}

/// A sync with the program's own time-outs: a busy machine takes a while to make so large an answer.
fn patient(world: &World, arguments: &[&str]) -> Finished {
    world.heliostat.sync(&world.pypi.index_url(), arguments)
}

#[test]
fn a_page_of_twenty_thousand_files_is_read_in_bounded_memory() {
    let mut universe = small();
    universe.add_large_project("huge", 20_000);
    let world = World::with(
        Options::default()
            .log_depth(LogDepth::CountsOnly)
            .serve(universe),
    );
    let run = patient(&world, &["huge", "--no-files"]);
    run.assert_code(0);
    assert_eq!(world.listed("huge").len(), 20_000);
    assert!(
        run.usage.memory_max_bytes < MEMORY_BYTES_MAX,
        "{:?}",
        run.usage
    );
    let run = patient(&world, &["--latest", "2", "--no-files=false"]);
    run.assert_code(0);
    assert_eq!(world.listed("huge").len(), 40);
    assert_eq!(world.pypi.count(Kind::File), 40);
    assert!(
        run.usage.memory_max_bytes < MEMORY_BYTES_MAX,
        "{:?}",
        run.usage
    );
    world.assert_consistent();
}

#[test]
fn a_list_of_nine_hundred_thousand_names_is_read_in_bounded_memory() {
    let mut universe = small();
    universe.add_bulk_names(900_000);
    let world = World::with(
        Options::default()
            .log_depth(LogDepth::CountsOnly)
            .serve(universe),
    );
    let run = patient(&world, &["alph*", "zeta"]);
    run.assert_code(0);
    world.assert_holds(&["alpha", "zeta"]);
    assert_eq!(asked(&world.pypi).get(&Kind::Page), Some(&2));
    assert!(
        run.usage.memory_max_bytes < MEMORY_BYTES_MAX,
        "{:?}",
        run.usage
    );
    world.assert_consistent();
    world.pypi.clear_log();
    patient(&world, &[]).assert_code(0);
    assert_eq!(asked(&world.pypi), BTreeMap::from([(Kind::List, 1)]));
}

#[test]
fn a_universe_of_nothing_is_mirrored_as_nothing() {
    let world = World::new(Universe::new());
    world.sync(&["--all"]).assert_code(0);
    world.assert_holds(&[]);
    world.assert_consistent();
    assert_eq!(world.claimed_serial(), Some(1000));
}
