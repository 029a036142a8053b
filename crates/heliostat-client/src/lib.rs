//! Taking from mirrors that nobody trusts: the TUF client workflow over several mirrors, racing, evidence, and a cache
//! in which every byte is checked when it is read.
//!
//! Does not sign, and knows nothing of catalogs and trees; it serves nobody (`heliostat-serve` does).

mod answer;
mod carried;
mod client;
mod clock;
mod compare;
#[cfg(test)]
mod corpus;
mod coverage;
mod disk;
mod download;
mod error;
mod failure;
mod limits;
mod listing;
mod mirrors;
mod nameless;
mod origin;
mod pages;
mod parts;
mod plain_client;
mod proof;
mod session;
mod single;
mod spoilt;
mod spool;
mod tested;
mod tuf;
mod turns;

pub use answer::{ClientOptions, FileAnswer, FilePart, PageAnswer};
pub use carried::{Carried, CarriedFile, CarriedPage};
pub use client::Client;
pub use clock::Clock;
pub use compare::{Comparison, Conflict, Document, Source, View, compare};
pub use error::{Answers, ClientError, ErrorKind};
pub use failure::{Attack, Failure, Refusal, Verdict};
pub use limits::Limits;
pub use listing::{ListOptions, ListPlace, Listing, VerifiedList};
pub use mirrors::{
    Advice, Candidate, Carries, Choices, Circuit, JournalEntry, MirrorOptions, Prior, Standing,
    Transport,
};
pub use origin::{OriginOptions, OriginOrder};
pub use pages::SignedPage;
pub use plain_client::PlainClient;
pub use proof::ProofOptions;
pub use single::{Answering, Moment, Single};
pub use spool::{Spool, SpoolError};
pub use tested::Tested;
