//! `heliostat proxy --directory`: mirrors from a signed list, which is a hint about how they do and no more.

use std::time::Duration;

use heliostat_testkit::clients::{Tool, Uv, or_skip};
use heliostat_testkit::mirror::{Mutation, TreeMirror, Twist};
use heliostat_testkit::pypi::FakePyPi;
use heliostat_testkit::universe::{Release, Universe};

use crate::alpha_app::assert_installed;
use crate::http::{JSON, get, get_with};
use crate::published_list::Fleet;
use crate::world::{assert_says, until};

#[test]
fn a_list_alone_suffices_from_a_folder_or_a_server() {
    let fleet = Fleet::new();
    let proxy = fleet.proxy(&[]);
    if let Some(uv) = or_skip(Uv::find()) {
        let directory = fleet.signed.world.place("uv");
        let index = proxy.index_url();
        assert_installed(
            &uv.pip_install(&index, &["alpha-app"], &directory),
            &directory,
        );
    }
    let page = get(&format!("{}/", proxy.url));
    assert_says(
        page.text(),
        &[
            "list of mirrors:",
            "3 of 3 endpoints may be used",
            &fleet.mirrors[0].url(),
        ],
    );
    proxy.stop().assert_code(0);
    assert!(fleet.asked() >= 2, "timestamps are asked for at several");
    let server = TreeMirror::serve(fleet.list.folder.clone());
    let proxy = fleet.proxy_from(&server.url(), &[]);
    let answer = get_with(&format!("{}alpha-app/", proxy.index_url()), &[JSON]);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn an_expired_or_missing_status_is_said_and_harms_nobody() {
    let mut fleet = Fleet::new();
    fleet.list.status_hours = -1;
    fleet.list.publish();
    let proxy = fleet.proxy(&[]);
    let page = get(&format!("{}/", proxy.url));
    assert_says(
        page.text(),
        &[
            "how they do is not known",
            "expired",
            "ranked by what is measured here",
        ],
    );
    let answer = get_with(&format!("{}alpha-app/", proxy.index_url()), &[JSON]);
    assert_eq!(answer.status, 200);
    let finished = proxy.stop();
    assert_says(&finished.stderr, &["how they do is not known"]);
    fleet.list.status_hours = 6;
    fleet.list.publish();
    for file in std::fs::read_dir(fleet.list.folder.join("v1")).unwrap() {
        let path = file.unwrap().path();
        if path.to_string_lossy().ends_with("status.json") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let proxy = fleet.proxy(&[]);
    assert_says(
        get(&format!("{}/", proxy.url)).text(),
        &["how they do is not known", "v1/status.json"],
    );
    let answer = get_with(&format!("{}alpha-app/", proxy.index_url()), &[JSON]);
    assert_eq!(answer.status, 200);
    drop(proxy);
    // The role that names it may be away as well.
    for file in std::fs::read_dir(fleet.list.folder.join("tuf")).unwrap() {
        let path = file.unwrap().path();
        if path.to_string_lossy().ends_with(".directory-status.json") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let proxy = fleet.proxy(&[]);
    assert_says(
        get(&format!("{}/", proxy.url)).text(),
        &["how they do is not known", "directory-status.json"],
    );
    let answer = get_with(&format!("{}alpha-app/", proxy.index_url()), &[JSON]);
    assert_eq!(answer.status, 200);
}

#[test]
fn a_list_that_people_no_longer_answer_for_is_refused() {
    let mut fleet = Fleet::new();
    fleet.list.registry_hours = -1;
    fleet.list.publish();
    let refused = fleet.refused(&[]);
    refused.assert_code(4);
    assert_says(&refused.stderr, &["list of mirrors", "expired", "hint:"]);
    // Whoever holds the prober's key alone adds nobody.
    fleet.list.registry_hours = 2_000;
    fleet.list.registry_seed = 22;
    fleet.list.publish();
    let refused = fleet.refused(&[]);
    refused.assert_code(4);
    assert_says(&refused.stderr, &["list of mirrors", "directory-registry"]);
    assert_eq!(fleet.asked(), 0);
}

#[test]
fn nobody_is_led_back_to_an_older_list_also_after_a_restart() {
    let mut fleet = Fleet::new();
    let gone = fleet.list.entries.remove(0);
    fleet.list.publish();
    fleet.proxy(&[]).stop().assert_code(0);
    fleet.list.entries.insert(0, gone);
    fleet.list.publish_as(900);
    let proxy = fleet.proxy(&[]);
    assert_says(
        get(&format!("{}/", proxy.url)).text(),
        &["2 of 2 endpoints"],
    );
    let finished = proxy.stop();
    assert_says(&finished.stderr, &["passed over", "ollback"]);
    // And where nobody has it any more, what was kept is used.
    std::fs::remove_dir_all(fleet.list.folder.join("v1")).unwrap();
    let root = std::fs::read(fleet.list.root_file()).unwrap();
    std::fs::remove_dir_all(fleet.list.folder.join("tuf")).unwrap();
    std::fs::create_dir_all(fleet.list.folder.join("tuf")).unwrap();
    std::fs::write(fleet.list.root_file(), root).unwrap();
    let proxy = fleet.proxy(&[]);
    assert_says(
        get(&format!("{}/", proxy.url)).text(),
        &["2 of 2 endpoints"],
    );
    let answer = get_with(&format!("{}alpha-app/", proxy.index_url()), &[JSON]);
    assert_eq!(answer.status, 200);
}

#[test]
fn a_list_whose_place_is_gone_is_had_from_mirrors_that_carry_it() {
    let mut fleet = Fleet::new();
    let mut place = TreeMirror::serve(fleet.list.folder.clone());
    let url = place.url();
    fleet.carry(0, "old");
    fleet.proxy_from(&url, &[]).stop().assert_code(0);
    let carried = |mirror: &TreeMirror| {
        let requests = mirror.requests();
        requests.iter().any(|path| path.starts_with("/directory/"))
    };
    assert!(
        !fleet.mirrors.iter().any(carried),
        "its own place had it, and nobody else need know that it is read"
    );
    place.kill();
    // A newer one, without the first mirror, which keeps the older. The others have it, one of them altered to seem newer still.
    fleet.list.entries.remove(0);
    fleet.list.publish();
    let evil = fleet.carry(1, "evil");
    fleet.carry(2, "new");
    let timestamp = evil.join("tuf/timestamp.json");
    let text = std::fs::read_to_string(&timestamp).unwrap();
    let version = "\"version\":1002";
    assert!(text.contains(version), "{text}");
    std::fs::write(&timestamp, text.replace(version, "\"version\":9002")).unwrap();
    let proxy = fleet.proxy_from(&url, &[]);
    assert_says(
        get(&format!("{}/", proxy.url)).text(),
        &[
            "2 of 2 endpoints",
            &format!("{}directory/", fleet.mirrors[2].url()),
        ],
    );
    let answer = get_with(&format!("{}alpha-app/", proxy.index_url()), &[JSON]);
    assert_eq!(answer.status, 200);
    let lie = format!("{}directory/ is refused", fleet.mirrors[1].url());
    assert_says(&proxy.stop().stderr, &["passed over", &url, &lie]);
    // The others never led it back to theirs, and what it took is kept.
    fleet.mirrors.truncate(1);
    let proxy = fleet.proxy_from(&url, &[]);
    assert_says(
        get(&format!("{}/", proxy.url)).text(),
        &["2 of 2 endpoints"],
    );
}

#[test]
fn a_mirror_of_the_users_own_has_the_list_too() {
    let fleet = Fleet::new();
    fleet.carry(2, "carrier");
    let arguments = fleet.arguments("http://127.0.0.1:9/", &[]);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let given = [fleet.mirrors[2].url()];
    let proxy = fleet.signed.proxy_at(&given, &words);
    assert_says(
        get(&format!("{}/", proxy.url)).text(),
        &["3 of 3 endpoints", &format!("{}directory/", given[0])],
    );
}

#[test]
fn a_plain_mirror_gives_files_whose_digests_are_signed() {
    let mut fleet = Fleet::new();
    let plain = fleet.signed.world.place("plain");
    std::fs::create_dir_all(&plain).unwrap();
    std::os::unix::fs::symlink(fleet.signed.tree().join("packages"), plain.join("packages"))
        .unwrap();
    fleet.mirrors[1].move_to(plain);
    fleet.list.entries[1].layout = "bandersnatch";
    fleet.list.publish();
    let proxy = fleet.proxy(&[]);
    // It comes first wherever it may.
    let pinned = fleet.signed.client("mirrors").args(["pin", "east-main"]);
    pinned.run().assert_code(0);
    std::thread::sleep(Duration::from_millis(1_200));
    let file = |project: &str| {
        let page = get_with(&format!("{}{project}/", proxy.index_url()), &[JSON]);
        assert_eq!(page.status, 200, "{page:?}");
        let url = page.json()["files"][0]["url"].as_str().unwrap().to_owned();
        let path = url[url.find("packages/").unwrap()..].to_owned();
        let answer = get(&format!("{}/{path}", proxy.url));
        assert_eq!(answer.status, 200, "{path}");
        let held = std::fs::read(fleet.signed.tree().join(&path)).unwrap();
        assert!(answer.whole && answer.body == held, "{path}");
        path
    };
    let path = file("alpha-app");
    assert_eq!(fleet.mirrors[1].requests(), [format!("/{path}")]);
    assert_says(
        get(&format!("{}/", proxy.url)).text(),
        &[
            "3 of 3 endpoints",
            "1 of them carries no signed tree and is asked for files only",
            "files only",
        ],
    );
    // What it gives is believed no more than what others give.
    fleet.mirrors[1].mutate([Mutation::new("/packages/", Twist::FlipLastByte)]);
    file("delta");
    assert_eq!(fleet.mirrors[1].requests().len(), 2);
    assert_says(get(&format!("{}/", proxy.url)).text(), &["its sha256 is"]);
    let ranked = fleet.signed.client("mirrors").arg("rank").run();
    assert_says(&ranked.stdout, &["asked for files only"]);
    proxy.stop().assert_code(0);
    // Without anybody who has what is signed there is nothing to hold its files against.
    fleet.list.entries = vec![fleet.list.entries[1].clone()];
    fleet.list.publish();
    let refused = fleet.refused(&[]);
    refused.assert_code(2);
    assert_says(
        &refused.stderr,
        &["leaves none", "east-main", "no signed tree"],
    );
}

#[test]
fn a_list_needs_a_root_of_its_own() {
    let fleet = Fleet::new();
    let folder = fleet.list.folder.display().to_string();
    let none = fleet.signed.proxy_refused(&["--directory", &folder]);
    none.assert_code(2);
    assert_says(&none.stderr, &["--directory-root"]);
    let notary = fleet.signed.notary.root_file().display().to_string();
    let same = ["--directory", &folder, "--directory-root", &notary];
    let same = fleet.signed.proxy_refused(&same);
    same.assert_code(2);
    assert_says(&same.stderr, &["a key in common", "keys of its own"]);
}

#[test]
fn a_list_that_cannot_be_had_is_no_reason_to_stop_where_mirrors_were_given() {
    let fleet = Fleet::new();
    let nobody = "http://127.0.0.1:9/";
    let arguments = fleet.arguments(nobody, &[]);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let alone = fleet.signed.proxy_refused(&words);
    alone.assert_code(3);
    assert_says(&alone.stderr, &["cannot be had", nobody]);
    let proxy = fleet.signed.proxy_at(&[fleet.mirrors[1].url()], &words);
    assert_says(get(&format!("{}/", proxy.url)).text(), &["cannot be had"]);
    let answer = get_with(&format!("{}alpha-app/", proxy.index_url()), &[JSON]);
    assert_eq!(answer.status, 200);
}

#[test]
fn a_running_proxy_uses_a_list_until_its_time_is_over() {
    let mut fleet = Fleet::new();
    // Long enough for both to begin, also where much runs beside.
    fleet.list.registry_seconds = Some(15);
    fleet.list.publish();
    let proxy = fleet.proxy(&[]);
    let with_own = fleet.proxy_beside(&[fleet.mirrors[0].url()], &[]);
    let ask = |proxy: &str| get_with(&format!("{proxy}/simple/alpha-app/"), &[JSON]);
    assert_eq!(ask(&proxy.url).status, 200);
    until("the list's time is over", || ask(&proxy.url).status != 200);
    let refused = ask(&proxy.url);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_says(
        refused.text(),
        &["no mirror to ask", "list of mirrors", "expired"],
    );
    assert_eq!(ask(&with_own.url).status, 200);
    let page = || get(&format!("{}/", with_own.url)).text().to_owned();
    until("the other has seen it too", || page().contains("expired"));
    assert_says(&page(), &[&fleet.mirrors[0].url()]);
    assert_says(&proxy.stop().stderr, &["cannot be renewed"]);
}

/// Asks the index of its environment until it refuses, and prints what it says.
const UNTIL_REFUSED: &str = "
import os, time, urllib.error, urllib.request
end = time.monotonic() + 100
while time.monotonic() < end:
    try:
        urllib.request.urlopen(os.environ['PIP_INDEX_URL'].rstrip('/') + '/alpha-app/').read()
    except urllib.error.HTTPError as refused:
        print(refused.code, refused.read().decode())
        raise SystemExit(0)
    time.sleep(0.2)
raise SystemExit(1)
";

#[test]
fn a_command_outlives_its_list_and_is_refused_then() {
    let Some(uv) = or_skip(Tool::Uv.find()) else {
        return;
    };
    let mut fleet = Fleet::new();
    fleet.list.registry_seconds = Some(15);
    fleet.list.publish();
    let folder = fleet.list.folder.display().to_string();
    let root = fleet.signed.notary.root_file().display().to_string();
    let done = fleet
        .signed
        .client("exec")
        .args(fleet.arguments(&folder, &["--root", &root]))
        .arg("--")
        .arg(uv.with_file_name("python"))
        .args(["-c", UNTIL_REFUSED])
        .run();
    done.assert_code(0);
    assert_says(&done.stdout, &["422", "no mirror to ask", "expired"]);
}

#[test]
fn rules_choose_among_the_listed_and_an_origin_stands_beside_them() {
    let mut fleet = Fleet::new();
    fleet.list.entries[0].country = "DE";
    fleet.list.publish();
    let never = [
        "--mirrors-never",
        "country=DE",
        "--mirrors-never",
        "operator=ost",
    ];
    let proxy = fleet.proxy(&never);
    let answer = get_with(&format!("{}alpha-app/", proxy.index_url()), &[JSON]);
    assert_eq!(answer.status, 200);
    let page = get(&format!("{}/", proxy.url));
    assert_says(page.text(), &["1 of 3 endpoints", "run by 1 operator only"]);
    let asked = fleet.mirrors.iter().map(|mirror| mirror.requests().len());
    let asked: Vec<usize> = asked.collect();
    assert!(asked[..2] == [0, 0] && asked[2] > 0, "{asked:?}");
    proxy.stop();
    let none = fleet.refused(&[
        "--mirrors-only",
        "country=DE",
        "--mirrors-only",
        "operator=sud",
    ]);
    none.assert_code(2);
    assert_says(
        &none.stderr,
        &["leaves none", "east-main", "--mirrors-only"],
    );
    let wrong = fleet.refused(&["--mirrors-only", "planet=mars"]);
    wrong.assert_code(2);
    let middle = fleet.refused(&["--mirrors-never", "network=192.0.2.7/24"]);
    middle.assert_code(2);
    assert_says(&middle.stderr, &["--mirrors-never", "write `192.0.2.0/24`"]);
    let all = fleet.refused(&["--mirrors-never", "network=127.0.0.0/8"]);
    all.assert_code(2);
    assert_says(
        &all.stderr,
        &["leaves none", "`--mirrors-never network=127.0.0.0/8`"],
    );
    let elsewhere = fleet.refused(&["--mirrors-only", "network=2001:db8::/32"]);
    elsewhere.assert_code(2);
    let here = [
        "--mirrors-only",
        "network=127.0.0.1",
        "--mirrors-never",
        "network=::/0",
    ];
    let proxy = fleet.proxy(&here);
    let answer = get_with(&format!("{}alpha-app/", proxy.index_url()), &[JSON]);
    assert_eq!(answer.status, 200);
    proxy.stop().assert_code(0);
    // In the file, and with a plain index beside the signed ones.
    let mut universe = Universe::new();
    universe.add_project("company", &[Release::new("1.0").wheel()]);
    let company = FakePyPi::serve(universe);
    let config = fleet.signed.world.place("heliostat.toml");
    let text = format!(
        "[proxy]\nmirrors-only = [\"operator=Sud\"]\norigin = \"last\"\norigin-url = \"{}\"\n",
        company.index_url()
    );
    std::fs::write(&config, text).unwrap();
    let proxy = fleet.proxy(&["--config", config.to_str().unwrap()]);
    let ask = |name: &str| get_with(&format!("{}{name}/", proxy.index_url()), &[JSON]).status;
    assert_eq!(
        (ask("alpha-app"), ask("company"), ask("nobody")),
        (200, 200, 404)
    );
    assert_says(
        get(&format!("{}/", proxy.url)).text(),
        &["1 of 3 endpoints"],
    );
}

#[test]
fn exec_and_setup_take_a_list_too() {
    let fleet = Fleet::new();
    let folder = fleet.list.folder.display().to_string();
    let root = fleet.signed.notary.root_file().display().to_string();
    let arguments = fleet.arguments(&folder, &["--root", &root]);
    if let Some(uv) = or_skip(Tool::Uv.find()) {
        let target = fleet.signed.world.place("by-exec");
        let command = fleet
            .signed
            .client("exec")
            .args(&arguments)
            .arg("--")
            .arg(&uv);
        let installed = command
            .args(["pip", "install", "--no-cache", "alpha-app", "--target"])
            .arg(&target)
            .run();
        assert_installed(&installed, &target);
        assert!(fleet.asked() >= 2);
    }
    let home = fleet.signed.world.place("home");
    std::fs::create_dir_all(&home).unwrap();
    let setup = |arguments: &[String]| {
        crate::world::bare()
            .arg("setup")
            .args(arguments)
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_CONFIG_DIRS", home.join("nothing"))
            .current_dir(&fleet.list.folder)
            .run()
    };
    let mut relative = fleet.arguments(".", &["--root", &root, "--mirrors-never", "country=DE"]);
    setup(&relative).assert_code(0);
    let unit = home.join(".config/systemd/user/heliostat-proxy.service");
    let text = std::fs::read_to_string(unit).unwrap();
    let copy = home.join(".config/heliostat/list-root.json");
    assert_says(
        &text,
        &[
            &format!("--directory {folder}"),
            &format!("--directory-root {}", copy.display()),
            "--mirrors-never country=DE",
        ],
    );
    assert_eq!(
        std::fs::read(&copy).unwrap(),
        std::fs::read(fleet.list.root_file()).unwrap()
    );
    relative.retain(|word| word != "--root" && *word != root);
    setup(&relative).assert_code(2);
    setup(&["--undo".to_owned()]).assert_code(0);
    assert!(!copy.exists());
}
