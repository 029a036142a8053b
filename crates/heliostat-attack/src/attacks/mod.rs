//! The attacks: what each mirror does, and what must come of it. Values; running them is `lab`'s work.
//!
//! The list follows the TUF specification (1.5.2), PEP 458 (appendix A) and Cappos et al., "A Look in the Mirror:
//! Attacks on Package Managers" (CCS 2008).

mod content;
mod metadata;
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
    pub(crate) evil: fn(&World) -> Result<Script, AttackError>,
    /// What must come of it when there is no other mirror.
    pub(crate) alone: Alone,
    /// And when one mirror is honest.
    pub(crate) with_honest: WithHonest,
    /// Words of which one must stand in what the person sees, beside the mirror's address.
    pub(crate) told: &'static [&'static str],
}

/// What the client has seen when the attack begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before {
    /// Nothing but its pinned root.
    Nothing,
    /// The newest state, from a mirror that was honest.
    Newest,
    /// The newest state, and then it was started again.
    NewestThenRestart,
    /// The newest state; then it was stopped, and somebody was at its files.
    NewestThenTampered(fn(&Path) -> std::io::Result<()>),
}

/// What must come of an attack when there is no other mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    /// The installer fails, and nothing is installed.
    Refused,
    /// The attack comes to nothing: the newest is installed, byte for byte.
    Harmless,
    /// Either of the two: what the client has seen and kept may be enough.
    RefusedOrHarmless,
    /// An older state that was signed and has not expired is installed: nobody can know better without a second
    /// mirror or a later look.
    OldIsInstalled,
}

/// What must come of an attack when one mirror is honest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithHonest {
    /// The newest is installed.
    Newest,
    /// The newest, or nothing until people have signed a new root: a thief of the online key can stop the clock, and
    /// no more.
    NewestOrRefused,
}

/// Every attack, in the order of the board.
pub fn all() -> Vec<Attack> {
    [content::ATTACKS, metadata::ATTACKS, transport::ATTACKS].concat()
}
