//! What can keep the board from being drawn. An attack that succeeds is no error but a row.

use std::io;
use std::path::PathBuf;

/// Why the attacks could not be run.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// No port on loopback, or no thread.
    #[error("failed to start a mirror on loopback")]
    StartMirror(#[source] io::Error),
    /// The temporary directory or something in it.
    #[error("failed to write `{path}`")]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An installer or the proxy did not start.
    #[error("failed to start `{program}`")]
    StartProgram {
        /// Its path or name.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The proxy ended, or said nothing in time.
    #[error("the proxy did not come up: {0}")]
    StartProxy(String),
    /// The proxy was asked for something and gave no answer at all.
    #[error("failed to ask the proxy")]
    AskProxy(#[source] io::Error),
    /// The good tree that the mirrors twist could not be made.
    #[error("failed to make the signed tree: {0}")]
    MakeTree(String),
    /// A name on the command line that no attack has.
    #[error("there is no attack `{0}`")]
    UnknownAttack(String),
}
