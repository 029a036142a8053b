//! `heliostat proxy --directory`: mirrors from a signed list, which is a hint about how they do and no more.

use heliostat_testkit::clients::{Uv, or_skip};
use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::{Finished, Serving};

use crate::alpha_app::{assert_installed, universe};
use crate::http::{JSON, get, get_with};
use crate::published_list::{PublishedList, entry};
use crate::signed_world::SignedWorld;
use crate::world::assert_says;

/// Three mirrors of three operators and a list of them.
struct Fleet {
    signed: SignedWorld,
    mirrors: Vec<TreeMirror>,
    list: PublishedList,
}

impl Fleet {
    fn new() -> Self {
        let signed = SignedWorld::new(universe(), 4);
        let mirrors: Vec<_> = (0..3).map(|_| TreeMirror::serve(signed.tree())).collect();
        let entries = [("north", "Nord"), ("east", "Ost"), ("south", "Sud")]
            .iter()
            .zip(&mirrors)
            .map(|((id, operator), mirror)| entry(id, operator, &mirror.url()))
            .collect();
        let list = PublishedList::new(signed.world.place("list"), entries);
        Self {
            signed,
            mirrors,
            list,
        }
    }

    fn arguments(&self, from: &str, more: &[&str]) -> Vec<String> {
        let root = self.list.root_file().display().to_string();
        let words = ["--directory", from, "--directory-root", &root];
        words
            .iter()
            .chain(more)
            .map(|word| (*word).to_owned())
            .collect()
    }

    /// A proxy with the list as a folder.
    #[track_caller]
    fn proxy(&self, more: &[&str]) -> Serving {
        let folder = self.list.folder.display().to_string();
        self.proxy_from(&folder, more)
    }

    #[track_caller]
    fn proxy_from(&self, from: &str, more: &[&str]) -> Serving {
        let arguments = self.arguments(from, more);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.signed.proxy_at(&[], &words)
    }

    /// A proxy that does not start.
    fn refused(&self, more: &[&str]) -> Finished {
        let folder = self.list.folder.display().to_string();
        let arguments = self.arguments(&folder, more);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.signed.proxy_refused(&words)
    }

    fn asked(&self) -> usize {
        self.mirrors
            .iter()
            .filter(|mirror| !mirror.requests().is_empty())
            .count()
    }
}

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
