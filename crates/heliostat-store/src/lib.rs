//! The only code that touches files and the catalog: one committer, many consistent readers.

mod record;

pub use record::{FileRow, Keeper, LedgerEntry, Part, ProjectRecord, ProjectState, Validators};
