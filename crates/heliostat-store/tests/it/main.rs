//! The store from outside: whole data directories, other processes, kills and full disks.
#![expect(clippy::disallowed_methods, reason = "tests look at what is on disk")]

mod adopt;
mod commit;
mod damage;
mod disk_full;
mod intake;
mod kill;
mod processes;
mod sequences;
mod world;
