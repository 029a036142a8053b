//! `heliostat trust init`: a root of one key, made here and now. Good for trying and within one house; for a public
//! mirror people hold the keys of the root, by the ceremony.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use heliostat_engine::Events;
use heliostat_engine::publish::{self, Notary, OfflineFiles, Urge};
use heliostat_pypi::Sha256;
use heliostat_store::Store;
use heliostat_trust::bins::BinCount;
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{
    Authority, Delegation, Expiry, Metadata as _, RoleName, Root, Scope, Targets, Version,
};
use jiff::{SignedDuration, Timestamp};

use crate::cli::{CommonArgs, TrustInitArgs};
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{reporter, wire};

/// The key that signs root, targets and bins: what people hold elsewhere where the ceremony is kept.
const OFFLINE_KEY: &str = "offline.key";
/// The key that signs each bin, the snapshot and the timestamp.
const ONLINE_KEY: &str = "online.key";
/// How long what people sign holds.
const OFFLINE_LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);

pub(super) fn run(common: &CommonArgs, args: &TrustInitArgs) -> anyhow::Result<Outcome> {
    let store = wire::open_store(common, &Events::none())?;
    if store.notary()?.is_some() {
        return Err(UsageError(format!(
            "the mirror in `{}` is signed already",
            store.data().display()
        ))
        .into());
    }
    let count = match (args.bins, args.projects) {
        (Some(bins), _) => BinCount::new(bins).map_err(|error| UsageError(error.to_string()))?,
        (None, Some(projects)) => BinCount::for_projects(projects),
        (None, None) => BinCount::for_projects(store.totals()?.projects),
    };
    let now = wire::clock().now();
    let offline = SigningKey::generate()?.with_label("offline")?;
    let online = SigningKey::generate()?.with_label("online")?;
    let (root, files) = files(&offline, &online, count, now)?;
    for (name, key) in [(OFFLINE_KEY, &offline), (ONLINE_KEY, &online)] {
        write_private(&store.keys().join(name), &key.to_plain_file()?)?;
    }
    publish::install(&store, &files, now)?;
    let notary = Notary::of_key(online);
    publish::publish_now(&store, &notary, now, Urge::Heartbeat)?;
    tell(&store, &root);
    Ok(Outcome::Done)
}

/// The root file, and everything to install.
fn files(
    offline: &SigningKey,
    online: &SigningKey,
    count: BinCount,
    now: i64,
) -> anyhow::Result<(Vec<u8>, OfflineFiles)> {
    let people = Authority::single(offline.public().clone());
    let machine = Authority::single(online.public().clone());
    let expires = Expiry::after(Timestamp::from_second(now)?, OFFLINE_LIFE)?;
    let root = Root {
        version: Version::FIRST,
        expires,
        root: people.clone(),
        targets: people.clone(),
        snapshot: machine.clone(),
        timestamp: machine.clone(),
    };
    let targets = Targets {
        role: RoleName::targets(),
        version: Version::FIRST,
        expires,
        targets: [].into(),
        delegations: vec![Delegation {
            name: RoleName::bins(),
            authority: people,
            scope: Scope::Paths(vec!["simple/*/*".to_owned(), "heliostat/*".to_owned()]),
            terminating: false,
        }],
    };
    let bins = Targets {
        role: RoleName::bins(),
        version: Version::FIRST,
        expires,
        targets: [].into(),
        delegations: count.delegations(&machine),
    };
    let root = root.unsigned().sign(offline).to_file();
    let files = OfflineFiles {
        roots: vec![root.clone()],
        targets: Some(targets.unsigned().sign(offline).to_file()),
        bins: Some(bins.unsigned().sign(offline).to_file()),
    };
    Ok((root, files))
}

/// A file that nobody else may read, and that was not there.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })
    .with_context(|| format!("cannot write the key `{}`", path.display()))
}

fn tell(store: &Store, root: &[u8]) {
    let path = store.web().join("tuf/1.root.json");
    reporter::print(&format!("{}\n", path.display()));
    reporter::talk(&format!(
        "signed with a single key, kept in `{}`: whoever reads that directory can sign as this mirror\n\
         hand `{}` to those who install, by a way they trust; its sha256 is {}\n\
         they run: heliostat proxy --root 1.root.json --mirror URL",
        store.keys().display(),
        path.display(),
        Sha256::of(root),
    ));
}
