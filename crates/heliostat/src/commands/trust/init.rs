//! `heliostat trust init`: from now on the tree of this data directory is signed, with a root of one key, made here and
//! now. Good for trying and within one house; for a public mirror people hold the keys of the root, by the ceremony, and
//! `trust install` takes what they signed.
//!
//! It can be run again after it was cut off anywhere: what is there is gone on with, and no key is ever made twice. What
//! was typed is judged before anything is made.

use std::path::Path;

use anyhow::Context as _;
use heliostat_engine::Events;
use heliostat_engine::publish::{self, Notary, OfflineFiles, Urge};
use heliostat_pypi::Sha256;
use heliostat_store::{Origin, Store};
use heliostat_trust::TrustError;
use heliostat_trust::bins::BinCount;
use heliostat_trust::ceremony::{self, Document, Draft, Existing, RootWish};
use heliostat_trust::keys::{Passphrase, ScryptCost, SigningKey};
use heliostat_trust::metadata::{Authority, Expiry, Root, Signed};

use super::{expiry, files, keys, passphrase, trusted_root};
use crate::cli::{CommonArgs, TrustInitArgs};
use crate::commands::UsageError;
use crate::{reporter, signing, wire};

/// The key that signs root, targets and bins: what people hold elsewhere where the ceremony is kept.
pub(super) const OFFLINE_KEY: &str = "offline.key";
/// The file of the first root.
const FIRST_ROOT: &str = "1.root.json";
/// The largest root, in bytes.
const ROOT_BYTES_MAX: u64 = 512 << 10;

/// What was typed, once it is known to be usable.
struct Wish {
    /// `None`: as the projects that are held want it.
    count: Option<BinCount>,
    expires: Expiry,
    trusted_root: Option<Vec<u8>>,
}

/// The keys of the mirror.
struct Keys {
    offline: SigningKey,
    online: SigningKey,
}

pub(super) fn init(common: &CommonArgs, args: &TrustInitArgs) -> anyhow::Result<()> {
    let wish = Wish::read(args)?;
    // Where there is no data directory yet, none is made for somebody who cannot name a passphrase.
    let is_new = !Store::is_at(&wire::data_directory(common));
    let early = if is_new { new_protection(args)? } else { None };
    let store = wire::open_store(common, &Events::none())?;
    let now = wire::clock().now();
    if let Some(online) = cut_off_before_publishing(&store)? {
        publish::publish_now(&store, &Notary::of_key(online), now, Urge::Heartbeat)?;
        return tell(&store);
    }
    let keys = Keys::had(&store, args, early)?;
    let files = roles(&store, &keys, wish)?;
    publish::install(&store, &files, now)?;
    publish::publish_now(&store, &Notary::of_key(keys.online), now, Urge::Heartbeat)?;
    tell(&store)
}

impl Wish {
    fn read(args: &TrustInitArgs) -> anyhow::Result<Self> {
        let count = match (args.bins, args.projects) {
            (Some(bins), _) => {
                Some(BinCount::new(bins).map_err(|error| UsageError(error.to_string()))?)
            }
            (None, projects) => projects.map(BinCount::for_projects),
        };
        let trusted_root = if args.no_trusted_root {
            None
        } else {
            Some(trusted_root::read(args.trusted_root.as_deref())?)
        };
        Ok(Self {
            count,
            expires: expiry::read(&args.expires, expiry::now()?)?,
            trusted_root,
        })
    }
}

/// The passphrase of a new offline key, where it is to have one.
fn new_protection(args: &TrustInitArgs) -> anyhow::Result<Option<Passphrase>> {
    args.protect
        .then(|| passphrase::fresh(&args.passphrase))
        .transpose()
}

/// The online key, where an earlier call came as far as the roles and not to a first timestamp.
fn cut_off_before_publishing(store: &Store) -> anyhow::Result<Option<SigningKey>> {
    let Some(notary) = store.notary()? else {
        return Ok(None);
    };
    let is_published = (store.roles()?.iter()).any(|role| role.name == "timestamp");
    let path = store.keys().join(signing::ONLINE_KEY);
    if notary.origin == Origin::Own && !is_published && path.exists() {
        let online = opened(&path, || Err(TrustError::PassphraseMissing.into()))?;
        let root = publish::newest_file(store, "root")?;
        let root = root.map(|root| Signed::<Root>::read(&root)).transpose()?;
        if root.is_some_and(|root| root.value.timestamp.key(online.id()).is_some()) {
            return Ok(Some(online));
        }
    }
    let data = store.data().display();
    Err(UsageError(match notary.origin {
        Origin::Own => {
            format!("the mirror in `{data}` is signed already; `heliostat trust status` tells more")
        }
        Origin::Carried => format!(
            "the mirror in `{data}` carries what its upstream's notary signed; to have one sign itself, run `heliostat \
             trust init` with a new `--data`, and import or sync into that"
        ),
    })
    .into())
}

impl Keys {
    /// Those that an earlier call made, else new ones, which are on the disk then.
    fn had(store: &Store, args: &TrustInitArgs, early: Option<Passphrase>) -> anyhow::Result<Self> {
        let place = |name: &str| store.keys().join(name);
        let (offline, online) = (place(OFFLINE_KEY), place(signing::ONLINE_KEY));
        files::directory(&store.keys())?;
        files::clear_half(&offline)?;
        files::clear_half(&online)?;
        let offline_key = if offline.exists() {
            had_offline(&offline, args)?
        } else {
            let key = SigningKey::generate()?;
            let protection = match early {
                None => new_protection(args)?,
                early => early,
            };
            let private = match protection {
                Some(passphrase) => key.to_protected_file(&passphrase, ScryptCost::Guarded)?,
                None => key.to_plain_file()?,
            };
            files::write_whole(&offline, private.as_bytes())?;
            key
        };
        let online_key = if online.exists() {
            opened(&online, || Err(TrustError::PassphraseMissing.into()))?
        } else {
            let key = SigningKey::generate()?;
            files::write_whole(&online, key.to_plain_file()?.as_bytes())?;
            key
        };
        let keys = Self {
            offline: offline_key.with_label("single-key offline")?,
            online: online_key.with_label("single-key online")?,
        };
        keys::write_public(&keys.offline, &offline)?;
        keys::write_public(&keys.online, &online)?;
        Ok(keys)
    }
}

/// The offline key of an earlier call, which is protected now if it was to be protected then.
fn had_offline(path: &Path, args: &TrustInitArgs) -> anyhow::Result<SigningKey> {
    let mut is_protected = false;
    let key = opened(path, || {
        is_protected = true;
        passphrase::existing(&args.passphrase)
    })?;
    if args.protect && !is_protected {
        let text = format!(
            "an earlier `trust init` left `{}` without a passphrase: leave out `--protect`, or move the key away",
            path.display()
        );
        return Err(UsageError(text).into());
    }
    Ok(key)
}

fn opened(
    path: &Path,
    passphrase: impl FnOnce() -> anyhow::Result<Passphrase>,
) -> anyhow::Result<SigningKey> {
    let text = zeroize::Zeroizing::new(files::text(path)?);
    SigningKey::from_file(&text, passphrase).with_context(|| {
        format!(
            "an earlier `trust init` left the key `{}`, which cannot be opened and is not made anew; move it away if \
             nobody has the root that it signed",
            path.display()
        )
    })
}

/// What people sign elsewhere, signed here; what an earlier call put into the tree stays.
fn roles(store: &Store, keys: &Keys, wish: Wish) -> anyhow::Result<OfflineFiles> {
    let root_file = if let Some(left) = root_left(store, keys)? {
        left
    } else {
        let root = RootWish {
            people: Authority::single(keys.offline.public().clone()),
            online: Authority::single(keys.online.public().clone()),
            expires: wish.expires,
        };
        signed(
            &ceremony::root(None, &root),
            &keys.offline,
            &Existing::default(),
        )?
        .remove(0)
    };
    let root = Signed::<Root>::read(&root_file)?.value;
    let count = match wish.count {
        Some(count) => count,
        None => BinCount::for_projects(store.totals()?.projects),
    };
    let named = wish.trusted_root.as_deref().map(trusted_root::named);
    let named = named.unwrap_or_default();
    let draft = ceremony::delegations(&root, count, wish.expires, (None, None), named);
    let existing = Existing { root: Some(root) };
    let below = signed(&draft, &keys.offline, &existing)?;
    let mut files = OfflineFiles {
        roots: vec![root_file],
        trusted_root: wish.trusted_root,
        ..OfflineFiles::default()
    };
    for (document, bytes) in draft.documents().iter().zip(below) {
        let Document::Targets(targets) = document else {
            continue;
        };
        let place = match targets.role.as_str() {
            "targets" => &mut files.targets,
            _ => &mut files.bins,
        };
        // What is recorded stays as it is.
        if publish::newest_file(store, targets.role.as_str())?.is_none() {
            *place = Some(bytes);
        }
    }
    Ok(files)
}

/// The root that an earlier call signed with these keys: somebody may have taken it from the tree already.
fn root_left(store: &Store, keys: &Keys) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(bytes) = store.read_metadata(FIRST_ROOT, ROOT_BYTES_MAX)? else {
        return Ok(None);
    };
    let is_ours = Signed::<Root>::read(&bytes).is_ok_and(|root| {
        let people = Authority::single(keys.offline.public().clone());
        people
            .check("root", &root.canonical, &root.signatures)
            .is_ok()
            && root.value.root.is_single()
            && root.value.root.key(keys.offline.id()).is_some()
            && root.value.timestamp.is_single()
            && root.value.timestamp.key(keys.online.id()).is_some()
    });
    Ok(is_ours.then_some(bytes))
}

fn signed(draft: &Draft, key: &SigningKey, existing: &Existing) -> anyhow::Result<Vec<Vec<u8>>> {
    let made = ceremony::assemble(draft, &[ceremony::sign(draft, key)], existing)?;
    Ok(made.into_iter().map(|one| one.bytes).collect())
}

fn tell(store: &Store) -> anyhow::Result<()> {
    let root = store.read_metadata(FIRST_ROOT, ROOT_BYTES_MAX)?;
    let root = root.context("the root that was just written is gone")?;
    let path = store.web().join("tuf").join(FIRST_ROOT);
    reporter::print(&format!("{}\n", path.display()));
    reporter::talk(&format!(
        "signed with a single key, kept in `{}`: whoever reads that directory can sign as this mirror\n\
         hand `{}` to those who install, by a way they trust; its sha256 is {}\n\
         they run: heliostat proxy --root 1.root.json --mirror URL",
        store.keys().display(),
        path.display(),
        Sha256::of(&root),
    ));
    Ok(())
}
