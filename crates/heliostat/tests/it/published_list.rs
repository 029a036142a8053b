//! A published list of mirrors that does as it is told: keys from fixed seeds, one person, one online key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::{Finished, Serving};
use heliostat_testkit::universe::Universe;
use heliostat_trust::directory::{self, Publication, registry_role, status_role};
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{Authority, Expiry, Metadata, Root, TargetFile, Unsigned, Version};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::alpha_app::universe;
use crate::signed_world::SignedWorld;

/// Who signs the list.
const PEOPLE: u8 = 21;
/// Who signs how they do.
const PROBER: u8 = 22;

/// A mirror of the list.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) operator: String,
    pub(crate) country: &'static str,
    pub(crate) url: String,
    pub(crate) state: &'static str,
    pub(crate) health: f64,
    pub(crate) layout: &'static str,
}

/// The list, in a folder.
#[derive(Debug)]
pub(crate) struct PublishedList {
    pub(crate) folder: PathBuf,
    pub(crate) entries: Vec<Entry>,
    /// For how long what people sign holds from now on; negative for an expired one.
    pub(crate) registry_hours: i64,
    /// The same for what the prober signs.
    pub(crate) status_hours: i64,
    /// Whose key signs who is on the list.
    pub(crate) registry_seed: u8,
    /// For how long what people sign holds, where it is not hours.
    pub(crate) registry_seconds: Option<i64>,
    version: u64,
}

/// One entry, in the best of health.
pub(crate) fn entry(id: &str, operator: &str, url: &str) -> Entry {
    Entry {
        id: id.to_owned(),
        operator: operator.to_owned(),
        country: "CH",
        url: url.to_owned(),
        state: "active",
        health: 99.0,
        layout: "heliostat",
    }
}

impl PublishedList {
    /// A list that was published once.
    pub(crate) fn new(folder: PathBuf, entries: Vec<Entry>) -> Self {
        let mut list = Self {
            folder,
            entries,
            registry_hours: 2_000,
            status_hours: 6,
            registry_seed: PEOPLE,
            registry_seconds: None,
            version: 1_000,
        };
        list.publish();
        list
    }

    /// The root that trust in the list begins with.
    pub(crate) fn root_file(&self) -> PathBuf {
        self.folder.join("tuf/1.root.json")
    }

    /// Signs the list as it is now, as the next version.
    pub(crate) fn publish(&mut self) {
        self.version += 1;
        self.publish_as(self.version);
    }

    /// Signs the list as it is now, as this version.
    pub(crate) fn publish_as(&self, number: u64) {
        let version = Version::new(number).unwrap();
        let at = Timestamp::from_second(i64::try_from(number).unwrap()).unwrap();
        let root = root();
        self.write(&root.file(), root.unsigned(), PEOPLE);
        let mirrors = bytes(&self.mirrors());
        let status = bytes(&self.status(&mirrors));
        let mut named = [BTreeMap::new(), BTreeMap::new()];
        for (of, path, document) in [(0, "mirrors", &mirrors), (1, "status", &status)] {
            let file = TargetFile::of(document);
            let name = format!("v1/{}.{path}.json", file.sha256.to_hex());
            for name in [name, format!("v1/{path}.json")] {
                write(&self.folder.join(name), document);
            }
            named[of].insert(format!("v1/{path}.json"), file);
        }
        let [registry, state] = named;
        let registry_expires = match self.registry_seconds {
            Some(seconds) => {
                Expiry::after(Timestamp::now(), SignedDuration::from_secs(seconds)).unwrap()
            }
            None => expiry(self.registry_hours),
        };
        let status_expires = expiry(self.status_hours);
        let targets = directory::targets(&root, version, registry_expires);
        self.write(&targets.file(), targets.unsigned(), PEOPLE);
        let role = directory::leaf(registry_role(), version, registry_expires, registry);
        self.write(&role.file(), role.unsigned(), self.registry_seed);
        let publication = Publication {
            targets: version,
            registry: version,
            at,
            expires: status_expires,
        };
        let role = directory::leaf(status_role(), version, status_expires, state);
        self.write(&role.file(), role.unsigned(), PROBER);
        let snapshot = publication.snapshot().unwrap();
        let name = format!("{}.snapshot.json", snapshot.version);
        let file = self.write(&name, snapshot.unsigned(), PROBER);
        let timestamp = publication.timestamp(&file).unwrap();
        self.write("timestamp.json", timestamp.unsigned(), PROBER);
    }

    fn write(&self, name: &str, unsigned: Unsigned, seed: u8) -> Vec<u8> {
        let file = unsigned.sign(&key(seed)).to_file();
        write(&self.folder.join("tuf").join(name), &file);
        file
    }

    fn mirrors(&self) -> Value {
        let mirrors: Vec<Value> = self
            .entries
            .iter()
            .map(|entry| {
                json!({
                    "id": entry.id,
                    "operator": {"name": entry.operator, "country": entry.country},
                    "inception": "2026-10-01",
                    "endpoints": [{
                        "id": format!("{}-main", entry.id), "base": entry.url, "asn": 64_500,
                        "layout": entry.layout,
                        "country": entry.country,
                    }],
                })
            })
            .collect();
        json!({
            "schema": "heliostat.directory.mirrors/1", "policy-version": 1, "policy-sha256": "", "mirrors": mirrors,
        })
    }

    fn status(&self, mirrors: &[u8]) -> Value {
        let share = json!({"ok": 288, "n": 288, "lower": 0.98});
        let endpoints: Vec<Value> = self
            .entries
            .iter()
            .map(|entry| {
                json!({
                    "endpoint": format!("{}-main", entry.id), "mirror": entry.id, "state": entry.state,
                    "since": "2026-10-20T00:00:00Z", "rule": "proven", "next": null, "freshness": "fresh",
                    "lag-seconds": 0, "serial-claimed": 7, "serial-proved": 7, "health": entry.health, "gates": [],
                    "available": share, "complete": share, "intact": share, "warnings": 0, "certificate-days": 60,
                    "vantages": [],
                })
            })
            .collect();
        json!({
            "schema": "heliostat.directory.status/1", "at": "2026-11-26T00:00:00Z", "policy-version": 1,
            "mirrors-sha256": TargetFile::of(mirrors).sha256.to_hex(), "vantages": [], "rounds": 1,
            "last-round-at": null, "endpoints": endpoints,
        })
    }
}

/// Three mirrors of three operators and a list of them.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) signed: SignedWorld,
    pub(crate) mirrors: Vec<TreeMirror>,
    pub(crate) list: PublishedList,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self::of(universe(), &["north Nord", "east Ost", "south Sud"])
    }

    /// The same of any universe, with mirrors of these ids, each followed by its operator.
    pub(crate) fn of(universe: Universe, named: &[&str]) -> Self {
        let signed = SignedWorld::new(universe, 4);
        let mirrors: Vec<_> = (named.iter().map(|_| TreeMirror::serve(signed.tree()))).collect();
        let entries = named.iter().zip(&mirrors).map(|(named, mirror)| {
            let (id, operator) = named.split_once(' ').unwrap();
            entry(id, operator, &mirror.url())
        });
        let list = PublishedList::new(signed.world.place("list"), entries.collect());
        Self {
            signed,
            mirrors,
            list,
        }
    }

    /// One of the mirrors carries the list as it is now, and the same tree as before.
    pub(crate) fn carry(&self, at: usize, name: &str) -> PathBuf {
        let folder = self.signed.world.place(name);
        let listed = folder.join("directory");
        for below in ["tuf", "v1"] {
            std::fs::create_dir_all(listed.join(below)).unwrap();
            for file in std::fs::read_dir(self.list.folder.join(below)).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), listed.join(below).join(file.file_name())).unwrap();
            }
        }
        for part in ["tuf", "simple", "packages"] {
            std::os::unix::fs::symlink(self.signed.tree().join(part), folder.join(part)).unwrap();
        }
        self.mirrors[at].move_to(folder);
        listed
    }

    pub(crate) fn arguments(&self, from: &str, more: &[&str]) -> Vec<String> {
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
    pub(crate) fn proxy(&self, more: &[&str]) -> Serving {
        let folder = self.list.folder.display().to_string();
        self.proxy_from(&folder, more)
    }

    #[track_caller]
    pub(crate) fn proxy_from(&self, from: &str, more: &[&str]) -> Serving {
        let arguments = self.arguments(from, more);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.signed.proxy_at(&[], &words)
    }

    /// The same with mirrors of the user's own.
    #[track_caller]
    pub(crate) fn proxy_beside(&self, mirrors: &[String], more: &[&str]) -> Serving {
        let folder = self.list.folder.display().to_string();
        let arguments = self.arguments(&folder, more);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.signed.proxy_at(mirrors, &words)
    }

    /// A proxy that does not start.
    pub(crate) fn refused(&self, more: &[&str]) -> Finished {
        let folder = self.list.folder.display().to_string();
        let arguments = self.arguments(&folder, more);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.signed.proxy_refused(&words)
    }

    pub(crate) fn asked(&self) -> usize {
        self.mirrors
            .iter()
            .filter(|mirror| !mirror.requests().is_empty())
            .count()
    }
}

fn root() -> Root {
    let people = || Authority::single(key(PEOPLE).public().clone());
    let prober = || Authority::single(key(PROBER).public().clone());
    Root {
        version: Version::FIRST,
        expires: expiry(8_000),
        root: people(),
        targets: people(),
        snapshot: prober(),
        timestamp: prober(),
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn expiry(hours: i64) -> Expiry {
    // The same all the time, so that the root stays what it was.
    let now = Timestamp::from_second(Timestamp::now().as_second() / 86_400 * 86_400).unwrap();
    let base = if hours > 1_000 { now } else { Timestamp::now() };
    Expiry::after(base, SignedDuration::from_hours(hours)).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(value).unwrap()
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
