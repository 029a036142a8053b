//! PEP 381's `/serverkey` and `/serversig/`, checked with OpenSSL in the very words of the documentation.

use std::path::Path;

use heliostat_testkit::clients::{Skip, or_skip};
use heliostat_testkit::process::{Finished, Invocation};
use heliostat_testkit::universe::Release;

use crate::http::get;
use crate::notary_world::begin;
use crate::sync_world::small;
use crate::world::{World, assert_says, heliostat};

const PAGE_OF_DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/serversig.md");

/// The line of the documentation that runs OpenSSL.
fn documented() -> String {
    let docs = std::fs::read_to_string(PAGE_OF_DOCS).unwrap();
    let mut lines = docs.lines().filter_map(|line| line.strip_prefix("$ "));
    lines
        .find(|line| line.starts_with("openssl pkeyutl"))
        .unwrap()
        .to_owned()
}

fn check(directory: &Path) -> Finished {
    let command = format!("cd '{}' && {}", directory.display(), documented());
    Invocation::new("sh").arg("-c").arg(command).run()
}

fn has_openssl() -> bool {
    let version = Invocation::new("sh").args(["-c", "openssl version"]).run();
    let is_new = version.stdout.starts_with("OpenSSL 3") || version.stdout.starts_with("OpenSSL 4");
    or_skip(
        is_new
            .then_some(())
            .ok_or_else(|| Skip("no OpenSSL 3".to_owned())),
    )
    .is_some()
}

#[test]
fn a_page_is_checked_by_hand_as_the_documentation_says() {
    if !has_openssl() {
        return;
    }
    let world = World::new(small());
    begin(&world.heliostat, 4);
    world.sync(&["--all"]).assert_code(0);
    let serving = world.heliostat.serve(["--offline"]);
    let directory = world.place("by-hand");
    std::fs::create_dir(&directory).unwrap();
    let take = |path: &str, into: &str| {
        let answer = get(&format!("{}/{path}", serving.url));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        std::fs::write(directory.join(into), &answer.body).unwrap();
    };
    take("serverkey", "serverkey");
    take("simple/alpha/index.v1_json", "page.json");
    take("serversig/alpha", "page.sig");
    let good = check(&directory);
    good.assert_code(0);
    assert_says(&good.stdout, &["Signature Verified Successfully"]);
    // The key is the one that the root names.
    let shown = heliostat(&world.place("nothing"))
        .command("trust keys show")
        .arg(directory.join("serverkey"))
        .run();
    shown.assert_code(0);
    let root = std::fs::read_to_string(world.heliostat.web().join("tuf/1.root.json")).unwrap();
    let id = shown
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("keyid "));
    assert_says(&root, &[id.unwrap()]);
    // One byte, another page, an older page: none of them holds.
    let mut page = std::fs::read(directory.join("page.json")).unwrap();
    page[40] ^= 1;
    std::fs::write(directory.join("page.json"), &page).unwrap();
    assert_eq!(check(&directory).code(), Some(1));
    take("simple/beta/index.v1_json", "page.json");
    assert_eq!(check(&directory).code(), Some(1));
    take("simple/alpha/index.v1_json", "page.json");
    world.pypi.add_release("alpha", &Release::simple("6.0"));
    world.sync(&[]).assert_code(0);
    take("serversig/alpha", "page.sig");
    assert_eq!(check(&directory).code(), Some(1));
    take("simple/alpha/index.v1_json", "page.json");
    check(&directory).assert_code(0);
    assert_eq!(
        get(&format!("{}/serversig/nobody", serving.url)).status,
        404
    );
}

#[test]
fn who_has_no_key_signs_nothing() {
    let world = World::new(small());
    world.sync(&["alpha"]).assert_code(0);
    let serving = world.heliostat.serve(["--offline"]);
    for path in ["serverkey", "serversig/alpha"] {
        let answer = get(&format!("{}/{path}", serving.url));
        assert_eq!(answer.status, 404, "{path}");
        assert_says(answer.text(), &["the key of a notary", "/tuf/"]);
    }
}
