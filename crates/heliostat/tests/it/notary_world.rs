//! A mirror whose pages are signed, with one key for everything.

use std::path::{Path, PathBuf};

use heliostat_engine::publish::{self, OfflineFiles};
use heliostat_store::Store;
use heliostat_testkit::process::{Finished, Heliostat, Serving};
use heliostat_trust::bins::BinCount;
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{
    Authority, Delegation, Expiry, Metadata as _, RoleName, Root, Scope, Targets, Version,
};

use crate::world::World;

/// How long what people sign holds here.
const LIFE: jiff::SignedDuration = jiff::SignedDuration::from_hours(1_000);

/// Switches signing on in a data directory, with so many bins.
pub(crate) fn begin(heliostat: &Heliostat, bins: u64) {
    let store = Store::open(heliostat.data()).unwrap();
    let key = SigningKey::generate().unwrap();
    let pem = key.to_plain_file().unwrap();
    std::fs::write(store.keys().join("online.key"), pem.as_bytes()).unwrap();
    let now = jiff::Timestamp::now();
    let expires = Expiry::after(now, LIFE).unwrap();
    let single = Authority::single(key.public().clone());
    let root = Root {
        version: Version::FIRST,
        expires,
        root: single.clone(),
        targets: single.clone(),
        snapshot: single.clone(),
        timestamp: single.clone(),
    };
    let role = |role: RoleName, delegations: Vec<Delegation>| Targets {
        role,
        version: Version::FIRST,
        expires,
        targets: [].into(),
        delegations,
    };
    let to_bins = Delegation {
        name: RoleName::bins(),
        authority: single.clone(),
        scope: Scope::Paths(vec!["simple/*/*".to_owned(), "heliostat/*".to_owned()]),
        terminating: false,
    };
    let bins = BinCount::new(bins).unwrap().delegations(&single);
    let files = OfflineFiles {
        roots: vec![root.unsigned().sign(&key).to_file()],
        targets: Some(
            role(RoleName::targets(), vec![to_bins])
                .unsigned()
                .sign(&key)
                .to_file(),
        ),
        bins: Some(role(RoleName::bins(), bins).unsigned().sign(&key).to_file()),
    };
    publish::install(&store, &files, now.as_second()).unwrap();
}

/// The first root, as a client is given it by a way it trusts.
pub(crate) fn root(heliostat: &Heliostat) -> PathBuf {
    heliostat.web().join("tuf/1.root.json")
}

/// A TUF client with a state of its own that downloads the page of a project.
pub(crate) fn take(
    world: &World,
    root: &Path,
    serving: &Serving,
    state: &str,
    project: &str,
) -> Finished {
    let state = world.place(state);
    let invocation = || {
        world
            .heliostat
            .bare()
            .args(["tuf-client", "--metadata-dir"])
            .arg(&state)
    };
    if !state.exists() {
        invocation().arg("init").arg(root).run().assert_code(0);
    }
    let into = world.place("taken");
    std::fs::create_dir_all(&into).unwrap();
    invocation()
        .args(["--metadata-url", &format!("{}/tuf/", serving.url)])
        .args(["--target-base-url", &format!("{}/", serving.url)])
        .args(["--target-name", &format!("simple/{project}/index.v1_json")])
        .arg("--target-dir")
        .arg(into)
        .arg("download")
        .run()
}

/// Copies a tree as a mirror does that knows nothing of it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
