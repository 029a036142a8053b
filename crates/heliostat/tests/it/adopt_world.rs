//! Trees as other programs make them, to be adopted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use heliostat_testkit::pypi::{FakePyPi, Options, UrlStyle};
use heliostat_testkit::universe::{Release, Universe, Yank};

use crate::http::{get, get_json};

/// Who made a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maker {
    /// A home with `web/`, pages in every format, legacy documents as links.
    Bandersnatch,
    /// The same with `hash-index = true`: one folder more for each first letter.
    BandersnatchHashed,
    /// The tree at the top, beside a database.
    Shadowmire,
    /// Pages in HTML, with the upstream's own addresses, and files.
    ByHand,
}

/// What every test here mirrors.
pub(crate) fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project(
        "Alpha.App",
        &[
            Release::simple("1.0").payload_bytes(40_000),
            Release::simple("0.9").yanked(Yank::Because("old".to_owned())),
        ],
    );
    universe.add_project("beta", &[Release::simple("1.0").provenance()]);
    universe.add_project(
        "gamma",
        &[Release::new("1.0").sdist(), Release::new("2.0").wheel()],
    );
    universe
}

/// Lays out what an index holds at `home`; returns the public part.
pub(crate) fn lay_out(maker: Maker, universe: &Universe, home: &Path) -> PathBuf {
    let web = match maker {
        Maker::Bandersnatch | Maker::BandersnatchHashed => home.join("web"),
        Maker::Shadowmire | Maker::ByHand => home.to_owned(),
    };
    let urls = match maker {
        Maker::ByHand => UrlStyle::Absolute,
        _ => UrlStyle::Relative,
    };
    // One folder more needs one step up more.
    let root = match maker {
        Maker::BandersnatchHashed => "/x/simple/",
        _ => "/simple/",
    };
    let index = Options::default()
        .urls(urls)
        .root(root)
        .serve(universe.clone());
    for (name, project) in universe.projects() {
        write_pages(maker, &index, name, &web);
        for file in &project.files {
            put(&web.join(file.path()), &file.bytes);
        }
    }
    let list = get(&index.index_url());
    put(&web.join("simple/index.html"), &list.body);
    if maker != Maker::ByHand {
        write_legacy(maker, &index, &web);
    }
    match maker {
        Maker::Bandersnatch | Maker::BandersnatchHashed => {
            put(&web.join("last-modified"), b"20260101T00:00:00\n");
            std::fs::create_dir_all(web.join("local-stats/days")).unwrap();
            put(
                &home.join("status"),
                universe.serial().to_string().as_bytes(),
            );
            put(&home.join("generation"), b"5");
            put(&home.join(".lock"), b"");
        }
        Maker::Shadowmire => put(&home.join("local.db"), b"SQLite format 3\0"),
        Maker::ByHand => {}
    }
    web
}

fn write_pages(maker: Maker, index: &FakePyPi, name: &str, web: &Path) {
    let page = format!("{}{name}/", index.index_url());
    let folder = match maker {
        Maker::BandersnatchHashed => web.join(format!("simple/{}/{name}", &name[..1])),
        _ => web.join("simple").join(name),
    };
    let html = get(&page).body;
    put(&folder.join("index.html"), &html);
    if matches!(maker, Maker::Bandersnatch | Maker::Shadowmire) {
        put(&folder.join("index.v1_html"), &html);
        put(&folder.join("index.v1_json"), &get_json(&page).body);
    }
}

/// `json/<project>` and, for bandersnatch, `pypi/<project>/json` as a link to it.
fn write_legacy(maker: Maker, index: &FakePyPi, web: &Path) {
    for (name, _) in index.universe().projects() {
        let document = get(&format!("{}pypi/{name}/json", index.base_url())).body;
        put(&web.join("json").join(name), &document);
        let link = web.join("pypi").join(name).join("json");
        if maker == Maker::Shadowmire {
            put(&link, &document);
        } else {
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(format!("../../json/{name}"), link).unwrap();
        }
    }
}

/// Writes a file with its folders, in place of what was there.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _was_there = std::fs::remove_file(path);
    std::fs::write(path, bytes).unwrap();
}

/// Every file and folder below a place, with its content: to see that nothing was changed.
pub(crate) fn snapshot(place: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![place.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            waiting.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            found.insert(path, None);
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(&path).unwrap();
            found.insert(path, Some(target.into_os_string().into_encoded_bytes()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, Some(bytes));
        }
    }
    found
}
