//! Under which roles that people signed the next publication is made: those that clients see, or those that waited for
//! the keys which they name.

use heliostat_store::{RoleState, Store};

use super::Notary;
use super::offline::Offline;
use super::waiting::{Waiting, wanted};
use super::write::Shows;
use crate::error::EngineError;

pub(super) struct Stand {
    pub(super) offline: Offline,
    /// What this publication lets clients see.
    pub(super) shows: Option<Shows>,
}

/// Decides it by the keys at hand, which are looked for again where they are too few. With the keys of neither, what is
/// missing is a key of those that wait.
pub(super) fn stand(
    store: &Store,
    notary: &Notary,
    live: &[RoleState],
    now: i64,
) -> Result<Stand, EngineError> {
    let before = Offline::read(store, live, None)?;
    let Some(waiting) = Waiting::of(store, live)? else {
        if before.check(notary).is_err() && notary.renew(now) {
            before.let_go(notary);
        }
        return Ok(Stand {
            offline: before,
            shows: None,
        });
    };
    let next = Offline::read(store, &waiting.over(live), Some(&waiting))?;
    if next.check(notary).is_err() {
        notary.renew(now);
    }
    if let Err(lacks) = next.check(notary) {
        if before.check(notary).is_err() {
            return Err(lacks);
        }
        notary.tell(&format!(
            "the roles that people signed last wait for the signature of {}; what clients see stays as it was before \
             them, and is signed with the key before",
            wanted(&next)
        ));
        return Ok(Stand {
            offline: before,
            shows: None,
        });
    }
    let bridges = bridges(&before, &next, notary);
    let shows = Shows {
        waiting,
        before: before.root.value,
        bridges,
    };
    Ok(Stand {
        offline: next,
        shows: Some(shows),
    })
}

/// Whether what is signed now can be such that clients of either root take it.
fn bridges(before: &Offline, next: &Offline, notary: &Notary) -> bool {
    let old = &before.root.value;
    let online = [("timestamp", &old.timestamp), ("snapshot", &old.snapshot)];
    let signs = |(role, authority)| notary.check(role, authority).is_ok();
    let targets = &next.targets;
    online.into_iter().all(signs)
        && (old.targets)
            .check("targets", &targets.canonical, &targets.signatures)
            .is_ok()
}

impl Offline {
    /// Whether the keys at hand are enough for everything that is signed online.
    fn check(&self, notary: &Notary) -> Result<(), EngineError> {
        let root = &self.root.value;
        notary.check("timestamp", &root.timestamp)?;
        notary.check("snapshot", &root.snapshot)?;
        notary.check("the bins", &self.online)
    }

    /// Lets go of the keys at hand that these roles do not name.
    pub(super) fn let_go(&self, notary: &Notary) {
        let root = &self.root.value;
        notary.keep_only(&[&root.timestamp, &root.snapshot, &self.online]);
    }
}
