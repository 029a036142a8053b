//! One file for each command: settings in, engine call, what to print and how it ended out.

mod adopt;
#[cfg(feature = "attack-lab")]
mod attack_lab;
mod attest;
mod attest_memory;
mod bandersnatch;
mod config;
#[cfg(feature = "directory")]
mod directory;
mod doctor;
mod exec;
mod export;
mod filters;
mod import;
mod lock;
#[cfg(feature = "migrate")]
mod migrate;
mod mirrors;
mod proxy;
mod selection;
mod serve;
mod setup;
mod shell;
mod signals;
mod status;
mod sync;
mod trust;
mod tuf_client;
mod verify;

#[cfg(feature = "directory")]
pub(crate) use directory::NotAsSigned;

use crate::cli::Command;
use crate::outcome::Outcome;
use crate::settings::Settings;

/// Wrong words that only show once files have been read: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// A mirror that was named where others name a directory.
#[derive(Debug, thiserror::Error)]
#[error("cannot check the mirror `{mirror}`")]
pub(crate) struct NamedMirrorError {
    /// Its address, without credentials.
    pub(crate) mirror: String,
    #[source]
    pub(crate) source: heliostat_engine::EngineError,
}

/// Runs what was typed.
pub(crate) fn run(settings: Settings) -> anyhow::Result<Outcome> {
    let Settings { cli, typed, .. } = settings;
    match cli.command {
        Command::Serve(args) => serve::run(&cli.common, &args),
        Command::Sync(args) => sync::run(&cli.common, &args, typed),
        Command::Verify(args) => verify::run(&cli.common, &args),
        Command::Adopt(args) => adopt::run(&cli.common, &args),
        Command::Export(args) => export::run(&cli.common, &args),
        Command::Import(args) => import::run(&cli.common, *args),
        Command::Status(args) => status::run(&cli.common, &args),
        Command::Proxy(args) => proxy::run(&cli.common, &args),
        Command::Mirrors(command) => mirrors::run(&cli.common, &command),
        Command::Trust(command) => trust::run(&cli.common, &command),
        Command::Exec(args) => exec::run(&cli.common, &args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Setup(args) => setup::run(&args),
        Command::Lock(command) => lock::run(&command),
        Command::Attest(command) => attest::run(&command),
        Command::TufClient(args) => tuf_client::run(&args),
        #[cfg(feature = "migrate")]
        Command::Migrate(command) => migrate::run(&command),
        #[cfg(feature = "directory")]
        Command::Directory(command) => directory::run(&cli.common, &command),
        #[cfg(feature = "attack-lab")]
        Command::AttackLab(args) => attack_lab::run(&args),
        Command::Config(command) => config::run(&cli.common, &command),
        Command::Completions { shell } => Ok(shell::completions(shell)),
        Command::Man => shell::manual(),
        Command::Reference { part } => Ok(shell::reference(part)),
    }
}
