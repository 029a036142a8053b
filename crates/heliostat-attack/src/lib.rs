//! The attack board: evil mirrors on loopback, the real proxy between, real installers behind it, and what came of it.
//!
//! The only code that lies on purpose, and the only one besides the store that writes files: its own temporary ones.
//! Knows nothing of how the proxy checks; it sees what a person would see.
#![expect(
    clippy::disallowed_methods,
    reason = "this crate owns the temporary directory in which attacks take place"
)]

mod answer;
mod ask;
mod attacks;
mod beside;
pub mod board;
mod error;
mod forge;
mod judge;
mod lab;
mod process;
mod round;
mod script;
mod server;
mod upstream;
mod wheel;
mod world;

pub use attacks::{Attack, all};
pub use error::AttackError;
pub use lab::{Lab, Row};
pub use process::{Installer, InstallerKind, Programs};
pub use round::{Attestations, Installed, Round};
