//! Trust, held against what others say of the same bytes.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the files of others and write copies to spoil"
)]

mod attest;
