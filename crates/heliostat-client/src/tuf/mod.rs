//! The TUF client workflow (specification 1.0.34, section 5): what is trusted, what is kept of it on disk, and the
//! walk that brings both up to date.
//!
//! `sigstore_tuf::TrustedMetadataSet` judges; of trees of ours root and timestamp, and what is large is judged over its
//! text (`signed`). This module fetches for both and remembers. Nothing here knows pages.

#[cfg(test)]
mod agreement;
mod delegated;
mod directory;
mod pins;
mod refusal;
mod shown;
mod signed;
mod strict;
mod trusted;
mod walk;

pub(crate) use directory::{MetadataDirectory, encoded};
pub(crate) use refusal::refusal_of;
pub(crate) use trusted::{Naming, Needed, Step, Trusted};
pub(crate) use walk::{Refreshed, TIMESTAMP, Walk, judged_timestamp, refused, wanted};
