//! `heliostat trust init` and `install`: from now on the tree of this data directory is signed.

use std::path::PathBuf;

use heliostat_engine::Events;
use heliostat_engine::publish::{self, OfflineFiles};
use heliostat_store::Store;
use heliostat_trust::bins::BinCount;
use heliostat_trust::ceremony::{self, Document, Draft, Existing, RootWish};
use heliostat_trust::keys::{ScryptCost, SigningKey};
use heliostat_trust::metadata::{Authority, RoleName, Root, Signed, Targets};

use super::{expiry, files, keys, passphrase};
use crate::cli::{CommonArgs, TrustInitArgs};
use crate::commands::UsageError;
use crate::{reporter, signing, wire};

/// The label of the only key, in everything that shows keys.
const SINGLE_KEY: &str = "single-key";
/// So many projects are reckoned with where the tree holds fewer: a change of the number needs a ceremony.
const PROJECTS_MIN: u64 = 1_000;

pub(super) fn init(common: &CommonArgs, args: &TrustInitArgs) -> anyhow::Result<()> {
    let store = wire::open_store(common, &Events::none())?;
    if store.notary()?.is_some() {
        let text = "this data directory is signed already; `heliostat trust status` tells more";
        return Err(UsageError(text.to_owned()).into());
    }
    let expires = expiry::read(&args.expires, expiry::now()?)?;
    let projects = match args.projects {
        Some(projects) => projects,
        None => store.totals()?.projects.max(PROJECTS_MIN),
    };
    let key = SigningKey::generate()?.with_label(SINGLE_KEY)?;
    let private = if args.protect {
        key.to_protected_file(&passphrase::fresh(&args.passphrase)?, ScryptCost::Guarded)?
    } else {
        key.to_plain_file()?
    };
    files::directory(&store.keys())?;
    let path = store.keys().join(signing::ONLINE_KEY);
    keys::write(&key, &path, private.as_bytes())?;
    reporter::talk(&format!("wrote {}", path.display()));
    keys::print(key.public());

    let one = Authority::single(key.public().clone());
    let wish = RootWish {
        people: one.clone(),
        online: one,
        expires,
    };
    let draft = ceremony::root(None, &wish);
    let root = signed(&draft, &key, &Existing::default())?;
    let existing = Existing {
        root: draft
            .documents()
            .iter()
            .find_map(|document| match document {
                Document::Root(root) => Some(root.clone()),
                Document::Targets(_) => None,
            }),
    };
    let count = BinCount::for_projects(projects);
    let delegations = match &existing.root {
        Some(root) => ceremony::delegations(root, count, expires, (None, None)),
        None => draft,
    };
    let mut below = signed(&delegations, &key, &existing)?.into_iter();
    let files = OfflineFiles {
        roots: root.clone(),
        targets: below.next(),
        bins: below.next(),
    };
    publish::install(&store, &files, wire::clock().now())?;
    reporter::talk(&format!(
        "single-key: this one key signs everything, {count} bins. Whoever uses this mirror needs {}",
        common_root(&store)
    ));
    Ok(())
}

pub(super) fn install(common: &CommonArgs, paths: &[PathBuf]) -> anyhow::Result<()> {
    let mut roots = Vec::new();
    let mut files = OfflineFiles::default();
    for path in paths {
        let bytes = files::text(path)?.into_bytes();
        if let Ok(root) = Signed::<Root>::read(&bytes) {
            roots.push((root.value.version, bytes));
            continue;
        }
        let role = files::metadata::<Targets>(path)?.value.role;
        let place = if role == RoleName::targets() {
            &mut files.targets
        } else if role == RoleName::bins() {
            &mut files.bins
        } else {
            let text = format!("`{}` is no role that people sign", path.display());
            return Err(UsageError(text).into());
        };
        if place.replace(bytes).is_some() {
            return Err(UsageError(format!("`{role}` was given twice")).into());
        }
    }
    roots.sort_unstable();
    files.roots = roots.into_iter().map(|(_, bytes)| bytes).collect();
    let store = wire::open_store(common, &Events::none())?;
    publish::install(&store, &files, wire::clock().now())?;
    reporter::talk("the tree has them; `sync` and `serve` sign its pages from now on");
    Ok(())
}

fn signed(draft: &Draft, key: &SigningKey, existing: &Existing) -> anyhow::Result<Vec<Vec<u8>>> {
    let made = ceremony::assemble(draft, &[ceremony::sign(draft, key)], existing)?;
    Ok(made.into_iter().map(|one| one.bytes).collect())
}

fn common_root(store: &Store) -> String {
    store.web().join("tuf/1.root.json").display().to_string()
}
