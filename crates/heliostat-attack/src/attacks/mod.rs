//! The attacks: what each mirror does, and what must come of it. Values; running them is `lab`'s work.
//!
//! The list follows the TUF specification (1.5.2), PEP 458 (appendix A) and Cappos et al., "A Look in the Mirror:
//! Attacks on Package Managers" (CCS 2008).

mod around;
mod content;
mod keys;
mod metadata;
mod pages;
mod transport;

use std::path::Path;

use crate::error::AttackError;
use crate::script::Script;
use crate::world::World;

/// One attack.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// Its name on the command line.
    pub name: &'static str,
    /// The family that the literature gives it.
    pub family: &'static str,
    /// What the mirror does, in a line.
    pub what: &'static str,
    /// What the client has seen when the attack begins.
    pub(crate) before: Before,
    /// How the mirror behaves.
    pub(crate) evil: Make,
    /// How the honest one beside it behaves.
    pub(crate) honest: Make,
    /// What is done through the proxy.
    pub(crate) goal: Goal,
    /// What must come of it when there is no other mirror.
    pub(crate) alone: Alone,
    /// And when one mirror is honest.
    pub(crate) with_honest: WithHonest,
    /// What may be on the client's disk afterwards.
    pub(crate) kept: Kept,
    /// Words of which one must stand in what the person sees, beside the mirror's address.
    pub(crate) told: &'static [&'static str],
    /// A word that must stand there when two mirrors were looked at.
    pub(crate) told_together: Option<&'static str>,
}

/// Makes a mirror's behaviour from the notary's trees and keys.
pub(crate) type Make = fn(&World) -> Result<Script, AttackError>;

/// What most attacks have in common.
const PLAIN: Attack = Attack {
    name: "",
    family: "",
    what: "",
    before: Before::Nothing,
    evil: newest,
    honest: newest,
    goal: Goal::Install,
    alone: Alone::Refused,
    with_honest: WithHonest::Newest,
    kept: Kept::Signed,
    told: &[],
    told_together: None,
};

/// What the client has seen when the attack begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before {
    /// Nothing but its pinned root.
    Nothing,
    /// The newest state, from mirrors that were honest.
    Newest,
    /// The newest state, and then it was started again.
    NewestThenRestart,
    /// The newest state; then it was stopped, and somebody was at its files.
    NewestThenTampered(fn(&Path) -> std::io::Result<()>),
    /// What mirrors showed one after the other, which it took; it was started again after each.
    Seen(fn(&World) -> Result<Vec<Script>, AttackError>),
}

/// What is done through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// `victim` is installed.
    Install,
    /// `victim` is installed, and then its attestations are asked for.
    Attestations,
    /// `victim` is to be installed by an installer that is told of a stranger's address as well.
    Beside(Setting),
}

/// How an installer is told of a stranger beside the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// As one more index.
    ExtraIndex,
    /// As a page of links.
    FindLinks,
    /// As the index that is asked after the proxy, where the installer knows an order.
    SecondIndex,
}

/// What must come of an attack when there is no other mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    /// The installer fails, and nothing is installed.
    Refused,
    /// The attack comes to nothing: the newest is installed, byte for byte.
    Harmless,
    /// Either of the two, as the installer's configuration can be overruled or not.
    RefusedOrHarmless,
    /// An older state that was signed and has not expired is installed: nobody can know better without a second
    /// mirror or a later look.
    OldIsInstalled,
    /// The newest is installed, since installers do not look at attestations; they are refused to whoever does.
    AttestationsRefused,
}

/// What must come of an attack when one mirror is honest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithHonest {
    /// The newest is installed.
    Newest,
    /// The newest or nothing, as the installer's configuration can be overruled or not.
    NewestOrRefused,
    /// Nothing: what is wrong is the clock or the notary's key, and no other mirror can mend it.
    Refused,
}

/// What may be on the client's disk after an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Metadata and pages that the notary signed, and nothing else.
    Signed,
    /// Whatever: somebody was at the files, or the thief's metadata was valid when it was taken.
    Anything,
}

/// Every attack, in the order of the board.
pub fn all() -> Vec<Attack> {
    [
        content::ATTACKS,
        metadata::ATTACKS,
        keys::ATTACKS,
        pages::ATTACKS,
        transport::ATTACKS,
        around::ATTACKS,
    ]
    .concat()
}

/// A mirror of the newest state that does nothing wrong.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where other scripts may fail"
)]
fn newest(world: &World) -> Result<Script, AttackError> {
    Ok(world.honest())
}
