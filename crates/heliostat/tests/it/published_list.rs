//! A published list of mirrors that does as it is told: keys from fixed seeds, one person, one online key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use heliostat_trust::directory::{self, Publication, registry_role, status_role};
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{Authority, Expiry, Metadata, Root, TargetFile, Unsigned, Version};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

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
        let registry_expires = expiry(self.registry_hours);
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
