//! The store from outside: whole data directories, other processes, kills and full disks.
#![expect(clippy::disallowed_methods, reason = "tests look at what is on disk")]

mod commit;
mod world;
