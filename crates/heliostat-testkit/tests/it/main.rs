//! The fake PyPI behaves, and misbehaves, as asked: seen by a client that hides nothing.
#![expect(clippy::unwrap_used, reason = "what a test builds on fails the test")]

mod misbehaving;
mod raw;
mod real_clients;
mod tls;
mod well_behaved;
