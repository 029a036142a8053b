//! Fuzz targets for everything that reads what comes from outside. Run one with nightly and cargo-fuzz:
//! `cargo +nightly fuzz run page_json`. The corpora are replayed by the ordinary tests.

pub mod targets;
pub mod trust_targets;
