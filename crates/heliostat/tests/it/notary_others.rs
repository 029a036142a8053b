//! A downstream of one notary that is given another's root, and pages that came before anything was verified.

use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::Finished;

use crate::bundle_proof::Signed;
use crate::bundle_world::Piece;
use crate::notary_world::begin;
use crate::signed_world::Notary;
use crate::sync_world::{digests, small};
use crate::world::{QUICK, World, assert_says, heliostat};

/// A whole mirror, the notary who signs it, and a server that carries its tree.
fn notary() -> (World, Notary, TreeMirror) {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    let notary = Notary::new(world.heliostat.web(), 4);
    let mirror = TreeMirror::serve(world.heliostat.web());
    (world, notary, mirror)
}

#[test]
fn another_notary_s_mirror_is_refused_and_forgotten() {
    let (world, mut first, mirror) = notary();
    let other = Signed::new();
    let other_mirror = TreeMirror::serve(other.gap.near.heliostat.web());
    let downstream = heliostat(&world.place("downstream"));
    let sync = |mirror: &TreeMirror, root: &std::path::Path, more: &[&str]| -> Finished {
        let root = root.to_str().unwrap();
        let all = [&QUICK[..], &["--root", root], more].concat();
        downstream.sync(&format!("{}simple/", mirror.url()), &all)
    };
    sync(&mirror, &first.root_file(), &["--all"]).assert_code(0);
    let before = digests(&downstream.web());
    let refused = sync(&other_mirror, &other.root, &["--max-delete", "100"]);
    refused.assert_code(4);
    assert_says(
        &refused.stderr,
        &["another notary", "another `--data`", "nothing was changed"],
    );
    assert_eq!(digests(&downstream.web()), before);
    // What was refused is not gone on with.
    first.rotate(5);
    let plain = downstream.command("sync").args(QUICK).run();
    plain.assert_code(0);
    let timestamp =
        |web: std::path::PathBuf| std::fs::read(web.join("tuf/timestamp.json")).unwrap();
    assert_eq!(
        timestamp(world.heliostat.web()),
        timestamp(downstream.web())
    );
    // A root that the same notary went on to, and the one that it began with.
    first.rotate(6);
    let third = first.root_file().with_file_name("3.root.json");
    sync(&mirror, &third, &[]).assert_code(0);
    sync(&mirror, &first.root_file(), &[]).assert_code(0);
}

#[test]
fn a_mirror_that_signs_itself_takes_no_other_s_signatures() {
    let (world, mut notary, mirror) = notary();
    // So that no file of theirs has a name that is here.
    notary.rotate(7);
    notary.sign();
    let own = heliostat(&world.place("own"));
    begin(&own, 1);
    let before = digests(&own.web());
    let root = notary.root_file();
    let all = [&QUICK[..], &["--all", "--root", root.to_str().unwrap()]].concat();
    let refused = own.sync(&format!("{}simple/", mirror.url()), &all);
    refused.assert_code(2);
    assert_says(
        &refused.stderr,
        &["keys of its own", "nothing was changed", "import --root"],
    );
    assert_eq!(digests(&own.web()), before);
}

/// Whoever gave a page may have claimed any serial for it.
#[test]
fn a_page_from_before_is_taken_again_where_it_is_not_what_was_signed() {
    let signed = Signed::new();
    let gap = &signed.gap;
    let mirror = TreeMirror::serve(gap.near.heliostat.web());
    let upstream = format!("{}simple/", mirror.url());
    gap.export("all.bundle", &[]).assert_code(0);
    signed.edited("all.bundle", "lie.bundle", |pieces| {
        let is_it = |piece: &&mut Piece| piece.name.starts_with("simple/epsilon/");
        let page = pieces.iter_mut().find(is_it).unwrap();
        let text = String::from_utf8(page.bytes.clone()).unwrap();
        let at = text.find("\"_last-serial\":").unwrap() + "\"_last-serial\":".len();
        let lie = format!("{}99999{}", &text[..at], &text[at..]);
        page.bytes = lie
            .replacen(
                "\"requires-python\":null",
                "\"requires-python\":\">=3.99\"",
                1,
            )
            .into_bytes();
        let mut lines = pieces[0].lines();
        lines[0]["header"]["upstream"] = upstream.clone().into();
        pieces[0] = Piece::of_lines(&lines);
    });
    gap.import("lie.bundle", &[]).assert_code(0);
    let page = gap.far.web().join("simple/epsilon/index.v1_json");
    assert_says(&std::fs::read_to_string(&page).unwrap(), &[">=3.99"]);
    let root = signed.root.to_str().unwrap();
    let all = [&QUICK[..], &["--all", "--root", root]].concat();
    gap.far.sync(&upstream, &all).assert_code(0);
    let near = gap.near.heliostat.web();
    assert_eq!(
        std::fs::read(near.join("simple/epsilon/index.v1_json")).unwrap(),
        std::fs::read(&page).unwrap()
    );
    signed.verify().assert_code(0);
}
