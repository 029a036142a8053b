//! `heliostat trust`: keys, the ceremony, and the state of what was signed. Nothing here uses the network.

mod ceremony;
mod change;
mod compare;
pub(super) mod expiry;
pub(super) mod files;
mod init;
mod install;
mod keys;
pub(super) mod passphrase;
mod rebin;
mod rehearse;
mod status;
mod steps;
mod trusted_root;
mod verify;

use super::signals;
use crate::cli::{CommonArgs, DelegateCommand, RootCommand, TrustCommand};
use crate::outcome::Outcome;

pub(super) fn run(common: &CommonArgs, command: &TrustCommand) -> anyhow::Result<Outcome> {
    match command {
        TrustCommand::Init(args) => init::init(common, args)?,
        TrustCommand::Keys(command) => keys::run(command)?,
        TrustCommand::Root(command) => match command {
            RootCommand::Draft(args) => ceremony::draft_root(args)?.aloud(),
            RootCommand::Show(args) => ceremony::show(args)?,
            RootCommand::Sign(args) => ceremony::sign_root(args)?.aloud(),
            RootCommand::Assemble {
                draft,
                signatures,
                previous,
                output,
            } => ceremony::assemble_root(draft, signatures, previous.as_deref(), output)?.aloud(),
        },
        TrustCommand::Delegate(command) => match command {
            DelegateCommand::Show(args) => ceremony::show(args)?,
            DelegateCommand::Sign(args) => ceremony::sign(args)?.aloud(),
            DelegateCommand::Assemble {
                draft,
                signatures,
                root,
                output,
            } => ceremony::assemble_delegations(draft, signatures, root, output)?.aloud(),
            DelegateCommand::Draft {
                root,
                projects,
                previous,
                expires,
                trusted_root,
                output,
            } => {
                let wish = ceremony::DelegationWish {
                    root,
                    projects: *projects,
                    previous,
                    expires,
                    trusted_root: trusted_root.as_deref(),
                };
                ceremony::draft_delegations(&wish, output)?.aloud();
            }
        },
        TrustCommand::Install { files } => install::install(common, files)?,
        TrustCommand::Status { json } => return status::run(common, *json),
        TrustCommand::Verify(args) => return verify::run(args),
        TrustCommand::Compare(args) => return compare::run(args),
        TrustCommand::Renew(drafts) => change::renew(common, drafts)?,
        TrustCommand::Rotate(command) => change::rotate(common, command)?,
        TrustCommand::Revoke(args) => change::revoke(common, args)?,
        TrustCommand::Rebin(args) => rebin::run(common, args)?,
        TrustCommand::TrustedRoot(args) => trusted_root::run(common, args)?,
        TrustCommand::Rehearse => return signals::run_blocking(rehearse::run),
    }
    Ok(Outcome::Done)
}
