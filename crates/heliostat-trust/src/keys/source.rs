//! Where a signer is: words of the configuration as a value. Reading files and running programs is the caller's.

use std::path::PathBuf;
use std::str::FromStr;

use super::shown;
use crate::error::TrustError;

/// A signer by configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerSource {
    /// `file:PATH`: a private key file.
    File(PathBuf),
    /// `env:NAME`: an environment variable that holds the text of a private key file.
    Environment(String),
    /// `command:PROGRAM ARG…`: a program that gets the bytes to sign on stdin and prints the signature in hexadecimal,
    /// as a front for a hardware module or a key service. Words are split at spaces; there is no quoting.
    Command(Vec<String>),
}

impl FromStr for SignerSource {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let fault = || {
            TrustError::ReadSigningKey(format!(
                "`{}` is not `file:PATH`, `env:NAME` or `command:PROGRAM ARG…`",
                shown(text)
            ))
        };
        let (kind, rest) = text.split_once(':').ok_or_else(fault)?;
        let rest = rest.trim();
        if rest.is_empty() {
            return Err(fault());
        }
        match kind {
            "file" => Ok(Self::File(rest.into())),
            "env" => Ok(Self::Environment(rest.to_owned())),
            "command" => Ok(Self::Command(
                rest.split_whitespace().map(str::to_owned).collect(),
            )),
            _ => Err(fault()),
        }
    }
}
