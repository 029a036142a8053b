//! `heliostat directory diff`: what a newer state of a list changes, for whoever is about to sign it.

use std::path::Path;

use anyhow::Context as _;
use heliostat_directory::{
    Difference, Mirror, MirrorList, Policy, differences, document_differences, published_mirror,
};
use heliostat_trust::keys::PublicKey;
use heliostat_trust::metadata::{Authority, Root};
use serde_json::{Value, json};

use super::{POLICY, read, read_text, sign};
use crate::cli::{DirectoryDiffArgs, RegistryArgs};
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{render, reporter};

/// One state of a list.
struct Side {
    mirrors: Vec<Mirror>,
    policy: Value,
    /// Who may sign what, where people sign it.
    root: Value,
    is_published: bool,
}

pub(super) fn run(args: &DirectoryDiffArgs) -> anyhow::Result<Outcome> {
    let (mut old, mut new) = (side(&args.old)?, side(&args.new)?);
    if old.is_published || new.is_published {
        // Webhooks are never published, so that they would all seem to be gone.
        for side in [&mut old, &mut new] {
            side.mirrors = side.mirrors.iter().map(published_mirror).collect();
        }
    }
    let mut found = document_differences("the root", &old.root, &new.root);
    found.extend(document_differences("the policy", &old.policy, &new.policy));
    found.extend(differences(&old.mirrors, &new.mirrors));
    for difference in &found {
        tell(difference, args.json);
    }
    let weighty = found.iter().filter(|one| one.weighty).count();
    reporter::talk(&format!(
        "{}, {weighty} of them marked with `!`: where clients go, and who may speak for whom",
        render::plural(found.len() as u64, "difference")
    ));
    Ok(if found.is_empty() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

fn tell(difference: &Difference, as_json: bool) {
    if as_json {
        reporter::json_line(difference);
    } else {
        reporter::print(&format!("{difference}\n"));
    }
}

/// A list's own folder, or a published one.
fn side(folder: &Path) -> anyhow::Result<Side> {
    let published = folder.join("v1/mirrors.json");
    let root = sign::root_of(folder)?.map_or(Value::Null, |root| authorities(&root));
    if published.is_file() {
        let text = read_text(&published)?;
        let list: MirrorList = serde_json::from_str(&text)
            .map_err(|error| UsageError(format!("`{}`: {error}", published.display())))?;
        return Ok(Side {
            mirrors: list.mirrors,
            policy: policy(&read_text(&folder.join("v1").join(POLICY))?)?,
            root,
            is_published: true,
        });
    }
    let (policy, registry) = read(&RegistryArgs {
        registry: folder.to_owned(),
    })?;
    Ok(Side {
        mirrors: registry.mirrors().cloned().collect(),
        policy: serde_json::to_value(&policy).context("cannot compare the policy")?,
        root,
        is_published: false,
    })
}

/// With every default filled in: what is left out and what says the default are the same rules.
fn policy(text: &str) -> anyhow::Result<Value> {
    serde_json::to_value(Policy::read(text)?).context("cannot compare the policy")
}

fn authorities(root: &Root) -> Value {
    let of = |authority: &Authority| {
        let mut keys: Vec<String> = authority.keys().map(PublicKey::shown).collect();
        keys.sort();
        json!({"keys": keys, "threshold": authority.threshold()})
    };
    json!({
        "root": of(&root.root), "people": of(&root.targets), "prober": of(&root.timestamp),
        "expires": root.expires.to_string(),
    })
}
