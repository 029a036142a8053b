//! The crate against servers on loopback that misbehave on purpose: pages, files, transport.

#![cfg(test)]

mod files;
mod pages;
mod patience;
mod plain;
mod redirects;
mod server;
mod transport;
