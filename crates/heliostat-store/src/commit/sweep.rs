//! Unlinks files that nothing lists any more, once their grace is over. The catalog has stopped listing them before.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::Refusal;
use crate::catalog::{Applier, Doomed};
use crate::disk;
use crate::error::StoreError;
use crate::kill::kill_point;
use crate::layout;
use crate::record::Part;
use crate::store::Store;

/// Files unlinked between two catalog transactions.
const SWEEP_FILES: usize = 1000;

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Swept {
    /// Files, each with its parts.
    pub files: u64,
    /// Bytes of all their parts.
    pub bytes: u64,
}

impl Store {
    /// Unlinks doomed files whose grace is over at `now`; what cannot be unlinked is told and tried again next time.
    pub fn sweep_doomed(&self, now: i64) -> Result<(Swept, Vec<Refusal>), StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        drop(self.redo()?);
        let mut refused = Vec::new();
        let swept = self.sweep(now, &mut refused)?;
        Ok((swept, refused))
    }

    /// The same for who holds the commit lock already.
    pub(crate) fn sweep(&self, now: i64, refused: &mut Vec<Refusal>) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let mut failed = 0;
        loop {
            let batch = self.inner.catalog.doomed(now, failed, SWEEP_FILES)?;
            if batch.is_empty() {
                return Ok(swept);
            }
            let mut gone = Vec::with_capacity(batch.len());
            let mut directories = BTreeSet::new();
            for doomed in batch {
                match self.unlink(&doomed, &mut directories) {
                    Ok(()) => gone.push(doomed),
                    Err(error) => {
                        failed += 1;
                        let item = doomed.path.filename().to_owned();
                        refused.push(Refusal {
                            project: Some(doomed.project),
                            item,
                            error,
                        });
                    }
                }
            }
            kill_point("all-unlinked");
            for root in layout::ROOTS {
                let root = self.inner.layout.in_web(root);
                for directory in directories
                    .iter()
                    .filter(|directory| directory.starts_with(&root))
                {
                    disk::remove_empty_directories(directory, &root);
                }
            }
            let never = |_: &_, _: &_, _| false;
            self.inner
                .catalog
                .write("forget unlinked files", |transaction| {
                    let mut applier = Applier::new(transaction, now, now, &never)?;
                    for doomed in &gone {
                        applier.unlinked(&doomed.path)?;
                    }
                    applier.finish_counts()
                })?;
            kill_point("swept");
            swept.files += gone.len() as u64;
            swept.bytes += gone.iter().map(|doomed| doomed.parts.bytes()).sum::<u64>();
        }
    }

    fn unlink(
        &self,
        doomed: &Doomed,
        directories: &mut BTreeSet<PathBuf>,
    ) -> Result<(), StoreError> {
        let held = self
            .inner
            .catalog
            .held_or_doomed(&doomed.path)?
            .0
            .unwrap_or_default();
        for part in Part::ALL {
            // A part that a page lists again must stay, whatever the list of the doomed says.
            if doomed.parts.part(part).is_none() || held.part(part).is_some() {
                continue;
            }
            let Some(place) = self.place(&doomed.project, &doomed.path, part) else {
                continue;
            };
            disk::remove_file(&place)?;
            kill_point("one-unlinked");
            if let Some(directory) = place.parent() {
                directories.insert(directory.to_owned());
            }
        }
        Ok(())
    }
}
