//! Mirrors of mirrors: `sync` from `serve`, from nginx over a tree of ours, and from nginx over bandersnatch's.

use heliostat_testkit::clients::{Bandersnatch, MirrorJob, Nginx, or_skip};
use heliostat_testkit::process::Heliostat;
use heliostat_testkit::tree::{Expect, assert_mirrors};
use heliostat_testkit::universe::{Release, Universe};

use crate::adopt_world::{Maker, lay_out};
use crate::sync_world::{assert_no_litter, digests, small};
use crate::world::{World, assert_says, heliostat};

/// A mirror's mirror, compared with where it all came from.
#[track_caller]
fn assert_mirrors_of(world: &World, second: &Heliostat) {
    assert_mirrors(second.data(), &world.pypi.universe(), &Expect::default());
    assert_no_litter(second.data());
}

fn change(world: &World) {
    world
        .pypi
        .add_release("alpha", &Release::simple("6.0").provenance());
    world.pypi.delete_release("gamma-core", "1.0");
    world.pypi.delete_project("delta");
    world.pypi.yank("zeta", "3.0", "not good");
    world.pypi.set_status("beta", "archived", Some("done"));
}

#[test]
fn heliostat_mirrors_heliostat() {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    let serving = world.heliostat.serve(["--offline"]);
    let second = heliostat(&world.place("second"));
    second.sync(&serving.index_url(), &["--all"]).assert_code(0);
    assert_mirrors_of(&world, &second);
    let same = |path: &str| {
        digests(&world.heliostat.web().join(path)) == digests(&second.web().join(path))
    };
    assert!(same("simple") && same("packages") && same("integrity"));
    let settled = second.sync(&serving.index_url(), &[]);
    settled.assert_code(0);
    assert_says(&settled.stderr, &["the upstream's list is unchanged"]);

    change(&world);
    world.sync(&[]).assert_code(0);
    let run = second.sync(&serving.index_url(), &[]);
    run.assert_code(0);
    assert_mirrors_of(&world, &second);
    assert_says(&run.stdout, &["4 projects updated", "1 removed", "2 files"]);
    assert!(same("simple") && same("packages") && same("integrity"));
}

#[test]
fn a_mirror_of_an_incomplete_mirror_catches_up_with_it() {
    use heliostat_testkit::pypi::{Fault, Kind, Rule};
    let world = World::new(small());
    world.pypi.misbehave(
        Rule::new(Fault::Status(403))
            .on(Kind::File)
            .path("zeta-3.0.tar.gz"),
    );
    world.sync(&["--all"]).assert_code(1);
    let serving = world.heliostat.serve(["--offline"]);
    let second = heliostat(&world.place("second"));
    second.sync(&serving.index_url(), &["--all"]).assert_code(0);
    world.pypi.behave();
    world.sync(&[]).assert_code(0);
    second.sync(&serving.index_url(), &[]).assert_code(0);
    assert_mirrors_of(&world, &second);
}

#[test]
fn a_tree_behind_nginx_is_an_upstream() {
    let world = World::new(small());
    world.sync(&["--all"]).assert_code(0);
    // Whatever is asked for, this one answers with the HTML: a static server without rules of its own.
    let directives = "location /simple/ { index index.html index.v1_html; }";
    let Some(nginx) = or_skip(Nginx::serve(&world.heliostat.web(), directives)) else {
        return;
    };
    let upstream = format!("{}/simple/", nginx.url());
    let second = heliostat(&world.place("second"));
    second.sync(&upstream, &["--all"]).assert_code(0);
    assert_mirrors_of(&world, &second);
    change(&world);
    world.sync(&[]).assert_code(0);
    second.sync(&upstream, &[]).assert_code(0);
    assert_mirrors_of(&world, &second);
}

#[test]
fn a_bandersnatch_tree_behind_nginx_is_an_upstream() {
    let Some(bandersnatch) = or_skip(Bandersnatch::find()) else {
        return;
    };
    let world = World::new(small());
    let theirs = world.place("bandersnatch");
    let base = world.pypi.base_url();
    let job = MirrorJob {
        master: &base,
        directory: &theirs,
        workers: 2,
        further_configuration: "",
    };
    bandersnatch.mirror(&job).assert_code(0);
    let directives = "location /simple/ { index index.html index.v1_html; }";
    let Some(nginx) = or_skip(Nginx::serve(&theirs.join("web"), directives)) else {
        return;
    };
    let upstream = format!("{}/simple/", nginx.url());
    let ours = heliostat(&world.place("ours"));
    ours.sync(&upstream, &["--all"]).assert_code(0);
    assert_mirrors_of(&world, &ours);
}

#[test]
fn a_shadowmire_tree_behind_nginx_is_an_upstream() {
    // Without provenance, whose addresses in such a tree are those of the index it was taken from.
    let mut universe = Universe::new();
    universe.add_project(
        "Alpha.App",
        &[Release::simple("1.0"), Release::simple("2.0")],
    );
    universe.add_project("beta", &[Release::new("1.0").sdist()]);
    let world = World::new(universe);
    let theirs = world.place("shadowmire");
    let web = lay_out(Maker::Shadowmire, &world.pypi.universe(), &theirs);
    let directives = "location /simple/ { index index.html index.v1_html; }";
    let Some(nginx) = or_skip(Nginx::serve(&web, directives)) else {
        return;
    };
    let upstream = format!("{}/simple/", nginx.url());
    let ours = heliostat(&world.place("ours"));
    ours.sync(&upstream, &["--all"]).assert_code(0);
    assert_mirrors_of(&world, &ours);
}
