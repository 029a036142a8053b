//! The program as people run it: real processes over real sockets and real directories, with a PyPI on loopback
//! that misbehaves on demand, and real pip, uv, bandersnatch, nginx and chromium.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look at data directories and damage them"
)]

mod http;
mod world;
