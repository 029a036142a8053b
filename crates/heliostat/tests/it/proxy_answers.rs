//! What the proxy answers beside what installers see on the attack board: absence, age, outages, an index beside it.

use std::time::Duration;

use heliostat_testkit::clients::{Pip, or_skip};
use heliostat_testkit::mirror::{Mutation, TreeMirror, Twist};
use heliostat_testkit::pypi::FakePyPi;
use heliostat_testkit::universe::{Release, Universe};
use heliostat_trust::metadata::Extent;
use jiff::SignedDuration;

use crate::http::{Answer, JSON, get_with};
use crate::signed_world::SignedWorld;
use crate::world::assert_says;

/// Longer than a resolution takes to settle, so that the next request asks for a new timestamp.
const SETTLED: Duration = Duration::from_millis(3_500);

const WHEEL: &str = "beta-2.0-py3-none-any.whl";

fn world(bins: u64) -> SignedWorld {
    let mut universe = Universe::new();
    universe.add_project("alpha", &[Release::simple("1.0").requires_dist("beta")]);
    universe.add_project("beta", &[Release::new("2.0").wheel()]);
    universe.add_project("other", &[Release::new("3.0").wheel()]);
    SignedWorld::new(universe, bins)
}

fn ask(url: &str, path: &str) -> Answer {
    get_with(&format!("{url}/{path}"), &[JSON])
}

#[test]
fn an_outage_is_an_outage() {
    let signed = world(1);
    let gone = TreeMirror::evil(signed.tree(), [Mutation::new("/", Twist::Reset)]);
    let proxy = signed.proxy(&[&gone]);
    let answer = ask(&proxy.url, "simple/beta/");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_says(answer.text(), &[&gone.url(), "No mirror can be used"]);
}

/// What answers at a mistyped address withholds nothing that was signed.
#[test]
fn an_address_where_no_mirror_is_is_an_outage_and_told() {
    let signed = world(1);
    let mirror = TreeMirror::serve(signed.tree());
    let elsewhere = format!("{}elsewhere/", mirror.url());
    let proxy = signed.proxy_at(std::slice::from_ref(&elsewhere), &[]);
    let answer = ask(&proxy.url, "simple/beta/");
    assert_eq!(answer.status, 502, "{answer:?}");
    let says = [&elsewhere, "is no heliostat mirror", "check the address"];
    assert_says(answer.text(), &says);
    proxy.stop().assert_code(0);
    let proxy = signed.proxy_at(&[elsewhere, mirror.url()], &[]);
    assert_eq!(ask(&proxy.url, "simple/beta/").status, 200);
}

#[test]
fn who_is_behind_is_no_liar_and_is_used_again_once_it_has_caught_up() {
    let mut signed = world(4);
    let old = signed.copy_tree("old");
    signed.notary.sign();
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    assert_eq!(ask(&proxy.url, "simple/beta/").status, 200);
    mirror.move_to(old);
    std::thread::sleep(SETTLED);
    let refused = ask(&proxy.url, "simple/alpha/");
    assert_eq!(refused.status, 422, "{refused:?}");
    let says = ["because it is older than what was seen before", "rollback"];
    assert_says(refused.text(), &says);
    assert_says(refused.text(), &[&mirror.url()]);
    mirror.move_to(signed.tree());
    assert_eq!(ask(&proxy.url, "simple/alpha/").status, 200);
    assert_eq!(signed.trusted_version("timestamp"), 2);
}

#[test]
fn only_completeness_makes_absence_a_404() {
    let mut signed = world(4);
    let mirror = TreeMirror::serve(signed.tree());
    let status = |signed: &SignedWorld, name: &str| {
        let proxy = signed.proxy(&[&mirror]);
        let answer = ask(&proxy.url, &format!("simple/{name}/"));
        proxy.stop().assert_code(0);
        answer.status
    };
    assert_eq!(status(&signed, "nobody"), 404);
    signed.notary.extent = Extent::selection(vec!["nob*".to_owned()]);
    signed.notary.sign();
    assert_eq!(status(&signed, "nobody"), 404);
    assert_eq!(status(&signed, "somebody"), 503);
    signed.notary.extent = Extent::Partial;
    signed.notary.sign();
    assert_eq!(status(&signed, "nobody"), 503);
    let asked = mirror.requests();
    assert!(
        asked.iter().any(|path| path == "/simple/nobody/"),
        "{asked:?}"
    );
}

#[test]
fn a_state_may_be_too_old_before_it_expires() {
    let mut signed = world(1);
    let age = SignedDuration::from_hours(72);
    signed.notary.age = Some(age);
    signed.notary.sign();
    let then = (jiff::Timestamp::now() - age).to_string();
    let day = then.split_once('T').unwrap().0;
    let mirror = TreeMirror::serve(signed.tree());
    // On first contact, and though it has not expired.
    let careful = ["--max-staleness", "172800"];
    let proxy = signed.proxy_with(&[&mirror], &careful);
    let refused = ask(&proxy.url, "simple/beta/");
    assert_eq!(refused.status, 422, "{refused:?}");
    let says = ["freeze", "was signed at", day, "--max-staleness"];
    assert_says(refused.text(), &says);
    let offered = format!("{} showed timestamp 2", mirror.url());
    assert_says(refused.text(), &["because it is out of date", &offered]);
    proxy.stop().assert_code(0);
    let proxy = signed.proxy_with(&[&mirror], &["--max-staleness", "345600"]);
    assert_eq!(ask(&proxy.url, "simple/beta/").status, 200);
    proxy.stop().assert_code(0);
    // A mirror that is in step makes the difference.
    let frozen = TreeMirror::serve(signed.copy_tree("frozen"));
    signed.notary.age = Some(SignedDuration::ZERO);
    signed.notary.sign();
    let proxy = signed.proxy_with(&[&frozen, &mirror], &careful);
    assert_eq!(ask(&proxy.url, "simple/beta/").status, 200);
}

#[test]
fn the_age_of_a_state_that_does_not_tell_it_counts_from_first_sight() {
    let mut signed = world(1);
    signed.notary.age = None;
    signed.notary.sign();
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    assert_eq!(ask(&proxy.url, "simple/beta/").status, 200);
    proxy.stop().assert_code(0);
    // As if it had been seen first in 2001.
    std::fs::write(signed.client_state().join("tuf/seen"), "2 1000000000\n").unwrap();
    let proxy = signed.proxy(&[&mirror]);
    let refused = ask(&proxy.url, "simple/beta/");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(
        refused.text(),
        &["freeze", "first seen at 2001-09-09", "--max-staleness"],
    );
    signed.proxy_with(&[&mirror], &["--max-staleness", "4000000000"]);
}

#[test]
fn an_origin_decides_for_whole_projects() {
    let mut universe = Universe::new();
    universe.add_project("private", &[Release::new("1.0").wheel()]);
    universe.add_project("beta", &[Release::new("99.0").wheel()]);
    let origin = FakePyPi::serve(universe);
    let signed = world(1);
    let mirror = TreeMirror::serve(signed.tree());
    let index = origin.index_url();
    let ask_with = |order: &str, path: &str| {
        let proxy = signed.proxy_with(&[&mirror], &["--origin", order, "--origin-url", &index]);
        let answer = ask(&proxy.url, path);
        proxy.stop().assert_code(0);
        answer
    };
    let names = |order: &str, path: &str| ask_with(order, path).filenames();
    assert_eq!(ask_with("never", "simple/private/").status, 404);
    for order in ["first", "last"] {
        assert_eq!(
            names(order, "simple/private/"),
            ["private-1.0-py3-none-any.whl"]
        );
        assert_eq!(ask_with(order, "simple/nobody/").status, 404);
    }
    // Never merged: all of it from one, or all of it from the other.
    assert_eq!(
        names("first", "simple/beta/"),
        ["beta-99.0-py3-none-any.whl"]
    );
    assert_eq!(names("last", "simple/beta/"), [WHEEL]);
    if let Some(pip) = or_skip(Pip::newest()) {
        let proxy = signed.proxy_with(&[&mirror], &["--origin", "last", "--origin-url", &index]);
        let directory = signed.world.place("pip");
        pip.install(&proxy.index_url(), &["private", "alpha"], &directory)
            .assert_code(0);
        assert!(directory.join("private").is_dir() && directory.join("beta").is_dir());
    }
    // A silent origin is not one that has nothing.
    origin.stop();
    assert_eq!(ask_with("first", "simple/beta/").status, 502);
    assert_eq!(ask_with("last", "simple/beta/").status, 200);
}
