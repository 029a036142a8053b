//! What mirrors may try, and what the proxy says to it: each row alone is refused with the mirror's name, costs no
//! trust, and beside an honest mirror is not noticed.

use std::time::Duration;

use heliostat_testkit::clients::{Pip, Uv, or_skip};
use heliostat_testkit::mirror::{Mutation, TreeMirror, Twist};
use heliostat_testkit::pypi::FakePyPi;
use heliostat_testkit::universe::{Release, Universe};
use heliostat_trust::metadata::Extent;
use jiff::SignedDuration;

use crate::http::{Answer, JSON, get_with};
use crate::signed_world::{SignedWorld, version};
use crate::world::assert_says;

/// Longer than a resolution takes to settle, so that the next request asks for a new timestamp.
const SETTLED: Duration = Duration::from_millis(3_500);

const WHEEL: &str = "beta-2.0-py3-none-any.whl";

fn world(bins: u64) -> SignedWorld {
    let mut universe = Universe::new();
    universe.add_project("alpha", &[Release::simple("1.0").requires_dist("beta")]);
    universe.add_project(
        "beta",
        &[Release::new("2.0")
            .wheel()
            .payload_bytes(200_000)
            .provenance()],
    );
    universe.add_project("other", &[Release::new("3.0").wheel()]);
    SignedWorld::new(universe, bins)
}

/// What a row asks for.
fn addresses(signed: &SignedWorld) -> (String, String, String, String) {
    let file = signed.world.file(WHEEL).path();
    (
        "simple/beta/".to_owned(),
        file.clone(),
        format!("{file}.metadata"),
        format!("integrity/beta/2.0/{WHEEL}/provenance"),
    )
}

fn ask(url: &str, path: &str) -> Answer {
    get_with(&format!("{url}/{path}"), &[JSON])
}

/// One mutation: alone it is refused, with an honest mirror behind it the answer is the right one.
#[track_caller]
fn row(
    signed: &mut SignedWorld,
    name: &str,
    mutations: &[Mutation],
    (path, says): (&str, &[&str]),
) {
    let evil = TreeMirror::evil(signed.tree(), mutations.to_vec());
    signed.forget(&format!("{name}-alone"));
    let proxy = signed.proxy(&[&evil]);
    let refused = ask(&proxy.url, path);
    assert_eq!(refused.status, 422, "{name}: {refused:?}");
    assert_says(refused.text(), &[&evil.url()]);
    assert_says(refused.text(), says);
    let finished = proxy.stop();
    finished.assert_code(0);
    assert!(
        finished.usage.memory_max_bytes < 150_000_000,
        "{name}: {:?}",
        finished.usage
    );
    beside_an_honest_one(signed, name, &evil, path);
}

#[track_caller]
fn beside_an_honest_one(signed: &mut SignedWorld, name: &str, evil: &TreeMirror, path: &str) {
    let honest = TreeMirror::serve(signed.tree());
    signed.forget(&format!("{name}-good"));
    let control = signed.proxy(&[&honest]);
    let right = ask(&control.url, path);
    assert_eq!(right.status, 200, "{name}: {right:?}");
    signed.forget(&format!("{name}-beside"));
    let proxy = signed.proxy(&[evil, &honest]);
    let answer = ask(&proxy.url, path);
    assert_eq!(answer.status, 200, "{name}: {answer:?}");
    assert!(answer.body == right.body, "{name}");
}

#[test]
fn altered_content_is_refused() {
    let mut signed = world(4);
    let (page, file, metadata, provenance) = addresses(&signed);
    let stored = signed.world.file(WHEEL);
    let other = "a".repeat(64);
    let twist = |path: &str, twist| vec![Mutation::new(path, twist)];
    let altered: &[&str] = &["altered content"];
    row(
        &mut signed,
        "flip",
        &twist(WHEEL, Twist::FlipLastByte),
        (&file, altered),
    );
    let swapped = Twist::Body(vec![7; stored.bytes.len()]);
    row(
        &mut signed,
        "swap",
        &twist(WHEEL, swapped),
        (&file, altered),
    );
    let edited = Twist::Replace(stored.sha256.clone(), other);
    row(
        &mut signed,
        "digest",
        &twist(".index.v1_json", edited),
        (&page, altered),
    );
    let added = Twist::Replace("\"files\":[".to_owned(), "\"files\":[{},".to_owned());
    row(
        &mut signed,
        "entry",
        &twist(".index.v1_json", added),
        (&page, &["endless data"]),
    );
    let requires = Twist::Replace(
        "Name: beta".to_owned(),
        "Requires-Dist: evil\nName: beta".to_owned(),
    );
    row(
        &mut signed,
        "metadata",
        &twist(".metadata", requires),
        (&metadata, altered),
    );
    row(
        &mut signed,
        "provenance",
        &twist("/provenance", Twist::Body(b"{}".to_vec())),
        (&provenance, altered),
    );
    row(
        &mut signed,
        "stripped",
        &twist("/provenance", Twist::Status(404)),
        (&provenance, &["every mirror says that it has none"]),
    );
    let page_of_other = std::fs::read_dir(signed.tree().join("simple/other")).unwrap();
    let name = page_of_other
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.len() > 70)
        .unwrap();
    let wrong = Twist::Of(format!("/simple/other/{name}"));
    let answer = twist("simple/beta/", wrong);
    row(&mut signed, "wrong-project", &answer, (&page, &["signed"]));
}

#[test]
fn endless_and_censored_answers_are_refused() {
    let mut signed = world(4);
    let (page, file, _, _) = addresses(&signed);
    let twist = |path: &str, twist| vec![Mutation::new(path, twist)];
    let endless: &[&str] = &["endless data"];
    row(
        &mut signed,
        "timestamp",
        &twist("timestamp.json", Twist::Endless),
        (&page, endless),
    );
    row(
        &mut signed,
        "snapshot",
        &twist("snapshot.json", Twist::Endless),
        (&page, endless),
    );
    row(
        &mut signed,
        "page",
        &twist(".index.v1_json", Twist::Endless),
        (&page, endless),
    );
    row(
        &mut signed,
        "longer",
        &twist(WHEEL, Twist::Longer(100_000)),
        (&file, &["altered content"]),
    );
    row(
        &mut signed,
        "file",
        &twist(WHEEL, Twist::Endless),
        (&file, endless),
    );
    let none: &[&str] = &["every mirror says that it has none"];
    row(
        &mut signed,
        "no-page",
        &twist("simple/beta/", Twist::Status(404)),
        (&page, none),
    );
    row(
        &mut signed,
        "no-bin",
        &twist("bin-4-", Twist::Status(403)),
        (&page, none),
    );
    row(
        &mut signed,
        "no-file",
        &twist(WHEEL, Twist::Status(404)),
        (&file, none),
    );
}

#[test]
fn a_compressed_bomb_is_not_unpacked() {
    let mut signed = world(1);
    // 1 GB of zeros, as gzip writes it: blocks of zeros compress to the same bytes again and again.
    let made = std::process::Command::new("sh")
        .args(["-c", "head -c 300000000 /dev/zero | gzip -9"])
        .output()
        .unwrap();
    let bomb = vec![Mutation::new("timestamp.json", Twist::Bomb(made.stdout))];
    row(
        &mut signed,
        "bomb",
        &bomb,
        ("simple/beta/", &["endless data"]),
    );
}

#[test]
fn slow_and_broken_mirrors_are_passed_over() {
    let mut signed = world(1);
    let (page, file, _, _) = addresses(&signed);
    let pause = Duration::from_secs(1);
    for (name, path, twist, asked) in [
        ("slow page", ".index.v1_json", Twist::Trickle(pause), &page),
        (
            "slow snapshot",
            "snapshot.json",
            Twist::Trickle(pause),
            &page,
        ),
        (
            "slow timestamp",
            "timestamp.json",
            Twist::Trickle(pause),
            &page,
        ),
        ("stalled head", WHEEL, Twist::StallAfter(0), &file),
        ("stalled file", WHEEL, Twist::StallAfter(100_000), &file),
        ("cut file", WHEEL, Twist::CutAfter(100_000), &file),
        ("reset", "tuf/", Twist::Reset, &page),
    ] {
        let evil = TreeMirror::evil(signed.tree(), [Mutation::new(path, twist)]);
        beside_an_honest_one(&mut signed, &name.replace(' ', "-"), &evil, asked);
    }
    // Alone, an outage is an outage.
    let gone = TreeMirror::evil(signed.tree(), [Mutation::new("/", Twist::Reset)]);
    signed.forget("gone");
    let proxy = signed.proxy(&[&gone]);
    let answer = ask(&proxy.url, &page);
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_says(answer.text(), &[&gone.url(), "No mirror can be used"]);
}

#[test]
fn a_rollback_is_refused_before_and_after_a_restart() {
    let mut signed = world(4);
    let old = signed.copy_tree("old");
    signed.notary.sign();
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    assert_eq!(ask(&proxy.url, "simple/beta/").status, 200);
    assert_eq!(signed.trusted_version("timestamp"), 2);
    mirror.move_to(old.clone());
    std::thread::sleep(SETTLED);
    let refused = ask(&proxy.url, "simple/alpha/");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(refused.text(), &["rollback", &mirror.url()]);
    proxy.stop().assert_code(0);
    let proxy = signed.proxy(&[&mirror]);
    let refused = ask(&proxy.url, "simple/alpha/");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(refused.text(), &["rollback", &mirror.url()]);
    assert_eq!(signed.trusted_version("timestamp"), 2);
    assert_eq!(signed.trusted_version("snapshot"), 2);
    proxy.stop().assert_code(0);
    // Who is behind is no liar: once it has caught up it is used again.
    mirror.move_to(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    assert_eq!(ask(&proxy.url, "simple/alpha/").status, 200);
}

#[test]
fn one_honest_mirror_defeats_a_freeze() {
    let mut signed = world(1);
    let frozen = signed.copy_tree("frozen");
    signed.world.pypi.edit(|universe| {
        universe.add_project("newer", &[Release::simple("1.0")]);
    });
    signed.world.sync(&["--all"]).assert_code(0);
    signed.notary.sign();
    let honest = TreeMirror::serve(signed.tree());
    let (first, second) = (TreeMirror::serve(&frozen), TreeMirror::serve(&frozen));
    let proxy = signed.proxy(&[&first, &second, &honest]);
    assert_eq!(ask(&proxy.url, "simple/newer/").status, 200);
    assert_eq!(ask(&proxy.url, "simple/beta/").status, 200);
    proxy.stop().assert_code(0);
    // What was frozen for longer than it lives is refused, and told as what it is.
    let mut expired = world(1);
    expired.notary.shift = SignedDuration::from_hours(-48);
    expired.notary.sign();
    let mirror = TreeMirror::serve(expired.tree());
    let proxy = expired.proxy(&[&mirror]);
    let refused = ask(&proxy.url, "simple/beta/");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(refused.text(), &["freeze", "expired at", &mirror.url()]);
}

#[test]
fn states_are_not_mixed() {
    let mut signed = world(1);
    let mirror = TreeMirror::serve(signed.tree());
    signed.notary.sign();
    let version_2 = signed.notary.version;
    // The bin of the state before, under the name of the new one.
    mirror.mutate([Mutation::new(
        "2.bin-1-",
        Twist::Of("/tuf/1.bin-1-.json".to_owned()),
    )]);
    let proxy = signed.proxy(&[&mirror]);
    let refused = ask(&proxy.url, "simple/beta/");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(refused.text(), &[&mirror.url(), "version 1"]);
    assert_eq!(version_2, version(3));
}

#[test]
fn one_bin_cannot_stand_for_another() {
    let mut signed = world(4);
    let bin = signed.notary.bins.bin_of("simple/beta/index.v1_json");
    let other = (signed.notary.bins.bins())
        .find(|other| *other != bin)
        .unwrap();
    let wrong = Twist::Of(format!("/tuf/1.{}.json", other.role()));
    let swapped = [Mutation::new(format!("1.{}.json", bin.role()), wrong)];
    let says: &[&str] = &["in the place of"];
    row(
        &mut signed,
        "swapped-bins",
        &swapped,
        ("simple/beta/", says),
    );
}

#[test]
fn a_publish_in_the_middle_of_a_resolution_is_survived() {
    let mut signed = world(4);
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    assert_eq!(ask(&proxy.url, "simple/alpha/").status, 200);
    // Everything that the first state named, but pages, is gone at once.
    signed.notary.sign();
    for entry in std::fs::read_dir(signed.tree().join("tuf")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("1.") && !name.contains("root") {
            std::fs::remove_file(path).unwrap();
        }
    }
    for project in ["beta", "other"] {
        let answer = ask(&proxy.url, &format!("simple/{project}/"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn a_stolen_online_key_dies_with_the_next_root() {
    let mut signed = world(1);
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    assert_eq!(ask(&proxy.url, "simple/beta/").status, 200);
    // The thief runs ahead as far as he can.
    signed.notary.version = version(1 << 40);
    signed.notary.sign();
    std::thread::sleep(SETTLED);
    assert_eq!(ask(&proxy.url, "simple/alpha/").status, 200);
    assert_eq!(signed.trusted_version("timestamp"), 1 << 40);
    // The new root names another key, and versions go on from where they were.
    let stolen = signed.copy_tree("stolen");
    signed.notary.online_seed = 8;
    signed.notary.root_version = version(2);
    signed.notary.sign_root();
    signed.notary.version = version(2);
    signed.notary.sign();
    std::thread::sleep(SETTLED);
    assert_eq!(ask(&proxy.url, "simple/other/").status, 200);
    assert_eq!(signed.trusted_version("timestamp"), 2);
    proxy.stop().assert_code(0);
    let proxy = signed.proxy(&[&mirror]);
    assert_eq!(ask(&proxy.url, "simple/beta/").status, 200);
    // What the stolen key signed is dead.
    mirror.move_to(stolen);
    std::thread::sleep(SETTLED);
    assert_eq!(ask(&proxy.url, "simple/alpha/").status, 422);
    assert_eq!(signed.trusted_version("timestamp"), 2);
}

#[test]
fn forged_metadata_and_roots_are_refused() {
    let mut signed = world(1);
    let good = signed.copy_tree("good");
    // Signed with a key that no root names.
    signed.notary.online_seed = 7;
    signed.notary.sign();
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    let refused = ask(&proxy.url, "simple/beta/");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(refused.text(), &["forged metadata", &mirror.url()]);
    proxy.stop().assert_code(0);
    // A root that leaves one out.
    signed.forget("root");
    signed.notary.root_version = version(3);
    signed.notary.sign_root();
    std::fs::copy(
        signed.tree().join("tuf/3.root.json"),
        good.join("tuf/2.root.json"),
    )
    .unwrap();
    let mirror = TreeMirror::serve(&good);
    let proxy = signed.proxy(&[&mirror]);
    let refused = ask(&proxy.url, "simple/beta/");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(refused.text(), &["forged root", &mirror.url()]);
}

#[test]
fn the_local_cache_is_not_trusted() {
    let mut signed = world(1);
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    let right = ask(&proxy.url, "simple/beta/");
    proxy.stop().assert_code(0);
    let pages = signed.client_state().join("pages");
    for entry in std::fs::read_dir(&pages).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("beta", "evil")).unwrap();
    }
    let tuf = signed.client_state().join("tuf");
    for role in ["targets", "bins", "bin-1-", "snapshot"] {
        let path = tuf.join(format!("{role}.json"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            &path,
            text.replace("simple/", "simpel/")
                .replace("\"version\":1", "\"version\":9"),
        )
        .unwrap();
    }
    let proxy = signed.proxy(&[&mirror]);
    let again = ask(&proxy.url, "simple/beta/");
    assert_eq!(
        (again.status, again.body == right.body),
        (200, true),
        "{again:?}"
    );
    proxy.stop().assert_code(0);
    signed.notary.sign();
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
    let signed = world(1);
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    assert_eq!(ask(&proxy.url, "simple/beta/").status, 200);
    proxy.stop().assert_code(0);
    // As if it had been seen first in 2001.
    std::fs::write(signed.client_state().join("tuf/seen"), "1 1000000000\n").unwrap();
    let proxy = signed.proxy(&[&mirror]);
    let refused = ask(&proxy.url, "simple/beta/");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(refused.text(), &["freeze", "2001-09-09", "--max-staleness"]);
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

#[test]
fn installers_stop_at_a_refusal() {
    let signed = world(1);
    let evil = TreeMirror::evil(
        signed.tree(),
        [Mutation::new(
            "simple/beta/",
            Twist::Replace("beta".to_owned(), "evil".to_owned()),
        )],
    );
    let proxy = signed.proxy(&[&evil]);
    if let Some(pip) = or_skip(Pip::newest()) {
        let directory = signed.world.place("pip");
        let finished = pip.install(&proxy.index_url(), &["alpha"], &directory);
        assert!(!finished.status.success());
        assert!(!directory.join("alpha").exists());
    }
    if let Some(uv) = or_skip(Uv::find()) {
        let directory = signed.world.place("uv");
        let finished = uv.pip_install(&proxy.index_url(), &["alpha"], &directory);
        assert!(!finished.status.success());
        assert_says(&finished.stderr, &["422"]);
        assert!(!directory.join("alpha").exists());
    }
}
