//! `heliostat trust install`: takes what people signed, and publishes it where the online key is at hand.

use std::path::PathBuf;

use heliostat_engine::Events;
use heliostat_engine::publish::{self, OfflineFiles};
use heliostat_store::Store;
use heliostat_trust::attest::AttestVerifier;
use heliostat_trust::metadata::{RoleName, Root, Signed, Targets};

use super::{files, rebin};
use crate::cli::CommonArgs;
use crate::commands::UsageError;
use crate::{reporter, signing, wire};

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
    refuse_to_begin_with_a_part(common, &files)?;
    let store = wire::open_store(common, &Events::none())?;
    let now = wire::clock().now();
    publish::install(&store, &files, now)?;
    reporter::talk(&installed(&store, now)?);
    Ok(())
}

/// Where there is no mirror yet, what begins one comes whole: else nothing is made, least of all where a mistyped `--data`
/// leads.
fn refuse_to_begin_with_a_part(common: &CommonArgs, files: &OfflineFiles) -> anyhow::Result<()> {
    let given = [
        ("a root", !files.roots.is_empty()),
        ("`targets`", files.targets.is_some()),
        ("`bins`", files.bins.is_some()),
    ];
    let missing: Vec<&str> = (given.iter().filter(|(_, is_here)| !is_here))
        .map(|(name, _)| *name)
        .collect();
    let Err(nothing) = wire::existing_data_directory(common) else {
        return Ok(());
    };
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("{nothing}, or begin one with {} too", missing.join(" and "));
    Err(UsageError(text).into())
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
