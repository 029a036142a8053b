//! The store from outside: whole data directories, other processes, kills and full disks.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test looks at what is on disk, fails by panicking, and speaks to who runs it"
)]

mod adopt;
mod beginning;
mod commit;
mod damage;
mod disk_full;
mod intake;
mod kill;
mod notary;
mod processes;
mod sequences;
mod world;
