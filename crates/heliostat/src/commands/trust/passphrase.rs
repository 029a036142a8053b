//! Passphrases: from a file, from the environment, else typed on the terminal. Never from the command line.

use std::io::IsTerminal as _;

use heliostat_trust::keys::Passphrase;

use crate::cli::PassphraseArgs;
use crate::commands::UsageError;
use crate::signing;

/// The passphrase of a key that is there.
pub(in crate::commands) fn existing(args: &PassphraseArgs) -> anyhow::Result<Passphrase> {
    match known(args)? {
        Some(passphrase) => Ok(passphrase),
        None => typed("Passphrase: "),
    }
}

/// A passphrase for a new key: typed twice where it is typed.
pub(super) fn fresh(args: &PassphraseArgs) -> anyhow::Result<Passphrase> {
    if let Some(passphrase) = known(args)? {
        return Ok(passphrase);
    }
    let first = typed("Passphrase for the new key: ")?;
    if first == typed("Once more: ")? {
        return Ok(first);
    }
    Err(UsageError("the two passphrases differ".to_owned()).into())
}

fn known(args: &PassphraseArgs) -> anyhow::Result<Option<Passphrase>> {
    if let Some(path) = &args.passphrase_file {
        return Ok(Some(Passphrase::new(super::files::text(path)?)?));
    }
    match signing::passphrase_variable() {
        Some(text) => Ok(Some(Passphrase::new(text)?)),
        None => Ok(None),
    }
}

fn typed(question: &str) -> anyhow::Result<Passphrase> {
    if !std::io::stdin().is_terminal() {
        return Err(UsageError(
            "a passphrase is needed and there is no terminal to ask on; give `--passphrase-file FILE` or set \
             `HELIOSTAT_PASSPHRASE`"
                .to_owned(),
        )
        .into());
    }
    Ok(Passphrase::new(rpassword::prompt_password(question)?)?)
}
