//! TUF metadata of this house as values: what the roles say, written so that every conforming client can check it.
//!
//! Owns the roles (TUF specification 1.0 section 4), their canonical bytes and their files. Values that cannot be
//! valid cannot be made. Does not decide versions or expiries, and does not verify like a client does: that is
//! `sigstore-tuf`'s state machine, driven by `heliostat-client`.

mod authority;
mod canonical;
mod coverage;
mod envelope;
mod parts;
mod read;
mod roles;

pub use authority::Authority;
pub(crate) use canonical::canonical;
pub use coverage::{Coverage, Extent};
pub use envelope::{Signed, Unsigned};
pub use parts::{Expiry, Pin, RoleName, TargetFile, Version};
pub use roles::{Delegation, Metadata, Root, Scope, Snapshot, Targets, Timestamp};

/// The version of the TUF specification that is written.
pub const SPEC_VERSION: &str = "1.0.34";

/// The field in which heliostat says more than TUF does: in the snapshot what the tree claims to hold, in the timestamp
/// when it was signed.
pub const EXTENSION_FIELD: &str = "x-heliostat";

/// The field of every targets role that says which one it is. Clients of ours refuse a file that says another name
/// than the one they asked for; `sigstore_tuf` keeps the field in `Targets::extra`.
pub const ROLE_FIELD: &str = "x-heliostat-role";

/// The field of a root or a targets role that has the labels of its keys, by key id. They do not stand in the key objects:
/// a key's id is the digest of its object, and clients that compute it from all that stands there refuse another.
pub(crate) const LABELS_FIELD: &str = "x-heliostat-labels";

#[cfg(test)]
mod tests;
