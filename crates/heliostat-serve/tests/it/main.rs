//! The server over real sockets, on a real store.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look at the data directory and its files themselves"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a failed step of a test is the test's failure"
)]

mod connections;
mod files;
mod http2;
mod on_demand;
mod pages;
mod people;
mod statistics;
mod support;
mod tls;
