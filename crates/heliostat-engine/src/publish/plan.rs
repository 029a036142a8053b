//! What has to be signed now. Pure.

use std::collections::{BTreeMap, BTreeSet};

use heliostat_store::RoleState;
use heliostat_trust::bins::{Bin, BinCount};
use heliostat_trust::metadata::Coverage;

use super::offline::Offline;
use super::{Last, Lives, Urge, coverage};

pub(super) struct Input<'a> {
    pub(super) offline: &'a Offline,
    pub(super) last: Option<&'a Last>,
    pub(super) claim: Option<&'a Coverage>,
    pub(super) places: &'a [u32],
    pub(super) roles: &'a [RoleState],
    pub(super) lives: &'a Lives,
    pub(super) now: i64,
    pub(super) urge: Urge,
}

/// What is to be signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Bins, in order.
    pub(super) bins: Vec<Bin>,
    /// Bins of another number than today's, which are signed once more with nothing in them. Clients never let a
    /// snapshot drop a role they know (TUF specification 5.5.4), so their last versions stay pinned.
    pub(super) emptied: Vec<Bin>,
    pub(super) depth: Depth,
}

/// How far up a publication begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    Nothing,
    Timestamp,
    Snapshot,
}

impl Plan {
    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self.depth, Depth::Nothing)
    }
}

pub(super) fn plan(input: &Input<'_>) -> Plan {
    let roles: BTreeMap<&str, &RoleState> = input
        .roles
        .iter()
        .map(|role| (role.name.as_str(), role))
        .collect();
    let count = input.offline.count;
    // New delegations may be to other keys; then every bin needs their signature.
    let signs_all = input
        .last
        .is_none_or(|last| last.bins_version != input.offline.bins_version.get());
    let changed: BTreeSet<u32> = input
        .places
        .iter()
        .map(|place| index_of(count, *place))
        .collect();
    let is_due = |role: &RoleState| input.now >= half_life(role);
    let bins: Vec<Bin> = count
        .bins()
        .filter(|bin| {
            signs_all
                || changed.contains(&bin.index())
                || roles
                    .get(bin.role().as_str())
                    .is_none_or(|role| is_due(role))
        })
        .collect();
    let emptied = match input.last.map(|last| BinCount::new(last.bins.into())) {
        Some(Ok(old)) if old != count => old.bins().collect(),
        _ => Vec::new(),
    };
    let depth = depth(input, &roles, !bins.is_empty());
    Plan {
        bins,
        emptied,
        depth,
    }
}

fn depth(input: &Input<'_>, roles: &BTreeMap<&str, &RoleState>, signs_bins: bool) -> Depth {
    let offline = input.offline;
    let is_other = input.last.is_none_or(|last| {
        last.root_version != offline.root.value.version.get()
            || last.targets_version != offline.targets.value.version.get()
            || last.bins_version != offline.bins_version.get()
            || last.coverage != input.claim.map(coverage::to_value)
    });
    let snapshot_is_due = roles
        .get("snapshot")
        .is_none_or(|role| input.now >= half_life(role));
    if signs_bins || is_other || snapshot_is_due {
        return Depth::Snapshot;
    }
    let timestamp_is_due = roles.get("timestamp").is_none_or(|role| {
        input.now >= role.signed_at.saturating_add(input.lives.heartbeat.as_secs())
            || input.now >= half_life(role)
            // A clock that was set back must not keep a timestamp from being signed.
            || input.now < role.signed_at
    });
    if timestamp_is_due || input.urge == Urge::Heartbeat {
        Depth::Timestamp
    } else {
        Depth::Nothing
    }
}

/// When half of a role's life is over.
const fn half_life(role: &RoleState) -> i64 {
    role.signed_at
        .saturating_add(role.expires_at.saturating_sub(role.signed_at) / 2)
}

/// The bin of a place.
fn index_of(count: BinCount, place: u32) -> u32 {
    match count.get().trailing_zeros() {
        0 => 0,
        bits => place >> (32 - bits),
    }
}
