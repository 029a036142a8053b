//! `heliostat trust trusted-root`, and what other steps need of it: Sigstore's trusted root as a signed target, so that
//! attestations are verified against what the people who sign `targets` chose.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use heliostat_engine::Events;
use heliostat_engine::publish::{self, OfflineFiles};
use heliostat_store::Store;
use heliostat_trust::attest::{AttestVerifier, TRUSTED_ROOT_TARGET, embedded_trusted_root};
use heliostat_trust::ceremony::{self, Draft};
use heliostat_trust::metadata::TargetFile;

use super::change::{self, Present};
use super::steps::Steps;
use super::{ceremony as steps, expiry, rebin};
use crate::cli::{CommonArgs, TrustedRootArgs};
use crate::commands::UsageError;
use crate::{reporter, wire};

pub(super) fn run(common: &CommonArgs, args: &TrustedRootArgs) -> anyhow::Result<()> {
    let store = wire::open_existing_store(common, &Events::none())?;
    if !publish::signs_here(&store)? {
        let text = "the tree of this data directory is not signed with keys of its own";
        return Err(UsageError(text.to_owned()).into());
    }
    let bytes = read(args.file.as_deref())?;
    let present = change::present_of(&store)?;
    let mut targets = present.targets.targets.clone();
    targets.extend(named(&bytes));
    if targets == present.targets.targets {
        reporter::talk("nothing to do: `targets` names this one");
        return Ok(());
    }
    let expires = expiry::read(&args.expires, expiry::now()?)?;
    let before = Some(present.targets.version);
    let draft = ceremony::targets(&present.root, expires, before, targets);
    if let Some(directory) = &args.output {
        return hand_out(&store, &present, &draft, &bytes, directory);
    }
    let new = OfflineFiles {
        targets: Some(rebin::signed_here(
            &store,
            &present,
            &draft,
            &args.passphrase,
        )?),
        trusted_root: Some(bytes),
        ..OfflineFiles::default()
    };
    let now = wire::clock().now();
    publish::install(&store, &new, now)?;
    match rebin::publish_again(&store, now)? {
        None => reporter::talk("signed; the next `sync` publishes it"),
        Some(snapshot) => reporter::talk(&format!("signed; snapshot {snapshot} has it")),
    }
    Ok(())
}

/// The trusted root that was given, else the one that the program was built with.
pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    let Some(path) = path else {
        return Ok(embedded_trusted_root().to_vec());
    };
    heliostat_trust::crypto::install();
    let bytes =
        wire::read_small(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    AttestVerifier::from_json(&bytes)
        .map_err(|error| UsageError(format!("`{}`: {error}", path.display())))?;
    Ok(bytes)
}

/// As `targets` names it.
pub(super) fn named(bytes: &[u8]) -> BTreeMap<String, TargetFile> {
    BTreeMap::from([(TRUSTED_ROOT_TARGET.to_owned(), TargetFile::of(bytes))])
}

fn hand_out(
    store: &Store,
    present: &Present,
    draft: &Draft,
    bytes: &[u8],
    directory: &Path,
) -> anyhow::Result<()> {
    const FILE: &str = "trusted_root.json";
    present.hand_out(directory)?;
    let file = directory.join(FILE);
    crate::files::replace(&file, bytes)
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    steps::write_draft(draft, None, &directory.join("targets.draft.json"))?.aloud();
    let mut installed = change::installed(draft);
    installed.push(FILE.into());
    let steps = Steps {
        store,
        directory,
        present: &present.root,
        next: None,
        below: "targets",
        installed,
        person: None,
        machines: &[],
        gone: None,
    };
    let file = file.display();
    reporter::talk(&format!(
        "the draft names `{file}` by its sha256: everybody who signs should have it, and compare that"
    ));
    reporter::talk(&steps.told());
    Ok(())
}
