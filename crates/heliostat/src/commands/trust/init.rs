//! `heliostat trust init` and `install`: from now on the tree of this data directory is signed.
//!
//! `init` makes a root of one key, here and now. Good for trying and within one house; for a public mirror people hold
//! the keys of the root, by the ceremony, and `install` takes what they signed.

use std::path::PathBuf;

use heliostat_engine::Events;
use heliostat_engine::publish::{self, Notary, OfflineFiles, Urge};
use heliostat_pypi::Sha256;
use heliostat_store::{Origin, Store};
use heliostat_trust::attest::AttestVerifier;
use heliostat_trust::bins::BinCount;
use heliostat_trust::ceremony::{self, Document, Draft, Existing, RootWish};
use heliostat_trust::keys::{ScryptCost, SigningKey};
use heliostat_trust::metadata::{Authority, RoleName, Root, Signed, Targets};

use super::{expiry, files, keys, passphrase, rebin, trusted_root};
use crate::cli::{CommonArgs, TrustInitArgs};
use crate::commands::UsageError;
use crate::{reporter, signing, wire};

/// The key that signs root, targets and bins: what people hold elsewhere where the ceremony is kept.
pub(super) const OFFLINE_KEY: &str = "offline.key";

pub(super) fn init(common: &CommonArgs, args: &TrustInitArgs) -> anyhow::Result<()> {
    let store = wire::open_store(common, &Events::none())?;
    if let Some(notary) = store.notary()? {
        let data = store.data().display();
        return Err(UsageError(match notary.origin {
            Origin::Own => format!(
                "the mirror in `{data}` is signed already; `heliostat trust status` tells more"
            ),
            Origin::Carried => format!(
                "the mirror in `{data}` carries what its upstream's notary signed; to have one sign itself, run `heliostat \
                 trust init` with a new `--data`, and import or sync into that"
            ),
        })
        .into());
    }
    let count = match (args.bins, args.projects) {
        (Some(bins), _) => BinCount::new(bins).map_err(|error| UsageError(error.to_string()))?,
        (None, Some(projects)) => BinCount::for_projects(projects),
        (None, None) => BinCount::for_projects(store.totals()?.projects),
    };
    let expires = expiry::read(&args.expires, expiry::now()?)?;
    let offline = SigningKey::generate()?.with_label("single-key offline")?;
    let online = SigningKey::generate()?.with_label("single-key online")?;
    let private = if args.protect {
        offline.to_protected_file(&passphrase::fresh(&args.passphrase)?, ScryptCost::Guarded)?
    } else {
        offline.to_plain_file()?
    };
    let wish = RootWish {
        people: Authority::single(offline.public().clone()),
        online: Authority::single(online.public().clone()),
        expires,
    };
    let draft = ceremony::root(None, &wish);
    let roots = signed(&draft, &offline, &Existing::default())?;
    let Some(Document::Root(root)) = draft.documents().first() else {
        unreachable!("a draft of a root has a root");
    };
    let trusted_root = if args.no_trusted_root {
        None
    } else {
        Some(trusted_root::read(args.trusted_root.as_deref())?)
    };
    let named = trusted_root.as_deref().map(trusted_root::named);
    let below = ceremony::delegations(
        root,
        count,
        expires,
        (None, None),
        named.unwrap_or_default(),
    );
    let existing = Existing {
        root: Some(root.clone()),
    };
    let mut below = signed(&below, &offline, &existing)?.into_iter();
    let files = OfflineFiles {
        roots: roots.clone(),
        targets: below.next(),
        bins: below.next(),
        trusted_root,
    };
    files::directory(&store.keys())?;
    keys::write(
        &offline,
        &store.keys().join(OFFLINE_KEY),
        private.as_bytes(),
    )?;
    let plain = online.to_plain_file()?;
    keys::write(
        &online,
        &store.keys().join(signing::ONLINE_KEY),
        plain.as_bytes(),
    )?;
    let now = wire::clock().now();
    publish::install(&store, &files, now)?;
    publish::publish_now(&store, &Notary::of_key(online), now, Urge::Heartbeat)?;
    tell(&store, &roots.concat());
    Ok(())
}

pub(super) fn install(common: &CommonArgs, paths: &[PathBuf]) -> anyhow::Result<()> {
    heliostat_trust::crypto::install();
    let mut roots = Vec::new();
    let mut files = OfflineFiles::default();
    for path in paths {
        let bytes = files::text(path)?.into_bytes();
        if let Ok(root) = Signed::<Root>::read(&bytes) {
            roots.push((root.value.version, bytes));
            continue;
        }
        if AttestVerifier::from_json(&bytes).is_ok() {
            files.trusted_root = Some(bytes);
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
    let now = wire::clock().now();
    publish::install(&store, &files, now)?;
    reporter::talk(&installed(&store, now)?);
    Ok(())
}

/// Publishes what was installed, where the online key is in its usual place, and says what comes of it.
fn installed(store: &Store, now: i64) -> anyhow::Result<String> {
    let published = rebin::publish_again(store, now);
    let reason = match &published {
        Err(error) => format!("\nnothing could be signed here and now: {error:#}"),
        Ok(_) => String::new(),
    };
    if let Some(waiting) = publish::waiting(store)? {
        return Ok(format!(
            "{} will be seen by clients once {} has signed; until then they stay with what was before\nput that key \
             where `--online-key` looks for it [{}]: a `sync` signs with it, or a `serve` or `sync --watch` that runs, \
             by itself{reason}",
            waiting.roles.join(", "),
            waiting.keys,
            store.keys().join(signing::ONLINE_KEY).display(),
        ));
    }
    Ok(match published {
        Ok(Some(snapshot)) => {
            format!("the tree has them, and snapshot {snapshot} is signed by the keys they name")
        }
        _ => format!(
            "the tree has them; `sync` and `serve` sign its pages from now on, a `serve` that runs once it is started \
             anew{reason}"
        ),
    })
}

fn signed(draft: &Draft, key: &SigningKey, existing: &Existing) -> anyhow::Result<Vec<Vec<u8>>> {
    let made = ceremony::assemble(draft, &[ceremony::sign(draft, key)], existing)?;
    Ok(made.into_iter().map(|one| one.bytes).collect())
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
