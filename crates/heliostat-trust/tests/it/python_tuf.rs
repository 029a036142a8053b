//! python-tuf's client as a process that answers line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use heliostat_testkit::clients::{Tool, or_skip};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clients::Answer;
use crate::repository::{Files, now};

/// python-tuf, started once for many questions.
#[derive(Debug)]
pub(crate) struct PythonTuf {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    served: TempDir,
}

/// What a client keeps between questions.
#[derive(Debug)]
pub(crate) struct Kept(TempDir);

impl PythonTuf {
    pub(crate) fn start() -> Option<Self> {
        let python = or_skip(Tool::PythonTuf.find())?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python_tuf.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
            served: TempDir::new().unwrap(),
        })
    }

    /// A client that has nothing but a root.
    pub(crate) fn client(root: &[u8]) -> Kept {
        let kept = TempDir::new().unwrap();
        std::fs::create_dir_all(kept.path().join("metadata")).unwrap();
        std::fs::write(kept.path().join("first"), root).unwrap();
        Kept(kept)
    }

    /// Lets the client refresh from these files and look up targets.
    pub(crate) fn ask(&mut self, client: &Kept, files: &Files, targets: &[&str]) -> Answer {
        self.served = TempDir::new().unwrap();
        for (name, bytes) in files {
            std::fs::write(self.served.path().join(name), bytes).unwrap();
        }
        let request = json!({
            "served": self.served.path(),
            "kept": client.0.path().join("metadata"),
            "root": client.0.path().join("first"),
            "now": now().to_string(),
            "targets": targets,
        });
        writeln!(self.stdin.as_mut().unwrap(), "{request}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let reply: Value = serde_json::from_str(&line).unwrap();
        if let Some(refused) = reply["refused"].as_str() {
            return Err(refused.to_owned());
        }
        let found = targets.iter().map(|path| {
            let found = &reply["found"][path];
            found["sha256"].as_str().map(|sha256| {
                let length = found["length"].as_u64().unwrap();
                (sha256.to_owned(), length)
            })
        });
        Ok(found.collect())
    }
}

impl Drop for PythonTuf {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.child.wait().unwrap();
    }
}
