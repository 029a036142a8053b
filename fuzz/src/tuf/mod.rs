//! `heliostat_client::tuf`, without what fetches and keeps.

#[path = "../../../crates/heliostat-client/src/tuf/delegated/mod.rs"]
mod delegated;
#[expect(dead_code, reason = "the fuzz targets use a part")]
#[path = "../../../crates/heliostat-client/src/tuf/pins/mod.rs"]
mod pins;
#[path = "../../../crates/heliostat-client/src/tuf/signed.rs"]
mod signed;
#[path = "../../../crates/heliostat-client/src/tuf/strict.rs"]
mod strict;
#[expect(dead_code, reason = "the fuzz targets use a part")]
#[path = "../../../crates/heliostat-client/src/tuf/trusted/mod.rs"]
mod trusted;

pub(crate) use trusted::{Naming, Step, Trusted};
