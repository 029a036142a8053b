//! The index that the notary of the board takes from: a few projects, in two states. Values only.
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
}

/// A Simple API index (PEP 691) in one state: `simple/`, `simple/<project>/` and the files.
pub(crate) fn tree(state: State) -> Result<Tree, AttackError> {
    let mut projects = vec![
        Project::new("helper", 11, vec![wheel("helper", "1.0", &[], "helper")?]),
        Project::new(
            "requestz",
            12,
            vec![wheel("requestz", "9.9", &[], "wrong")?],
        ),
    ];
    let mut victim = vec![wheel("victim", "1.0", &[], "old")?];
    if state == State::New {
        victim.push(wheel("victim", "2.0", &["helper"], TRUE_WORD)?);
    }
    let serial = if state == State::New { 20 } else { 10 };
    projects.push(Project::new("victim", serial, victim));
    let mut tree = Tree::new();
    let list: Vec<Value> = projects
        .iter()
        .map(|project| json!({"name": project.name, "_last-serial": project.serial}))
        .collect();
    insert_json(
        &mut tree,
        "simple/",
        &json!({"meta": {"api-version": "1.4", "_last-serial": serial.max(12)}, "projects": list}),
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
            versions.extend(wheel.filename.split('-').nth(1).map(str::to_owned));
            files.push(json!({
                "filename": wheel.filename,
                "url": format!("../../{path}"),
                "hashes": {"sha256": sha256},
                "size": wheel.bytes.len(),
                "upload-time": "2026-01-01T00:00:00Z",
                "yanked": false,
                "requires-python": null,
                "core-metadata": {"sha256": metadata_sha256},
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
