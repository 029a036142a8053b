//! `heliostat trust`: who may sign this mirror, and with what.

mod init;

use crate::cli::{CommonArgs, TrustCommand};
use crate::outcome::Outcome;

pub(super) fn run(common: &CommonArgs, command: &TrustCommand) -> anyhow::Result<Outcome> {
    match command {
        TrustCommand::Init(args) => init::run(common, args),
    }
}
