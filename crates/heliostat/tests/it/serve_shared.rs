//! `heliostat serve` beside others: a `sync` on the same data, a cache with a budget, pages without files.

use heliostat_testkit::process::Serving;
use heliostat_testkit::pypi::{Fault, FilesHost, Kind, Options, Rule};
use heliostat_testkit::universe::{Release, Universe};

use crate::http::{get, get_json};
use crate::world::{World, until};

/// The payload of every wheel here.
const WHEEL_BYTES: usize = 100_000;

fn release(version: &str) -> Release {
    Release::new(version).wheel().payload_bytes(WHEEL_BYTES)
}

fn universe(names: &[&str]) -> Universe {
    let mut universe = Universe::new();
    for name in names {
        universe.add_project(name, &[release("1")]);
    }
    universe
}

fn wheel(name: &str) -> String {
    format!("{name}-1-py3-none-any.whl")
}

fn take(world: &World, serving: &Serving, name: &str) {
    let file = world.file(&wheel(name));
    let answer = get(&format!("{}/{}", serving.url, file.path()));
    assert_eq!(answer.status, 200, "{name}");
    assert!(answer.whole && answer.body == file.bytes, "{name}");
}

fn is_held(world: &World, name: &str) -> bool {
    world.path_in_tree(&wheel(name)).is_file()
}

/// Times of use are kept in seconds, so what is to be told apart has to be a second apart.
fn next_second() {
    std::thread::sleep(std::time::Duration::from_millis(1100));
}

#[test]
fn what_sync_commits_is_served_without_a_restart_and_beside_what_comes_on_demand() {
    let world = World::new(universe(&["one", "two", "three", "demand"]));
    let serving = world.serve(&["--max-age", "0"]);
    take(&world, &serving, "demand");
    assert_eq!(
        get_json(&format!("{}one/", serving.index_url())).status,
        200
    );
    world.sync(&["one", "two"]).assert_code(0);
    world.pypi.clear_log();
    for name in ["one", "two"] {
        take(&world, &serving, name);
    }
    assert_eq!(world.pypi.count(Kind::File), 0, "they are in the tree");
    let list = get_json(&serving.index_url()).json();
    let listed = list["projects"].to_string();
    assert!(
        listed.contains("\"one\"") && listed.contains("\"two\""),
        "{listed}"
    );
    world.pypi.add_release("one", &release("2"));
    world.sync(&[]).assert_code(0);
    until("the new release is served", || {
        get_json(&format!("{}one/", serving.index_url()))
            .filenames()
            .len()
            == 2
    });
    take(&world, &serving, "three");
    serving.stop().assert_code(0);
    world.assert_sound();
    for name in ["one", "two", "three", "demand"] {
        assert!(is_held(&world, name), "{name}");
    }
    world.verify(&[]).assert_code(0);
}

#[test]
fn a_sync_under_way_and_commits_on_demand_interleave() {
    let synced: Vec<String> = (0..12).map(|number| format!("synced{number}")).collect();
    let asked: Vec<String> = (0..12).map(|number| format!("asked{number}")).collect();
    let names: Vec<&str> = synced.iter().chain(&asked).map(String::as_str).collect();
    let world = World::new(universe(&names));
    let serving = world.serve(&[]);
    world
        .pypi
        .misbehave(Rule::new(Fault::SlowBytesPerSecond(400_000)).on(Kind::File));
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| {
            let names: Vec<&str> = synced.iter().map(String::as_str).collect();
            world.sync(&names)
        });
        for name in &asked {
            take(&world, &serving, name);
        }
        sync.join().unwrap().assert_code(0);
    });
    for name in &synced {
        take(&world, &serving, name);
    }
    assert_eq!(world.pypi.count(Kind::File), 24);
    serving.stop().assert_code(0);
    world.assert_sound();
    for name in names {
        assert!(is_held(&world, name), "{name}");
    }
    world.verify(&[]).assert_code(0);
    world.sync(&[]).assert_code(0);
    assert_eq!(world.pypi.count(Kind::File), 24);
}

#[test]
fn a_page_on_its_way_on_demand_does_not_replace_what_a_sync_commits_meanwhile() {
    let world = World::new(universe(&["one"]));
    let serving = world.serve(&[]);
    world.pypi.misbehave(
        Rule::new(Fault::SlowBytesPerSecond(300))
            .on(Kind::Page)
            .first(1),
    );
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| get_json(&format!("{}one/", serving.index_url())));
        until("the slow page is asked for", || {
            world.pypi.count(Kind::Page) == 1
        });
        world.pypi.add_release("one", &release("2"));
        world.sync(&["one"]).assert_code(0);
        // Who asked before the sync gets what the upstream said then.
        assert_eq!(asking.join().unwrap().status, 200);
    });
    serving.stop().assert_code(0);
    world.assert_mirrors();
    world.verify(&[]).assert_code(0);
    world.pypi.clear_log();
    world.sync(&[]).assert_code(0);
    assert_eq!(world.pypi.count_all(), 1, "only the list is asked for");
}

#[test]
fn a_sync_takes_over_what_was_taken_on_demand() {
    let world = World::new(universe(&["one", "two"]));
    let serving = world.serve(&[]);
    take(&world, &serving, "one");
    until("it is in the tree", || is_held(&world, "one"));
    world.pypi.clear_log();
    world.sync(&["--all"]).assert_code(0);
    assert_eq!(world.pypi.count(Kind::File), 1, "only what was not held");
    serving.stop().assert_code(0);
    world.assert_mirrors();
}

#[test]
fn a_full_cache_lets_go_of_what_was_used_least_recently() {
    let world = World::new(universe(&["a", "b", "c", "d"]));
    // Room for two wheels and their metadata.
    let budget = (WHEEL_BYTES * 2 + WHEEL_BYTES / 2).to_string();
    let arguments = ["--cache-size", budget.as_str()];
    let serving = world.serve(&arguments);
    take(&world, &serving, "a");
    until("a is in the tree", || is_held(&world, "a"));
    next_second();
    take(&world, &serving, "b");
    until("b is in the tree", || is_held(&world, "b"));
    next_second();
    // Used again, so b is now the older one; uses are written down when the server stops.
    take(&world, &serving, "a");
    serving.stop().assert_code(0);
    let serving = world.serve(&arguments);
    take(&world, &serving, "c");
    until("b had to go", || !is_held(&world, "b"));
    assert!(is_held(&world, "a") && is_held(&world, "c"));
    // Its page still lists it, and it can be had again.
    world.pypi.clear_log();
    let page = get_json(&format!("{}b/", serving.index_url()));
    assert_eq!(page.filenames(), [wheel("b")]);
    take(&world, &serving, "b");
    assert_eq!(world.pypi.count(Kind::File), 1);
    serving.stop().assert_code(0);
    world.assert_sound();
}

#[test]
fn pinned_projects_and_what_sync_took_are_never_evicted() {
    let world = World::new(universe(&["pinned", "synced", "x", "y"]));
    world.sync(&["synced"]).assert_code(0);
    // Room for one wheel taken on demand, beside those that a sync took.
    let budget = (WHEEL_BYTES + WHEEL_BYTES / 2).to_string();
    let serving = world.serve(&["--cache-size", &budget, "--pin", "Pinned"]);
    take(&world, &serving, "pinned");
    until("pinned is in the tree", || is_held(&world, "pinned"));
    next_second();
    take(&world, &serving, "x");
    next_second();
    take(&world, &serving, "y");
    until("x had to go", || !is_held(&world, "x"));
    serving.stop().assert_code(0);
    assert!(is_held(&world, "pinned"));
    assert!(is_held(&world, "synced"));
    world.assert_sound();
    world.verify(&[]).assert_code(0);
}

#[test]
fn what_sync_took_does_not_count_against_the_cache() {
    let world = World::new(universe(&["synced", "x"]));
    world.sync(&["synced"]).assert_code(0);
    let budget = (WHEEL_BYTES + WHEEL_BYTES / 2).to_string();
    let serving = world.serve(&["--cache-size", &budget]);
    take(&world, &serving, "x");
    serving.stop().assert_code(0);
    assert!(is_held(&world, "x"), "one wheel fits into its budget");
}

#[test]
fn pages_without_files_lead_to_the_upstreams_files() {
    let pypi = Options::default()
        .files_host(FilesHost::OtherPort)
        .serve(universe(&["one"]));
    let world = World::with(pypi);
    world.sync(&["one", "--no-files"]).assert_code(0);
    world.pypi.clear_log();
    let path = world.file(&wheel("one")).path();
    for offline in [&[][..], &["--offline"]] {
        let serving = world.serve(offline);
        let page = get_json(&format!("{}one/", serving.index_url()));
        assert_eq!(page.filenames(), [wheel("one")]);
        for suffix in ["", ".metadata"] {
            let answer = get(&format!("{}/{path}{suffix}", serving.url));
            assert_eq!(answer.status, 302, "{answer:?}");
            let expected = format!("{}{path}{suffix}", world.pypi.files_url());
            assert_eq!(answer.header("location"), Some(expected.as_str()));
        }
        serving.stop().assert_code(0);
    }
    assert_eq!(world.pypi.count_all(), 0, "{:?}", world.pypi.requests());
    assert!(!world.path_in_tree(&wheel("one")).exists());
}

#[test]
fn two_servers_share_one_data_directory() {
    let world = World::new(universe(&["one", "two"]));
    let (left, right) = (world.serve(&[]), world.serve(&[]));
    take(&world, &left, "one");
    until("it is in the tree", || is_held(&world, "one"));
    take(&world, &right, "one");
    assert_eq!(world.pypi.count(Kind::File), 1);
    std::thread::scope(|scope| {
        scope.spawn(|| take(&world, &left, "two"));
        scope.spawn(|| take(&world, &right, "two"));
    });
    left.stop().assert_code(0);
    right.stop().assert_code(0);
    world.assert_sound();
    world.verify(&[]).assert_code(0);
}
