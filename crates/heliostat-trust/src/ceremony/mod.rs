//! The ceremony: how people make, look at, sign and put together the roles that are signed offline.
//!
//! A draft is one file with one or more documents (a root; or `targets` and `bins`), the same bytes wherever it is
//! made from the same words, so that two people can compare its digest aloud. Each person signs the whole draft in one
//! sitting; the signatures are one small file. Values in, values out: files and prompts are the program's.

mod assemble;
mod diff;
mod draft;
mod lives;
mod signatures;

pub use assemble::{Assembled, Existing, assemble, has_say};
pub use diff::describe;
pub use draft::{Document, Draft, RootWish, bins, delegations, root, targets};
pub use lives::{Due, Lives, due};
pub use signatures::{DraftSignatures, sign};

#[cfg(test)]
mod tests;
