//! `heliostat trust rotate` and `revoke`: drafts against what the tree has, and what to do with them.

use std::path::Path;

use heliostat_engine::{Events, publish};
use heliostat_store::Store;
use heliostat_trust::bins::BinCount;
use heliostat_trust::ceremony::{self, Document, RootWish};
use heliostat_trust::keys::{KeyId, PublicKey};
use heliostat_trust::metadata::{Authority, Metadata, Root, Signed, Targets};

use super::{ceremony as steps, expiry, files};
use crate::cli::{CommonArgs, DraftsArgs, RevokeArgs, RotateCommand};
use crate::commands::UsageError;
use crate::{reporter, wire};

/// What people signed last.
pub(super) struct Present {
    pub(super) root: Root,
    pub(super) targets: Targets,
    pub(super) bins: Targets,
}

pub(super) fn rotate(common: &CommonArgs, command: &RotateCommand) -> anyhow::Result<()> {
    let RotateCommand::Online { new, drafts } = command;
    let present = present(common)?;
    let wish = RootWish {
        people: present.root.root.clone(),
        online: steps::authority("--new", new, 1)?,
        expires: expiry::read(&drafts.expires, expiry::now()?)?,
    };
    draft(&present, &wish, drafts)
}

pub(super) fn revoke(common: &CommonArgs, args: &RevokeArgs) -> anyhow::Result<()> {
    let present = present(common)?;
    let replacement = args
        .replace_by
        .as_deref()
        .map(files::public_key)
        .transpose()?;
    let threshold = args.threshold.unwrap_or(present.root.root.threshold());
    let people = without(
        &present.root.root,
        args.keyid,
        replacement.as_ref(),
        threshold,
    )?;
    let online = present.root.timestamp.threshold();
    let online = without(
        &present.root.timestamp,
        args.keyid,
        replacement.as_ref(),
        online,
    )?;
    if people == present.root.root && online == present.root.timestamp {
        let text = format!("`{}` has no power that could be taken", args.keyid);
        return Err(UsageError(text).into());
    }
    let wish = RootWish {
        people,
        online,
        expires: expiry::read(&args.drafts.expires, expiry::now()?)?,
    };
    draft(&present, &wish, &args.drafts)
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

fn draft(present: &Present, wish: &RootWish, drafts: &DraftsArgs) -> anyhow::Result<()> {
    files::directory(&drafts.output)?;
    let root = ceremony::root(Some(&present.root), wish);
    let Some(Document::Root(next)) = root.documents().first() else {
        return Ok(());
    };
    let root_draft = drafts.output.join("root.draft.json");
    steps::write_draft(&root, Some(&present.root), &root_draft)?.aloud();
    let count = BinCount::of_delegations(&present.bins.delegations).unwrap_or(BinCount::ONE);
    let versions = (Some(present.targets.version), Some(present.bins.version));
    let named = present.targets.targets.clone();
    let below = ceremony::delegations(next, count, wish.expires, versions, named);
    let below_draft = drafts.output.join("delegate.draft.json");
    steps::write_draft(&below, None, &below_draft)?.aloud();
    reporter::talk(&checklist(&present.root, next, &root_draft, &below_draft));
    Ok(())
}

fn checklist(before: &Root, next: &Root, root: &Path, below: &Path) -> String {
    let (old, new) = (before.version, next.version);
    let (root, below) = (root.display(), below.display());
    format!(
        "\nwhat to do:\n\
         1. Send both drafts to everybody who signs; compare the words of each draft aloud.\n\
         2. Each: `heliostat trust root sign {root} --key KEY -o root.NAME.sig`\n\
         \x20        `heliostat trust delegate sign {below} --key KEY -o delegate.NAME.sig`\n\
         \x20  The root needs {} of the old and {} of the new keys.\n\
         3. `heliostat trust root assemble {root} root.*.sig --previous {old}.root.json -o {new}.root.json`\n\
         \x20  `heliostat trust delegate assemble {below} delegate.*.sig --root {new}.root.json -o .`\n\
         4. Put the new online key where `--online-key` looks for it, then\n\
         \x20  `heliostat trust install {new}.root.json *.targets.json *.bins.json`\n\
         5. `heliostat sync` signs everything anew; `heliostat trust status` must end with 0.\n\
         6. Destroy the old key.",
        before.root.threshold(),
        next.root.threshold()
    )
}

fn present(common: &CommonArgs) -> anyhow::Result<Present> {
    present_of(&wire::open_store(common, &Events::none())?)
}

/// What people signed last of a tree, whether clients see it yet or not.
pub(super) fn present_of(store: &Store) -> anyhow::Result<Present> {
    Ok(Present {
        root: newest(store, "root")?,
        targets: newest(store, "targets")?,
        bins: newest(store, "bins")?,
    })
}

fn newest<T: Metadata>(store: &Store, name: &str) -> anyhow::Result<T> {
    let file = publish::newest_file(store, name)?.ok_or_else(|| {
        UsageError(format!(
            "the tree of this data directory has no `{name}`; `heliostat trust init` begins"
        ))
    })?;
    Ok(Signed::<T>::read(&file)?.value)
}
