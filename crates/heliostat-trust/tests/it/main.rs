//! Trust, held against what others say of the same bytes: attestations, and repositories as python-tuf and
//! sigstore-tuf see them.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the files of others and write copies to spoil"
)]

mod accepted;
mod attest;
mod clients;
mod corpus;
mod openssl;
mod python_tuf;
mod refused;
mod repository;
