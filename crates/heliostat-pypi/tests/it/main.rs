//! The crate from outside: whole documents, properties, and the fuzz corpora replayed.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helper functions included"
)]

mod canonical;
mod corpus;
mod golden;
mod pages;
