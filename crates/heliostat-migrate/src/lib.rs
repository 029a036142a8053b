//! Moving off a retired host: find every reference, tell what kind it is, rewrite it without touching another byte.
//!
//! Pure over bytes: walking, reading and writing files is the program's work, HTTP is `heliostat-serve`'s.

mod check;
mod edit;
mod error;
mod kind;
pub mod lock;
pub mod map;
pub mod report;
pub mod retire;
mod scan;
mod text;

pub use edit::{Edit, apply, settle};
pub use error::MigrateError;
pub use kind::{Action, Kind, Severity};
pub use scan::{FileScan, Finding, Format, Needles, Scanner, Unresolved, redacted};
pub use text::{Encoding, Text};
