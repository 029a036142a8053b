//! HTTP out: the only crate that speaks to upstreams. Owns politeness, retries, limits, redirects and three-way
//! answers. Does not store, verify digests or decide what is wanted.
//!
//! An [`Upstream`] is one index with one connection pool and one limit on requests under way. It fetches the project
//! list ([`Upstream::list`]), a project's page ([`Upstream::page`]), a small document ([`Upstream::document`]) and
//! files ([`Upstream::download`]); [`Upstream::get`] and [`Upstream::open`] ask once and leave the rest to callers that
//! have several servers to choose from; [`Upstream::post`] tells one server one thing. Every failure is an [`UpstreamError`] that says whether the upstream is out of
//! reach or whether it gave a definite answer, because the two must never be mistaken for each other.

mod answer;
mod attested;
mod auth;
mod body;
mod client;
mod counters;
mod decode;
mod document;
mod download;
mod error;
mod gate;
mod index;
mod media;
mod options;
mod piece;
mod plain;
mod post;
mod range;
mod redact;
mod redirect;
mod retry;
mod speed;
mod tls;
mod transport;

pub use answer::{Answer, Download, DownloadDone, FetchedList, FetchedPage, FileRequest};
pub use attested::Attested;
pub use client::Upstream;
pub use counters::Stats;
pub use error::{DownloadError, FailureKind, UpstreamError};
pub use options::{Caches, Limits, UpstreamOptions, Validators};
pub use piece::{Piece, Span};
pub use plain::{Coding, Incoming, Plain};
pub use redact::{bare, redacted};
pub use tls::client_config as tls_client_config;
