//! Fuzz targets for everything that reads what comes from outside. Run one with nightly and cargo-fuzz:
//! `cargo +nightly fuzz run page_json`. The corpora are replayed by the ordinary tests.
//!
//! What two crates keep to themselves is built in here once more, from the same files, without the servers around it.

pub mod client;
pub mod directory;
pub mod migrate;
pub mod serve;
pub mod targets;
pub mod trust_targets;

#[expect(dead_code, reason = "the fuzz targets use a part")]
#[path = "../../crates/heliostat-serve/src/conditional.rs"]
mod conditional;
#[path = "../../crates/heliostat-serve/src/range.rs"]
mod range;

mod tuf;
