//! Mirrors of a list die under an installer: it does not notice while one of them lives, and no byte is other than signed.

use std::time::{Duration, Instant};

use heliostat_testkit::clients::{Pip, Uv, or_skip};
use heliostat_testkit::mirror::{Mutation, TreeMirror, Twist};
use heliostat_testkit::process::Serving;
use heliostat_testkit::universe::{Release, Universe};

use crate::http::{JSON, get, get_with};
use crate::proxy_install::forty;
use crate::published_list::Fleet;
use crate::signed_world::SignedWorld;
use crate::world::{assert_says, until};

/// Wheels that a mirror was asked for.
fn wheels(mirror: &TreeMirror) -> usize {
    let requests = mirror.requests();
    requests
        .iter()
        .filter(|path| path.contains("py3-none-any.whl"))
        .count()
}

/// Which of the mirrors gives most, and how many wheels that are.
fn busiest(mirrors: &[TreeMirror]) -> (usize, usize) {
    let counts = mirrors.iter().map(wheels).enumerate();
    counts.max_by_key(|(_, count)| *count).unwrap()
}

#[test]
fn an_installation_outlives_its_mirrors_but_for_one_honest() {
    let Some(uv) = or_skip(Uv::find()) else {
        return;
    };
    let named = ["a Alder", "b Birch", "c Cedar", "d Dogwood"];
    let mut fleet = Fleet::of(forty(400_000), &named);
    // One lies about every file, the others are slow enough to be caught in the middle.
    fleet.mirrors[3].mutate([Mutation::new("none-any.whl", Twist::FlipLastByte)]);
    for mirror in &fleet.mirrors {
        mirror.delay(Duration::from_millis(30));
    }
    let proxy = fleet.proxy(&[]);
    let (index, directory) = (proxy.index_url(), fleet.signed.world.place("installed"));
    let mut honest: Vec<TreeMirror> = fleet.mirrors.drain(..3).collect();
    std::thread::scope(|scope| {
        let install = scope.spawn(|| uv.pip_install(&index, &["whole"], &directory));
        for _ in 0..2 {
            let before: Vec<usize> = honest.iter().map(wheels).collect();
            until("files are coming in", || {
                let given = honest
                    .iter()
                    .zip(&before)
                    .any(|(mirror, before)| wheels(mirror) >= before + 4);
                install.is_finished() || given
            });
            let (used, _) = busiest(&honest);
            honest.remove(used).kill();
        }
        install.join().unwrap().assert_code(0);
    });
    for number in 0..40 {
        assert!(directory.join(format!("part{number}")).is_dir(), "{number}");
    }
}

/// How long an installer waits when the mirror in use is dead is printed, and decides nothing.
#[test]
fn twenty_deaths_of_the_mirror_in_use_cost_no_wrong_byte() {
    let named: Vec<String> = (0..24)
        .map(|number| format!("m{number} Operator-{number}"))
        .collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let mut fleet = Fleet::of(forty(300_000), &named);
    let proxy = fleet.proxy(&[]);
    let index = proxy.index_url();
    let mut waited = Vec::new();
    for number in 0..20 {
        let path = |number: usize| {
            let page = get_with(&format!("{index}part{number}/"), &[JSON]);
            assert_eq!(page.status, 200);
            let url = page.json()["files"][0]["url"].as_str().unwrap().to_owned();
            url[url.find("packages/").unwrap()..].to_owned()
        };
        let (first, second) = (path(number), path(number + 20));
        let before: Vec<usize> = fleet.mirrors.iter().map(wheels).collect();
        let ask = |path: &str| {
            let began = Instant::now();
            let answer = get(&format!("{}/{path}", proxy.url));
            assert_eq!(answer.status, 200, "{path}");
            let held = std::fs::read(fleet.signed.tree().join(path)).unwrap();
            assert!(answer.whole && answer.body == held, "{path}");
            began.elapsed()
        };
        ask(&first);
        let mirrors = fleet.mirrors.iter().zip(&before);
        let used: Vec<usize> = mirrors
            .enumerate()
            .filter(|(_, (mirror, before))| wheels(mirror) > **before)
            .map(|(at, _)| at)
            .collect();
        fleet.mirrors.remove(used[0]).kill();
        waited.push(ask(&second));
    }
    waited.sort_unstable();
    println!(
        "after the death of the mirror in use, of 20: p50 {:?}, p95 {:?}, most {:?}",
        waited[9], waited[18], waited[19]
    );
}

/// A proxy in front of two mirrors, and a large file that it asks the first one for first.
struct Pair {
    /// Ended before what it stands in front of.
    proxy: Serving,
    signed: SignedWorld,
    first: TreeMirror,
    other: TreeMirror,
    /// Where the proxy has the file.
    url: String,
    /// What is signed.
    held: Vec<u8>,
}

impl Pair {
    fn new(of_first: Twist, of_other: Option<Twist>) -> Self {
        let mut universe = Universe::new();
        let release = Release::new("1.0").wheel().payload_bytes(800_000);
        universe.add_project("large", &[release]);
        let signed = SignedWorld::new(universe, 1);
        let [first, other] = [(); 2].map(|()| TreeMirror::serve(signed.tree()));
        first.mutate([Mutation::new("none-any.whl", of_first)]);
        other.mutate(of_other.map(|twist| Mutation::new("none-any.whl", twist)));
        let pin = signed.client("mirrors").arg("pin").arg(first.url());
        pin.run().assert_code(0);
        let proxy = signed.proxy(&[&first, &other]);
        let page = get_with(&format!("{}large/", proxy.index_url()), &[JSON]);
        let url = page.json()["files"][0]["url"].as_str().unwrap().to_owned();
        let path = &url[url.find("packages/").unwrap()..];
        Self {
            held: std::fs::read(signed.tree().join(path)).unwrap(),
            url: format!("{}/{path}", proxy.url),
            proxy,
            signed,
            first,
            other,
        }
    }
}

/// The first mirror gives every byte and takes half a minute for it; the file is asked for, and is whole in the end.
fn crawl(twist_of_other: Option<Twist>) -> (TreeMirror, TreeMirror) {
    let pair = Pair::new(Twist::Drip(3_000), twist_of_other);
    let answer = get(&pair.url);
    assert_eq!(answer.status, 200);
    assert!(answer.whole && answer.body == pair.held);
    (pair.first, pair.other)
}

#[test]
fn a_crawling_mirror_is_left_for_one_that_was_not_asked() {
    let (crawling, other) = crawl(None);
    assert_eq!((wheels(&crawling), wheels(&other)), (1, 1));
}

#[test]
fn a_crawling_mirror_is_better_than_none() {
    let (crawling, other) = crawl(Some(Twist::Status(404)));
    assert_eq!((wheels(&crawling), wheels(&other)), (2, 1));
}

/// A liar that breaks off leaves the end to an honest mirror: who lied is told by the bytes that each gave.
#[test]
fn who_flips_bytes_and_breaks_off_is_found_out_and_nobody_else() {
    let pair = Pair::new(Twist::CutAltered(300_000), None);
    let answer = get(&pair.url);
    assert_eq!(answer.status, 200);
    assert!(answer.whole && answer.body == pair.held);
    let rank = pair.signed.client("mirrors").arg("rank").run();
    rank.assert_code(0);
    let said_of = |mirror: &TreeMirror| {
        let (_, after) = rank.stdout.split_once(&mirror.url()).unwrap();
        after.split("http://").next().unwrap().to_owned()
    };
    let said = said_of(&pair.first);
    assert_says(&said, &["lied", "its bytes from 0 to 300000"]);
    assert!(!said_of(&pair.other).contains("lied"), "{rank}");
    let evidence = pair.signed.client_state().join("evidence");
    assert_eq!(std::fs::read_dir(evidence).unwrap().count(), 1);
    let why = pair.signed.why("large-1.0-py3-none-any.whl");
    assert_says(
        &why.stdout,
        &["what came in parts from", "one of them lied"],
    );
    // It is not asked again, and whoever installs notices nothing.
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let asked = wheels(&pair.first);
    let directory = pair.signed.world.place("pip");
    pip.install(&pair.proxy.index_url(), &["large"], &directory)
        .assert_code(0);
    assert!(directory.join("large").is_dir());
    assert_eq!(wheels(&pair.first), asked);
}

/// What a slow liar gave before anybody could know is no beginning for the right end: who comes back for the rest gets the
/// whole file, and the liar is found out.
#[test]
fn who_was_given_wrong_bytes_is_given_the_file_from_its_beginning() {
    let pair = Pair::new(Twist::DripAltered(12_000), None);
    let Pair { held, url, .. } = &pair;
    let broken = get(url);
    assert_eq!(broken.status, 200);
    assert!(!broken.whole, "the end is kept back");
    assert_ne!(broken.body[0], held[0]);
    let range = ("Range", "bytes=1000-");
    let mut rest = None;
    until("the download that broke is over", || {
        let answer = get_with(url, &[range]);
        let is_over = answer.status != 422;
        rest = Some(answer);
        is_over
    });
    let rest = rest.unwrap();
    assert_eq!(rest.status, 200);
    assert!(rest.whole && rest.body == *held);
    // Another file, or one that was given right, is gone on with as ever.
    let metadata = get_with(&format!("{url}.metadata"), &[("Range", "bytes=1-")]);
    assert_eq!(metadata.status, 206);
    // Whoever looks is told, though no list of mirrors was given.
    let rank = pair.signed.client("mirrors").arg("rank").run();
    rank.assert_code(0);
    assert_says(
        &rank.stdout,
        &[&pair.first.url(), &pair.other.url(), "lied"],
    );
}
