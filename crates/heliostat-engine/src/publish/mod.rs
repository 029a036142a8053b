//! Publishing: signs what commits have changed, so that anybody may carry the tree and nobody need trust them.
//!
//! Owns when something is signed and in which order it is written: changed bins, snapshot, timestamp. What keys are and
//! how metadata looks is `heliostat-trust`; the files and what is pending are `heliostat-store`.

mod by_hand;
mod coverage;
mod held;
mod keep;
mod offline;
mod plan;
mod retries;
mod signer;
mod stand;
mod state;
mod waiting;
mod write;

use std::sync::Arc;

use heliostat_store::{Origin, Store};
use serde::{Deserialize, Serialize};

pub use by_hand::{PageSignature, sign_page};
pub(crate) use coverage::is_claimed_complete;
pub use coverage::{claim, claimed};
pub use heliostat_trust::ceremony::Lives;
pub use offline::{OfflineFiles, install};
pub(crate) use offline::{named_by_targets, trusted_root_path};
pub(crate) use retries::Retries;
pub use signer::{Notary, Signer};
pub(crate) use state::signing;
pub use state::{Fit, SigningStatus, due_by_people, fit};
pub use waiting::{WaitingRoles, newest_file, waiting};

use crate::context::{Context, blocking};
use crate::error::EngineError;
use crate::events::{Event, Events};
use heliostat_client::Clock;

/// How much a call wants to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urge {
    /// What has changed, and what is due to be signed again.
    WhenDue,
    /// At least a new timestamp.
    Heartbeat,
}

/// What was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Bins that were signed.
    pub bins: u64,
    /// The snapshot that is current now.
    pub snapshot: u64,
    /// The timestamp that says so.
    pub timestamp: u64,
    /// Files unlinked that only old snapshots named.
    pub swept: u64,
}

/// What the last publication was made from: the note `publication`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Last {
    /// How many bins there were.
    bins: u32,
    /// The versions of the roles that people sign.
    root_version: u64,
    targets_version: u64,
    bins_version: u64,
    /// What the snapshot claimed.
    coverage: Option<serde_json::Value>,
}

const LAST_KEY: &str = "publication";

/// Publishes for a store, in async code. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// The disk and the catalog.
    pub store: Store,
    /// Who signs.
    pub notary: Arc<Notary>,
    /// The time.
    pub clock: Clock,
    /// Who listens.
    pub events: Events,
}

impl Publisher {
    /// The one of a context, where somebody signs there.
    pub fn of(context: &Context) -> Option<Self> {
        Some(Self {
            store: context.store.clone(),
            notary: context.notary.clone()?,
            clock: context.clock.clone(),
            events: context.events.clone(),
        })
    }

    /// Signs and publishes; `None` where nothing was to be done.
    pub async fn publish(&self, urge: Urge) -> Result<Option<Published>, EngineError> {
        let now = self.clock.now();
        let (store, notary) = (self.store.clone(), Arc::clone(&self.notary));
        let published = blocking(move || publish_now(&store, &notary, now, urge)).await??;
        if let Some(published) = published {
            self.events.tell(Event::Signed { published });
        }
        Ok(published)
    }
}

/// Signs and publishes what is due, blocking. `now` is in seconds since 1970.
pub fn publish_now(
    store: &Store,
    notary: &Notary,
    now: i64,
    urge: Urge,
) -> Result<Option<Published>, EngineError> {
    if !signs_here(store)? {
        return Ok(None);
    }
    let _lock = store.lock_publish()?;
    held::tell_digests(store, now)?;
    store.index_targets(now)?;
    let roles = store.roles()?;
    let stand::Stand { offline, shows } = stand::stand(store, notary, &roles, now)?;
    let last = store.meta::<Last>(LAST_KEY)?;
    let claim = coverage::claimed(store)?;
    let pending = store.pending()?;
    let plan = plan::plan(&plan::Input {
        offline: &offline,
        last: last.as_ref(),
        claim: claim.as_ref(),
        places: &pending.places,
        roles: &roles,
        lives: &notary.lives,
        now,
        urge,
    });
    if plan.is_nothing() {
        return Ok(None);
    }
    let job = write::Job {
        store,
        notary,
        offline: &offline,
        roles: &roles,
        shows: shows.as_ref(),
        claim: claim.as_ref(),
        now,
    };
    let mut published = job.carry_out(&plan, pending.generation)?;
    let made_from = Last {
        bins: offline.count.get(),
        root_version: offline.root.value.version.get(),
        targets_version: offline.targets.value.version.get(),
        bins_version: offline.bins_version.get(),
        coverage: claim.as_ref().map(coverage::to_value),
    };
    if last.as_ref() != Some(&made_from) {
        store.set_meta(LAST_KEY, &made_from)?;
    }
    if shows.is_some() {
        waiting::Waiting::forget(store)?;
        offline.let_go(notary);
    }
    published.swept = store.sweep_retired(now)?;
    crate::about::describe(store)?;
    Ok(Some(published))
}

/// Whether what a store holds is signed with keys of its own.
pub fn signs_here(store: &Store) -> Result<bool, EngineError> {
    Ok(store
        .notary()?
        .is_some_and(|notary| notary.origin == Origin::Own))
}

#[cfg(test)]
mod tests;
