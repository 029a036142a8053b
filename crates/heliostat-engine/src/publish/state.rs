//! How a signed tree stands, told without any key: what was published last, how the number of bins fits, and what
//! cannot be signed.

use heliostat_store::{Origin, RoleState, Store, Unsigned};
use heliostat_trust::bins::BinCount;
use heliostat_trust::ceremony::{Due, Lives, due};
use heliostat_trust::check::Found;
use heliostat_trust::metadata::{Expiry, Extent, Version};
use serde::Serialize;

use super::{coverage, offline};
use crate::error::EngineError;

/// Projects that cannot be signed, listed in a status at most; their number is told whole.
const UNSIGNABLE_MAX: usize = 1_000;

/// A number of bins that is off by this factor is worth signing all of them again. Less is not: one more project would
/// bring the notice at every doubling.
const BINS_FACTOR: u64 = 4;

/// How a signed tree stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SigningStatus {
    /// Who signs it.
    pub origin: Origin,
    /// The live snapshot; `None` before the first publication.
    pub snapshot: Option<RoleState>,
    /// The live timestamp.
    pub timestamp: Option<RoleState>,
    /// Pages that are signed, or will be with the next publication.
    pub pages: u64,
    /// Signed pages that changed since the last publication, at most; several may share a place.
    pub pending: u64,
    /// The number of bins and the one that fits; `None` where a carried tree has not come whole yet, and nobody knows.
    pub bins: Option<Fit>,
    /// What people sign and have to sign anew: `root`, `targets`, `bins`.
    pub due: Vec<RoleState>,
    /// Projects that cannot be signed.
    pub unsignable_count: u64,
    /// The first thousand of them, by name, with the reason.
    pub unsignable: Vec<Unsigned>,
}

/// How the number of bins stands to the number of projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// Projects held.
    pub projects: u64,
    /// Bins that the `bins` role of the tree delegates to.
    pub bins: u32,
    /// Bins that `trust init` would choose for so many projects.
    pub fitting: u32,
    /// Whether a sync has brought in all that is selected. Until then, fewer projects than were planned for say nothing.
    pub settled: bool,
}

impl Fit {
    /// Whether the projects have outgrown the bins by far, or shrunk to a quarter of them.
    pub fn is_due(self) -> bool {
        let (bins, fitting) = (u64::from(self.bins), u64::from(self.fitting));
        fitting >= bins * BINS_FACTOR || (self.settled && fitting * BINS_FACTOR <= bins)
    }
}

impl SigningStatus {
    /// Whether somebody must do something: a project is left out of what is signed, people must sign anew, or clients
    /// refuse the tree because what was signed last has expired. `now` is in seconds since 1970.
    pub fn needs_somebody(&self, now: i64) -> bool {
        let live = [&self.snapshot, &self.timestamp];
        self.unsignable_count > 0
            || !self.due.is_empty()
            || live.into_iter().flatten().any(|role| role.expires_at < now)
    }
}

/// What people sign and have to sign anew: what expires soon, or has. Of a carried tree, only what has: its notary may have
/// signed already. `now` is in seconds since 1970.
pub fn due_by_people(store: &Store, now: i64) -> Result<Vec<RoleState>, EngineError> {
    let Some(notary) = store.notary()? else {
        return Ok(Vec::new());
    };
    let least = match notary.origin {
        Origin::Own => Due::Soon,
        Origin::Carried => Due::Expired,
    };
    let mut roles = store.roles()?;
    roles.retain(|role| {
        matches!(&*role.name, "root" | "targets" | "bins") && urgency(role, now) >= least
    });
    Ok(roles)
}

/// How urgent a role is. `now` is in seconds since 1970.
fn urgency(role: &RoleState, now: i64) -> Due {
    let moment = |seconds| jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let found = Found {
        role: role.name.clone(),
        version: Version::new(role.version).unwrap_or(Version::FIRST),
        expires: Expiry::at(moment(role.expires_at)),
    };
    due(&found, &Lives::default(), moment(now))
}

/// How a store's signed tree stands; `None` where it is not signed. `now` is in seconds since 1970.
pub(crate) fn signing(store: &Store, now: i64) -> Result<Option<SigningStatus>, EngineError> {
    let Some(notary) = store.notary()? else {
        return Ok(None);
    };
    let roles = store.roles()?;
    let live = |name: &str| roles.iter().find(|role| role.name == name).cloned();
    let bins = match live("bins") {
        Some(_) => Some(fit_of(store, &roles)?),
        None => None,
    };
    Ok(Some(SigningStatus {
        origin: notary.origin,
        snapshot: live("snapshot"),
        timestamp: live("timestamp"),
        pages: store.targets_count()?,
        pending: store.pending()?.places.len() as u64,
        bins,
        due: due_by_people(store, now)?,
        unsignable_count: store.unsigned_count()?,
        unsignable: store.unsigned(UNSIGNABLE_MAX)?,
    }))
}

/// How the number of bins stands to the number of projects.
pub fn fit(store: &Store) -> Result<Fit, EngineError> {
    fit_of(store, &store.roles()?)
}

fn fit_of(store: &Store, roles: &[RoleState]) -> Result<Fit, EngineError> {
    let projects = store.totals()?.projects;
    Ok(Fit {
        projects,
        bins: offline::count(store, roles)?.get(),
        fitting: BinCount::for_projects(projects).get(),
        settled: coverage::noted(store)?.is_some_and(|claim| claim.extent != Extent::Partial),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_that_is_far_off_is_due() {
        let fit = |bins, fitting| Fit {
            projects: 0,
            bins,
            fitting,
            settled: true,
        };
        let due = |bins, fitting| fit(bins, fitting).is_due();
        assert!(!due(1, 1) && !due(1, 2) && due(1, 4));
        assert!(!due(16, 8) && due(16, 4) && due(8_192, 1));
        assert!(!due(65_536, 65_536));
        let unsettled = Fit {
            settled: false,
            ..fit(16, 1)
        };
        assert!(!unsettled.is_due());
    }
}
