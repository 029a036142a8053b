//! `heliostat adopt`: trees of every maker, in place and by hard link; what was right is never downloaded again.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use heliostat_testkit::clients::{Bandersnatch, MirrorJob, or_skip};
use heliostat_testkit::process::Finished;
use heliostat_testkit::pypi::Kind;
use heliostat_testkit::tree::{Expect, assert_none, check_tree};
use heliostat_testkit::universe::Universe;

use crate::adopt_world::{Maker, lay_out, put, snapshot, universe};
use crate::http::get_json;
use crate::world::{World, assert_says};

const MAKERS: [Maker; 4] = [
    Maker::Bandersnatch,
    Maker::BandersnatchHashed,
    Maker::Shadowmire,
    Maker::ByHand,
];

fn adopt(world: &World, tree: &Path, arguments: &[&str]) -> Finished {
    let tree = tree.display().to_string();
    world
        .heliostat
        .command("adopt")
        .arg(tree)
        .args(arguments)
        .run()
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

/// Syncs everything; expects so many files to be downloaded.
#[track_caller]
fn assert_sync_takes(world: &World, files: u64) {
    world.pypi.clear_log();
    world.sync(&["--all"]).assert_code(0);
    assert_eq!(
        world.pypi.count(Kind::File),
        files,
        "{:?}",
        world.pypi.requests()
    );
    world.assert_mirrors();
}

#[test]
fn trees_of_every_maker_are_taken_over_by_hard_link() {
    for maker in MAKERS {
        let world = World::new(universe());
        let home = world.place("theirs");
        let web = lay_out(maker, &universe(), &home);
        let before = snapshot(&home);
        let finished = adopt(&world, &home, &[]);
        finished.assert_code(0);
        assert_says(
            &finished.stderr,
            &[
                "took over 3 projects with 8 files",
                "by hard link; 0 missing, 0 not taken",
            ],
        );
        assert_eq!(
            snapshot(&home),
            before,
            "{maker:?}: theirs is left as it was"
        );
        assert_none(&check_tree(&world.heliostat.web(), &Expect::default()));
        assert_sync_takes(&world, 0);
        assert_eq!(
            world.pypi.count(Kind::Metadata),
            0,
            "{maker:?}: it is in the wheels"
        );
        let filename = "beta-1.0-py3-none-any.whl";
        let theirs = web.join(world.file(filename).path());
        assert_eq!(
            inode(&theirs),
            inode(&world.path_in_tree(filename)),
            "{maker:?}"
        );
        world.verify(&[]).assert_code(0);
    }
}

#[test]
fn a_bandersnatch_home_is_taken_over_in_place() {
    for maker in [Maker::Bandersnatch, Maker::BandersnatchHashed] {
        let world = World::new(universe());
        let home = world.heliostat.data().to_owned();
        let web = lay_out(maker, &universe(), &home);
        let filename = "alpha_app-1.0-py3-none-any.whl";
        let before = inode(&web.join(world.file(filename).path()));
        let finished = adopt(&world, &home, &[]);
        finished.assert_code(0);
        assert_says(&finished.stderr, &["3 projects with 8 files", "in place"]);
        if maker == Maker::BandersnatchHashed {
            // Theirs stood one folder deeper, and is nobody's now.
            for letter in ["a", "b", "g"] {
                std::fs::remove_dir_all(web.join("simple").join(letter)).unwrap();
            }
        }
        assert_none(&check_tree(&web, &Expect::default()));
        assert_sync_takes(&world, 0);
        assert_eq!(inode(&web.join(world.file(filename).path())), before);
        assert!(home.join("status").is_file(), "theirs is left alone");
        world.verify(&[]).assert_code(0);
        // A second time there is nothing to do, and nothing breaks.
        adopt(&world, &home, &[]).assert_code(0);
        assert_sync_takes(&world, 0);
    }
}

#[test]
fn a_tree_made_by_bandersnatch_itself_is_taken_over() {
    let Some(bandersnatch) = or_skip(Bandersnatch::find()) else {
        return;
    };
    let world = World::new(universe());
    let home = world.heliostat.data().to_owned();
    let job = MirrorJob {
        master: &world.pypi.base_url(),
        directory: &home,
        workers: 2,
        further_configuration: "",
    };
    let mirrored = bandersnatch.mirror(&job);
    mirrored.assert_code(0);
    let configuration = home.join("bandersnatch.conf").display().to_string();
    let finished = adopt(&world, &home, &["--bandersnatch-conf", &configuration]);
    finished.assert_code(0);
    assert_says(
        &finished.stderr,
        &["took over 3 projects with 8 files", "0 missing"],
    );
    assert_sync_takes(&world, 0);
    world.verify(&[]).assert_code(0);
    let translated = world.place("heliostat.toml");
    std::fs::write(&translated, &finished.stdout).unwrap();
    world.pypi.clear_log();
    let synced = world
        .heliostat
        .bare()
        .args(["sync", "--config"])
        .arg(&translated)
        .run();
    synced.assert_code(0);
    assert_eq!(world.pypi.count(Kind::File), 0, "{synced}");
    world.assert_mirrors();
}

#[test]
fn what_is_damaged_or_missing_is_told_and_taken_by_the_next_sync() {
    for in_place in [false, true] {
        let world = World::new(universe());
        let home = if in_place {
            world.heliostat.data().to_owned()
        } else {
            world.place("theirs")
        };
        let web = lay_out(Maker::Bandersnatch, &universe(), &home);
        let theirs = |filename: &str| web.join(world.file(filename).path());
        let corrupt = theirs("alpha_app-1.0-py3-none-any.whl");
        let mut bytes = std::fs::read(&corrupt).unwrap();
        bytes[1000] ^= 1;
        put(&corrupt, &bytes);
        put(&theirs("beta-1.0.tar.gz"), b"cut off");
        std::fs::remove_file(theirs("gamma-1.0.tar.gz")).unwrap();
        let finished = adopt(&world, &home, &[]);
        finished.assert_code(1);
        assert_says(
            &finished.stderr,
            &[
                &world.file("alpha_app-1.0-py3-none-any.whl").path(),
                &world.file("beta-1.0.tar.gz").path(),
                "3 projects with 5 files",
                "1 missing, 2 not taken",
            ],
        );
        // What is served now is right, whatever is missing.
        let serving = world.heliostat.serve(["--offline"]);
        let page = get_json(&format!("{}gamma/", serving.index_url()));
        assert_eq!(page.filenames(), ["gamma-2.0-py3-none-any.whl"]);
        serving.stop().assert_code(0);
        assert_sync_takes(&world, 3);
        world.verify(&[]).assert_code(0);
    }
}

#[test]
fn broken_pages_are_told_and_another_form_is_read_instead() {
    let world = World::new(universe());
    let home = world.place("theirs");
    let web = lay_out(Maker::Bandersnatch, &universe(), &home);
    put(
        &web.join("simple/beta/index.v1_json"),
        b"{\"meta\": {\"api-ver",
    );
    for file in ["index.v1_json", "index.v1_html", "index.html"] {
        put(&web.join("simple/gamma").join(file), b"{\"files\": 7}");
    }
    let finished = adopt(&world, &home, &[]);
    finished.assert_code(1);
    assert_says(
        &finished.stderr,
        &["simple/beta/index.v1_json", "simple/gamma/index.v1_json"],
    );
    assert_sync_takes(&world, 2);
}

#[test]
fn what_the_upstream_changed_since_comes_with_the_next_sync() {
    let world = World::new(universe());
    let home = world.place("theirs");
    lay_out(Maker::Shadowmire, &universe(), &home);
    adopt(&world, &home, &[]).assert_code(0);
    world.pypi.edit(|universe| {
        universe.add_release("beta", &heliostat_testkit::universe::Release::simple("2.0"));
        universe.delete_release("alpha-app", "0.9");
        universe.yank("gamma", "1.0", "late");
    });
    assert_sync_takes(&world, 2);
}

#[test]
fn a_dry_run_tells_the_same_and_changes_nothing() {
    let world = World::new(universe());
    let home = world.place("theirs");
    let web = lay_out(Maker::Bandersnatch, &universe(), &home);
    put(&web.join(world.file("beta-1.0.tar.gz").path()), b"cut off");
    std::fs::remove_file(web.join(world.file("gamma-1.0.tar.gz").path())).unwrap();
    let before = snapshot(&home);
    let finished = adopt(&world, &home, &["--dry-run"]);
    finished.assert_code(1);
    assert_says(
        &finished.stderr,
        &[
            "would take over 3 projects with 6 files",
            "1 missing, 1 not taken",
        ],
    );
    assert!(
        !world.heliostat.data().exists(),
        "not even the data directory is made"
    );
    let json = adopt(&world, &home, &["--dry-run", "--json"]);
    json.assert_code(1);
    let report = json.json();
    assert_eq!(report["projects"], 3);
    assert_eq!(report["files"], 6);
    assert_eq!(report["missing"], 1);
    assert_eq!(report["in_place"], false);
    assert_eq!(
        report["problems"][0]["path"],
        world.file("beta-1.0.tar.gz").path()
    );
    // In place, where the data directory would be the tree's own home.
    let finished = world
        .heliostat
        .bare()
        .args(["adopt", "--dry-run", "--data"])
        .arg(&home)
        .arg(&home)
        .run();
    finished.assert_code(1);
    assert_says(&finished.stderr, &["in place"]);
    assert_eq!(snapshot(&home), before);
}

#[test]
fn what_is_no_tree_is_a_wrong_use() {
    let world = World::new(Universe::new());
    let empty = world.place("empty");
    std::fs::create_dir_all(&empty).unwrap();
    for tree in [empty, PathBuf::from("/nonexistent")] {
        let finished = adopt(&world, &tree, &[]);
        finished.assert_code(2);
        assert_says(&finished.stderr, &["has no `simple` directory"]);
    }
    assert!(!world.heliostat.data().exists());
}

#[test]
fn names_and_links_that_lead_out_of_the_tree_are_not_followed() {
    let world = World::new(universe());
    let home = world.place("theirs");
    let web = lay_out(Maker::ByHand, &universe(), &home);
    put(
        &web.join("simple/evil/index.html"),
        b"<!DOCTYPE html><html><body><a href=\"../../../../../etc/passwd\">passwd</a>\
          <a href=\"../../packages/../../secret/evil-1.0.tar.gz\">evil-1.0.tar.gz</a></body></html>",
    );
    put(&world.place("secret/evil-1.0.tar.gz"), b"secret");
    let finished = adopt(&world, &home, &[]);
    assert_says(&finished.stderr, &["8 files"]);
    let page = world.heliostat.web().join("simple/evil/index.html");
    if page.is_file() {
        let text = std::fs::read_to_string(page).unwrap();
        assert!(!text.contains("passwd"), "{text}");
    }
    assert_none(&check_tree(&world.heliostat.web(), &Expect::default()));
}

#[test]
fn a_bandersnatch_configuration_becomes_ours() {
    let world = World::new(universe());
    let home = world.place("theirs");
    lay_out(Maker::Bandersnatch, &universe(), &home);
    let data = world.heliostat.data().display().to_string();
    let configurations = [
        format!(
            "[mirror]\ndirectory = {data}\nmaster = {}\n",
            world.pypi.base_url()
        ),
        format!(
            "; a comment\n[mirror]\ndirectory = {data}\nmaster = {}\nworkers = 2\ntimeout = 5\n\
             release-files = true\nhash-index = true\nstop-on-error = false\ncompare-method = stat\n\
             root_uri = https://files.example/\n\n[plugins]\nenabled =\n    blocklist_project\n    \
             allowlist_project\n    latest_release\n    exclude_platform\n    prerelease_release\n\n\
             [allowlist]\npackages =\n    Alpha.App\n    beta>=0.1\n    # a comment\n    gamma\n\n\
             [blocklist]\npackages =\n    gamma\nplatforms =\n    windows\n    py2.4\n\n\
             [latest_release]\nkeep = 1\n\n[size_project_metadata]\nmax_package_size = 1G\n",
            world.pypi.base_url()
        ),
    ];
    for (number, text) in configurations.iter().enumerate() {
        let theirs = world.place("bandersnatch.conf");
        std::fs::write(&theirs, text).unwrap();
        let path = theirs.display().to_string();
        let finished = adopt(&world, &home, &["--bandersnatch-conf", &path, "--dry-run"]);
        finished.assert_code(0);
        let ours = world.place("heliostat.toml");
        std::fs::write(&ours, &finished.stdout).unwrap();
        let shown = world
            .heliostat
            .bare()
            .args(["config", "show", "--config"])
            .arg(&ours)
            .run();
        shown.assert_code(0);
        assert_says(&shown.stdout, &[&data, "[file ("]);
        let planned = world
            .heliostat
            .bare()
            .args(["sync", "--dry-run", "--config"])
            .arg(&ours)
            .run();
        planned.assert_code(0);
        let has_gamma = planned.stdout.contains("gamma");
        assert_eq!(has_gamma, number == 0, "{planned}");
        assert_says(&planned.stdout, &["alpha-app", "beta"]);
        if number == 1 {
            assert_says(&finished.stdout, &["# Not taken over", "max_package_size"]);
        }
    }
    let missing = adopt(&world, &home, &["--bandersnatch-conf", "/nonexistent.conf"]);
    missing.assert_code(2);
    assert_says(&missing.stderr, &["/nonexistent.conf"]);
}
