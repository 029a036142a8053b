//! The list of mirrors: who is on it, how each does, and what follows from that.
//!
//! Pure over values: the registry's files come in as bytes, what was observed as samples, the time as a parameter.
//! Probing, files and signing are others' work. The rules are written down in `policy`, the figures in `score`,
//! what they lead to in `state`.

mod difference;
mod error;
mod exchange;
mod finding;
mod merge;
mod notice;
mod observe;
mod policy;
mod publish;
mod registry;
mod score;
mod state;
mod weight;

pub use difference::{Change, Difference, differences, document_differences};
pub use error::{DirectoryError, Problem};
pub use exchange::{Imported, ListForm, Proposed, id_of_host};
pub use finding::{
    Certificate, Check, Class, FINDING_CHARS_MAX, FINDINGS_MAX, Finding, Level, Receipt,
    SignedReceipt,
};
pub use merge::{Merged, merge};
pub use notice::{Action, Known, NextAction, Notice, NoticeKind, Reason, next_actions, notices};
pub use observe::{Count, Gate, HistoryReader, Outcome, Round, Sample, VantageId};
pub use policy::{ActiveRules, CapRules, NoticeRules, Policy, RoundRules, ScoreRules, StateRules};
pub use publish::{
    EndpointStatus, Files, Freshness, MirrorList, Moved, Published, Quantiles, Share, StatusList,
    VantageStatus, history_by_month, publish, published_mirror, registry_documents,
};
pub use registry::{
    AdminState, Contact, CountryCode, Coverage, Endpoint, EndpointId, Layout, Maintenance, Mirror,
    MirrorId, Operator, Registry, Retirement, forbidden_name,
};
pub use score::{Health, Term, Why, health, wilson_lower};
pub use state::{Braked, Decided, Replay, Replayed, Rule, Standing, State, Transition, replay};
pub use weight::{Group, Weight, Weights, weights};
