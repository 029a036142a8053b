//! A signed tree of this test's own, mirrors of it that lie as told, and the proxy in front of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use heliostat_pypi::Sha256;
use heliostat_testkit::mirror::TreeMirror;
use heliostat_testkit::process::{Finished, Heliostat, Serving};
use heliostat_testkit::universe::Universe;
use heliostat_trust::bins::BinCount;
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{
    Authority, Coverage, Delegation, Expiry, Extent, Metadata, Pin, RoleName, Root, Scope,
    Snapshot, TargetFile, Targets, Timestamp, Unsigned, Version,
};
use jiff::SignedDuration;

use crate::notary_world;
use crate::world::World;

/// A notary that does as it is told: keys from fixed seeds, every role in the hands of one key.
#[derive(Debug)]
pub(crate) struct Notary {
    tree: PathBuf,
    bins: BinCount,
    version: Version,
    root_version: Version,
    pub(crate) online_seed: u8,
    pub(crate) extent: Extent,
    /// For how long what it signs has been signed, as it says; `None` says nothing.
    pub(crate) age: Option<SignedDuration>,
    /// When it signs, against now.
    pub(crate) shift: SignedDuration,
}

/// A mirror's tree, signed, and a proxy that trusts its notary.
#[derive(Debug)]
pub(crate) struct SignedWorld {
    pub(crate) world: World,
    pub(crate) notary: Notary,
    proxies: Heliostat,
}

impl Notary {
    /// A notary of a tree, which has signed it once.
    pub(crate) fn new(tree: PathBuf, bins: u64) -> Self {
        let mut notary = Self {
            tree,
            bins: BinCount::new(bins).unwrap(),
            version: version(1),
            root_version: version(1),
            online_seed: 9,
            extent: Extent::Complete,
            age: Some(SignedDuration::ZERO),
            shift: SignedDuration::ZERO,
        };
        notary.sign_root();
        notary.sign();
        notary
    }

    /// The file that trust begins with.
    pub(crate) fn root_file(&self) -> PathBuf {
        self.tree.join("tuf/1.root.json")
    }

    /// Signs the next root, which names another online key, and the tree with that.
    pub(crate) fn rotate(&mut self, online_seed: u8) {
        self.online_seed = online_seed;
        self.root_version = self.root_version.next();
        self.sign_root();
        self.sign();
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn expires(&self) -> Expiry {
        let now = jiff::Timestamp::now() + self.shift;
        Expiry::after(now, SignedDuration::from_hours(24)).unwrap()
    }

    fn write(&self, name: &str, unsigned: Unsigned, seed: u8) -> Vec<u8> {
        let file = unsigned.sign(&Self::key(seed)).to_file();
        std::fs::create_dir_all(self.tree.join("tuf")).unwrap();
        std::fs::write(self.tree.join("tuf").join(name), &file).unwrap();
        file
    }

    /// Signs a root that names the online key in force.
    fn sign_root(&self) {
        let offline = || Authority::single(Self::key(1).public().clone());
        let online = || Authority::single(Self::key(self.online_seed).public().clone());
        let root = Root {
            version: self.root_version,
            expires: Expiry::after(jiff::Timestamp::now(), SignedDuration::from_hours(8_000))
                .unwrap(),
            root: offline(),
            targets: offline(),
            snapshot: online(),
            timestamp: online(),
        };
        self.write(&root.file(), root.unsigned(), 1);
    }

    /// Signs the tree as it is: every page, every role with the next version.
    pub(crate) fn sign(&mut self) {
        let offline = Authority::single(Self::key(1).public().clone());
        let online = Authority::single(Self::key(self.online_seed).public().clone());
        let now = self.version;
        let mut roles: BTreeMap<RoleName, Pin> = BTreeMap::new();
        let targets = Targets {
            role: RoleName::targets(),
            version: now,
            expires: self.expires(),
            targets: BTreeMap::new(),
            delegations: vec![Delegation {
                name: RoleName::bins(),
                authority: offline,
                scope: Scope::Paths(vec!["simple/*/*".to_owned(), "heliostat/*".to_owned()]),
                terminating: false,
            }],
        };
        let bins = Targets {
            role: RoleName::bins(),
            delegations: self.bins.delegations(&online),
            ..targets.clone()
        };
        self.write(&RoleName::targets().file(now), targets.unsigned(), 1);
        self.write(&RoleName::bins().file(now), bins.unsigned(), 1);
        for name in [RoleName::targets(), RoleName::bins()] {
            roles.insert(name, Pin::version(now));
        }
        let pages = self.pages();
        for bin in self.bins.bins() {
            let of_bin = pages
                .iter()
                .filter(|(path, _)| self.bins.bin_of(path) == bin)
                .map(|(path, page)| (path.clone(), *page))
                .collect();
            let role = Targets {
                role: bin.role(),
                targets: of_bin,
                delegations: Vec::new(),
                ..targets.clone()
            };
            self.write(&bin.role().file(now), role.unsigned(), self.online_seed);
            roles.insert(bin.role(), Pin::version(now));
        }
        let snapshot = Snapshot {
            version: now,
            expires: self.expires(),
            roles,
            coverage: Some(Coverage {
                extent: self.extent.clone(),
                upstream: "https://index.example/simple/".to_owned(),
                serial: None,
            }),
        };
        let file = self.write(
            &format!("{now}.snapshot.json"),
            snapshot.unsigned(),
            self.online_seed,
        );
        let timestamp = Timestamp {
            version: now,
            expires: self.expires(),
            snapshot: Pin::exact(now, &file),
            signed_at: self.age.map(|age| jiff::Timestamp::now() - age),
        };
        self.write("timestamp.json", timestamp.unsigned(), self.online_seed);
        self.version = now.next();
    }

    /// Signs the tree as it is once more as the first version.
    pub(crate) fn sign_the_first_version_again(&mut self) {
        self.version = version(1);
        self.sign();
    }

    /// Every page as a target, with its signed copy beside it.
    fn pages(&self) -> BTreeMap<String, TargetFile> {
        let mut pages = BTreeMap::new();
        for entry in std::fs::read_dir(self.tree.join("simple")).unwrap() {
            let path = entry.unwrap().path();
            let Ok(page) = std::fs::read(path.join("index.v1_json")) else {
                continue;
            };
            let copy = format!("{}.index.v1_json", Sha256::of(&page));
            std::fs::write(path.join(copy), &page).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            pages.insert(
                format!("simple/{name}/index.v1_json"),
                TargetFile::of(&page),
            );
        }
        pages
    }
}

impl SignedWorld {
    /// A mirror of everything in a universe, signed with so many bins.
    pub(crate) fn new(universe: Universe, bins: u64) -> Self {
        let world = World::new(universe);
        world.sync(&["--all"]).assert_code(0);
        let notary = Notary::new(world.heliostat.web(), bins);
        let proxies = crate::world::heliostat(&world.place("client"));
        Self {
            world,
            notary,
            proxies,
        }
    }

    /// The tree.
    pub(crate) fn tree(&self) -> PathBuf {
        self.world.heliostat.web()
    }

    /// A copy of the tree as it is now.
    pub(crate) fn copy_tree(&self, name: &str) -> PathBuf {
        let copy = self.world.place(name);
        notary_world::copy(&self.tree(), &copy);
        copy
    }

    /// `heliostat proxy` in front of these mirrors, once it listens.
    #[track_caller]
    pub(crate) fn proxy(&self, mirrors: &[&TreeMirror]) -> Serving {
        self.proxy_with(mirrors, &[])
    }

    /// The same with more arguments.
    #[track_caller]
    pub(crate) fn proxy_with(&self, mirrors: &[&TreeMirror], arguments: &[&str]) -> Serving {
        let urls: Vec<String> = mirrors.iter().map(|mirror| mirror.url()).collect();
        self.proxy_at(&urls, arguments)
    }

    /// The same in front of any addresses.
    #[track_caller]
    pub(crate) fn proxy_at(&self, mirrors: &[String], arguments: &[&str]) -> Serving {
        let mut command = self
            .proxies
            .command("proxy")
            .args(["--listen", "127.0.0.1:0", "--root"])
            .arg(self.notary.root_file());
        for mirror in mirrors {
            command = command.args(["--mirror", mirror]);
        }
        Serving::wait(command.args(arguments).start())
    }

    /// `heliostat proxy` with these arguments, which it refuses.
    #[cfg(feature = "directory")]
    pub(crate) fn proxy_refused(&self, arguments: &[&str]) -> Finished {
        self.proxies
            .command("proxy")
            .args(["--listen", "127.0.0.1:0", "--root"])
            .arg(self.notary.root_file())
            .args(arguments)
            .run()
    }

    /// Another command with the proxy's data directory.
    #[cfg(feature = "directory")]
    pub(crate) fn client(&self, command: &str) -> heliostat_testkit::process::Invocation {
        self.proxies.command(command)
    }

    /// `heliostat proxy why NAME`.
    pub(crate) fn why(&self, name: &str) -> Finished {
        self.proxies.command("proxy why").arg(name).run()
    }

    /// Where the proxy keeps its state.
    pub(crate) fn client_state(&self) -> PathBuf {
        self.proxies.data().join("proxy")
    }

    /// The version of a role that the proxy trusts, as its state on disk says.
    pub(crate) fn trusted_version(&self, role: &str) -> u64 {
        let path = self.client_state().join("tuf").join(format!("{role}.json"));
        let file: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        file["signed"]["version"].as_u64().unwrap()
    }
}

/// A version that a test gives.
fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}
