//! Use-cases: the only place that knows the order of steps. Sync, on-demand taking, publishing, verifying, adopting,
//! bundles, status.
//!
//! Does not parse pages (`heliostat-pypi`), write files (`heliostat-store`), speak HTTP (`heliostat-upstream`,
//! `heliostat-serve`) or print (`heliostat`).

pub mod about;
pub mod adopt;
mod attestations;
pub mod bundle;
mod carry;
mod check_tree;
mod closure;
mod context;
mod continuity;
pub mod downstream;
mod error;
mod events;
mod learned;
mod ledger;
mod look_inside;
pub mod on_demand;
pub mod publish;
mod status;
pub mod sync;
mod take;
mod take_parts;
mod trusted_root;
mod validators;
pub mod verify;

pub use check_tree::{
    FilesChecked, Finding, FindingKind, TreeCheck, TreeReport, check_mirror, check_tree,
};
pub use closure::{Closure, ClosureRequest, closure};
pub use context::Context;
pub use error::EngineError;
pub use events::{Event, Events, ProjectOutcome, Stage};
pub use heliostat_client::Clock;
pub use heliostat_trust::attest::{AttestationPolicy, Attestations, Chosen};
pub use on_demand::{
    FileState, Gate, LiveDownload, LiveError, OnDemand, OnDemandError, OnDemandOptions, PageState,
    Passing,
};
pub use status::{MirrorStatus, RunKind, RunSummary, status};
pub use take::TakeError;
pub use trusted_root::{held_trusted_root, signed_trusted_root, trusted_root_of_mirror};
