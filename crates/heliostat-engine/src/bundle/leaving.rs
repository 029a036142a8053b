//! What goes with an import: projects that a bundle says are removed, and with `--prune` those that earlier bundles
//! brought and this one has not. Never more than one run may remove, and nothing on the word of a bundle that is only of
//! a part.

use std::collections::BTreeSet;

use heliostat_pypi::ProjectName;
use heliostat_pypi::bundle::{Extent, Header, Line};
use heliostat_store::Store;

use super::check::Checked;
use super::{ImportOptions, Open, Others, SOURCE};
use crate::error::EngineError;
use crate::sync::Wishes;

/// Which projects go.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Those that the bundle says are removed.
    pub(super) removed: BTreeSet<ProjectName>,
    /// Those that it has not and that are pruned.
    pub(super) absent: BTreeSet<ProjectName>,
    /// How many earlier bundles brought and this one, which is whole, has not, and that stay.
    pub(super) not_in_it: u64,
    /// How many stay because they are more than one run may remove.
    pub(super) held_back: u64,
}

impl Leaving {
    /// Decides. Changes nothing.
    pub(super) fn decide(
        store: &Store,
        options: &ImportOptions,
        (checked, header): (&Checked, &Header),
        open: Open<'_>,
    ) -> Result<Self, EngineError> {
        let absent = match part(header) {
            None => absent(store, open, header)?,
            Some(_) => BTreeSet::new(),
        };
        let (absent, not_in_it) = if options.others == Others::Remove {
            (absent, 0)
        } else {
            (BTreeSet::new(), absent.len() as u64)
        };
        let count = checked.removed + absent.len() as u64;
        let states = store.project_states()?;
        let held = states.iter().filter(|state| state.keeper.is_synced());
        if count > options.delete_limit.gone_max(held.count()) {
            return Ok(Self {
                held_back: count,
                not_in_it,
                ..Self::default()
            });
        }
        Ok(Self {
            removed: checked.leaving.clone(),
            absent,
            not_in_it,
            held_back: 0,
        })
    }

    pub(super) fn goes(&self, name: &ProjectName) -> bool {
        self.removed.contains(name) || self.absent.contains(name)
    }

    /// Forgets that bundles brought what is pruned.
    pub(super) fn forget(&self, store: &Store) -> Result<(), EngineError> {
        let mut wishes = Wishes::load(store)?;
        if let Some(brought) = wishes.sources.get_mut(SOURCE) {
            for name in &self.absent {
                brought.names.remove(name);
                brought.resolved.remove(name);
            }
        }
        Ok(wishes.save(store)?)
    }
}

/// Refuses to prune by a bundle whose silence says nothing.
pub(super) fn may_prune(options: &ImportOptions, header: &Header) -> Result<(), EngineError> {
    match part(header) {
        Some(reason) if options.others == Others::Remove => {
            Err(EngineError::PruneByPart { reason })
        }
        _ => Ok(()),
    }
}

/// Why a bundle is not of all that its mirror holds; `None` where it is.
fn part(header: &Header) -> Option<&'static str> {
    if header.since.is_some() {
        Some("was made with `--since`")
    } else if header.extent == Extent::Some {
        Some("is of a part that was asked for")
    } else {
        None
    }
}

/// Projects that earlier bundles brought and this one has not, but for those that it says it lacks.
fn absent(
    store: &Store,
    open: Open<'_>,
    header: &Header,
) -> Result<BTreeSet<ProjectName>, EngineError> {
    let wishes = Wishes::load(store)?;
    let Some(brought) = wishes.sources.get(SOURCE) else {
        return Ok(BTreeSet::new());
    };
    let mut absent: BTreeSet<ProjectName> = brought.names.clone();
    absent.extend(brought.resolved.keys().cloned());
    for name in &header.lacking {
        absent.remove(name);
    }
    let mut lines = super::manifest(open)?;
    while let Some(line) = lines.next_line()? {
        if let Line::Project(project) = line {
            absent.remove(&project.name);
        }
    }
    Ok(absent)
}
