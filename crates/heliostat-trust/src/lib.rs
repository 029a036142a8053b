//! Trust: TUF roles and their signing, keys, the ceremony, whole-repository checks, attestations. Values in, values
//! out.
//!
//! Does no I/O and reads no clock: bytes and the time are parameters (`heliostat-client` fetches, `heliostat-store`
//! writes, the program asks for passphrases).

pub mod attest;
pub mod bins;
pub mod ceremony;
pub mod check;
pub mod crypto;
pub mod directory;
mod error;
pub mod keys;
pub mod metadata;
pub mod publishers;
pub mod receipt;

pub use error::TrustError;
