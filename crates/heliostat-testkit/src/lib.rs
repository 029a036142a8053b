//! A PyPI on loopback that misbehaves on demand, packages made in memory, an independent checker of mirrored trees,
//! and runners for real clients. For tests, benchmarks and `cargo xtask` only.
//!
//! It depends on none of heliostat's own crates, so that what it says about a tree is a second opinion.
#![expect(
    clippy::disallowed_methods,
    reason = "test tools make files, start programs and read the environment"
)]

pub mod clients;
pub mod directory;
pub mod fixture;
pub mod front;
mod listening;
pub mod mirror;
pub mod process;
pub mod pypi;
pub mod receiver;
pub mod tree;
pub mod universe;
