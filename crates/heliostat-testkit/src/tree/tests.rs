//! Each test damages a right tree in one way and expects to hear of exactly that.

use std::fs;

use super::*;
use crate::universe::{Release, StoredFile};

/// A right tree, written as a mirror would.
struct Tree {
    universe: Universe,
    data: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let mut universe = Universe::new();
        universe.add_project(
            "Alpha",
            &[
                Release::simple("1.0"),
                Release::new("2.0").wheel().requires_python(">=3"),
            ],
        );
        universe.add_project("beta", &[Release::simple("1.0")]);
        let tree = Self {
            universe,
            data: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(tree.data.path().join("state/incoming")).unwrap();
        for (name, project) in tree.universe.projects() {
            tree.write_project(name, project);
            for file in project.offered() {
                tree.write(&file.path(), &file.bytes);
                if let Some(metadata) = file.offered_metadata() {
                    tree.write(&format!("{}.metadata", file.path()), metadata);
                }
            }
        }
        let pairs: Vec<_> = tree
            .universe
            .projects()
            .map(|(name, project)| (name, project.serial))
            .collect();
        let list: Vec<_> = pairs
            .iter()
            .map(|(name, serial)| serde_json::json!({"name": name, "_last-serial": serial}))
            .collect();
        let html: String = pairs
            .iter()
            .flat_map(|(name, _)| ["<a href=\"", name, "/\">", name, "</a>\n"])
            .collect();
        tree.write(
            "simple/index.v1_json",
            serde_json::json!({"projects": list}).to_string().as_bytes(),
        );
        tree.write("simple/index.v1_html", html.as_bytes());
        tree.write("simple/index.html", html.as_bytes());
        tree
    }

    fn write_project(&self, name: &str, project: &crate::universe::Project) {
        let mut html = String::new();
        let mut files = Vec::new();
        for file in project.offered() {
            let url = format!("../../{}", file.path());
            let digest = file
                .offered_metadata()
                .map(|metadata| crate::fixture::sha256_hex(metadata));
            files.push(serde_json::json!({
                "filename": file.filename, "url": url, "hashes": {"sha256": file.sha256}, "size": file.bytes.len(),
                "requires-python": file.requires_python, "yanked": false,
                "core-metadata": digest.as_ref().map_or(serde_json::json!(false), |digest| serde_json::json!({"sha256": digest})),
            }));
            html.extend(["<a href=\"", &url, "#sha256=", &file.sha256, "\""]);
            if let Some(specifier) = &file.requires_python {
                html.extend([
                    " data-requires-python=\"",
                    &specifier.replace('>', "&gt;"),
                    "\"",
                ]);
            }
            if let Some(digest) = digest {
                html.extend([" data-core-metadata=\"sha256=", &digest, "\""]);
            }
            html.extend([">", &file.filename, "</a>\n"]);
        }
        let json = serde_json::json!({
            "meta": {"api-version": "1.4", "_last-serial": project.serial}, "name": name, "versions": project.versions,
            "files": files,
        });
        self.write(
            &format!("simple/{name}/index.v1_json"),
            json.to_string().as_bytes(),
        );
        self.write(&format!("simple/{name}/index.v1_html"), html.as_bytes());
        self.write(&format!("simple/{name}/index.html"), html.as_bytes());
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.data.path().join("web").join(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), bytes).unwrap();
    }

    fn replace(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{text}");
        self.write(path, text.replacen(from, to, 1).as_bytes());
    }

    fn file(&self) -> std::sync::Arc<StoredFile> {
        std::sync::Arc::clone(&self.universe.project("alpha").unwrap().files[0])
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = check_data(self.data.path(), &Expect::default());
        problems.extend(compare_with(
            &self.data.path().join("web"),
            &self.universe,
            &Expect::default(),
        ));
        problems
    }

    #[track_caller]
    fn assert_one(&self, place: &str, fits: impl Fn(&What) -> bool) {
        let problems = self.problems();
        assert!(
            matches!(&problems[..], [problem] if problem.place.contains(place) && fits(&problem.what)),
            "{problems:#?}"
        );
    }
}

#[test]
fn a_right_tree_has_no_problems() {
    let tree = Tree::new();
    assert_mirrors(tree.data.path(), &tree.universe, &Expect::default());
}

#[test]
fn missing_files_are_seen() {
    let tree = Tree::new();
    fs::remove_file(tree.path(&tree.file().path())).unwrap();
    tree.assert_one("alpha-1.0", |what| *what == What::Missing);
    let partial = Expect {
        files: Held::Some,
        ..Expect::default()
    };
    assert_none(&check_data(tree.data.path(), &partial));
}

#[test]
fn missing_metadata_is_seen() {
    let tree = Tree::new();
    fs::remove_file(tree.path(&format!("{}.metadata", tree.file().path()))).unwrap();
    tree.assert_one(".metadata", |what| *what == What::Missing);
}

#[test]
fn flipped_bytes_are_seen() {
    let tree = Tree::new();
    let mut bytes = tree.file().bytes.to_vec();
    bytes[50] ^= 1;
    tree.write(&tree.file().path(), &bytes);
    let problems = tree.problems();
    assert!(
        !problems.is_empty()
            && problems
                .iter()
                .all(|problem| matches!(problem.what, What::WrongBytes(_))),
        "{problems:?}"
    );
}

#[test]
fn orphans_and_litter_are_seen() {
    let tree = Tree::new();
    let folder = tree.file().path().rsplit_once('/').unwrap().0.to_owned();
    for (path, what) in [
        (format!("{folder}/other-1.0.tar.gz"), What::Orphan),
        (format!("{folder}/.alpha.x7Yq"), What::Litter),
        ("packages/odd".to_owned(), What::Litter),
        ("simple/alpha/index.v1_json.tmp".to_owned(), What::Litter),
        ("something".to_owned(), What::Litter),
    ] {
        tree.write(&path, b"x");
        tree.assert_one(&path, |found| *found == what);
        fs::remove_file(tree.path(&path)).unwrap();
    }
    fs::write(tree.data.path().join("state/incoming/half"), b"x").unwrap();
    tree.assert_one("state/incoming/half", |what| *what == What::Litter);
}

#[test]
fn pages_that_disagree_are_seen() {
    let tree = Tree::new();
    for name in ["index.html", "index.v1_html"] {
        tree.replace(
            &format!("simple/alpha/{name}"),
            "data-requires-python=\"&gt;=3\"",
            "data-yanked=\"\"",
        );
    }
    tree.assert_one("simple/alpha", |what| matches!(what, What::Disagree(_)));
}

#[test]
fn a_root_list_that_disagrees_is_seen() {
    let tree = Tree::new();
    tree.replace(
        "simple/index.v1_json",
        "\"name\":\"beta\"",
        "\"name\":\"gamma\"",
    );
    let problems = tree.problems();
    assert!(
        problems.contains(&Problem {
            place: "simple/gamma".to_owned(),
            what: What::Missing
        }),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .any(|problem| problem.place == "simple/beta"),
        "{problems:?}"
    );
}

#[test]
fn what_upstream_deleted_is_surplus_and_what_it_added_is_lacking() {
    let mut tree = Tree::new();
    tree.universe.delete_project("beta");
    tree.assert_one("beta", |what| matches!(what, What::Surplus(_)));
    let mut tree = Tree::new();
    tree.universe
        .add_project("gamma", &[Release::simple("1.0")]);
    tree.assert_one("gamma", |what| matches!(what, What::Lacking(_)));
}

#[test]
fn yanks_and_serials_are_compared() {
    let mut tree = Tree::new();
    tree.universe.yank("alpha", "2.0", "broken");
    let problems = tree.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems
            .iter()
            .all(|problem| matches!(problem.what, What::Differs(_))),
        "{problems:?}"
    );
}

#[test]
fn addresses_that_climb_out_are_bad() {
    let tree = Tree::new();
    for name in ["index.html", "index.v1_html", "index.v1_json"] {
        tree.replace(
            &format!("simple/beta/{name}"),
            "../../packages",
            "../../../packages",
        );
    }
    assert!(
        tree.problems()
            .iter()
            .any(|problem| matches!(problem.what, What::BadDocument(_)))
    );
}
