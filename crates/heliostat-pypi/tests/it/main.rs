//! The crate from outside: whole documents, properties, and the fuzz corpora replayed.

mod corpus;
mod golden;
mod pages;
