//! A notary, a mirror that carries its tree and knows nothing of it, and a downstream that verifies everything.

use std::path::{Path, PathBuf};

use heliostat_testkit::mirror::{Mutation, TreeMirror, Twist};
use heliostat_testkit::process::{Finished, Heliostat};
use heliostat_testkit::universe::Release;

use crate::http::get;
use crate::notary_world::{begin, copy, root, take};
use crate::sync_world::{digests, small};
use crate::world::{QUICK, World, assert_says, bare, heliostat};

/// A world whose tree is signed, a plain copy of it behind a mirror, and the downstream's data directory.
struct Chain {
    world: World,
    mirror: TreeMirror,
    downstream: Heliostat,
    root: PathBuf,
}

impl Chain {
    fn new() -> Self {
        let world = World::new(small());
        begin(&world.heliostat, 16);
        world.sync(&["--all"]).assert_code(0);
        let carried = world.place("carried");
        copy(&world.heliostat.web(), &carried);
        let root_file = world.place("root.json");
        std::fs::copy(root(&world.heliostat), &root_file).unwrap();
        Self {
            mirror: TreeMirror::serve(&carried),
            downstream: heliostat(&world.place("downstream")),
            root: root_file,
            world,
        }
    }

    fn sync(&self, arguments: &[&str]) -> Finished {
        let root = self.root.to_str().unwrap();
        let all = [&QUICK[..], &["--root", root], arguments].concat();
        self.downstream
            .sync(&format!("{}/simple/", self.mirror.url()), &all)
    }

    /// The notary goes on, and the mirror copies it anew.
    fn move_on(&self, place: &str) {
        self.world
            .pypi
            .add_release("alpha", &Release::simple("6.0").provenance());
        self.world.pypi.delete_project("delta");
        self.world.sync(&[]).assert_code(0);
        let carried = self.world.place(place);
        copy(&self.world.heliostat.web(), &carried);
        self.mirror.move_to(carried);
    }

    #[track_caller]
    fn assert_same(&self) {
        let same = |path: &str| {
            let here = |web: &Path| digests(&web.join(path));
            assert_eq!(
                here(&self.world.heliostat.web()),
                here(&self.downstream.web()),
                "{path}"
            );
        };
        same("packages");
        same("integrity");
        let timestamp = |heliostat: &Heliostat| {
            std::fs::read(heliostat.web().join("tuf/timestamp.json")).unwrap()
        };
        assert_eq!(
            timestamp(&self.world.heliostat),
            timestamp(&self.downstream)
        );
    }
}

#[test]
fn a_downstream_needs_neither_serials_nor_trust_and_takes_the_delta() {
    let chain = Chain::new();
    chain.sync(&["--all"]).assert_code(0);
    chain.assert_same();
    chain.move_on("carried-2");
    let before = chain.mirror.requests().len();
    chain.sync(&[]).assert_code(0);
    chain.assert_same();
    let asked = chain.mirror.requests()[before..].to_vec();
    let pages: Vec<&String> = asked
        .iter()
        .filter(|path| path.contains("/simple/"))
        .collect();
    assert_eq!(pages.len(), 1, "one page changed: {pages:?}");
    let bins = asked.iter().filter(|path| path.contains("bin-16-")).count();
    assert!(
        (1..=2).contains(&bins),
        "only changed bins travel: {asked:?}"
    );
    // What it carries is as good as the notary's own: a client takes from it.
    let serving = chain.downstream.serve(["--offline"]);
    take(&chain.world, &chain.root, &serving, "client", "alpha").assert_code(0);
    drop(serving.stop());
    let status = chain.downstream.command("status").run();
    status.assert_code(0);
    assert_says(
        &status.stdout,
        &["pages by the notary upstream", "snapshot     version "],
    );
    // Its bins are for the notary's people to mend.
    chain
        .downstream
        .command("trust status")
        .run()
        .assert_code(0);
    let rebin = chain.downstream.command("trust rebin").run();
    rebin.assert_code(2);
    assert_says(&rebin.stderr, &["not signed with keys of its own"]);
    let settled = chain.sync(&[]);
    settled.assert_code(0);
}

/// A timer runs `heliostat sync` and nothing else: what was verified once is verified from then on.
#[test]
fn what_was_verified_once_is_not_gone_on_with_unverified() {
    let chain = Chain::new();
    chain.sync(&["--all"]).assert_code(0);
    let plain = |arguments: &[&str]| {
        let all = [&QUICK[..], arguments].concat();
        chain.downstream.command("sync").args(all).run()
    };
    let before = digests(&chain.downstream.web());
    chain.move_on("carried-2");
    chain.mirror.mutate([Mutation::new(
        "timestamp.json",
        Twist::Replace("\"version\":".into(), "\"version\":1".into()),
    )]);
    plain(&[]).assert_code(4);
    assert_eq!(digests(&chain.downstream.web()), before);
    chain.mirror.mutate([]);
    plain(&[]).assert_code(0);
    chain.assert_same();
    // Nor does `serve` take anything by itself.
    let serving = chain.downstream.serve(["--max-age", "0"]);
    let asked = chain.mirror.requests().len();
    assert_eq!(get(&format!("{}delta/", serving.index_url())).status, 404);
    assert_eq!(chain.mirror.requests().len(), asked);
    drop(serving.stop());
    // An index that nobody signs is no upstream any more, unless somebody says so.
    let unsigned = chain.world.pypi.index_url();
    plain(&["--upstream", &unsigned]).assert_code(4);
    plain(&["--upstream", &unsigned, "--unverified"]).assert_code(0);
    plain(&[]).assert_code(0);
    let no_root = chain.world.place("no-root.json");
    std::fs::write(&no_root, "{}").unwrap();
    let refused = plain(&["--root", no_root.to_str().unwrap()]);
    refused.assert_code(2);
    assert_says(&refused.stderr, &["no-root.json", "usable root"]);
}

#[test]
fn a_mirror_that_lies_is_refused_and_nothing_wrong_becomes_visible() {
    let chain = Chain::new();
    chain.sync(&["--all"]).assert_code(0);
    let before = digests(&chain.downstream.web());
    chain.move_on("carried-2");
    // Metadata that does not verify ends the run before it begins.
    for (path, twist) in [
        (
            "timestamp.json",
            Twist::Replace("\"version\":".into(), "\"version\":1".into()),
        ),
        (".snapshot.json", Twist::FlipLastByte),
        (
            "bin-16-",
            Twist::Replace("\"length\":".into(), "\"length\":1".into()),
        ),
        ("bin-16-", Twist::Status(404)),
    ] {
        chain.mirror.mutate([Mutation::new(path, twist.clone())]);
        let run = chain.sync(&[]);
        run.assert_code(4);
        assert_says(&run.stderr, &["refused"]);
        assert_eq!(digests(&chain.downstream.web()), before, "{path} {twist:?}");
    }
    // A page or a file that is not the signed one is a failure of its project; the signed state stays what it was.
    let timestamp = std::fs::read(chain.downstream.web().join("tuf/timestamp.json")).unwrap();
    for path in ["/simple/alpha/", "alpha-6.0"] {
        chain
            .mirror
            .mutate([Mutation::new(path, Twist::FlipLastByte)]);
        let run = chain.sync(&[]);
        run.assert_code(1);
        assert_says(&run.stdout, &["alpha"]);
        let now = std::fs::read(chain.downstream.web().join("tuf/timestamp.json")).unwrap();
        assert_eq!(now, timestamp, "{path}");
    }
    chain.mirror.mutate([]);
    chain.sync(&["--recheck"]).assert_code(0);
    chain.assert_same();
}

/// Nothing signed is there before everything is; what there is can be asked how it does all the same.
#[test]
fn a_first_sync_that_fails_in_part_has_a_status() {
    let chain = Chain::new();
    chain
        .mirror
        .mutate([Mutation::new("/simple/alpha/", Twist::FlipLastByte)]);
    chain.sync(&["--all"]).assert_code(1);
    assert!(!chain.downstream.web().join("tuf").exists());
    let status = chain.downstream.command("status").run();
    status.assert_code(1);
    assert_says(&status.stdout, &["alpha", "bins         none yet"]);
    let status = chain.downstream.command("status").arg("--json").run();
    assert!(status.json()["signing"]["bins"].is_null());
    let status = chain.downstream.command("trust").arg("status").run();
    status.assert_code(2);
    assert_says(&status.stderr, &["brings everything", "heliostat status"]);
    chain.mirror.mutate([]);
    chain.sync(&["--recheck"]).assert_code(0);
    chain.assert_same();
    let status = chain.downstream.command("status").run();
    assert_says(&status.stdout, &["bins         16, "]);
}

#[test]
fn a_mirror_that_goes_back_is_refused() {
    let chain = Chain::new();
    chain.move_on("carried-2");
    chain.sync(&["--all"]).assert_code(0);
    let before = digests(&chain.downstream.web());
    chain.mirror.move_to(chain.world.place("carried"));
    let run = chain.sync(&[]);
    run.assert_code(4);
    assert_eq!(digests(&chain.downstream.web()), before);
}

#[test]
fn a_carried_tree_is_checked_whole_and_every_problem_is_told() {
    let chain = Chain::new();
    let carried = chain.world.place("checked");
    copy(&chain.world.heliostat.web(), &carried);
    let verify = || {
        bare()
            .args(["trust", "verify", "--json", "--root"])
            .arg(&chain.root)
            .arg(&carried)
            .run()
    };
    let sound = verify();
    sound.assert_code(0);
    assert_says(&sound.stdout, &["\"findings\":0"]);

    let file = chain.world.path_in_tree("zeta-3.0-py3-none-any.whl");
    let file = carried.join(file.strip_prefix(chain.world.heliostat.web()).unwrap());
    std::fs::remove_file(&file).unwrap();
    let incomplete = verify();
    incomplete.assert_code(1);
    assert_says(
        &incomplete.stdout,
        &["missing", "zeta-3.0-py3-none-any.whl"],
    );

    std::fs::write(&file, "something else").unwrap();
    let wrong = verify();
    wrong.assert_code(4);
    assert_says(&wrong.stdout, &["wrong", "zeta-3.0-py3-none-any.whl"]);
}

#[test]
fn a_mirror_that_leaves_files_out_lists_fewer_and_lies_in_nothing() {
    let chain = Chain::new();
    chain.sync(&["--all", "--wheels-only"]).assert_code(0);
    let tree = chain.downstream.web();
    let verify = || {
        let verify = bare().args(["trust", "verify", "--json", "--root"]);
        verify.arg(&chain.root).arg(&tree).run()
    };
    let fewer = verify();
    fewer.assert_code(1);
    assert_says(&fewer.stdout, &["\"fewer\"", "simple/zeta/index.v1_json"]);
    for wrong in ["differs", "wrong", "unsigned", "stray", "index.html"] {
        assert!(!fewer.stdout.contains(&format!("\"{wrong}\"")), "{fewer}");
    }
    // One file less is no file else.
    let page = tree.join("simple/zeta/index.html");
    let html = std::fs::read_to_string(&page).unwrap();
    std::fs::remove_file(&page).unwrap();
    std::fs::write(&page, html.replace("../../packages", "/packages")).unwrap();
    let other = verify();
    other.assert_code(4);
    assert_says(&other.stdout, &["\"differs\""]);
}
