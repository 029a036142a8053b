//! What the tests of bundles add to a world: the two sides of an air gap, and bundles taken apart.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use heliostat_testkit::process::{Finished, Heliostat};
use heliostat_testkit::universe::Universe;
use serde_json::Value;

use crate::sync_world::digests;
use crate::world::{World, heliostat};

/// A mirror with a network, and one without.
#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) near: World,
    pub(crate) far: Heliostat,
}

/// One entry of a bundle that was taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Gap {
    /// A mirror of all of this, and an empty one beyond.
    pub(crate) fn new(universe: Universe) -> Self {
        let gap = Self::with(World::new(universe));
        gap.near.sync(&["--all"]).assert_code(0);
        gap
    }

    pub(crate) fn with(near: World) -> Self {
        let far = heliostat(&near.place("far"));
        Self { near, far }
    }

    /// Exports with these arguments into a file of this name.
    pub(crate) fn export(&self, name: &str, arguments: &[&str]) -> Finished {
        let export = self.near.heliostat.command("export").args(arguments);
        export.arg("-o").arg(self.near.place(name)).run()
    }

    pub(crate) fn import(&self, name: &str, arguments: &[&str]) -> Finished {
        let import = self.far.command("import").args(arguments);
        import.arg(self.near.place(name)).run()
    }

    /// Carries everything, or what changed since a bundle.
    #[track_caller]
    pub(crate) fn carry(&self, name: &str, arguments: &[&str]) -> Finished {
        self.export(name, arguments).assert_code(0);
        let import = self.import(name, &[]);
        import.assert_code(0);
        import
    }

    /// Fails the test unless both trees are the same, byte for byte, but for the time stamp and what each says of itself.
    #[track_caller]
    pub(crate) fn assert_same(&self) {
        let tree = |web: &Path| {
            let mut tree = digests(web);
            tree.retain(|path, _| {
                !path.ends_with("last-modified") && !path.ends_with("heliostat-mirror.json")
            });
            tree
        };
        let (near, far) = (tree(&self.near.heliostat.web()), tree(&self.far.web()));
        let names = |tree: &std::collections::BTreeMap<PathBuf, String>| -> Vec<PathBuf> {
            tree.keys().cloned().collect()
        };
        assert_eq!(names(&near), names(&far));
        assert_eq!(near, far);
        self.far
            .command("verify")
            .arg("--upstream=http://127.0.0.1:9/simple/")
            .run()
            .assert_code(0);
    }

    /// What the far side holds, private state but for locks and temporary files included.
    pub(crate) fn far_state(&self) -> Vec<(PathBuf, String)> {
        if !self.far.data().exists() {
            return Vec::new();
        }
        let mut tree: Vec<(PathBuf, String)> = digests(&self.far.web()).into_iter().collect();
        let mut status = self.far.command("status").arg("--json").run().json();
        let status = status.as_object_mut().unwrap();
        // What is left on the disk, and that there was another run.
        for changing in ["disk_free_bytes", "runs", "behind_seconds"] {
            status.remove(changing);
        }
        let status = Value::Object(status.clone());
        tree.push((PathBuf::from("status"), status.to_string()));
        tree
    }

    /// A bundle's entries, its manifest first.
    #[track_caller]
    pub(crate) fn pieces(&self, name: &str) -> Vec<Piece> {
        let packed = std::fs::read(self.near.place(name)).unwrap();
        let plain = zstd::decode_all(packed.as_slice()).unwrap();
        let mut archive = tar::Archive::new(plain.as_slice());
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| {
                let mut entry = entry.unwrap();
                let name = entry.path().unwrap().to_str().unwrap().to_owned();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                Piece { name, bytes }
            })
            .collect()
    }

    /// Puts a bundle together, right or wrong.
    #[track_caller]
    pub(crate) fn assemble(&self, name: &str, pieces: &[Piece]) {
        let mut builder = tar::Builder::new(Vec::new());
        for piece in pieces {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(0o644);
            header.set_size(piece.bytes.len() as u64);
            if piece.name.starts_with('/') || piece.name.contains("..") {
                // The library would refuse to write these names.
                let field = &mut header.as_gnu_mut().unwrap().name;
                field[..piece.name.len()].copy_from_slice(piece.name.as_bytes());
                header.set_cksum();
                builder.append(&header, piece.bytes.as_slice()).unwrap();
            } else {
                let bytes = piece.bytes.as_slice();
                builder
                    .append_data(&mut header, &piece.name, bytes)
                    .unwrap();
            }
        }
        self.write(name, &builder.into_inner().unwrap());
    }

    /// Writes an archive, compressed.
    #[track_caller]
    pub(crate) fn write(&self, name: &str, plain: &[u8]) {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.write_all(plain).unwrap();
        std::fs::write(self.near.place(name), encoder.finish().unwrap()).unwrap();
    }
}

impl Piece {
    /// The lines of a manifest.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.bytes).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// A manifest with these lines.
    pub(crate) fn of_lines(lines: &[Value]) -> Self {
        let mut bytes: Vec<u8> = Vec::new();
        for line in lines {
            let mut line = line.clone();
            if let Some(end) = line.get_mut("end") {
                end["list"] = heliostat_testkit::fixture::sha256_hex(&bytes).into();
            }
            bytes.extend(format!("{line}\n").into_bytes());
        }
        Self {
            name: "manifest.jsonl".to_owned(),
            bytes,
        }
    }
}
