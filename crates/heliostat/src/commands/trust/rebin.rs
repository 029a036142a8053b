//! `heliostat trust rebin`: spreads the pages over another number of bins. Who signs `bins` must sign that: at once where
//! the single key is kept here, else people by the ceremony, for whom it writes the draft.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use heliostat_engine::Events;
use heliostat_engine::publish::{self, Fit, OfflineFiles, Urge};
use heliostat_store::Store;
use heliostat_trust::bins::BinCount;
use heliostat_trust::ceremony::{self, Draft, Existing};
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::Root;
use tokio_util::sync::CancellationToken;

use super::change::{self, Present};
use super::steps::Steps;
use super::{ceremony as steps, expiry, files, init, passphrase};
use crate::cli::{CommonArgs, PassphraseArgs, RebinArgs, SigningArgs};
use crate::commands::UsageError;
use crate::{render, reporter, signing, wire};

pub(super) fn run(common: &CommonArgs, args: &RebinArgs) -> anyhow::Result<()> {
    let store = wire::open_existing_store(common, &Events::none())?;
    if !publish::signs_here(&store)? {
        let text = "the tree of this data directory is not signed with keys of its own";
        return Err(UsageError(text.to_owned()).into());
    }
    let fit = publish::fit(&store)?;
    let count = match (args.bins, args.projects) {
        (Some(bins), _) => BinCount::new(bins).map_err(|error| UsageError(error.to_string()))?,
        (None, projects) => BinCount::for_projects(projects.unwrap_or(fit.projects)),
    };
    if count.get() == fit.bins {
        reporter::talk(&format!("nothing to do: {}", told(fit)));
        return Ok(());
    }
    let present = change::present_of(&store)?;
    let expires = expiry::read(&args.expires, expiry::now()?)?;
    let draft = ceremony::bins(&present.root, count, expires, Some(present.bins.version));
    match &args.output {
        Some(directory) => hand_out(&store, &present, &draft, directory),
        None => sign_here(&store, &present, &draft, &args.passphrase),
    }
}

/// The numbers in words.
pub(super) fn told(fit: Fit) -> String {
    format!(
        "{}, {} would fit {}",
        render::plural(fit.bins.into(), "bin"),
        render::count(fit.fitting.into()),
        render::plural(fit.projects, "project")
    )
}

/// The command that mends it, as it can be typed.
pub(super) fn command(store: &Store, root: &Root) -> String {
    let data = render::word(store.data());
    if is_single(root) && store.keys().join(init::OFFLINE_KEY).exists() {
        format!("heliostat trust rebin --data {data}")
    } else {
        format!("heliostat trust rebin --data {data} -o rebinning")
    }
}

/// Whether one key is enough to sign `bins`.
const fn is_single(root: &Root) -> bool {
    root.targets.threshold() == 1
}

fn sign_here(
    store: &Store,
    present: &Present,
    draft: &Draft,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let new = OfflineFiles {
        bins: Some(signed_here(store, present, draft, passphrase)?),
        ..OfflineFiles::default()
    };
    let now = wire::clock().now();
    publish::install(store, &new, now)?;
    let published = publish_again(store, now)?;
    let now_fit = told(publish::fit(store)?);
    match published {
        None => reporter::talk(&format!(
            "{now_fit}; `sync` and `serve` sign the pages into them"
        )),
        Some(snapshot) => reporter::talk(&format!("{now_fit}; snapshot {snapshot} has them")),
    }
    Ok(())
}

/// A new snapshot at once, where the online key is here; the version of the one that is current then. A server that runs
/// beside may have signed it already.
pub(super) fn publish_again(store: &Store, now: i64) -> anyhow::Result<Option<u64>> {
    if !store.keys().join(signing::ONLINE_KEY).exists() {
        return Ok(None);
    }
    // The key is in a file: there is no program that would have to be stopped.
    let stop = CancellationToken::new();
    let notary = signing::notary(store, &SigningArgs::default(), Duration::ZERO, &stop)?;
    let notary = notary.context("the tree is signed no more")?;
    publish::publish_now(store, &notary, now, Urge::WhenDue)?;
    let roles = store.roles()?;
    let snapshot = roles.iter().find(|role| role.name == "snapshot");
    Ok(snapshot.map(|role| role.version))
}

/// A draft of one role, signed with the single key that is kept here.
pub(super) fn signed_here(
    store: &Store,
    present: &Present,
    draft: &Draft,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<Vec<u8>> {
    let path = store.keys().join(init::OFFLINE_KEY);
    let refuse = |why: String| {
        UsageError(format!(
            "{why}; give `-o DIR` for a draft that the people who sign it can sign"
        ))
    };
    if !is_single(&present.root) {
        let needed = present.root.targets.threshold();
        return Err(refuse(format!("{needed} people must sign this")).into());
    }
    if !path.exists() {
        return Err(refuse(format!("the key is not in `{}`", path.display())).into());
    }
    let text = zeroize::Zeroizing::new(files::text(&path)?);
    let key = SigningKey::from_file(&text, || passphrase::existing(passphrase))
        .with_context(|| format!("the key `{}` cannot be used", path.display()))?;
    if present.root.targets.key(key.id()).is_none() {
        let text = format!("the key `{}` may not sign this", path.display());
        return Err(refuse(text).into());
    }
    let existing = Existing {
        root: Some(present.root.clone()),
    };
    let made = ceremony::assemble(draft, &[ceremony::sign(draft, &key)], &existing)?;
    let made = made.into_iter().next();
    Ok(made.context("a draft of a role makes a role")?.bytes)
}

fn hand_out(
    store: &Store,
    present: &Present,
    draft: &Draft,
    directory: &Path,
) -> anyhow::Result<()> {
    present.hand_out(directory)?;
    steps::write_draft(draft, None, &directory.join("bins.draft.json"))?.aloud();
    let steps = Steps {
        store,
        directory,
        present: &present.root,
        next: None,
        below: "bins",
        installed: change::installed(draft),
        person: None,
        machines: &[],
        gone: None,
    };
    reporter::talk(&steps.told());
    Ok(())
}
