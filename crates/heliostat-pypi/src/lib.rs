//! Pure packaging knowledge: project names, versions, file names, digests, and Simple API pages in and out.
//!
//! This crate does no I/O, reads no clock and knows nothing async. Everything here is a function of values,
//! so that every other crate may depend on it and every rule in it can be tested and fuzzed alone.

pub mod bundle;
pub mod client_config;
mod digest;
mod filename;
pub mod filter;
pub mod lock_urls;
pub mod metadata;
mod name;
pub mod page;
mod path;
mod requirement;
pub mod resolve;
pub mod select;
mod serial;
mod specifiers;
pub mod tags;
mod version;

pub use digest::{DigestError, Sha256};
pub use filename::{FileName, FileNameError, LegacyKind, WheelName, project_candidates};
pub use name::{NAME_BYTES_MAX, NameError, ProjectName};
pub use path::{FILE_NAME_BYTES_MAX, PathError, RelPath, TreePath};
pub use requirement::{
    ExtraName, Marker, MarkerEnvironment, MarkerError, REQUIREMENT_BYTES_MAX, Requirement,
    RequirementError, RequirementSource, Values,
};
pub use serial::Serial;
pub use specifiers::{SPECIFIERS_BYTES_MAX, Specifiers, SpecifiersError};
pub use version::Version;
