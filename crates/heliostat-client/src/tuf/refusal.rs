//! What a refusal of the TUF state machine amounts to. Pure.

use heliostat_pypi::Sha256;
use sigstore_tuf::Error;

use crate::failure::{Attack, Refusal};

/// The refusal of `bytes` for `error`.
pub(crate) fn refusal_of(error: &Error, bytes: &[u8]) -> Refusal {
    let attack = match error {
        Error::Expired { .. } => Attack::Freeze,
        Error::Rollback { .. } => Attack::Rollback,
        Error::IntegrityMismatch(_) => Attack::Altered,
        Error::BadRootVersion { .. } => Attack::WrongRoot,
        Error::Json(_) | Error::Malformed(_) | Error::NonIntegerNumber => Attack::Unreadable,
        _ => Attack::Forged,
    };
    Refusal {
        attack,
        detail: chain(error),
        found: Some(Sha256::of(bytes)),
    }
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
