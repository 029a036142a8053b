//! A fleet of mirrors on loopback for tests of `directory`: fronts over one good tree, each with a name of its own, and
//! a list that names them.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use heliostat_testkit::fixture::sha256_hex;
use heliostat_testkit::front::Front;
use heliostat_testkit::process::{Finished, Invocation};
use heliostat_testkit::pypi::Authority;
use heliostat_testkit::universe::Universe;
use serde_json::Value;

use crate::notary_world::copy;
use crate::world::{World, bare};

/// The host of every mirror of a fleet.
pub(crate) const HOST: &str = "mirror.example.edu";

/// An upstream, a good mirror of it on disk, and a list.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) world: World,
    pub(crate) authority: Authority,
    /// Who else is trusted, and where a mirror's name leads.
    trusted: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Fleet {
    /// A synced tree and an empty list.
    pub(crate) fn new(universe: Universe) -> Self {
        let world = World::new(universe);
        world.sync(&["--all"]).assert_code(0);
        let authority = Authority::for_names(&[HOST]);
        let fleet = Self {
            trusted: vec![authority.ca_pem.clone()],
            world,
            authority,
            addresses: vec![Ipv4Addr::LOCALHOST.into()],
        };
        let list = fleet.list().display().to_string();
        bare()
            .args(["directory", "init", &list])
            .run()
            .assert_code(0);
        fleet
    }

    /// The list's folder.
    pub(crate) fn list(&self) -> PathBuf {
        self.world.place("list")
    }

    /// The good tree.
    pub(crate) fn tree(&self) -> PathBuf {
        self.world.heliostat.web()
    }

    /// The tree as it is now, as a mirror that stops being synced keeps it.
    pub(crate) fn frozen(&self, name: &str) -> PathBuf {
        let to = self.world.place(name);
        copy(&self.tree(), &to);
        to
    }

    /// A good mirror, on the list under this id.
    pub(crate) fn mirror(&self, id: &str) -> Front {
        let front = Front::serve(self.tree(), &self.authority);
        self.enlist(id, front.port(), "");
        front
    }

    /// Puts an endpoint on the list; `more` are further lines of it.
    pub(crate) fn enlist(&self, id: &str, port: u16, more: &str) {
        let entry = format!(
            "id = \"{id}\"\ninception = \"2026-11-01\"\nadmitted = \"2026-11-01T00:00:00Z\"\n\
             operator = {{ name = \"Campus\" }}\n\n[[endpoints]]\nid = \"{id}-main\"\n\
             base = \"https://{HOST}:{port}/\"\n{more}"
        );
        std::fs::write(self.list().join(format!("mirrors.d/{id}.toml")), entry).unwrap();
    }

    /// Trusts another authority too.
    pub(crate) fn trust(&mut self, authority: &Authority) {
        self.trusted.push(authority.ca_pem.clone());
    }

    /// Mirrors are found at these addresses from now on.
    pub(crate) fn resolve_to(&mut self, addresses: &[IpAddr]) {
        self.addresses = addresses.to_vec();
    }

    /// `heliostat directory probe WORDS…`, with everything that it needs to find and trust the fleet.
    pub(crate) fn probe(&self, words: &[&str]) -> Finished {
        self.command("probe", words).run()
    }

    /// The same for another verb, not yet run.
    pub(crate) fn command(&self, verb: &str, words: &[&str]) -> Invocation {
        self.command_in(&self.list(), verb, words)
    }

    /// The same with another list's folder.
    pub(crate) fn command_in(&self, list: &Path, verb: &str, words: &[&str]) -> Invocation {
        let cacert = self.world.place("trusted.pem");
        std::fs::write(&cacert, self.trusted.concat()).unwrap();
        let mut resolve = format!("{HOST}=");
        for (index, address) in self.addresses.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(resolve, "{comma}{address}").unwrap();
        }
        let command = bare()
            .args(["directory", verb])
            .args(words)
            .args(["--resolve", &resolve, "--tries", "1", "--seed", "7"])
            .arg("--cacert")
            .arg(cacert)
            .arg("--registry")
            .arg(list);
        if words.contains(&"--upstream") {
            return command;
        }
        command.args(["--upstream", &self.world.pypi.index_url()])
    }

    /// The samples of a probe, by endpoint, and its exit code.
    pub(crate) fn samples(&self, words: &[&str]) -> (Vec<Value>, Option<i32>) {
        let words = [words, &["--json"]].concat();
        let probed = self.probe(&words);
        let samples = probed.stdout.lines().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        });
        let samples: Vec<Value> = samples.collect();
        assert!(!samples.is_empty(), "{}", probed.stderr);
        (samples, probed.code())
    }

    /// The only sample of a probe, and its exit code.
    pub(crate) fn sample(&self, words: &[&str]) -> (Value, Option<i32>) {
        let (mut samples, code) = self.samples(words);
        assert_eq!(samples.len(), 1, "{samples:?}");
        (samples.remove(0), code)
    }

    /// The document that proves why a gate of a sample is closed; it has the name that it must have.
    pub(crate) fn proof(&self, sample: &Value, gate: &str) -> Value {
        let mut findings = sample["findings"].as_array().unwrap().iter();
        let finding = findings.find(|finding| finding["gate"] == gate).unwrap();
        let digest = finding["evidence"].as_str();
        let digest = digest.unwrap_or_else(|| panic!("no evidence of {gate}: {finding:#}"));
        let path = self.list().join(format!("evidence/{digest}.json"));
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(sha256_hex(&bytes), digest);
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Every round of the history.
    pub(crate) fn history(&self) -> Vec<Value> {
        let mut rounds = Vec::new();
        let Ok(files) = std::fs::read_dir(self.list().join("history")) else {
            return rounds;
        };
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(file).unwrap();
            rounds.extend(
                text.lines()
                    .map(|line| serde_json::from_str::<Value>(line).unwrap()),
            );
        }
        rounds
    }

    /// Writes a history as if this round had been taken so many seconds ago.
    pub(crate) fn remember(&self, seconds: i64, samples: &[Value]) {
        let at = jiff::Timestamp::now().as_second() - seconds;
        let month = jiff::Timestamp::from_second(at)
            .unwrap()
            .strftime("%Y-%m.jsonl")
            .to_string();
        let folder = self.list().join("history");
        std::fs::create_dir_all(&folder).unwrap();
        let round = serde_json::json!({"at": at, "control": "alive", "samples": samples});
        std::fs::write(folder.join(month), format!("{round}\n")).unwrap();
    }
}

/// What a check had to say: level, gate and text of each finding.
pub(crate) fn said(sample: &Value, check: &str) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    sample["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|finding| finding["check"] == check)
        .map(|finding| {
            (
                text(&finding["level"]),
                text(&finding["gate"]),
                text(&finding["text"]),
            )
        })
        .collect()
}

/// Fails the test unless a check found this.
#[track_caller]
pub(crate) fn assert_found(sample: &Value, (check, level): (&str, &str), part: &str) {
    let found = said(sample, check);
    let fits = found
        .iter()
        .any(|(of, _, text)| of == level && text.contains(part));
    assert!(fits, "no {level} `{part}` of {check} in {sample:#}");
}

/// The gates that are closed.
pub(crate) fn gates(sample: &Value) -> Vec<&str> {
    let gates = sample["gates"].as_array().unwrap();
    gates.iter().map(|gate| gate.as_str().unwrap()).collect()
}
