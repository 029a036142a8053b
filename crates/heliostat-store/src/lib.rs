//! The only code that touches files and the catalog: one committer, many consistent readers.
//!
//! `Store` is one open data directory. Bytes come in through `Intake`, which hands out a `VerifiedBlob` only when they
//! are what was promised; `Store::commit` is the only way into the tree. All calls block.
#![expect(
    clippy::disallowed_methods,
    reason = "this crate is the owner of what is on disk"
)]

mod adopt;
mod beginning;
#[cfg(feature = "bulk-fill")]
mod bulk;
mod catalog;
mod check;
mod commit;
mod disk;
mod error;
mod foreign;
mod intake;
mod keys;
mod kill;
mod layout;
mod lock;
mod pages;
mod public;
mod read;
mod record;
mod recover;
mod repair;
mod root;
mod shelf;
mod signed;
mod store;

pub use adopt::{FileDigest, check, hash};
pub use beginning::Beginning;
pub use catalog::{CheckPlace, Root, Run, Totals};
pub use check::{CheckStep, Lost};
pub use commit::{Admission, Blobs, Change, CommitPolicy, Committed, Learned, Put, Refusal, Swept};
pub use disk::{OpenFile, Stamp};
pub use error::{ErrorKind, Mismatch, StoreError};
pub use foreign::{Entry, EntryKind, Foreign, Walk};
pub use intake::{Expected, Intake, VerifiedBlob};
pub use kill::KILL_POINTS;
pub use layout::{PageKind, RootKind};
pub use lock::{PublishLock, SyncLock};
pub use public::LocalStat;
pub use read::NamedRecord;
pub use record::{
    FileRow, Keeper, LedgerEntry, Part, ProjectRecord, ProjectState, Validators, Weight,
};
pub use recover::{Recovery, RootState};
pub use repair::{document, document_places};
pub use signed::{
    MetadataFile, MetadataStep, Notary, Origin, Pending, Places, Publication, RoleState, Target,
    Unsigned, place_of,
};
pub use store::{Access, Store};
