//! The crate from outside: the fuzz corpora replayed.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helper functions included"
)]

mod corpus;
