//! `heliostat_client::tuf`, without what fetches and keeps.

#[path = "../../../crates/heliostat-client/src/tuf/strict.rs"]
mod strict;
#[expect(dead_code, reason = "the fuzz targets use a part")]
#[path = "../../../crates/heliostat-client/src/tuf/trusted.rs"]
mod trusted;

pub(crate) use trusted::{Naming, Step, Trusted};
