//! `heliostat_client::tuf`, without what fetches and keeps.

#[expect(dead_code, reason = "the fuzz targets use a part")]
#[path = "../../../crates/heliostat-client/src/tuf/delegated/mod.rs"]
mod delegated;
#[path = "../../../crates/heliostat-client/src/tuf/strict.rs"]
mod strict;
#[expect(dead_code, reason = "the fuzz targets use a part")]
#[path = "../../../crates/heliostat-client/src/tuf/trusted/mod.rs"]
mod trusted;

pub(crate) use trusted::{Naming, Step, Trusted};
