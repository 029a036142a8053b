//! The index that the notary of the board takes from: a few projects, in three states. Values only.
//!
//! `victim` is what the attacks are after; its 2.0 needs `helper`. `old` is the state before 2.0 came.

use std::sync::Arc;

use heliostat_pypi::Sha256;
use serde_json::{Value, json};

use crate::answer::Shared;
use crate::error::AttackError;
use crate::script::Tree;
use crate::wheel::{Wheel, wheel};

/// What stands in the module of the true `victim` 2.0.
pub(crate) const TRUE_WORD: &str = "true";

/// The states that the upstream goes through, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// `victim` 1.0 alone, and the others.
    Old,
    /// `victim` 2.0 has come.
    New,
    /// `helper` 1.1 has come.
    Newer,
}

/// Where the attestations of a file are (PEP 740).
pub(crate) fn provenance_path(project: &str, version: &str, filename: &str) -> String {
    format!("integrity/{project}/{version}/{filename}/provenance")
}

/// A Simple API index (PEP 691) in one state: `simple/`, `simple/<project>/` and the files.
pub(crate) fn tree(state: State) -> Result<Tree, AttackError> {
    let mut helper = vec![wheel("helper", "1.0", &[], "helper")?];
    let mut victim = vec![wheel("victim", "1.0", &[], "old")?];
    if state >= State::New {
        victim.push(wheel("victim", "2.0", &["helper"], TRUE_WORD)?);
    }
    if state >= State::Newer {
        helper.push(wheel("helper", "1.1", &[], "helper")?);
    }
    let at = |since: State, before: u64, after: u64| if state >= since { after } else { before };
    let projects = [
        Project::new("helper", at(State::Newer, 11, 30), helper),
        Project::new(
            "requestz",
            12,
            vec![wheel("requestz", "9.9", &[], "wrong")?],
        ),
        Project::new("victim", at(State::New, 10, 20), victim),
    ];
    let newest = projects.iter().map(|project| project.serial).max();
    let mut tree = Tree::new();
    let list: Vec<Value> = projects
        .iter()
        .map(|project| json!({"name": project.name, "_last-serial": project.serial}))
        .collect();
    insert_json(
        &mut tree,
        "simple/",
        &json!({"meta": {"api-version": "1.4", "_last-serial": newest}, "projects": list}),
    );
    for project in projects {
        project.put_into(&mut tree);
    }
    Ok(tree)
}

struct Project {
    name: &'static str,
    serial: u64,
    wheels: Vec<Wheel>,
}

impl Project {
    fn new(name: &'static str, serial: u64, wheels: Vec<Wheel>) -> Self {
        Self {
            name,
            serial,
            wheels,
        }
    }

    fn put_into(self, tree: &mut Tree) {
        let mut files = Vec::new();
        let mut versions = Vec::new();
        for wheel in self.wheels {
            let sha256 = Sha256::of(&wheel.bytes).to_hex();
            let path = format!(
                "packages/{}/{}/{}/{}",
                &sha256[..2],
                &sha256[2..4],
                &sha256[4..],
                wheel.filename
            );
            let metadata_sha256 = Sha256::of(&wheel.metadata).to_hex();
            let version = wheel.filename.split('-').nth(1).unwrap_or_default();
            let provenance = provenance_path(self.name, version, &wheel.filename);
            insert_json(tree, &provenance, &attestations(&wheel.filename, &sha256));
            versions.push(version.to_owned());
            files.push(json!({
                "filename": wheel.filename,
                "url": format!("../../{path}"),
                "hashes": {"sha256": sha256},
                "size": wheel.bytes.len(),
                "upload-time": "2026-01-01T00:00:00Z",
                "yanked": false,
                "requires-python": null,
                "core-metadata": {"sha256": metadata_sha256},
                "provenance": format!("../../{provenance}"),
            }));
            tree.insert(format!("{path}.metadata"), Arc::clone(&wheel.metadata));
            tree.insert(path, wheel.bytes);
        }
        insert_json(
            tree,
            &format!("simple/{}/", self.name),
            &json!({
                "meta": {"api-version": "1.4", "_last-serial": self.serial},
                "name": self.name, "versions": versions, "files": files,
            }),
        );
    }
}

fn insert_json(tree: &mut Tree, path: &str, document: &Value) {
    let bytes = document.to_string().into_bytes();
    tree.insert(path.to_owned(), Shared::from(bytes));
}

/// Attestations of the right shape. Who may have signed them is no matter here: what counts is whether they are the
/// ones that the page names.
fn attestations(filename: &str, sha256: &str) -> Value {
    json!({
        "version": 1,
        "attestation_bundles": [{
            "publisher": {"kind": "GitHub", "repository": "victim/victim", "workflow": "release.yml"},
            "attestations": [{"version": 1, "envelope": {"statement": format!("{filename} {sha256}"), "signature": ""}}],
        }],
    })
}

/// The index of a stranger, who has a higher version of `victim`: as an index, and as `links.html`.
pub(crate) fn stranger() -> Result<Tree, AttackError> {
    let mut tree = Tree::new();
    let stranger = wheel("victim", "9.9", &[], "stranger")?;
    let filename = stranger.filename.clone();
    let sha256 = Sha256::of(&stranger.bytes);
    Project::new("victim", 1, vec![stranger]).put_into(&mut tree);
    let path = tree.keys().find(|path| path.ends_with(&filename));
    let path = path.cloned().unwrap_or_default();
    let html = format!("<!DOCTYPE html><a href=\"{path}#sha256={sha256}\">{filename}</a>\n");
    tree.insert("links.html".to_owned(), Shared::from(html.into_bytes()));
    Ok(tree)
}
