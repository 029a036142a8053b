//! The online keys, from where the options say they are. Only where pages are signed at all are they looked for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use heliostat_engine::publish::{self, Notary, Signer, signs_here};
use heliostat_store::{RoleState, Store};
use heliostat_trust::TrustError;
use heliostat_trust::keys::{Passphrase, PublicKey, Signature, SignerSource, SigningKey};
use heliostat_trust::metadata::{Root, Signed};
use tokio_util::sync::CancellationToken;

use crate::cli::SigningArgs;
use crate::commands::UsageError;
use crate::{program, render, reporter, wire};

/// The key that `trust init` makes, below the data directory.
pub(crate) const ONLINE_KEY: &str = "online.key";
/// Where a passphrase is looked for when no file is named.
const PASSPHRASE_VARIABLE: &str = "HELIOSTAT_PASSPHRASE";
/// What a program is asked to sign to find out which key it has.
const PROBE: &[u8] = b"heliostat asks which key this is";
/// The largest root, in bytes.
const ROOT_BYTES_MAX: u64 = 512 << 10;

/// Everything needed to sign; `None` where nobody has switched signing on in this data directory. After `stop` programs
/// that sign are not waited for.
pub(crate) fn notary(
    store: &Store,
    args: &SigningArgs,
    publish_every: Duration,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Arc<Notary>>> {
    if !signs_here(store)? {
        return Ok(None);
    }
    let publish_every = args
        .publish_every
        .map_or(publish_every, Duration::from_secs);
    let signers = signers(store, args, stop)?;
    let (store, args, stop) = (store.clone(), args.clone(), stop.clone());
    let again = move || self::signers(&store, &args, &stop).map_err(|error| format!("{error:#}"));
    Ok(Some(Arc::new(
        Notary::new(signers, publish_every).with_source(again),
    )))
}

/// The command that tells what people have to sign, and how.
pub(crate) fn status_command(data: &Path) -> String {
    format!("heliostat trust status --data {}", render::word(data))
}

/// Warns of what people have to sign anew, where anything is.
pub(crate) fn warn_of_due(store: &Store, now: i64) -> anyhow::Result<()> {
    let due = publish::due_by_people(store, now)?;
    if due.is_empty() {
        return Ok(());
    }
    let of = |role: &RoleState| {
        let tense = if role.expires_at < now {
            "expired"
        } else {
            "expires"
        };
        format!(
            "{} {} {tense} {}",
            role.name,
            role.version,
            render::moment(role.expires_at)
        )
    };
    let roles: Vec<String> = due.iter().map(of).collect();
    reporter::talk(&format!(
        "warning: people must sign anew, or clients refuse this mirror: {}; `{}` tells how",
        roles.join(", "),
        status_command(store.data())
    ));
    Ok(())
}

/// The keys that the options name.
fn signers(
    store: &Store,
    args: &SigningArgs,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<Signer>> {
    let usual = [SignerSource::File(store.keys().join(ONLINE_KEY))];
    let sources = if args.keys.online_key.is_empty() {
        &usual[..]
    } else {
        &args.keys.online_key[..]
    };
    sources
        .iter()
        .map(|source| {
            let passphrase_file = args.keys.online_passphrase_file.as_deref();
            signer(source, passphrase_file, &|| roots(store), stop)
        })
        .collect()
}

/// Online keys under a root that is no data directory's.
#[cfg(feature = "directory")]
pub(crate) fn signers_under(
    sources: &[SignerSource],
    passphrase_file: Option<&Path>,
    root: &Root,
) -> anyhow::Result<Vec<Signer>> {
    sources
        .iter()
        .map(|source| {
            let roots = || Ok(vec![root.clone()]);
            signer(source, passphrase_file, &roots, &CancellationToken::new())
        })
        .collect()
}

/// One online key. `roots` say which keys there are, where a program does not.
pub(crate) fn signer(
    source: &SignerSource,
    passphrase_file: Option<&Path>,
    roots: &dyn Fn() -> anyhow::Result<Vec<Root>>,
    stop: &CancellationToken,
) -> anyhow::Result<Signer> {
    let open = |text: &[u8]| -> anyhow::Result<Signer> {
        let text = std::str::from_utf8(text).context("it is not text")?;
        let key = SigningKey::from_file(text, || passphrase(passphrase_file))?;
        Ok(Signer::of_key(key))
    };
    match source {
        SignerSource::File(path) => wire::read_small(path)
            .map_err(anyhow::Error::from)
            .and_then(|text| open(&text))
            .with_context(|| {
                format!(
                    "this tree is signed, and its online key `{}` cannot be used",
                    path.display()
                )
            }),
        SignerSource::Environment(name) => variable(name)
            .ok_or_else(|| UsageError(format!("`--online-key`: the variable `{name}` is not set")))
            .map_err(anyhow::Error::from)
            .and_then(|text| open(text.as_bytes()))
            .with_context(|| format!("the online key in `{name}` cannot be used")),
        SignerSource::Command(words) => behind(words, &roots()?, stop),
    }
}

/// The passphrase that the environment holds.
pub(crate) fn passphrase_variable() -> Option<String> {
    variable(PASSPHRASE_VARIABLE)
}

fn passphrase(file: Option<&Path>) -> anyhow::Result<Passphrase> {
    let text = match file {
        Some(path) => {
            let bytes = wire::read_small(path)
                .with_context(|| format!("cannot read the passphrase file `{}`", path.display()))?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        None => variable(PASSPHRASE_VARIABLE).ok_or(TrustError::PassphraseMissing)?,
    };
    Ok(Passphrase::new(text)?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "keys and passphrases may stand in the environment, which the program reads"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The root that people signed last, and the one that clients see, which is another while that waits.
fn roots(store: &Store) -> anyhow::Result<Vec<Root>> {
    let newest = publish::newest_file(store, "root")?.context("the tree has no root metadata")?;
    let newest = Signed::<Root>::read(&newest)?.value;
    let seen = store.roles()?.into_iter().find(|role| role.name == "root");
    let seen = match seen {
        Some(seen) if seen.version != newest.version.get() => {
            store.read_metadata(&format!("{}.root.json", seen.version), ROOT_BYTES_MAX)?
        }
        _ => None,
    };
    let seen = seen.map(|seen| Signed::<Root>::read(&seen)).transpose()?;
    Ok([newest]
        .into_iter()
        .chain(seen.map(|seen| seen.value))
        .collect())
}

/// A key behind a program. Which one it is follows from a probe that it signs.
fn behind(words: &[String], roots: &[Root], stop: &CancellationToken) -> anyhow::Result<Signer> {
    let shown = words.join(" ");
    let signature = run(words, PROBE, stop).map_err(anyhow::Error::msg)?;
    let mut keys = roots
        .iter()
        .flat_map(|root| root.timestamp.keys().chain(root.snapshot.keys()));
    let key: PublicKey = keys
        .find(|key| key.verify(PROBE, &signature).is_ok())
        .cloned()
        .with_context(|| format!("`{shown}` signs with none of the root's online keys"))?;
    let (words, stop) = (words.to_vec(), stop.clone());
    Ok(Signer::new(key, move |bytes| run(&words, bytes, &stop)))
}

fn run(words: &[String], bytes: &[u8], stop: &CancellationToken) -> Result<Signature, String> {
    let shown = words.first().map(String::as_str).unwrap_or_default();
    let printed = program::run(words, bytes, stop)?;
    String::from_utf8_lossy(&printed)
        .trim()
        .parse()
        .map_err(|error| format!("`{shown}`: {error}"))
}
