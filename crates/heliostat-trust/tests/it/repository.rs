//! A repository of ours in memory, with every key at hand: what a notary would publish, and what a thief could.

use std::collections::BTreeMap;

use heliostat_trust::bins::{Bin, BinCount};
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{
    Authority, Coverage, Delegation, Expiry, Extent, Metadata, Pin, RoleName, Root, Scope,
    Snapshot, TargetFile, Targets, Timestamp, Version,
};

/// Files below `tuf/`.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The people's keys.
pub(crate) const PEOPLE: [u8; 3] = [1, 2, 3];
/// The notary's online key.
pub(crate) const ONLINE: u8 = 9;
/// Somebody else's key.
pub(crate) const STRANGER: u8 = 66;

pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

pub(crate) fn now() -> jiff::Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

pub(crate) fn later() -> Expiry {
    "2027-11-25T12:00:00Z".parse().unwrap()
}

pub(crate) fn earlier() -> Expiry {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// Two of these keys.
pub(crate) fn two_of(numbers: &[u8]) -> Authority {
    let keys = numbers.iter().map(|number| key(*number).public().clone());
    Authority::new(keys, 2).unwrap()
}

pub(crate) fn one(number: u8) -> Authority {
    Authority::single(key(number).public().clone())
}

/// The file of any metadata, signed by these keys.
pub(crate) fn signed(value: &impl Metadata, by: &[u8]) -> Vec<u8> {
    let unsigned = value.unsigned();
    by.iter()
        .fold(unsigned, |unsigned, number| unsigned.sign(&key(*number)))
        .to_file()
}

/// The page of a project, for these tests.
pub(crate) fn page(project: &str) -> Vec<u8> {
    format!("{{\"name\":\"{project}\"}}\n").into_bytes()
}

pub(crate) fn path(project: &str) -> String {
    format!("simple/{project}/index.v1_json")
}

/// The values, to be changed and published again.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) root: Root,
    pub(crate) targets: Targets,
    pub(crate) bins: Targets,
    pub(crate) count: BinCount,
    pub(crate) bin: BTreeMap<RoleName, Targets>,
    pub(crate) snapshot: Snapshot,
    pub(crate) timestamp: Timestamp,
    pub(crate) files: Files,
}

impl Repository {
    /// Published once, with so many bins and these projects.
    pub(crate) fn new(count: u64, projects: &[String]) -> Self {
        let count = BinCount::new(count).unwrap();
        let empty = |role| Targets {
            role,
            version: Version::FIRST,
            expires: later(),
            targets: BTreeMap::new(),
            delegations: Vec::new(),
        };
        let delegation = Delegation {
            name: RoleName::bins(),
            authority: two_of(&PEOPLE),
            scope: Scope::Paths(vec!["simple/*/*".into(), "heliostat/*".into()]),
            terminating: false,
        };
        let mut repository = Self {
            root: Root {
                version: Version::FIRST,
                expires: later(),
                root: two_of(&PEOPLE),
                targets: two_of(&PEOPLE),
                snapshot: one(ONLINE),
                timestamp: one(ONLINE),
            },
            targets: Targets {
                delegations: vec![delegation],
                ..empty(RoleName::targets())
            },
            bins: Targets {
                delegations: count.delegations(&one(ONLINE)),
                ..empty(RoleName::bins())
            },
            count,
            bin: count
                .bins()
                .map(|bin| (bin.role(), empty(bin.role())))
                .collect(),
            snapshot: Snapshot {
                version: Version::FIRST,
                expires: later(),
                roles: BTreeMap::new(),
                coverage: Some(Coverage {
                    extent: Extent::Complete,
                    upstream: "https://index.example/simple/".to_owned(),
                    serial: None,
                }),
            },
            timestamp: Timestamp {
                version: Version::FIRST,
                expires: later(),
                snapshot: Pin::version(Version::FIRST),
                signed_at: Some(now()),
            },
            files: Files::new(),
        };
        for project in projects {
            repository.put(project);
        }
        repository.sign_people();
        repository.sign_bins();
        repository.sign_current();
        repository
    }

    /// The bin of a project's page.
    pub(crate) fn bin_of(&self, project: &str) -> Bin {
        self.count.bin_of(&path(project))
    }

    /// Names a project's page in its bin.
    pub(crate) fn put(&mut self, project: &str) {
        let role = self.bin_of(project).role();
        let bin = self.bin.get_mut(&role).unwrap();
        bin.targets
            .insert(path(project), TargetFile::of(&page(project)));
    }

    /// Writes what people sign, as it is.
    pub(crate) fn sign_people(&mut self) {
        self.write(&self.root.file(), signed(&self.root, &PEOPLE[..2]));
        let targets = RoleName::targets().file(self.targets.version);
        self.write(&targets, signed(&self.targets, &PEOPLE[..2]));
        let bins = RoleName::bins().file(self.bins.version);
        self.write(&bins, signed(&self.bins, &PEOPLE[..2]));
    }

    /// Writes every bin, as it is.
    pub(crate) fn sign_bins(&mut self) {
        for (name, bin) in &self.bin {
            let file = signed(bin, &[ONLINE]);
            self.files.insert(name.file(bin.version), file);
        }
    }

    /// Another version of a bin.
    pub(crate) fn sign_bin(&mut self, bin: Bin) {
        let targets = self.bin.get_mut(&bin.role()).unwrap();
        targets.version = targets.version.next();
        let file = signed(targets, &[ONLINE]);
        let name = bin.role().file(targets.version);
        self.write(&name, file);
    }

    /// The next version of snapshot and timestamp, for everything as it is.
    pub(crate) fn publish(&mut self) {
        self.snapshot.version = self.snapshot.version.next();
        self.timestamp.version = self.timestamp.version.next();
        self.sign_current();
    }

    /// Pins everything as it is in snapshot and timestamp.
    fn sign_current(&mut self) {
        let mut roles: BTreeMap<_, _> = self
            .bin
            .iter()
            .map(|(name, bin)| (name.clone(), Pin::version(bin.version)))
            .collect();
        for (name, role) in [
            (RoleName::targets(), &self.targets),
            (RoleName::bins(), &self.bins),
        ] {
            roles.insert(name, Pin::version(role.version));
        }
        let earlier = self.snapshot.clone();
        self.snapshot.roles = roles;
        self.snapshot = self.snapshot.clone().carrying_on(&earlier);
        self.sign_snapshot(&[ONLINE]);
    }

    /// Signs the snapshot as it is, and a timestamp that pins it.
    pub(crate) fn sign_snapshot(&mut self, by: &[u8]) {
        let file = signed(&self.snapshot, by);
        self.timestamp.snapshot = Pin::exact(self.snapshot.version, &file);
        self.write(&format!("{}.snapshot.json", self.snapshot.version), file);
        self.sign_timestamp();
    }

    pub(crate) fn sign_timestamp(&mut self) {
        let file = signed(&self.timestamp, &[ONLINE]);
        self.write("timestamp.json", file);
    }

    pub(crate) fn write(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(name.to_owned(), bytes);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.files.remove(name).expect("it is there");
    }
}

/// Names of projects: enough that every one of 32 bins has some.
pub(crate) fn projects(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("project-{number}"))
        .collect()
}
