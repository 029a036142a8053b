//! A draft in words: who gains and who loses which power, what expires when.

use std::fmt::Write as _;

use super::{Document, Draft};
use crate::bins::BinCount;
use crate::keys::{PublicKey, Words};
use crate::metadata::{Authority, Root, Scope, Targets};

/// What a draft does, for somebody who is to sign it; against the root before it, where there is one.
pub fn describe(draft: &Draft, against: Option<&Root>) -> String {
    let mut text = String::new();
    for document in draft.documents() {
        match document {
            Document::Root(root) => describe_root(&mut text, root, against),
            Document::Targets(targets) => describe_targets(&mut text, targets),
        }
    }
    let digest = draft.digest();
    line(&mut text, &format!("draft sha256 {digest}"));
    line(&mut text, &format!("       words {}", Words::of(digest)));
    text
}

fn describe_root(text: &mut String, root: &Root, against: Option<&Root>) {
    line(text, &format!("root {}", root.version));
    let was = against.map_or(String::new(), |old| format!(" (was {})", old.expires));
    line(text, &format!("  expires {}{was}", root.expires));
    if root.root.is_single() {
        line(
            text,
            "  single-key: one stolen key is enough to replace everything",
        );
    }
    for (name, authority) in root.roles() {
        let old = against.map(|old| {
            let roles = old.roles();
            let (_, authority) = roles
                .into_iter()
                .find(|(role, _)| *role == name)
                .expect("same roles");
            authority.clone()
        });
        let needed = format!("{} of {}", authority.threshold(), authority.keys().len());
        let was = old
            .as_ref()
            .map(|old| format!("{} of {}", old.threshold(), old.keys().len()))
            .filter(|old| *old != needed)
            .map_or(String::new(), |old| format!(" (was {old})"));
        line(text, &format!("  {name}: {needed}{was}"));
        describe_keys(text, authority, old.as_ref());
    }
}

fn describe_keys(text: &mut String, new: &Authority, old: Option<&Authority>) {
    let had = |key: &PublicKey| old.is_some_and(|old| old.key(key.id()).is_some());
    for key in new.keys() {
        let sign = if old.is_none() || had(key) { ' ' } else { '+' };
        line(
            text,
            &format!("    {sign} {}  {}", key.shown(), key.id().words()),
        );
    }
    let lost = old.into_iter().flat_map(Authority::keys);
    for key in lost.filter(|key| new.key(key.id()).is_none()) {
        line(
            text,
            &format!("    - {}  {}", key.shown(), key.id().words()),
        );
    }
}

fn describe_targets(text: &mut String, targets: &Targets) {
    line(text, &format!("{} {}", targets.role, targets.version));
    line(text, &format!("  expires {}", targets.expires));
    for (path, file) in &targets.targets {
        let (path, sha256) = (path.escape_debug(), file.sha256);
        line(text, &format!("  names {path}, sha256 {sha256}"));
    }
    if let Some(count) = BinCount::of_delegations(&targets.delegations)
        && let Some(first) = targets.delegations.first()
        && targets
            .delegations
            .iter()
            .all(|one| one.authority == first.authority)
    {
        line(
            text,
            &format!("  delegates all targets to {count} bins, signed by"),
        );
        return describe_keys(text, &first.authority, None);
    }
    for one in &targets.delegations {
        let scope = match &one.scope {
            Scope::Paths(paths) => paths.join(" "),
            Scope::HashPrefixes(prefixes) => format!("hashes {}", prefixes.join(" ")),
        };
        let end = if one.terminating { ", terminating" } else { "" };
        let (needed, all) = (one.authority.threshold(), one.authority.keys().len());
        line(
            text,
            &format!(
                "  delegates {} to `{}` ({needed} of {all}{end})",
                scope.escape_debug(),
                one.name
            ),
        );
        describe_keys(text, &one.authority, None);
    }
}

fn line(text: &mut String, words: &str) {
    let _infallible = writeln!(text, "{words}");
}
