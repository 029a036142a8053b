//! `heliostat trust keys`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_trust::keys::{PublicKey, ScryptCost, SigningKey};

use super::files::{self, Readers};
use super::passphrase;
use crate::cli::KeysCommand;
use crate::commands::UsageError;
use crate::reporter;

pub(super) fn run(command: &KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::Show { file } => {
            print(&files::public_key(file)?);
            Ok(())
        }
        KeysCommand::New {
            label,
            out,
            plain,
            passphrase,
        } => {
            let key = SigningKey::generate()?
                .with_label(label)
                .map_err(|error| UsageError(format!("`--label`: {error}")))?;
            let file = if *plain {
                key.to_plain_file()?
            } else {
                key.to_protected_file(&passphrase::fresh(passphrase)?, ScryptCost::Guarded)?
            };
            let public = write(&key, out, file.as_bytes())?;
            reporter::talk(&format!("wrote {} and {}", out.display(), public.display()));
            print(key.public());
            Ok(())
        }
    }
}

/// Writes both parts of a key; the public one goes beside the private, to the path that is returned.
pub(super) fn write(key: &SigningKey, path: &Path, private: &[u8]) -> anyhow::Result<PathBuf> {
    let public = public_path(path);
    if public == path {
        let text = "`--out` is where the private key goes; `.pub` is its public part's ending";
        return Err(UsageError(text.to_owned()).into());
    }
    files::write_new(path, private, Readers::Owner)?;
    files::write_new(
        &public,
        key.public().to_file().as_bytes(),
        Readers::Everybody,
    )?;
    Ok(public)
}

/// Writes the public part of a key beside it, also over one that is there: it can be had from the key at any time.
pub(super) fn write_public(key: &SigningKey, path: &Path) -> anyhow::Result<()> {
    let public = public_path(path);
    crate::files::replace(&public, key.public().to_file().as_bytes())
        .with_context(|| format!("cannot write `{}`", public.display()))
}

fn public_path(path: &Path) -> PathBuf {
    path.with_extension("pub")
}

pub(super) fn print(key: &PublicKey) {
    let label = key.label().unwrap_or("-");
    let id = key.id();
    reporter::print(&format!(
        "label {label}\nkeyid {id}\nwords {}\n",
        id.words()
    ));
}
