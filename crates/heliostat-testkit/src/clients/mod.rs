//! Real programs as clients and neighbours: pip, uv, poetry, pdm, pipenv, twine, bandersnatch, nginx, chromium.
//!
//! Owns finding, installing and running them on loopback with clean configurations. A tool that is not there is a
//! [`Skip`], said aloud; `heliostat-testkit install-clients` gets what can be had.

mod attestations;
mod bandersnatch;
mod chromium;
mod install;
mod nginx;
mod pip;
mod uv;

use std::fmt;

pub use attestations::PypiAttestations;
pub use bandersnatch::{Bandersnatch, MirrorJob};
pub use chromium::{Chromium, Viewport};
pub use install::{DebianPackage, InstallError, Tool, install_all, install_debian};
pub use nginx::Nginx;
pub use pip::Pip;
pub use uv::Uv;

/// Why a client cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The client, or nothing after saying so on stderr. With `HELIOSTAT_TEST_NO_SKIP` set, a missing client fails the
/// test instead: for runs that are to prove something.
#[track_caller]
#[expect(
    clippy::print_stderr,
    reason = "a test that proves nothing must be seen"
)]
pub fn or_skip<T>(found: Result<T, Skip>) -> Option<T> {
    match found {
        Ok(client) => Some(client),
        Err(skip) => {
            assert!(
                std::env::var_os("HELIOSTAT_TEST_NO_SKIP").is_none(),
                "nothing may be skipped: {skip}"
            );
            eprintln!("SKIPPED: {skip}");
            None
        }
    }
}
