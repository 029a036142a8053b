//! Exit codes, and the one place where errors are shown on a terminal.

use std::fmt::Write as _;
use std::process::ExitCode;

use heliostat_client::ClientError;
#[cfg(feature = "directory")]
use heliostat_directory::DirectoryError;
use heliostat_engine::EngineError;
#[cfg(feature = "migrate")]
use heliostat_migrate::MigrateError;
use heliostat_pypi::bundle::BundleError;
use heliostat_serve::ServeError;
use heliostat_store::{ErrorKind, StoreError};
use heliostat_trust::TrustError;
use heliostat_trust::attest::AttestError;
use heliostat_upstream::UpstreamError;

#[cfg(feature = "directory")]
use crate::commands::NotAsSigned;
use crate::commands::{NamedMirrorError, UsageError};
use crate::settings::ConfigError;

/// How a command ended, when it could run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything asked for is done.
    Done,
    /// Done, but with findings or failed projects, which were listed.
    Findings,
    /// Done, and something does not verify, which was told.
    Distrusted,
    /// Another program ran and ended with this code, which becomes ours.
    Child(u8),
}

/// The exit codes of design.md section 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Done = 0,
    Findings = 1,
    Usage = 2,
    CouldNotRun = 3,
    Integrity = 4,
}

impl Outcome {
    /// The number that the process ends with.
    const fn number(self) -> u8 {
        match self {
            Self::Done => Code::Done as u8,
            Self::Findings => Code::Findings as u8,
            Self::Distrusted => Code::Integrity as u8,
            Self::Child(number) => number,
        }
    }
}

/// Shows an error, if any, and ends with its code.
pub(crate) fn finish(result: Result<Outcome, anyhow::Error>) -> ExitCode {
    ExitCode::from(match result {
        Ok(outcome) => outcome.number(),
        Err(error) => {
            show(&render(&error));
            code_of(&error) as u8
        }
    })
}

/// Shows an error that does not end the program by itself.
pub(crate) fn tell(error: &anyhow::Error) {
    show(&render(error));
}

/// Shows what clap has to say: help on stdout with code 0, wrong usage on stderr with code 2.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _nobody_to_tell = error.print();
    ExitCode::from(if error.use_stderr() {
        Code::Usage as u8
    } else {
        Code::Done as u8
    })
}

/// The code of an error: one total function over everything that can end a command.
fn code_of(error: &anyhow::Error) -> Code {
    for cause in error.chain() {
        if cause.is::<UsageError>() || cause.is::<ConfigError>() {
            return Code::Usage;
        }
        #[cfg(feature = "directory")]
        if cause.is::<DirectoryError>() {
            return Code::Usage;
        }
        #[cfg(feature = "directory")]
        if cause.is::<NotAsSigned>() {
            return Code::Integrity;
        }
        if matches!(cause.downcast_ref(), Some(AttestError::Without)) {
            return Code::Usage;
        }
        #[cfg(feature = "migrate")]
        if let Some(error) = cause.downcast_ref::<MigrateError>() {
            return match error {
                MigrateError::ReadMap { .. } | MigrateError::JudgeMap { .. } => Code::Usage,
                MigrateError::CheckEdit { .. } => Code::CouldNotRun,
            };
        }
        if let Some(error) = cause.downcast_ref::<UpstreamError>() {
            return upstream_code(error);
        }
        if let Some(error) = cause.downcast_ref::<EngineError>() {
            return match error {
                EngineError::NothingSelected
                | EngineError::NotMirrored { .. }
                | EngineError::NothingMatches { .. }
                | EngineError::BaseElsewhere { .. }
                | EngineError::SignsItself
                | EngineError::PruneByPart { .. } => Code::Usage,
                EngineError::Upstream(error) => upstream_code(error),
                EngineError::Unresolvable { .. } | EngineError::Stopped => Code::Findings,
                EngineError::Store(error) => store_code(error),
                EngineError::Bundle(error) => bundle_code(error),
                EngineError::NotAsHeld(_)
                | EngineError::Untrusted { .. }
                | EngineError::UntrustedTree { .. }
                | EngineError::OtherNotary { .. }
                | EngineError::BundleUnproven { .. }
                | EngineError::BundleExpired { .. } => Code::Integrity,
                EngineError::Trust(error) => trust_code(error),
                _ => Code::CouldNotRun,
            };
        }
        if let Some(error) = cause.downcast_ref::<TrustError>() {
            return trust_code(error);
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return store_code(error);
        }
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return client_code(error);
        }
    }
    Code::CouldNotRun
}

/// Signatures that do not hold or are too few are a matter of integrity; everything else is something typed or made
/// wrongly.
const fn trust_code(error: &TrustError) -> Code {
    match error {
        TrustError::BadSignature { .. }
        | TrustError::OtherDraft { .. }
        | TrustError::UnknownSigner { .. }
        | TrustError::TooFewSignatures { .. } => Code::Integrity,
        TrustError::Random(_) | TrustError::WriteSigningKey(_) => Code::CouldNotRun,
        _ => Code::Usage,
    }
}

fn client_code(error: &ClientError) -> Code {
    use heliostat_client::ErrorKind;
    match error.kind() {
        ErrorKind::Settings => Code::Usage,
        ErrorKind::Integrity | ErrorKind::Distrusted | ErrorKind::Withheld => Code::Integrity,
        ErrorKind::Absent => Code::Findings,
        ErrorKind::Outage | ErrorKind::Disk => Code::CouldNotRun,
    }
}

const fn upstream_code(error: &UpstreamError) -> Code {
    match error {
        UpstreamError::Configure { .. } => Code::Usage,
        _ => Code::CouldNotRun,
    }
}

const fn bundle_code(error: &BundleError) -> Code {
    match error {
        BundleError::Newer { .. } => Code::CouldNotRun,
        error if error.is_io() => Code::CouldNotRun,
        _ => Code::Integrity,
    }
}

fn store_code(error: &StoreError) -> Code {
    match error.kind() {
        ErrorKind::Damaged => Code::Integrity,
        _ => Code::CouldNotRun,
    }
}

fn render(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}\n");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let line = cause.to_string();
        // A transparent variant repeats what it wraps; once is enough.
        if !last.contains(&line) {
            let _infallible = writeln!(text, "  Caused by: {line}");
        }
        last = line;
    }
    if let Some(hint) = error.chain().find_map(hint) {
        let _infallible = writeln!(text, "\nhint: {hint}");
    }
    text
}

/// What to do next; names the exact flag or path.
fn hint(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<NamedMirrorError>() {
        let mirror = &error.mirror;
        return Some(format!(
            "check the network, and that `{mirror}` is the address under which `simple/` and `tuf/` stand"
        ));
    }
    if let Some(error) = cause.downcast_ref::<EngineError>() {
        return match error {
            EngineError::NothingSelected => Some(
                "name projects, or give `-r FILE` or `--all`; what is selected is remembered"
                    .to_owned(),
            ),
            EngineError::NoList { .. } => Some(
                "check `--upstream`: it must be the Simple API root, as in https://host/simple/"
                    .to_owned(),
            ),
            EngineError::Store(error) => error.hint().map(str::to_owned),
            EngineError::Upstream(error) => upstream_hint(error),
            EngineError::Unresolvable { .. } => Some(
                "loosen the requirements, or give other `--python` and `--platform`".to_owned(),
            ),
            error => notary_hint(error).or_else(|| bundle_hint(error)),
        };
    }
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<UpstreamError>() {
        return upstream_hint(error);
    }
    if let Some(TrustError::PassphraseMissing | TrustError::PassphraseEmpty) = cause.downcast_ref()
    {
        return Some(
            "set `HELIOSTAT_PASSPHRASE`, or give a file: `--online-passphrase-file` for an online key, \
             `--passphrase-file` for one of people"
                .to_owned(),
        );
    }
    if let Some(ClientError::PinnedRoot { .. }) = cause.downcast_ref() {
        return Some(
            "check `--root`: it must be the N.root.json that the notary gave out".to_owned(),
        );
    }
    if let Some(error) = cause.downcast_ref::<ClientError>() {
        match error {
            ClientError::ListRoot { .. } => {
                return Some(
                    "check `--directory-root`: it must be the N.root.json that the keepers of the list gave out"
                        .to_owned(),
                );
            }
            ClientError::List { .. } => {
                return Some(
                    "ask the keepers of the list for a newer one, check `--directory-root`, or name mirrors yourself with \
                     `--mirror` and leave out `--directory`"
                        .to_owned(),
                );
            }
            ClientError::ListUnreachable { .. } => {
                return Some(
                    "check `--directory`: it must be where `tuf/` and `v1/` stand; a copy in a folder will do, and so \
                     will mirrors that you name with `--mirror`"
                        .to_owned(),
                );
            }
            _ => {}
        }
    }
    if cause.is::<ServeError>() {
        return Some("check `--listen`, `--tls-cert` and `--tls-key`".to_owned());
    }
    None
}

/// Where what a notary signed is refused.
fn notary_hint(error: &EngineError) -> Option<String> {
    match error {
        EngineError::Untrusted { .. } => Some(
            "nothing was changed; take from another mirror with `--upstream`, or check `--root`".to_owned(),
        ),
        EngineError::UntrustedTree { .. } => Some(
            "check that the copy is whole, and that `--root`, where it is given, is of the notary who signed it".to_owned(),
        ),
        EngineError::OtherNotary { .. } => Some(
            "nothing was changed; check `--root`, and give what another notary signed another `--data`, or, where only \
             the roots between lack, the root that this data has".to_owned(),
        ),
        EngineError::SignsItself => Some(
            "nothing was changed; leave out `--root`, or give another `--data`; `heliostat import --root` proves \
             bundles and signs what they bring".to_owned(),
        ),
        _ => None,
    }
}

fn bundle_hint(error: &EngineError) -> Option<String> {
    match error {
        EngineError::NotMirrored { project, .. } => Some(format!(
            "`heliostat sync {project}` mirrors it; `heliostat export` without names takes everything that is mirrored"
        )),
        EngineError::NothingMatches { .. } => Some(
            "check its spelling; `heliostat export` without names takes everything that is mirrored".to_owned(),
        ),
        EngineError::BaseElsewhere { .. } => Some(
            "give a bundle or manifest of the same upstream to `--since`, or leave it out for a whole bundle".to_owned(),
        ),
        EngineError::PruneByPart { .. } => Some(
            "nothing was changed; leave out `--prune`, or make a bundle without names and `--since`".to_owned(),
        ),
        EngineError::NotAsHeld(_) => {
            Some("`heliostat verify --repair` finds and mends it; no bundle was written".to_owned())
        }
        EngineError::BundleLacks { .. } => Some(
            "import the bundle that this one was made `--since` first, or give the output of `heliostat export \
             --manifest-only` from here to `heliostat export --since`; nothing was changed"
                .to_owned(),
        ),
        EngineError::BundleUnproven { .. } => Some(
            "nothing was changed; bring the file over again, or check `--root`; without `--root` a bundle is taken \
             unproved"
                .to_owned(),
        ),
        EngineError::BundleExpired { .. } => Some(
            "nothing was changed; bring a newer bundle, or give the day on which you know that this one was new, as \
             in `--as-of 2026-11-25`"
                .to_owned(),
        ),
        EngineError::BundleUnlike { .. } => Some(
            "nothing was changed; export these projects as well, or `--since` the output of `heliostat export \
             --manifest-only` from here"
                .to_owned(),
        ),
        EngineError::NoRoom { .. } => {
            Some("free some space on the file system of `--data`; nothing was changed".to_owned())
        }
        EngineError::Bundle(BundleError::Newer { .. }) => {
            Some("use the heliostat that made it, or a newer one".to_owned())
        }
        EngineError::Bundle(error) if bundle_code(error) == Code::Integrity => {
            Some("nothing was changed; bring the file over again, or make it anew".to_owned())
        }
        _ => None,
    }
}

fn upstream_hint(error: &UpstreamError) -> Option<String> {
    (upstream_code(error) == Code::CouldNotRun).then(|| {
        "check the network and `--upstream`; what is held stays, and the next run goes on"
            .to_owned()
    })
}

#[expect(clippy::print_stderr, reason = "the one place where errors are shown")]
fn show(text: &str) {
    eprint!("{text}");
}
