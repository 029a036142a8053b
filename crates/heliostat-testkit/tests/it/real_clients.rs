//! What the fake PyPI serves installs with the real programs, and what they mirror passes the checker.
#![expect(
    clippy::disallowed_methods,
    reason = "a test looks at what programs wrote"
)]

use std::path::Path;

use heliostat_testkit::clients::{
    Bandersnatch, Chromium, MirrorJob, Nginx, Pip, Uv, Viewport, or_skip,
};
use heliostat_testkit::process::Finished;
use heliostat_testkit::pypi::{FakePyPi, Fault, Kind, Lack, Options, Rule};
use heliostat_testkit::tree::{Expect, What, assert_none, check_tree};
use heliostat_testkit::universe::{MetadataOffer, Release, Universe, Yank};

fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project(
        "Alpha.App",
        &[
            Release::simple("1.0").requires_dist("beta>=1"),
            Release::simple("1.1").yanked(Yank::Because("broken".to_owned())),
        ],
    );
    universe.add_project(
        "beta",
        &[
            Release::new("1.0").wheel().metadata(MetadataOffer::Absent),
            Release::new("2.0")
                .sdist()
                .requires_dist("gamma; extra == 'x'")
                .extra("x")
                .requires_dist("delta"),
            Release::new("3.0b1").wheel(),
        ],
    );
    universe.add_project("gamma", &[Release::simple("1.0")]);
    universe.add_project(
        "delta",
        &[Release::new("1.0")
            .wheel()
            .payload_bytes(100_000)
            .provenance()],
    );
    universe
}

#[track_caller]
fn assert_installed(finished: &Finished, directory: &Path) {
    finished.assert_code(0);
    for (package, version) in [("alpha_app", "1.0"), ("beta", "2.0"), ("delta", "1.0")] {
        let init = std::fs::read_to_string(directory.join(package).join("__init__.py")).unwrap();
        assert_eq!(init, format!("__version__ = \"{version}\"\n"), "{package}");
        assert!(
            directory
                .join(format!("{package}-{version}.dist-info/METADATA"))
                .is_file()
        );
    }
    assert!(
        !directory.join("gamma").exists(),
        "an extra that nobody asked for"
    );
}

#[test]
fn the_newest_pip_installs_wheels_and_sdists_with_their_dependencies() {
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let pypi = FakePyPi::serve(universe());
    let directory = tempfile::tempdir().unwrap();
    let finished = pip.install(&pypi.index_url(), &["alpha-app"], directory.path());
    assert_installed(&finished, directory.path());
    assert!(pypi.requests().iter().all(|request| {
        request
            .header("user-agent")
            .is_some_and(|name| name.starts_with("pip/"))
    }));
}

#[test]
fn pip_23_installs_from_html_alone() {
    let Some(pip) = or_skip(Pip::v23()) else {
        return;
    };
    let pypi = Options::default().lacks(Lack::Json).serve(universe());
    let directory = tempfile::tempdir().unwrap();
    let finished = pip.install(&pypi.index_url(), &["alpha-app"], directory.path());
    assert_installed(&finished, directory.path());
}

#[test]
fn uv_installs_and_locks() {
    let Some(uv) = or_skip(Uv::find()) else {
        return;
    };
    let pypi = FakePyPi::serve(universe());
    let directory = tempfile::tempdir().unwrap();
    let finished = uv.pip_install(&pypi.index_url(), &["alpha-app"], directory.path());
    assert_installed(&finished, directory.path());
    let project = tempfile::tempdir().unwrap();
    let text = "[project]\nname = \"mine\"\nversion = \"1\"\nrequires-python = \">=3.9\"\ndependencies = [\"beta[x]\"]\n";
    std::fs::write(project.path().join("pyproject.toml"), text).unwrap();
    uv.lock(&pypi.index_url(), project.path()).assert_code(0);
    let lock = std::fs::read_to_string(project.path().join("uv.lock")).unwrap();
    assert!(lock.contains("name = \"gamma\""), "{lock}");
}

#[test]
fn pip_refuses_what_is_corrupt() {
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let pypi = FakePyPi::serve(universe());
    pypi.misbehave(Rule::new(Fault::Corrupt).on(Kind::File));
    let directory = tempfile::tempdir().unwrap();
    let finished = pip.download(&pypi.index_url(), &["gamma"], directory.path());
    finished.assert_code(1);
    assert!(
        finished.stderr.contains("DO NOT MATCH THE HASHES"),
        "{finished}"
    );
}

#[test]
fn bandersnatch_mirrors_it_and_nginx_serves_the_mirror() {
    let Some(bandersnatch) = or_skip(Bandersnatch::find()) else {
        return;
    };
    let pypi = FakePyPi::serve(universe());
    let directory = tempfile::tempdir().unwrap();
    let job = MirrorJob {
        master: &pypi.base_url(),
        directory: directory.path(),
        workers: 3,
        further_configuration: "",
    };
    bandersnatch.mirror(&job).assert_code(0);
    let web = directory.path().join("web");
    assert_eq!(
        std::fs::read_dir(web.join("simple"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().is_dir())
            .count(),
        4
    );
    let mut problems = check_tree(&web, &Expect::default());
    // bandersnatch's JSON loses the reasons of yanks, which its HTML keeps: that is the one thing the checker may find.
    problems.retain(
        |problem| !matches!(&problem.what, What::Disagree(how) if how.contains("\"broken\"")),
    );
    assert_none(&problems);

    let Some(nginx) = or_skip(Nginx::serve(&web, "index index.html;")) else {
        return;
    };
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let target = tempfile::tempdir().unwrap();
    pypi.stop();
    let finished = pip.install(
        &format!("{}/simple/", nginx.url()),
        &["alpha-app"],
        target.path(),
    );
    assert_installed(&finished, target.path());
}

#[test]
fn chromium_takes_a_picture() {
    let Some(chromium) = or_skip(Chromium::find()) else {
        return;
    };
    let pypi = FakePyPi::serve(universe());
    let directory = tempfile::tempdir().unwrap();
    let png = directory.path().join("page.png");
    let finished = chromium.screenshot(&pypi.page_url("beta"), &png, Viewport::PHONE);
    finished.assert_code(0);
    assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    let seen = chromium.dump(&pypi.page_url("beta"));
    assert!(seen.stdout.contains("beta-2.0.tar.gz"), "{seen}");
}
