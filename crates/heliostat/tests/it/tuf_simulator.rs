//! `heliostat tuf-client` against repositories that python-tuf made, good and evil: it decides as python-tuf's own client
//! does, step by step, and what it refuses never takes it back.

use std::collections::BTreeMap;
use std::path::Path;

use heliostat_testkit::clients::{Tool, or_skip};
use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::{Finished, Invocation};
use serde_json::Value;

use crate::world::bare;

/// One scenario's client, and the mirror that shows it one state after the other.
struct Client {
    place: std::path::PathBuf,
    mirror: TreeMirror,
}

impl Client {
    fn new(place: std::path::PathBuf) -> Self {
        std::fs::create_dir_all(place.join("taken")).unwrap();
        let mirror = TreeMirror::serve(place.join("0"));
        let client = Self { place, mirror };
        let root = client.place.join("root.json");
        let init = client.command().arg("init").arg(root).run();
        init.assert_code(0);
        client
    }

    fn command(&self) -> Invocation {
        let command = bare().args(["tuf-client", "--metadata-dir"]);
        command.arg(self.place.join("metadata"))
    }

    /// Refreshes, and downloads a target where there is one.
    fn step(&self, target: Option<&str>) -> Finished {
        let url = self.mirror.url();
        let base = url.trim_end_matches('/');
        let command = self.command();
        let command = command.args(["--metadata-url", &format!("{base}/tuf/")]);
        let command = command.args(["--target-base-url", &format!("{base}/")]);
        let Some(target) = target else {
            return command.arg("refresh").run();
        };
        let command = command.args(["--target-name", target, "--target-dir"]);
        let command = command.arg(self.place.join("taken"));
        command.arg("download").run()
    }

    /// The versions that it trusts.
    fn trusts(&self) -> BTreeMap<String, u64> {
        let files = std::fs::read_dir(self.place.join("metadata")).unwrap();
        let roles = files.filter_map(|file| {
            let path = file.unwrap().path();
            let name = path
                .file_name()?
                .to_str()?
                .strip_suffix(".json")?
                .to_owned();
            let text = std::fs::read(&path).unwrap();
            let value: Value = serde_json::from_slice(&text).unwrap();
            Some((name, value["signed"]["version"].as_u64()?))
        });
        roles.collect()
    }
}

/// What python-tuf made, a line for each step.
fn simulated(place: &Path) -> Option<Vec<Value>> {
    // This environment has python-tuf with what it needs to sign.
    let tool = or_skip(Tool::PypiAttestations.find())?;
    let run = Invocation::new(tool.with_file_name("python"))
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/tuf_simulator.py"
        ))
        .arg(place)
        .run();
    run.assert_code(0);
    let lines = run.stdout.lines();
    Some(
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

#[test]
fn it_decides_as_python_tuf_s_client_does() {
    let directory = tempfile::tempdir().unwrap();
    let Some(steps) = simulated(directory.path()) else {
        return;
    };
    assert!(steps.len() > 80, "{}", steps.len());
    let mut clients: BTreeMap<String, Client> = BTreeMap::new();
    let mut wrong = Vec::new();
    for step in &steps {
        let name = step["scenario"].as_str().unwrap();
        let client = clients
            .entry(name.to_owned())
            .or_insert_with(|| Client::new(directory.path().join(name)));
        let state = step["state"].as_str().unwrap();
        client.mirror.move_to(client.place.join(state));
        let before = client.trusts();
        let run = client.step(step["target"].as_str());
        let well = step["well"].as_bool().unwrap();
        let mut fine = run.code() == Some(i32::from(!well));
        if let Some(content) = step["content"].as_str().filter(|_| fine) {
            fine = std::fs::read_to_string(run.stdout.trim()).unwrap() == content;
        }
        if !well {
            let after = client.trusts();
            fine &= before
                .iter()
                .all(|(role, version)| after.get(role) >= Some(version));
        }
        if !fine {
            wrong.push(format!("{step}\n{run}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
