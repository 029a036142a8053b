//! What stands in contrib/, tried with the real programs it is for: nginx and systemd.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write trees and look for programs"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]
#![expect(
    clippy::print_stderr,
    reason = "a skipped test must be seen to be skipped"
)]

mod nginx;
mod systemd;

use std::env;
use std::path::{Path, PathBuf};

/// A directory under contrib/.
fn contrib(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../contrib")
        .join(name)
}

/// A program on `PATH` or where Debian keeps servers. Where it is missing, says aloud that the test is skipped.
fn program(name: &str) -> Option<PathBuf> {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&on_path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: `{name}` is not installed");
    }
    found
}
