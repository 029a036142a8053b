//! The crate from outside: the fuzz corpora replayed, properties of what is written.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helper functions included"
)]

mod corpus;
mod places;
mod properties;
