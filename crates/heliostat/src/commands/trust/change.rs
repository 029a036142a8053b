//! `heliostat trust renew`, `rotate` and `revoke`: drafts against what the tree has.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_engine::{Events, publish};
use heliostat_store::Store;
use heliostat_trust::bins::BinCount;
use heliostat_trust::ceremony::{self, Document, Draft, RootWish};
use heliostat_trust::keys::{KeyId, PublicKey};
use heliostat_trust::metadata::{Authority, Metadata, Root, Signed, Targets};

use super::steps::Steps;
use super::{ceremony as steps, expiry, files};
use crate::cli::{CommonArgs, DraftsArgs, RevokeArgs, RotateCommand};
use crate::commands::UsageError;
use crate::{reporter, wire};

/// What people signed last.
pub(super) struct Present {
    pub(super) root: Root,
    root_file: Vec<u8>,
    pub(super) targets: Targets,
    pub(super) bins: Targets,
}

/// What a root is to become, and who comes and goes by that.
struct Change<'a> {
    wish: RootWish,
    person: Option<&'a Path>,
    machines: &'a [PathBuf],
    gone: Option<KeyId>,
}

pub(super) fn rotate(common: &CommonArgs, command: &RotateCommand) -> anyhow::Result<()> {
    let RotateCommand::Online { new, drafts } = command;
    let store = wire::open_existing_store(common, &Events::none())?;
    let present = present_of(&store)?;
    let wish = RootWish {
        people: present.root.root.clone(),
        online: steps::authority("--new", new, 1)?,
        expires: expiry::read(&drafts.expires, expiry::now()?)?,
    };
    let change = Change {
        wish,
        person: None,
        machines: new,
        gone: None,
    };
    draft(&store, &present, &change, &drafts.output)
}

/// The same keys, a later expiry.
pub(super) fn renew(common: &CommonArgs, drafts: &DraftsArgs) -> anyhow::Result<()> {
    let store = wire::open_existing_store(common, &Events::none())?;
    let present = present_of(&store)?;
    let wish = RootWish {
        people: present.root.root.clone(),
        online: present.root.timestamp.clone(),
        expires: expiry::read(&drafts.expires, expiry::now()?)?,
    };
    let change = Change {
        wish,
        person: None,
        machines: &[],
        gone: None,
    };
    draft(&store, &present, &change, &drafts.output)
}

pub(super) fn revoke(common: &CommonArgs, args: &RevokeArgs) -> anyhow::Result<()> {
    let store = wire::open_existing_store(common, &Events::none())?;
    let present = present_of(&store)?;
    let replaced = args.replace_by.as_deref();
    let replacement = replaced.map(files::public_key).transpose()?;
    let threshold = args.threshold.unwrap_or(present.root.root.threshold());
    let of = |authority: &Authority, threshold| {
        without(authority, args.keyid, replacement.as_ref(), threshold)
    };
    let people = of(&present.root.root, threshold)?;
    let online = of(&present.root.timestamp, present.root.timestamp.threshold())?;
    let is_person = people != present.root.root;
    let is_machine = online != present.root.timestamp;
    if !is_person && !is_machine {
        let text = format!("`{}` has no power that could be taken", args.keyid);
        return Err(UsageError(text).into());
    }
    let change = Change {
        wish: RootWish {
            people,
            online,
            expires: expiry::read(&args.drafts.expires, expiry::now()?)?,
        },
        person: replaced.filter(|_| is_person),
        machines: if is_machine {
            args.replace_by.as_slice()
        } else {
            &[]
        },
        gone: Some(args.keyid),
    };
    draft(&store, &present, &change, &args.drafts.output)
}

/// The authority without a key, and perhaps with another in its place.
fn without(
    authority: &Authority,
    gone: KeyId,
    replacement: Option<&PublicKey>,
    threshold: u32,
) -> anyhow::Result<Authority> {
    if authority.key(gone).is_none() {
        return Ok(authority.clone());
    }
    let rest = authority.keys().filter(|key| key.id() != gone);
    Authority::new(rest.chain(replacement).cloned(), threshold).map_err(|error| {
        UsageError(format!(
            "without this key: {error}; give `--replace-by FILE` or `--threshold N`"
        ))
        .into()
    })
}

fn draft(
    store: &Store,
    present: &Present,
    change: &Change<'_>,
    directory: &Path,
) -> anyhow::Result<()> {
    let root = ceremony::root(Some(&present.root), &change.wish);
    let Some(Document::Root(next)) = root.documents().first() else {
        return Ok(());
    };
    let count = BinCount::of_delegations(&present.bins.delegations).unwrap_or(BinCount::ONE);
    let versions = (Some(present.targets.version), Some(present.bins.version));
    let named = present.targets.targets.clone();
    let below = ceremony::delegations(next, count, change.wish.expires, versions, named);
    let told = Steps {
        store,
        directory,
        present: &present.root,
        next: Some(next),
        below: "delegate",
        installed: installed(&below),
        person: change.person,
        machines: change.machines,
        gone: change.gone,
    };
    present.hand_out(directory)?;
    let root_draft = directory.join("root.draft.json");
    steps::write_draft(&root, Some(&present.root), &root_draft)?.aloud();
    steps::write_draft(&below, None, &directory.join("delegate.draft.json"))?.aloud();
    reporter::talk(&told.told());
    Ok(())
}

/// The files that a draft of roles below the root becomes.
pub(super) fn installed(draft: &Draft) -> Vec<PathBuf> {
    let documents = draft.documents().iter();
    documents.map(|document| document.file().into()).collect()
}

impl Present {
    /// Puts the root where drafts go: whoever signs holds them against it, and so does whoever puts them together.
    pub(super) fn hand_out(&self, directory: &Path) -> anyhow::Result<()> {
        files::directory(directory)?;
        let place = directory.join(self.root.file());
        crate::files::replace(&place, &self.root_file)
            .with_context(|| format!("cannot write `{}`", place.display()))
    }
}

/// What people signed last of a tree, whether clients see it yet or not.
pub(super) fn present_of(store: &Store) -> anyhow::Result<Present> {
    let (root, root_file) = newest(store, "root")?;
    Ok(Present {
        root,
        root_file,
        targets: newest(store, "targets")?.0,
        bins: newest(store, "bins")?.0,
    })
}

fn newest<T: Metadata>(store: &Store, name: &str) -> anyhow::Result<(T, Vec<u8>)> {
    let file = publish::newest_file(store, name)?.ok_or_else(|| {
        UsageError(format!(
            "the tree of this data directory has no `{name}`; `heliostat trust init` begins"
        ))
    })?;
    Ok((Signed::<T>::read(&file)?.value, file))
}
